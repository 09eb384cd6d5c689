use proptest::prelude::*;

use super::*;
use crate::notify::sample;
use crate::probe::{State, Verdict};

fn unified() -> UnifiedTags {
    UnifiedTags { env: Some("prod".to_owned()), ..UnifiedTags::default() }
}

type Sample = (String, BTreeMap<String, String>, f64);

/// Each sample, read by the rules of the format; an error for what it does not allow.
pub(crate) fn read(text: &str) -> Result<Vec<Sample>, String> {
    let mut samples = Vec::new();
    let mut typed = BTreeSet::new();
    let mut seen = BTreeSet::new();
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    for line in text.split_terminator('\n') {
        if let Some(comment) = line.strip_prefix("# ") {
            if let Some(declared) = comment.strip_prefix("TYPE ") {
                let name = declared.strip_suffix(" gauge").ok_or(format!("type of {declared:?}"))?;
                if !typed.insert(name.to_owned()) {
                    return Err(format!("{name} is declared twice"));
                }
            } else if !comment.starts_with("HELP docker_test_probe_") {
                return Err(format!("comment {comment:?}"));
            }
            continue;
        }
        let (name, mut rest) = line.split_once('{').ok_or(format!("no labels in {line:?}"))?;
        if !typed.contains(name) {
            return Err(format!("{name:?} has no type"));
        }
        let mut labels = BTreeMap::new();
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").ok_or(format!("no value in {rest:?}"))?;
            let plain = label.chars().all(|it| it.is_ascii_alphanumeric() || it == '_');
            if !plain || label.is_empty() || label.starts_with(|it: char| it.is_ascii_digit()) {
                return Err(format!("label {label:?}"));
            }
            let mut value = String::new();
            let mut characters = after.char_indices();
            let end = loop {
                match characters.next().ok_or("the value has no end")? {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match characters.next().ok_or("the value has no end")?.1 {
                        'n' => '\n',
                        it @ ('\\' | '"') => it,
                        other => return Err(format!("escaped {other:?}")),
                    }),
                    (_, character) => value.push(character),
                }
            };
            if labels.insert(label.to_owned(), value).is_some() {
                return Err(format!("label {label} stands twice"));
            }
            rest = after[end + 1..].strip_prefix(',').unwrap_or(&after[end + 1..]);
        }
        let value = rest.strip_prefix("} ").ok_or(format!("end of {line:?}"))?;
        let value: f64 = value.parse().map_err(|_| format!("value {value:?}"))?;
        if !seen.insert((name.to_owned(), labels.clone())) {
            return Err(format!("{line:?} stands twice"));
        }
        samples.push((name.to_owned(), labels, value));
    }
    Ok(samples)
}

#[test]
fn a_run_is_written_with_help_types_and_labels() {
    let labels = "probe=\"example.integration\",host=\"staging.example\",type=\"integration\",env=\"prod\",\
                  team=\"shop\"";
    let expected = format!(
        "# HELP docker_test_probe_success Whether the last run passed: 1 where an attempt did, else 0.\n\
         # TYPE docker_test_probe_success gauge\n\
         docker_test_probe_success{{{labels}}} 1\n\
         # HELP docker_test_probe_state State after the last run: 0 ok, 1 warning, 2 critical, 3 unknown.\n\
         # TYPE docker_test_probe_state gauge\n\
         docker_test_probe_state{{{labels}}} 1\n\
         # HELP docker_test_probe_attempts Attempts of the last run, by their result.\n\
         # TYPE docker_test_probe_attempts gauge\n\
         docker_test_probe_attempts{{{labels},result=\"failure\"}} 1\n\
         docker_test_probe_attempts{{{labels},result=\"success\"}} 1\n\
         # HELP docker_test_probe_duration_seconds How long the last run took, attempts, waits and cleanups.\n\
         # TYPE docker_test_probe_duration_seconds gauge\n\
         docker_test_probe_duration_seconds{{{labels}}} 5.5\n\
         # HELP docker_test_probe_last_run_timestamp_seconds When the last run was over, in Unix seconds.\n\
         # TYPE docker_test_probe_last_run_timestamp_seconds gauge\n\
         docker_test_probe_last_run_timestamp_seconds{{{labels}}} 1772366405\n\
         # HELP docker_test_probe_measurement What the last attempt of the last run measured, in the unit that \
         its check gave.\n\
         # TYPE docker_test_probe_measurement gauge\n\
         docker_test_probe_measurement{{{labels},measure=\"time\",unit=\"s\"}} 0.25\n"
    );
    assert_eq!(exposition([&sample::run(Verdict::PassedOnRetry)], &unified()), expected);
}

