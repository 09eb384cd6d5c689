//! Images and their names: which of them no run needs.
//!
//! Owns that no image goes that a living run uses or builds, and that none goes with a name that was only lent to it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Scene, SweepOptions};
use crate::engine::reference::Reference;
use crate::engine::{Engine, EngineError, ListedImage, ResourceKind};
use crate::ledger::journal::FoundRun;
use crate::ledger::removal::{Doomed, Proviso};
use crate::ledger::{KEY_NOTE, LENT_REPOSITORY, TARGET_REPOSITORY, run_id_time, run_of_target};
use crate::metadata::labels::ours;

/// A private tag without a journal is left alone for this long: its run may live where we cannot see.
const TAG_AGE: u64 = 24 * 60 * 60;

/// A test image without a name is left alone for this long: a run, of another host too, may be about to use it.
const SUPERSEDED_AGE: u64 = 60 * 60;

/// No build goes on for longer after its client has gone.
pub(super) const KEY_NOTE_AGE: Duration = Duration::from_hours(24);

/// Private names of targets whose runs left no journal here.
pub(super) async fn stale_tags(
    scene: &Scene<'_>,
    is_known: impl Fn(&str) -> bool,
) -> Result<Vec<Doomed>, EngineError> {
    let tags = scene.engine.tags_of_repository(TARGET_REPOSITORY).await?;
    Ok(tags
        .into_iter()
        .filter_map(|name| {
            let run = run_of_target(&name)?.to_owned();
            let old = scene.now.saturating_sub(run_id_time(&run)?) > TAG_AGE;
            (scene.this_run != Some(run.as_str()) && !is_known(&run) && old)
                .then(|| Doomed::of_run(ResourceKind::Tag, name, &run))
        })
        .collect())
}

/// Test images that a later build has taken the name of and, with `--images`, those that still have theirs. Also the ids
/// that are noted though no such image is there any more.
pub(super) async fn test_images(scene: &Scene<'_>) -> Result<(Vec<Doomed>, Vec<String>), EngineError> {
    let label = format!("{}={}", ours::ROLE, ours::Role::TestImage.as_str());
    let mut images = scene.engine.images_with_label(&label).await?;
    let is_there = |id: &String| images.iter().any(|image| image.id == *id);
    let is_id = |subject: &&String| subject.starts_with("sha256:");
    let gone = scene.noted.iter().filter(is_id).filter(|id| !is_there(id)).cloned().collect();
    let living = scene.living();
    images.retain(|image| image_may_go(image, &living, &scene.noted, scene.options, scene.now));
    if !images.is_empty() {
        let in_use = scene.engine.images_in_use().await?;
        images.retain(|image| !in_use.contains(&image.id));
    }
    let doomed = images
        .into_iter()
        .flat_map(|image| {
            names_that_go(&image).into_iter().map(move |name| Doomed {
                kind: ResourceKind::Image,
                name,
                run: None,
                proviso: Proviso::Unused(image.clone()),
            })
        })
        .collect();
    Ok((doomed, gone))
}

/// Names that were lent to images without any, and that are not their only ones any more.
pub(super) async fn lent_names(scene: &Scene<'_>) -> Result<Vec<Doomed>, EngineError> {
    // A run of a nameless image, which can only be called by its id, may be about to build FROM such a name.
    let lent = |run: &FoundRun| Reference::parse(&run.record.image).is_ok_and(|image| image.is_id());
    if !scene.options.kept_and_lost || scene.living().iter().any(lent) {
        return Ok(Vec::new());
    }
    let mut doomed = Vec::new();
    for name in scene.engine.tags_of_repository(LENT_REPOSITORY).await? {
        if lent_here_or_long_ago(&name, &scene.noted, scene.now)
            && has_another_name(scene.engine, &name).await
        {
            let proviso = Proviso::NamedOtherwise;
            doomed.push(Doomed { kind: ResourceKind::Tag, name, run: None, proviso });
        }
    }
    Ok(doomed)
}

/// A run of another host that was lent a name, and of which there is no journal here, may be about to build FROM it.
fn lent_here_or_long_ago(name: &str, noted: &BTreeSet<String>, now: u64) -> bool {
    let of_run = || name.rsplit_once(':')?.1.split_once('-').map(|(_, run)| run);
    let lent = of_run().and_then(run_id_time);
    noted.contains(name) || lent.is_some_and(|lent| now.saturating_sub(lent) > TAG_AGE)
}

/// Asked again when its turn has come.
pub(super) async fn may_still_go(scene: &Scene<'_>, doomed: &Doomed) -> bool {
    match &doomed.proviso {
        // Whether it is free the engine knows best.
        Proviso::None | Proviso::Free => true,
        Proviso::Unused(image) => {
            image_may_go(image, &scene.living(), &scene.noted, scene.options, scene.now)
        }
        Proviso::NamedOtherwise => has_another_name(scene.engine, &doomed.name).await,
    }
}

