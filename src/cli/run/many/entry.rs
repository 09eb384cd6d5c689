//! A test of a suite as a request: what its keys say, below what the command line says and above the defaults.
//!
//! Owns that order, and the reading of secrets by name. The plan is made of the request by the same code as for a
//! single image.

use std::path::{Path, PathBuf};

use super::super::super::flags::layers::Origins;
use super::super::request::Prepared;
use crate::engine::reference::Reference;
use crate::environment::Environment;
use crate::error::{Category, Diagnose, Failure};
use crate::input;
use crate::plan::Request;
use crate::plan::build::LARGEST_SECRET;
use crate::results::TestResult;
use crate::runner::secret_files::SecretFiles;
use crate::runner::unrun;
use crate::suite::Suite;
use crate::suite::document::{Build, Secret, SecretSource, Secrets, Test, Variables, Words};
use crate::suite::needs::Need;

/// One test of the run.
pub(super) struct Entry {
    /// Full name, repetition included.
    pub(super) name: String,
    /// Full name without the repetition: what history knows it by.
    pub(super) known_as: String,
    /// The image as the user wrote it, or what is built.
    pub(super) image: String,
    /// Everything but the image itself.
    pub(super) prepared: Prepared,
    /// How the image under test is built first.
    pub(super) build: Option<Build>,
    /// What comes first.
    pub(super) needs: Vec<Need>,
    /// Files under `/run/secrets`.
    pub(super) secret_files: SecretFiles,
    /// The container that is to be re-created, where it is one.
    pub(super) container: Option<String>,
    /// What the file says.
    pub(super) test: Test,
}

impl Entry {
    /// What is known of it before it is planned.
    pub(super) fn blank(&self) -> TestResult {
        let blank = unrun::unplanned(&self.name, &self.image);
        TestResult { test_type: self.test.test_type.clone().unwrap_or(blank.test_type), ..blank }
    }
}

/// A secret cannot be had.
#[derive(Debug, thiserror::Error)]
enum SecretError {
    #[error("the variable {0} is not set")]
    NotSet(String),
    #[error("cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{} is no text, as a variable has to be", .0.display())]
    NotText(PathBuf),
}

impl Diagnose for SecretError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotSet(name) => format!("export {name}=…, or name a file: {{ file: PATH }}"),
            Self::Unreadable { .. } => "paths are relative to the suite file".to_owned(),
            Self::NotText(_) => "give it as a file: { file: PATH, as: file }".to_owned(),
        })
    }
}

/// The values of secrets, apart: as variables, and as files.
#[derive(Default)]
pub(super) struct SecretValues {
    pub(super) variables: Vec<(String, String)>,
    files: Vec<(String, Vec<u8>)>,
}

impl SecretValues {
    /// Reads them. `at` is the place of the list in the suite, for errors.
    pub(super) fn read(
        secrets: &Secrets,
        suite: &Suite,
        at: &[&str],
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let directory = absolute(suite.directory(), environment);
        let mut values = Self::default();
        for secret in &secrets.0 {
            values.add(secret, &directory, environment).map_err(|error| {
                let causes = Failure::from(error);
                let problem = format!("{}.{}: {}", at.join("."), secret.name, causes.chain().join(": "));
                Failure::from(suite.error(at, problem, causes.hint().map(str::to_owned)))
            })?;
        }
        Ok(values)
    }

    fn add(
        &mut self,
        secret: &Secret,
        directory: &Path,
        environment: &Environment,
    ) -> Result<(), SecretError> {
        let (bytes, path) = match &secret.source {
            SecretSource::Environment(name) => {
                let value = environment.variable(name).ok_or_else(|| SecretError::NotSet(name.clone()))?;
                (value.as_bytes().to_vec(), PathBuf::new())
            }
            SecretSource::File(path) => {
                let path = directory.join(path);
                let read = input::read(&path, LARGEST_SECRET);
                (read.map_err(|source| SecretError::Unreadable { path: path.clone(), source })?, path)
            }
        };
        if secret.as_file {
            self.files.push((secret.name.clone(), bytes));
        } else {
            let text = String::from_utf8(bytes).map_err(|_| SecretError::NotText(path))?;
            // What an editor puts at the end of a file is not part of the value.
            let text = text.strip_suffix('\n').map_or(text.clone(), str::to_owned);
            self.variables.push((secret.name.clone(), text));
        }
        Ok(())
    }

    /// Those that become files.
    pub(super) fn files(&self) -> Result<SecretFiles, Failure> {
        Ok(SecretFiles::new(self.files.clone())?)
    }

    /// All values, for them to be hidden.
    pub(super) fn values(&self) -> impl Iterator<Item = String> {
        let files = self.files.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned());
        self.variables.iter().map(|(_, value)| value.clone()).chain(files)
    }
}

/// A path of the suite made absolute.
pub(super) fn absolute(path: &Path, environment: &Environment) -> PathBuf {
    environment.current_dir().join(path)
}

