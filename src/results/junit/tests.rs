use proptest::prelude::*;

use super::*;
use crate::results::{Case, CaseCounts, CaseStatus};

fn read_text(xml: &str) -> CaseList {
    read(xml.as_bytes(), "r.xml", &ReadLimits::default()).unwrap_or_else(|error| panic!("{error}: {xml}"))
}

fn only_case(xml: &str) -> Case {
    let mut list = read_text(xml);
    assert_eq!(list.counts.total(), 1, "{xml}");
    list.suites.remove(0).cases.remove(0)
}

fn counts(passed: u64, failed: u64, errored: u64, skipped: u64) -> CaseCounts {
    CaseCounts { passed, failed, errored, skipped }
}

/// What a partial read left and why it ended.
fn read_broken(xml: &str) -> (CaseList, JunitError) {
    let mut list = CaseList::new(ReadLimits::default());
    let error = read_into(xml.as_bytes(), "r.xml", &mut list).expect_err(xml);
    (list, error)
}

#[test]
fn a_suite_is_read_with_all_that_its_cases_say() {
    let list = read_text(
        r#"<testsuites name="all"><testsuite name="cart">
        <properties><property name="a" value="b"/></properties>
        <testcase name="adds" classname="shop.Cart" time="1,234.5" file="cart.py" line="12">
          <system-out>out &amp; <![CDATA[<more>]]></system-out><system-err>err</system-err></testcase>
        <testcase name="removes"><failure message="2 != 1" type="Assertion">at
 line 3</failure></testcase>
        <testcase name="stores"><error type="IOError"/></testcase>
        <testcase name="pays"><skipped message="no service"/></testcase>
        </testsuite></testsuites>"#,
    );
    assert_eq!(list.counts, counts(1, 1, 1, 1));
    let [suite] = &list.suites[..] else { panic!("{:?}", list.suites) };
    assert_eq!((suite.name.as_str(), suite.source.as_str()), ("cart", "r.xml"));
    let [adds, removes, stores, pays] = &suite.cases[..] else { panic!("{suite:?}") };
    assert_eq!((adds.class.as_deref(), adds.seconds), (Some("shop.Cart"), Some(1234.5)));
    assert_eq!((adds.file.as_deref(), adds.line), (Some("cart.py"), Some(12)));
    assert_eq!((adds.stdout.as_deref(), adds.stderr.as_deref()), (Some("out & <more>"), Some("err")));
    assert_eq!((removes.status, removes.message.as_deref()), (CaseStatus::Failed, Some("2 != 1")));
    assert_eq!(
        (removes.kind.as_deref(), removes.detail.as_deref()),
        (Some("Assertion"), Some("at\n line 3"))
    );
    assert_eq!((stores.status, stores.kind.as_deref()), (CaseStatus::Errored, Some("IOError")));
    assert_eq!((pays.status, pays.message.as_deref()), (CaseStatus::Skipped, Some("no service")));
}

#[test]
fn suites_nest_and_a_suite_without_a_name_takes_its_parents() {
    let list = read_text(
        "<testsuite name='outer'><testcase name='1'/><testsuite name='inner'><testcase name='2'/></testsuite>\
         <testsuite><testcase name='3'/></testsuite><testcase name='4'/></testsuite>",
    );
    let names: Vec<_> = list.suites.iter().map(|suite| (suite.name.as_str(), suite.cases.len())).collect();
    assert_eq!(names, [("outer", 2), ("inner", 1), ("outer", 1)]);
}

#[test]
fn the_first_verdict_decides_and_the_others_are_kept_in_the_detail() {
    let case = only_case(
        "<testsuite><testcase name='a'><failure message='one'>text one</failure>\
         <failure message='two'/><error message='three'>and three</error></testcase></testsuite>",
    );
    assert_eq!((case.status, case.message.as_deref()), (CaseStatus::Failed, Some("one")));
    assert_eq!(case.detail.as_deref(), Some("text one\ntwo\nand three"));
}

#[test]
fn a_flaky_case_passed_and_a_rerun_one_failed() {
    let flaky = only_case(
        "<testsuite failures='1'><testcase name='a'><flakyFailure message='first'><stackTrace>at x</stackTrace>\
         <system-out>not this</system-out></flakyFailure><system-out>this</system-out></testcase></testsuite>",
    );
    assert_eq!((flaky.status, flaky.kind.as_deref()), (CaseStatus::Passed, Some("flaky")));
    assert_eq!((flaky.detail.as_deref(), flaky.stdout.as_deref()), (Some("first\nat x"), Some("this")));
    let failed = only_case(
        "<testsuite><testcase name='a'><failure message='f'>text</failure><rerunFailure message='g'>\
         <stackTrace>again</stackTrace><system-out>not this</system-out></rerunFailure></testcase></testsuite>",
    );
    assert_eq!((failed.status, failed.detail.as_deref()), (CaseStatus::Failed, Some("text")));
    assert_eq!(failed.stdout, None);
}

