//! Steps in Rust, inside the program that embeds the engine: for what it does itself anyway and what needs no sandbox.
//!
//! A definition names a native plugin as `source = "native:NAME"`. Runs carry its name and version where they carry the bytes of a
//! component: a program without that version cannot go on with them, and should not share its store with workers that have it.
//! There is no tape, so replay checks what the engine decided and does not execute such steps again. Nothing of the sandbox holds
//! for them: they may do what the program may.
//!
//! A step is a closure that gives a future, or an async function. Whatever error it meets, `?` makes the step's:
//!
//! ```
//! use std::sync::Arc;
//!
//! use milepost::attempt::Call;
//! use milepost::native::{Failure, NativePlugin, NativePlugins};
//! use milepost::wasm_plugins::WasmPlugins;
//! use milepost::{Engine, StartOptions};
//! use milepost::store::sqlite::{Durability, SqliteStore};
//! use serde_json::{Value, json};
//!
//! async fn order(call: Call) -> Result<Value, Failure> {
//!     let count: u32 = call.input["count"].as_str().unwrap_or("1").parse()?;
//!     if count > 100 {
//!         return Err(Failure::failed("too-many", format!("{count} are more than there are")));
//!     }
//!     // The same in every attempt: for whatever must not happen twice.
//!     let key = format!("{}/{}", call.run, call.path);
//!     Ok(json!({ "count": count, "key": key }))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let file = folder.path().join("shop.toml");
//! let shop = NativePlugin::new("shop", "1")
//!     .step("order", order)
//!     // Checked as a component with a manifest is: when a workflow is loaded, and when the step runs.
//!     .checked_step(
//!         "price",
//!         json!({ "type": "object", "properties": { "count": { "type": "integer", "minimum": 1 } }, "required": ["count"] }),
//!         json!({ "type": "number" }),
//!         |call| async move { Ok(json!(call.input["count"].as_f64().ok_or("no number")? * 2.5)) },
//!     );
//! // Beside components: a workflow may use both.
//! let plugins = NativePlugins::beside(Arc::new(WasmPlugins::new(None))).plugin(shop);
//! let store = SqliteStore::open(&folder.path().join("runs.db"), Durability::PowerLoss)?;
//! let engine = Engine::builder(Arc::new(store), Arc::new(plugins)).build();
//!
//! std::fs::write(&file, r#"
//! schema = 1
//! name = "shop"
//! [plugins.shop]
//! source = "native:shop"
//! [[step]]
//! id = "order"
//! use = "shop/order"
//! with = { count = "3" }
//! [[step]]
//! id = "price"
//! use = "shop/price"
//! with = { count = "${ steps.order.output.count }" }
//! "#)?;
//! let workflow = engine.open(&file)?;
//! let inputs = workflow.inputs(json!({}))?;
//! let report = engine.run(workflow, inputs, StartOptions::default()).await?;
//! assert_eq!(report.output, 7.5);
//! # Ok(())
//! # }
//! ```
//!
//! Another kind of step altogether implements [`Callable`] behind a [`PluginSource`]; it answers with [`CallResult::of`].

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use milepost_core::definition::{InvalidManifest, Manifest, PluginSpec, StepManifest};
use milepost_core::effect::{Applied, Artifact, Effect, KvItem};
use milepost_core::ids::Digest;
use milepost_core::json_schema::Contracts;
use milepost_core::limits;
use milepost_core::outcome::{ErrorClass, Outcome, Pause, StepError, codes};
use milepost_core::payload::within_depth;
use milepost_core::shown;
use milepost_core::tape::Tape;
use milepost_core::time::Timestamp;
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use crate::attempt::{
    ArtifactWriter, AttemptHost, BoxFuture, Call, CallResult, Callable, Heard, LogLine, Mode,
    Progress,
};
use crate::clock::{AttemptClock, SystemClock};
use crate::engine::driver::panic_text;
use crate::plugin::{ComponentBytes, LoadedPlugin, PluginError, PluginSource};
use crate::wasm::HostError;
use crate::wasm::log::Log;
use crate::wasm::secrets::Secrets;

/// How a definition names native plugins, and how what runs carry of them begins.
pub(crate) const SCHEME: &str = "native:";

/// Native plugins, beside another source for everything else that a definition names.
#[derive(Default)]
pub struct NativePlugins {
    plugins: Vec<NativePlugin>,
    others: Option<Arc<dyn PluginSource>>,
}

impl NativePlugins {
    /// Beside components from another source, such as [`WasmPlugins`](crate::wasm_plugins::WasmPlugins).
    #[must_use]
    pub fn beside(others: Arc<dyn PluginSource>) -> Self {
        Self {
            plugins: Vec::new(),
            others: Some(others),
        }
    }

