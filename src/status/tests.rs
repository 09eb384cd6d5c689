use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HOST, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::history::outbox::{Change, Limits, RunRecord, Store};
use crate::notify::outbox::in_memory;
use crate::notify::policy::Silence;
use crate::probe::{Attempt, Identity, Measurement, Observation, ProbeRun, State, Verdict};
use crate::watch::Origin;
use crate::watch::board::{
    Desk, Health, LastRun, Mark, ProbeView, Request, RequestError, SilenceView, Silenced, board,
};

pub(super) const TOKEN: &str = "a-token-of-some-length";
const NOW: i64 = 1_800_000_000;
/// What probes have said to take over a page.
const HOSTILE: &str = "</script><img src=x onerror=\"owned=1\">'{{ 7*7 }}";

/// A page with a daemon behind it that does what it is asked for, and notes it.
pub(super) struct Scene {
    pub(super) url: String,
    store: Store,
    client: Client,
    tasks: [JoinHandle<()>; 2],
    asked: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn view(name: &str, verdict: Option<Verdict>) -> ProbeView {
    let mark = |at, verdict| Mark { at: NOW - at, verdict, seconds: 0.25 };
    ProbeView {
        identity: Identity {
            name: name.to_owned(),
            kind: "integration".to_owned(),
            host: "staging".to_owned(),
            tags: vec!["team:shop".to_owned()],
        },
        origin: Origin::File { path: "docker-test.yaml".to_owned() },
        schedule: "R//PT1H".to_owned(),
        events: vec!["deploy shop-*".to_owned()],
        next: Some(NOW + 600),
        running_since: None,
        last: verdict.map(|verdict| LastRun {
            id: "r1".to_owned(),
            at: NOW - 60,
            verdict,
            seconds: 0.25,
            attempts: 2,
            passed: usize::from(verdict.is_pass()),
            summary: HOSTILE.to_owned(),
            measurements: [Measurement { name: "time".to_owned(), value: 0.2, unit: "s".to_owned() }].into(),
        }),
        open_since: (verdict == Some(Verdict::Failed)).then_some(NOW - 3_600),
        is_flapping: false,
        silenced_until: None,
        skipped: 2,
        recent: verdict
            .into_iter()
            .flat_map(|verdict| [mark(3_660, Verdict::Passed), mark(60, verdict)])
            .collect(),
    }
}

fn silence(id: Option<&str>) -> SilenceView {
    let silence = Silence { from: NOW - 10, until: NOW + 3_600, reason: HOSTILE.to_owned() };
    SilenceView { id: id.map(str::to_owned), probes: "shop.*".to_owned(), matches: 2, silence }
}

/// The page speaks no TLS; the client has to be given something.
fn no_tls() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    builder.unwrap().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
}

async fn serve(mut desk: Desk, asked: Arc<std::sync::Mutex<Vec<String>>>) {
    while let Some(request) = desk.requests.recv().await {
        let note = |text: String| asked.lock().unwrap().push(text);
        match request {
            Request::Run { probe, answer } if probe == "none" => {
                let _ = answer.send(Err(RequestError::Unknown("probe none".to_owned())));
            }
            Request::Run { probe, answer } => {
                note(format!("run {probe}"));
                let _ = answer.send(Ok(()));
            }
            Request::Silence { probes, silence, answer } => {
                note(format!("silence {probes} {} {}", silence.until - silence.from, silence.reason));
                let _ = answer.send(Ok(Silenced { id: "s2".to_owned(), matches: 0 }));
            }
            Request::Lift { id, answer } => {
                note(format!("lift {id}"));
                let _ = answer.send(Ok(()));
            }
            Request::Answer { answer } => {
                let _ = answer.send(Ok(()));
            }
        }
    }
}

impl Scene {
    pub(super) async fn new(address: &str, token: Option<&str>) -> Self {
        let views = [
            view("shop.up", Some(Verdict::Passed)),
            view("shop/down", Some(Verdict::Failed)),
            view("shop.retry", Some(Verdict::PassedOnRetry)),
            view("mail new", None),
        ];
        Self::of(views, address, token).await
    }

