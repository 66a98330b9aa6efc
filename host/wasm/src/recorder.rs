//! The tape at work: live it notes what the host answered, in replay it answers from what was noted.

use std::sync::Arc;

use milepost_core::effect::TapePart;
use milepost_core::ids::Digest;
use milepost_core::limits;
use milepost_core::tape::{HostCall, Tape, TapeEntry, json_of};
use milepost_core::time::Timestamp;
use serde_json::Value;

use super::limits::Refusal;
use crate::attempt::{Mode, TapeDivergence, Unsaved};

/// Answers the journaled host calls of one attempt.
pub(super) struct Recorder {
    tape: Tape,
    /// Bytes of its entries as they are stored.
    bytes: usize,
    max_bytes: usize,
    /// Bytes of its entries, and of bodies beside them, that are not saved yet.
    unsaved_bytes: usize,
    /// What is not saved yet.
    unsaved: Unsaved,
    /// Bytes of all bodies beside the tape.
    blob_bytes: usize,
    replay: Option<Arc<Tape>>,
    divergence: Option<TapeDivergence>,
}

impl Recorder {
    pub(super) fn new(mode: Mode, max_bytes: usize) -> Self {
        let replay = match mode {
            Mode::Live | Mode::Mocked(_) => None,
            Mode::Replay(tape) => Some(tape),
        };
        Self {
            tape: Tape::default(),
            bytes: 0,
            max_bytes,
            unsaved_bytes: 0,
            unsaved: Unsaved::default(),
            blob_bytes: 0,
            replay,
            divergence: None,
        }
    }

    /// Notes that the value of a secret has a part in the outcome.
    pub(super) fn depends_on(&mut self, secret: &str) {
        self.tape.secrets.insert(secret.to_owned());
    }

    pub(super) fn is_replay(&self) -> bool {
        self.replay.is_some()
    }

    /// Ends the attempt because the guest did `actual` where the tape holds something else.
    pub(super) fn diverge(&mut self, actual: &str) -> Refusal {
        let index = self.tape.entries.len();
        let recorded = self
            .replay
            .as_ref()
            .and_then(|tape| tape.entries.get(index));
        self.divergence.get_or_insert_with(|| TapeDivergence {
            index,
            recorded: recorded.map(describe),
            actual: actual.to_owned(),
        });
        Refusal::Diverged
    }

    /// The tape of the attempt, and where it left the tape that it replayed. What is left over is a divergence too.
    pub(super) fn finish(mut self) -> (Tape, Unsaved, Option<TapeDivergence>) {
        let used = self.tape.entries.len();
        if self
            .replay
            .as_ref()
            .is_some_and(|tape| tape.entries.len() > used)
        {
            self.diverge("the attempt ended");
        }
        (self.tape, self.unsaved, self.divergence)
    }

    /// The recorded answer in replay, the real one otherwise. `actual` names the call, `pick` takes the answer from an entry of its kind
    /// and `entry` puts it into one.
    pub(super) fn answer<T: Copy>(
        &mut self,
        actual: &str,
        pick: impl FnOnce(&TapeEntry) -> Option<T>,
        read: impl FnOnce() -> T,
        entry: impl FnOnce(T) -> TapeEntry,
    ) -> Result<T, Refusal> {
        if let Some(answer) = self.recorded(actual, pick)? {
            return Ok(answer);
        }
        let answer = read();
        self.note(entry(answer));
        Ok(answer)
    }

    /// The next entry of the tape that is replayed.
    pub(super) fn next(&self) -> Option<&TapeEntry> {
        self.replay.as_ref()?.entries.get(self.tape.entries.len())
    }

    /// What `pick` takes from the next entry of the tape that is replayed; its refusal is a divergence. `None` when live.
    pub(super) fn recorded<T>(
        &mut self,
        actual: &str,
        pick: impl FnOnce(&TapeEntry) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let Some(replay) = &self.replay else {
            return Ok(None);
        };
        let next = replay.entries.get(self.tape.entries.len());
        match next.and_then(|entry| Some((entry, pick(entry)?))) {
            Some((entry, answer)) => {
                self.tape.entries.push(entry.clone());
                Ok(Some(answer))
            }
            None => Err(self.diverge(actual)),
        }
    }

    /// Puts an answer on the tape of a live attempt. Returns false where that has outgrown its bound.
    pub(super) fn note(&mut self, entry: TapeEntry) -> bool {
        if self.tape.not_replayable.is_some() {
            return false;
        }
        let bytes = encoded_bytes(&entry);
        self.bytes += bytes;
        if self.bytes > self.max_bytes {
            self.tape.not_replayable = Some(format!(
                "the tape exceeded its maximum of {} bytes",
                self.max_bytes
            ));
            return false;
        }
        self.unsaved_bytes += bytes;
        self.tape.entries.push(entry);
        true
    }

