//! The templates, and the policy that lets nothing run but our own script.
//!
//! Owns how a page becomes text. Everything shown is escaped; no data stands inside of a script.

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{AutoEscape, Environment, HtmlEscape, UndefinedBehavior, context};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::overview::Overview;
use super::probe;
use crate::status::problem::Problem;

const TEMPLATES: [(&str, &str); 6] = [
    ("parts", include_str!("../../../templates/status/parts.html.jinja")),
    ("base", include_str!("../../../templates/status/base.html.jinja")),
    ("overview", include_str!("../../../templates/status/overview.html.jinja")),
    ("probe", include_str!("../../../templates/status/probe.html.jinja")),
    ("sign-in", include_str!("../../../templates/status/sign-in.html.jinja")),
    ("problem", include_str!("../../../templates/status/problem.html.jinja")),
];
/// Its colours are those of the report.
const STYLE: &str = concat!(
    include_str!("../../../templates/palette.css"),
    include_str!("../../../templates/status/status.css")
);
const SCRIPT: &str = include_str!("../../../templates/status/status.js");

/// All pages.
#[derive(Debug)]
pub(in crate::status) struct Pages {
    environment: Environment<'static>,
    policy: String,
}

/// A page with the policy that it needs.
pub(in crate::status) struct Page {
    text: String,
    policy: String,
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let headers =
            [(CONTENT_TYPE, "text/html; charset=utf-8".to_owned()), (CONTENT_SECURITY_POLICY, self.policy)];
        (headers, self.text).into_response()
    }
}

impl Pages {
    #[expect(
        clippy::expect_used,
        reason = "the templates are part of the program, and every one is rendered in a test"
    )]
    pub(in crate::status) fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        for (name, text) in TEMPLATES {
            environment.add_template(name, text).expect("each page is rendered in a test");
        }
        environment.add_global("style", STYLE);
        environment.add_global("script", SCRIPT);
        environment.add_global("version", env!("CARGO_PKG_VERSION"));
        Self { environment, policy: policy() }
    }

    pub(super) fn overview(&self, overview: &Overview) -> Page {
        self.render("overview", overview)
    }

    pub(super) fn probe(&self, page: &probe::Page) -> Page {
        self.render("probe", page)
    }

    /// Asks for the token. `fault` is what was wrong with the one before.
    pub(super) fn sign_in(&self, then: &str, fault: Option<&str>) -> Page {
        self.render("sign-in", &context! { title => "Sign in", tone => "none", then, fault })
    }

    pub(in crate::status) fn problem(&self, problem: &Problem) -> Page {
        self.render("problem", &context! { tone => "bad", problem, title => "It did not work" })
    }

    fn render(&self, name: &str, of: impl Serialize) -> Page {
        let template = self.environment.get_template(name);
        let text = template.and_then(|template| template.render(of)).unwrap_or_else(|error| {
            // Every page is rendered in a test: this is a fault that no test has met.
            HtmlEscape(&format!("{error:#}")).to_string()
        });
        Page { text, policy: self.policy.clone() }
    }
}

/// Only these two texts may style and act, whatever else gets into a page; forms and the script reach this server alone.
fn policy() -> String {
    let source = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; style-src {}; script-src {}; img-src data:; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
        source(STYLE),
        source(SCRIPT)
    )
}
