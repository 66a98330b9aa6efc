//! One attempt as data: what the host hands to a component call, and what comes back. This is the seam between the engine,
//! which decides, and whatever executes a step (`wasm`, a script in a test, later other kinds).

use std::collections::BTreeMap;
use std::future::{Future, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use milepost_core::effect::{Applied, Artifact, Effect, KvItem};
use milepost_core::grants::{Grants, Narrowing};
use milepost_core::ids::{Digest, Path, RunId, StepId};
use milepost_core::limits::CallLimits;
use milepost_core::outcome::Outcome;
use milepost_core::payload::Payload;
use milepost_core::tape::{LogDropped, Tape};
use milepost_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::host_error::HostError;
use crate::mocked::World;
use crate::secrets::Secrets;

/// Everything that one attempt may see. The same call gives the same outcome: nothing else reaches the guest but what its host
/// answers, which is on the tape.
#[derive(Clone)]
pub struct Call {
    /// The run.
    pub run: RunId,
    /// Name of the workflow.
    pub workflow: Arc<str>,
    /// Name of the step inside the component (`use = "plugin/step"`), or of a function that it exports, with a `#` in it.
    pub step: Arc<str>,
    /// Where the execution stands.
    pub path: Path,
    /// Number of this attempt, from 1.
    pub attempt: u32,
    /// Resolved `with`, as one JSON document.
    pub input: Arc<Value>,
    /// Settings of the plugin from the definition.
    pub config: Arc<BTreeMap<String, Value>>,
    /// What it may reach outside of its sandbox.
    pub grants: Arc<Grants>,
    /// The secrets that it needs of those.
    pub secrets: Secrets,
    /// Outputs of earlier steps that this step may read.
    pub outputs: Arc<BTreeMap<StepId, Payload>>,
    /// What the last pause of this step saved.
    pub resume_state: Option<Arc<Value>>,
    /// What came with the signal that ended the last pause of this step.
    pub resume_signal: Option<Arc<Value>>,
    /// All randomness of the attempt comes from here.
    pub seed: u64,
    /// When the attempt is ended at the latest, as the guest sees it.
    pub deadline: Option<Timestamp>,
    /// How long the attempt may take.
    pub timeout: Duration,
    /// How long it may be silent, by what its host hears of it.
    pub idle_timeout: Option<Duration>,
    /// What the sandbox grants.
    pub limits: CallLimits,
    /// Whom the attempt asks, and tells how it goes.
    pub host: Arc<dyn AttemptHost>,
    /// Live, or from a recorded tape.
    pub mode: Mode,
}

impl Call {
    /// The same without what the operator takes away.
    #[must_use]
    pub fn narrowed(mut self, narrowing: &Narrowing) -> Self {
        if *narrowing != Narrowing::default() {
            self.grants = Arc::new((*self.grants).clone().narrowed(narrowing));
        }
        self
    }
}

/// Where answers of the journaled host calls come from.
#[derive(Clone)]
pub enum Mode {
    /// From the real world, recorded on the way.
    Live,
    /// From the tape of the recorded attempt. A call that differs from the tape ends the attempt as a divergence.
    Replay(Arc<Tape>),
    /// From a world that a test makes up, recorded on the way.
    Mocked(Arc<dyn World>),
}

/// Whether somebody asked for a run to stop, for the hosts of its attempts.
#[derive(Clone, Default)]
pub struct CancelFlag(Arc<Flag>);

#[derive(Default)]
struct Flag {
    raised: AtomicBool,
    told: Notify,
}

impl CancelFlag {
    /// Asks the attempts to stop.
    pub fn raise(&self) {
        self.0.raised.store(true, Ordering::Release);
        self.0.told.notify_waiters();
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.raised.load(Ordering::Acquire)
    }

    /// Waits until somebody asks.
    pub async fn raised(&self) {
        let mut told = pin!(self.0.told.notified());
        // Before the look at the flag, so that nothing is missed between the two.
        told.as_mut().enable();
        if !self.is_raised() {
            told.await;
        }
    }
}

/// When an attempt was last heard; silence ends it where its call says so.
#[derive(Debug, Clone)]
pub struct Heard(Arc<Mutex<Instant>>);

impl Default for Heard {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Heard {
    /// Hears it now.
    pub fn note(&self) {
        *self.last() = Instant::now();
    }

    /// Waits until it was silent for so long; for ever where it may be.
    pub async fn silence(&self, allowed: Option<Duration>) -> Duration {
        let Some(allowed) = allowed else {
            return pending().await;
        };
        loop {
            let until = *self.last() + allowed;
            if until <= Instant::now() {
                return allowed;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    fn last(&self) -> MutexGuard<'_, Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How one attempt went.
#[derive(Debug, Clone)]
pub struct CallResult {
    /// The ending, classified.
    pub outcome: Outcome,
    /// What the host answered.
    pub tape: Tape,
    /// What of the tape is yet to be saved.
    pub unsaved: Unsaved,
    /// What the guest wrote, in order, bounded; the tape says what was dropped.
    pub logs: Vec<LogLine>,
    /// The last progress report.
    pub progress: Option<Progress>,
    /// In replay: the first call that differed from the tape.
    pub divergence: Option<TapeDivergence>,
    /// What the guest consumed, where its engine [meters](crate::WasmEngine::metered) that.
    pub fuel: Option<u64>,
    /// Bytes of linear memory that the guest had at its end, all its memories taken together: it never gives any back.
    pub memory: Option<u64>,
}

impl CallResult {
    /// An attempt of which nothing is known but how it ended: no tape, no log.
    #[must_use]
    pub fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            tape: Tape::default(),
            unsaved: Unsaved::default(),
            logs: Vec::new(),
            progress: None,
            divergence: None,
            fuel: None,
            memory: None,
        }
    }
}

/// What was not saved of a tape while its attempt ran.
#[derive(Debug, Clone, Default)]
pub struct Unsaved {
    /// Position of the first entry, from 0.
    pub from: usize,
    /// Bodies that unsaved entries name by digest.
    pub blobs: Vec<(Digest, Arc<[u8]>)>,
}

/// A host call that differed from the recorded tape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapeDivergence {
    /// Position on the tape, from 0.
    pub index: usize,
    /// What the tape holds there; `None` at its end.
    pub recorded: Option<String>,
    /// What the guest did.
    pub actual: String,
}

/// Severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Finest.
    Trace,
    /// For the plugin's author.
    Debug,
    /// Also WASI stdout.
    Info,
    /// Also WASI stderr.
    Warn,
    /// Something went wrong.
    Error,
}

/// One line that a guest logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When the host received it.
    pub at: Timestamp,
    /// Severity.
    pub level: LogLevel,
    /// The text; cut at the limit of one message.
    pub message: String,
    /// Structured fields, in the guest's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
    /// On the line that stands where lines were dropped: how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<LogDropped>,
}

/// A guest's last word on how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in all, when known.
    pub total: Option<u64>,
    /// For a person.
    pub message: String,
}

