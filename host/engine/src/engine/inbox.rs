//! Signals: how they reach a run that waits for them.

use milepost_core::definition::Definition;
use milepost_core::ids::RunId;
use milepost_core::limits;
use milepost_core::request::posted;
use milepost_core::request::signal::{self, Delivery, Kept, Sending, SignalRefused};
use milepost_core::state::{RunState, Status};
use serde_json::Value;

use super::error::{EngineError, Wanted};
use super::shared::Looks;
use super::{Engine, Trouble};
use crate::fault;
use crate::record::{self, Batch, Recorded};
use crate::store::{NewSignal, RunRow, Sent, StoreError, StoredSignal};

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalAnswer {
    /// The run took it.
    Delivered,
    /// It is kept until the run waits for it.
    Kept,
}

/// What became of a signal, and where its run stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signalled {
    /// What became of this very signal.
    pub answer: SignalAnswer,
    /// Status of the run.
    pub status: Status,
    /// Whether a person has to resume it, because somebody paused it or holds it.
    pub held: bool,
    /// Whether the run continues by itself because this signal came: one that a person holds does not.
    pub goes_on: bool,
    /// The signal that the run waits for where it stands.
    pub waits_for: Option<String>,
    /// Names that the workflow waits for and that this one was probably meant to be.
    pub nearest: Vec<String>,
}

/// The first of the inbox that moves the run where it stands, but for what was taken.
///
/// # Errors
/// [`StoreError::Corrupt`] when its data is damaged: it was checked when it was sent.
pub(super) fn next(
    definition: Option<&Definition>,
    state: &RunState,
    inbox: &[StoredSignal],
    taken: &[u64],
) -> Result<Option<Delivery>, StoreError> {
    let kept = inbox
        .iter()
        .filter(|stored| !taken.contains(&stored.number))
        .map(|stored| Kept {
            number: stored.number,
            name: &stored.name,
            data: &stored.data,
            sent_at: stored.at,
        });
    signal::deliver(definition, state, kept).map_err(|damaged| {
        let run = &state.created().run;
        StoreError::corrupt(format!("run `{run}`: {damaged}"))
    })
}

impl Engine {
    /// Sends a signal to a run. It is durable when this returns, and reaches the run now or when it waits for it. Sent again, it
    /// is another signal: [`Engine::signal_once`] can be repeated.
    ///
    /// # Errors
    /// [`EngineError::Signal`] when the name or the data cannot be taken, or the run is over; [`EngineError::InboxFull`] when too
    /// much waits for it already; [`EngineError::UnknownSignal`]
    /// when nothing in the workflow can wait for it; [`EngineError::TimedOut`] when it comes after the time of the wait that it
    /// would have ended, which is recorded then; [`EngineError::Store`].
    pub async fn signal(
        &self,
        run: &RunId,
        name: &str,
        data: &Value,
    ) -> Result<Signalled, EngineError> {
        self.send(run, name, data, None).await
    }

    /// Sends a signal under a token that its sender draws: however often it is sent to the run, it is one signal. That is
    /// remembered for as long as the store has the run, also when the run has taken the signal and is over.
    ///
    /// # Errors
    /// As [`Engine::signal`]; [`EngineError::Signal`] also when another name or other data was sent with that token before.
    pub async fn signal_once(
        &self,
        run: &RunId,
        name: &str,
        data: &Value,
        token: &str,
    ) -> Result<Signalled, EngineError> {
        self.send(run, name, data, Some(token)).await
    }

    async fn send(
        &self,
        run: &RunId,
        name: &str,
        data: &Value,
        token: Option<&str>,
    ) -> Result<Signalled, EngineError> {
        let refuse = |refused| not_taken(run, name, refused);
        self.shared.follow().await;
        let mut new = NewSignal {
            name: name.to_owned(),
            data: signal::text(name, data).map_err(refuse)?,
            at: self.shared.clock.now(),
            token: token.map(str::to_owned),
        };
        let sent_before = self.sent_before(run, &new).await?;
        let mut looks = Looks::default();
        let (nearest, stood) = loop {
            let Recorded { row, mut state } = looks.load(self.shared.store.as_ref(), run).await?;
            // A definition that this program cannot read any more tells nothing against the signal.
            let definition = self.frozen(&state).await.ok();
            if sent_before.is_none() {
                let ends = row.request.is_some_and(|request| request.kind.ends());
                signal::reachable(&state, ends).map_err(refuse)?;
                let mut batch = Batch::after(state.seq(), state.epoch());
                self.correct_clock(&mut batch, &mut state).await?;
                let now = self.shared.clock.now();
                let sending = signal::send(definition.as_ref(), &state, name, data, now);
                if state.awaits(name).is_none() {
                    let waits = |row: &RunRow| row.awaits.iter().any(|awaited| awaited == name);
                    let wanted = Wanted::Signal(name.to_owned());
                    if let Some(error) = self.at_child(&state, wanted, None, waits, false).await? {
                        return Err(error);
                    }
                    // One that does not wait for it yet.
                    let own = |definition: &Definition| definition.signals().contains(&name);
                    if !definition.as_ref().is_some_and(own)
                        && let Some(error) = self.will_wait(&state, name).await?
                    {
                        return Err(error);
                    }
                }
                match sending.map_err(refuse)? {
                    Sending::Keep => {}
                    Sending::TooLate { path, event } => {
                        match self.record_timeout(batch, state, &path, event, now).await? {
                            Some(over) => return Err(over.into()),
                            None => continue,
                        }
                    }
                }
                new.at = now;
            }
            let nearest = definition.map_or_else(Vec::new, |d| d.nearest_signals(name));
            break (nearest, state);
        };
        fault::point("before_signal_insert");
        let sent = match sent_before {
            Some(sent) => sent,
            None => self.shared.store.send_signal(run, new).await?,
        };
        let number = match sent {
            Sent::Kept(number) => number,
            Sent::Differs(_) => return Err(refuse(SignalRefused::TokenTaken)),
            Sent::Over(status) => return Err(refuse(SignalRefused::Over(status))),
            Sent::Full(inbox) => {
                return Err(EngineError::InboxFull {
                    run: run.clone(),
                    inbox,
                });
            }
        };
        fault::point("after_signal_insert");
        // It is kept. What fails from here on is no reason to send it again: a sweep delivers it.
        let (kept, state) = match self.delivered(run, number).await {
            Ok(found) => found,
            Err(error) => {
                let text = error.to_string();
                let trouble = Trouble::Error(&text);
                self.shared.tell_trouble(Some(run.as_str()), trouble);
                (true, self.undelivered(run, &error).await.unwrap_or(stood))
            }
        };
        let status = state.phase().status();
        if kept && sent_before.is_some() && status.is_terminal() {
            return Err(refuse(SignalRefused::Over(status)));
        }
        Ok(Signalled {
            answer: match kept {
                true => SignalAnswer::Kept,
                false => SignalAnswer::Delivered,
            },
            status,
            held: state.is_held(),
            goes_on: !kept && state.moves(),
            waits_for: match status {
                Status::Paused => state.awaited().next().map(|(_, name)| name.to_owned()),
                _ => None,
            },
            nearest,
        })
    }

