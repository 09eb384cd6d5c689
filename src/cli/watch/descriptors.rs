//! The limit of open files of the daemon.
//!
//! Owns that it is raised as far as the daemon may, since each probe that runs takes descriptors, and the usual limit is
//! meant for programs that take few. What is started inherits it.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// So many are enough for any machine's probes. Some programs close all that they may have when they start, one by one.
const MOST: u64 = 65_536;

/// Raises it. Where that is refused, it stays as it is.
pub(super) fn raise_limit() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let wanted = hard.min(MOST);
    if soft < wanted {
        let _refused = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard);
    }
}
