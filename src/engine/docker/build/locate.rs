//! From a step's number to the line of the Dockerfile that it stands in.
//!
//! Pure. Owns each builder's way of counting. Where the count does not come out as the builder's did (ONBUILD triggers
//! of the base image are counted and stand in no file), no line is better than a wrong one.

use super::{BuilderKind, Position};
use crate::metadata::dockerfile::{Dockerfile, Instruction};

/// The line, counted from 1, of the instruction that is step `position` of a build of `dockerfile`.
#[must_use]
pub fn line_of(position: &Position, builder: BuilderKind, dockerfile: &Dockerfile) -> Option<u32> {
    let instructions = dockerfile.instructions.as_slice();
    let number = usize::try_from(position.number).ok()?.checked_sub(1)?;
    let total = usize::try_from(position.total).ok()?;
    let step = match builder {
        // Labels of the call may be one step more, a target fewer.
        BuilderKind::Classic => instructions.get(number)?,
        BuilderKind::Buildah => {
            let stages = stages(instructions);
            let index = match position.stage.as_deref() {
                None if stages.len() == 1 => 0,
                None => return None,
                Some(stage) => stage.parse::<usize>().ok()?.checked_sub(1)?,
            };
            stages.get(index)?.get(number)?
        }
        BuilderKind::BuildKit => {
            let stages = stages(instructions);
            let index = match position.stage.as_deref() {
                None if stages.len() == 1 => 0,
                None => return None,
                Some(name) => stage_named(&stages, name)?,
            };
            let earlier = stages.get(..index)?;
            let steps = counted(stages.get(index)?, earlier);
            if steps.len() != total {
                return None;
            }
            *steps.get(number)?
        }
    };
    Some(step.line)
}

/// Each stage from its FROM to the next one. What stands before the first FROM belongs to none.
fn stages(instructions: &[Instruction]) -> Vec<&[Instruction]> {
    let starts: Vec<usize> =
        (0..).zip(instructions).filter(|(_, one)| one.keyword == "FROM").map(|(index, _)| index).collect();
    let ends = starts.iter().skip(1).copied().chain([instructions.len()]);
    starts.iter().zip(ends).filter_map(|(start, end)| instructions.get(*start..end)).collect()
}

/// `FROM image AS name`: the image and the name.
fn base_and_name(stage: &[Instruction]) -> (Option<&str>, Option<&str>) {
    let words = stage.first().map(Instruction::words).unwrap_or_default();
    let named = words.get(1).is_some_and(|word| word.eq_ignore_ascii_case("as"));
    (words.first().copied(), if named { words.get(2).copied() } else { None })
}

/// The last stage of that name, as BuildKit finds it, or `stage-N` counted from 0.
fn stage_named(stages: &[&[Instruction]], name: &str) -> Option<usize> {
    let is_named =
        |stage: &&[Instruction]| base_and_name(stage).1.is_some_and(|own| own.eq_ignore_ascii_case(name));
    stages
        .iter()
        .rposition(is_named)
        .or_else(|| name.strip_prefix("stage-")?.parse().ok().filter(|index| *index < stages.len()))
}

/// The instructions that BuildKit numbers: those that make a layer, and the base image where it is fetched.
fn counted<'a>(stage: &'a [Instruction], earlier: &[&[Instruction]]) -> Vec<&'a Instruction> {
    let (base, _) = base_and_name(stage);
    let fetched = base.is_some_and(|base| base != "scratch" && stage_named(earlier, base).is_none());
    let is_counted = |one: &&Instruction| {
        matches!(one.keyword.as_str(), "RUN" | "COPY" | "ADD" | "WORKDIR") || one.keyword == "FROM" && fetched
    };
    stage.iter().filter(is_counted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::dockerfile::parse;

    const FILE: &str = "ARG BASE=x\n\
        FROM $BASE AS first\n\
        ENV A=1\n\
        RUN true \\\n  && true\n\
        \n\
        # comment\n\
        FROM first\n\
        WORKDIR /x\n\
        LABEL a=b\n\
        COPY a /\n\
        FROM scratch AS Last\n\
        COPY --from=first a /\n";

    fn line(builder: BuilderKind, stage: Option<&str>, number: u32, total: u32) -> Option<u32> {
        let position = Position { stage: stage.map(str::to_owned), number, total };
        line_of(&position, builder, &parse(FILE.as_bytes()).unwrap())
    }

    #[test]
    fn the_classic_builder_counts_every_instruction() {
        let lines = [1, 2, 3, 4, 8, 9, 10, 11, 12, 13];
        for (number, expected) in (1..).zip(lines) {
            assert_eq!(line(BuilderKind::Classic, None, number, 11), Some(expected), "{number}");
        }
        assert_eq!(line(BuilderKind::Classic, None, 11, 11), None, "the labels of the call");
    }

    #[test]
    fn podman_counts_in_each_stage() {
        assert_eq!(line(BuilderKind::Buildah, Some("1"), 3, 3), Some(4));
        assert_eq!(line(BuilderKind::Buildah, Some("2"), 1, 4), Some(8));
        assert_eq!(line(BuilderKind::Buildah, Some("3"), 2, 2), Some(13));
        assert_eq!(line(BuilderKind::Buildah, Some("4"), 1, 1), None);
        assert_eq!(line(BuilderKind::Buildah, None, 1, 1), None);
    }

    #[test]
    fn buildkit_counts_what_makes_a_layer() {
        assert_eq!(line(BuilderKind::BuildKit, Some("first"), 1, 2), Some(2));
        assert_eq!(line(BuilderKind::BuildKit, Some("first"), 2, 2), Some(4));
        assert_eq!(line(BuilderKind::BuildKit, Some("stage-1"), 1, 2), Some(9));
        assert_eq!(line(BuilderKind::BuildKit, Some("stage-1"), 2, 2), Some(11));
        assert_eq!(line(BuilderKind::BuildKit, Some("last"), 1, 1), Some(13));
    }

    #[test]
    fn a_count_that_does_not_come_out_names_no_line() {
        assert_eq!(line(BuilderKind::BuildKit, Some("first"), 2, 3), None);
        assert_eq!(line(BuilderKind::BuildKit, Some("other"), 1, 1), None);
        assert_eq!(line(BuilderKind::BuildKit, None, 1, 2), None);
        assert_eq!(line(BuilderKind::Classic, None, 0, 2), None);
    }
}
