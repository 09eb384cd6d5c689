//! A template for JSON, in which no value can be more than a value.
//!
//! Owns how values get into the text. While a template is rendered, each stands there as a mark; the marks are replaced
//! afterwards, by who knows from the template's text alone whether a place is within a string. So `{{ summary }}` and
//! `"about {{ name }}"` are both right, and no text can end the string that it stands in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{of_alert, of_run};
use crate::error::{Category, Diagnose};
use crate::notify::{Action, Alert, Severity, Subject};
use crate::probe::{Identity, ProbeRun};

/// Of the characters that nobody may give a meaning to but whoever uses them.
const BEGIN: char = '\u{f0000}';
const END: char = '\u{f0001}';
/// These put text into a body as it is.
const REMOVED_FILTERS: [&str; 3] = ["safe", "escape", "e"];

/// A template that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It is no template, or asks for something that there is not.
    #[error("cannot render the webhook's template: {}", .0.to_string())]
    Render(#[from] minijinja::Error),
    /// It gives no JSON.
    #[error("the webhook's template does not give JSON: line {line}, column {column} of what it gives")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// It turns escaping off.
    #[error(
        "the webhook's template has an `autoescape` block: expected none, because values are always escaped"
    )]
    Autoescape,
}

impl Diagnose for TemplateError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Render(_) => Some(
                "a value that may be missing is written `{{ details.provider | default(\"\") }}`; the filters `safe` \
                 and `escape` do not exist here"
                    .to_owned(),
            ),
            Self::NotJson { .. } => {
                Some("a value is written `{{ summary }}`, or within quotes among other words".to_owned())
            }
            Self::Autoescape => None,
        }
    }
}

/// A template of minijinja that gives JSON.
#[derive(Clone)]
pub struct Template(String);

impl Template {
    /// Reads a template, and tries it on an alert and on a run.
    pub fn parse(source: impl Into<String>) -> Result<Self, TemplateError> {
        let template = Self(source.into());
        if template.0.contains("autoescape") {
            return Err(TemplateError::Autoescape);
        }
        for values in examples() {
            template.render(&values)?;
        }
        Ok(template)
    }

    /// The body for these values.
    pub(super) fn render(&self, values: &Value) -> Result<String, TemplateError> {
        let printed: Arc<Mutex<Vec<Value>>> = Arc::default();
        let rendered = environment(&printed).render_str(&self.0, values)?;
        let printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
        let body = fill(&rendered, &printed);
        match serde_json::from_str::<IgnoredAny>(&body) {
            Ok(_) => Ok(body),
            Err(error) => Err(TemplateError::NotJson { line: error.line(), column: error.column() }),
        }
    }
}

impl std::fmt::Debug for Template {
    /// A template may have a token in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Template").field("bytes", &self.0.len()).finish_non_exhaustive()
    }
}

/// One that prints marks, and keeps what they stand for in `printed`.
fn environment(printed: &Arc<Mutex<Vec<Value>>>) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Not `None`: what a block or a macro gave would count as a value then, and its marks as text.
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("json"));
    for filter in REMOVED_FILTERS {
        environment.remove_filter(filter);
    }
    let printed = Arc::clone(printed);
    environment.set_formatter(move |out, _, value| {
        if value.is_safe() {
            return Ok(out.write_str(value.as_str().unwrap_or_default())?);
        }
        let json = serde_json::to_value(value).map_err(|error| {
            minijinja::Error::new(minijinja::ErrorKind::BadSerialization, "cannot be JSON").with_source(error)
        })?;
        let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_fmt(format_args!("{BEGIN}{}{END}", printed.len()))?;
        printed.push(json);
        Ok(())
    });
    environment
}

/// The text with each mark replaced by its value: as text within a string, as JSON outside of one.
fn fill(rendered: &str, values: &[Value]) -> String {
    let mut body = String::with_capacity(rendered.len());
    let (mut is_in_string, mut is_escaped) = (false, false);
    let mut rest = rendered;
    while let Some(character) = rest.chars().next() {
        let after = rest.get(character.len_utf8()..).unwrap_or_default();
        if character == BEGIN
            && let Some((number, behind)) = after.split_once(END)
            && let Some(value) = number.parse().ok().and_then(|number: usize| values.get(number))
        {
            if is_escaped {
                // The backslash before the mark must not touch the value.
                body.push('\\');
                is_escaped = false;
            }
            if is_in_string {
                push_text(&mut body, value);
            } else {
                body.push_str(&value.to_string());
            }
            rest = behind;
            continue;
        }
        if is_in_string {
            let ends = character == '"' && !is_escaped;
            is_escaped = character == '\\' && !is_escaped;
            is_in_string = !ends;
        } else {
            is_in_string = character == '"';
        }
        body.push(character);
        rest = after;
    }
    body
}

fn push_text(body: &mut String, value: &Value) {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let quoted = Value::String(text).to_string();
    body.push_str(quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default());
}

/// What a template is tried on.
fn examples() -> [Value; 2] {
    let probe = Identity {
        name: "example".to_owned(),
        kind: "integration".to_owned(),
        host: "example.invalid".to_owned(),
        tags: Vec::new(),
    };
    let alert = Alert {
        action: Action::Trigger,
        subject: Subject::Target,
        dedup_key: "example".to_owned(),
        probe: probe.clone(),
        severity: Severity::Critical,
        summary: "example".to_owned(),
        details: BTreeMap::new(),
        run: "example".to_owned(),
        at: 0,
        since: 0,
        reminder: false,
        route: Vec::new(),
    };
    let run = ProbeRun {
        id: "example".to_owned(),
        probe,
        started_at: 0,
        seconds: 1.0,
        attempts: Vec::new(),
        error: Some("example".to_owned()),
    };
    [of_alert(&alert), of_run(&run)]
}
