//! Watches one running container: its end, the time allowed, and requests to stop.
//!
//! Owns the stop sequence (stop signal, grace period, SIGKILL) and the decision that an engine is lost.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Sink;
use super::event::RunEvent;
use super::halt;
use crate::engine::{ContainerState, Engine, EngineError};
use crate::plan::TestPlan;
use crate::results::verdict::Stopped;
use crate::signal;

/// How long an engine that went away may take to come back before it counts as lost.
const PATIENCE: Patience = Patience { refused: Duration::from_secs(10), total: Duration::from_secs(30) };

#[derive(Clone, Copy)]
struct Patience {
    /// After this long, the first question that fails is the last one.
    refused: Duration,
    /// An engine that starts again takes questions before it can answer them. After this long, none is waited for.
    total: Duration,
}

/// How long the engine may take to carry out a SIGKILL.
const KILL_PATIENCE: Duration = Duration::from_secs(30);

/// How one supervised container came to its end.
#[derive(Debug)]
pub(super) struct Supervised {
    /// Why it was stopped, where it was.
    pub(super) stopped: Option<Stopped>,
    /// The user asked twice: take no results, be gone.
    pub(super) forced: bool,
    /// The engine went away: what was seen.
    pub(super) lost: Option<Lost>,
}

/// What became of the connection to the engine.
#[derive(Debug)]
pub(super) enum Lost {
    /// It did not come back.
    Gone(String),
    /// It is there, and the container is not.
    Removed,
    /// It came back, and the container had ended meanwhile: by itself or with the engine, nobody can tell.
    Returned(String),
}

#[derive(PartialEq)]
enum Phase {
    Running,
    Stopping,
    Killed,
}

