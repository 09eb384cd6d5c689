//! What a test or a shell is to read from: refused before anything is made where nobody can type and nothing comes.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;

use crate::error::{Category, Diagnose};

/// What standard input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// A person types.
    Terminal,
    /// `/dev/null` or another device that nobody types into.
    Nothing,
    /// A pipe, a file, a socket.
    Stream,
}

/// Looks at standard input.
pub(super) fn look() -> Input {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Input::Terminal;
    }
    let file = stdin.as_fd().try_clone_to_owned().map(File::from);
    match file.and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.file_type().is_char_device() => Input::Nothing,
        Ok(_) => Input::Stream,
        Err(_) => Input::Nothing,
    }
}

/// What was asked for needs somebody who types.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InputError {
    /// `-it` in a script.
    #[error(
        "the input device is not a TTY: -i and -t together hand the terminal to the test, and there is none"
    )]
    NoTerminal,
    /// `--shell </dev/null`
    #[error("there is nothing to type into the shell with: standard input is no terminal and holds nothing")]
    NoInput,
    /// `--shell --report`
    #[error("--shell runs no test, so that --report has nothing to tell")]
    NothingToReport,
}

impl Diagnose for InputError {
    fn category(&self) -> Category {
        Category::User
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::NoTerminal => {
                    "leave -t out where the test reads a pipe or a file, and both where it reads nothing"
                }
                Self::NoInput => {
                    "run it in a terminal, or pipe commands into it: echo ls | docker-test --shell IMAGE"
                }
                Self::NothingToReport => "leave one of the two out",
            }
            .to_owned(),
        )
    }
}

/// Refuses what would wait for ever, or end at once as if all were well.
pub(super) const fn refuse(
    input: Input,
    shell: bool,
    interactive: bool,
    tty: bool,
) -> Result<(), InputError> {
    match input {
        Input::Nothing if shell => Err(InputError::NoInput),
        Input::Nothing | Input::Stream if interactive && tty && !shell => Err(InputError::NoTerminal),
        Input::Terminal | Input::Nothing | Input::Stream => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_wanted_where_one_is_handed_over() {
        for input in [Input::Nothing, Input::Stream] {
            assert_eq!(refuse(input, false, true, true), Err(InputError::NoTerminal));
            assert_eq!(refuse(input, false, true, false), Ok(()));
            // As with Docker: output as on a terminal, and no input.
            assert_eq!(refuse(input, false, false, true), Ok(()));
        }
        assert_eq!(refuse(Input::Terminal, false, true, true), Ok(()));
    }

    #[test]
    fn a_shell_wants_somebody_who_types_or_a_script() {
        assert_eq!(refuse(Input::Nothing, true, true, false), Err(InputError::NoInput));
        assert_eq!(refuse(Input::Stream, true, true, false), Ok(()));
        assert_eq!(refuse(Input::Terminal, true, true, true), Ok(()));
    }
}
