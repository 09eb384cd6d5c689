//! The labels of an image, which anybody may have made: `NAME=VALUE`, ended by NUL bytes.
#![no_main]

use std::collections::BTreeMap;

use docker_test::metadata::labels::{Inherit, TestLabels, check_results_path};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let labels: BTreeMap<String, String> = text
        .split('\0')
        .filter_map(|label| label.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let read = match TestLabels::read(&labels) {
        Ok(read) => read,
        Err(error) => {
            let message = error.to_string();
            assert!(message.len() < 4096 && !message.chars().any(|letter| letter.is_control() && letter != '\n'));
            return;
        }
    };
    assert_eq!(check_results_path(&read.results).as_deref(), Ok(read.results.as_str()));
    let own = read.triggers(Inherit::Own).map_or(0, |own| own.len());
    let inherited = read.triggers(Inherit::Inherited).map_or(0, |inherited| inherited.len());
    assert_eq!(read.triggers(Inherit::All).map_or(0, |all| all.len()), own + inherited);
});
