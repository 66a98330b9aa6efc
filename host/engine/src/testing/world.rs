//! The world of a test: answers from mocks, and memos, buckets and artifacts in memory. It notes every call, and can stop an
//! attempt in front of any of them, as a crash would.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{pending, ready};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use milepost_core::effect::{Applied, Artifact, Effect, KvItem};
use milepost_core::grants::Grants;
use milepost_core::ids::Digest;
use milepost_core::time::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::mock::Mock;
use crate::attempt::{ArtifactWriter, AttemptHost, BoxFuture, LogLine, Progress};
use crate::clock::{Clock, VirtualClock};
use crate::wasm::secrets::Secrets;
use crate::wasm::{HostError, Question, Reply, World};

/// A host call that a test saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// `interface.function`.
    pub call: String,
    /// For people, in a few words.
    pub about: String,
    /// What was asked.
    pub request: Value,
    /// Whether a second one does no harm.
    pub(crate) harmless: bool,
}

/// In which order mocks answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Order {
    /// In that of the test.
    #[default]
    Strict,
    /// The first one that fits.
    Any,
}

/// What is kept from one attempt to the next.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    pub(crate) memos: BTreeMap<String, String>,
    pub(crate) kv: BTreeMap<(String, String), KvItem>,
    pub(crate) artifacts: BTreeMap<Digest, (Artifact, Arc<[u8]>)>,
}

/// The mocks of a test, with what is left of them.
pub(crate) struct Answers {
    mocks: Vec<Mock>,
    order: Order,
    state: Mutex<Left>,
}

#[derive(Default)]
struct Left {
    /// How often each can still answer.
    left: Vec<u32>,
    /// The first call that the test does not know, and whose it was.
    unknown: Option<(String, String)>,
}

