//! The run as one HTML page that needs nothing else: no network, no other file, and no JavaScript to be read.
//!
//! Owns the template and the policy that lets nothing run but our own script. Everything shown is escaped text in the
//! document; no data stands inside of a script, so that there is nothing for a test's output to break out of.

mod budget;
mod cases;
mod links;
mod page;
mod services;
mod timeline;

use std::io::Write;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use sha2::{Digest, Sha256};

use crate::report::{ExportError, Exporter};
use crate::results::RunResults;
use links::Links;

/// `--report html=PATH`.
pub struct Html;

const NAME: &str = "html";

const TEMPLATE: &str = include_str!("../../templates/report.html.jinja");
const STYLE: &str =
    concat!(include_str!("../../templates/palette.css"), include_str!("../../templates/report.css"));
const SCRIPT: &str = include_str!("../../templates/report.js");

impl Exporter for Html {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> &'static str {
        "one HTML page with filters and a timeline, to be opened anywhere"
    }

    fn export(&self, results: &RunResults, out: &mut dyn Write) -> Result<(), ExportError> {
        write(results, Links::none(), out)
    }

    fn export_at(&self, results: &RunResults, path: &Path, out: &mut dyn Write) -> Result<(), ExportError> {
        write(results, Links::from(path, results), out)
    }
}

fn write(results: &RunResults, links: Links<'_>, out: &mut dyn Write) -> Result<(), ExportError> {
    let page = render(results, links)
        .map_err(|error| ExportError::Encode { format: NAME, message: format!("{error:#}") })?;
    out.write_all(page.as_bytes()).map_err(|source| ExportError::Write { format: NAME, source })
}

fn render(results: &RunResults, links: Links<'_>) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.render_str(
        TEMPLATE,
        context! { page => page::of(results, links), policy => policy(), style => STYLE, script => SCRIPT },
    )
}

/// Only these two texts may style and act, whatever else gets into the page; nothing may be loaded or sent.
fn policy() -> String {
    let source = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
        source(STYLE),
        source(SCRIPT)
    )
}

#[cfg(test)]
mod tests;
