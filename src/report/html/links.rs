//! Links from the page to files of the run, relative to the page, so that both can be moved together.
//!
//! Owns when a link makes sense, and its escaping. Whether the file is there is not looked at.

use std::fmt::Write as _;
use std::path::{Component, Path};

use crate::results::RunResults;

/// Where links begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Links<'a> {
    directory: Option<&'a Path>,
}

impl<'a> Links<'a> {
    /// A page of which nobody knows where it will be.
    pub(super) const fn none() -> Self {
        Self { directory: None }
    }

    /// A page that will be the file `path`. Files of runs that were merged are on the machines that they ran on.
    pub(super) fn from(path: &'a Path, results: &RunResults) -> Self {
        Self { directory: path.parent().filter(|directory| directory.is_absolute() && results.runs.is_empty()) }
    }

    /// The address of a file that is named by an absolute path. Absent where the file and the page have nothing in
    /// common but the root.
    pub(super) fn to(self, file: &str) -> Option<String> {
        let (from, file) = (plain(self.directory?)?, plain(Path::new(file))?);
        let shared = from.iter().zip(&file).take_while(|(one, other)| one == other).count();
        if shared == 0 {
            return None;
        }
        // A first part such as `javascript:` would be a scheme.
        let mut address = if shared == from.len() { "./".to_owned() } else { "../".repeat(from.len() - shared) };
        for (number, part) in file.iter().skip(shared).enumerate() {
            if number > 0 {
                address.push('/');
            }
            escape(part, &mut address);
        }
        Some(address)
    }
}

/// The names of which an absolute path consists, where it has no other parts.
fn plain(path: &Path) -> Option<Vec<&str>> {
    let mut parts = path.components();
    let (Some(Component::RootDir), true) = (parts.next(), path.is_absolute()) else { return None };
    let name = |part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    };
    parts.map(name).collect()
}

fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::passing;
    use crate::results::MergedRun;

    fn link(page: &str, file: &str) -> Option<String> {
        Links::from(Path::new(page), &passing()).to(file)
    }

    #[test]
    fn files_are_named_from_where_the_page_is() {
        let cases = [
            ("/work/out/report.html", "/work/out/a/attempt-1.log", Some("./a/attempt-1.log")),
            ("/work/report.html", "/work/out/a b/#1?.log", Some("./out/a%20b/%231%3F.log")),
            ("/work/public/deep/report.html", "/work/out/a.log", Some("../../out/a.log")),
            ("/work/report.html", "/work/javascript:alert(1)", Some("./javascript%3Aalert%281%29")),
            ("/srv/www/report.html", "/work/out/a.log", None),
            ("/work/report.html", "/work/../etc/passwd", None),
            ("/work/report.html", "a/attempt-1.log", None),
            ("report.html", "/work/a.log", None),
        ];
        for (page, file, address) in cases {
            assert_eq!(link(page, file).as_deref(), address, "{page} {file}");
        }
    }

    #[test]
    fn a_merged_page_leads_to_no_file_of_another_machine() {
        let mut merged = passing();
        merged.runs = vec![MergedRun::of(&passing())];
        assert_eq!(Links::from(Path::new("/work/report.html"), &merged).to("/work/a.log"), None);
    }
}
