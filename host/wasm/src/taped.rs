//! A host call whose answer goes on the tape: live it is performed and noted, in replay the tape answers and nothing happens.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use milepost_core::effect::{Applied, Effect};
use milepost_core::ids::Digest;
use milepost_core::shown;
use milepost_core::tape::{HostCall, TapeEntry};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::Span;
use tracing::field::Empty;

use crate::attempt::Mode;
use crate::host_error::HostError;
use crate::limits::Refusal;
use crate::mocked::{Question, Reply, World, leaves_the_machine};
use crate::recorder::asked;
use crate::secrets::Secrets;
use crate::state::HostState;

/// What a guest asks, as the tape knows it.
pub(crate) struct Asked {
    /// The interface of the contract: `kv`.
    pub(crate) interface: &'static str,
    /// Its function: `get`.
    pub(crate) function: &'static str,
    /// Everything that the answer depends on, but for the world.
    request: Digest,
    /// For people, in a few words: `GET https://example.com/items`. Nothing secret.
    about: String,
    /// What the words for people do not show, by its name.
    parts: BTreeMap<String, String>,
    /// All of it under names, where a test answers.
    details: Value,
    /// Lasts as long as the call.
    span: Span,
}

impl Asked {
    /// `request` becomes JSON, of which only the digest is kept; `about` says it to people.
    pub(crate) fn new(
        interface: &'static str,
        function: &'static str,
        request: &impl Serialize,
        about: &str,
    ) -> Self {
        Self {
            interface,
            function,
            // What capabilities ask with are plain records of text and numbers, which always become JSON.
            request: Digest::of(&serde_json::to_vec(request).unwrap_or_default()),
            about: shown::excerpt(about, ABOUT_BYTES),
            parts: BTreeMap::new(),
            details: Value::Null,
            span: call_span(interface, function),
        }
    }

    /// The same with parts that the words for people do not show, or not whole.
    pub(crate) fn with_parts<const N: usize>(self, parts: [(&str, Digest); N]) -> Self {
        let part = |(name, digest): (&str, Digest)| {
            let digest = digest.hex();
            (name.to_owned(), digest[..PART_DIGITS].to_owned())
        };
        Self {
            parts: parts.into_iter().map(part).collect(),
            ..self
        }
    }

    /// The same with what a test is told of it.
    pub(crate) fn told(self, details: Option<Value>) -> Self {
        Self {
            details: details.unwrap_or_default(),
            ..self
        }
    }

    /// What was asked, for people.
    pub(crate) fn about(&self) -> &str {
        &self.about
    }

    /// The call as the tape has it, but for its answer.
    fn entry(&self, secrets: &Secrets) -> HostCall {
        HostCall {
            interface: self.interface.to_owned(),
            function: self.function.to_owned(),
            request: self.request,
            about: secrets.mask(self.about.as_str()).into_owned(),
            parts: self.parts.clone(),
            took_millis: 0,
            answer: Value::Null,
        }
    }

    fn is_answered_by(&self, call: &HostCall) -> bool {
        (
            call.interface.as_str(),
            call.function.as_str(),
            &call.request,
        ) == (self.interface, self.function, &self.request)
    }

    fn shown(&self) -> String {
        asked(self.interface, self.function, &self.about, &self.request)
    }

    /// The same beside the call that the tape has in its place: with what differs where the words are the same, as far as the tape knows.
    fn shown_beside(&self, recorded: Option<&TapeEntry>) -> String {
        let shown = self.shown();
        let Some(TapeEntry::Host(recorded)) = recorded else {
            return shown;
        };
        let alike = (&*recorded.interface, &*recorded.function, &*recorded.about)
            == (self.interface, self.function, &*self.about);
        if !alike || recorded.request == self.request {
            return shown;
        }
        let known = recorded.parts.iter();
        let other = known.filter(|(name, digest)| self.parts.get(*name) != Some(digest));
        let other: Vec<&str> = other.map(|(name, _)| name.as_str()).collect();
        match other.as_slice() {
            [] => format!("{shown}; the tape has only a digest of what differs"),
            other => format!("{shown}; what differs: {}", other.join(", ")),
        }
    }
}