    /// What its sender was told when the same token was sent before. Asked first: an answer that was lost is given again, whatever
    /// has become of the run since.
    async fn sent_before(&self, run: &RunId, new: &NewSignal) -> Result<Option<Sent>, EngineError> {
        let Some(token) = &new.token else {
            return Ok(None);
        };
        signal::token(token).map_err(|refused| not_taken(run, &new.name, refused))?;
        let known = self.shared.store.known_token(run, token).await?;
        Ok(known.map(|known| known.answer(new)))
    }

    /// Delivers what can be delivered. Returns whether the signal of that number is still kept, and the run as it then stands:
    /// what was delivered may be another signal that waited longer, and somebody else may have delivered this one.
    async fn delivered(&self, run: &RunId, number: u64) -> Result<(bool, RunState), EngineError> {
        self.deliver(run).await?;
        let store = self.shared.store.as_ref();
        let recorded = record::load(store, run).await?;
        let waits = |kept: &StoredSignal| recorded.state.awaits(&kept.name).is_some();
        let inbox = store.inbox(run, limits::SIGNALS).await?;
        let kept = inbox.iter().find(|stored| stored.number == number);
        if kept.is_some_and(waits) && self.is_driven(&recorded) {
            let taken = self.is_taken(run, number).await?;
            return Ok((!taken, record::load(store, run).await?.state));
        }
        Ok((kept.is_some(), recorded.state))
    }

    /// What becomes of a run that could not be given what is kept for it; `None` when it cannot be told.
    async fn undelivered(&self, run: &RunId, error: &EngineError) -> Option<RunState> {
        let row = self.shared.store.row(run).await.ok().flatten()?;
        self.could_not_deliver(&row, error).await;
        let recorded = record::load(self.shared.store.as_ref(), run).await.ok()?;
        Some(recorded.state)
    }

    /// Gives a paused run what is kept for it and moves it where it stands. Returns whether there was anything.
    pub(super) async fn deliver(&self, run: &RunId) -> Result<bool, EngineError> {
        if self.deliver_children(run).await? {
            return Ok(true);
        }
        let store = self.shared.store.as_ref();
        let mut looks = Looks::default();
        loop {
            let mut state = looks.load(store, run).await?.state;
            if state.phase().status() != Status::Paused {
                return Ok(false);
            }
            let inbox = store.inbox(run, limits::SIGNALS).await?;
            let posted = inbox.iter().any(|kept| kept.name == posted::NAME);
            if !posted && !state.awaits_answer() {
                return Ok(false);
            }
            let definition = match posted {
                true => self.frozen(&state).await.ok(),
                false => None,
            };
            let Some(delivery) = next(definition.as_ref(), &state, &inbox, &[])? else {
                return Ok(false);
            };
            let Delivery { number, events } = delivery;
            let mut batch = Batch::after(state.seq(), state.epoch());
            self.correct_clock(&mut batch, &mut state).await?;
            let moved = !events.is_empty();
            for event in events {
                batch.record(&mut state, event, self.shared.clock.now())?;
            }
            batch.consume(number);
            fault::point("before_signal_consume");
            // Somebody may have taken it, too.
            if self.shared.write(&batch, &state).await? && moved {
                return Ok(true);
            }
        }
    }
}

fn not_taken(run: &RunId, name: &str, refused: SignalRefused) -> EngineError {
    let run = run.clone();
    match refused {
        SignalRefused::Unknown(unknown) => EngineError::UnknownSignal {
            run,
            name: name.to_owned(),
            unknown,
        },
        refused => EngineError::Signal {
            run,
            reason: refused.to_string(),
        },
    }
}