    /// Adds a plugin. Several versions of one may stand side by side: new runs take the one that was added last.
    #[must_use]
    pub fn plugin(mut self, plugin: NativePlugin) -> Self {
        self.plugins.push(plugin);
        self
    }
}

/// Steps of one name and version.
#[derive(Clone)]
pub struct NativePlugin {
    name: String,
    version: String,
    steps: BTreeMap<String, Step>,
}

/// What a step does, and what it takes and gives.
#[derive(Clone)]
struct Step {
    body: Arc<Body>,
    declared: StepManifest,
}

type Body = dyn Fn(Call) -> BoxFuture<'static, Result<Value, Failure>> + Send + Sync;

impl NativePlugin {
    /// A plugin without steps. Its version decides which runs it can continue: change it whenever a step behaves differently.
    #[must_use]
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            steps: BTreeMap::new(),
        }
    }

    /// Adds a step that takes and gives any value. It is given its [`Call`]: input, idempotency key (run and path), and its [host](AttemptHost), which shows what it
    /// says and knows whether it should stop. It is dropped when its time is up. Work that blocks belongs into `tokio::task::spawn_blocking`: it cannot be ended otherwise.
    #[must_use]
    pub fn step<F>(
        self,
        name: impl Into<String>,
        body: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Value, Failure>> + Send + 'static,
    {
        self.checked_step(name, Value::Bool(true), Value::Bool(true), body)
    }

    /// Adds a step whose input and output fit these JSON Schemas. Workflows are checked against them when they are loaded, and values
    /// when the step runs: one that does not fit is `invalid_input` before the call, `invalid_output` after it.
    #[must_use]
    pub fn checked_step<F>(
        mut self,
        name: impl Into<String>,
        input: Value,
        output: Value,
        body: impl Fn(Call) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Value, Failure>> + Send + 'static,
    {
        let step = Step {
            body: Arc::new(move |call| Box::pin(body(call))),
            declared: StepManifest {
                description: None,
                input,
                output,
            },
        };
        self.steps.insert(name.into(), step);
        self
    }

    /// What workflows are checked against, held to the rules for the manifests of components; nothing, without steps.
    fn manifest(&self) -> Result<Option<Manifest>, InvalidManifest> {
        if self.steps.is_empty() {
            return Ok(None);
        }
        let steps = self.steps.iter();
        let steps: BTreeMap<_, _> = steps.map(|(name, step)| (name, &step.declared)).collect();
        let manifest = json!({ "name": self.name, "version": self.version, "steps": steps });
        Manifest::parse(&manifest.to_string()).map(Some)
    }

    /// What runs carry of it.
    fn identity(&self) -> Vec<u8> {
        format!("{SCHEME}{}", json!([self.name, self.version])).into_bytes()
    }
}

/// Why a native step has no output. Every error becomes one by `?`, with its causes: a failure with the code `failed`.
#[derive(Debug)]
pub struct Failure(Outcome);

impl Failure {
    /// It failed.
    #[must_use]
    pub fn failed(code: &str, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Failed, code, message)
    }

    /// It failed, and another attempt may succeed.
    #[must_use]
    pub fn retryable(code: &str, message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Retryable, code, message)
    }

    /// It stops here, and continues in another attempt.
    #[must_use]
    pub fn paused(pause: Pause) -> Self {
        Self(Outcome::Paused(pause))
    }

    fn new(class: ErrorClass, code: &str, message: impl Into<String>) -> Self {
        Self(Outcome::Failed(StepError::new(class, code, message)))
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            message.push_str(&format!(": {next}"));
            cause = next.source();
        }
        Self::failed("failed", message)
    }
}

impl PluginSource for NativePlugins {
    fn read(
        &self,
        name: &str,
        spec: &PluginSpec,
        base: &Path,
    ) -> Result<ComponentBytes, PluginError> {
        let native = spec.source.strip_prefix(SCHEME);
        let (native, others) = match (native, &self.others) {
            (None, Some(others)) => return others.read(name, spec, base),
            (native, others) => (native.unwrap_or(&spec.source), others),
        };
        let mut plugins = self.plugins.iter().rev();
        let Some(plugin) = plugins.find(|plugin| plugin.name == native) else {
            let known: Vec<String> = self
                .plugins
                .iter()
                .map(|plugin| format!("`{SCHEME}{}`", plugin.name))
                .collect();
            let also = others.as_ref().map_or("", |_| " and component files");
            return Err(PluginError::Unavailable {
                name: name.to_owned(),
                reason: format!(
                    "this program has no `{SCHEME}{native}`; it has {}{also}",
                    known.join(", ")
                ),
            });
        };
        let bytes = plugin.identity();
        Ok(ComponentBytes::new(name, &*spec.source, bytes))
    }