/// What an attempt asks of whoever started it, and tells it. Every answer may take its time, such as that of a pipe that is full or
/// of a store that has to have it on the disk first: only this attempt waits for it, and its own time runs on. Where the attempt
/// ends meanwhile, the future is dropped.
pub trait AttemptHost: Send + Sync {
    /// Shows a log line. The attempt keeps it as well: nothing is lost that is not shown.
    fn log<'a>(&'a self, _: &'a LogLine) -> BoxFuture<'a, ()> {
        Box::pin(ready(()))
    }
    /// Shows how far the attempt is.
    fn progress<'a>(&'a self, _: &'a Progress) -> BoxFuture<'a, ()> {
        Box::pin(ready(()))
    }
    /// Whether somebody asked for the run to stop.
    fn cancel_requested(&self) -> BoxFuture<'_, bool> {
        Box::pin(ready(false))
    }
    /// Ends when somebody asks.
    fn cancelled(&self) -> BoxFuture<'_, ()> {
        Box::pin(pending())
    }
    /// What time it is for the run, by the clock that its record goes by; `None`: by that of the machine.
    fn now(&self) -> Option<Timestamp> {
        None
    }
    /// Makes durable what the attempt brings about.
    fn note(&self, _: Effect) -> BoxFuture<'_, Result<Applied, HostError>> {
        Box::pin(ready(Err(nothing_kept())))
    }
    /// What the work under this key came to in an earlier attempt of the step.
    fn memo<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<String>, HostError>> {
        Box::pin(ready(Err(nothing_kept())))
    }
    /// A key of a bucket.
    fn kv<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<KvItem>, HostError>> {
        Box::pin(ready(Err(nothing_kept())))
    }
    /// Keys of a bucket that begin with a prefix, after a key, so many at most.
    fn kv_keys<'a>(
        &'a self,
        _bucket: &'a str,
        _prefix: &'a str,
        _after: Option<&'a str>,
        _limit: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, HostError>> {
        Box::pin(ready(Err(nothing_kept())))
    }
    /// Begins an artifact.
    fn create_artifact(&self) -> BoxFuture<'_, Result<Box<dyn ArtifactWriter>, HostError>> {
        Box::pin(ready(Err(nothing_kept())))
    }
    /// What is known of an artifact, if any run uses it.
    fn artifact<'a>(&'a self, _: &'a Digest) -> BoxFuture<'a, Result<Option<Artifact>, HostError>> {
        Box::pin(ready(Err(nothing_kept())))
    }
    /// Bytes of an artifact from an offset on: so many, fewer only at its end.
    fn read_artifact<'a>(
        &'a self,
        _digest: &'a Digest,
        _offset: u64,
        _max: usize,
    ) -> BoxFuture<'a, Result<Vec<u8>, HostError>> {
        Box::pin(ready(Err(nothing_kept())))
    }
    /// Removes an artifact that was written and that the run may not have, where no run uses it. What fails here is removed later.
    fn discard_artifact<'a>(&'a self, _digest: &'a Digest) -> BoxFuture<'a, ()> {
        Box::pin(ready(()))
    }
    /// A body that is kept beside the tape that is replayed.
    fn blob<'a>(&'a self, _: &'a Digest) -> BoxFuture<'a, Option<Vec<u8>>> {
        Box::pin(ready(None))
    }
}

