use super::*;
use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::pb::{Position as Place, Range};
use proptest::prelude::*;

fn apply(trace: &mut Trace, status: &StatusResponse) -> Vec<BuildEvent> {
    let mut events = Vec::new();
    let text = BASE64_STANDARD.encode(status.encode_to_vec());
    trace.apply(&text, &mut |event| events.push(event)).unwrap();
    events
}

fn vertex(digest: &str, started: bool, completed: bool) -> Vertex {
    let time = |set: bool| set.then_some(Timestamp { seconds: 1, nanos: 0 });
    Vertex {
        digest: digest.into(),
        name: format!("[2/3] RUN {digest}"),
        started: time(started),
        completed: time(completed),
        ..Vertex::default()
    }
}

fn vertices(vertexes: Vec<Vertex>) -> StatusResponse {
    StatusResponse { vertexes, ..StatusResponse::default() }
}

fn log(digest: &str, msg: &[u8]) -> StatusResponse {
    let log = VertexLog { vertex: digest.into(), stream: 1, msg: msg.to_vec(), ..VertexLog::default() };
    StatusResponse { logs: vec![log], ..StatusResponse::default() }
}

fn told(events: &[BuildEvent]) -> Vec<StepStatus> {
    let status = |event: &BuildEvent| match event {
        BuildEvent::Step { status, .. } => Some(*status),
        _ => None,
    };
    events.iter().filter_map(status).collect()
}

#[test]
fn every_change_of_a_step_is_told_once() {
    let mut trace = Trace::default();
    let mut events = Vec::new();
    for (started, completed) in
        [(false, false), (true, false), (true, false), (true, true), (true, false), (true, true)]
    {
        events.extend(apply(&mut trace, &vertices(vec![vertex("a", started, completed)])));
    }
    assert_eq!(told(&events), [StepStatus::Started, StepStatus::Done]);
    let cached = Vertex { cached: true, ..vertex("b", true, true) };
    assert_eq!(told(&apply(&mut trace, &vertices(vec![cached]))), [StepStatus::Cached]);
}

#[test]
fn the_step_that_failed_is_told_from_those_that_were_cancelled_because_of_it() {
    let mut trace = Trace::default();
    apply(&mut trace, &vertices(vec![vertex("a", true, false), vertex("b", true, false)]));
    apply(&mut trace, &log("b", b"compiling\nboom\n"));
    apply(&mut trace, &log("a", b"other\n"));
    let cancelled = Vertex { error: "context canceled".into(), ..vertex("a", true, true) };
    let failed = Vertex { error: "failed to solve: exit code: 2".into(), ..vertex("b", true, true) };
    let events = apply(&mut trace, &vertices(vec![cancelled, failed]));
    let [BuildEvent::Step { id, status: StepStatus::Failed, error: Some(error), .. }] = events.as_slice()
    else {
        panic!("{events:?}");
    };
    assert_eq!((id.as_str(), error.as_str()), ("b", "exit code: 2"));
    let failed = trace.failed().unwrap();
    assert_eq!((failed.name.as_str(), failed.tail.as_str()), ("[2/3] RUN b", "compiling\nboom"));
    assert_eq!(failed.position, Some(Position { stage: None, number: 2, total: 3 }));
}

#[test]
fn output_cut_in_the_middle_of_a_character_is_joined_per_step_and_stream() {
    let mut trace = Trace::default();
    let mut events = apply(&mut trace, &log("a", b"gr\xc3"));
    events.extend(apply(&mut trace, &log("b", b"x")));
    events.extend(apply(&mut trace, &log("a", b"\xbcn")));
    let output = |step: &str, text: &str| BuildEvent::Output { step: Some(step.into()), text: text.into() };
    assert_eq!(events, [output("a", "gr"), output("b", "x"), output("a", "\u{fc}n")]);
}

#[test]
fn the_output_of_finished_steps_is_not_kept() {
    let mut trace = Trace::default();
    apply(&mut trace, &vertices(vec![vertex("a", true, false)]));
    apply(&mut trace, &log("a", b"much\n"));
    apply(&mut trace, &vertices(vec![vertex("a", true, true)]));
    assert_eq!(trace.vertices["a"].tail.text(), "");
}

#[test]
fn warnings_bear_their_line_and_counts_their_bytes() {
    let range = Range { start: Some(Place { line: 4, character: 0 }), end: None };
    let warning =
        VertexWarning { short: b"old syntax".to_vec(), ranges: vec![range], ..VertexWarning::default() };
    let status = VertexStatus {
        id: "sha256:abc".into(),
        name: "extracting".into(),
        current: 5,
        total: 10,
        ..VertexStatus::default()
    };
    let unknown = VertexStatus { id: "writing".into(), ..VertexStatus::default() };
    let response = StatusResponse {
        warnings: vec![warning],
        statuses: vec![status, unknown],
        ..StatusResponse::default()
    };
    assert_eq!(
        apply(&mut Trace::default(), &response),
        [
            BuildEvent::Progress {
                item: "sha256:abc".into(),
                status: "extracting".into(),
                current: Some(5),
                total: Some(10),
            },
            BuildEvent::Progress {
                item: "writing".into(),
                status: "running".into(),
                current: None,
                total: None
            },
            BuildEvent::Warning { message: "old syntax".into(), line: Some(4) },
        ]
    );
}

proptest! {
    #[test]
    fn no_message_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), text in "\\PC{0,40}") {
        let mut trace = Trace::default();
        let _ = trace.apply(&BASE64_STANDARD.encode(bytes), &mut |_| ());
        let _ = trace.apply(&text, &mut |_| ());
    }
}