    fn admit(
        &self,
        component: &ComponentBytes,
        spec: &PluginSpec,
        file: &Path,
    ) -> Result<(), PluginError> {
        match &self.others {
            Some(others) if !spec.source.starts_with(SCHEME) => others.admit(component, spec, file),
            // What is part of this program came with it.
            Some(_) | None => Ok(()),
        }
    }

    fn load(&self, component: &ComponentBytes) -> Result<LoadedPlugin, PluginError> {
        let text = std::str::from_utf8(&component.bytes).unwrap_or_default();
        if !text.starts_with(SCHEME)
            && let Some(others) = &self.others
        {
            return others.load(component);
        }
        let mut plugins = self.plugins.iter();
        let Some(plugin) = plugins.find(|plugin| plugin.identity() == *component.bytes) else {
            return Err(PluginError::Unavailable {
                name: component.name.clone(),
                reason: format!("the run needs `{text}`, which this program does not have"),
            });
        };
        let manifest = plugin.manifest();
        let manifest = manifest.map_err(|error| PluginError::Incompatible {
            name: component.name.clone(),
            reason: format!("of `{SCHEME}{}`: {error}", plugin.name),
        })?;
        Ok(LoadedPlugin {
            digest: component.digest,
            contracts: manifest
                .as_ref()
                .map(Contracts::of)
                .map(Arc::new)
                .unwrap_or_default(),
            manifest,
            functions: Arc::default(),
            callable: Arc::new(plugin.clone()),
        })
    }

    fn takes_long(&self) -> bool {
        self.others
            .as_ref()
            .is_some_and(|others| others.takes_long())
    }
}

impl Callable for NativePlugin {
    fn call(&self, mut call: Call) -> BoxFuture<'_, CallResult> {
        Box::pin(async move {
            let clock = AttemptClock::new(Arc::clone(&call.host), Arc::new(SystemClock));
            let said = Arc::new(Said {
                log: Log::new(&call, Arc::new(clock)),
                progress: Mutex::default(),
                host: Arc::clone(&call.host),
                heard: Heard::default(),
                secrets: call.secrets.clone(),
            });
            call.host = Arc::clone(&said) as _;
            let (timeout, begun) = (call.timeout, Instant::now());
            let outcome = self.outcome(call, &said.heard).await;
            let (outcome, _) = said.secrets.mask_outcome(outcome);
            let (logs, log_dropped) = said.log.finish();
            said.log
                .show_rest(timeout.saturating_sub(begun.elapsed()))
                .await;
            CallResult {
                tape: Tape {
                    not_replayable: Some("a native step has no tape".to_owned()),
                    log_dropped,
                    ..Tape::default()
                },
                logs,
                progress: said.progress().take(),
                ..CallResult::of(outcome)
            }
        })
    }
}

/// What a step says: kept with the attempt, within the limits that hold for all steps, and shown by the host that was given.
struct Said {
    log: Log,
    progress: Mutex<Option<Progress>>,
    host: Arc<dyn AttemptHost>,
    heard: Heard,
    secrets: Secrets,
}

impl Said {
    fn progress(&self) -> MutexGuard<'_, Option<Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AttemptHost for Said {
    fn log<'a>(&'a self, line: &'a LogLine) -> BoxFuture<'a, ()> {
        self.heard.note();
        Box::pin(self.log.line(line.clone()))
    }

    fn progress<'a>(&'a self, progress: &'a Progress) -> BoxFuture<'a, ()> {
        self.heard.note();
        let progress = Progress {
            message: shown::excerpt(
                &self.secrets.mask(progress.message.as_str()),
                limits::LOG_MESSAGE_BYTES,
            ),
            ..progress.clone()
        };
        *self.progress() = Some(progress.clone());
        Box::pin(async move { self.host.progress(&progress).await })
    }

