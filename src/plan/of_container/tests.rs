use std::time::Duration;

use super::*;
use crate::engine::{ListedContainer, NetworkRecord};
use crate::plan::container::MountSpec;
use crate::plan::{Keep, PlanError};

const IMAGE: &str = "sha256:image";

fn record(labels: &[(&str, &str)]) -> ContainerRecord {
    ContainerRecord {
        id: "4bff".into(),
        name: "shop_checkout_1".into(),
        image: "shop/checkout:1".into(),
        image_id: IMAGE.into(),
        configuration: ContainerSpec {
            entrypoint: Some(vec!["/entry".into()]),
            command: Some(vec!["--fast".into()]),
            labels: labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            ..ContainerSpec::default()
        },
        ..ContainerRecord::default()
    }
}

fn image() -> Image {
    Image { id: IMAGE.into(), platform: "linux/amd64".into(), ..Image::default() }
}

fn plan(record: &ContainerRecord) -> Result<TestPlan, ContainerPlanError> {
    of_container(&Request::default(), record, Some(&image()), &Surroundings::default())
}

#[test]
fn a_labelled_container_is_run_as_it_is() {
    let record = record(&[
        ("test.type", "performance"),
        ("test.results", "/out"),
        ("test.timeout", "90s"),
        ("docker-test.run", "r"),
    ]);
    let plan = plan(&record).unwrap();
    assert_eq!((plan.name.as_str(), plan.image.as_str()), ("shop_checkout_1", "shop/checkout:1"));
    assert_eq!((plan.image_id.as_str(), plan.source.name()), (IMAGE, "container"));
    assert_eq!((plan.test_type.as_str(), plan.results.as_str()), ("performance", "/out"));
    assert_eq!(plan.limits.timeout, Duration::from_secs(90));
    assert_eq!((plan.runs.to_string().as_str(), plan.stop_signal.as_str()), ("/entry --fast", "SIGTERM"));
    assert!(plan.dockerfile.is_empty() && plan.results_volume && plan.container.name.is_none());
    assert!(!plan.container.labels.contains_key("docker-test.run"));
}

#[test]
fn the_request_says_limits_verdict_and_what_is_kept() {
    let mut record = record(&[("test.type", ""), ("test.timeout", "90s")]);
    record.configuration.stop_signal = Some("SIGINT".into());
    let request = Request { timeout: Some(Duration::from_secs(5)), keep: Keep::Always, ..Request::default() };
    let plan = of_container(&request, &record, Some(&image()), &Surroundings::default()).unwrap();
    assert_eq!((plan.limits.timeout, plan.keep), (Duration::from_secs(5), Keep::Always));
    assert_eq!((plan.stop_signal.as_str(), plan.test_type.as_str()), ("SIGINT", "integration"));
}

#[test]
fn a_test_is_what_says_so_and_is_none_of_ours() {
    let labels = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), String::new())).collect();
    assert!(is_test(&labels(&["test.type"])));
    assert!(!is_test(&labels(&["test.results"])));
    assert!(!is_test(&labels(&["test.type", "docker-test.role"])));
    let ours = plan(&record(&[("test.type", "x"), ("docker-test.role", "test-container")])).unwrap_err();
    assert!(matches!(ours, ContainerPlanError::IsOurs { .. }), "{ours}");
    assert!(matches!(plan(&record(&[])).unwrap_err(), ContainerPlanError::NoType { .. }));
    let labelled = Image { labels: [("test.type".to_owned(), "chaos".to_owned())].into(), ..image() };
    let inherited =
        of_container(&Request::default(), &record(&[]), Some(&labelled), &Surroundings::default());
    assert_eq!(inherited.unwrap().test_type, "chaos");
}

#[test]
fn what_keeps_it_from_being_run_is_told() {
    let gone =
        of_container(&Request::default(), &record(&[("test.type", "x")]), None, &Surroundings::default());
    assert!(gone.unwrap_err().to_string().contains("shop/checkout:1"));
    let label = plan(&record(&[("test.type", "x"), ("test.timeout", "soon")])).unwrap_err();
    assert!(label.to_string().starts_with("container shop_checkout_1: label test.timeout"), "{label}");
    let mut on_tmpfs = record(&[("test.type", "x")]);
    on_tmpfs.configuration.tmpfs.insert("/var/tests/results".into(), String::new());
    let error = plan(&on_tmpfs).unwrap_err();
    assert!(matches!(error, ContainerPlanError::Plan(PlanError::ResultsOnTmpfs { .. })), "{error}");
}

#[test]
fn a_volume_that_takes_the_results_is_ours_unless_it_has_a_name() {
    let with = |change: fn(&mut ContainerSpec)| {
        let mut record = record(&[("test.type", "x")]);
        change(&mut record.configuration);
        let plan = plan(&record).unwrap();
        (plan.results_volume, plan.container.anonymous_volumes.len() + plan.container.mounts.len())
    };
    assert_eq!(
        with(|own| own.anonymous_volumes = vec!["/var/tests/results/".into(), "/x".into()]),
        (true, 1)
    );
    let mount = |source: Option<&str>| MountSpec {
        kind: "volume".into(),
        source: source.map(str::to_owned),
        target: "/var/tests/results".into(),
        ..MountSpec::default()
    };
    let mut record = record(&[("test.type", "x")]);
    for (source, expected) in [(None, true), (Some("named"), false)] {
        record.configuration.mounts = vec![mount(source)];
        assert_eq!(plan(&record).unwrap().results_volume, expected);
    }
    assert!(!with(|own| own.binds = vec!["/srv:/var/tests/results".into()]).0);
}

#[test]
fn networks_and_peers_are_judged_by_what_is_around() {
    let mut record = record(&[("test.type", "x")]);
    record.configuration.networks = vec![crate::plan::container::NetworkSpec {
        name: "staging".into(),
        ..crate::plan::container::NetworkSpec::default()
    }];
    assert!(matches!(plan(&record).unwrap_err(), ContainerPlanError::Networks { .. }));
    let networks =
        [NetworkRecord { name: "staging".into(), driver: "bridge".into(), ..NetworkRecord::default() }];
    let containers: [ListedContainer; 0] = [];
    let around = Surroundings { networks: &networks, containers: &containers };
    let plan = of_container(&Request::default(), &record, Some(&image()), &around).unwrap();
    assert_eq!(plan.container.networks[0].name, "staging");
}