    async fn of(views: impl IntoIterator<Item = ProbeView>, address: &str, token: Option<&str>) -> Self {
        let store = in_memory(Limits::default()).unwrap();
        let (board, desk) = board(store.clone());
        for view in views {
            desk.show(Arc::new(view));
        }
        desk.show_silences(vec![silence(Some("s1")), silence(None)]);
        let problems = vec![HOSTILE.to_owned()];
        desk.show_health(Health { started_at: NOW - 86_400, is_ready: true, problems });
        let status = Status {
            board,
            clock: Arc::new(|| Timestamp::from_second(NOW).unwrap()),
            tags: UnifiedTags { env: Some("prod".to_owned()), ..UnifiedTags::default() },
            token: token.map(|token| Token::parse(token).unwrap()),
        };
        let server = Server::bind(address.parse().unwrap(), status).await.unwrap();
        let url = format!("http://127.0.0.1:{}", server.address().port());
        let asked = Arc::default();
        let tasks = [tokio::spawn(server.serve()), tokio::spawn(serve(desk, Arc::clone(&asked)))];
        let client = Client::builder()
            .tls_backend_preconfigured(no_tls())
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Self { url, store, client, tasks, asked }
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(super) async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.request(Method::GET, path).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    pub(super) fn with_token(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(TOKEN)
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    async fn form(&self, path: &str, cookie: &str, pairs: &[(&str, &str)]) -> Response {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.request(Method::POST, path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", cookie)
            .body(body)
            .send()
            .await
            .unwrap()
    }

    /// Signs in, and gives the cookie and what stands in forms.
    async fn signed_in(&self) -> (String, String) {
        let answer = self.form("/sign-in", "", &[("token", TOKEN), ("then", "/")]).await;
        assert_eq!(
            (answer.status(), answer.headers()[LOCATION].as_bytes()),
            (StatusCode::SEE_OTHER, &b"/"[..])
        );
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let page = self
            .request(Method::GET, "/")
            .header("cookie", &cookie)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let form = page.split("name=\"form\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        (cookie, form)
    }
}

const HERE: &str = "127.0.0.1:0";

#[tokio::test]
async fn the_overview_shows_the_worst_first_and_nothing_that_was_said_becomes_markup() {
    let scene = Scene::new(HERE, None).await;
    let (status, page) = scene.get("/").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("<title>1 of 4 down · docker-test</title>"), "{page}");
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}: {page}"));
    assert!(at(">shop&#x2f;down</a>") < at(">shop.retry</a>") && at(">shop.retry</a>") < at(">mail new</a>"));
    assert!(at(">mail new</a>") < at(">shop.up</a>"));
    at("href=\"&#x2f;probes&#x2f;shop%2Fdown\"");
    at(
        "incident began <time datetime=\"2027-01-15T07:00:00Z\" title=\"2027-01-15T07:00:00Z\">60 min ago</time>",
    );
    at("next <time");
    at("2 runs: 1 down; median 250ms, longest 250ms");
    assert!(!page.contains("<img") && page.contains("&lt;img"), "{page}");
    // Nobody may act.
    assert!(!page.contains("Run now") && page.contains("DOCKER_TEST_WATCH_TOKEN"), "{page}");
}

#[tokio::test]
async fn the_list_is_narrowed_by_text_and_condition() {
    let scene = Scene::new(HERE, None).await;
    let (_, page) = scene.get("/?q=SHOP&condition=warning").await;
    assert!(page.contains(">shop.retry</a>") && !page.contains(">shop.up</a>"), "{page}");
    assert!(page.contains("aria-current=\"true\"") && page.contains("value=\"SHOP\""));
    let (_, page) = scene.get("/?q=nothing&condition=sideways&page=x").await;
    assert!(page.contains("No probe is like that."), "{page}");
}

#[tokio::test]
async fn a_probe_has_its_page_and_an_unknown_one_says_so() {
    let scene = Scene::new(HERE, None).await;
    let (status, page) = scene.get("/probes/shop%2Fdown").await;
    assert_eq!(status, StatusCode::OK);
    for text in [
        "shop&#x2f;down",
        "R&#x2f;&#x2f;PT1H",
        "deploy shop-*",
        "2 since the start",
        "in 10 min",
        "failed in 250ms, 60 s ago",
    ] {
        assert!(page.contains(text), "no {text}: {page}");
    }
    let (status, page) = scene.get("/probes/none").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(page.contains("there is no probe none") && page.contains("<html"), "{page}");
}

/// A run so many before the newest, with words of its own.
fn run(probe: &Identity, before: i64, state: State) -> ProbeRun {
    let started_at = NOW - before * 60;
    let text = format!("saw-{before}-there");
    let seen = Observation { state, summary: text, output: String::new(), measurements: Vec::new() };
    let attempt = Attempt { number: 1, started_at, seconds: 0.25, seen, timed_out: false, cleanup: None };
    ProbeRun {
        id: before.to_string(),
        probe: probe.clone(),
        started_at,
        seconds: 0.25,
        attempts: vec![attempt],
        error: None,
    }
}

#[tokio::test]
async fn the_last_failure_is_shown_also_where_it_is_older_than_the_runs_that_are() {
    let mut view = view("shop.up", Some(Verdict::Passed));
    let failed = [30, 40];
    let runs: Vec<ProbeRun> = (0..48)
        .rev()
        .map(|before| {
            let state = if failed.contains(&before) { State::Critical } else { State::Ok };
            run(&view.identity, before, state)
        })
        .collect();
    view.recent =
        runs.iter().map(|run| Mark { at: run.started_at, verdict: run.verdict(), seconds: 0.25 }).collect();
    let scene = Scene::of([view], HERE, None).await;
    for run in &runs {
        let (probe, text) = (run.probe.key(), serde_json::to_string(run).unwrap());
        let record = RunRecord { probe, run: text, keep: 500, bytes: u64::MAX };
        scene.store.apply(Change { run: Some(record), ..Change::default() }, NOW).await.unwrap();
    }
    let (status, page) = scene.get("/probes/shop.up").await;
    assert_eq!(status, StatusCode::OK);
    for shown in [0, 19, 30] {
        assert!(page.contains(&format!("saw-{shown}-there")), "no {shown}: {page}");
    }
    for left in [20, 29, 40] {
        assert!(!page.contains(&format!("saw-{left}-there")), "{left} is there: {page}");
    }
}

#[tokio::test]
async fn a_browser_signs_in_runs_silences_lifts_and_signs_out() {
    let scene = Scene::new(HERE, Some(TOKEN)).await;
    let (cookie, form) = scene.signed_in().await;
    let none: &[(&str, &str)] = &[];
    let forms = [
        ("/probes/shop%2Fdown/run", none, "run shop/down"),
        ("/silences", &[("probes", "shop.*"), ("for", "2h"), ("reason", "move")], "silence shop.* 7200 move"),
        ("/silences/s1/lift", &[], "lift s1"),
    ];
    for (path, more, asked) in forms {
        let ours = [("form", form.as_str()), ("then", "/?q=a")];
        let pairs: Vec<(&str, &str)> = ours.into_iter().chain(more.iter().copied()).collect();
        let answer = scene.form(path, &cookie, &pairs).await;
        assert_eq!(
            (answer.status(), answer.headers()[LOCATION].as_bytes()),
            (StatusCode::SEE_OTHER, &b"/?q=a"[..]),
            "{path}"
        );
        assert_eq!(scene.asked(), [asked]);
        // Another site's form has the cookie, and not what stands in ours.
        let forged: Vec<(&str, &str)> = [("form", "x")].into_iter().chain(more.iter().copied()).collect();
        assert_eq!(scene.form(path, &cookie, &forged).await.status(), StatusCode::FORBIDDEN);
        assert_eq!(scene.form(path, "", &pairs).await.status(), StatusCode::FORBIDDEN);
        assert_eq!(scene.asked(), [""; 0]);
    }
    let wrong = scene.form("/silences", &cookie, &[("form", &form), ("probes", "a"), ("for", "soon")]).await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().await.unwrap().contains("for: "));
    let away = scene.form("/probes/a/run", &cookie, &[("form", &form), ("then", "//example.com")]).await;
    assert_eq!(&away.headers()[LOCATION], "/");
    let out = scene.form("/sign-out", &cookie, &[("form", &form)]).await;
    assert_eq!(out.status(), StatusCode::SEE_OTHER);
    let page =
        scene.request(Method::GET, "/").header("cookie", &cookie).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("sign-in?then=") && !page.contains("Run now"), "{page}");
}