/// The span of a host call, in that of its attempt. Nothing of what it asks or is answered is in it: that may be anything.
pub(crate) fn call_span(interface: &'static str, function: &'static str) -> Span {
    tracing::debug_span!("host_call", interface, function, error = Empty)
}

fn millis_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Bytes of the words for people.
const ABOUT_BYTES: usize = 300;

/// Hexadecimal digits that tell one part of a request from another.
const PART_DIGITS: usize = 8;

/// An answer as it stands on the tape.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer<A> {
    Ok(A),
    Error(HostError),
}

/// What is being made durable while an attempt runs out of its time: nobody would know what became of it.
#[derive(Default)]
pub(crate) struct Durable {
    is_under_way: AtomicBool,
    is_closed: AtomicBool,
}

impl Durable {
    /// Nothing more is begun.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// Whether something has begun that has no answer yet.
    pub(crate) fn is_under_way(&self) -> bool {
        self.is_under_way.load(Ordering::Relaxed)
    }
}

impl HostState {
    /// Answers a host call: live as `perform` does, in replay from the tape.
    ///
    /// # Errors
    /// [`Refusal`] when the call ends the attempt; what the guest is told is inside.
    pub(crate) async fn taped<A: Serialize + DeserializeOwned>(
        &mut self,
        call: Asked,
        perform: impl AsyncFnOnce(&mut Self) -> Result<A, HostError>,
    ) -> Result<Result<A, HostError>, Refusal> {
        if let Some(answer) = self.recorded_answer(&call).await? {
            return Ok(answer);
        }
        let begun = self.begins(&call);
        let answer = perform(self).await;
        self.note(&call, &answer, begun);
        self.save_when_full().await;
        Ok(answer)
    }

    /// Notes an answer and makes it durable together with the change that it stands for, before the guest gets it. What is not applied is
    /// not noted either.
    ///
    /// # Errors
    /// [`HostError`] when it could not be saved.
    pub(crate) async fn note_durably<A: Serialize>(
        &mut self,
        call: &Asked,
        answer: &A,
        begun: Instant,
        change: Effect,
    ) -> Result<Applied, HostError> {
        if self.durable.is_closed.load(Ordering::Relaxed) {
            // The attempt's time is over: it only waited for what it had begun.
            return pending().await;
        }
        let noted = self.note(call, &Ok(answer), begun);
        let effect = Effect {
            tape: self.recorder.part(),
            ..change
        };
        self.durable.is_under_way.store(true, Ordering::Relaxed);
        let applied = self.call.host.note(effect).await;
        self.durable.is_under_way.store(false, Ordering::Relaxed);
        match applied {
            Ok(Applied::Done) => self.recorder.saved(),
            _ if noted => self.recorder.take_back(),
            _ => {}
        }
        applied
    }

    /// A live call begins now. Until its answer is noted, it is known as under way.
    pub(crate) fn begins(&mut self, call: &Asked) -> Instant {
        let begun = Instant::now();
        self.under_way = Some((begun, call.entry(&self.call.secrets)));
        begun
    }

    /// Says on the tape what nobody knows the end of: the call in which the attempt was ended.
    pub(crate) fn leave_unanswered(&mut self) {
        let answer = |words: &str| {
            let answer = Answer::<()>::Error(HostError::new("unanswered", words));
            serde_json::to_value(&answer).unwrap_or_default()
        };
        if self.durable.is_under_way() {
            let answer =
                answer("the attempt was over before the store had answered: it may have been done");
            self.recorder.answer_last(answer);
        } else if let Some((begun, mut call)) = self.under_way.take() {
            call.answer = answer("the attempt was over before there was an answer");
            call.took_millis = millis_since(begun);
            self.recorder.note_unanswered(call);
        }
    }