    /// Keeps a body beside the tape, for the entry that is noted next.
    pub(super) fn keep(&mut self, digest: Digest, bytes: Arc<[u8]>) {
        if self.is_replay() || self.tape.not_replayable.is_some() {
            return;
        }
        self.blob_bytes += bytes.len();
        if self.blob_bytes > limits::TAPE_BLOB_BYTES {
            self.tape.not_replayable = Some(format!(
                "what was read exceeded the {} bytes that are kept beside a tape",
                limits::TAPE_BLOB_BYTES
            ));
            return;
        }
        self.unsaved_bytes += bytes.len();
        self.unsaved.blobs.push((digest, bytes));
    }

    /// Whether so much is unsaved that it should not wait for the end of the attempt.
    pub(super) fn is_full(&self) -> bool {
        self.unsaved_bytes > limits::TAPE_UNSAVED_BYTES
    }

    /// What is not saved yet; `None` when that is nothing, and in replay.
    pub(super) fn part(&self) -> Option<TapePart> {
        let first = self.unsaved.from;
        let entries = self.tape.entries.get(first..)?;
        (!entries.is_empty() && !self.is_replay()).then(|| TapePart {
            first: first as u64,
            body: json_of(entries),
            blobs: self.unsaved.blobs.clone(),
        })
    }

    /// That part was saved.
    pub(super) fn saved(&mut self) {
        self.unsaved = Unsaved {
            from: self.tape.entries.len(),
            blobs: Vec::new(),
        };
        self.unsaved_bytes = 0;
    }

    /// Gives the last call another answer than the one that was noted: what was noted may not have come to pass.
    pub(super) fn answer_last(&mut self, answer: Value) {
        if self.tape.entries.len() > self.unsaved.from
            && let Some(TapeEntry::Host(call)) = self.tape.entries.last_mut()
        {
            call.answer = answer;
            self.leave_unanswered();
        }
    }

    /// Puts a call that never had an answer on the tape of a live attempt.
    pub(super) fn note_unanswered(&mut self, call: HostCall) {
        if !self.is_replay() && self.note(TapeEntry::Host(call)) {
            self.leave_unanswered();
        }
    }

    fn leave_unanswered(&mut self) {
        self.tape.not_replayable.get_or_insert_with(|| {
            "the attempt was over before its last host call had an answer".to_owned()
        });
    }

    /// Takes the last entry back: what it answers did not come to pass.
    pub(super) fn take_back(&mut self) {
        if self.tape.entries.len() > self.unsaved.from
            && let Some(entry) = self.tape.entries.pop()
        {
            let bytes = encoded_bytes(&entry);
            self.bytes -= bytes;
            self.unsaved_bytes = self.unsaved_bytes.saturating_sub(bytes);
        }
    }
}

/// What an entry takes up in the journal, with the comma after it.
fn encoded_bytes(entry: &TapeEntry) -> usize {
    let digits = |number: u64| number.checked_ilog10().unwrap_or_default() as usize + 1;
    match entry {
        TapeEntry::WallClock { nanos } => {
            r#"{"call":"wall_clock","nanos":},"#.len() + digits(*nanos)
        }
        TapeEntry::MonotonicClock { nanos } => {
            r#"{"call":"monotonic_clock","nanos":},"#.len() + digits(*nanos)
        }
        TapeEntry::Sleep { millis } => r#"{"call":"sleep","millis":},"#.len() + digits(*millis),
        TapeEntry::CancelRequested { requested: true } => {
            r#"{"call":"cancel_requested","requested":true},"#.len()
        }
        TapeEntry::CancelRequested { requested: false } => {
            r#"{"call":"cancel_requested","requested":false},"#.len()
        }
        // A value always becomes text.
        TapeEntry::Host(_) | TapeEntry::Responses { .. } => {
            serde_json::to_string(entry).map_or(0, |text| text.len() + 1)
        }
    }
}

/// An entry for a person.
pub(super) fn describe(entry: &TapeEntry) -> String {
    match entry {
        TapeEntry::WallClock { nanos } => format!("wall clock {}", Timestamp::from_nanos(*nanos)),
        TapeEntry::MonotonicClock { nanos } => format!("monotonic clock {nanos} ns"),
        TapeEntry::Sleep { millis } => format!("sleep {millis} ms"),
        TapeEntry::CancelRequested { requested } => format!("cancel requested: {requested}"),
        TapeEntry::Responses { waiting, arrived } => {
            format!("a look at responses {waiting:?}: {arrived:?} are there")
        }
        TapeEntry::Host(call) => asked(&call.interface, &call.function, &call.about, &call.request),
    }
}

