//! Settles ENTRYPOINT and CMD so that the test runs, and never `/app /test.sh`.

use super::container::ContainerSpec;
use super::{Request, Runs, Source};
use crate::metadata::dockerfile::{Arguments, Instruction};
use crate::metadata::labels::{TestCommand, TestLabels};
use crate::metadata::recipe::Recipe;

/// What was settled.
pub(super) struct Settled {
    /// For people.
    pub(super) runs: Runs,
    /// Dockerfile.test resets the target's ENTRYPOINT.
    pub(super) reset_entrypoint: bool,
    /// CMD instruction to repeat behind the reset.
    pub(super) repeated_command: Option<String>,
    /// Things the user should know.
    pub(super) warnings: Vec<String>,
}

/// Settles what `container` runs.
pub(super) fn settle(
    request: &Request,
    labels: &TestLabels,
    source: Source,
    recipe: &Recipe,
    container: &mut ContainerSpec,
) -> Settled {
    container.command.clone_from(&request.command);
    if container.command.is_none() && source == Source::Command {
        container.command = labels.cmd.as_ref().map(|command| match command {
            TestCommand::Exec(words) => words.clone(),
            TestCommand::Shell(line) => shell(line),
        });
    }
    let built = built_stages(&recipe.instructions);
    let own_cmd = last(&built, "CMD");
    let own_entrypoint = last(&built, "ENTRYPOINT");
    // A travelled test image brings both along, settled where it was built.
    let command_given = container.command.is_some() && source != Source::TestImage;
    if command_given && own_entrypoint.is_none() && container.entrypoint.is_none() {
        container.entrypoint = Some(Vec::new());
    }
    let mut warnings = Vec::new();
    // As with `docker run`: an ENTRYPOINT that is given takes the CMD of the image away.
    let image_cmd = own_cmd.filter(|_| container.entrypoint.is_none());
    if own_cmd.is_some() && image_cmd.is_none() && container.command.is_none() {
        warnings.push(format!(
            "--entrypoint takes the CMD of the recipe away: give its words after `--`, as in docker-test --entrypoint … {} -- ARG…",
            request.reference
        ));
    }
    let runs_something = own_cmd.is_some()
        || own_entrypoint.is_some()
        || container.command.is_some()
        || container.entrypoint.is_some()
        || source == Source::TestImage;
    if !runs_something {
        warnings.push(format!(
            "the recipe of {} has no CMD and no ENTRYPOINT: the image's own command runs as the test",
            request.reference
        ));
    }
    let reset_entrypoint = own_cmd.is_some() && own_entrypoint.is_none();
    let entrypoint = container.entrypoint.clone().or_else(|| match own_entrypoint {
        Some(instruction) => Some(words(instruction)),
        None => reset_entrypoint.then(Vec::new),
    });
    Settled {
        runs: Runs { entrypoint, command: container.command.clone().or_else(|| image_cmd.map(words)) },
        reset_entrypoint,
        repeated_command: own_cmd.map(|instruction| instruction.raw.clone()),
        warnings,
    }
}

/// The last stage, and before it the stages that it is built upon; what other stages say is somewhere else.
fn built_stages(instructions: &[Instruction]) -> Vec<&Instruction> {
    let is_from = |instruction: &Instruction| instruction.keyword == "FROM";
    let mut built: Vec<&Instruction> = Vec::new();
    let mut rest = instructions;
    let mut wanted: Option<String> = None;
    // Whatever stands before the first FROM is no stage, unless there is no FROM at all.
    while let Some(start) = rest.iter().rposition(is_from) {
        let (before, stage) = rest.split_at(start);
        rest = before;
        let words = stage.first().map(Instruction::words).unwrap_or_default();
        let name = words.get(2).filter(|_| words.get(1).is_some_and(|word| word.eq_ignore_ascii_case("as")));
        let is_wanted =
            wanted.as_deref().is_none_or(|wanted| name.is_some_and(|name| name.eq_ignore_ascii_case(wanted)));
        if is_wanted {
            built.splice(0..0, stage);
            wanted = Some(words.first().copied().unwrap_or_default().to_owned());
        }
    }
    if wanted.is_none() { instructions.iter().collect() } else { built }
}

fn last<'a>(instructions: &[&'a Instruction], keyword: &str) -> Option<&'a Instruction> {
    instructions.iter().rev().find(|instruction| instruction.keyword == keyword).copied()
}

fn words(instruction: &Instruction) -> Vec<String> {
    match &instruction.arguments {
        Arguments::Json(words) => words.clone(),
        Arguments::Text(line) => shell(line),
    }
}

fn shell(line: &str) -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-c".to_owned(), line.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::dockerfile::parse;

    #[test]
    fn a_stage_keeps_what_the_stages_below_it_say() {
        let text = b"ARG X\nFROM x AS one\nCMD 1\nFROM y AS two\nENTRYPOINT 2\nFROM ONE\nUSER 3\n";
        let parsed = parse(text).unwrap();
        let built: Vec<&str> =
            built_stages(&parsed.instructions).iter().map(|instruction| instruction.raw.as_str()).collect();
        assert_eq!(built, ["FROM x AS one", "CMD 1", "FROM ONE", "USER 3"]);
    }

    #[test]
    fn a_recipe_without_from_is_one_stage() {
        let parsed = parse(b"COPY a /\nCMD 1\n").unwrap();
        assert_eq!(built_stages(&parsed.instructions).len(), 2);
    }
}