#[test]
fn a_case_may_be_skipped_or_failed_by_attribute_alone() {
    assert_eq!(
        only_case("<testsuite><testcase name='a' status='notrun' result='suppressed'/></testsuite>").status,
        CaseStatus::Skipped
    );
    let status = |status| only_case(&format!("<testsuite><testcase status='{status}'/></testsuite>")).status;
    assert_eq!(status("failed"), CaseStatus::Failed);
    assert_eq!(status("run"), CaseStatus::Passed);
    assert_eq!(status("0"), CaseStatus::Passed);
}

#[test]
fn a_failure_wins_over_a_skip_unless_it_is_a_todo() {
    let both = |kind| {
        let xml = format!("<testsuites><testcase><skipped type='{kind}'/><failure/></testcase></testsuites>");
        only_case(&xml).status
    };
    assert_eq!(both("skipped"), CaseStatus::Failed);
    assert_eq!(both("todo"), CaseStatus::Skipped);
}

#[test]
fn an_error_of_a_suite_is_an_errored_case() {
    let case = only_case("<testsuite name='died'><error message='exit 255'>trace</error></testsuite>");
    assert_eq!((case.status, case.name.as_str()), (CaseStatus::Errored, "died"));
    assert_eq!((case.message.as_deref(), case.detail.as_deref()), (Some("exit 255"), Some("trace")));
}

#[test]
fn declared_failures_that_are_not_listed_are_not_lost() {
    assert_eq!(
        read_text("<testsuites errors='1'><testsuite><testcase/></testsuite></testsuites>").counts,
        counts(1, 0, 1, 0)
    );
    assert_eq!(
        read_text("<testsuites failures='3' errors='2'><testsuite failures='3'><testcase><failure/></testcase></testsuite></testsuites>")
            .counts,
        counts(0, 1, 0, 0),
        "assertions are counted by some writers, cases by others"
    );
}

#[test]
fn an_external_entity_and_a_billion_laughs_expand_to_nothing() {
    let case = only_case(
        "<?xml version='1.0'?><!DOCTYPE t [<!ENTITY a 'lol'><!ENTITY b '&a;&a;'><!ENTITY x SYSTEM 'file:///etc/passwd'>]>\
         <testsuite><testcase name='&b;'><failure>&x;</failure></testcase></testsuite>",
    );
    assert_eq!((case.name.as_str(), case.detail.as_deref()), ("&b;", Some("&x;")));
}

#[test]
fn control_characters_and_escapes_do_not_come_through() {
    let case = only_case(
        "<testsuite><testcase name='a\u{1b}[31mb&#27;[0m&#10;c&#0;'><failure message='x\u{0}y'>\u{1b}[1mred</failure></testcase></testsuite>",
    );
    assert_eq!((case.name.as_str(), case.message.as_deref()), ("ab c\u{fffd}", Some("x\u{fffd}y")));
    assert_eq!(case.detail.as_deref(), Some("red"));
}

#[test]
fn other_encodings_are_read_and_bytes_that_are_none_are_replaced() {
    let latin =
        b"<?xml version='1.0' encoding='ISO-8859-1'?><testsuite><testcase name='gr\xfc\xdfe'/></testsuite>";
    let list = read(&latin[..], "r.xml", &ReadLimits::default()).unwrap();
    assert_eq!(list.suites[0].cases[0].name, "grüße");
    let broken = b"<testsuite><testcase name='gr\xfc'><failure>\xff</failure></testcase></testsuite>";
    let list = read(&broken[..], "r.xml", &ReadLimits::default()).unwrap();
    assert_eq!(list.suites[0].cases[0].name, "gr\u{fffd}");
    assert_eq!(list.suites[0].cases[0].detail.as_deref(), Some("\u{fffd}"));
}

