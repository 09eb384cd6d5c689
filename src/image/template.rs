//! Renders Dockerfile.test. Pure: validated triggers in, text out.
//!
//! Owns the traps of a generated recipe: ENTRYPOINT reset, the writable results directory, and the map from
//! generated lines back to the author's.

mod placement;

pub use placement::results_after;

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
    /// The author's line behind which the results directory is made, 0 for the place before all triggers; without one
    /// it is made at the end.
    pub results_after: Option<u32>,
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
    /// The line that makes the results directory.
    results_line: u32,
    /// First line behind the recipe: from here on every instruction is ours.
    own_line: u32,
}

impl Rendered {
    /// Whether the instruction in that line of the text is not the author's.
    #[must_use]
    pub fn is_own(&self, line: u32) -> bool {
        line == self.results_line || line >= self.own_line
    }

    /// The line in the author's own Dockerfile.test of a line of the text.
    #[must_use]
    pub const fn author_line(&self, line: u32) -> u32 {
        if line > self.results_line { line - 1 } else { line }
    }
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
    let author = recipe.author.map(|text| split(text, recipe.results_after));
    let results = recipe.results.map(|path| {
        let (parent, _) = path.rsplit_once('/').unwrap_or(("", path));
        context! {
            tree => json(&format!("{RESULTS_TREE}/")),
            parent => json(&format!("{parent}/")),
            path => json(path),
            first => recipe.results_after.is_some(),
        }
    });
    let mut environment = Environment::new();
    environment.set_trim_blocks(false);
    environment.set_keep_trailing_newline(true);
    let text = environment.render_str(
        TEMPLATE,
        context! {
            author => author,
            from => recipe.from,
            triggers => recipe.triggers,
            results => results,
            reset_entrypoint => recipe.reset_entrypoint,
            repeated_command => recipe.command.into_iter().collect::<Vec<_>>(),
        },
    )?;
    let before = author.as_ref().map_or(1, |(head, _)| lines(head));
    let early = u32::from(recipe.results.is_some() && recipe.results_after.is_some());
    let mut line = before + 1 + early;
    let trigger_lines = recipe
        .triggers
        .iter()
        .map(|trigger| {
            let first = line;
            line += lines(trigger).max(1);
            first
        })
        .collect();
    let own_line = author.as_ref().map_or(line, |(_, tail)| line + lines(tail));
    let results_line = if early == 1 { before + 1 } else { own_line };
    Ok(Rendered { text, trigger_lines, results_line, own_line })
}

/// The author's text up to and behind that line; both end with a line end.
fn split(text: &str, after: Option<u32>) -> (String, String) {
    let mut text = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let Some(after) = after else { return (text, String::new()) };
    let head = text.split_inclusive('\n').take(after as usize).map(str::len).sum();
    let tail = text.split_off(head);
    (text, tail)
}

fn lines(text: &str) -> u32 {
    u32::try_from(text.lines().count()).unwrap_or(u32::MAX)
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
        assert_eq!((rendered.own_line, rendered.results_line), (4, 4));
    }

    #[test]
    fn the_results_directory_can_be_made_behind_a_line_of_the_author() {
        let author = "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCOPY a /a\nCMD /a";
        let recipe = Recipe {
            author: Some(author),
            results: Some("/results"),
            results_after: Some(2),
            ..Recipe::default()
        };
        let rendered = render(&recipe).unwrap();
        assert_eq!(
            rendered.text,
            "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCOPY [\".docker-test/results/\", \"/\"]\nCOPY a /a\nCMD /a\n\
             VOLUME [\"/results\"]\n"
        );
        let own: Vec<u32> = (1..8).filter(|line| rendered.is_own(*line)).collect();
        assert_eq!(own, [3, 6, 7]);
        assert_eq!([2, 4, 5].map(|line| rendered.author_line(line)), [2, 3, 4]);
    }

    #[test]
    fn the_results_directory_can_be_made_before_all_triggers() {
        let triggers = triggers(&["COPY a \\\n  /b", "CMD x"]);
        let recipe = Recipe {
            from: "x",
            triggers: &triggers,
            results: Some("/results"),
            results_after: Some(0),
            ..Recipe::default()
        };
        let rendered = render(&recipe).unwrap();
        assert_eq!(
            rendered.text,
            "FROM x\nCOPY [\".docker-test/results/\", \"/\"]\nCOPY a \\\n  /b\nCMD x\nVOLUME [\"/results\"]\n"
        );
        assert_eq!((rendered.trigger_lines, rendered.own_line, rendered.results_line), (vec![3, 5], 6, 2));
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
