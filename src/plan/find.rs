//! Finds the recipe: the first of the sources that applies, read but not yet validated.

use std::path::Path;

use super::{Facts, PlanError, Request, Source};
use crate::image::key::content;
use crate::image::sources::SourceFile;
use crate::image::template::TEST_IMAGE_ARGUMENT;
use crate::metadata::dockerfile::{self, Instruction, Trigger};
use crate::metadata::labels::{self, Inherit, TestLabels, ours};

/// A recipe before it is planned.
pub(super) struct Found {
    pub(super) source: Source,
    pub(super) reason: String,
    /// Where it was written: a path, or a label.
    pub(super) origin: String,
    pub(super) triggers: Vec<Trigger>,
    /// The triggers stand in lines that the author can look up.
    pub(super) lines: bool,
    pub(super) author: Option<(String, dockerfile::Dockerfile)>,
}

impl Found {
    fn plain(source: Source, reason: String, origin: &str) -> Self {
        Self { source, reason, origin: origin.to_owned(), triggers: Vec::new(), lines: false, author: None }
    }
}

/// Finds the first source that applies.
pub(super) fn find(request: &Request, facts: &Facts<'_>, labels: &TestLabels) -> Result<Found, PlanError> {
    if let Some(file) = &facts.directory.chosen {
        let reason = format!("-f names {}", file.path.display());
        return match ontest(file, request)? {
            Some(triggers) => Ok(from_dockerfile(file, triggers, reason)),
            None => author(file, reason, request),
        };
    }
    if let Some(found) = from_label(request, labels)? {
        return Ok(found);
    }
    if !facts.target.onbuild.is_empty() {
        let triggers = facts.target.onbuild.iter().map(|text| trigger_of(text)).collect();
        return Ok(Found {
            triggers,
            ..Found::plain(
                Source::Onbuild,
                "the image has ONBUILD triggers".to_owned(),
                "ONBUILD of the image",
            )
        });
    }
    if let Some(file) = &facts.directory.recipe {
        return author(file, format!("{} is there", file.path.display()), request);
    }
    if let Some(file) = &facts.directory.dockerfile
        && let Some(triggers) = ontest(file, request)?
    {
        return Ok(from_dockerfile(file, triggers, format!("{} has ONTEST lines", file.path.display())));
    }
    if request.command.is_some() {
        return Ok(Found::plain(Source::Command, "a command was given after --".to_owned(), "--"));
    }
    if labels.cmd.is_some() {
        return Ok(Found::plain(Source::Command, "the image has the label test.cmd".to_owned(), labels::CMD));
    }
    travelled_test_image(request, facts).ok_or_else(|| PlanError::NoRecipe {
        image: request.reference.clone(),
        directory: facts.directory.directory.clone(),
    })
}

fn from_label(request: &Request, labels: &TestLabels) -> Result<Option<Found>, PlanError> {
    let Some(texts) = labels.triggers(request.inherit) else { return Ok(None) };
    if texts.is_empty() {
        return match request.inherit {
            Inherit::Own | Inherit::All => Ok(None),
            Inherit::Inherited => Err(PlanError::NothingInherited { image: request.reference.clone() }),
        };
    }
    // Lines are known for the image's own triggers, which stand last.
    let lines = labels.origin.as_ref().map(|origin| origin.lines.as_slice()).unwrap_or_default();
    let inherited = texts.len().saturating_sub(lines.len());
    let own_lines = request.inherit != Inherit::Inherited && !lines.is_empty();
    let triggers = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let line = index.checked_sub(inherited).and_then(|own| lines.get(own)).filter(|_| own_lines);
            Trigger { line: line.map_or(0, |(first, _)| *first), ..trigger_of(text) }
        })
        .collect();
    let dockerfile = labels.origin.as_ref().and_then(|origin| origin.dockerfile.clone());
    let origin = dockerfile.filter(|_| own_lines).unwrap_or_else(|| labels::ONTEST.to_owned());
    Ok(Some(Found {
        triggers,
        lines: own_lines,
        ..Found::plain(Source::Label, "the image has the label test.ontest".to_owned(), &origin)
    }))
}

fn trigger_of(text: &str) -> Trigger {
    let keyword: String = text.chars().take_while(char::is_ascii_alphabetic).collect();
    Trigger { instruction: keyword.to_uppercase(), text: text.to_owned(), line: 0, end_line: 0 }
}

