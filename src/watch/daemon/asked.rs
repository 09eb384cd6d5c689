//! What people ask the daemon for: running a probe now, and silences.
//!
//! Owns the answers. What is done is said; a silence is stored before it counts as made.

use std::sync::PoisonError;

use jiff::Timestamp;

use super::{Daemon, Happening, SILENCE};
use crate::history::outbox::Memo;
use crate::notify::policy::Silence;
use crate::watch::board::{Request, RequestError, SilenceView, Silenced};
use crate::watch::silenced::{Asked, Silences};

impl Daemon {
    pub(super) async fn answer(&mut self, request: Request) {
        if request.is_given_up() {
            return;
        }
        match request {
            Request::Run { probe, answer } => {
                let asked = self.ask(&probe);
                if asked.is_some() {
                    (self.observer)(&Happening::Asked(&format!("to run {probe}")));
                }
                let asked = asked.ok_or_else(|| RequestError::Unknown(format!("probe {probe}")));
                let _gone = answer.send(asked);
            }
            Request::Silence { probes, silence, answer } => {
                let _gone = answer.send(self.silence(probes, silence).await);
            }
            Request::Lift { id, answer } => {
                let _gone = answer.send(self.lift(&id).await);
            }
            Request::Answer { answer } => {
                let _gone = answer.send(Ok(()));
            }
        }
    }

    /// Runs a probe beside its schedule, now or when the run that is under way is over.
    pub(super) fn ask(&mut self, probe: &str) -> Option<()> {
        let now = (self.clock)();
        // One that is gone from the engine has nothing that could be run.
        let entry = self.entries.get_mut(probe).filter(|entry| entry.gone_since.is_none())?;
        let begins = entry.ask();
        if begins {
            self.begin(probe, None, now);
        } else {
            self.place(probe);
        }
        Some(())
    }

    async fn silence(&mut self, probes: String, silence: Silence) -> Result<Silenced, RequestError> {
        if silence.is_over((self.clock)().as_second()) || silence.until <= silence.from {
            return Err(RequestError::Conflict("a silence has to end in the future".to_owned()));
        }
        let id = uuid::Uuid::new_v4().simple().to_string();
        let until = Timestamp::from_second(silence.until).unwrap_or(Timestamp::MAX);
        let said = format!("to silence {probes} until {until}: {}", silence.reason);
        let asked = Asked { probes, silence };
        let text = serde_json::to_string(&asked).map_err(|error| RequestError::Failed(error.to_string()))?;
        self.silences(|silences| silences.add(id.clone(), asked))
            .map_err(|error| RequestError::Conflict(error.to_string()))?;
        let memo = Memo { kind: SILENCE, name: id.clone(), text };
        if let Err(error) = self.tools.store.remember(memo).await {
            self.silences(|silences| silences.lift(&id));
            return Err(RequestError::Failed(error.to_string()));
        }
        (self.observer)(&Happening::Asked(said.trim_end_matches(": ")));
        let shown = self.silences_changed();
        let matches = shown.iter().find(|view| view.id.as_ref() == Some(&id)).map(|view| view.matches);
        Ok(Silenced { id, matches: matches.unwrap_or_default() })
    }

    async fn lift(&mut self, id: &str) -> Result<(), RequestError> {
        if !self.silences(|silences| silences.lift(id)) {
            return Err(RequestError::Unknown("such silence".to_owned()));
        }
        (self.observer)(&Happening::Asked(&format!("to lift the silence {id}")));
        self.silences_changed();
        let forgotten = self.tools.store.forget_memo(SILENCE, id.to_owned()).await;
        forgotten.map(drop).map_err(|error| RequestError::Failed(error.to_string()))
    }

    pub(super) fn silences<T>(&self, change: impl FnOnce(&mut Silences) -> T) -> T {
        change(&mut self.tools.silences.write().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn silences_changed(&mut self) -> Vec<SilenceView> {
        let shown = self.show_silences();
        let names: Vec<String> = self.entries.keys().cloned().collect();
        for name in names {
            self.place(&name);
        }
        shown
    }

    /// Puts them on the board, and gives what stands there.
    pub(super) fn show_silences(&mut self) -> Vec<SilenceView> {
        let now = (self.clock)().as_second();
        let shown = self.silences(|silences| silences.shown(&self.entries.keys(), now));
        self.desk.show_silences(shown.clone());
        shown
    }
}
