//! What a plugin of Nagios prints: a message, more text, and performance data.
//!
//! Owns reading them. What cannot be read as performance data is left out and never an error: plugins are many and their
//! authors' ideas of the format too. Numbers are read of what was printed, texts of what is left once secrets are hidden.

use crate::probe::{Measurement, State};
use crate::redact::Redactor;

/// As many measurements are taken from one output.
const MOST_MEASUREMENTS: usize = 256;
/// The longest name of one, in characters.
const LONGEST_LABEL: usize = 200;

/// What a plugin printed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PluginOutput {
    /// Its first line, without performance data.
    pub message: String,
    /// The lines after it.
    pub text: String,
    /// Its performance data.
    pub measurements: Vec<Measurement>,
}

/// The state that an exit code stands for. Codes that the convention does not have say nothing about the service.
pub(super) const fn state(code: i32) -> State {
    match code {
        0 => State::Ok,
        1 => State::Warning,
        2 => State::Critical,
        _ => State::Unknown,
    }
}

/// Reads what a plugin printed on standard output: `message|perfdata`, then more text, of which all that follows the
/// next `|` is performance data again.
#[must_use]
pub fn read_plugin_output(output: &str) -> PluginOutput {
    read(output, &Redactor::default())
}

/// The same, secrets hidden: bars, equal signs and cuts would take them apart before anybody else looks for them.
pub(super) fn read(output: &str, redactor: &Redactor) -> PluginOutput {
    let shown = redactor.beginning(output.as_bytes(), usize::MAX);
    let ([message, text], _) = parts(&shown);
    let (_, [first_data, more_data]) = parts(output);
    let mut measurements = Vec::new();
    for line in std::iter::once(first_data).chain(more_data.lines()) {
        read_line(line, &mut measurements);
    }
    if shown != output {
        measurements.retain_mut(|measurement| {
            measurement.name = redactor.redact(&measurement.name).into_owned();
            // Or it is a part of a secret, which goes on behind the equal sign.
            shown.contains(&measurement.name) || shown.contains(&measurement.name.replace('\'', "''"))
        });
    }
    for Measurement { name, .. } in &mut measurements {
        if let Some((end, _)) = name.char_indices().nth(LONGEST_LABEL) {
            name.truncate(end);
        }
    }
    PluginOutput { message: message.trim().to_owned(), text: text.trim().to_owned(), measurements }
}

/// Message and text, and the performance data of both.
fn parts(output: &str) -> ([&str; 2], [&str; 2]) {
    let output = output.trim_start();
    let (first, rest) = output.split_once('\n').unwrap_or((output, ""));
    let (message, first_data) = first.split_once('|').unwrap_or((first, ""));
    let (text, more_data) = rest.split_once('|').unwrap_or((rest, ""));
    ([message, text], [first_data, more_data])
}

/// `'label'=value[unit];[warn];[crit];[min];[max]`, with white space between them.
fn read_line(line: &str, measurements: &mut Vec<Measurement>) {
    let mut rest = line.trim_start();
    while !rest.is_empty() && measurements.len() < MOST_MEASUREMENTS {
        let Some((label, after)) = label(rest) else {
            // Not a label: go on with the next word.
            rest = rest.split_once(char::is_whitespace).map_or("", |(_, after)| after.trim_start());
            continue;
        };
        let (word, after) = after.split_at(after.find(char::is_whitespace).unwrap_or(after.len()));
        rest = after.trim_start();
        let value = word.split(';').next().unwrap_or_default();
        if let Some((value, unit)) = number(value) {
            measurements.push(Measurement { name: label, value, unit: unit.to_owned() });
        }
    }
}

/// A label up to its `=`, and what follows. In quotes it may hold white space, and a quote that is doubled.
fn label(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let end = text.find(|c: char| c == '=' || c.is_whitespace())?;
        let (label, after) = text.split_at(end);
        let after = after.strip_prefix('=')?;
        return (!label.is_empty()).then(|| (label.to_owned(), after));
    };
    let mut label = String::new();
    let mut rest = quoted;
    loop {
        let (part, after) = rest.split_once('\'')?;
        label.push_str(part);
        if let Some(after) = after.strip_prefix('\'') {
            label.push('\'');
            rest = after;
        } else {
            let after = after.strip_prefix('=')?;
            return (!label.is_empty()).then_some((label, after));
        }
    }
}

