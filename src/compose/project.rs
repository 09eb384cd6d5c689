//! A project: its files read by the tool, joined where it runs, else started under a name of the run's own.
//!
//! Owns the order of the tool's calls. Each names the services it is about, so that nothing else starts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::config::Config;
use super::error::{ComposeError, READ};
use super::process::{Call, Said};
use super::ready::Readiness;
use super::started::{Started, StartedService};
use super::tool::ComposeTool;
use super::{ComposeContext, ComposeService, SUT};
use crate::engine::docker::{ComposeContainer, PROJECT_PREFIX, Recorded};
use crate::engine::{Engine, ResourceKind};
use crate::error::{Failure, nearest};
use crate::runner::service::ServiceFailure;
use crate::signal;

/// How long the tool may take to read files, or to list containers.
const QUESTION_LIMIT: Duration = Duration::from_mins(1);

/// The services of compose files.
#[derive(Debug, Clone)]
pub struct Project {
    tool: ComposeTool,
    files: Vec<PathBuf>,
    directory: PathBuf,
    config: Config,
}

impl Project {
    /// Has the tool read `files`, later ones over earlier ones, relative to `directory`, which is absolute.
    ///
    /// The project's own directory is that of the first file, as it is for the tool. Dropped before its end, it ends the
    /// tool.
    pub async fn load(tool: ComposeTool, files: &[PathBuf], directory: &Path) -> Result<Self, ComposeError> {
        let files: Vec<PathBuf> = files.iter().map(|file| directory.join(file)).collect();
        for path in &files {
            // The tool's own words for this name neither the file nor the reason well.
            let opened = tokio::fs::File::open(path).await;
            opened.map_err(|source| ComposeError::Unreadable { path: path.clone(), source })?;
        }
        let mut project = Self { tool, files, directory: directory.to_owned(), config: Config::default() };
        let said = project.ask(READ, &["config"]).await?;
        project.config = Config::parse(&said.stdout).map_err(|source| ComposeError::Output {
            tool: project.tool.describe(),
            files: project.named(),
            source,
        })?;
        Ok(project)
    }

    /// Its services, sorted by name.
    pub fn services(&self) -> impl Iterator<Item = &ComposeService> {
        self.config.services.values()
    }

