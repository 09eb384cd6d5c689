//! Signals to this process, counted: the first asks for a gentle stop, the second for a forced one.
//!
//! Owns the handlers. What a stop means is the runner's to decide.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// What was asked of this process so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Interrupts {
    /// How often.
    pub count: u32,
    /// The first signal's number; 0 before any.
    pub signal: u8,
}

impl Interrupts {
    /// Stop at once, whatever is in progress.
    #[must_use]
    pub const fn forced(self) -> bool {
        self.count > 1
    }
}

/// Receives what was asked.
pub type Receiver = watch::Receiver<Interrupts>;

/// Asks for a stop as a signal would; handed to whatever else may cancel a run.
#[derive(Debug, Clone)]
pub struct Canceller(watch::Sender<Interrupts>);

impl Canceller {
    /// Counts one request for a stop.
    pub fn cancel(&self, signal: u8) {
        self.0.send_modify(|state| {
            state.count = state.count.saturating_add(1);
            if state.signal == 0 {
                state.signal = signal;
            }
        });
    }
}

/// A channel without handlers.
#[must_use]
pub fn channel() -> (Canceller, Receiver) {
    let (sender, receiver) = watch::channel(Interrupts::default());
    (Canceller(sender), receiver)
}

/// Listens for SIGINT, SIGTERM and SIGHUP for as long as the runtime lives.
pub fn listen() -> std::io::Result<(Canceller, Receiver)> {
    listen_for(&[(SignalKind::interrupt(), 2), (SignalKind::terminate(), 15), (SignalKind::hangup(), 1)])
}

/// Listens for SIGINT and SIGTERM alone: SIGHUP tells a daemon to read its configuration again.
pub fn listen_as_daemon() -> std::io::Result<(Canceller, Receiver)> {
    listen_for(&[(SignalKind::interrupt(), 2), (SignalKind::terminate(), 15)])
}

fn listen_for(kinds: &[(SignalKind, u8)]) -> std::io::Result<(Canceller, Receiver)> {
    let (canceller, receiver) = channel();
    for (kind, number) in kinds.iter().copied() {
        let mut stream = signal(kind)?;
        let canceller = canceller.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                canceller.cancel(number);
            }
        });
    }
    Ok((canceller, receiver))
}

/// Resolves with the state once at least `count` requests have come in; never where nobody can ask any more.
pub async fn wait_for(receiver: &mut Receiver, count: u32) -> Interrupts {
    // The guard must not be held while it is waited for.
    let state = receiver.wait_for(|state| state.count >= count).await.map(|state| *state);
    match state {
        Ok(state) => state,
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_signal_names_the_exit_code_and_the_second_forces() {
        let (canceller, mut receiver) = channel();
        canceller.cancel(15);
        assert_eq!(wait_for(&mut receiver, 1).await, Interrupts { count: 1, signal: 15 });
        canceller.cancel(2);
        let state = wait_for(&mut receiver, 2).await;
        assert_eq!((state.signal, state.forced()), (15, true));
    }
}
