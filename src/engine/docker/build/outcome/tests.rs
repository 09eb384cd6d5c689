use super::*;
use crate::engine::event::StepStatus;

fn outcome(builder: BuilderKind, lines: &[&str]) -> (Result<BuiltImage, BuildError>, Vec<BuildEvent>) {
    let mut outcome = Outcome::new(builder);
    let mut events = Vec::new();
    let mut emit = |event| events.push(event);
    for line in lines {
        outcome.apply(serde_json::from_str(line).unwrap(), &mut emit).unwrap();
    }
    let result = outcome.finish(&mut emit);
    (result, events)
}

fn failure(result: Result<BuiltImage, BuildError>) -> BuildFailure {
    match result {
        Err(BuildError::Failed(failure)) => *failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_last_image_is_the_targets() {
    let (result, _) =
        outcome(BuilderKind::Classic, &[r#"{"aux":{"ID":"sha256:a"}}"#, r#"{"aux":{"ID":"sha256:b"}}"#]);
    assert_eq!(result.unwrap().id.as_deref(), Some("sha256:b"));
}

#[test]
fn text_that_a_step_prints_names_no_image() {
    let (result, _) =
        outcome(BuilderKind::Classic, &[r#"{"stream":"{\"aux\":{\"ID\":\"sha256:evil\"}}\n"}"#]);
    assert_eq!(result.unwrap().id, None);
}

#[test]
fn an_error_after_an_image_is_a_failure_with_the_first_error_as_its_cause() {
    let (result, events) = outcome(
        BuilderKind::Classic,
        &[
            r#"{"aux":{"ID":"sha256:a"}}"#,
            r#"{"stream":"Step 2/2 : RUN x"}"#,
            r#"{"stream":"not found\n"}"#,
            r#"{"errorDetail":{"code":127,"message":"The command 'x' returned a non-zero code: 127"},"error":"x"}"#,
            r#"{"error":"second"}"#,
        ],
    );
    let failed = failure(result);
    assert_eq!(
        (failed.exit_code, failed.tail.as_str(), failed.step.as_deref()),
        (Some(127), "not found", Some("RUN x"))
    );
    let last = events.last();
    assert!(matches!(last, Some(BuildEvent::Step { status: StepStatus::Failed, .. })), "{last:?}");
}

#[test]
fn a_parse_error_has_a_line_and_no_step() {
    let message = "failed to solve with frontend dockerfile.v0: failed to create LLB definition: \
                   dockerfile parse error line 3: unknown instruction: FOO";
    let (result, _) = outcome(BuilderKind::BuildKit, &[&format!(r#"{{"error":"{message}"}}"#)]);
    let failed = failure(result);
    assert_eq!((failed.line, failed.step), (Some(3), None));
    assert_eq!(failed.message, "dockerfile parse error line 3: unknown instruction: FOO");
}

#[test]
fn layers_being_pulled_are_counted() {
    let (_, events) = outcome(
        BuilderKind::Classic,
        &[
            r#"{"status":"Downloading","progressDetail":{"current":5,"total":10},"id":"abc"}"#,
            r#"{"status":"Pulling from x"}"#,
        ],
    );
    let progress = |item: &str, status: &str, current, total| BuildEvent::Progress {
        item: item.into(),
        status: status.into(),
        current,
        total,
    };
    let expected =
        [progress("abc", "Downloading", Some(5), Some(10)), progress("", "Pulling from x", None, None)];
    assert_eq!(events, expected);
}

#[test]
fn progress_that_is_no_text_is_malformed() {
    let mut outcome = Outcome::new(BuilderKind::BuildKit);
    let message = serde_json::from_str(r#"{"id":"moby.buildkit.trace","aux":{"x":1}}"#).unwrap();
    assert!(matches!(outcome.apply(message, &mut |_| ()), Err(BuildError::Malformed(_))));
}
