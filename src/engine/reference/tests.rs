use proptest::prelude::*;

use super::*;

const HEX: &str = "aaaaaaaaaaaabbbbbbbbbbbbccccccccccccddddddddddddeeeeeeeeeeee0123";

fn parse(text: &str) -> Reference {
    Reference::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn names_are_normalised_as_docker_does() {
    let digest = format!("@sha256:{HEX}");
    let table = [
        ("shop", "shop", "docker.io/library/shop:latest"),
        ("shop:1.4", "shop:1.4", "docker.io/library/shop:1.4"),
        ("ada/shop", "ada/shop", "docker.io/ada/shop:latest"),
        ("library/shop", "shop", "docker.io/library/shop:latest"),
        ("docker.io/shop", "shop", "docker.io/library/shop:latest"),
        ("index.docker.io/library/shop", "shop", "docker.io/library/shop:latest"),
        ("docker.io/library/a/b", "library/a/b", "docker.io/library/a/b:latest"),
        ("localhost/shop", "localhost/shop", "localhost/shop:latest"),
        ("localhost:5000/a/b:1.0", "localhost:5000/a/b:1.0", "localhost:5000/a/b:1.0"),
        ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a:latest"),
        ("Registry/a", "Registry/a", "Registry/a:latest"),
        ("quay.io/a__b/c-d--e.f", "quay.io/a__b/c-d--e.f", "quay.io/a__b/c-d--e.f:latest"),
        ("a:_x.Y-z", "a:_x.Y-z", "docker.io/library/a:_x.Y-z"),
    ];
    for (text, familiar, canonical) in table {
        let reference = parse(text);
        assert_eq!((reference.to_string().as_str(), reference.canonical().as_str()), (familiar, canonical));
        assert!(!reference.is_id());
    }
    let both = parse(&format!("localhost:5000/a/b:1.0{digest}"));
    assert_eq!(both.registry(), Some("localhost:5000"));
    assert_eq!(both.repository().unwrap(), "localhost:5000/a/b");
    assert_eq!(both.tag(), Some("1.0"));
    assert_eq!(both.digest().unwrap(), &digest[1..]);
    assert_eq!(both.to_string(), format!("localhost:5000/a/b:1.0{digest}"));
    assert_eq!(parse(&format!("a{digest}")).canonical(), format!("docker.io/library/a{digest}"));
}

#[test]
fn an_engine_is_never_asked_for_every_tag() {
    let digest = format!("a@sha256:{HEX}");
    for (text, resolved) in [("a", "a:latest"), ("a:1", "a:1"), (digest.as_str(), digest.as_str())] {
        assert_eq!(parse(text).resolved(), resolved);
    }
}

#[test]
fn what_is_wrong_is_named() {
    let long_tag = format!("a:{}", "x".repeat(129));
    let long_name = format!("a.b/{}", "x".repeat(252));
    let table = [
        ("", "it is empty"),
        ("Shop", "capital letters"),
        ("ada/Shop:1", "capital letters"),
        ("a b", "' '"),
        ("a\nRUN x", "'\\n'"),
        ("https://registry/a", "begins with https://"),
        ("a:", "tag is empty"),
        ("a:-x", "the tag \"-x\""),
        ("a:b:c", "the tag \"b:c\""),
        (long_tag.as_str(), "longer than 128"),
        (long_name.as_str(), "longer than 255"),
        ("a//b", "between slashes"),
        ("/a", "between slashes"),
        ("a/", "between slashes"),
        ("-a", "separators"),
        ("a_", "separators"),
        ("a..b", "separators"),
        ("a___b", "separators"),
        ("a$b", "'$'"),
        ("a.b:x/c", "port"),
        ("a..b/c", "no registry's host"),
        ("-a.b/c", "no registry's host"),
        ("[::x]:1/c", "no registry's host"),
        ("a@sha256:12", "the digest"),
        ("a@md5:12", "algorithm"),
        ("a@x", "the digest"),
    ];
    for (text, expected) in table {
        let error = Reference::parse(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let error = Reference::parse(&format!("library/{HEX}")).unwrap_err().to_string();
    assert!(error.contains("not a name"), "{error}");
}

#[test]
fn ids_stay_ids() {
    for text in [HEX, &HEX[..12], &format!("sha256:{HEX}"), "sha256:aaaaaaaaaaaa"] {
        let reference = parse(text);
        assert!(reference.is_id(), "{text}");
        assert_eq!(reference.to_string(), text);
        assert_eq!((reference.registry(), reference.repository()), (None, None));
        assert_eq!(reference.test_tag(), "docker-test/nameless:sha256-aaaaaaaaaaaa-test");
    }
    for text in ["facade", "sha256:latest", "AAAAAAAAAAAA:1", "aaaaaaaaaaaa:1"] {
        assert!(Reference::parse(text).map_or(true, |reference| !reference.is_id()), "{text}");
    }
}

#[test]
fn a_test_image_has_its_target_s_name() {
    let digest = format!("@sha256:{HEX}");
    let table = [
        ("shop:1.4".to_owned(), "shop:1.4-test"),
        ("docker.io/library/shop".to_owned(), "shop:latest-test"),
        (format!("localhost:5000/a{digest}"), "localhost:5000/a:sha256-aaaaaaaaaaaa-test"),
        (format!("a:1{digest}"), "a:1-test"),
    ];
    for (text, expected) in table {
        assert_eq!(parse(&text).test_tag(), expected);
    }
}

#[test]
fn a_long_tag_is_shortened_and_stays_different_from_others() {
    let tag = |length: usize, last: &str| format!("a:{}{last}", "x".repeat(length - 1));
    assert_eq!(parse(&tag(123, "y")).test_tag(), format!("{}-test", tag(123, "y")));
    let (first, second) = (parse(&tag(124, "y")).test_tag(), parse(&tag(124, "z")).test_tag());
    assert_ne!(first, second);
    assert_eq!(first.len(), "a:".len() + 128);
    assert!(Reference::parse(&first).is_ok());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,40}") {
        let _outcome = Reference::parse(&text);
    }

    #[test]
    fn the_familiar_and_the_canonical_form_mean_the_same(text in "([a-z]{1,4}(\\.io|:[0-9]{2})?/)?[a-z]{1,4}(/[a-z_.-]{1,3})?(:[a-z0-9.]{1,4})?") {
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert_eq!(parse(&reference.to_string()), reference.clone());
            prop_assert_eq!(parse(&reference.canonical()).canonical(), reference.canonical());
            let test = parse(&reference.test_tag());
            prop_assert_eq!(test.repository(), reference.repository());
        }
    }

    #[test]
    fn nothing_that_is_read_can_add_a_line_to_a_dockerfile(text in "[a-z]{1,3}[ \\n\\r\\t\\\\$\"'#]{0,2}[a-z:]{0,4}") {
        if let Ok(reference) = Reference::parse(&text) {
            let safe = |text: &str| !text.contains(|letter: char| letter.is_whitespace() || "\\$\"'#".contains(letter));
            prop_assert!(safe(&reference.to_string()) && safe(&reference.test_tag()));
        }
    }
}
