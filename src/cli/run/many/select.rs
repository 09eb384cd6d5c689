//! Which tests a run of many is about, whatever they come from: a suite that somebody wrote, or one made of images or
//! containers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::super::super::application::Running;
use super::super::super::connect::Connection;
use super::super::super::{suite_file, terminal};
use super::super::RunArgs;
use super::super::found::Found;
use super::super::request::Prepared;
use super::origin::Origin;
use super::{compose, entry};
use crate::compose::{Project, SUT};
use crate::engine::{Engine, ListedContainer};
use crate::error::{Category, Diagnose, Failure};
use crate::history;
use crate::metadata::labels::{self, DEFAULT_TYPE, TYPE};
use crate::runner::Sink;
use crate::suite::Suite;
use crate::suite::document::{Labels, Test};
use crate::suite::listing::{self, Wanted};

/// What is wanted of the tests of the suite, and what it is called.
pub(super) struct Selected {
    pub(super) suite: Suite,
    pub(super) wanted: Wanted,
    /// The user has written it: errors have a place in it, and its keys count.
    pub(super) is_written: bool,
    /// What history calls it.
    pub(super) subject: String,
    /// What people are shown.
    pub(super) shown: String,
    /// Containers that are tests, by the tests' names.
    pub(super) containers: BTreeMap<String, String>,
    /// The services of compose files.
    pub(super) project: Option<Project>,
    /// The test is one of those services.
    pub(super) tests_itself: bool,
}

/// The image of a test that is a container.
const NOBODY: &str = "docker-test";

/// There is no test.
#[derive(Debug, thiserror::Error)]
enum SelectError {
    #[error("{files} has no service `sut`, and no suite names tests")]
    NoSut { files: String },
}

impl Diagnose for SelectError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some(
            "a service called sut is the test; or name images, or a suite with --suite, that need its services"
                .to_owned(),
        )
    }
}

fn named(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" ")
}

/// Finds the tests. Labels of images are looked at where the selection goes by them.
pub(super) async fn select(
    args: &RunArgs,
    origin: Origin,
    base: &Prepared,
    app: &Running,
    connection: &Connection,
    found: &Found,
) -> Result<Selected, Failure> {
    let many = &args.many;
    let engine = &connection.engine;
    let files = compose::files(args, origin.suite(), app);
    let project = compose::load(&files, connection, app, base.redactor()).await?;
    let wanted = many.selection.wanted(many.select.clone());
    let mut containers = BTreeMap::new();
    let (mut suite, is_written, subject, shown) = match origin {
        Origin::Suite(suite) => {
            let path = entry::absolute(suite.path(), &app.environment);
            let shown = suite.path().display().to_string();
            (*suite, true, history::of_suite(&path), shown)
        }
        Origin::Images(images) => {
            let subject = history::of_images(&images);
            let mut tests = Vec::new();
            for image in images {
                let mut test = of_image(&image);
                if many.selection.selects_by_label() {
                    look(&mut test, base, app, engine, found).await?;
                }
                tests.push((image, test));
            }
            (Suite::of_tests(tests), false, subject.clone(), subject)
        }
        Origin::ImagesOfTheEngine => {
            let subject = "images".to_owned();
            (Suite::of_tests(images(engine).await?), false, subject, "the images of the engine".to_owned())
        }
        Origin::Containers => {
            let tests = labelled(engine).await?;
            containers =
                tests.iter().map(|(container, _)| (container.name.clone(), container.id.clone())).collect();
            let tests = tests.into_iter().map(|(container, test)| (container.name, test)).collect();
            let shown = "the labelled containers of the engine".to_owned();
            (Suite::of_tests(tests), false, "containers".to_owned(), shown)
        }
        Origin::Compose => {
            let project = project.as_ref().filter(|project| project.has_sut());
            let project = project.ok_or_else(|| SelectError::NoSut { files: named(&files) })?;
            let test = Test {
                image: Some(NOBODY.to_owned()),
                test_type: Some(DEFAULT_TYPE.to_owned()),
                needs: project.needs_of_sut().into_iter().collect(),
                base: SUT.to_owned(),
                ..Test::default()
            };
            let subject: Vec<String> = files.iter().map(|file| history::of_suite(file)).collect();
            let suite = Suite::of_tests(vec![(SUT.to_owned(), test)]);
            (suite, false, subject.join(" "), named(&files))
        }
    };
    for warning in suite_file::unmatched(&wanted.selection, &listing::candidates(&suite)) {
        terminal::note(&format!("docker-test: warning: {warning}\n"));
    }
    let is_sut =
        suite.tests().any(|(name, _)| name == SUT) && args.images.is_empty() && containers.is_empty();
    let tests_itself = project.is_some() && !is_written && is_sut;
    if let Some(project) = project.as_ref().filter(|_| !is_written && !tests_itself) {
        // Nobody says which services these tests need: all of them.
        let names: Vec<String> =
            project.services().map(|service| service.name.clone()).filter(|name| name != SUT).collect();
        for (_, test) in &mut suite.document.tests.0 {
            test.needs.clone_from(&names);
        }
    }
    Ok(Selected { suite, wanted, is_written, subject, shown, containers, project, tests_itself })
}

fn of_image(image: &str) -> Test {
    Test { image: Some(image.to_owned()), base: image.to_owned(), ..Test::default() }
}

/// Obtains the image, and takes type and labels of its own.
async fn look(
    test: &mut Test,
    base: &Prepared,
    app: &Running,
    engine: &Engine,
    found: &Found,
) -> Result<(), Failure> {
    let prepared = base.for_image(test.image.as_deref().unwrap_or_default())?;
    let (sink, _unread) = Sink::channel();
    let obtain = async || Ok(std::sync::Arc::new(prepared.obtain(engine, app, &sink).await?));
    let image = found.targets.get(prepared.target_key(), obtain).await?;
    label(test, &image.labels);
    Ok(())
}

fn label(test: &mut Test, labels: &BTreeMap<String, String>) {
    test.test_type = labels.get(TYPE).cloned();
    test.labels = Labels(labels.clone());
}

/// Images of the engine that say of themselves that they are tests, by their names.
async fn images(engine: &Engine) -> Result<Vec<(String, Test)>, Failure> {
    let mut seen = BTreeSet::new();
    let mut tests = Vec::new();
    for image in engine.images_with_label(TYPE).await? {
        let name = image.tags.iter().min().filter(|_| !labels::is_ours(&image.labels));
        if let Some(name) = name.filter(|name| seen.insert((*name).clone())) {
            let mut test = of_image(name);
            label(&mut test, &image.labels);
            tests.push((name.clone(), test));
        }
    }
    tests.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(tests)
}

/// Containers that a deployment has made, and that are tests.
async fn labelled(engine: &Engine) -> Result<Vec<(ListedContainer, Test)>, Failure> {
    let mut tests = Vec::new();
    for container in engine.containers(&[TYPE]).await? {
        if labels::is_ours(&container.labels) {
            continue;
        }
        let mut test = of_image(&container.image);
        test.base.clone_from(&container.name);
        label(&mut test, &container.labels);
        tests.push((container, test));
    }
    tests.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    Ok(tests)
}
