//! A word to one running test from the run that it is part of: stop, and count as this.
//!
//! Owns the channel. Signals to the process are [`crate::signal`]'s, and the limit of one attempt is its own.

use tokio::sync::watch;

use crate::results::{Cause, Outcome};

/// Why a test is stopped before its end, and what that makes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Halt {
    /// In a few words, for those who watch.
    pub reason: String,
    /// The outcome of the attempt that runs now, and of the test.
    pub outcome: Outcome,
    /// The cause that goes with it.
    pub cause: Cause,
}

/// Where the run says it. The first word counts.
pub type Sender = watch::Sender<Option<Halt>>;

/// Where the test hears it.
pub type Receiver = watch::Receiver<Option<Halt>>;

/// A channel on which nothing was said yet.
#[must_use]
pub fn channel() -> (Sender, Receiver) {
    watch::channel(None)
}

/// Says it, unless something was said before.
pub fn say(sender: &Sender, halt: Halt) {
    sender.send_if_modified(|said| {
        let first = said.is_none();
        if first {
            *said = Some(halt);
        }
        first
    });
}

/// Resolves once something was said; never where nobody can say anything any more.
pub async fn wait(receiver: &mut Receiver) -> Halt {
    match receiver.wait_for(Option::is_some).await.map(|said| said.clone()) {
        Ok(Some(halt)) => halt,
        Ok(None) | Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_word_counts() {
        let halt = |reason: &str| Halt {
            reason: reason.to_owned(),
            outcome: Outcome::Aborted,
            cause: Cause::NotRun { reason: reason.to_owned() },
        };
        let (sender, mut receiver) = channel();
        say(&sender, halt("first"));
        say(&sender, halt("second"));
        assert_eq!(wait(&mut receiver).await.reason, "first");
    }
}