/// Where that cannot be told, it has none: an image goes with its only name.
async fn has_another_name(engine: &Engine, lent: &str) -> bool {
    let image = engine.image(lent).await;
    image.is_ok_and(|image| image.is_some_and(|image| image.tags.iter().any(|tag| is_the_users(tag))))
}

fn is_the_users(tag: &str) -> bool {
    let repository = tag.rsplit_once(':').map_or(tag, |(repository, _)| repository);
    ![LENT_REPOSITORY, TARGET_REPOSITORY].contains(&repository)
}

fn image_may_go(
    image: &ListedImage,
    living: &[FoundRun],
    noted: &BTreeSet<String>,
    options: SweepOptions,
    now: u64,
) -> bool {
    if living.iter().any(|run| uses(run, image)) {
        return false;
    }
    if !image.tags.is_empty() {
        return options.images;
    }
    // Whoever has just made it, and not yet a container from it, may be on any host.
    let old = now.saturating_sub(image.created) > SUPERSEDED_AGE;
    let is_known = noted.contains(&image.id);
    // A build that was killed may end later, and leave what nobody has seen the id of. What a user built upon a test
    // image bears the same key, as all labels: by that alone no sweep takes anything.
    let key = image.labels.get(ours::KEY);
    let is_from_here = is_known || key.is_some_and(|key| noted.contains(&format!("{KEY_NOTE}{key}")));
    let on_request = options.kept_and_lost && (old || is_from_here && living.is_empty());
    on_request || is_known && old
}

/// Its own name, or its id where it has none. An image that a user built on top of a test image, or a name that a user
/// gave one, is the user's.
fn names_that_go(image: &ListedImage) -> Vec<String> {
    if image.tags.is_empty() {
        return vec![image.id.clone()];
    }
    let own = image.labels.get(ours::NAME);
    let is_own = |tag: &&String| own.is_none_or(|own| same_name(own, tag));
    image.tags.iter().filter(is_own).cloned().collect()
}

/// Whether a run is about this test image: it tests the same target, or the image bears the name that it looks for.
fn uses(run: &FoundRun, image: &ListedImage) -> bool {
    let tests_its_target =
        image.labels.get(ours::TARGET_NAME).is_some_and(|target| same_name(target, &run.record.image));
    let has_its_name = run
        .record
        .test_image
        .as_deref()
        .is_some_and(|wanted| image.tags.iter().any(|tag| same_name(tag, wanted)));
    tests_its_target || has_its_name
}