    /// A service by name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&ComposeService> {
        self.config.services.get(name)
    }

    /// Values of its services' variables that are secret by their names: to be hidden wherever they turn up.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.config.secrets.0.iter().map(String::as_str)
    }

    /// One of them is the test, as in a docker-compose.test.yml.
    #[must_use]
    pub fn has_sut(&self) -> bool {
        self.config.services.contains_key(SUT)
    }

    /// What the service [`SUT`] depends on directly: what is to be started for it.
    #[must_use]
    pub fn needs_of_sut(&self) -> BTreeSet<String> {
        let depends_on = self.service(SUT).map(|sut| sut.depends_on.as_slice()).unwrap_or_default();
        depends_on.iter().map(|dependency| dependency.service.clone()).collect()
    }

    /// Makes sure that it has all of these services.
    pub fn check(&self, needed: &BTreeSet<String>) -> Result<(), ComposeError> {
        let Some(unknown) = needed.iter().find(|name| !self.config.services.contains_key(*name)) else {
            return Ok(());
        };
        let names = self.config.services.keys().map(String::as_str);
        let nearest = nearest(unknown, names).map(str::to_owned);
        Err(ComposeError::Unknown { service: unknown.clone(), files: self.named(), nearest })
    }

    /// These services and all that they depend on.
    #[must_use]
    pub fn with_dependencies(&self, wanted: &BTreeSet<String>) -> BTreeSet<String> {
        self.config.with_dependencies(wanted)
    }

    /// Joins or starts `needed` services and what they depend on, and waits until they are ready.
    ///
    /// What it starts is of a project named after the run, written down in the ledger, and removed by it whole. A run has
    /// one such project. It may be called again for further services, not at the same time. `Err` is an error of ours, of
    /// the engine or of the tool; a service that does not get ready is a [`ServiceFailure`].
    pub async fn start(
        &self,
        needed: &BTreeSet<String>,
        context: &ComposeContext<'_>,
        interrupts: &mut signal::Receiver,
    ) -> Result<Result<Started, ServiceFailure>, Failure> {
        self.check(needed)?;
        let mut cancelled = interrupts.clone();
        // What is dropped in the middle ends the tool; the ledger has what it made.
        tokio::select! {
            outcome = self.join_or_start(needed, context) => outcome,
            state = signal::wait_for(&mut cancelled, 1) => Ok(Err(ServiceFailure {
                service: needed.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
                problem: format!("was not ready when signal {} came", state.signal),
                log_tail: String::new(),
                interrupted: true,
            })),
        }
    }

    /// The container of the service [`SUT`], which is created for it and not started, next to the `started` services.
    ///
    /// Of a project that was joined it is the one that is there. Dropped before its end, it ends the tool.
    pub async fn sut_container(
        &self,
        started: &Started,
        context: &ComposeContext<'_>,
    ) -> Result<String, Failure> {
        let project = started.project.as_str();
        if !started.joined {
            let until = Instant::now() + context.setup;
            let only = BTreeSet::from([SUT.to_owned()]);
            self.build(project, &only, context, until).await?;
            // Alone, or version 1 would wait for dependencies to get healthy that it has not started.
            let command = ["up", "--no-start", "--no-deps", "--no-recreate", "--no-build", SUT];
            self.run("create the containers of", project, &command, context.setup, until).await?;
        }
        let containers = context.engine.compose_containers(Some(project)).await?;
        let sut = containers.into_iter().find(|container| container.service == SUT);
        let absent = || ComposeError::NoContainer { project: project.to_owned(), service: SUT.to_owned() };
        Ok(sut.ok_or_else(absent)?.id)
    }

    async fn join_or_start(
        &self,
        needed: &BTreeSet<String>,
        context: &ComposeContext<'_>,
    ) -> Result<Result<Started, ServiceFailure>, Failure> {
        let running = if context.join { self.running(context.engine).await? } else { None };
        match running {
            Some(project) => self.join(project, needed, context).await,
            None => self.start_own(needed, context).await,
        }
    }

    /// The user's own project of these files, where something of it runs.
    async fn running(&self, engine: &Engine) -> Result<Option<String>, Failure> {
        let said = self.ask("list the containers of", &["ps", "--quiet"]).await?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let ids: Vec<&str> = said.lines().map(str::trim).filter(|id| id.len() >= 12).collect();
        if ids.is_empty() {
            return Ok(None);
        }
        let containers = engine.compose_containers(None).await?;
        let listed =
            containers.into_iter().filter(|container| ids.iter().any(|id| container.id.starts_with(id)));
        let mut of_these =
            listed.filter(|container| container.status == "running" && self.is_of_these(container));
        Ok(of_these.next().map(|container| container.project))
    }

    /// Whether a container of the project's name is of these files. A name that comes from a directory's may be that of
    /// another directory elsewhere.
    fn is_of_these(&self, container: &ComposeContainer) -> bool {
        let own = self.files.first().and_then(|file| file.parent()).unwrap_or(&self.directory);
        let Some(noted) = container.directory.as_deref().map(Path::new) else { return true };
        is_named_otherwise(&container.project, own) || is_same_directory(noted, own)
    }

    async fn join(
        &self,
        project: String,
        needed: &BTreeSet<String>,
        context: &ComposeContext<'_>,
    ) -> Result<Result<Started, ServiceFailure>, Failure> {
        let containers = context.engine.compose_containers(Some(&project)).await?;
        // What has ended may have done its job: that is found out with the rest.
        let is_there = |name: &str| {
            containers.iter().any(|container| container.service == name && container.status != "created")
        };
        let services: Vec<String> = needed.iter().filter(|name| !is_there(name)).cloned().collect();
        if !services.is_empty() {
            let start = format!("{} up -d", self.command());
            return Err(ComposeError::NotRunning { project, services, start }.into());
        }
        self.ready(project, needed, context, None).await
    }

    async fn start_own(
        &self,
        needed: &BTreeSet<String>,
        context: &ComposeContext<'_>,
    ) -> Result<Result<Started, ServiceFailure>, Failure> {
        let project = format!("{PROJECT_PREFIX}{}", context.ledger.run_id());
        self.check_names(context.engine, &project).await?;
        let record = context.ledger.record(ResourceKind::ComposeProject, &project)?;
        let services = self.config.with_dependencies(needed);
        let until = Instant::now() + context.setup;
        self.build(&project, &services, context, until).await?;
        self.ready(project, &services, context, Some((record, until))).await
    }

    /// Names that the files fix would be shared with whatever has them already, data included.
    async fn check_names(&self, engine: &Engine, own: &str) -> Result<(), Failure> {
        let Config { fixed_networks, fixed_volumes, .. } = &self.config;
        let found = engine.named_resources(fixed_networks, fixed_volumes).await?;
        let networks = found.networks.into_iter().map(|entry| ("network", entry));
        let volumes = found.volumes.into_iter().map(|entry| ("volume", entry));
        let mut taken = networks.chain(volumes).filter(|(_, (_, project))| project.as_deref() != Some(own));
        match taken.next() {
            Some((kind, (name, project))) => {
                Err(ComposeError::Taken { kind, name, files: self.named(), project }.into())
            }
            None => Ok(()),
        }
    }

    /// Builds what the files say how to build: an image that is there may be older than what it is built from.
    async fn build(
        &self,
        project: &str,
        services: &BTreeSet<String>,
        context: &ComposeContext<'_>,
        until: Instant,
    ) -> Result<(), ComposeError> {
        let is_built = |name: &&String| self.service(name).is_some_and(|service| service.has_build);
        let built: Vec<&str> = services.iter().filter(is_built).map(String::as_str).collect();
        if !built.is_empty() {
            let command = [self.tool.build(), built.as_slice()].concat();
            self.run("build the images of", project, &command, context.setup, until).await?;
        }
        Ok(())
    }

    /// Starts services where `own` says so, and waits for all of them.
    async fn ready(
        &self,
        project: String,
        services: &BTreeSet<String>,
        context: &ComposeContext<'_>,
        own: Option<(Recorded, Instant)>,
    ) -> Result<Result<Started, ServiceFailure>, Failure> {
        const OPERATION: &str = "start the services of";
        let engine = context.engine;
        let wanted = services.iter().filter_map(|name| self.service(name)).cloned().collect();
        let mut readiness =
            Readiness::new(engine, self.tool.redactor(), &project, wanted, context.ready, own.is_none());
        let outcome = match &own {
            Some((_, until)) if !services.is_empty() => {
                let command = ["up", "--detach", "--no-recreate", "--no-build"].into_iter();
                let command: Vec<&str> = command.chain(services.iter().map(String::as_str)).collect();
                let call = self.call(Some(&project), &command)?;
                let started = tokio::time::timeout_at(*until, readiness.starting(call)).await;
                match started.map_err(|_| self.timed_out(OPERATION, context.setup))?? {
                    Ok(said) => match self.checked(OPERATION, said) {
                        Ok(_) => readiness.wait().await?,
                        // The tool says that a service failed, and we say how.
                        Err(error) => Err(readiness.failed().await?.ok_or(error)?),
                    },
                    Err(failure) => Err(failure),
                }
            }
            _ => readiness.wait().await?,
        };
        if let Err(failure) = outcome {
            return Ok(Err(failure));
        }
        let containers = engine.compose_containers(Some(&project)).await?;
        let mut found = Vec::new();
        for name in services {
            let of_service: Vec<&ComposeContainer> =
                containers.iter().filter(|container| container.service == *name).collect();
            found.push(StartedService::new(name, &of_service, readiness.is_done(name)));
        }
        Ok(Ok(Started {
            default_network: engine.compose_default_network(&project).await?,
            joined: own.is_none(),
            project,
            services: found,
            engine: engine.clone(),
            redactor: std::sync::Arc::clone(self.tool.redactor()),
            record: own.map(|(record, _)| record),
        }))
    }

    /// The files, for people.
    fn named(&self) -> String {
        self.names().collect::<Vec<_>>().join(", ")
    }

    fn names(&self) -> impl Iterator<Item = String> {
        self.files.iter().map(|file| file.strip_prefix(&self.directory).unwrap_or(file).display().to_string())
    }

    /// How people would call the tool for it.
    fn command(&self) -> String {
        self.names().fold(self.tool.name().to_owned(), |words, file| format!("{words} -f {file}"))
    }

    /// Asks about the user's own project.
    async fn ask(&self, operation: &'static str, command: &[&str]) -> Result<Said, ComposeError> {
        let call = self.call(None, command)?;
        self.end(operation, call, QUESTION_LIMIT, Instant::now() + QUESTION_LIMIT).await
    }

    /// Does something with the run's own project.
    async fn run(
        &self,
        operation: &'static str,
        project: &str,
        command: &[&str],
        limit: Duration,
        until: Instant,
    ) -> Result<Said, ComposeError> {
        let call = self.call(Some(project), command)?;
        self.end(operation, call, limit, until).await
    }

    fn call(&self, project: Option<&str>, command: &[&str]) -> Result<Call, ComposeError> {
        self.tool.call(&self.files, &self.directory, project, command)
    }

    async fn end(
        &self,
        operation: &'static str,
        mut call: Call,
        limit: Duration,
        until: Instant,
    ) -> Result<Said, ComposeError> {
        let said = tokio::time::timeout_at(until, call.ended()).await;
        let said = said.map_err(|_| self.timed_out(operation, limit))?;
        self.checked(operation, said.map_err(|source| self.tool.not_executed(source))?)
    }

    fn checked(&self, operation: &'static str, said: Said) -> Result<Said, ComposeError> {
        if said.status.success() {
            return Ok(said);
        }
        Err(ComposeError::Failed {
            operation,
            files: self.named(),
            tool: self.tool.describe(),
            code: said.ended_with(),
            said: self.tool.words(&said),
        })
    }

    fn timed_out(&self, operation: &'static str, limit: Duration) -> ComposeError {
        ComposeError::TimedOut { operation, files: self.named(), limit }
    }
}

/// Whether the project's name was given, rather than made of the name of its directory, of which the tools keep other
/// characters.
fn is_named_otherwise(project: &str, directory: &Path) -> bool {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let letters = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    letters(project) != letters(&name)
}

fn is_same_directory(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(one) == real(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_from_that_of_its_directory_however_the_tool_wrote_it() {
        let otherwise = |project, directory| is_named_otherwise(project, Path::new(directory));
        assert!(!otherwise("my_shop", "/src/My_Shop"));
        assert!(!otherwise("myshop", "/src/my.shop"));
        assert!(otherwise("staging", "/src/my.shop"));
    }

    #[test]
    fn a_directory_is_the_same_through_a_link_and_not_where_it_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("real"), directory.path().join("link"));
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(is_same_directory(&link, &real));
        assert!(!is_same_directory(&directory.path().join("gone"), &real));
    }
}
