//! Values taken out of a record on its way into a file.
//!
//! What stands at the named places becomes [`MARKER`]; and wherever else the record has the same text, in events, host calls, memos
//! and logs, it becomes that too. What was made of a value (a digest of it, its length, a part of it) is not found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use milepost_core::event::{Entry, Event, RunEvent, StepEvent, WaitEvent};
use milepost_core::ids::{Digest, StepId};
use milepost_core::payload::Payload;
use milepost_core::shown::Shown;
use milepost_core::tape::{Tape, TapeEntry};
use milepost_core::wait::Wait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::BundleError;
use super::fold::{Folded, beside};
use super::manifest::Kind;
use super::write::{Blobs, Gathered};

/// What stands in the place of a value.
pub const MARKER: &str = "[redacted]";
/// A text of so many bytes is replaced wherever it stands; a shorter one only where it is the whole text.
const DISTINCT: usize = 4;

/// A place of a value: `inputs.token`, `steps.build.output.name`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Field {
    of: Of,
    members: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Of {
    Inputs,
    Output(StepId),
}

/// A text that names no place of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` names no value: it has to be like `inputs.token` or `steps.build.output.name`", Shown(.0))]
pub struct InvalidField(String);

impl FromStr for Field {
    type Err = InvalidField;

    fn from_str(text: &str) -> Result<Self, InvalidField> {
        let wrong = || InvalidField(text.to_owned());
        let mut parts = text.split('.');
        let of = match parts.next() {
            Some("inputs") => Of::Inputs,
            Some("steps") => {
                let step = StepId::new(parts.next().unwrap_or_default()).map_err(|_| wrong())?;
                match parts.next() {
                    Some("output") => Of::Output(step),
                    _ => return Err(wrong()),
                }
            }
            _ => return Err(wrong()),
        };
        let members: Vec<String> = parts.map(str::to_owned).collect();
        let whole = of == Of::Inputs && members.is_empty();
        match whole || members.iter().any(String::is_empty) {
            true => Err(wrong()),
            false => Ok(Self { of, members }),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.of {
            Of::Inputs => f.write_str("inputs")?,
            Of::Output(step) => write!(f, "steps.{step}.output")?,
        }
        self.members
            .iter()
            .try_for_each(|name| write!(f, ".{name}"))
    }
}

impl TryFrom<String> for Field {
    type Error = InvalidField;
    fn try_from(text: String) -> Result<Self, InvalidField> {
        text.parse()
    }
}

impl From<Field> for String {
    fn from(field: Field) -> Self {
        field.to_string()
    }
}

impl Field {
    /// Where in a value: what stands there, if anything does.
    fn find<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        value_at(value, self.members.iter().map(String::as_str))
    }

    /// The outputs of its step that a fork begins with.
    fn kept<'a>(&self, event: &'a Event) -> impl Iterator<Item = &'a Payload> {
        let fork = match event {
            Event::Run(RunEvent::Created(created)) => created.fork.as_ref(),
            _ => None,
        };
        let kept = fork.map_or(&[][..], |fork| &fork.kept).iter();
        kept.filter(|record| matches!(&self.of, Of::Output(step) if record.path().step() == step))
            .filter_map(|record| record.visible()?.output())
    }

    /// Whether it is a place in the value of an event.
    fn is_in(&self, event: &Event) -> bool {
        match (&self.of, event) {
            (Of::Inputs, Event::Run(RunEvent::Created(_) | RunEvent::DefinitionChanged(_))) => true,
            (Of::Output(step), Event::Step { path, event }) => {
                path.step() == step && !matches!(event, StepEvent::Started(_))
            }
            _ => false,
        }
    }
}

