use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;

fn redactor(secrets: &[&str]) -> Redactor {
    Redactor::new(secrets.iter().map(ToString::to_string))
}

fn whole(redactor: &Redactor, text: &[u8]) -> Vec<u8> {
    let mut stream = redactor.stream();
    let mut out = stream.push(text);
    out.extend(stream.flush());
    out
}

#[test]
fn names_that_speak_of_secrets_are_known_in_any_case() {
    for name in ["GITHUB_TOKEN", "db_password", "MyApiKey", "SSH_PASSWD", "client-secret", "AWS_CREDENTIALS"]
    {
        assert!(is_secret_name(name), "{name}");
    }
    for name in ["HOME", "PASS", "USER", "TOKE", ""] {
        assert!(!is_secret_name(name), "{name}");
    }
}

#[test]
fn a_value_is_hidden_wherever_it_stands() {
    let redactor = redactor(&["hunter2hunter"]);
    assert_eq!(redactor.redact("a hunter2hunter b hunter2hunter"), "a *** b ***");
    assert_eq!(redactor.redact("hunter2hunte"), "hunter2hunte");
}

#[test]
fn a_beginning_leaves_no_part_of_a_secret_wherever_it_is_cut() {
    let secret = "SUPERSECRETVALUE_abcdefghijklmnop_123456";
    let redactor = redactor(&[secret]);
    let text = format!("{} {secret} {}", "x".repeat(2 * CHUNK - 20), "y".repeat(50));
    let hidden = |shown: &str| !(0..=secret.len() - 6).any(|at| shown.contains(&secret[at..at + 6]));
    for cut in 2 * CHUNK - 30..text.len() {
        let (before, after) = (&text.as_bytes()[..cut], redactor.beginning(text.as_bytes(), cut));
        let before = redactor.beginning(before, usize::MAX);
        assert!(hidden(&before) && hidden(&after), "{cut}: {before} {after}");
        assert!(after.len() == cut.min(text.len() - secret.len() + 3), "{cut}");
    }
    assert_eq!(redactor.beginning(b"super SUPER", usize::MAX), "super SUPER", "ordinary text");
    assert_eq!(redactor.beginning(b"super SUPERS", usize::MAX), "super ***");
    assert_eq!(Redactor::default().beginning(b"super SUPERS", 8), "super SU");
}

#[test]
fn short_values_are_left_alone() {
    let redactor = redactor(&["12345", "ééééé", ""]);
    assert!(redactor.is_empty());
    assert_eq!(redactor.redact("12345 ééééé"), "12345 ééééé");
}

#[test]
fn every_line_of_a_longer_value_is_hidden_but_short_lines_stay() {
    let redactor = redactor(&["first-line\r\nabc\nsecond-line\n"]);
    assert_eq!(redactor.redact("x first-line y second-line abc"), "x *** y *** abc");
}

#[test]
fn a_single_line_of_a_longer_value_is_hidden_in_its_encoded_forms_too() {
    let redactor = redactor(&["first-line+of it\nsecond\"line"]);
    assert_eq!(redactor.redact(&STANDARD.encode("second\"line")), "***");
    assert_eq!(redactor.redact("first-line%2Bof%20it"), "***");
    assert_eq!(redactor.redact("second&quot;line"), "***");
}

#[test]
fn a_value_read_with_its_line_end_is_hidden_without_it_too() {
    let redactor = redactor(&["s3cr3t-value\n"]);
    assert_eq!(redactor.redact("s3cr3t-value!"), "***!");
    assert_eq!(redactor.redact(&STANDARD.encode("s3cr3t-value")), "***");
}

#[test]
fn base64_is_hidden_alone_and_inside_a_longer_text() {
    let secret = "p@ss?>word~1";
    let redactor = redactor(&[secret]);
    assert_eq!(redactor.redact(&STANDARD.encode(secret)), "***");
    assert_eq!(redactor.redact(&URL_SAFE_NO_PAD.encode(secret)), "***");
    for prefix in ["u:", "us:", "use:"] {
        for suffix in ["", "!", "!!", "!!!"] {
            for engine in [&STANDARD, &URL_SAFE_NO_PAD] {
                let encoded = engine.encode(format!("{prefix}{secret}{suffix}"));
                let shown = redactor.redact(&encoded);
                // Twelve bytes are sixteen characters, the first and last of which may be shared with neighbours.
                let hidden = encoded.len() + "***".len() - shown.len();
                assert!(shown.contains("***") && hidden >= 15, "{encoded}: {shown}");
            }
        }
    }
}

