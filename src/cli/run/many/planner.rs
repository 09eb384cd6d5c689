//! The tests of a run: from what was selected to entries, and from entries to plans.
//!
//! Owns names of repetitions and of test images that would meet, and the parsing of a test's own options.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::super::super::flags::layers::Origins;
use super::super::super::{application::Running, parse_again};
use super::super::RunOptions;
use super::super::found::Found;
use super::super::request::Prepared;
use super::build::{self, Yard};
use super::compose::Composed;
use super::entry::{self, Entry};
use super::networks;
use super::select::Selected;
use crate::engine::reference::Reference;
use crate::engine::{ContainerRecord, Engine};
use crate::error::Failure;
use crate::image::key::hex;
use crate::plan::recreate::{Surroundings, network_names};
use crate::plan::{self, Source};
use crate::redact::Redactor;
use crate::runner::Sink;
use crate::runner::layout::directory_names;
use crate::runner::secret_files::SecretFiles;
use crate::runner::suite::{Planned, Test};
use crate::runner::target::PullPolicy;
use crate::settings::Settings;
use crate::suite::Suite;
use crate::suite::document::{self, Document};
use crate::suite::listing::{Listed, Listing};
use crate::suite::needs::Need;
use crate::suite::policy::{Access, Policy};

/// The command line as each test has it: with its own options above the defaults.
pub(super) struct CommandLines<'a> {
    app: &'a Running,
    suite: &'a Suite,
    settings: Option<&'a Settings>,
    /// By options, as they are written.
    known: BTreeMap<String, (Prepared, Origins)>,
    redactor: Arc<Redactor>,
}

/// A name that no test has: requests are made for it first, and then for the image of each test.
const NOBODY: &str = "docker-test";

impl<'a> CommandLines<'a> {
    pub(super) fn new(
        app: &'a Running,
        suite: &'a Suite,
        settings: Option<&'a Settings>,
        base: Prepared,
    ) -> Self {
        let redactor = base.redactor();
        let known = BTreeMap::from([(String::new(), (base, app.origins.clone()))]);
        Self { app, suite, settings, known, redactor }
    }

    /// The command line as read without any test's options.
    pub(super) fn resolve(options: &RunOptions, app: &Running) -> Result<Prepared, Failure> {
        Prepared::resolve(NOBODY, options, app)
    }

    fn of(&mut self, name: &str, test: &document::Test) -> Result<(Prepared, Origins), Failure> {
        let key = if test.options.0.is_empty() { String::new() } else { format!("{:?}", test.options.0) };
        if !self.known.contains_key(&key) {
            let settings = Settings::with_options(self.settings, self.suite.path(), &test.options.0);
            let parsed = parse_again(&self.app.argv, &self.app.environment, &settings);
            let at = ["tests", name, "options"];
            let (options, origins) = parsed.map_err(|error| {
                let failure = Failure::from(error);
                let hint = failure.hint().map(str::to_owned);
                let problem = format!("{}: {}", at.join("."), failure.chain().join(": "));
                Failure::from(self.suite.error(&at, problem, hint))
            })?;
            let app = Running { origins: origins.clone(), ..self.app.clone() };
            let prepared = Prepared::resolve_with(NOBODY, &options, &app, Some(&self.redactor))?;
            self.known.insert(key.clone(), (prepared, origins));
        }
        let known = self.known.get(&key).or_else(|| self.known.get(""));
        known.cloned().ok_or_else(|| {
            // There is always the command line without options.
            Failure::from(self.suite.error(&["tests", name], "cannot be read", None))
        })
    }
}

/// An entry for each test of each round, in the order in which they start. Also gives out all secret values.
pub(super) fn entries(
    listing: &Listing<'_>,
    selected: &Selected,
    lines: &mut CommandLines<'_>,
) -> Result<(Vec<Entry>, Vec<String>), Failure> {
    let suite = &selected.suite;
    let repetitions = selected.wanted.repetitions;
    let mut entries = Vec::new();
    let mut secrets = Vec::new();
    let suffixes = suffixes(&suite.document, &entry::absolute(suite.directory(), &lines.app.environment));
    for (round, tests) in listing.rounds() {
        let in_round = |name: &str| {
            if repetitions > 1 { format!("{name} [{round}]") } else { name.to_owned() }
        };
        for listed in tests {
            let (entry, values) = entry(listed, selected, lines, &suffixes)?;
            let needs = listed.needs.iter().filter_map(|need| match need {
                Need::Test(name) => Some(Need::Test(in_round(name))),
                Need::Service(_) => None,
            });
            let services = listed.services.iter().map(|name| Need::Service(name.clone()));
            let needs = needs.chain(services).collect();
            entries.push(Entry { name: in_round(listed.name), needs, ..entry });
            secrets.extend(values);
        }
    }
    Ok((entries, secrets))
}