/// What stands in a value where these names lead, through members and items.
pub(crate) fn value_at<'v, 'n>(
    value: &'v mut Value,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<&'v mut Value> {
    let mut place = value;
    for name in names {
        place = match place {
            Value::Object(members) => members.get_mut(name)?,
            Value::Array(items) => items.get_mut(name.parse::<usize>().ok()?)?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
        };
    }
    Some(place)
}

/// Texts that are replaced, the longest first: one may hold another.
#[derive(Default)]
pub(crate) struct Needles(Vec<String>);

impl Needles {
    pub(crate) fn of(values: &[Value]) -> Self {
        fn texts(value: &Value, found: &mut BTreeSet<String>) {
            match value {
                Value::String(text) if !text.is_empty() => {
                    found.insert(text.clone());
                }
                Value::Number(number) if number.to_string().len() >= DISTINCT => {
                    found.insert(number.to_string());
                }
                Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
                Value::Object(members) => members.values().for_each(|value| texts(value, found)),
                Value::String(_) | Value::Number(_) | Value::Null | Value::Bool(_) => {}
            }
        }
        let mut found = BTreeSet::new();
        values.iter().for_each(|value| texts(value, &mut found));
        found.remove(MARKER);
        let mut found: Vec<String> = found.into_iter().collect();
        found.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Self(found)
    }

    /// A text without them; `None` where none is in it.
    pub(crate) fn text(&self, text: &str) -> Option<String> {
        let mut made: Option<String> = None;
        for needle in &self.0 {
            let now = made.as_deref().unwrap_or(text);
            let replaced = match needle.len() >= DISTINCT {
                true if now.contains(needle.as_str()) => now.replace(needle.as_str(), MARKER),
                false if now == needle => MARKER.to_owned(),
                _ => continue,
            };
            made = Some(replaced);
        }
        made
    }

    /// Takes them out of a value. Returns whether any was in it.
    pub(crate) fn value(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => match self.text(text) {
                Some(made) => {
                    *text = made;
                    true
                }
                None => false,
            },
            Value::Number(number) => {
                let any = self.0.contains(&number.to_string());
                if any {
                    *value = MARKER.into();
                }
                any
            }
            Value::Array(items) => items
                .iter_mut()
                .fold(false, |any, item| self.value(item) | any),
            Value::Object(members) => {
                let mut any = false;
                for value in members.values_mut() {
                    any |= self.value(value);
                }
                let named: Vec<(String, String)> = members
                    .keys()
                    .filter_map(|name| Some((name.clone(), self.text(name)?)))
                    .collect();
                for (name, made) in named {
                    any = true;
                    if let Some(value) = members.remove(&name) {
                        members.insert(made, value);
                    }
                }
                any
            }
            Value::Null | Value::Bool(_) => false,
        }
    }

    /// Whether one is left in a part: in a value where it was one, not in how several are written one after the other.
    fn stand_in(&self, kind: Kind, bytes: &[u8]) -> bool {
        if kind == Kind::Value
            && let Ok(mut value) = serde_json::from_slice::<Value>(bytes)
        {
            return self.value(&mut value);
        }
        let text = String::from_utf8_lossy(bytes);
        let mut distinct = self.0.iter().filter(|needle| needle.len() >= DISTINCT);
        distinct.any(|needle| text.contains(needle.as_str()))
    }

    /// Takes them out of a record: texts everywhere, but numbers only where values of users stand.
    fn record(&self, value: &mut Value) -> bool {
        match value {
            Value::Object(members) => {
                let mut any = false;
                for (name, value) in members {
                    any |= match name.as_str() {
                        "inline" => self.value(value),
                        _ => self.record(value),
                    };
                }
                any
            }
            Value::Array(items) => items
                .iter_mut()
                .fold(false, |any, item| self.record(item) | any),
            Value::String(_) => self.value(value),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
}

/// Replaces values in runs, of which the first is the one that the fields are of. Gives the parts in which one stands still.
pub(super) fn redact(
    fields: &[Field],
    runs: &mut [Gathered],
    blobs: &mut Blobs,
) -> Result<Vec<String>, BundleError> {
    let mut found = Vec::new();
    for field in fields {
        let before = found.len();
        for entry in &runs[0].lines.entries {
            let event = decoded(&runs[0], entry.seq, &entry.body, blobs)?;
            let own = event.payload().filter(|_| field.is_in(&event));
            for payload in own.into_iter().chain(field.kept(&event)) {
                let mut value = Arc::unwrap_or_clone(payload.value());
                found.extend(field.find(&mut value).map(|value| value.take()));
            }
        }
        if found.len() == before {
            return Err(BundleError::NothingThere {
                field: field.clone(),
                run: runs[0].row.id.clone(),
            });
        }
    }
    let needles = Needles::of(&found);
    let given = given(runs, blobs, &needles)?;
    let mut made: BTreeMap<(Kind, Digest), Arc<[u8]>> = BTreeMap::new();
    for (number, run) in runs.iter_mut().enumerate() {
        let own: &[Field] = if number == 0 { fields } else { &[] };
        let redaction = Redaction {
            needles: &needles,
            fields: own,
            all: fields,
            given: &given,
            blobs,
        };
        redaction.run(run, &mut made)?;
    }
    let mut wanted: BTreeMap<Digest, Kind> = BTreeMap::new();
    for run in runs.iter() {
        let beside = run.beside.iter().map(|digest| (Kind::Value, *digest));
        for (kind, digest) in run.folded.named().chain(beside) {
            let known = wanted.entry(digest).or_insert(kind);
            *known = kind.min(*known);
        }
    }
    blobs.extend(made);
    blobs.retain(|(kind, digest), _| wanted.get(digest) == Some(kind));
    let left = blobs
        .iter()
        .filter(|((kind, _), bytes)| needles.stand_in(*kind, bytes));
    Ok(left.map(|((kind, digest), _)| kind.name(digest)).collect())
}

/// The inputs that runs were given, as digests, before and after.
fn given(
    runs: &[Gathered],
    blobs: &Blobs,
    needles: &Needles,
) -> Result<BTreeMap<Digest, Digest>, BundleError> {
    let mut given = BTreeMap::new();
    for run in runs {
        let Some(first) = run.lines.entries.first() else {
            continue;
        };
        let event = decoded(run, first.seq, &first.body, blobs)?;
        if let Some(inputs) = event.payload() {
            let mut value = Arc::unwrap_or_clone(inputs.value());
            if needles.value(&mut value) {
                let after = Payload::new(value);
                given.insert(
                    Digest::of(inputs.text().as_bytes()),
                    Digest::of(after.text().as_bytes()),
                );
            }
        }
    }
    Ok(given)
}

fn decoded(run: &Gathered, seq: u64, body: &str, blobs: &Blobs) -> Result<Event, BundleError> {
    let find = |digest: &Digest| blob(blobs, digest).map(<[u8]>::to_vec);
    Event::decode(body, &find).map_err(|error| BundleError::NotReplaceable {
        run: run.row.id.clone(),
        seq,
        what: error.to_string(),
    })
}

fn blob<'a>(blobs: &'a Blobs, digest: &Digest) -> Option<&'a [u8]> {
    let kinds = [Kind::Value, Kind::Definition, Kind::Component];
    kinds
        .iter()
        .find_map(|kind| blobs.get(&(*kind, *digest)))
        .map(|bytes| &**bytes)
}