#[test]
fn wrapped_base64_leaves_no_line_of_a_key() {
    let secret: String = ('!'..='~').cycle().take(300).collect();
    let encoded = STANDARD.encode(&secret);
    let wrapped: Vec<&str> =
        encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let shown = redactor(&[&secret]).redact(&wrapped.join("\n")).into_owned();
    assert!(shown.lines().all(|line| line == "***"), "{shown}");
}

#[test]
fn base64_that_is_wrapped_anywhere_shows_nothing_of_a_value_in_a_longer_text() {
    for length in [9, 20, 40, 150, 700] {
        let secret: String = ('!'..='~').cycle().skip(length).take(length).collect();
        let redactor = redactor(&[&secret]);
        for width in [16, 19, 57, 60, 64, 76] {
            for before in 0..width + 3 {
                let encoded = STANDARD.encode(format!("{}{secret}", "-".repeat(before)));
                let lines: Vec<&str> =
                    encoded.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
                let shown = redactor.redact(&lines.join("\n")).into_owned();
                let rest = shown.replace('\n', "").replace("***", "");
                // The last character with bits of the text before, and the padding, tell nothing.
                let allowed = STANDARD.encode("-".repeat(before)).trim_end_matches('=').len() + 4;
                assert!(rest.len() <= allowed, "{length} {width} {before}: {shown}");
            }
        }
    }
}

#[test]
fn percent_json_and_xml_forms_are_hidden() {
    let redactor = redactor(&["a/b c\"d<é>&'"]);
    for form in [
        "a%2Fb%20c%22d%3C%C3%A9%3E%26%27",
        "a%2fb+c%22d%3c%c3%a9%3e%26%27",
        "a/b%20c%22d%3C%C3%A9%3E%26%27",
        "a%2Fb%20c%22d%3C%C3%A9%3E%26'",
        "a/b c\\\"d<é>&'",
        "a\\/b c\\\"d<é>&'",
        "a/b c\\\"d\\u003cé\\u003e\\u0026'",
        "a/b c\\\"d<\\u00e9>&'",
        "a/b c\\u0022d\\u003cé\\u003e\\u0026\\u0027",
        "a/b c\\\\\\\"d<é>&'",
        "a/b c\\\\\\\"d<\\\\u00e9>&'",
        "a/b c&quot;d&lt;é&gt;&amp;&apos;",
        "a/b c&#34;d&lt;é&gt;&amp;&#39;",
        "a/b c\"d&lt;é>&amp;'",
    ] {
        assert_eq!(redactor.redact(form), "***", "{form}");
    }
}

#[test]
fn values_that_overlap_are_hidden_to_the_last_byte() {
    let redactor = redactor(&["abcdefgh", "efghijkl", "ghijklmnopq"]);
    assert_eq!(redactor.redact("-abcdefghijkl-"), "-***-");
    assert_eq!(redactor.redact("-abcdefghijklmnopq-"), "-***-");
}

#[test]
fn only_what_may_become_a_secret_is_held_back() {
    let mut stream = redactor(&["secret-value"]).stream();
    assert_eq!(stream.push(b"password: "), b"password: ");
    assert_eq!(stream.push(b"see sec"), b"see ");
    assert_eq!(stream.push(b"ond"), b"second");
    assert_eq!(stream.push(b" secret-val"), b" ");
    assert_eq!(stream.push(b"ue\n"), b"***\n");
    assert_eq!(stream.push(b"sec"), b"");
    assert_eq!(stream.flush(), b"sec");
}

#[test]
fn bytes_that_are_not_utf8_pass_unchanged() {
    let redactor = redactor(&["secret-value"]);
    assert_eq!(whole(&redactor, b"\xff\xfesecret-value\x80"), b"\xff\xfe***\x80");
}

#[test]
fn nothing_shows_a_value_in_debug_output() {
    let redactor = redactor(&["secret-value"]);
    let mut stream = redactor.stream();
    stream.push(b"secret-v");
    assert!(!format!("{redactor:?}{stream:?}").contains("secret"));
}

