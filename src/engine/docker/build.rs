//! One image build over the engine's API, whichever builder the engine has.
//!
//! Owns the build call, its session and the reading of its answer. Renders no Dockerfile and packs no context: the
//! context is a stream of bytes that the caller makes, sent as it comes and never held.

mod answer;
mod builder;
mod call;
mod error;
mod locate;
mod outcome;
mod progress;
mod query;
mod step;
mod tail;
mod target;
mod trace;
mod upload;

pub use builder::{Builder, BuilderKind, builder_features, builder_of};
pub use error::{BuildError, BuildFailure};
pub use locate::line_of;
pub use step::Position;

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream;

use super::session::auth::RegistryLogins;
use super::session::files::SyncedDirectories;
use super::session::secrets::Secrets;
use super::session::ssh::SshAgents;
use super::session::{Session, SessionServices};
use crate::engine::event::StepStatus;
use crate::engine::transport::HttpClient;
use crate::plan::build::BuildSpec;

/// How long the engine may take to hear that a build is cancelled.
const CANCEL_LIMIT: Duration = Duration::from_secs(3);

/// Everything about one build but the bytes of its context.
#[derive(Clone, Copy)]
pub struct BuildRequest<'a> {
    /// The builder to use.
    pub builder: BuilderKind,
    /// Version of the API in use, such as `1.41`.
    pub api_version: &'a str,
    /// Tags that the image gets.
    pub tags: &'a [String],
    /// Path of the Dockerfile within the context.
    pub dockerfile: &'a str,
    /// What the build flags say.
    pub spec: &'a BuildSpec,
    /// Logins for the registries of base images.
    pub logins: &'a RegistryLogins,
    /// Looks a variable up, for secrets that come from the environment.
    pub environment: &'a (dyn Fn(&str) -> Option<OsString> + Sync),
    /// The user's ssh agent (`SSH_AUTH_SOCK`).
    pub agent_socket: Option<&'a Path>,
}

/// The bytes of a context, in one of two ways.
pub enum BuildContext {
    /// A tar archive that holds the Dockerfile, sent with the build call.
    Archive(Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>),
    /// Directories that the builder asks for file by file: for builders that synchronise alone.
    Directories(SyncedDirectories),
}

/// One thing that happened during a build.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildEvent {
    /// Bytes of the context sent so far. Not every single chunk is reported; the last one is.
    ContextSent {
        /// Bytes sent.
        bytes: u64,
        /// True once the whole context was sent.
        done: bool,
    },
    /// A step began, ended or was found in the cache.
    Step {
        /// Stable within the build: a vertex digest, or `N/M`.
        id: String,
        /// The step as the builder names it.
        name: String,
        /// Where it stands.
        status: StepStatus,
        /// Why it failed, where it did.
        error: Option<String>,
    },
    /// A step printed something: a line or any part of one.
    Output {
        /// Id of the step, where the builder says so.
        step: Option<String>,
        /// The text.
        text: String,
    },
    /// A base image is being pulled, or a part of the result is being written.
    Progress {
        /// A layer, or what else the builder counts.
        item: String,
        /// What happens to it.
        status: String,
        /// Bytes so far, where known.
        current: Option<u64>,
        /// Bytes in all, where known.
        total: Option<u64>,
    },
    /// Something the builder wants its user to know.
    Warning {
        /// One sentence.
        message: String,
        /// Line of the Dockerfile, counted from 1, where the builder names one.
        line: Option<u32>,
    },
}

/// The image that a build made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// Its id, where the builder says it; otherwise the tag knows.
    pub id: Option<String>,
}

/// Builds an image.
///
/// `cancelled` ends the build when it resolves: the connection
/// is closed, which stops every builder, and BuildKit is told besides. Dropping the future closes the connection too.
pub async fn build(
    http: &HttpClient,
    request: BuildRequest<'_>,
    context: BuildContext,
    cancelled: impl Future<Output = ()>,
    on_event: impl FnMut(BuildEvent),
) -> Result<BuiltImage, BuildError> {
    query::refuse_unsupported(&request)?;
    let build_id = super::session::fresh_id()?;
    let cancelled = pin!(cancelled);
    tokio::select! {
        biased;
        () = cancelled => {}
        result = run(http, &request, &build_id, context, on_event) => return result,
    }
    if request.builder == BuilderKind::BuildKit {
        // The closed connection ends the build as well; this only makes it quicker.
        let told = call::cancel(http, request.api_version, &build_id);
        drop(tokio::time::timeout(CANCEL_LIMIT, told).await);
    }
    Err(BuildError::Cancelled)
}

async fn run(
    http: &HttpClient,
    request: &BuildRequest<'_>,
    build_id: &str,
    context: BuildContext,
    mut on_event: impl FnMut(BuildEvent),
) -> Result<BuiltImage, BuildError> {
    let (archive, files) = match context {
        BuildContext::Archive(archive) => (archive, SyncedDirectories::default()),
        BuildContext::Directories(files) => (Box::pin(stream::empty()) as Pin<Box<_>>, files),
    };
    let secrets = Secrets::new(&request.spec.secrets, request.environment)?;
    let mut query = query::Query::new(request);
    for message in query.warnings() {
        on_event(BuildEvent::Warning { message, line: None });
    }
    let mut prefix = Vec::new();
    let mut handle = None;
    match request.builder {
        BuilderKind::BuildKit => {
            let ssh = SshAgents::open(&request.spec.ssh, request.agent_socket).await?;
            let services =
                SessionServices { logins: request.logins.clone(), secrets, ssh, files: files.clone() };
            let session = Session::new(services)?;
            query.session(session.id(), build_id);
            if !files.is_empty() {
                query.files_over_session();
            }
            handle = Some(call::open_session(http, request.api_version, session).await?);
        }
        BuilderKind::Buildah => prefix = query.secrets(&secrets, build_id).await?,
        BuilderKind::Classic => {}
    }
    let login_header = if handle.is_none() { request.logins.header() } else { None };
    let target = format!("/v{}/build?{}", request.api_version, query.text());
    let counter = files.counter();
    let mut reported = 0;
    let synchronised = !files.is_empty();
    let mut report = |event: BuildEvent| {
        if synchronised {
            // The call itself has no body then: what counts is what went over the session.
            let bytes = counter.load(Ordering::Relaxed);
            if bytes != reported {
                reported = bytes;
                on_event(BuildEvent::ContextSent { bytes, done: false });
            }
            if matches!(event, BuildEvent::ContextSent { .. }) {
                return;
            }
        }
        on_event(event);
    };
    let prefix = Bytes::from(prefix);
    let result =
        call::build(http, &target, login_header, prefix, archive, request.builder, &mut report).await;
    if synchronised && result.is_ok() {
        on_event(BuildEvent::ContextSent { bytes: counter.load(Ordering::Relaxed), done: true });
    }
    drop(handle);
    result
}
