//! The page for people: an overview, one page for each probe, and signing in.
//!
//! Owns its routes and its forms. Every form stands for one request to the daemon, and carries what shows that it is one of
//! ours; whoever may not act is not shown any.

mod drawing;
mod overview;
mod probe;
mod templates;
mod words;

use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::{Deserialize, Serialize};

use super::Shared;
use super::access::Standing;
use super::api::{NO_TOKEN, SilenceRequest, asked};
use super::guard::{refusal, sign_in_link};
use super::problem::Problem;

pub(super) use templates::Pages;

/// Where browsers are signed in.
pub(super) const SIGN_IN: &str = "/sign-in";

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(overview::show))
        .route("/probes/{name}", get(probe::show))
        .route("/probes/{name}/run", post(run))
        .route("/silences", post(silence))
        .route("/silences/{id}/lift", post(lift))
        .route(SIGN_IN, get(ask_for_token).post(sign_in))
        .route("/sign-out", post(sign_out))
}

/// What every page shows of who looks at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Viewer {
    /// Stands in every form; nothing where they may not act.
    form: Option<String>,
    /// Where they may sign in.
    sign_in: Option<String>,
    /// Why nobody may act.
    no_token: Option<&'static str>,
}

impl Viewer {
    /// `here` is where they are, and come back to.
    fn of(shared: &Shared, standing: &Standing, here: &str) -> Self {
        let form = match standing {
            Standing::Browser { form } => Some(form.clone()),
            Standing::Anonymous | Standing::Program => None,
        };
        let has_token = shared.access.has_token();
        let sign_in = (has_token && form.is_none()).then(|| sign_in_link(here));
        Self { sign_in, form, no_token: (!has_token).then_some(NO_TOKEN) }
    }
}

/// A page that says what went wrong.
pub(super) struct Refused(pub(super) Arc<Shared>, pub(super) Problem);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = self.1.status();
        (status, self.0.pages.problem(&self.1)).into_response()
    }
}

/// A form of ours.
#[derive(Deserialize)]
struct Press {
    form: String,
    #[serde(default)]
    then: String,
}

impl Press {
    /// Whether it is one of ours, from somebody who may act.
    fn is_meant(&self, standing: &Standing) -> Result<(), Problem> {
        match standing {
            Standing::Browser { form } if *form == self.form => Ok(()),
            _ => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "you are not signed in any more: sign in, and try again",
            )),
        }
    }
}

/// Where to go on: a place of this page alone.
fn onward(then: &str) -> Redirect {
    let is_ours = then.starts_with('/')
        && !then.starts_with("//")
        && !then.contains(|character: char| character == '\\' || character.is_control());
    Redirect::to(if is_ours { then } else { "/" })
}

/// Does what a form of ours stands for, and goes on to where it was.
async fn act(
    shared: &Arc<Shared>,
    standing: &Standing,
    press: &Press,
    asking: impl Future<Output = Result<(), Problem>>,
) -> Result<Redirect, Refused> {
    let done = match press.is_meant(standing) {
        Ok(()) => asking.await,
        Err(problem) => Err(problem),
    };
    done.map(|()| onward(&press.then)).map_err(|problem| Refused(Arc::clone(shared), problem))
}

async fn run(
    State(shared): State<Arc<Shared>>,
    Extension(standing): Extension<Standing>,
    Path(name): Path<String>,
    Form(press): Form<Press>,
) -> Result<Redirect, Refused> {
    let asking = async { Ok(shared.board.run_now(&name).await?) };
    act(&shared, &standing, &press, asking).await
}

#[derive(Deserialize)]
struct SilencePress {
    #[serde(flatten)]
    press: Press,
    probes: String,
    #[serde(rename = "for")]
    length: String,
    #[serde(default)]
    reason: String,
}

async fn silence(
    State(shared): State<Arc<Shared>>,
    Extension(standing): Extension<Standing>,
    Form(asked): Form<SilencePress>,
) -> Result<Redirect, Refused> {
    let SilencePress { press, probes, length, reason } = asked;
    let asking = async {
        let request = SilenceRequest { probes, length: Some(length), reason, ..SilenceRequest::default() };
        let (probes, silence) = request.silence(shared.now())?;
        shared.board.silence(&probes, silence).await?;
        Ok(())
    };
    act(&shared, &standing, &press, asking).await
}

async fn lift(
    State(shared): State<Arc<Shared>>,
    Extension(standing): Extension<Standing>,
    Path(id): Path<String>,
    Form(press): Form<Press>,
) -> Result<Redirect, Refused> {
    let asking = async { Ok(shared.board.lift(&id).await?) };
    act(&shared, &standing, &press, asking).await
}

#[derive(Deserialize)]
struct Then {
    #[serde(default)]
    then: String,
}

async fn ask_for_token(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let then = asked::<Then>(&uri).map(|asked| asked.then).unwrap_or_default();
    if !shared.access.has_token() {
        return Refused(Arc::clone(&shared), Problem::new(StatusCode::FORBIDDEN, NO_TOKEN)).into_response();
    }
    shared.pages.sign_in(&then, None).into_response()
}

#[derive(Deserialize)]
struct SignIn {
    token: String,
    #[serde(default)]
    then: String,
}

async fn sign_in(State(shared): State<Arc<Shared>>, Form(given): Form<SignIn>) -> Response {
    match shared.access.sign_in(&given.token).await {
        Ok(cookie) => ([(SET_COOKIE, cookie)], onward(&given.then)).into_response(),
        Err(denied) => {
            let problem = refusal(denied);
            (problem.status(), shared.pages.sign_in(&given.then, Some(&problem.detail))).into_response()
        }
    }
}

async fn sign_out(
    State(shared): State<Arc<Shared>>,
    Extension(standing): Extension<Standing>,
    headers: HeaderMap,
    Form(press): Form<Press>,
) -> Result<Response, Refused> {
    press.is_meant(&standing).map_err(|problem| Refused(Arc::clone(&shared), problem))?;
    Ok(([(SET_COOKIE, shared.access.sign_out(&headers))], Redirect::to("/")).into_response())
}