impl Answers {
    pub(crate) fn new(mocks: Vec<Mock>, order: Order) -> Self {
        let left = mocks.iter().map(|mock| mock.times).collect();
        Self {
            mocks,
            order,
            state: Mutex::new(Left {
                left,
                unknown: None,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, Left> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to say of a call that the test does not know, and which step made it.
    pub(crate) fn unknown(&self) -> Option<(String, String)> {
        self.state().unknown.clone()
    }

    /// Mocks that have not answered as often as they can, by position.
    pub(crate) fn unused(&self) -> Vec<(usize, u32)> {
        let state = self.state();
        let left = state.left.iter().copied().enumerate();
        left.filter(|(_, left)| *left > 0).collect()
    }

    /// What these answered has not been: whoever asked is asked again.
    pub(crate) fn give_back(&self, answered: &[usize]) {
        let mut state = self.state();
        for at in answered {
            state.left[*at] += 1;
        }
    }

    /// Whether a second call of this kind does no harm.
    pub(crate) fn is_harmless(&self, call: &str, request: &Value) -> bool {
        let state = self.state();
        let known = (0..self.mocks.len())
            .find(|at| state.left[*at] > 0 && self.mocks[*at].fits(call, request));
        let said = known.and_then(|at| self.mocks[at].idempotent);
        said.unwrap_or_else(|| is_harmless(call, request))
    }

    /// The answer to a call of the execution at `path`, and which mock gave it. `granted`: a definition says what it may do.
    pub(crate) fn reply(
        &self,
        (path, step): (&str, &str),
        granted: bool,
        call: &str,
        request: &Value,
    ) -> (Reply, Option<usize>) {
        let mut state = self.state();
        let usable = |at: &usize| state.left[*at] > 0 && self.mocks[*at].is_for(path, step);
        let fits = |at: &usize| self.mocks[*at].fits(call, request);
        let mut all = (0..self.mocks.len()).filter(usable);
        let found = match self.order {
            Order::Strict => all.next().filter(fits),
            Order::Any => all.find(fits),
        };
        if let Some(at) = found {
            state.left[at] -= 1;
            return (Reply::Answer(self.mocks[at].answer.clone()), Some(at));
        }
        let interface = call
            .rsplit_once('.')
            .map_or(call, |(interface, _)| interface);
        let kept = matches!(interface, "memo" | "kv" | "artifacts");
        let mocked = self.mocks.iter().any(|mock| {
            mock.call
                .rsplit_once('.')
                .is_some_and(|(other, _)| other == interface)
        });
        if kept && !mocked {
            // Buckets are there for whoever is tested without a definition, which would grant them.
            let reply = match (call, granted) {
                ("kv.open", false) => Reply::Answer(json!({ "ok": null })),
                _ => Reply::Perform,
            };
            return (reply, None);
        }
        let next = (0..self.mocks.len()).find(usable).map(|at| &self.mocks[at]);
        let unknown = unknown(call, request, next, self.order);
        state.unknown.get_or_insert((path.to_owned(), unknown));
        (Reply::Refuse, None)
    }
}

pub(crate) struct MockedWorld {
    answers: Answers,
    /// The execution, as mocks name it.
    at: (String, String),
    clock: VirtualClock,
    secrets: Secrets,
    /// Checked before a request is answered, where a definition grants something.
    grants: Option<Arc<Grants>>,
    cancelled: bool,
    /// The attempt never gets past this call, from 1.
    dies_at: Option<usize>,
    died: Notify,
    /// Whether calls come to the host itself, as those of native steps do.
    native: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: Kept,
    seen: Vec<Seen>,
}

impl MockedWorld {
    pub(crate) fn new(mocks: Vec<Mock>, order: Order, clock: VirtualClock, kept: Kept) -> Self {
        Self {
            answers: Answers::new(mocks, order),
            at: Default::default(),
            clock,
            secrets: Secrets::default(),
            grants: None,
            cancelled: false,
            dies_at: None,
            died: Notify::new(),
            native: false,
            state: Mutex::new(State {
                kept,
                ..State::default()
            }),
        }
    }

    pub(crate) fn at(mut self, path: String, step: String) -> Self {
        self.at = (path, step);
        self
    }

    pub(crate) fn secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = secrets;
        self
    }

    pub(crate) fn grants(mut self, grants: Option<Arc<Grants>>) -> Self {
        self.grants = grants;
        self
    }

    pub(crate) fn cancelled(mut self, cancelled: bool) -> Self {
        self.cancelled = cancelled;
        self
    }

    pub(crate) fn native(mut self, native: bool) -> Self {
        self.native = native;
        self
    }

    pub(crate) fn dies_at(mut self, call: Option<usize>) -> Self {
        self.dies_at = call;
        self
    }

    /// Waits until the attempt stands in front of the call that it never gets past.
    pub(crate) async fn died(&self) {
        self.died.notified().await;
    }

    /// Every call so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// The mocks, with what is left of them.
    pub(crate) const fn answers(&self) -> &Answers {
        &self.answers
    }

    pub(crate) fn kept(&self) -> Kept {
        self.state().kept.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call, and stops in front of it where that was asked for.
    async fn note(&self, call: &str, about: &str, request: Value, harmless: bool) {
        let dies = {
            let mut state = self.state();
            let dies = self.dies_at == Some(state.seen.len() + 1);
            if !dies {
                state.seen.push(Seen {
                    call: call.to_owned(),
                    about: about.to_owned(),
                    request,
                    harmless,
                });
            }
            dies
        };
        if dies {
            self.died.notify_one();
            pending::<()>().await;
        }
    }
}

/// The request with the values of secrets in it, as the world would get it.
pub(crate) fn filled(secrets: &Secrets, request: &Value) -> Value {
    match request {
        Value::String(text) => match secrets.filled(text.as_bytes()) {
            Some(filled) => String::from_utf8_lossy(&filled).into_owned().into(),
            None => request.clone(),
        },
        Value::Array(items) => items.iter().map(|item| filled(secrets, item)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), filled(secrets, value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => request.clone(),
    }
}

/// Whether a definition that grants this denies the request.
pub(crate) fn denied(grants: &Grants, call: &str, request: &Value) -> Option<HostError> {
    if !matches!(call, "http.send" | "wasi:http.send") {
        return None;
    }
    let url = url::Url::parse(request["url"].as_str()?).ok()?;
    let host = url.host_str()?;
    let port = url.port_or_known_default()?;
    let method = request["method"].as_str()?;
    let granted = grants.http(url.scheme(), method, host, port, url.path());
    granted.err().map(HostError::from)
}

/// Whether a second call of this kind does no harm.
fn is_harmless(call: &str, request: &Value) -> bool {
    match call {
        "http.send" | "wasi:http.send" => {
            let method = request["method"].as_str().unwrap_or_default();
            !matches!(method, "POST" | "PATCH")
        }
        "exec.run" => false,
        _ => true,
    }
}

/// What is said of a call that no mock answers, with the mock to add.
fn unknown(call: &str, request: &Value, next: Option<&Mock>, order: Order) -> String {
    let mut asked = request.clone();
    if let Some(members) = asked.as_object_mut() {
        if members.contains_key("json") {
            members.remove("body");
        }
        members.retain(|_, value| {
            !value.is_null() && *value != json!("") && *value != json!({}) && *value != json!([])
        });
        if call == "http.send" || call == "wasi:http.send" {
            members.remove("headers");
        }
    }
    let answer = match call {
        "http.send" | "wasi:http.send" => "{ status = 200, json = {} }",
        "exec.run" => "{ exit_code = 0, stdout = \"\" }",
        "memo.begin" => "\"fresh\"",
        "kv.get" => "{ value = \"\" }",
        _ => "{}",
    };
    let mut text = format!("no mock answers `{call}`");
    if let (Some(next), Order::Strict) = (next, order) {
        let wanted = if next.request.is_null() {
            String::new()
        } else {
            format!(" with {}", next.request)
        };
        text.push_str(&format!("; the next one is for `{}`{wanted}", next.call));
    }
    text.push_str(&format!(
        "\nadd:\n[[test.call]]\ncall = \"{call}\"\nrequest = {}\nanswer = {answer}",
        super::toml_text::inline(&asked)
    ));
    text
}

impl World for MockedWorld {
    fn answer<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let call = format!("{}.{}", question.interface, question.function);
            let request = filled(&self.secrets, question.request);
            let harmless = self.answers.is_harmless(&call, &request);
            self.note(&call, question.about, request.clone(), harmless)
                .await;
            let grants = self.grants.as_deref();
            if let Some(denied) = grants.and_then(|grants| denied(grants, &call, &request)) {
                return Reply::Answer(json!({ "error": denied }));
            }
            let (path, step) = &self.at;
            let asked = self
                .answers
                .reply((path, step), grants.is_some(), &call, &request);
            asked.0
        })
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }
}

/// The host of an attempt in that world.
pub(crate) struct MockedHost(pub(crate) Arc<MockedWorld>);

impl MockedHost {
    /// A call of a native step, which reaches the host without being asked about.
    async fn called(&self, call: &str, about: &str) {
        if self.0.native {
            self.0.note(call, about, Value::Null, true).await;
        }
    }
}

impl AttemptHost for MockedHost {
    fn log<'a>(&'a self, _: &'a LogLine) -> BoxFuture<'a, ()> {
        Box::pin(ready(()))
    }

    fn progress<'a>(&'a self, _: &'a Progress) -> BoxFuture<'a, ()> {
        Box::pin(ready(()))
    }

    fn cancel_requested(&self) -> BoxFuture<'_, bool> {
        Box::pin(ready(self.0.cancelled))
    }

    fn cancelled(&self) -> BoxFuture<'_, ()> {
        // An attempt that was asked to stop before it began would not begin.
        Box::pin(pending())
    }