fn entry(
    listed: &Listed<'_>,
    selected: &Selected,
    lines: &mut CommandLines<'_>,
    suffixes: &BTreeMap<String, String>,
) -> Result<(Entry, Vec<String>), Failure> {
    let (suite, is_written) = (&selected.suite, selected.is_written);
    let (name, test) = (listed.name, listed.test);
    let (base, origins) = lines.of(name, test)?;
    let image = test.image.clone().unwrap_or_else(|| NOBODY.to_owned());
    if is_written && test.image.is_some() {
        entry::check_reference(&image, suite, &["tests", name, "image"])?;
    }
    let container = selected.containers.get(name).cloned();
    // A container may be of an image that has no name any more.
    let is_container = container.is_some() || selected.tests_itself;
    let mut prepared = if is_container { base } else { base.for_image(&image)? };
    if selected.tests_itself {
        prepared.request.test_type.clone_from(&test.test_type);
    }
    let mut values = Vec::new();
    let mut secret_files = SecretFiles::default();
    if is_written {
        let environment = &lines.app.environment;
        let secrets = entry::apply(test, name, suite, &mut prepared, &origins, environment)?;
        values.extend(secrets.values());
        let env = prepared.request.container.env.iter();
        let secret = env.filter(|(name, _)| crate::redact::is_secret_name(name));
        values.extend(secret.map(|(_, value)| value.clone()));
        secret_files = secrets.files()?;
    }
    if let Some(suffix) = suffixes.get(name) {
        prepared.request.test_image.push_str(suffix);
    }
    let shown = match &test.build {
        Some(build) => format!("build of {}", build.context),
        None => image,
    };
    let entry = Entry {
        name: name.to_owned(),
        known_as: name.to_owned(),
        image: shown,
        prepared,
        build: test.build.clone(),
        needs: Vec::new(),
        secret_files,
        container,
        test: test.clone(),
    };
    Ok((entry, values))
}

/// Endings of the names of test images, for tests whose recipe is another than that of the first test of the same image:
/// under one name each would replace the other's.
fn suffixes(document: &Document, directory: &Path) -> BTreeMap<String, String> {
    let mut first: BTreeMap<&str, String> = BTreeMap::new();
    let mut suffixes = BTreeMap::new();
    for (name, test) in document.tests.iter() {
        let recipe = format!("{:?} {:?} {:?}", test.context, test.file, test.options.0);
        let Some(image) = &test.image else {
            // Built for the run under a name of the run's own: its test image is known by the test.
            let hash = short_hash(&format!("{} {:?} {recipe}", directory.display(), test.build));
            suffixes.insert(name.to_owned(), format!("-{hash}"));
            continue;
        };
        let known = first.entry(image).or_insert_with(|| recipe.clone());
        if *known != recipe {
            suffixes.insert(name.to_owned(), format!("-{}", short_hash(&recipe)));
        }
    }
    suffixes
}

fn short_hash(text: &str) -> String {
    hex(Sha256::digest(text).get(..4).unwrap_or_default())
}

/// What plans are made with.
pub(super) struct Planner<'a> {
    pub(super) yard: Yard<'a>,
    pub(super) selected: &'a Selected,
    pub(super) networks: &'a BTreeMap<String, String>,
    pub(super) composed: Option<&'a Composed>,
    pub(super) found: &'a Found,
    pub(super) sink: &'a Sink,
    pub(super) flaky_fails: bool,
    /// The command line, for the images of services.
    pub(super) base: &'a Prepared,
}