/// Where the bytes of an artifact go while it is written. Dropped unfinished, nothing of it is kept.
pub trait ArtifactWriter: Send {
    /// Takes the next bytes.
    fn write(&mut self, chunk: Vec<u8>) -> BoxFuture<'_, Result<(), HostError>>;
    /// Keeps them under their digest; durable when it returns.
    fn finish(self: Box<Self>, digest: Digest) -> BoxFuture<'static, Result<(), HostError>>;
}

/// What a guest is told where its host has no store.
fn nothing_kept() -> HostError {
    HostError::new("unavailable", "nothing is kept here")
}

/// The host of an attempt that is replayed: it shows nothing and keeps nothing, and has what is kept beside the tape.
pub(crate) struct Silent(pub(crate) Arc<dyn AttemptHost>);

impl AttemptHost for Silent {
    fn read_artifact<'a>(
        &'a self,
        digest: &'a Digest,
        offset: u64,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<u8>, HostError>> {
        self.0.read_artifact(digest, offset, max)
    }

    fn blob<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Option<Vec<u8>>> {
        self.0.blob(digest)
    }
}

/// A host that shows nothing, and whose attempts nobody asks to stop.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHost;

impl AttemptHost for NoHost {}

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The result of `future` if it is there at the first look.
pub(crate) async fn once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Something whose steps can be called: a loaded component, or a script in a test.
pub trait Callable: Send + Sync {
    /// Executes one attempt. Never fails: whatever goes wrong is an [`Outcome`]. Dropping the future ends the attempt.
    fn call(&self, call: Call) -> BoxFuture<'_, CallResult>;
}