struct Redaction<'a> {
    needles: &'a Needles,
    /// Places in this run.
    fields: &'a [Field],
    all: &'a [Field],
    /// What parents recorded of the inputs of their children: its digest, and the new one.
    given: &'a BTreeMap<Digest, Digest>,
    blobs: &'a Blobs,
}

impl Redaction<'_> {
    fn run(
        &self,
        run: &mut Gathered,
        made: &mut BTreeMap<(Kind, Digest), Arc<[u8]>>,
    ) -> Result<(), BundleError> {
        let tapes = self.tapes(run, made)?;
        let mut folded = Folded::default();
        for at in 0..run.lines.entries.len() {
            let mut stored = run.lines.entries[at].clone();
            let seq = stored.seq;
            let wrong = |what: String| BundleError::NotReplaceable {
                run: run.row.id.clone(),
                seq,
                what,
            };
            let before = decoded(run, seq, &stored.body, self.blobs)?;
            let mut body: Value =
                serde_json::from_str(&stored.body).map_err(|e| wrong(e.to_string()))?;
            self.put_back(&mut body);
            for field in self.fields.iter().filter(|field| field.is_in(&before)) {
                if let Some(value) = payload_of(&mut body)
                    && let Some(value) = field.find(value)
                {
                    *value = MARKER.into();
                }
            }
            self.needles.record(&mut body);
            let find = |digest: &Digest| blob(self.blobs, digest).map(<[u8]>::to_vec);
            let mut event =
                Event::decode(&body.to_string(), &find).map_err(|e| wrong(e.to_string()))?;
            if event.name() != before.name() || event.path() != before.path() {
                return Err(wrong("it becomes another event".to_owned()));
            }
            if let Event::Run(RunEvent::Created(created)) = &mut event {
                let fields = self.all.iter().map(ToString::to_string);
                let known = std::mem::take(&mut created.redacted);
                created.redacted = known.into_iter().chain(fields).collect();
                created.redacted.sort();
                created.redacted.dedup();
            }
            if let Event::Step {
                event:
                    StepEvent::Wait(WaitEvent::Started {
                        wait: Wait::Child { inputs, .. },
                    }),
                ..
            } = &mut event
                && let Some(digest) = self.given.get(inputs)
            {
                *inputs = *digest;
            }
            if let Some(kept) = tape_of(&mut event).and_then(|tape| tape.kept.as_mut())
                && let Some(digest) = tapes.get(&kept.started)
            {
                kept.digest = *digest;
            }
            for payload in event.payloads() {
                if let Some((digest, bytes)) = Payload::blob(payload) {
                    made.insert((Kind::Value, digest), bytes.into());
                }
            }
            if event != before {
                stored.body = event.encode();
            }
            let entry = Entry {
                seq,
                at: stored.at,
                epoch: stored.epoch,
                event,
            };
            folded.take(&entry).map_err(wrong)?;
            run.lines.entries[at] = stored;
        }
        run.folded = folded;
        for (_, memo) in &mut run.lines.memos {
            if let Some(text) = self.needles.text(&memo.key) {
                memo.key = text;
            }
            if let Ok(mut value) = serde_json::from_str::<Value>(&memo.value)
                && self.needles.value(&mut value)
            {
                memo.value = value.to_string();
            }
        }
        run.lines
            .memos
            .sort_by(|a, b| (&a.0, &a.1.key).cmp(&(&b.0, &b.1.key)));
        run.lines
            .memos
            .dedup_by(|a, b| (&a.0, &a.1.key) == (&b.0, &b.1.key));
        for log in &mut run.lines.logs {
            if let Ok(mut line) = serde_json::from_str::<Value>(&log.body)
                && self.needles.record(&mut line)
            {
                log.body = line.to_string();
            }
        }
        for used in &mut run.artifacts {
            for text in [&mut used.artifact.name, &mut used.artifact.media_type] {
                if let Some(made) = self.needles.text(text) {
                    *text = made;
                }
            }
        }
        Ok(())
    }

    /// Puts values that stand beside an event into it.
    fn put_back(&self, body: &mut Value) {
        match body {
            Value::Object(members) => {
                let digest = members.get("blob").and_then(Value::as_str);
                let digest = digest.and_then(|text| text.parse().ok());
                let is_payload = members.len() == 2 && members.contains_key("bytes");
                let text = digest.and_then(|digest| blob(self.blobs, &digest));
                if is_payload
                    && let Some(value) = text.and_then(|text| serde_json::from_slice(text).ok())
                {
                    let value: Value = value;
                    *body = serde_json::json!({ "inline": value });
                    return;
                }
                // Inside of a value nothing is a blob.
                let others = members.iter_mut().filter(|(name, _)| *name != "inline");
                others.for_each(|(_, value)| self.put_back(value));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.put_back(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Replaces values in tapes. Gives the new digests, by the event that started the attempt.
    fn tapes(
        &self,
        run: &mut Gathered,
        made: &mut BTreeMap<(Kind, Digest), Arc<[u8]>>,
    ) -> Result<BTreeMap<u64, Digest>, BundleError> {
        let mut all: BTreeMap<u64, Vec<TapeEntry>> = BTreeMap::new();
        let mut touched = BTreeSet::new();
        let id = run.row.id.clone();
        let wrong = |seq: u64, what: String| BundleError::NotReplaceable {
            run: id.clone(),
            seq,
            what,
        };
        for (started, part) in &run.lines.tapes {
            let mut entries: Vec<TapeEntry> = serde_json::from_str(&part.body)
                .map_err(|error| wrong(*started, error.to_string()))?;
            for entry in &mut entries {
                if let TapeEntry::Host(call) = entry {
                    let mut any = self.needles.value(&mut call.answer);
                    any |= self.bodies(&mut call.answer, made);
                    if let Some(about) = self.needles.text(&call.about) {
                        call.about = about;
                        any = true;
                    }
                    if any {
                        touched.insert(*started);
                    }
                }
            }
            all.entry(*started).or_default().extend(entries);
        }
        // What an attempt asked with a value is told by its digest, to whoever can guess the value.
        for entry in &run.lines.entries {
            let event = decoded(run, entry.seq, &entry.body, self.blobs)?;
            if let Event::Step {
                event: StepEvent::Started(started),
                ..
            } = &event
            {
                let mut input = Arc::unwrap_or_clone(started.input.value());
                if self.needles.value(&mut input) {
                    touched.insert(entry.seq);
                }
            }
        }
        let mut digests = BTreeMap::new();
        let mut named = Vec::new();
        for (started, entries) in &mut all {
            if touched.contains(started) {
                for entry in entries.iter_mut() {
                    if let TapeEntry::Host(call) = entry {
                        call.request = Digest::of(MARKER.as_bytes());
                        call.parts.clear();
                    }
                }
            }
            named.extend(beside(entries));
        }
        named.retain(|digest| {
            blob(self.blobs, digest).is_some() || made.contains_key(&(Kind::Value, *digest))
        });
        run.beside = named;
        for (started, part) in &mut run.lines.tapes {
            if let Some(entries) = all.get_mut(started).filter(|_| touched.contains(started)) {
                let count = serde_json::from_str::<Vec<serde::de::IgnoredAny>>(&part.body);
                let count = count.map_or(0, |calls| calls.len());
                let from = usize::try_from(part.first).unwrap_or(usize::MAX);
                let own = entries.get(from..from + count).unwrap_or_default();
                part.body = milepost_core::tape::json_of(own);
            }
        }
        for (started, entries) in all {
            if touched.contains(&started) {
                let mut tape = Tape {
                    entries,
                    ..Tape::default()
                };
                // Nothing of it is kept here: only its digest is asked for.
                let _ = tape.keep_apart(started, 0);
                digests.extend(tape.kept.map(|kept| (started, kept.digest)));
            }
        }
        Ok(digests)
    }

    /// Replaces values in what stands beside a tape or, in another notation, on it. Returns whether any was there.
    fn bodies(&self, answer: &mut Value, made: &mut BTreeMap<(Kind, Digest), Arc<[u8]>>) -> bool {
        use base64::Engine as _;
        use base64::engine::general_purpose::STANDARD;
        match answer {
            Value::Object(members) if members.len() == 1 => {
                let text = |name: &str| members.get(name).and_then(Value::as_str);
                let digest: Option<Digest> = text("blob").and_then(|text| text.parse().ok());
                let bytes = digest.and_then(|digest| blob(self.blobs, &digest));
                if let Some(text) = bytes.map(String::from_utf8_lossy)
                    && let Some(text) = self.needles.text(&text)
                {
                    let digest = Digest::of(text.as_bytes());
                    made.insert((Kind::Value, digest), text.into_bytes().into());
                    members.insert("blob".to_owned(), digest.to_string().into());
                    return true;
                }
                let bytes = text("base64").and_then(|text| STANDARD.decode(text).ok());
                if let Some(text) = bytes.as_deref().map(String::from_utf8_lossy)
                    && let Some(text) = self.needles.text(&text)
                {
                    *answer = serde_json::json!({ "text": text });
                    return true;
                }
                let all = members.values_mut();
                all.fold(false, |any, value| self.bodies(value, made) | any)
            }
            Value::Object(members) => {
                let all = members.values_mut();
                all.fold(false, |any, value| self.bodies(value, made) | any)
            }
            Value::Array(items) => {
                let all = items.iter_mut();
                all.fold(false, |any, value| self.bodies(value, made) | any)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
}

/// The value of the one payload of a stored event.
fn payload_of(body: &mut Value) -> Option<&mut Value> {
    const NAMES: [&str; 5] = ["inputs", "output", "data", "items", "input"];
    let inner = body.get_mut("body")?;
    let mut place = inner;
    if place
        .get("ending")
        .is_some_and(|ending| ending.get("output").is_some())
    {
        place = place.get_mut("ending")?;
    }
    let name = NAMES.into_iter().find(|name| place.get(*name).is_some())?;
    place.get_mut(name)?.get_mut("inline")
}

fn tape_of(event: &mut Event) -> Option<&mut Tape> {
    match event {
        Event::Step {
            event:
                StepEvent::Completed { tape, .. }
                | StepEvent::AttemptFailed { tape, .. }
                | StepEvent::Failed { tape, .. }
                | StepEvent::Paused { tape, .. },
            ..
        } => Some(tape),
        _ => None,
    }
}
