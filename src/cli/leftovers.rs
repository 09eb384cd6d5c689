//! What a killed daemon or harness has left running: ended by the next one, and said.
//!
//! Owns the words. Whose it may be is [`crate::check`]'s to know.

use crate::check;

/// Ends it before anything else begins, and says so once where there was something.
pub(super) async fn end(say: impl Fn(&str)) {
    match check::sweep().await {
        0 => {}
        1 => say("ended 1 process that a killed run had left running"),
        processes => say(&format!("ended {processes} processes that a killed run had left running")),
    }
}