/// A host call for a person.
pub(super) fn asked(interface: &str, function: &str, about: &str, request: &Digest) -> String {
    format!("{interface}.{function} {about} (request {request})")
}

#[cfg(test)]
mod tests {
    use milepost_core::tape::HostCall;

    use super::*;

    fn reading(recorder: &mut Recorder, nanos: u64) -> Result<u64, Refusal> {
        let pick = |entry: &TapeEntry| match entry {
            TapeEntry::WallClock { nanos } => Some(*nanos),
            _ => None,
        };
        let entry = |nanos| TapeEntry::WallClock { nanos };
        recorder.answer("wall clock", pick, || nanos, entry)
    }

    fn tape(entries: Vec<TapeEntry>) -> Mode {
        Mode::Replay(Arc::new(Tape {
            entries,
            ..Tape::default()
        }))
    }

    #[test]
    fn what_is_recorded_live_is_answered_in_replay() {
        let mut live = Recorder::new(Mode::Live, 1_000);
        assert_eq!(reading(&mut live, 7), Ok(7));
        live.note(TapeEntry::Sleep { millis: 5 });
        assert_eq!(reading(&mut live, 9), Ok(9));
        let (recorded, _, none) = live.finish();
        assert_eq!(none, None);

        let mut replay = Recorder::new(tape(recorded.entries.clone()), 1_000);
        assert_eq!(reading(&mut replay, 0), Ok(7));
        let slept = |entry: &TapeEntry| (*entry == TapeEntry::Sleep { millis: 5 }).then_some(());
        assert_eq!(replay.recorded("sleep", slept), Ok(Some(())));
        assert_eq!(reading(&mut replay, 0), Ok(9));
        let (replayed, _, divergence) = replay.finish();
        assert_eq!((replayed, divergence), (recorded, None));
    }

    #[test]
    fn another_call_a_missing_call_and_a_call_too_many_diverge() {
        let sleep = || vec![TapeEntry::Sleep { millis: 5 }];
        let cases = [
            (sleep(), None, Some("sleep 5 ms"), "the attempt ended"),
            (sleep(), Some(6), Some("sleep 5 ms"), "sleep 6 ms"),
            (vec![], Some(6), None, "sleep 6 ms"),
            (
                vec![TapeEntry::CancelRequested { requested: false }],
                Some(5),
                Some("cancel requested: false"),
                "sleep 5 ms",
            ),
        ];
        for (entries, asks, recorded, actual) in cases {
            let mut replay = Recorder::new(tape(entries), 1_000);
            if let Some(millis) = asks {
                let wanted = TapeEntry::Sleep { millis };
                let pick = |entry: &TapeEntry| (*entry == wanted).then_some(());
                let refused = replay.recorded(&describe(&wanted), pick);
                assert_eq!(refused, Err(Refusal::Diverged));
            }
            let expected = TapeDivergence {
                index: 0,
                recorded: recorded.map(Into::into),
                actual: actual.into(),
            };
            assert_eq!(replay.finish().2, Some(expected));
        }
    }

    #[test]
    fn a_tape_that_outgrows_its_bound_says_so() {
        let mut live = Recorder::new(Mode::Live, 64);
        for _ in 0..3 {
            assert_eq!(reading(&mut live, 1), Ok(1));
        }
        let (tape, ..) = live.finish();
        assert_eq!(tape.entries.len(), 2);
        assert_eq!(
            tape.not_replayable.as_deref(),
            Some("the tape exceeded its maximum of 64 bytes")
        );
    }

    #[test]
    fn entries_count_what_they_take_up_in_the_journal() {
        for number in [0, 9, 10, 99_999, u64::MAX] {
            for entry in [
                TapeEntry::WallClock { nanos: number },
                TapeEntry::MonotonicClock { nanos: number },
                TapeEntry::Sleep { millis: number },
                TapeEntry::CancelRequested { requested: true },
                TapeEntry::CancelRequested { requested: false },
                TapeEntry::Responses {
                    waiting: vec![0, 7],
                    arrived: vec![7],
                },
                TapeEntry::Host(HostCall {
                    interface: "kv".into(),
                    function: "get".into(),
                    request: Digest::of(b"rates"),
                    about: "rates/\u{1b}".into(),
                    parts: [("value".into(), "0123abcd".into())].into(),
                    took_millis: number,
                    answer: serde_json::json!({ "ok": null }),
                }),
            ] {
                let stored = serde_json::to_string(&entry).map_or(0, |text| text.len());
                assert_eq!(encoded_bytes(&entry), stored + 1, "{entry:?}");
            }
        }
    }
}
