//! The status page beside the daemon: where it is served, and whom its token lets in.
//!
//! Owns where the token comes from. It is a secret of the daemon: nothing that the daemon runs is given it.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::super::application::Running;
use super::{WatchArgs, lines};
use crate::error::{Category, Diagnose, Failure};
use crate::input;
use crate::notify::from_environment;
use crate::status::{AccessError, Server, Status, Token};
use crate::watch::Board;

/// Where the token is, if no file is named.
pub(super) const TOKEN: &str = "DOCKER_TEST_WATCH_TOKEN";
/// A token is a line; a file that is larger is another one.
const LARGEST_FILE: u64 = 4 * 1024;

/// The token cannot be used.
#[derive(Debug, thiserror::Error)]
enum TokenError {
    #[error("cannot read the token from {}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{place}: {source}")]
    Invalid { place: String, source: AccessError },
}

impl Diagnose for TokenError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File { .. } => None,
            Self::Invalid { source, .. } => source.hint(),
        }
    }
}

/// Puts the token of a file in the place of the variable: from there on it is known as a secret wherever the environment
/// is read.
pub(super) fn with_token(args: &WatchArgs, app: Running) -> Result<Running, Failure> {
    let Some(path) = &args.token_file else { return Ok(app) };
    let path = app.environment.current_dir().join(path);
    let bytes =
        input::read(&path, LARGEST_FILE).map_err(|source| TokenError::File { path: path.clone(), source })?;
    let token = String::from_utf8_lossy(&bytes).trim().to_owned();
    parse(&token, path.display().to_string())?;
    Ok(Running { environment: app.environment.with(TOKEN, token), ..app })
}

fn parse(token: &str, place: String) -> Result<Token, TokenError> {
    Token::parse(token).map_err(|source| TokenError::Invalid { place, source })
}

/// The page, if there is one.
pub(super) struct Page(Option<JoinHandle<()>>);

impl Page {
    pub(super) fn abort(self) {
        if let Some(task) = self.0 {
            task.abort();
        }
    }
}

/// Serves it, where it was asked for.
pub(super) async fn begin(args: &WatchArgs, board: Board, app: &Running) -> Result<Page, Failure> {
    let Some(address) = args.listen else { return Ok(Page(None)) };
    let environment = &app.environment;
    let token = environment.non_empty(TOKEN).map(|token| parse(token, TOKEN.to_owned())).transpose()?;
    let tags = from_environment::unified_tags(&|name| environment.variable(name).map(str::to_owned));
    let status = Status { board, clock: Arc::new(Timestamp::now), tags, token };
    let server = Server::bind(address, status).await?;
    lines::say(&format!("the status page is at http://{}/", server.address()));
    Ok(Page(Some(tokio::spawn(server.serve()))))
}