#[test]
fn an_automaton_is_built_for_much_to_look_at_and_not_for_a_line() {
    let redactor = redactor(&["secret-value"]);
    let is_built = || redactor.search.as_ref().unwrap().automaton.get().is_some();
    assert_eq!(redactor.redact("a secret-value b"), "a *** b");
    assert!(!is_built());
    let line = "nothing to see ".repeat(10);
    assert!((0..100_000).any(|_| redactor.redact(&line) != line || is_built()));
    assert!(is_built());
    assert_eq!(redactor.redact("a secret-value b"), "a *** b");
    let other = super::Redactor::new(["secret-value".to_owned()]);
    assert_eq!(other.redact(&format!("{} secret-value", "x".repeat(PLAIN))).len(), PLAIN + 4);
    assert!(other.search.as_ref().unwrap().automaton.get().is_some());
}

/// The definition, byte by byte: a byte is hidden when any occurrence of any form covers it.
fn by_definition(patterns: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
    let mut hidden = vec![false; text.len()];
    for pattern in patterns {
        for start in 0..text.len() {
            if text[start..].starts_with(pattern) {
                hidden[start..start + pattern.len()].fill(true);
            }
        }
    }
    let mut out = Vec::new();
    for (index, byte) in text.iter().enumerate() {
        if !hidden[index] {
            out.push(*byte);
        } else if index == 0 || !hidden[index - 1] {
            out.extend_from_slice(b"***");
        }
    }
    out
}

#[test]
fn the_end_of_a_secret_in_which_another_may_begin_stays_hidden_while_nothing_is_decided() {
    let mut stream = redactor(&["b\nb\n\na", "\n\n\nb\nb"]).stream();
    let chunks: [&[u8]; 2] = [b"=\n\n\nb\nb\nb", b"\n"];
    let mut out: Vec<u8> = chunks.iter().flat_map(|chunk| stream.push(chunk)).collect();
    out.extend(stream.flush());
    assert_eq!(String::from_utf8(out).unwrap(), "=***\nb\n");
}

proptest! {
    #[test]
    fn any_chunking_gives_what_the_definition_says(
        secrets in prop::collection::vec("[ab\n]{6,9}", 0..4),
        text in "[ab\n=]{0,80}",
        cuts in prop::collection::vec(0_usize..80, 0..12),
        has_automaton: bool,
    ) {
        let redactor = Redactor::new(secrets.clone());
        if has_automaton {
            redactor.search.iter().for_each(|search| assert!(search.automaton().is_some()));
        }
        let mut patterns = BTreeSet::new();
        for secret in &secrets {
            forms::collect(secret, &mut patterns);
        }
        let patterns: Vec<Vec<u8>> = patterns.into_iter().collect();
        let expected = by_definition(&patterns, text.as_bytes());
        prop_assert_eq!(&whole(&redactor, text.as_bytes()), &expected);
        let redacted = redactor.redact(&text);
        prop_assert_eq!(redacted.as_bytes(), expected.as_slice());

        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let mut stream = redactor.stream();
        let mut out = Vec::new();
        for pair in cuts.windows(2) {
            out.extend(stream.push(&text.as_bytes()[pair[0]..pair[1]]));
        }
        out.extend(stream.flush());
        prop_assert_eq!(out, expected);
    }

    #[test]
    fn a_secret_of_free_text_never_survives(secret in "\\PC{6,40}", before in "\\PC{0,10}", after in "\\PC{0,10}") {
        let shown = Redactor::new([secret.clone()]).redact(&format!("{before}{secret}{after}")).into_owned();
        prop_assert!(shown.contains("***"));
        prop_assert!(secret.contains('*') || !shown.contains(&secret));
    }
}

#[test]
fn a_very_long_value_is_hidden_line_by_line_in_little_memory() {
    let lines: Vec<String> = (0..20_000).map(|line| format!("line number {line}")).collect();
    let value = lines.join("\n");
    let redactor = redactor(&[&value]);
    assert_eq!(redactor.redact("a line number 777 b"), "a *** b");
    assert_eq!(redactor.redact(&value).lines().filter(|line| *line != "***").count(), 0);
    let patterns = redactor.search.as_ref().unwrap().patterns.iter().map(Vec::len).sum::<usize>();
    assert!(patterns <= value.len(), "{patterns} bytes of patterns");
}