/// The ONTEST lines of a file; `None` where it has none for the chosen stage.
fn ontest(file: &SourceFile, request: &Request) -> Result<Option<Vec<Trigger>>, PlanError> {
    let fail = |source| PlanError::Dockerfile { path: file.path.clone(), source };
    let parsed = dockerfile::parse(&file.bytes).map_err(fail)?;
    if !parsed.instructions.iter().any(|instruction| instruction.keyword == "ONTEST") {
        return Ok(None);
    }
    let split = dockerfile::take_tests_with(&file.bytes, &parsed, &request.build.build_args).map_err(fail)?;
    let triggers = split
        .for_target(request.build.target.as_deref())
        .map_err(|source| PlanError::Target { path: file.path.clone(), source })?;
    Ok((!triggers.is_empty()).then(|| triggers.into_iter().cloned().collect()))
}

fn from_dockerfile(file: &SourceFile, triggers: Vec<Trigger>, reason: String) -> Found {
    Found {
        triggers,
        lines: true,
        ..Found::plain(Source::Dockerfile, reason, &file.path.display().to_string())
    }
}

/// A Dockerfile.test of the author's own. It must stand on the image under test, or it tests something else.
fn author(file: &SourceFile, reason: String, request: &Request) -> Result<Found, PlanError> {
    let path = &file.path;
    let text =
        String::from_utf8(file.bytes.clone()).map_err(|_| PlanError::NotText { path: path.clone() })?;
    let fail = |source| PlanError::Dockerfile { path: path.clone(), source };
    let parsed = dockerfile::parse(&file.bytes).map_err(fail)?;
    let closed = without_open_end(&text, &parsed);
    let (text, parsed) = match closed {
        Some(closed) => (closed.to_owned(), dockerfile::parse(closed.as_bytes()).map_err(fail)?),
        None => (text, parsed),
    };
    let stands_on_it = parsed.instructions.iter().any(|instruction| {
        instruction.keyword == "FROM" && instruction.words().first().is_some_and(is_test_image)
    });
    if !stands_on_it {
        return Err(PlanError::NotATestRecipe { path: path.clone() });
    }
    let (text, instructions) = up_to_target(text, &parsed, path, request)?;
    let triggers = instructions
        .iter()
        .map(|instruction| Trigger {
            instruction: instruction.keyword.clone(),
            text: instruction.raw.clone(),
            line: instruction.line,
            end_line: instruction.end_line,
        })
        .collect();
    let parsed = dockerfile::Dockerfile { instructions, ..parsed };
    Ok(Found {
        triggers,
        lines: true,
        author: Some((text, parsed)),
        ..Found::plain(Source::Recipe, reason, &path.display().to_string())
    })
}

/// True for `$TEST_IMAGE` and `${TEST_IMAGE}`, the latter also with a default or a message for when it is not set.
fn is_test_image(word: &&str) -> bool {
    let word = word.strip_prefix('"').and_then(|word| word.strip_suffix('"')).unwrap_or(word);
    let Some(name) = word.strip_prefix('$') else { return false };
    let Some(inside) = name.strip_prefix('{').and_then(|inside| inside.strip_suffix('}')) else {
        return name == TEST_IMAGE_ARGUMENT;
    };
    inside.strip_prefix(TEST_IMAGE_ARGUMENT).is_some_and(|rest| {
        let otherwise = rest.strip_prefix(':').unwrap_or(rest);
        rest.is_empty() || otherwise.starts_with(['-', '?'])
    })
}

/// A continuation at the end of the file joins nothing, but would swallow what is added behind it.
fn without_open_end<'a>(text: &'a str, parsed: &dockerfile::Dockerfile) -> Option<&'a str> {
    let last = parsed.instructions.last().filter(|last| last.heredocs.is_empty())?;
    let mut closed = text.get(..last.span.end)?;
    let mut open = false;
    loop {
        closed = closed.trim_end();
        let line_start = closed.rfind('\n').map_or(0, |at| at + 1).max(last.span.start);
        let line = closed.get(line_start..)?;
        if line_start > last.span.start && line.trim_start().starts_with('#') {
            // A comment within the continuation.
            closed = closed.get(..line_start)?;
        } else if let Some(before) = closed.strip_suffix(parsed.escape) {
            (closed, open) = (before, true);
        } else {
            return open.then_some(closed);
        }
    }
}