impl Planner<'_> {
    /// The plan of one test. What is wrong with it alone is its own to tell.
    pub(super) async fn plan(&self, entry: Entry, number: usize, directory: String) -> Test {
        let planned = self.try_plan(&entry, number).await;
        let test_type = planned.as_ref().ok().map(|planned| planned.plan.test_type.clone());
        let policy = Policy::of(
            test_type.as_deref().or(entry.test.test_type.as_deref()).unwrap_or_default(),
            &self.selected.suite.document.policy,
            &entry.test,
        );
        let planned = planned.map(|mut planned| {
            let container = &mut planned.plan.container;
            if container.networks.is_empty() && planned.plan.source != Source::Container {
                let mut joined = networks::of_test(entry.test.network.as_ref(), policy, self.networks);
                if let Some(composed) = self.composed.filter(|_| policy.network == Access::Granted) {
                    joined.extend(composed.further(&entry.needs, &joined));
                }
                container.networks = joined;
            }
            planned.secret_files = entry.secret_files;
            planned
        });
        let container = planned.as_ref().ok().filter(|planned| planned.plan.source == Source::Container);
        let image = container.map(|planned| planned.plan.image.clone());
        Test {
            name: entry.name,
            image: image.unwrap_or(entry.image),
            directory,
            planned,
            policy,
            needs: entry.needs,
            expected: None,
            flaky_fails: self.flaky_fails,
            skipped: None,
        }
    }

    async fn try_plan(&self, entry: &Entry, number: usize) -> Result<Planned, Failure> {
        let sut = self.composed.and_then(|composed| composed.sut.as_ref());
        if let Some(container) = entry.container.as_ref().or(sut) {
            return self.of_container(entry, container).await;
        }
        let sink = self.sink.of_test(&entry.name);
        let yard = &self.yard;
        let prepared = match &entry.build {
            None => entry.prepared.clone(),
            Some(build) => self.built(entry, build, number, sink.clone()).await?,
        };
        let (target, mut plan, existing) = prepared.plan(yard.engine, yard.app, &sink, self.found).await?;
        plan.name.clone_from(&entry.name);
        plan.image.clone_from(&entry.image);
        Ok(Planned { plan, target, existing, secret_files: SecretFiles::default() })
    }

    /// The plan of a container that a deployment has made.
    async fn of_container(&self, entry: &Entry, id: &str) -> Result<Planned, Failure> {
        let engine = self.yard.engine;
        let record = record(id, engine, self.found).await?;
        let image = engine.image(&record.image_id).await?;
        let mut networks = Vec::new();
        for name in network_names(&record) {
            networks.extend(engine.network(name).await?);
        }
        let list = async || Ok(Arc::new(engine.containers(&[]).await?));
        let containers = self.found.containers.get(String::new(), list).await?;
        let surroundings = Surroundings { networks: &networks, containers: &containers };
        let request = &entry.prepared.request;
        let mut plan = plan::of_container(request, &record, image.as_ref(), &surroundings)?;
        plan.name.clone_from(&entry.name);
        let given = request.container.env.clone();
        plan.container.env = entry::merged([std::mem::take(&mut plan.container.env), given]);
        let target = Arc::new(image.unwrap_or_default());
        let secret_files = SecretFiles::default();
        Ok(Planned { plan, target, existing: None, secret_files })
    }

    /// The request of a test whose image is built first, once that is there.
    async fn built(
        &self,
        entry: &Entry,
        build: &document::Build,
        number: usize,
        sink: Sink,
    ) -> Result<Prepared, Failure> {
        let name = build::name(self.yard.ledger, number);
        build::build(build, &name, &self.selected.suite, &entry.prepared.request.build, &self.yard, sink)
            .await?;
        let mut prepared = entry.prepared.clone().for_image(&name)?;
        // What is built belongs to the run; its test image is found again by the next one.
        let stable = Reference::parse(&format!("docker-test-built/{}:latest", safe(&entry.known_as)))?;
        let suffix = entry.prepared.request.test_image.rsplit_once("-test").map_or("", |(_, suffix)| suffix);
        prepared.request.test_image = format!("{}{suffix}", stable.test_tag());
        prepared.pull = PullPolicy::Never;
        // Arguments and stage were for the image itself.
        prepared.request.build.target = None;
        Ok(prepared)
    }
}

/// A name that a repository can have.
fn safe(name: &str) -> String {
    let letters = name.chars().map(|letter| match letter.to_ascii_lowercase() {
        letter @ ('a'..='z' | '0'..='9') => letter,
        _ => '-',
    });
    let text: String = letters.take(100).collect();
    let words: Vec<&str> = text.split('-').filter(|word| !word.is_empty()).collect();
    if words.is_empty() { "test".to_owned() } else { words.join("-") }
}

/// Directories for the files of all entries.
pub(super) fn directories(entries: &[Entry]) -> Vec<String> {
    directory_names(entries.iter().map(|entry| entry.name.as_str()))
}

async fn record(id: &str, engine: &Engine, found: &Found) -> Result<Arc<ContainerRecord>, Failure> {
    found.records.get(id.to_owned(), async || Ok(Arc::new(engine.container_record(id).await?))).await
}

/// Values of variables of containers that are tests, where their names say that they are secret.
pub(super) async fn container_secrets(
    entries: &[Entry],
    engine: &Engine,
    found: &Found,
) -> Result<Vec<String>, Failure> {
    let mut values = Vec::new();
    for id in entries.iter().filter_map(|entry| entry.container.as_ref()) {
        let record = record(id, engine, found).await?;
        let env = record.configuration.env.iter();
        let secret = env.filter(|(name, _)| crate::redact::is_secret_name(name));
        values.extend(secret.map(|(_, value)| value.clone()));
    }
    Ok(values)
}

/// Names of the tests in history, each once.
pub(super) fn names(entries: &[Entry]) -> Vec<String> {
    let names: BTreeSet<&str> = entries.iter().map(|entry| entry.known_as.as_str()).collect();
    names.into_iter().map(str::to_owned).collect()
}
