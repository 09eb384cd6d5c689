//! Renders Dockerfile.test. Pure: validated triggers in, text out.
//!
//! Owns the traps of a generated recipe: ENTRYPOINT reset, the writable results directory, and the map from
//! generated lines back to the author's.

use minijinja::{Environment, context};

use crate::error::{Category, Diagnose};

/// The template that the text is rendered from; part of the rebuild key through its rendered text.
const TEMPLATE: &str = include_str!("../../templates/Dockerfile.test.jinja");

/// Directory in the build context that is ours: the generated Dockerfile and the results tree.
pub const RESERVED: &str = ".docker-test";

/// Where the generated Dockerfile lies in the build context.
pub const DOCKERFILE: &str = ".docker-test/Dockerfile";

/// Where the tree whose last directory becomes the results directory lies in the build context.
pub const RESULTS_TREE: &str = ".docker-test/results";

/// Build argument that a Dockerfile.test of the author's own takes its base from.
pub const TEST_IMAGE_ARGUMENT: &str = "TEST_IMAGE";

/// What the text is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipe<'a> {
    /// What FROM names, where the recipe is a list of triggers.
    pub from: &'a str,
    /// The author's own Dockerfile.test, which then replaces FROM and triggers.
    pub author: Option<&'a str>,
    /// Instructions, each validated as exactly one.
    pub triggers: &'a [String],
    /// The results path: absolute and clean.
    pub results: Option<&'a str>,
    /// Reset the target's ENTRYPOINT, because the recipe has a CMD and no ENTRYPOINT of its own. Resetting it can
    /// clear a CMD that was set before, so the recipe's CMD is repeated.
    pub reset_entrypoint: bool,
    /// That CMD instruction.
    pub command: Option<&'a str>,
}

/// The text, and where each trigger begins in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Dockerfile.test.
    pub text: String,
    /// First line of each trigger in `text`, counted from 1.
    pub trigger_lines: Vec<u32>,
    /// First line behind the recipe: from here on every instruction is ours.
    pub own_line: u32,
}

/// The template could not be rendered.
#[derive(Debug, thiserror::Error)]
#[error("cannot render Dockerfile.test")]
pub struct TemplateError(#[from] minijinja::Error);

impl Diagnose for TemplateError {
    fn category(&self) -> Category {
        Category::Internal
    }
}

/// Renders a recipe.
pub fn render(recipe: &Recipe<'_>) -> Result<Rendered, TemplateError> {
    let author: Option<String> = recipe.author.map(|text| {
        let mut text = text.to_owned();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text
    });
    let results = recipe.results.map(|path| {
        let (parent, _) = path.rsplit_once('/').unwrap_or(("", path));
        context! {
            tree => json(&format!("{RESULTS_TREE}/")),
            parent => json(&format!("{parent}/")),
            path => json(path),
        }
    });
    let mut environment = Environment::new();
    environment.set_trim_blocks(false);
    environment.set_keep_trailing_newline(true);
    let text = environment.render_str(
        TEMPLATE,
        context! {
            author => author.as_deref(),
            from => recipe.from,
            triggers => recipe.triggers,
            results => results,
            reset_entrypoint => recipe.reset_entrypoint,
            repeated_command => recipe.command.into_iter().collect::<Vec<_>>(),
        },
    )?;
    let mut line = 2;
    let trigger_lines = recipe
        .triggers
        .iter()
        .map(|trigger| {
            let first = line;
            line += u32::try_from(trigger.lines().count().max(1)).unwrap_or(u32::MAX);
            first
        })
        .collect();
    if let Some(author) = &author {
        line = u32::try_from(author.lines().count()).unwrap_or(u32::MAX).saturating_add(1);
    }
    Ok(Rendered { text, trigger_lines, own_line: line })
}

/// The last component of the results path: the name of the directory in the results tree.
#[must_use]
pub fn results_directory_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn triggers(list: &[&str]) -> Vec<String> {
        list.iter().map(|trigger| (*trigger).to_owned()).collect()
    }

    #[test]
    fn triggers_stand_between_from_and_the_results_directory() {
        let triggers = triggers(&["COPY tests /tests", "CMD [\"/test.sh\"]"]);
        let rendered = render(&Recipe {
            from: "shop:1.4",
            triggers: &triggers,
            results: Some("/var/tests/results"),
            reset_entrypoint: true,
            command: Some("CMD [\"/test.sh\"]"),
            ..Recipe::default()
        })
        .unwrap();
        assert_eq!(
            rendered.text,
            "FROM shop:1.4\n\
             COPY tests /tests\n\
             CMD [\"/test.sh\"]\n\
             COPY [\".docker-test/results/\", \"/var/tests/\"]\n\
             VOLUME [\"/var/tests/results\"]\n\
             ENTRYPOINT []\n\
             CMD [\"/test.sh\"]\n"
        );
    }

    #[test]
    fn a_dockerfile_of_the_author_is_kept_to_the_byte_and_extended_after_its_last_line() {
        let author = "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nRUN echo '{{ 7 * 7 }} <&>' # x";
        let rendered =
            render(&Recipe { author: Some(author), results: Some("/results"), ..Recipe::default() }).unwrap();
        assert_eq!(
            rendered.text,
            format!("{author}\nCOPY [\".docker-test/results/\", \"/\"]\nVOLUME [\"/results\"]\n")
        );
        assert_eq!(rendered.own_line, 4);
    }

    #[test]
    fn text_of_a_trigger_is_never_read_as_a_template() {
        let triggers = triggers(&["RUN echo {{ from }} {% raw %} {# #}"]);
        let rendered = render(&Recipe { from: "x", triggers: &triggers, ..Recipe::default() }).unwrap();
        assert_eq!(rendered.text, "FROM x\nRUN echo {{ from }} {% raw %} {# #}\n");
    }

    #[test]
    fn lines_of_triggers_are_known_across_continuations_and_heredocs() {
        let triggers = triggers(&["RUN a \\\n  b", "RUN <<EOF\nc\nEOF", "CMD x"]);
        let rendered = render(&Recipe { from: "x", triggers: &triggers, ..Recipe::default() }).unwrap();
        assert_eq!((rendered.trigger_lines, rendered.own_line), (vec![2, 4, 7], 8));
        let lines: Vec<&str> = rendered.text.lines().collect();
        assert_eq!((lines[1], lines[3], lines[6]), ("RUN a \\", "RUN <<EOF", "CMD x"));
    }

    #[test]
    fn a_quote_in_the_results_path_stays_inside_its_string() {
        let rendered =
            render(&Recipe { from: "x", results: Some("/a\"b/c d"), ..Recipe::default() }).unwrap();
        assert!(rendered.text.contains(r#"VOLUME ["/a\"b/c d"]"#), "{}", rendered.text);
    }
}