    fn cancel_requested(&self) -> BoxFuture<'_, bool> {
        self.heard.note();
        self.host.cancel_requested()
    }

    fn cancelled(&self) -> BoxFuture<'_, ()> {
        self.host.cancelled()
    }

    fn now(&self) -> Option<Timestamp> {
        self.host.now()
    }

    fn note(&self, effect: Effect) -> BoxFuture<'_, Result<Applied, HostError>> {
        self.heard.note();
        self.host.note(effect)
    }

    fn memo<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<String>, HostError>> {
        self.heard.note();
        self.host.memo(key)
    }

    fn create_artifact(&self) -> BoxFuture<'_, Result<Box<dyn ArtifactWriter>, HostError>> {
        self.heard.note();
        self.host.create_artifact()
    }

    fn artifact<'a>(
        &'a self,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Artifact>, HostError>> {
        self.heard.note();
        self.host.artifact(digest)
    }

    fn read_artifact<'a>(
        &'a self,
        digest: &'a Digest,
        offset: u64,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<u8>, HostError>> {
        self.heard.note();
        self.host.read_artifact(digest, offset, max)
    }

    fn discard_artifact<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, ()> {
        self.host.discard_artifact(digest)
    }

    fn kv<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<KvItem>, HostError>> {
        self.heard.note();
        self.host.kv(bucket, key)
    }

    fn kv_keys<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, HostError>> {
        self.heard.note();
        self.host.kv_keys(bucket, prefix, after, limit)
    }
}

impl NativePlugin {
    async fn outcome(&self, call: Call, heard: &Heard) -> Outcome {
        let failed = |class, code, message| Outcome::Failed(StepError::new(class, code, message));
        if let Mode::Replay(_) = call.mode {
            let message = "a replay does not execute native steps".to_owned();
            return failed(ErrorClass::Host, codes::HOST_ERROR, message);
        }
        let Some(step) = self.steps.get(&*call.step) else {
            let message = format!(
                "the native plugin `{}` has no step `{}`",
                self.name, call.step
            );
            return failed(ErrorClass::Host, codes::PLUGIN_INCOMPATIBLE, message);
        };
        let (timeout, idle_timeout) = (call.timeout, call.idle_timeout);
        let body = Arc::clone(&step.body);
        // A task of its own: one that blocks holds up neither its driver nor the renewal of the claim.
        let task = tokio::spawn(async move { body(call).await });
        let _ends_with_the_attempt = Aborts(task.abort_handle());
        let ended = tokio::select! {
        biased;
        ended = task => ended,
        () = tokio::time::sleep(timeout) => {
        let message = format!("the step did not end within {timeout:?}");
        return failed(ErrorClass::Timeout, codes::TIMEOUT, message);
        }
        silent = heard.silence(idle_timeout) => {
        let message = format!("nothing was heard from the step for {silent:?}");
        return failed(ErrorClass::Timeout, codes::IDLE, message);
        }
        };
        match ended {
            Ok(Ok(output)) => bounded(output),
            Ok(Err(Failure(outcome))) => bounded_stop(outcome),
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => {
                    let message = format!("the step panicked: {}", panic_text(panic.as_ref()));
                    failed(ErrorClass::Trap, codes::TRAP, message)
                }
                Err(_) => {
                    let message =
                        "the step was stopped together with the runtime of its program".to_owned();
                    failed(ErrorClass::Host, codes::HOST_ERROR, message)
                }
            },
        }
    }
}

/// Ends a task with the attempt that it belongs to.
struct Aborts(AbortHandle);

impl Drop for Aborts {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What stopped a step, within the limits that hold for all steps: what is recorded has to be read back.
fn bounded_stop(outcome: Outcome) -> Outcome {
    let name = |text: String| shown::excerpt(&text, limits::NAME_BYTES);
    match outcome {
        Outcome::Paused(pause) => {
            let state = pause.state.as_ref();
            if let Some(refused) = state.and_then(|state| too_deep("state of the pause", state)) {
                return refused;
            }
            Outcome::Paused(Pause {
                code: name(pause.code),
                reason: shown::message(pause.reason),
                provider: pause.provider.map(name),
                signal: pause.signal.map(name),
                ..pause
            })
        }
        Outcome::Failed(error) => Outcome::Failed(StepError {
            code: name(error.code),
            ..error
        }),
        other => other,
    }
}

/// The output, within the limits that hold for all steps.
fn bounded(output: Value) -> Outcome {
    if let Some(refused) = too_deep("output", &output) {
        return refused;
    }
    let bytes = output.to_string().len();
    if bytes > limits::STEP_OUTPUT_BYTES {
        let limit = limits::STEP_OUTPUT_BYTES;
        let message =
            format!("the output has {bytes} bytes, more than the {limit} that it may have");
        return refused(codes::OUTPUT_TOO_LARGE, message);
    }
    Outcome::Completed(output)
}

fn too_deep(what: &str, value: &Value) -> Option<Outcome> {
    let limit = limits::JSON_DEPTH;
    let message = || format!("the {what} is nested deeper than {limit} levels");
    (!within_depth(value, limit)).then(|| refused(codes::INVALID_OUTPUT, message()))
}

fn refused(code: &str, message: String) -> Outcome {
    Outcome::Failed(StepError::new(ErrorClass::Failed, code, message))
}
