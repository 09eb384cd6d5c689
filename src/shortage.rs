//! Errors that say that this machine has too little left of what every look at something takes: descriptors, memory,
//! ports, processes.
//!
//! Owns which errors those are, however deep they are wrapped, and what helps. Whoever meets one has seen nothing of the
//! service that was to be looked at, and must not call it bad.

use std::error::Error as StdError;
use std::io;

use hickory_resolver::net::NetError;
use nix::errno::Errno;

/// What there is too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortage {
    Descriptors,
    Memory,
    /// All local ports are taken. A machine without IPv6 says the same of an address of IPv6.
    Ports,
    Processes,
}

impl Shortage {
    /// The shortage that an error or one of its causes is about.
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            let within = match error.downcast_ref::<NetError>() {
                // It is no source of the error that holds it.
                Some(NetError::Io(error)) => Some(&**error),
                _ => error.downcast_ref::<io::Error>(),
            };
            if let Some(found) = within.and_then(Self::of_system) {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    /// The shortage for which something could not be started: only there does the kernel say "try again" of processes.
    pub(crate) fn of_start(error: &io::Error) -> Option<Self> {
        let is_process = error.raw_os_error() == Some(Errno::EAGAIN as i32);
        if is_process { Some(Self::Processes) } else { Self::of_system(error) }
    }

    fn of_system(error: &io::Error) -> Option<Self> {
        let Some(code) = error.raw_os_error() else {
            // What such an error holds is no source of it.
            return error.get_ref().and_then(|held| Self::of(held));
        };
        match Errno::from_raw(code) {
            Errno::EMFILE | Errno::ENFILE => Some(Self::Descriptors),
            Errno::ENOMEM | Errno::ENOBUFS => Some(Self::Memory),
            Errno::EADDRNOTAVAIL => Some(Self::Ports),
            _ => None,
        }
    }

    /// What helps.
    pub(crate) const fn remedy(self) -> &'static str {
        match self {
            Self::Descriptors => {
                "raise the limit of open files: ulimit -n, LimitNOFILE= of a service, fs.file-max of the machine"
            }
            Self::Memory => "this machine or container has too little memory",
            Self::Ports => "all local ports are in use: widen net.ipv4.ip_local_port_range",
            Self::Processes => {
                "raise the limit of processes: ulimit -u, TasksMax= of a service, pids of a container"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot connect")]
    struct Wrapped {
        source: io::Error,
    }

    fn system(code: Errno) -> io::Error {
        io::Error::from_raw_os_error(code as i32)
    }

    #[test]
    fn a_shortage_is_found_however_deep_it_is_wrapped() {
        let table = [
            (Errno::EMFILE, Shortage::Descriptors),
            (Errno::ENFILE, Shortage::Descriptors),
            (Errno::ENOMEM, Shortage::Memory),
            (Errno::ENOBUFS, Shortage::Memory),
            (Errno::EADDRNOTAVAIL, Shortage::Ports),
        ];
        for (code, shortage) in table {
            assert_eq!(Shortage::of(&system(code)), Some(shortage));
            assert_eq!(Shortage::of(&Wrapped { source: system(code) }), Some(shortage));
            let held = io::Error::other(Wrapped { source: io::Error::other(system(code)) });
            assert_eq!(Shortage::of(&held), Some(shortage));
            assert_eq!(Shortage::of(&NetError::from(system(code))), Some(shortage));
            assert_eq!(Shortage::of(&io::Error::other(NetError::from(system(code)))), Some(shortage));
        }
    }

    #[test]
    fn what_a_service_or_the_way_to_it_does_is_no_shortage() {
        for code in
            [Errno::ECONNREFUSED, Errno::ECONNRESET, Errno::ENETUNREACH, Errno::ETIMEDOUT, Errno::EAGAIN]
        {
            assert_eq!(Shortage::of(&Wrapped { source: system(code) }), None, "{code}");
        }
        assert_eq!(Shortage::of(&io::Error::other("Too many open files (os error 24)")), None);
    }

    #[test]
    fn a_process_that_cannot_be_made_is_one_too_many() {
        assert_eq!(Shortage::of_start(&system(Errno::EAGAIN)), Some(Shortage::Processes));
        assert_eq!(Shortage::of_start(&system(Errno::EMFILE)), Some(Shortage::Descriptors));
        assert_eq!(Shortage::of_start(&system(Errno::ENOENT)), None);
    }
}