/// Puts what the file says about a test under what the command line says.
pub(super) fn apply(
    test: &Test,
    name: &str,
    suite: &Suite,
    prepared: &mut Prepared,
    origins: &Origins,
    environment: &Environment,
) -> Result<SecretValues, Failure> {
    let secrets = SecretValues::read(&test.secrets, suite, &["tests", name, "secrets"], environment)?;
    let directory = absolute(suite.directory(), environment);
    set_limits(test, &mut prepared.request, origins);
    let request = &mut prepared.request;
    let lookup = |name: &str| environment.variable(name);
    let above = |flag: &str| origins.is_above_the_file(flag);
    let given = std::mem::take(&mut request.container.env);
    let own = merged([test.env.resolve(lookup), secrets.variables.clone()]);
    request.container.env =
        if above("--env") || above("--env-file") { merged([own, given]) } else { merged([given, own]) };
    let labels_above = above("--label") || above("--label-file");
    for (label, value) in &test.labels.0 {
        if !(labels_above && request.container.labels.contains_key(label)) {
            request.container.labels.insert(label.clone(), value.clone());
        }
    }
    for (index, mount) in test.mounts.iter().enumerate() {
        let mount = mount.resolve(&directory).map_err(|error| {
            let at = ["tests", name, "mounts", &index.to_string()];
            Failure::from(suite.error(&at, format!("{}: {error}", at.join(".")), None))
        })?;
        mount.add_to(&mut request.container);
    }
    if request.command.is_none() {
        request.command = test.command.as_ref().map(words);
    }
    let container = &mut request.container;
    put(&mut container.entrypoint, test.entrypoint.as_ref().map(words), above("--entrypoint"));
    put(&mut container.user, test.user.clone(), above("--user"));
    put(&mut container.workdir, test.workdir.clone(), above("--workdir"));
    put(&mut container.memory, test.resources.memory, above("--memory"));
    put(&mut container.nano_cpus, test.resources.cpus, above("--cpus"));
    put(&mut container.pids_limit, test.resources.pids, above("--pids-limit"));
    put(&mut request.build.platform, test.platform.clone(), above("--platform"));
    request.test_type.clone_from(&test.test_type);
    request.results = test.results.as_ref().map(|path| path.0.clone());
    let context = test.context.as_ref().or(test.build.as_ref().map(|build| &build.context));
    put(&mut prepared.path, context.map(|context| directory.join(context)), above("--path"));
    put(&mut prepared.file, test.file.as_ref().map(|file| directory.join(file)), above("--file"));
    prepared.directory_is_silent = true;
    Ok(secrets)
}

/// Time, retries and verdict: flags that have a built-in value, so that it takes their origin to know who speaks.
fn set_limits(test: &Test, request: &mut Request, origins: &Origins) {
    let free = |flag: &str| !origins.is_above_the_file(flag);
    if let Some(timeout) = test.timeout.filter(|_| free("--timeout")) {
        request.timeout = Some(timeout);
    }
    if let Some(retries) = test.retries {
        if free("--retries") {
            request.retries = Some(retries.count);
        }
        if let Some(backoff) = retries.backoff.filter(|_| free("--retry-backoff")) {
            request.backoff = Some(backoff);
        }
    }
    if let Some(trust) = test.trust.filter(|_| free("--trust")) {
        request.verdict.trust = trust.into();
    }
    if let Some(no_tests) = test.no_tests.filter(|_| free("--no-tests")) {
        request.verdict.no_tests = no_tests.into();
    }
}

/// What the file says, unless it has nothing to say or somebody above it has spoken.
fn put<T>(slot: &mut Option<T>, value: Option<T>, is_given_above: bool) {
    if value.is_some() && !(is_given_above && slot.is_some()) {
        *slot = value;
    }
}

/// The words of a command or an entrypoint.
pub(super) fn words(words: &Words) -> Vec<String> {
    words.0.clone()
}

/// Variables of several sources, of which the last one wins. Each name is there once.
pub(super) fn merged<const N: usize>(sources: [Vec<(String, String)>; N]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for (name, value) in sources.into_iter().flatten() {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => all.push((name, value)),
        }
    }
    all
}

/// Build arguments of a `build`, with the values that come from the environment.
pub(super) fn arguments(args: &Variables, environment: &Environment) -> Vec<(String, String)> {
    args.resolve(|name| environment.variable(name))
}

/// Checks the name of an image in the suite, with its place.
pub(super) fn check_reference(image: &str, suite: &Suite, at: &[&str]) -> Result<(), Failure> {
    match Reference::parse(image) {
        Ok(_) => Ok(()),
        Err(error) => {
            let failure = Failure::from(error);
            let problem = format!("{}: {}", at.join("."), failure.chain().join(": "));
            Err(suite.error(at, problem, failure.hint().map(str::to_owned)).into())
        }
    }
}
