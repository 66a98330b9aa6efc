//! From an attempt of a recorded run to a test of its step: what it was given, and its tape as mocks.

use std::path::Path as FilePath;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use milepost_core::event::{AttemptStarted, Event, RunEvent, StepEvent};
use milepost_core::ids::{Digest, Path, RunId};
use milepost_core::outcome::Outcome;
use milepost_core::replay::{Ending, Origin, origin};
use milepost_core::tape::TapeEntry;
use milepost_core::time::Timestamp;
use serde_json::{Value, json};

use super::mock::short;
use super::step::ending;
use super::toml_text::{inline, string};
use crate::bundle::value_at;
use crate::record::{self, RecordError};
use crate::store::Store;

/// Why an attempt does not become a test.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum NotRecorded {
    /// The run cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// No attempt of this step has ended.
    #[error("the run has no attempt of `{0}` that has ended")]
    NoAttempt(Path),
    /// What the attempt asked is not kept.
    #[error("the attempt cannot be executed again: {0}")]
    NotReplayable(String),
    /// A value that is to be left out is not there.
    #[error(
        "there is no `{0}` to redact; of a step, paths begin with `input`, `output` or `calls`, such as `input.token`; of a run, \
         with `inputs`, `output` or `steps.ID.output`, such as `steps.fetch.output.token`"
    )]
    NothingToRedact(String),
}

/// The last attempt of a step that has ended.
struct Attempt {
    started: AttemptStarted,
    at: Timestamp,
    ending: Ending,
    state: Option<Value>,
    seq: u64,
}

/// A file with a test that is made of the last attempt of a step which has ended. The file is to stand in `folder`, for its way to the
/// definition. Values under the paths of `redacted` are replaced by `"***"`.
///
/// # Errors
/// [`NotRecorded`].
pub async fn from_run(
    store: &dyn Store,
    run: &RunId,
    path: &Path,
    folder: &FilePath,
    redacted: &[String],
) -> Result<String, NotRecorded> {
    let (file, attempt) = find(store, run, path).await?;
    let entries = record::tape(store, run, attempt.seq).await?;
    let tape = &attempt.ending.tape;
    if let Some(reason) = &tape.not_replayable {
        return Err(NotRecorded::NotReplayable(reason.clone()));
    }
    let entries = match tape.entries.is_empty() {
        true => entries,
        false => tape.entries.clone(),
    };
    let mut now = attempt.at;
    let mut calls = Vec::new();
    let mut abouts = Vec::new();
    for entry in entries.iter().rev() {
        if let TapeEntry::WallClock { nanos } = entry {
            now = Timestamp::from_nanos(*nanos);
        }
    }
    for entry in &entries {
        let TapeEntry::Host(call) = entry else {
            continue;
        };
        let name = format!("{}.{}", call.interface, call.function);
        if name == "artifacts.open" {
            let reason = "it reads an artifact, whose bytes are not on its tape".to_owned();
            return Err(NotRecorded::NotReplayable(reason));
        }
        let mut answer = call.answer.clone();
        embed(store, &mut answer).await;
        calls.push(match answer.get("ok") {
            Some(answer) => json!({ "call": name, "answer": short(&name, answer) }),
            None => json!({ "call": name, "error": answer["error"] }),
        });
        abouts.push(call.about.clone());
    }
    let (end, value) = ending(&attempt.ending.outcome);
    let input = attempt.started.input.value();
    let mut parts = json!({ "input": *input, "output": value, "calls": calls });
    for path in redacted {
        if !redact(&mut parts, path) {
            return Err(NotRecorded::NothingToRedact(path.clone()));
        }
    }
    let definition = file.strip_prefix(&folder.display().to_string());
    let definition = definition.map_or(file.as_str(), |rest| rest.trim_start_matches('/'));
    let mut out = format!(
        "# From attempt {} of `{path}` in run {run}.\nschema = 1\nworkflow = {}\n\n[[test]]\nname = {}\nstep = {}\nattempt = {}\n\
         now = {}\nseed = {}\ninput = {}\n",
        attempt.started.attempt,
        string(definition),
        string(&format!("{path} as in run {run}")),
        string(path.step().as_str()),
        attempt.started.attempt,
        string(&now.to_string()),
        string(&attempt.started.seed.to_string()),
        inline(&parts["input"]),
    );
    if let Some(state) = &attempt.state {
        out.push_str(&format!("state = {}\n", inline(state)));
    }
    let calls = parts["calls"].as_array().into_iter().flatten();
    for (call, about) in calls.zip(&abouts) {
        out.push_str(&format!(
            "\n[[test.call]] # {}\n",
            about.replace(char::is_control, " ")
        ));
        for (key, value) in call.as_object().into_iter().flatten() {
            out.push_str(&format!("{key} = {}\n", inline(value)));
        }
    }
    let expected = match &attempt.ending.outcome {
        Outcome::Completed(_) | Outcome::Cancelled(_) => parts["output"].clone(),
        Outcome::Failed(_) | Outcome::Paused(_) => parts["output"]["code"].clone(),
    };
    out.push_str(&format!("\n[test.expect]\n{end} = {}\n", inline(&expected)));
    Ok(out)
}

async fn find(
    store: &dyn Store,
    run: &RunId,
    path: &Path,
) -> Result<(String, Attempt), NotRecorded> {
    let mut entries = record::entries(store, run, 0);
    let mut file = String::new();
    let mut started = None;
    let mut state = None;
    let mut found = None;
    while let Some(entry) = entries.next().await {
        let entry = entry?;
        match (origin(&entry.event), &entry.event) {
            (_, Event::Run(RunEvent::Created(created))) => file.clone_from(&created.file),
            (
                _,
                Event::Step {
                    path: at,
                    event: StepEvent::Started(attempt),
                },
            ) if at == path => {
                started = Some((attempt.clone(), entry.at, entry.seq));
            }
            (Origin::Attempt(ending), _) if ending.path == *path => {
                let before = state.clone();
                if let Outcome::Paused(pause) = &ending.outcome {
                    state.clone_from(&pause.state);
                }
                if let Some((started, at, seq)) = started.take() {
                    found = Some(Attempt {
                        started,
                        at,
                        ending,
                        state: before,
                        seq,
                    });
                }
            }
            _ => {}
        }
    }
    match found {
        Some(attempt) => Ok((file, attempt)),
        None => Err(NotRecorded::NoAttempt(path.clone())),
    }
}

/// Puts bodies that are kept beside a tape into an answer.
async fn embed(store: &dyn Store, answer: &mut Value) {
    let digest = |value: &Value| {
        let members = value.as_object().filter(|members| members.len() == 1)?;
        members.get("blob")?.as_str()?.parse::<Digest>().ok()
    };
    let mut left = vec![answer];
    while let Some(value) = left.pop() {
        if let Some(digest) = digest(value) {
            if let Ok(Some(bytes)) = store.blob(&digest).await {
                *value = match String::from_utf8(bytes) {
                    Ok(text) => json!({ "text": text }),
                    Err(other) => json!({ "base64": STANDARD.encode(other.as_bytes()) }),
                };
            }
            continue;
        }
        match value {
            Value::Object(members) => left.extend(members.values_mut()),
            Value::Array(items) => left.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// Replaces the value at a path of names and positions. Returns false where there is none.
fn redact(value: &mut Value, path: &str) -> bool {
    let Some(place) = value_at(value, path.split('.')) else {
        return false;
    };
    *place = "***".into();
    true
}
