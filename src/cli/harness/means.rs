//! What the harness gives to its checks, and what it hides of them.
//!
//! Owns which variables commands see and which docker-test tests images. Sets up what these checks need and no more: most
//! of them take no longer than that would.

use std::sync::Arc;

use clap::CommandFactory as _;

use super::super::flags::layers;
use super::super::{connect, secrets};
use super::{HarnessArgs, Program, init, relay};
use crate::check::{Check, Surroundings, Tester};
use crate::engine::glance::Glance;
use crate::environment::Environment;
use crate::error::Failure;
use crate::harness::Probe;
use crate::notify::outbox::Sink;
use crate::notify::send;
use crate::plan::build::BuildSpec;
use crate::redact::{Redactor, Secrets};

/// Hides the keys of the sinks and of the checks, whatever a variable holds that is named, or whose name says that it is
/// secret, and what was to be such a key and cannot be used.
pub(super) fn redactor(
    environment: &Environment,
    named: &[String],
    sinks: &[Sink],
    held: Secrets,
    unusable: Vec<String>,
) -> Redactor {
    let variables = secrets::values(environment, named, &[], &BuildSpec::default());
    let keys = sinks.iter().flat_map(|sink| sink.notifier.secrets());
    Redactor::new(held.into_iter().chain(variables).chain(keys).chain(unusable))
}

/// What the checks of these probes need, and no more.
pub(super) fn surroundings(
    environment: &Environment,
    probes: &[Probe],
    program: Program,
    output: Option<relay::Output>,
) -> Result<Surroundings, Failure> {
    let variables = environment
        .variables()
        .filter(|(name, _)| *name != init::MARK)
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    // Reading hundreds of certificates takes longer than most commands do.
    let needs_trust = probes.iter().any(|probe| probe.check.needs_trust());
    let roots =
        if needs_trust { send::authorities(environment)? } else { Arc::new(rustls::RootCertStore::empty()) };
    let mut surroundings =
        Surroundings::new(variables.collect(), environment.current_dir().to_owned(), roots)?;
    surroundings.output = output;
    surroundings.engine = Some(Glance::new(environment.clone(), connect::runtime_dir(environment)));
    if probes.iter().any(|probe| matches!(probe.check, Check::Image(_))) {
        surroundings.tester = tester(program);
    }
    Ok(surroundings)
}

/// docker-test, and the variables that set flags of the harness alone there. The state directory is for both, and so is
/// what is to be hidden.
fn tester(program: Program) -> Tester {
    let own = (program == Program::DockerTest).then(std::env::current_exe).and_then(Result::ok);
    let command = HarnessArgs::command();
    let settable = command
        .get_arguments()
        .filter(|arg| layers::settable(arg) && !["state_dir", "redact"].contains(&arg.get_id().as_str()));
    Tester {
        program: own.unwrap_or_else(|| Tester::default().program),
        without: settable.map(layers::variable).collect(),
    }
}