#[test]
fn probes_share_their_metrics_and_of_one_probe_the_last_run_counts() {
    let mut other = sample::run(Verdict::Errored);
    other.probe.name = "a \"quoted\\\" name\n".to_owned();
    let runs = [sample::run(Verdict::Failed), other, sample::run(Verdict::Passed)];
    let text = exposition(&runs, &UnifiedTags::default());
    let samples = read(&text).unwrap();
    let success: Vec<(&str, f64)> = samples
        .iter()
        .filter(|(name, ..)| name == "docker_test_probe_success")
        .map(|(_, labels, value)| (labels["probe"].as_str(), *value))
        .collect();
    assert_eq!(success, [("a \"quoted\\\" name", 0.0), ("example.integration", 1.0)]);
    assert_eq!(exposition::<&ProbeRun>([], &UnifiedTags::default()), "");
}

#[test]
fn a_tag_cannot_take_the_place_of_a_label() {
    let mut run = sample::run(Verdict::Passed);
    run.probe.tags = ["probe:forged", "Job:forged", "__name__:forged", "1st:a", "a-b:c", "A_B:d", "word"]
        .map(str::to_owned)
        .to_vec();
    let samples = read(&exposition([&run], &UnifiedTags::default())).unwrap();
    let (_, labels, _) = samples.first().unwrap();
    let names: Vec<&str> = labels.keys().map(String::as_str).collect();
    assert_eq!(names, ["_1st", "a_b", "host", "name__", "probe", "type"]);
    assert_eq!((labels["probe"].as_str(), labels["a_b"].as_str()), ("example.integration", "c"));
}

#[test]
fn each_probe_has_a_textfile_of_its_own_within_the_directory() {
    let sink = Textfile::new(PathBuf::from("/var/lib/node_exporter"), unified());
    let written = |name: &str| {
        let mut run = sample::run(Verdict::Passed);
        run.probe.name = name.to_owned();
        let rendered = sink.render(&Notice::Finished { run: run.clone(), changed_from: None });
        let [Transmission::File { path, bytes }] = rendered.as_slice() else { panic!("one file") };
        assert_eq!(bytes, exposition([&run], &unified()).as_bytes());
        assert_eq!(path.parent().unwrap(), sink.directory);
        path.file_name().unwrap().to_str().unwrap().to_owned()
    };
    let name = written("shop/checkout");
    assert!(name.starts_with("docker-test-shop_checkout-"), "{name}");
    assert_eq!(name.rsplit_once('.').unwrap().1, "prom", "other files are not read");
    assert_eq!(written("shop/checkout"), name);
    assert_ne!(written("shop_checkout"), name);
    assert!(written("../../etc/passwd").starts_with("docker-test-"));
}

#[test]
fn only_runs_that_are_over_are_written() {
    let sink = Textfile::new(PathBuf::from("/metrics"), unified());
    for notice in [sample::started(), sample::attempted(State::Ok), sample::alert()] {
        assert_eq!(sink.lifetime(&notice), None);
        assert!(sink.render(&notice).is_empty());
    }
    assert_eq!(sink.lifetime(&sample::finished(Verdict::Passed, None)), Some(Duration::from_millis(605_500)));
}

#[test]
fn its_preflight_is_about_the_directory() {
    let sink = Textfile::new(PathBuf::from("/metrics"), unified());
    assert!(sink.preflight() == Preflight::Directory { path: PathBuf::from("/metrics") });
}

proptest! {
    #[test]
    fn any_text_is_read_back_as_our_labels(text in sample::hostile()) {
        let sink = Textfile::new(PathBuf::from("/metrics"), unified());
        for notice in sample::everywhere(&text) {
            for transmission in sink.render(&notice) {
                let Transmission::File { path, bytes } = transmission else { panic!("a file") };
                prop_assert_eq!(path.parent().unwrap(), &sink.directory);
                prop_assert!(path.file_name().unwrap().len() <= 200);
                let read = read(&String::from_utf8(bytes).unwrap()).map_err(TestCaseError::fail)?;
                prop_assert!((6..=7).contains(&read.len()));
                for (name, labels, _) in read {
                    prop_assert_eq!(&labels["probe"], &label_value(&text));
                    prop_assert_eq!(labels["env"].as_str(), "prod");
                    prop_assert!(FAMILIES.iter().any(|family| family.name == name));
                }
            }
        }
    }
}