/// Watches `container` to its end. `ended` is cancelled once it cannot print any more.
pub(super) async fn supervise(
    engine: &Engine,
    container: &str,
    plan: &TestPlan,
    sink: &Sink,
    interrupts: &mut signal::Receiver,
    halts: &mut halt::Receiver,
    ended: &CancellationToken,
) -> Supervised {
    let mut supervised = Supervised { stopped: None, forced: false, lost: None };
    let mut phase = Phase::Running;
    let mut limit = Instant::now() + plan.limits.timeout;
    let mut seen = 0;
    let mut wait = Box::pin(engine.wait(container));
    loop {
        tokio::select! {
            // A test that ended has ended, even if its time is over at the same moment.
            biased;
            result = &mut wait => match result {
                Ok(_) => return supervised,
                Err(error) if phase == Phase::Killed => {
                    supervised.lost = Some(Lost::Gone(error.to_string()));
                    return supervised;
                }
                Err(error) => match reconnect(async || engine.container_state(container).await, &error, interrupts, seen, PATIENCE).await {
                    None => {
                        sink.warn("the connection to the engine broke and came back: output may be missing");
                        wait = Box::pin(engine.wait(container));
                    }
                    Some(lost) => {
                        supervised.lost = Some(lost);
                        return supervised;
                    }
                },
            },
            () = sleep_until(limit) => {
                let (reason, signal) = match phase {
                    Phase::Running => {
                        let seconds = plan.limits.timeout.as_secs_f64();
                        supervised.stopped = Some(Stopped::Timeout { seconds });
                        ("timeout", plan.stop_signal.as_str())
                    }
                    Phase::Stopping => ("grace period over", "SIGKILL"),
                    Phase::Killed => {
                        supervised.lost = Some(Lost::Gone("the engine did not carry out SIGKILL".to_owned()));
                        return supervised;
                    }
                };
                phase = stop(engine, container, plan, sink, reason, signal, &mut limit, &phase, ended).await;
            }
            halt = halt::wait(halts), if supervised.stopped.is_none() => {
                let (outcome, cause) = (halt.outcome, halt.cause);
                supervised.stopped = Some(Stopped::Halted { outcome, cause });
                let signal = plan.stop_signal.as_str();
                phase = stop(engine, container, plan, sink, &halt.reason, signal, &mut limit, &phase, ended).await;
            }
            state = signal::wait_for(interrupts, seen + 1) => {
                seen = state.count;
                // A signal wins over a timeout, as in the exit codes.
                if !matches!(supervised.stopped, Some(Stopped::Interrupt { .. })) {
                    supervised.stopped = Some(Stopped::Interrupt { signal: state.signal });
                }
                if state.forced() {
                    supervised.forced = true;
                    phase = stop(engine, container, plan, sink, "second interrupt", "SIGKILL", &mut limit, &phase, ended).await;
                } else if phase == Phase::Running {
                    let signal = plan.stop_signal.as_str();
                    phase = stop(engine, container, plan, sink, "interrupt", signal, &mut limit, &phase, ended).await;
                }
            }
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one step of the loop above, split off to be read once")]
async fn stop(
    engine: &Engine,
    container: &str,
    plan: &TestPlan,
    sink: &Sink,
    reason: &str,
    signal: &str,
    limit: &mut Instant,
    phase: &Phase,
    ended: &CancellationToken,
) -> Phase {
    let next = if signal == "SIGKILL" || *phase != Phase::Running { Phase::Killed } else { Phase::Stopping };
    if next == Phase::Killed {
        // The engine notes the end of a container only once its output was taken, whether anyone reads it or not.
        ended.cancel();
    }
    let grace = if next == Phase::Killed { KILL_PATIENCE } else { plan.limits.grace };
    let said = if next == Phase::Killed { Duration::ZERO } else { grace };
    sink.event(RunEvent::Stopping {
        reason: reason.to_owned(),
        signal: signal.to_owned(),
        grace_seconds: said.as_secs_f64(),
    });
    *limit = Instant::now() + grace;
    // Whether the signal arrived shows in the wait; an engine that is gone shows there too.
    let _ = tokio::time::timeout(KILL_PATIENCE, engine.kill(container, signal)).await;
    next
}

/// Tries to find the container again, until `patience` is over or the next request to stop. `None`: it still runs and
/// can be waited for.
async fn reconnect(
    ask: impl AsyncFn() -> Result<ContainerState, EngineError>,
    first: &EngineError,
    interrupts: &mut signal::Receiver,
    seen: u32,
    patience: Patience,
) -> Option<Lost> {
    let give_up = Instant::now() + patience.refused;
    let mut pause = Duration::from_millis(100);
    let gone = || Some(Lost::Gone(first.to_string()));
    let asking = async {
        loop {
            match ask().await {
                Ok(state) if state.running => return None,
                Ok(state) => {
                    return Some(Lost::Returned(format!(
                        "{first}; the engine came back and says the test ended with {}, by itself or with the engine",
                        state.exit_code
                    )));
                }
                Err(error) if error.is_missing() => return Some(Lost::Removed),
                Err(_) if Instant::now() >= give_up => return gone(),
                Err(_) => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    };
    tokio::select! {
        found = asking => found,
        () = sleep(patience.total) => gone(),
        _ = signal::wait_for(interrupts, seen + 1) => gone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_mins(10);

    fn broken() -> EngineError {
        EngineError::Lost { operation: "wait for", subject: "c".to_owned(), message: "cut".to_owned() }
    }

    #[tokio::test]
    async fn an_engine_that_takes_the_question_and_never_answers_is_gone_when_patience_is_over() {
        let (_canceller, mut interrupts) = signal::channel();
        let silent = async || std::future::pending().await;
        let began = Instant::now();
        let lost =
            reconnect(silent, &broken(), &mut interrupts, 0, Patience { refused: LONG, total: SHORT }).await;
        assert!(matches!(lost, Some(Lost::Gone(_))), "{lost:?}");
        assert!(began.elapsed() < SHORT * 10, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn an_engine_that_is_slow_to_answer_is_waited_for_longer_than_one_that_is_not_there() {
        let (_canceller, mut interrupts) = signal::channel();
        let patience = Patience { refused: SHORT, total: LONG };
        let began = Instant::now();
        let refuses = async || Err(broken());
        let lost = reconnect(refuses, &broken(), &mut interrupts, 0, patience).await;
        assert!(matches!(lost, Some(Lost::Gone(_))), "{lost:?}");
        assert!(began.elapsed() < SHORT * 10, "{:?}", began.elapsed());
        let slow = async || {
            sleep(SHORT * 2).await;
            Ok(ContainerState { running: true, ..ContainerState::default() })
        };
        assert!(reconnect(slow, &broken(), &mut interrupts, 0, patience).await.is_none());
    }

    #[tokio::test]
    async fn a_request_to_stop_ends_the_wait_for_an_answer() {
        let (canceller, mut interrupts) = signal::channel();
        let silent = async || {
            canceller.cancel(2);
            std::future::pending().await
        };
        let lost =
            reconnect(silent, &broken(), &mut interrupts, 0, Patience { refused: LONG, total: LONG }).await;
        assert!(matches!(lost, Some(Lost::Gone(_))), "{lost:?}");
    }

    #[tokio::test]
    async fn a_container_that_runs_is_found_again_after_some_failed_attempts() {
        let (_canceller, mut interrupts) = signal::channel();
        let asked = std::sync::atomic::AtomicU32::new(0);
        let at_last = async || match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Err(broken()),
            _ => Ok(ContainerState { running: true, ..ContainerState::default() }),
        };
        assert!(
            reconnect(at_last, &broken(), &mut interrupts, 0, Patience { refused: LONG, total: LONG })
                .await
                .is_none()
        );
    }
}