/// True where the Dockerfile in the user's directory says what the recipe that came with the image says: then it is the
/// user's own, wherever the image has been meanwhile.
pub(super) fn stands_in_the_directory(found: &Found, facts: &Facts<'_>, request: &Request) -> bool {
    let Some(file) = &facts.directory.dockerfile else { return false };
    let own = match found.source {
        Source::Label => ontest(file, request).ok().flatten(),
        Source::Onbuild => onbuild(file),
        Source::Recipe | Source::Dockerfile | Source::Command | Source::TestImage | Source::Container => None,
    };
    // Engines differ in the blanks that they record.
    let words = |trigger: &Trigger| trigger.text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    own.is_some_and(|own| own.iter().map(words).eq(found.triggers.iter().map(words)))
}

/// The triggers of the last stage.
fn onbuild(file: &SourceFile) -> Option<Vec<Trigger>> {
    let parsed = dockerfile::parse(&file.bytes).ok()?;
    let last = parsed.instructions.iter().rposition(|instruction| instruction.keyword == "FROM")?;
    let triggers =
        parsed.instructions.iter().skip(last).filter_map(|instruction| instruction.trigger.as_ref());
    Some(triggers.map(|trigger| trigger_of(&trigger.raw)).collect())
}

/// What our lines are added to must end with the stage that is built: what follows `--target` is left out.
fn up_to_target(
    text: String,
    parsed: &dockerfile::Dockerfile,
    path: &Path,
    request: &Request,
) -> Result<(String, Vec<Instruction>), PlanError> {
    let Some(target) = request.build.target.as_deref() else {
        return Ok((text, parsed.instructions.clone()));
    };
    let split = dockerfile::take_tests(text.as_bytes(), parsed)
        .map_err(|source| PlanError::Dockerfile { path: path.to_owned(), source })?;
    let index =
        split.index_of(target).map_err(|source| PlanError::Target { path: path.to_owned(), source })?;
    let Some(next) = split.stages.get(index + 1) else { return Ok((text, parsed.instructions.clone())) };
    let kept: Vec<Instruction> =
        parsed.instructions.iter().take_while(|instruction| instruction.line < next.line).cloned().collect();
    let end = parsed.instructions.get(kept.len()).map_or(text.len(), |from| from.span.start);
    Ok((text.get(..end).unwrap_or(&text).to_owned(), kept))
}

/// The test image that was built where the recipe's files were, if it is here and names this target.
pub(super) fn travelled_test_image(request: &Request, facts: &Facts<'_>) -> Option<Found> {
    let image = facts.test_image?;
    let names_this_target = image.labels.get(ours::TARGET) == Some(&facts.target.id)
        || image.labels.get(ours::TARGET_CONTENT) == Some(&content(facts.target));
    // What was made for a command given once holds no recipe: run again, it would run the application itself.
    let holds_a_recipe = image.labels.get(ours::SOURCE).is_none_or(|source| source != Source::Command.name());
    (labels::is_ours(&image.labels) && names_this_target && holds_a_recipe).then(|| {
        Found::plain(
            Source::TestImage,
            format!(
                "{} was built from this image, and the recipe's files are not at hand",
                request.test_image
            ),
            &request.test_image,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_end_is_cut_and_nothing_else() {
        let cases = [
            ("FROM x\nCMD a", None),
            ("FROM x\nCMD a\n# \\\n", None),
            ("FROM x\nCMD a \\", Some("FROM x\nCMD a")),
            ("FROM x\nCMD a \\ \n\n# c\n  # d\n \\\n", Some("FROM x\nCMD a")),
            ("# escape=`\nFROM x\nCMD a \\\n", None),
            ("# escape=`\nFROM x\nCMD a `\n", Some("# escape=`\nFROM x\nCMD a")),
            ("FROM x\nRUN <<E\n\\\nE\n", None),
        ];
        for (text, expected) in cases {
            let parsed = dockerfile::parse(text.as_bytes()).unwrap();
            assert_eq!(without_open_end(text, &parsed), expected, "{text:?}");
        }
    }
}
