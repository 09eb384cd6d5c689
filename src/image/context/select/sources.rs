//! From one source of a recipe to paths: wildcards, `--parents`, and what to say when there is nothing.
//!
//! Owns Docker's rules for sources. A plain source must exist and may not be ignored; a wildcard passes over what
//! is ignored or leads nowhere. What is below a path it leaves to the walk.

use std::ffi::OsString;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::walk::{Filter, Lost, Walker, text};
use crate::image::context::ContextError;
use crate::image::context::ignore::{Ignore, IgnoreError};
use crate::image::context::needs::Need;
use crate::image::context::pattern::{Dialect, Pattern, has_wildcards, unescape};

/// Takes what `need` names.
pub(super) fn take(walker: &mut Walker<'_>, need: &Need) -> Result<(), ContextError> {
    let exclude = patterns(need, &need.exclude)?;
    let exclude = (!exclude.is_empty()).then_some(&exclude);
    let mut source = Source { walker, need, exclude };
    if need.parents {
        return source.parents();
    }
    if !need.is_wildcard() {
        return source.plain(Path::new(&need.pattern), None);
    }
    source.wildcard()
}

struct Source<'s, 'w> {
    walker: &'s mut Walker<'w>,
    need: &'s Need,
    exclude: Option<&'s Ignore>,
}

impl Source<'_, '_> {
    /// A path without wildcards: it must be there. `--exclude` is relative to `base`, or else to the path.
    fn plain(&mut self, path: &Path, base: Option<&Path>) -> Result<(), ContextError> {
        let (real, metadata) = self.walker.resolve(path).map_err(|lost| self.explain(lost))?;
        if metadata.file_type().is_socket() {
            return Err(ContextError::Socket { line: self.need.line, path: text(&real) });
        }
        let exclude = self.exclude.map(|patterns| Filter { patterns, base: base.unwrap_or(&real) });
        if self.walker.take(&real, &metadata, exclude)? {
            Ok(())
        } else {
            Err(self.explain(Lost::Excluded(real)))
        }
    }

    /// The directory that a pattern is looked up in.
    fn directory(&mut self, path: &Path) -> Result<PathBuf, ContextError> {
        let (real, metadata) = self.walker.resolve(path).map_err(|lost| self.explain(lost))?;
        if metadata.is_dir() {
            Ok(real)
        } else {
            Err(self.explain(Lost::Missing { at: real, rest: PathBuf::new() }))
        }
    }

    /// A pattern: what it matches is taken, whatever it leads to.
    fn wildcard(&mut self) -> Result<(), ContextError> {
        for path in self.glob(&self.need.pattern)? {
            let Some((real, metadata)) = self.leniently(&path)? else { continue };
            let exclude = self.exclude.map(|patterns| Filter { patterns, base: &real });
            self.walker.take(&real, &metadata, exclude)?;
        }
        Ok(())
    }

    /// The paths that a pattern matches, what is ignored left out. Directories before its first wildcard must be
    /// there; links below them are not followed.
    fn glob(&mut self, pattern: &str) -> Result<Vec<PathBuf>, ContextError> {
        let (base, names) = split_wildcards(pattern);
        let mut found = vec![self.directory(Path::new(&base))?];
        for (depth, name) in names.iter().enumerate() {
            let mut deeper = Vec::new();
            for dir in &found {
                let is_dir = depth == 0 || self.walker.stat(dir)?.is_some_and(|metadata| metadata.is_dir());
                if is_dir {
                    deeper.extend(self.matches(dir, name)?);
                }
            }
            deeper.retain(|path| !self.walker.is_closed(path));
            found = deeper;
        }
        Ok(found)
    }

    fn matches(&self, dir: &Path, name: &str) -> Result<Vec<PathBuf>, ContextError> {
        if !has_wildcards(name) {
            return Ok(vec![dir.join(unescape(name))]);
        }
        let pattern = Pattern::new(name, Dialect::Name).map_err(|source| ContextError::Pattern {
            line: self.need.line,
            pattern: self.need.pattern.clone(),
            source,
        })?;
        let fits = |name: &OsString| pattern.matches(&name.to_string_lossy());
        let names = self.walker.list(dir)?.into_iter().map(|(name, _)| name);
        Ok(names.filter(fits).map(|name| dir.join(name)).collect())
    }

    /// A `--parents` source: a pattern below each directory that stands before its pivot.
    fn parents(&mut self) -> Result<(), ContextError> {
        let (base, pattern) = self.need.split_pivot();
        if !has_wildcards(&base) {
            let base = self.directory(Path::new(&base))?;
            if has_wildcards(&pattern) {
                return self.below(&base, &pattern);
            }
            return self.plain(&base.join(&pattern), Some(&base));
        }
        for path in self.glob(&base)? {
            match self.leniently(&path)? {
                Some((real, metadata)) if metadata.is_dir() => self.below(&real, &pattern)?,
                Some((real, metadata)) => self.walker.take(&real, &metadata, None).map(|_| ())?,
                None => {}
            }
        }
        Ok(())
    }