    fn now(&self) -> Option<Timestamp> {
        Some(self.0.clock.now())
    }

    fn note(&self, effect: Effect) -> BoxFuture<'_, Result<Applied, HostError>> {
        Box::pin(async move {
            if let Some(memo) = &effect.memo {
                self.called("memo.settle", &memo.key).await;
            }
            if let Some(change) = &effect.kv {
                self.called("kv.put", &change.key).await;
            }
            let mut state = self.0.state();
            let kept = &mut state.kept;
            if let Some(change) = effect.kv {
                let key = (change.bucket, change.key);
                let revision = kept.kv.get(&key).map_or(0, |item| item.revision);
                if revision != change.over {
                    return Ok(Applied::Conflict);
                }
                let item = KvItem {
                    revision: revision + 1,
                    value: change.value,
                };
                kept.kv.insert(key, item);
            }
            if let Some(memo) = effect.memo {
                match kept.memos.get(&memo.key) {
                    Some(other) if *other != memo.value => return Ok(Applied::Conflict),
                    _ => drop(kept.memos.insert(memo.key, memo.value)),
                }
            }
            if let Some(artifact) = effect.artifact {
                match kept.artifacts.get_mut(&artifact.digest) {
                    Some((known, _)) => *known = artifact,
                    None => return Ok(Applied::Gone),
                }
            }
            Ok(Applied::Done)
        })
    }

    fn memo<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<String>, HostError>> {
        Box::pin(async move {
            self.called("memo.begin", key).await;
            Ok(self.0.state().kept.memos.get(key).cloned())
        })
    }

    fn kv<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<KvItem>, HostError>> {
        let key = (bucket.to_owned(), key.to_owned());
        Box::pin(ready(Ok(self.0.state().kept.kv.get(&key).cloned())))
    }

    fn kv_keys<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, HostError>> {
        let state = self.0.state();
        let there = state
            .kept
            .kv
            .iter()
            .filter(|(_, item)| item.value.is_some());
        let keys: BTreeSet<String> = there
            .filter(|((other, _), _)| other == bucket)
            .map(|((_, key), _)| key.clone())
            .filter(|key| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after))
            .collect();
        Box::pin(ready(Ok(keys.into_iter().take(limit).collect())))
    }

    fn create_artifact(&self) -> BoxFuture<'_, Result<Box<dyn ArtifactWriter>, HostError>> {
        let writer = Writer {
            world: Arc::clone(&self.0),
            bytes: Vec::new(),
        };
        Box::pin(ready(Ok(Box::new(writer) as _)))
    }

    fn artifact<'a>(
        &'a self,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Artifact>, HostError>> {
        let state = self.0.state();
        let found = state.kept.artifacts.get(digest);
        Box::pin(ready(Ok(found.map(|(artifact, _)| artifact.clone()))))
    }

    fn read_artifact<'a>(
        &'a self,
        digest: &'a Digest,
        offset: u64,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<u8>, HostError>> {
        let state = self.0.state();
        let found = state.kept.artifacts.get(digest).map(|(_, bytes)| {
            let from = usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            bytes[from..].iter().copied().take(max).collect()
        });
        let missing = || HostError::new("not-found", "the test has no such artifact");
        Box::pin(ready(found.ok_or_else(missing)))
    }
}

struct Writer {
    world: Arc<MockedWorld>,
    bytes: Vec<u8>,
}

impl ArtifactWriter for Writer {
    fn write(&mut self, chunk: Vec<u8>) -> BoxFuture<'_, Result<(), HostError>> {
        self.bytes.extend(chunk);
        Box::pin(ready(Ok(())))
    }

    fn finish(self: Box<Self>, digest: Digest) -> BoxFuture<'static, Result<(), HostError>> {
        let artifact = Artifact {
            digest,
            name: digest.to_string(),
            size: self.bytes.len() as u64,
            media_type: "application/octet-stream".to_owned(),
        };
        let bytes: Arc<[u8]> = self.bytes.into();
        let mut state = self.world.state();
        state
            .kept
            .artifacts
            .entry(digest)
            .or_insert((artifact, bytes));
        Box::pin(ready(Ok(())))
    }
}