#[test]
fn a_text_is_cut_at_its_cap_between_characters_and_references() {
    let limits = ReadLimits { max_text: 10, ..ReadLimits::default() };
    for (text, expected) in [
        ("123456789&amp;&amp;", "123456789\n[cut]"),
        ("12345678€€", "12345678\n[cut]"),
        ("<![CDATA[123456789&&]]>", "123456789&\n[cut]"),
        ("1234567890", "1234567890"),
    ] {
        let xml = format!("<testsuite><testcase><failure>{text}</failure></testcase></testsuite>");
        let list = read(xml.as_bytes(), "r.xml", &limits).unwrap();
        assert_eq!(list.suites[0].cases[0].detail.as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn a_report_larger_than_memory_should_hold_is_read_in_little() {
    let case = format!("<testcase name='c'><system-out>{}</system-out></testcase>", "x".repeat(300_000));
    let xml = format!("<testsuite>{}</testsuite>", case.repeat(50));
    let limits = ReadLimits { max_text: 1000, max_total_text: 20_000, ..ReadLimits::default() };
    let list = read(xml.as_bytes(), "r.xml", &limits).unwrap();
    assert_eq!(list.counts, counts(50, 0, 0, 0));
    let kept: usize = list
        .suites
        .iter()
        .flat_map(|suite| &suite.cases)
        .filter_map(|case| case.stdout.as_ref())
        .map(String::len)
        .sum();
    assert!(kept <= 20_000, "{kept}");
}

#[test]
fn a_cut_report_is_an_error_with_its_line_and_what_came_is_kept() {
    let (list, error) = read_broken(
        "<testsuite name='s'>\n<testcase name='a'/>\n<testcase name='b'><failure message='m'>half a tr",
    );
    assert_eq!(list.counts, counts(1, 1, 0, 0));
    assert_eq!(list.suites[0].cases[1].detail.as_deref(), Some("half a tr"));
    assert_eq!(
        error.to_string(),
        "the report r.xml is broken at line 3 (byte 91): the file ends inside <failure>"
    );
    let (list, _) = read_broken("<testsuite><testcase name='a'><system-out>x");
    assert_eq!(list.counts.total(), 0, "nothing is known of this case");
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for xml in [
        "<testsuite><testcase></testsuite>",
        "<testsuite></testsuite></testsuite>",
        "<testsuite><testcase name=a/></testsuite>",
        "<testsuite>< /></testsuite>",
        &"<testsuite>".repeat(10_000),
    ] {
        assert!(matches!(read_broken(xml).1, JunitError::Malformed { .. }), "{xml:.60}");
    }
}

#[test]
fn other_documents_are_told_by_their_root() {
    assert!(matches!(read_broken("<coverage/>").1, JunitError::NotJunit { root, .. } if root == "coverage"));
    assert!(matches!(read_broken(" ").1, JunitError::NotJunit { root, .. } if root.is_empty()));
    for (bytes, expected) in [
        (&b"<?xml version='1.0'?>\n<!-- c --><testsuites>"[..], true),
        (b"\xef\xbb\xbf<testsuite name='cut here", true),
        (b"<x:testsuite xmlns:x='y'>", true),
        (b"<coverage><testsuite/></coverage>", false),
        (b"<testsuiteful>", false),
        (b"junk <testsuite>", false),
        (b"<testsui", false),
        (b"", false),
    ] {
        assert_eq!(looks_like_junit(bytes), expected, "{}", String::from_utf8_lossy(bytes));
    }
    let wide: Vec<u8> = "\u{feff}<testsuite>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(looks_like_junit(&wide));
}

#[test]
fn reports_that_were_joined_in_one_file_are_all_read() {
    let one = "<?xml version='1.0'?>\n<testsuite name='s'><testcase/></testsuite>\n";
    assert_eq!(read_text(&one.repeat(3)).counts, counts(3, 0, 0, 0));
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "<testsuites>",
            "</testsuites>",
            "<testsuite name='a' failures='1'>",
            "</testsuite>",
            "<testcase name='b'>",
            "<testcase/>",
            "</testcase>",
            "<failure message='&amp;'>",
            "</failure>",
            "<skipped/>",
            "<flakyError>",
            "</flakyError>",
            "<stackTrace>",
            "</stackTrace>",
            "<![CDATA[",
            "]]>",
            "<!--",
            "-->",
            "<!DOCTYPE a [",
            "<?",
            "?>",
            "<system-out>",
            "</system-out>",
            "&#0;",
            "&#x41;",
            "&",
            "\"",
            "'",
            "=",
            "\u{0}",
            "é",
        ])
        .prop_map(str::to_owned),
        ".{0,6}",
    ]
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = looks_like_junit(&bytes);
        let _ = read(&bytes[..], "r.xml", &ReadLimits::default());
    }

    #[test]
    fn no_mixture_of_xml_breaks_the_limits(pieces in prop::collection::vec(piece(), 0..60)) {
        let limits = ReadLimits { max_cases: 3, max_name: 8, max_text: 8, max_total_text: 64 };
        let mut list = CaseList::new(limits);
        let _ = read_into(pieces.concat().as_bytes(), "r.xml", &mut list);
        let kept: u64 = list.suites.iter().map(|suite| suite.cases.len() as u64).sum();
        prop_assert!(kept <= 3);
        prop_assert_eq!(kept + list.omitted, list.counts.total());
    }

    #[test]
    fn any_text_comes_through_as_it_was_escaped(text in "[^\\p{C}\\p{Zl}\\p{Zp}]{0,60}") {
        let escaped = quick_xml::escape::escape(text.as_str());
        let list = read_text(&format!("<testsuite><testcase name=\"x{escaped}\"><failure>x{escaped}</failure></testcase></testsuite>"));
        let expected = format!("x{text}");
        prop_assert_eq!(list.suites[0].cases[0].detail.as_deref(), Some(expected.trim_end()));
    }
}