/// A number and its unit; none for `U`, which says that there is none. Some plugins write a comma for the point.
fn number(text: &str) -> Option<(f64, &str)> {
    let is_part = |(index, character): (usize, char)| match character {
        '0'..='9' | '.' | ',' | '-' | '+' => true,
        // An exponent, and no unit that begins with the letter.
        'e' | 'E' => {
            let after = text.get(index + 1..).unwrap_or_default();
            after.trim_start_matches(['-', '+']).starts_with(|c: char| c.is_ascii_digit())
        }
        _ => false,
    };
    let end = text.char_indices().find(|at| !is_part(*at)).map_or(text.len(), |(index, _)| index);
    let (number, unit) = text.split_at(end);
    let value: f64 = number.replace(',', ".").parse().ok()?;
    let is_unit = unit.chars().all(|c| c.is_alphabetic() || matches!(c, '%' | '/' | 'µ' | '°'));
    (value.is_finite() && is_unit && unit.len() <= 16).then_some((value, unit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(output: &str) -> (String, Vec<(String, f64, String)>) {
        let output = read_plugin_output(output);
        let measurements = output.measurements.into_iter().map(|it| (it.name, it.value, it.unit)).collect();
        (output.message, measurements)
    }

    fn measured(measurements: &[(&str, f64, &str)]) -> Vec<(String, f64, String)> {
        measurements
            .iter()
            .map(|(name, value, unit)| ((*name).to_owned(), *value, (*unit).to_owned()))
            .collect()
    }

    #[test]
    fn exit_codes_have_the_states_of_the_convention() {
        use State::{Critical, Ok, Unknown, Warning};
        assert_eq!(
            [0, 1, 2, 3, 4, 127, 255].map(state),
            [Ok, Warning, Critical, Unknown, Unknown, Unknown, Unknown]
        );
    }

    #[test]
    fn outputs_of_the_usual_plugins_are_read() {
        let http = "HTTP OK: HTTP/1.1 200 OK - 1234 bytes in 0.012 second response time \
                    |time=0.012345s;;;0.000000;10.000000 size=1234B;;;0\n";
        let (message, data) = read(http);
        assert_eq!(message, "HTTP OK: HTTP/1.1 200 OK - 1234 bytes in 0.012 second response time");
        assert_eq!(data, measured(&[("time", 0.012_345, "s"), ("size", 1_234.0, "B")]));
        let ping = "PING OK - Packet loss = 0%, RTA = 0.80 ms|rta=0.80ms;100.0;500.0;0.0 pl=0%;20;60;0";
        assert_eq!(read(ping).1, measured(&[("rta", 0.8, "ms"), ("pl", 0.0, "%")]));
        let load = "OK - load average: 0.10, 0.20, 0.30|load1=0.100;15.000;30.000;0; load5=0.200;10;25;0; load15=0.300;5;20;0;";
        assert_eq!(read(load).1, measured(&[("load1", 0.1, ""), ("load5", 0.2, ""), ("load15", 0.3, "")]));
        let procs = "PROCS WARNING: 251 processes | procs=251;250;400;0;";
        assert_eq!(
            read(procs),
            ("PROCS WARNING: 251 processes".to_owned(), measured(&[("procs", 251.0, "")]))
        );
        let ssl = "SSL OK - Certificate 'example.org' will expire on 2030-01-01";
        assert_eq!(read(ssl), (ssl.to_owned(), Vec::new()));
    }

    #[test]
    fn performance_data_goes_on_after_the_second_bar() {
        let disk = "DISK OK - free space: / 3326 MB (56%); | /=2643MB;5948;5958;0;5968\n\
                    / 15272 MB (77%);\n/boot 68 MB (69%);\n/home 69357 MB (27%);\n\
                    /var/log 819 MB (84%); | /boot=68MB;88;93;0;98\n/home=69357MB;253404;253409;0;253414\n\
                    /var/log=818MB;970;975;0;980";
        let output = read_plugin_output(disk);
        assert_eq!(output.message, "DISK OK - free space: / 3326 MB (56%);");
        assert!(output.text.starts_with("/ 15272 MB") && output.text.ends_with("/var/log 819 MB (84%);"));
        let names: Vec<_> = output.measurements.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["/", "/boot", "/home", "/var/log"]);
        assert_eq!(output.measurements[3].value.to_bits(), 818.0_f64.to_bits());
    }

    #[test]
    fn labels_in_quotes_hold_spaces_equal_signs_and_quotes() {
        let (_, data) =
            read("OK|'C:\\ used'=42.5GB;;;0;100 'a=b'=1 'it''s'=-2e-3s plain='no' x=U y= =3 'open=1");
        assert_eq!(data, measured(&[("C:\\ used", 42.5, "GB"), ("a=b", 1.0, ""), ("it's", -0.002, "s")]));
    }

    #[test]
    fn numbers_that_are_none_are_left_out() {
        let (_, data) =
            read("OK|a=inf b=NaN c=1.2.3 d=0,25s e=5Ereignisse f=1e400 g=7c h=12;@10:20;~:30 i=3<b>");
        assert_eq!(
            data,
            measured(&[("d", 0.25, "s"), ("e", 5.0, "Ereignisse"), ("g", 7.0, "c"), ("h", 12.0, "")])
        );
    }

    #[test]
    fn secrets_are_hidden_before_bars_and_equal_signs_take_them_apart_and_numbers_stay() {
        let redactor = Redactor::new(["pass|word=100000".to_owned(), "200000".to_owned()]);
        let output = super::read("bad pass|word=100000 of 'it''s'=3 |a=200000B b=1 200000=4", &redactor);
        assert_eq!(output.message, "bad *** of 'it''s'=3");
        let data: Vec<_> = output.measurements.into_iter().map(|it| (it.name, it.value, it.unit)).collect();
        assert_eq!(
            data,
            measured(&[("it's", 3.0, ""), ("|a", 200_000.0, "B"), ("b", 1.0, ""), ("***", 4.0, "")])
        );
    }

    #[test]
    fn a_flood_of_measurements_is_cut() {
        let flood = format!("OK|{}", "a=1 ".repeat(100_000));
        assert_eq!(read(&flood).1.len(), MOST_MEASUREMENTS);
    }

    proptest! {
        #[test]
        fn any_output_is_read_and_numbers_are_finite(output in "[a-z0-9'=;|. \n%,e+-]{0,200}") {
            for measurement in read_plugin_output(&output).measurements {
                prop_assert!(measurement.value.is_finite() && !measurement.name.is_empty());
            }
        }

        #[test]
        fn what_a_plugin_writes_by_the_book_is_read_back(
            data in prop::collection::vec(("[a-z ='\u{e9}]{1,12}", -1.0e9..1.0e9f64, "(s|ms|B|%|c|)"), 0..8),
        ) {
            let line: Vec<String> = data
                .iter()
                .map(|(name, value, unit)| format!("'{}'={value}{unit};;;;", name.replace('\'', "''")))
                .collect();
            prop_assert_eq!(read(&format!("OK | {}", line.join(" "))).1, data);
        }
    }
}
