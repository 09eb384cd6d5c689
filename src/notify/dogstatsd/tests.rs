use proptest::prelude::*;

use super::*;
use crate::notify::sample;
use crate::probe::{State, Verdict};

fn sink(address: &str) -> DogStatsD {
    DogStatsD::new(AgentAddress::parse(address).unwrap(), UnifiedTags::default())
}

fn sent(sink: &DogStatsD, notice: &Notice) -> Vec<String> {
    let mut sent = Vec::new();
    for transmission in sink.render(notice) {
        let Transmission::Datagrams { address, datagrams } = transmission else {
            panic!("these are datagrams")
        };
        assert_eq!(address, sink.address.text);
        assert!(datagrams.iter().all(|datagram| datagram.len() <= sink.address.most_bytes));
        sent.extend(datagrams.into_iter().map(|datagram| String::from_utf8(datagram).unwrap()));
    }
    sent
}

#[test]
fn an_attempt_is_a_count_of_one_and_what_it_measured() {
    let expected = "example.integration.failure:1|c|#host:staging.example,attempt:1,team:shop|T1772366402\n\
                    example.integration.time:0.25|g|#host:staging.example,attempt:1,team:shop|T1772366402";
    assert_eq!(sent(&sink("localhost:8125"), &sample::attempted(State::Critical)), [expected]);
}

#[test]
fn a_run_is_metrics_and_a_service_check() {
    let expected = "example.integration.duration:5.5|g|#host:staging.example,team:shop|T1772366405\n\
                    example.integration.attempts:2|g|#host:staging.example,team:shop|T1772366405\n\
                    example.integration.state:2|g|#host:staging.example,team:shop|T1772366405\n\
                    _sc|example.integration|2|d:1772366405|h:staging.example|#host:staging.example,team:shop\
                    |m:expected status 200, got Critical";
    assert_eq!(sent(&sink("localhost:8125"), &sample::finished(Verdict::Failed, None)), [expected]);
}

#[test]
fn a_change_is_an_event_whose_lengths_are_those_of_the_escaped_text() {
    let mut run = sample::run(Verdict::Errored);
    run.error = Some("grün | m: two".to_owned());
    let notice = Notice::Finished { run, changed_from: Some(Verdict::Passed) };
    let sent = sent(&sink("unix:///run/dsd.socket"), &notice);
    let expected = "_e{72,28}:example.integration on staging.example: could not be checked, was passed\
                    |grün ¦ m: two\\n\\nrun run-1|d:1772366405|h:staging.example\
                    |k:example.integration/staging.example|p:normal|t:error|#host:staging.example,team:shop";
    assert_eq!(sent.last().unwrap().lines().last().unwrap(), expected);
    assert!(sent.concat().contains("|m:grün ¦ m\\: two\n"), "{sent:?}");
}

#[test]
fn alerts_and_beginnings_are_not_for_it() {
    let sink = sink("localhost");
    for notice in [sample::alert(), sample::started()] {
        assert_eq!(sink.lifetime(&notice), None);
        assert!(sink.render(&notice).is_empty());
    }
    assert_eq!(sink.lifetime(&sample::attempted(State::Ok)), Some(Duration::from_millis(602_250)));
}

#[test]
fn addresses_of_all_kinds_are_read() {
    let read = |text: &str| AgentAddress::parse(text).map(|address| (address.text, address.most_bytes));
    let udp = |text: &str| Ok((text.to_owned(), 1432));
    assert_eq!(read("udp://agent:8126"), udp("agent:8126"));
    assert_eq!(read("agent"), udp("agent:8125"));
    assert_eq!(read("10.0.0.1:9"), udp("10.0.0.1:9"));
    assert_eq!(read("udp://[::1]:9"), udp("[::1]:9"));
    assert_eq!(read("fd00::1"), udp("[fd00::1]:8125"));
    let unix = "unixstream:///run/dsd.socket";
    assert_eq!(read(unix), Ok((unix.to_owned(), 8192)));
    for text in ["", "udp://", "unix://", "unix:///", "unix://a", "a:b", "a:0", "a b", "http://a", "a:70000"]
    {
        assert!(read(text).is_err(), "{text}");
    }
}