#[tokio::test]
async fn a_wrong_token_signs_nobody_in_and_is_not_shown() {
    let scene = Scene::new(HERE, Some(TOKEN)).await;
    let answer = scene.form("/sign-in", "", &[("token", "another-token-than-ours")]).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(answer.headers().get(SET_COOKIE).is_none());
    let page = answer.text().await.unwrap();
    assert!(page.contains("the token is not the daemon") && !page.contains("another-token"), "{page}");
    assert_eq!(Scene::new(HERE, None).await.get("/sign-in").await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_other_machines_reach_shows_nothing_without_the_token() {
    let scene = Scene::new("0.0.0.0:0", Some(TOKEN)).await;
    for path in ["/api/v1/probes", "/metrics", "/api/v1/openapi.json"] {
        let answer = scene.request(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        assert_eq!(
            scene.with_token(Method::GET, path).send().await.unwrap().status(),
            StatusCode::OK,
            "{path}"
        );
    }
    let answer = scene.request(Method::GET, "/probes/a?b").send().await.unwrap();
    assert_eq!(
        (answer.status(), answer.headers()[LOCATION].as_bytes()),
        (StatusCode::SEE_OTHER, &b"/sign-in?then=%2Fprobes%2Fa%3Fb"[..])
    );
    assert_eq!(scene.get("/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
    assert_eq!(scene.get("/readyz").await, (StatusCode::OK, "ready\n".to_owned()));
    let (_, page) = scene.get("/sign-in").await;
    assert!(!page.contains("shop"), "{page}");
}

#[tokio::test]
async fn other_names_and_other_sites_are_turned_away() {
    let scene = Scene::new(HERE, Some(TOKEN)).await;
    let named = scene.request(Method::GET, "/").header(HOST, "evil.example").send().await.unwrap();
    assert_eq!(named.status(), StatusCode::MISDIRECTED_REQUEST);
    let run = scene.with_token(Method::POST, "/api/v1/probes/shop.up/run");
    let from_elsewhere = run.header(ORIGIN, "https://evil.example").send().await.unwrap();
    assert_eq!(from_elsewhere.status(), StatusCode::FORBIDDEN);
    assert_eq!(scene.asked(), [""; 0]);
}

#[tokio::test]
async fn every_answer_forbids_a_browser_what_it_does_not_mean() {
    let scene = Scene::new(HERE, None).await;
    for path in ["/", "/probes/none", "/api/v1/status", "/nothing", "/metrics"] {
        let answer = scene.request(Method::GET, path).send().await.unwrap();
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert_eq!(
            (&answer.headers()["x-content-type-options"], &answer.headers()["cache-control"]),
            (&"nosniff".parse().unwrap(), &"no-store".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn the_scrape_has_each_probes_last_run_and_the_daemon_itself() {
    let scene = Scene::new(HERE, None).await;
    let answer = scene.request(Method::GET, "/metrics").send().await.unwrap();
    assert_eq!(&answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.unwrap();
    let labels = r#"{probe="shop/down",host="staging",type="integration""#;
    for line in [
        format!("docker_test_probe_success{labels},env=\"prod\",team=\"shop\"}} 0"),
        format!("docker_test_probe_incident{labels}}} 1"),
        format!("docker_test_probe_skipped_runs_total{labels}}} 2"),
        format!("docker_test_probe_attempts{labels},env=\"prod\",team=\"shop\",result=\"failure\"}} 2"),
        format!(
            "docker_test_probe_measurement{labels},env=\"prod\",team=\"shop\",measure=\"time\",unit=\"s\"}} 0.2"
        ),
        "docker_test_watch_probes 4".to_owned(),
        "docker_test_watch_ready 1".to_owned(),
        "docker_test_watch_problems 1".to_owned(),
        "docker_test_watch_silences 2".to_owned(),
        format!("docker_test_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(text.lines().any(|of| of == line), "no {line}: {text}");
    }
    let names: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), names.len(), "a family stands twice: {names:?}");
}

#[tokio::test]
async fn an_answer_is_a_problem_where_there_is_no_such_thing() {
    let scene = Scene::new(HERE, Some(TOKEN)).await;
    let expect = |status: u16, title: &str, detail: &str| json!({ "status": status, "title": title, "detail": detail });
    let none = scene.request(Method::GET, "/nothing").send().await.unwrap();
    assert_eq!(&none.headers()["content-type"], "application/problem+json");
    assert_eq!(none.json::<Value>().await.unwrap(), expect(404, "Not Found", "there is nothing at /nothing"));
    let put = scene.with_token(Method::PUT, "/api/v1/probes").send().await.unwrap();
    assert_eq!(
        put.json::<Value>().await.unwrap(),
        expect(405, "Method Not Allowed", "/api/v1/probes does not take PUT")
    );
}

#[tokio::test]
async fn what_the_framework_refuses_is_a_problem_for_programs_and_a_page_for_people() {
    let scene = Scene::new(HERE, Some(TOKEN)).await;
    let large = "x".repeat((2 << 20) + 1);
    let silences = || scene.with_token(Method::POST, "/api/v1/silences");
    for (request, status, expected) in [
        (silences().body(large), 413, "2 MB at most"),
        (silences().body("probes=a"), 400, "expected a JSON object"),
        (silences().body("{}"), 422, "missing field `probes`"),
        (scene.request(Method::GET, "/api/v1/probes/%FF"), 400, "UTF-8"),
        (scene.with_token(Method::PATCH, "/api/v1/silences"), 405, "does not take PATCH"),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{expected}");
        assert_eq!(&answer.headers()["content-type"], "application/problem+json", "{expected}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["status"], status);
        assert!(problem["detail"].as_str().unwrap().contains(expected), "{problem}");
    }
    let (cookie, _) = scene.signed_in().await;
    let form = scene.request(Method::POST, "/silences").header("cookie", &cookie);
    let answer = form.header("content-type", "application/json").body("{}").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let page = answer.text().await.unwrap();
    assert!(page.contains("<html") && page.contains("form"), "{page}");
    assert_eq!(scene.asked(), [""; 0]);
}

#[tokio::test]
async fn a_daemon_that_is_gone_is_not_alive() {
    let (board, desk) = board(in_memory(Limits::default()).unwrap());
    drop(desk);
    assert!(!board.is_alive().await);
}
