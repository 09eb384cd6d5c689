//! The rules on which parsers of Dockerfiles differ.
//!
//! Owns the list of parsers that a recorded trigger has to mean the same to. A difference that cannot change
//! where an instruction ends is not kept here.

/// How a parser finds heredocs; each one knows what those before it know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HeredocRules {
    /// It does not know them: the body is read as instructions (Docker's built-in frontend up to 20.10, Podman 4).
    Unknown,
    /// The first parser that knew them: a line with a pattern in `${…}` has none, nor has one with space between
    /// `<<` and the name.
    First,
    /// Patterns in `${…}` are understood.
    Patterns,
    /// Besides, a `${…}` with a modifier makes the parser forget the part of the word before it (since 2024).
    Forgetful,
    /// Besides, space between `<<` and the name is allowed (since 2025).
    Spaced,
}

/// One parser's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) heredocs: HeredocRules,
    /// Two escape characters at the end of a line continue it (Buildah's parser).
    pub(crate) doubled_escape_continues: bool,
}

impl Dialect {
    /// What [`super::parse`] follows.
    pub(crate) const BUILDKIT: Self =
        Self { heredocs: HeredocRules::Spaced, doubled_escape_continues: false };

    /// Every parser that a trigger may meet: those that know heredocs, and the others where `without_heredocs`.
    pub(crate) fn all(without_heredocs: bool) -> impl Iterator<Item = Self> {
        [
            HeredocRules::Spaced,
            HeredocRules::Forgetful,
            HeredocRules::Patterns,
            HeredocRules::First,
            HeredocRules::Unknown,
        ]
        .into_iter()
        .filter(move |rules| without_heredocs || *rules != HeredocRules::Unknown)
        .flat_map(|heredocs| {
            [false, true].map(|doubled_escape_continues| Self { heredocs, doubled_escape_continues })
        })
    }

    /// The parser in words, for a message.
    pub(crate) const fn describe(self) -> &'static str {
        match (self.heredocs, self.doubled_escape_continues) {
            (HeredocRules::Unknown, false) => "a builder without heredocs",
            (HeredocRules::Unknown, true) => "Podman's builder without heredocs",
            (HeredocRules::Spaced, false) => "BuildKit",
            (_, false) => "an older BuildKit",
            (_, true) => "Podman's builder",
        }
    }
}