/// `shop` and `docker.io/library/shop:latest` are the same; Podman's name for it begins with `localhost/`.
fn same_name(one: &str, other: &str) -> bool {
    let whole = |name: &str| {
        let name = name.strip_prefix("localhost/").unwrap_or(name);
        Reference::parse(name).map_or_else(|_| name.to_owned(), |name| name.canonical())
    };
    let (one, other) = (whole(one), whole(other));
    one == other
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Of an image that is noted.
    fn image_may_go(image: &ListedImage, living: &[FoundRun], options: SweepOptions, now: u64) -> bool {
        super::image_may_go(image, living, &BTreeSet::from([image.id.clone()]), options, now)
    }

    const NOW: u64 = 1_000_000;
    const PRUNE: SweepOptions = SweepOptions { kept_and_lost: true, images: false, dry_run: false };
    const IMAGES: SweepOptions = SweepOptions { images: true, ..PRUNE };

    fn run_of(image: &str, test_image: Option<&str>) -> FoundRun {
        let state = tempfile::tempdir().unwrap();
        let longest = std::time::Duration::from_secs(1);
        let ledger = crate::ledger::RunLedger::begin(state.path(), "e.sock", image, test_image, longest);
        crate::ledger::find_run(state.path(), ledger.unwrap().run_id()).unwrap()
    }

    fn named(tag: &str, target: &str) -> ListedImage {
        ListedImage {
            tags: vec![tag.into()],
            labels: BTreeMap::from([(ours::TARGET_NAME.to_owned(), target.to_owned())]),
            ..ListedImage::default()
        }
    }

    #[test]
    fn a_superseded_image_goes_when_no_run_can_be_about_to_use_it() {
        let fresh = ListedImage { created: NOW - 60, ..ListedImage::default() };
        let old = ListedImage { created: NOW - SUPERSEDED_AGE - 1, ..ListedImage::default() };
        let run = || run_of("shop:1.4", None);
        assert!(!image_may_go(&fresh, &[], SweepOptions::default(), NOW));
        assert!(image_may_go(&old, &[], SweepOptions::default(), NOW));
        assert!(image_may_go(&old, &[run()], SweepOptions::default(), NOW));
        assert!(image_may_go(&fresh, &[], PRUNE, NOW));
        assert!(!image_may_go(&fresh, &[run()], PRUNE, NOW));
        // It may be the one that this run has just found by its name.
        let of_shop = ListedImage { tags: Vec::new(), ..named("", "shop:1.4") };
        assert!(!image_may_go(&of_shop, &[run()], SweepOptions::default(), NOW));
    }

    #[test]
    fn one_without_a_name_that_is_not_noted_goes_by_prune_alone_and_never_fresh() {
        let may = |age, options| {
            let image = ListedImage { created: NOW - age, id: "sha256:1".into(), ..ListedImage::default() };
            super::image_may_go(&image, &[], &BTreeSet::from(["sha256:2".to_owned()]), options, NOW)
        };
        assert!(!may(SUPERSEDED_AGE + 1, SweepOptions::default()), "a user may have built it");
        assert!(!may(60, PRUNE), "another host may be about to use it");
        assert!(may(SUPERSEDED_AGE + 1, PRUNE));
        let labels = BTreeMap::from([(ours::KEY.to_owned(), "k".to_owned())]);
        let image =
            |age| ListedImage { created: NOW - age, labels: labels.clone(), ..ListedImage::default() };
        let noted = BTreeSet::from(["key:k".to_owned()]);
        let may = |age, living: &[FoundRun], options| {
            super::image_may_go(&image(age), living, &noted, options, NOW)
        };
        assert!(may(60, &[], PRUNE), "a killed build of ours may have left it");
        assert!(!may(60, &[run_of("shop", None)], PRUNE));
        assert!(!may(SUPERSEDED_AGE + 1, &[], SweepOptions::default()));
    }

    #[test]
    fn a_name_that_another_host_lent_is_left_for_a_day() {
        let name = |run: &str| format!("{LENT_REPOSITORY}:0123456789ab-{run}");
        let (fresh, old) = (name("000f4240-abcdef"), name("00000001-abcdef"));
        let none = BTreeSet::new();
        assert!(!lent_here_or_long_ago(&fresh, &none, NOW + 60));
        assert!(lent_here_or_long_ago(&fresh, &BTreeSet::from([fresh.clone()]), NOW + 60));
        assert!(lent_here_or_long_ago(&old, &none, NOW));
        assert!(!lent_here_or_long_ago("localhost/docker-test-untagged:0123456789ab", &none, NOW));
    }

    #[test]
    fn a_test_image_that_has_its_name_goes_on_request_unless_a_run_of_its_target_lives() {
        let image = named("shop:1.4-test", "shop:1.4");
        assert!(!image_may_go(&image, &[], PRUNE, NOW));
        assert!(image_may_go(&image, &[], IMAGES, NOW));
        assert!(image_may_go(&image, &[run_of("other:1", None)], IMAGES, NOW));
        assert!(!image_may_go(&image, &[run_of("shop:1.4", None)], IMAGES, NOW));
    }

    #[test]
    fn a_test_image_whose_name_a_living_run_looks_for_stays_whatever_that_run_calls_its_target() {
        let run = |name| run_of("registry.test/other@sha256:0123456789abcdef", Some(name));
        let image = named("shop:latest-test", "shop");
        assert!(!image_may_go(&image, &[run("shop:latest-test")], IMAGES, NOW));
        assert!(!image_may_go(&image, &[run("docker.io/library/shop:latest-test")], IMAGES, NOW));
        assert!(image_may_go(&image, &[run("shop:1-test")], IMAGES, NOW));
        assert!(!image_may_go(&image, &[run_of("docker.io/library/shop:latest", None)], IMAGES, NOW));
        let podmans = named("localhost/shop:latest-test", "shop");
        assert!(!image_may_go(&podmans, &[run("shop:latest-test")], IMAGES, NOW));
    }

    #[test]
    fn what_a_user_built_or_named_after_a_test_image_is_the_users() {
        let labels = BTreeMap::from([(ours::NAME.to_owned(), "shop:1.4-test".to_owned())]);
        let names = |tags: &[&str]| {
            let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
            names_that_go(&ListedImage { tags, labels: labels.clone(), id: "sha256:1".into(), created: 0 })
        };
        assert_eq!(names(&["debug:1"]), Vec::<String>::new());
        assert_eq!(names(&["localhost/shop:1.4-test", "debug:1"]), ["localhost/shop:1.4-test"]);
        assert_eq!(names(&[]), ["sha256:1"]);
    }

    #[test]
    fn names_of_ours_do_not_keep_an_image() {
        assert!(!is_the_users("localhost/docker-test-untagged:0123456789ab"));
        assert!(!is_the_users("localhost/docker-test-target:00000001-abcdef"));
        assert!(is_the_users("localhost/docker-test-untagged-not:1"));
        assert!(is_the_users("registry.test:5000/shop:1"));
    }
}