    /// Saves the tape before it takes up much memory. Where that fails it is tried again with the next call, or with the outcome.
    pub(crate) async fn save_when_full(&mut self) {
        if !self.recorder.is_full() {
            return;
        }
        let effect = Effect {
            tape: self.recorder.part(),
            ..Effect::default()
        };
        if effect.tape.is_some() && self.call.host.note(effect).await.is_ok() {
            self.recorder.saved();
        }
    }

    /// What the tape holds for the next call, which must be this one, or what a test answers. `None` when live.
    pub(crate) async fn recorded_answer<A: DeserializeOwned>(
        &mut self,
        call: &Asked,
    ) -> Result<Option<Result<A, HostError>>, Refusal> {
        if let Mode::Mocked(world) = &self.call.mode {
            let world = Arc::clone(world);
            return self.mocked_answer(&*world, call).await;
        }
        let pick = |entry: &TapeEntry| match entry {
            TapeEntry::Host(recorded) if call.is_answered_by(recorded) => {
                // An answer of another shape is another call.
                match Answer::<A>::deserialize(&recorded.answer).ok()? {
                    Answer::Ok(answer) => Some(Ok(answer)),
                    Answer::Error(error) => Some(Err(error)),
                }
            }
            _ => None,
        };
        if !self.recorder.is_replay() {
            // Nobody needs its words.
            return Ok(None);
        }
        let actual = call.shown_beside(self.recorder.next());
        self.recorder.recorded(&actual, pick)
    }

    /// Whether a test answers the calls of this attempt.
    pub(crate) fn is_mocked(&self) -> bool {
        matches!(self.call.mode, Mode::Mocked(_))
    }

    /// What a test is told of a call.
    pub(crate) fn details(&self, details: impl FnOnce() -> Value) -> Option<Value> {
        self.is_mocked().then(details)
    }

    /// What a test answers; `None` where it leaves the call to the host.
    async fn mocked_answer<A: DeserializeOwned>(
        &mut self,
        world: &dyn World,
        call: &Asked,
    ) -> Result<Option<Result<A, HostError>>, Refusal> {
        let question = Question {
            interface: call.interface,
            function: call.function,
            about: &call.about,
            request: &call.details,
        };
        let answer = match world.answer(question).await {
            Reply::Perform if !leaves_the_machine(call.interface) => return Ok(None),
            Reply::Perform | Reply::Refuse => return Err(self.recorder.diverge(&call.shown())),
            Reply::Answer(answer) => answer,
        };
        let read = match Answer::<A>::deserialize(&answer) {
            Ok(Answer::Ok(answer)) => Ok(answer),
            Ok(Answer::Error(error)) => Err(error),
            Err(error) => {
                let unfit = format!("{}: the answer does not fit: {error}", call.shown());
                return Err(self.recorder.diverge(&unfit));
            }
        };
        self.recorder.note(TapeEntry::Host(HostCall {
            interface: call.interface.to_owned(),
            function: call.function.to_owned(),
            request: call.request,
            about: self.call.secrets.mask(call.about.as_str()).into_owned(),
            parts: call.parts.clone(),
            took_millis: 0,
            answer,
        }));
        Ok(Some(read))
    }

    /// Puts the answer to a live call, which began then, on the tape. Returns false where that has outgrown its bound.
    pub(crate) fn note<A: Serialize>(
        &mut self,
        call: &Asked,
        answer: &Result<A, HostError>,
        begun: Instant,
    ) -> bool {
        let answer = match answer {
            Ok(answer) => Answer::Ok(answer),
            Err(error) => {
                call.span.record("error", &*error.code);
                Answer::Error(error.clone())
            }
        };
        let answer = serde_json::to_value(&answer).unwrap_or_default();
        let mut entry = match self.under_way.take() {
            Some((_, entry)) => entry,
            None => call.entry(&self.call.secrets),
        };
        entry.took_millis = millis_since(begun);
        entry.answer = answer;
        self.recorder.note(TapeEntry::Host(entry))
    }
}