/// What an agent reads: the fields of a line, by their prefixes.
fn read_line(line: &str) -> Result<Vec<&'static str>, String> {
    let tags = |text: &str| {
        let broken = text.split(',').find(|tag| tag.is_empty() || tag.contains(['|', '#']));
        broken.map_or(Ok(()), |tag| Err(format!("tag {tag:?}")))
    };
    let mut names = Vec::new();
    let rest = if let Some(event) = line.strip_prefix("_e{") {
        let (lengths, event) = event.split_once("}:").ok_or("no lengths")?;
        let (title, text) = lengths.split_once(',').ok_or("no comma")?;
        let (title, text): (usize, usize) = (title.parse().unwrap(), text.parse().unwrap());
        assert_eq!(event.as_bytes()[title], b'|');
        assert!(!event[..title].contains('|') && !event[title + 1..=title + text].contains('|'));
        names.push("event");
        &event[title + 1 + text..]
    } else if let Some(check) = line.strip_prefix("_sc|") {
        let mut parts = check.splitn(3, '|');
        parts.next().ok_or("no name")?;
        let status: u8 = parts.next().ok_or("no status")?.parse().map_err(|_| "status")?;
        assert!(status <= 3);
        names.push("check");
        &line[line.len() - parts.next().map_or(0, |rest| rest.len() + 1)..]
    } else {
        let (head, rest) = line.split_once('|').ok_or("no type")?;
        let (_, value) = head.split_once(':').ok_or("no value")?;
        value.parse::<f64>().map_err(|_| "value")?;
        names.push("metric");
        &line[line.len() - rest.len() - 1..]
    };
    for part in rest.split('|').skip(1) {
        names.push(match part {
            "c" | "g" => "kind",
            _ if part.starts_with('#') => tags(&part[1..]).map(|()| "tags")?,
            _ if part.starts_with("d:") => "date",
            _ if part.starts_with("h:") => "host",
            _ if part.starts_with("k:") => "key",
            _ if part.starts_with("p:") => "priority",
            _ if part.starts_with("t:") => "type",
            _ if part.starts_with("m:") => "message",
            _ if part.starts_with('T') => "time",
            _ => return Err(format!("field {part:?}")),
        });
    }
    Ok(names)
}

#[test]
fn its_preflight_writes_nothing_into_the_socket() {
    let expected = Preflight::Socket { address: "unix:///run/dsd.socket".to_owned() };
    assert!(sink("unix:///run/dsd.socket").preflight() == expected);
}

proptest! {
    #[test]
    fn any_text_leaves_our_fields_and_no_others(text in sample::hostile(), is_udp in any::<bool>()) {
        let sink = sink(if is_udp { "localhost:8125" } else { "unixgram:///run/dsd.socket" });
        for notice in sample::everywhere(&text) {
            let mut counts = [0; 3];
            for line in sent(&sink, &notice).iter().flat_map(|datagram| datagram.split('\n')) {
                let mut names = read_line(line).map_err(TestCaseError::fail)?;
                // A text without a letter is no tag and no host.
                names.retain(|name| !matches!(*name, "tags" | "host"));
                match *names.first().unwrap() {
                    "metric" => {
                        counts[0] += 1;
                        prop_assert_eq!(names, ["metric", "kind", "time"]);
                    }
                    "check" => {
                        counts[1] += 1;
                        prop_assert_eq!(names, ["check", "date", "message"]);
                    }
                    _ => {
                        counts[2] += 1;
                        prop_assert_eq!(names, ["event", "date", "key", "priority", "type"]);
                    }
                }
            }
            match notice {
                Notice::Attempted { .. } => prop_assert!(matches!(counts, [1 | 2, 0, 0])),
                Notice::Finished { .. } => prop_assert_eq!(counts, [3, 1, 1]),
                _ => prop_assert_eq!(counts, [0, 0, 0]),
            }
        }
    }
}
