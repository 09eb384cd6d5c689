use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::error::Diagnose;

fn file(text: &[u8]) -> (TempDir, Environment) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file.env"), text).unwrap();
    let environment = Environment::from_pairs([("FROM_HERE", "value")]).in_directory(dir.path());
    (dir, environment)
}

fn variables_of(text: &[u8]) -> Result<Vec<(String, String)>, FlagError> {
    let (_dir, environment) = file(text);
    variables(&[PathBuf::from("file.env")], &[], &environment)
}

#[test]
fn env_files_are_read_as_docker_reads_them() {
    let text = "\u{feff}A=1\r\n# comment\n\n  B = not trimmed \n C=\"quotes stay\"\nD=a=b#c\nFROM_HERE\nUNSET\nA=2\nE=$A\n";
    let text = text.replace("B = ", "B= ");
    let expected = [
        ("B", " not trimmed "),
        ("C", "\"quotes stay\""),
        ("D", "a=b#c"),
        ("FROM_HERE", "value"),
        ("A", "2"),
        ("E", "$A"),
    ];
    let expected: Vec<(String, String)> = expected.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
    assert_eq!(variables_of(text.as_bytes()).unwrap(), expected);
}

#[test]
fn flags_come_after_files_whatever_their_order() {
    let (_dir, environment) = file(b"A=file\nB=file\n");
    let flags = [Assignment::from("A=flag".to_owned())];
    let pairs = variables(&[PathBuf::from("file.env")], &flags, &environment).unwrap();
    assert_eq!(pairs, [("B".into(), "file".into()), ("A".into(), "flag".into())]);
}

#[test]
fn errors_name_file_and_line_and_no_value() {
    let table: [(&[u8], &str); 4] = [
        (b"A=1\n=secret\n", "--env-file: file.env:2: no name before `=`"),
        (b"\n\nA B=secret\n", "--env-file: file.env:3: the name `A B` contains white space"),
        (b"just a secret\n", "--env-file: file.env:1: the name contains white space"),
        (b"A=1\nB=\xff\n", "--env-file: file.env:2: the line is not UTF-8"),
    ];
    for (text, expected) in table {
        assert_eq!(variables_of(text).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_missing_file_is_named_as_written() {
    let (_dir, environment) = file(b"");
    let error = variables(&[PathBuf::from("./none.env")], &[], &environment).unwrap_err();
    assert!(error.to_string().starts_with("--env-file: cannot read ./none.env: No such file"), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn values_are_not_in_errors_or_debug_output() {
    let environment = Environment::default();
    let assignment = Assignment::from("=hunter2".to_owned());
    let error = variables(&[], std::slice::from_ref(&assignment), &environment).unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert!(!format!("{error:?} {assignment:?}").contains("hunter2"));
    let named = Assignment::from("TOKEN=hunter2".to_owned());
    assert_eq!(format!("{named:?}"), "Assignment(TOKEN=…)");
}

#[test]
fn labels_of_files_come_before_those_of_flags() {
    let (_dir, environment) = file(b"a=1\nb\n# no\n");
    let files = [PathBuf::from("file.env")];
    let labels = labels("--label", &files, &["a=2".to_owned(), " c".to_owned()], &environment).unwrap();
    let pairs: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(pairs, [("a", "2"), ("b", ""), ("c", "")]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = lines(&bytes);
    }

    #[test]
    fn values_survive_byte_for_byte(name in "[A-Za-z_][A-Za-z0-9_]{0,8}", value in "[^\r\n]{0,30}") {
        let read = lines(format!("{name}={value}\n").as_bytes()).map_err(|(_, error)| error).unwrap();
        prop_assert_eq!(read.len(), 1);
        prop_assert_eq!(&read[0].name, &name);
        prop_assert_eq!(read[0].value.as_deref(), Some(value.as_str()));
    }
}