    /// Takes what `pattern` matches below `base`.
    fn below(&mut self, base: &Path, pattern: &str) -> Result<(), ContextError> {
        let include = patterns(self.need, &[pattern])?;
        // The walk begins at the last directory that every match lies in.
        let mut fixed: Vec<&str> = pattern.split('/').take_while(|name| !has_wildcards(name)).collect();
        if !has_wildcards(pattern) {
            fixed.pop();
        }
        let mut start = base.to_owned();
        start.extend(fixed.into_iter().map(unescape));
        let Some((real, metadata)) = self.leniently(&start)? else { return Ok(()) };
        if real != start {
            // Docker does not follow a link inside the pattern; it is sent with all that it leads to, a superset.
            return self.walker.take(&real, &metadata, None).map(|_| ());
        }
        if !metadata.is_dir() {
            return Ok(());
        }
        self.including(start, Filter { patterns: &include, base })
    }

    /// Takes what `include` matches below `start`.
    fn including(&mut self, start: PathBuf, include: Filter<'_>) -> Result<(), ContextError> {
        let exclude = self.exclude.map(|patterns| Filter { patterns, base: include.base });
        let mut pending = vec![start];
        while let Some(dir) = pending.pop() {
            for (name, kind) in self.walker.list(&dir)? {
                let path = dir.join(name);
                if self.walker.is_closed(&path)
                    || exclude.is_some_and(|filter| filter.closes(&filter.matched(&path), &path))
                {
                    continue;
                }
                if include.drops(&include.matched(&path)) {
                    if let Some(metadata) = self.walker.stat(&path)? {
                        self.walker.take(&path, &metadata, exclude)?;
                    }
                } else if kind.is_dir() && include.patterns.may_match_below(&include.relative(&path)) {
                    pending.push(path);
                }
            }
        }
        Ok(())
    }

    /// What a path leads to, or nothing where a wildcard passes over it.
    fn leniently(&mut self, path: &Path) -> Result<Option<(PathBuf, std::fs::Metadata)>, ContextError> {
        match self.walker.resolve(path) {
            Ok(found) => Ok(Some(found)),
            Err(Lost::Failed(error)) => Err(error),
            Err(Lost::Missing { .. } | Lost::Excluded(_) | Lost::Loop) => Ok(None),
        }
    }

    fn explain(&self, lost: Lost) -> ContextError {
        let line = self.need.line;
        match lost {
            Lost::Failed(error) => error,
            Lost::Loop => ContextError::LinkLoop { line, path: self.need.pattern.clone() },
            Lost::Missing { at, rest } => {
                let whole = |at: &Path| at.iter().chain(&rest).collect::<PathBuf>();
                let nearest = self.nearest(&at).map(|found| {
                    let there = self.walker.stat(&whole(&found)).ok().flatten().is_some();
                    text(&if there { whole(&found) } else { found })
                });
                let whole = whole(&at);
                ContextError::Missing { line, path: text(&whole), nearest }
            }
            Lost::Excluded(path) => {
                let path = text(&path);
                match self.walker.ignore.rule_excluding(&path) {
                    Some(rule) => ContextError::Excluded {
                        line,
                        ignore_line: rule.line,
                        ignore_pattern: rule.pattern.to_owned(),
                        path,
                    },
                    None => ContextError::Missing { line, path, nearest: None },
                }
            }
        }
    }

    /// The path beside a missing one whose name is most like it.
    fn nearest(&self, missing: &Path) -> Option<PathBuf> {
        let wanted = missing.file_name()?.to_string_lossy().to_lowercase();
        let dir = missing.parent()?;
        let allowed = (wanted.chars().count() / 3).max(1);
        let names = self.walker.list(dir).ok()?.into_iter().map(|(name, _)| name);
        names
            .map(|name| {
                (strsim::damerau_levenshtein(&name.to_string_lossy().to_lowercase(), &wanted), dir.join(name))
            })
            .filter(|(distance, path)| *distance <= allowed && !self.walker.is_closed(path))
            .min()
            .map(|(_, path)| path)
    }
}

fn patterns<S: AsRef<str>>(need: &Need, patterns: &[S]) -> Result<Ignore, ContextError> {
    Ignore::from_patterns(patterns).map_err(|IgnoreError { pattern, source, .. }| ContextError::Pattern {
        line: need.line,
        pattern,
        source,
    })
}

/// The leading directories without wildcards, and the names from the first wildcard on.
fn split_wildcards(path: &str) -> (String, Vec<&str>) {
    let names: Vec<&str> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    let fixed = names.iter().take_while(|name| !has_wildcards(name)).count();
    let (fixed, rest) = names.split_at(fixed);
    (fixed.join("/"), rest.to_vec())
}
