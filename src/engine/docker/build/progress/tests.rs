use super::*;

fn events(texts: &[&str], end: Option<&str>) -> (Vec<BuildEvent>, Option<FailedStep>) {
    let mut progress = Progress::default();
    let mut events = Vec::new();
    let mut emit = |event| events.push(event);
    for text in texts {
        progress.apply(text, &mut emit);
    }
    match end {
        None => progress.finish(&mut emit),
        Some(message) => progress.fail(message, &mut emit),
    }
    let failed = progress.failed();
    (events, failed)
}

fn step(id: &str, name: &str, status: StepStatus) -> BuildEvent {
    BuildEvent::Step { id: id.into(), name: name.into(), status, error: None }
}

fn output(step: &str, text: &str) -> BuildEvent {
    BuildEvent::Output { step: Some(step.into()), text: text.into() }
}

#[test]
fn the_classic_builders_text_becomes_steps() {
    let texts = [
        "Step 1/3 : FROM base",
        "\n",
        " ---> 44052d7f5240\n",
        "Step 2/3 : RUN echo hi",
        "\n",
        " ---> Using cache\n",
        " ---> e77cd51478bd\n",
        "Step 3/3 : RUN echo hi",
        "\n",
        " ---> Running in 84bc5e267f51\n",
        "hi\n",
        "Removing intermediate container 84bc5e267f51\n",
        " ---> 4a0e8a56e101\n",
        "Successfully built 4a0e8a56e101\n",
        "Successfully tagged a:b\n",
    ];
    let expected = [
        step("1/3", "FROM base", StepStatus::Started),
        step("1/3", "FROM base", StepStatus::Done),
        step("2/3", "RUN echo hi", StepStatus::Started),
        step("2/3", "RUN echo hi", StepStatus::Cached),
        step("3/3", "RUN echo hi", StepStatus::Started),
        output("3/3", "hi\n"),
        step("3/3", "RUN echo hi", StepStatus::Done),
    ];
    assert_eq!(events(&texts, None).0, expected);
}

#[test]
fn podmans_text_becomes_steps_of_stages() {
    let texts = [
        "[1/2] STEP 1/2: FROM base AS a\n",
        "[1/2] STEP 2/2: RUN echo $X\n",
        "--> Using cache 83fcae09565ff8102e06e1a98aae46c50fdf31bb0cf2b44ae37a7d74f93f8275\n",
        "--> d0ba07e75ca\n",
        "[2/2] STEP 1/2: FROM d0ba07e75ca1\n",
        "[2/2] STEP 2/2: RUN nosuchcmd $X\n",
        "/bin/sh: nosuchcmd: not found\n",
    ];
    let (events, failed) = events(&texts, Some("exit status 127"));
    let failed = failed.unwrap();
    assert_eq!(failed.position, Some(Position { stage: Some("2".into()), number: 2, total: 2 }));
    assert_eq!(failed.tail, "/bin/sh: nosuchcmd: not found");
    assert!(events.contains(&step("1:2/2", "RUN echo $X", StepStatus::Cached)));
    assert!(events.contains(&step("2:1/2", "FROM d0ba07e75ca1", StepStatus::Done)));
    assert_eq!(
        events.last(),
        Some(&BuildEvent::Step {
            id: "2:2/2".into(),
            name: "RUN nosuchcmd $X".into(),
            status: StepStatus::Failed,
            error: Some("exit status 127".into()),
        })
    );
}

#[test]
fn a_container_that_prints_a_heading_opens_no_step_out_of_turn() {
    let texts =
        ["Step 1/3 : FROM base", "Step 3/3 : RUN evil", "Step 2/9 : RUN evil", "[2/2] STEP 1/1: evil\n"];
    let (events, _) = events(&texts, None);
    let steps: Vec<_> = events.iter().filter(|event| matches!(event, BuildEvent::Step { .. })).collect();
    assert_eq!(steps.len(), 2, "{steps:?}");
    assert_eq!(events.len(), 5);
}

#[test]
fn only_the_builders_bookkeeping_is_left_out() {
    for text in
        ["hello\n", "\n\n", "COMMITTED\n", "--> result\n", " ---> done\n", "Successfully built the thing\n"]
    {
        assert!(!is_bookkeeping(text), "{text:?}");
    }
}
