//! What the process was given when it started: variables, directory, home and user.
//!
//! Owns the snapshot, so that nothing below `cli` asks the operating system for it again and tests can make one up.
//! Interprets no variable: that is for the module whose variable it is. Values may be secret and are never printed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// Bears the marks of who has started a process, as [`crate::check`] writes them.
pub const STARTED_BY: &str = "DOCKER_TEST_STARTED_BY";

/// A snapshot of the process's surroundings.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    current_dir: PathBuf,
    home: Option<PathBuf>,
    uid: u32,
}

impl Environment {
    /// Takes the snapshot of this process. To be called once, by `cli`.
    ///
    /// Bytes that are not UTF-8 are replaced. The home directory is `HOME`, or the user's entry in `/etc/passwd`.
    #[must_use]
    pub fn capture() -> Self {
        let lossy = |text: &OsStr| text.to_string_lossy().into_owned();
        let variables: BTreeMap<String, String> =
            std::env::vars_os().map(|(name, value)| (lossy(&name), lossy(&value))).collect();
        let uid = nix::unistd::Uid::current().as_raw();
        let home = home_variable(&variables).or_else(|| {
            // A static binary has no name service, so the file is read here.
            let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
            home_of(&accounts, uid)
        });
        let current_dir = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        Self { variables, current_dir, home, uid }
    }

    /// Makes a snapshot up: the home directory is the variable `HOME`, the current directory is `/`, the user is
    /// root.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let variables: BTreeMap<String, String> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let home = home_variable(&variables);
        Self { variables, current_dir: PathBuf::from("/"), home, uid: 0 }
    }

    /// The same surroundings with one variable set, as a flag that stands for it does.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        if name == "HOME" {
            self.home = home_variable(&self.variables);
        }
        self
    }

    /// The same surroundings in another directory.
    #[must_use]
    pub fn in_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.current_dir = directory.into();
        self
    }

    /// The same surroundings of another user.
    #[must_use]
    pub const fn of_user(mut self, uid: u32) -> Self {
        self.uid = uid;
        self
    }

    /// A variable, empty ones included.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// A variable that is set and not empty: what most programs mean by "set".
    #[must_use]
    pub fn non_empty(&self, name: &str) -> Option<&str> {
        self.variable(name).filter(|value| !value.is_empty())
    }

    /// All variables, sorted by name.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The directory the process was started in.
    #[must_use]
    pub fn current_dir(&self) -> &Path {
        &self.current_dir
    }

    /// The user's home directory, where one is known.
    #[must_use]
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// The user's numeric id.
    #[must_use]
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// The executable that a shell would run for `program`: looked up in `PATH` unless it contains a slash.
    #[must_use]
    pub fn find_program(&self, program: &str) -> Option<PathBuf> {
        if program.is_empty() {
            return None;
        }
        if program.contains('/') {
            return Some(self.current_dir.join(program)).filter(|path| is_executable(path));
        }
        std::env::split_paths(self.non_empty("PATH")?)
            .map(|directory| self.current_dir.join(directory).join(program))
            .find(|path| is_executable(path))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables.keys().collect::<Vec<_>>())
            .field("current_dir", &self.current_dir)
            .field("home", &self.home)
            .field("uid", &self.uid)
            .finish()
    }
}

fn home_variable(variables: &BTreeMap<String, String>) -> Option<PathBuf> {
    variables.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

fn home_of(accounts: &str, uid: u32) -> Option<PathBuf> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        if fields.next()?.parse() != Ok(uid) {
            return None;
        }
        fields.nth(2).filter(|home| home.starts_with('/')).map(PathBuf::from)
    })
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Makes a shell script in `directory` that tests run in the place of a program.
///
/// A child writes it: a file that this process had open for writing could be inherited by another test's child,
/// and executing it would then fail with "text file busy".
#[cfg(test)]
pub(crate) fn install_script(directory: &Path, name: &str, script: &str) -> PathBuf {
    let path = directory.join(name);
    let done = std::process::Command::new("sh")
        .args(["-c", r#"printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod 755 "$1""#, "sh"])
        .arg(&path)
        .arg(script)
        .status();
    assert!(done.unwrap().success());
    path
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn debug_names_variables_and_never_shows_a_value() {
        let env = Environment::from_pairs([("TOKEN", "hunter2")]);
        let shown = format!("{env:?}");
        assert!(shown.contains("TOKEN") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn an_empty_variable_is_set_but_not_non_empty() {
        let env = Environment::from_pairs([("DOCKER_HOST", "")]);
        assert_eq!(env.variable("DOCKER_HOST"), Some(""));
        assert_eq!(env.non_empty("DOCKER_HOST"), None);
        assert_eq!(env.variable("OTHER"), None);
    }

    #[test]
    fn home_follows_the_variable() {
        let env = Environment::from_pairs([("HOME", "/home/ada")]);
        assert_eq!(env.home(), Some(Path::new("/home/ada")));
        assert_eq!(env.with("HOME", "").home(), None);
    }

    #[test]
    fn home_of_an_account_is_its_sixth_field() {
        let accounts =
            "root:x:0:0:root:/root:/bin/sh\nbroken\nada:x:1000:1000:Ada,,,:/home/ada:/bin/bash\nx:x:7:7::\n";
        assert_eq!(home_of(accounts, 1000), Some(PathBuf::from("/home/ada")));
        assert_eq!(home_of(accounts, 7), None);
        assert_eq!(home_of(accounts, 8), None);
    }

    #[test]
    fn capture_sees_this_process() {
        let env = Environment::capture();
        assert_eq!(env.current_dir(), std::env::current_dir().unwrap());
        assert!(env.non_empty("PATH").is_some());
        assert!(env.find_program("sh").is_some());
    }

    #[test]
    fn a_program_is_an_executable_file_in_path_order() {
        let first = tempfile::tempdir().unwrap();
        let second = tempfile::tempdir().unwrap();
        for (directory, mode) in [(&first, 0o644), (&second, 0o755)] {
            let path = directory.path().join("tool");
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        std::fs::create_dir(first.path().join("folder")).unwrap();
        let path = std::env::join_paths([first.path(), second.path()]).unwrap();
        let env = Environment::from_pairs([("PATH", path.to_str().unwrap())]);
        assert_eq!(env.find_program("tool"), Some(second.path().join("tool")));
        assert_eq!(env.find_program("folder"), None);
        assert_eq!(env.find_program(""), None);
        let env = env.in_directory(second.path());
        assert_eq!(env.find_program("./tool"), Some(second.path().join("./tool")));
        assert_eq!(Environment::from_pairs([("A", "b")]).find_program("tool"), None);
    }
}
