//! The mark that a command bears in its environment, and all that it starts after it: who has started it.
//!
//! Owns its text: one word a mark, those of whoever started the starter before it. A mark is no secret, and none is
//! believed in beyond what whoever forged it could do anyway. Asks nobody whether its owner lives.

use std::fmt;
use std::str::FromStr;

/// The variable that holds the marks.
pub(super) use crate::environment::STARTED_BY as VARIABLE;

/// A process that starts commands, told apart from all others of this machine, before and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    /// Its namespace of process ids: the number means nothing in another one.
    pub(super) namespace: u64,
    /// Its user.
    pub(super) user: u32,
    pub(super) process: i32,
    /// When it was started, in ticks since the machine was: its number may be given again.
    pub(super) started: u64,
}

/// One command of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Mark {
    pub(super) owner: Owner,
    pub(super) number: u64,
}

impl Mark {
    /// What the variable is to hold, after what it holds already.
    pub(super) fn after(&self, held: Option<&str>) -> String {
        match held.map(str::trim).filter(|held| !held.is_empty()) {
            Some(held) => format!("{held} {self}"),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Owner { namespace, user, process, started } = self.owner;
        write!(f, "{namespace}:{user}:{process}:{started}:{}", self.number)
    }
}

/// It is no mark.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoMark;

impl FromStr for Mark {
    type Err = NoMark;

    fn from_str(text: &str) -> Result<Self, NoMark> {
        let mut parts = text.split(':');
        let mark = Self {
            owner: Owner {
                namespace: number(parts.next())?,
                user: number(parts.next())?,
                process: number(parts.next())?,
                started: number(parts.next())?,
            },
            number: number(parts.next())?,
        };
        // Numbers from 1 up are processes; the others mean groups, or all of them.
        (parts.next().is_none() && mark.owner.process > 0).then_some(mark).ok_or(NoMark)
    }
}

fn number<T: FromStr>(part: Option<&str>) -> Result<T, NoMark> {
    let part = part.filter(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    part.and_then(|part| part.parse().ok()).ok_or(NoMark)
}

/// The marks of an environment as the kernel shows it: variables that end with a NUL.
pub(super) fn borne(environment: &[u8]) -> Vec<Mark> {
    let value = environment
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(VARIABLE.as_bytes())?.strip_prefix(b"="));
    let words = value.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default();
    words.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mark(number: u64) -> Mark {
        let owner = Owner { namespace: 4_026_531_836, user: 1000, process: 71, started: 98_765 };
        Mark { owner, number }
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        assert_eq!(mark(3).to_string(), "4026531836:1000:71:98765:3");
        assert_eq!("4026531836:1000:71:98765:3".parse(), Ok(mark(3)));
    }

    #[test]
    fn what_is_no_mark_is_read_as_none() {
        for text in [
            "",
            "1",
            "1:2:3:4",
            "1:2:3:4:5:6",
            "1:2:3:4:",
            "1:2:0:4:5",
            "1:2:-1:4:5",
            "1:2:+3:4:5",
            "1:2:2147483648:4:5",
            "1:4294967296:3:4:5",
            "1:2:3:18446744073709551616:5",
            "a:2:3:4:5",
        ] {
            assert_eq!(text.parse::<Mark>(), Err(NoMark), "{text:?}");
        }
    }

    #[test]
    fn marks_of_those_further_out_stay_before_a_new_one() {
        let (outer, inner) = (mark(1), mark(2));
        let held = outer.after(None);
        assert_eq!(outer.after(Some(" ")), held);
        let environment = format!("A=b\0{VARIABLE}={}\0C=d\0", inner.after(Some(&held)));
        assert_eq!(borne(environment.as_bytes()), [outer, inner]);
    }

    #[test]
    fn a_variable_of_another_name_bears_nothing_and_what_is_broken_in_one_is_passed_over() {
        let text = mark(7).to_string();
        assert_eq!(
            borne(format!("X{VARIABLE}={text}\0{VARIABLE}S={text}\0A={VARIABLE}={text}\0").as_bytes()),
            []
        );
        assert_eq!(borne(format!("{VARIABLE}=odd {text} 1:2\0").as_bytes()), [mark(7)]);
        assert_eq!(borne(format!("{VARIABLE}={text}").as_bytes()), [mark(7)], "cut off behind it");
        assert_eq!(borne(&[&b"\xff=\xfe\0"[..], VARIABLE.as_bytes(), b"=\xff\0"].concat()), []);
    }

    proptest! {
        #[test]
        fn any_environment_is_read(bytes: Vec<u8>, value: Vec<u8>) {
            borne(&bytes);
            borne(&[&bytes[..], b"\0", VARIABLE.as_bytes(), b"=", &value].concat());
        }

        #[test]
        fn any_mark_is_read_as_it_was_written(namespace: u64, user: u32, process in 1..i32::MAX, started: u64, number: u64) {
            let mark = Mark { owner: Owner { namespace, user, process, started }, number };
            prop_assert_eq!(mark.to_string().parse(), Ok(mark));
        }
    }
}
