//! Steps that a test writes as closures, and gates at which it holds them.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use milepost::attempt::{BoxFuture, Call, CallResult, Callable, LogLevel, LogLine, Mode};
use milepost::plugin::{ComponentBytes, LoadedPlugin, PluginError, PluginSource};
use milepost_core::definition::{Manifest, PluginSpec};
use milepost_core::json_schema::Contracts;
use milepost_core::outcome::{ErrorClass, Outcome, Pause, StepError};
use milepost_core::time::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

type Body = dyn Fn(Call) -> BoxFuture<'static, Outcome> + Send + Sync;

/// A component whose steps are closures. Clones are the same component. A step without a closure completes with
/// `{"at": <its path>}`. Every attempt logs one line when it begins: `<path>, attempt <n>`.
#[derive(Clone, Default)]
pub struct Script {
    shared: Arc<Mutex<Scripted>>,
}

#[derive(Default)]
struct Scripted {
    steps: BTreeMap<String, Arc<Body>>,
    calls: Vec<String>,
    build: u32,
    manifest: Option<Manifest>,
    missing: bool,
    unusable: bool,
    loads: usize,
}

impl Script {
    /// A component without closures.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers the step `name` at once.
    #[must_use]
    pub fn step(self, name: &str, body: impl Fn(&Call) -> Outcome + Send + Sync + 'static) -> Self {
        self.answer(name, body);
        self
    }

    /// Like [`Script::step`], from now on: a component that behaves otherwise under the same digest.
    pub fn answer(&self, name: &str, body: impl Fn(&Call) -> Outcome + Send + Sync + 'static) {
        self.shared().steps.insert(name.to_owned(), at_once(body));
    }

    /// Answers the step `name` when the future ends.
    #[must_use]
    pub fn slow<F>(self, name: &str, body: impl Fn(Call) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let body: Arc<Body> = Arc::new(move |call| Box::pin(body(call)));
        self.shared().steps.insert(name.to_owned(), body);
        self
    }

    /// Lets the step `name` wait at `gate`, in every attempt, before it answers as it did so far.
    #[must_use]
    pub fn held(self, name: &str, gate: &Gate) -> Self {
        self.held_in(name, gate, |_| true)
    }

    /// Like [`Script::held`], in the first attempt only.
    #[must_use]
    pub fn held_once(self, name: &str, gate: &Gate) -> Self {
        self.held_in(name, gate, |attempt| attempt == 1)
    }

    /// Like [`Script::held`], in the attempts that `held` says.
    #[must_use]
    pub fn held_in(
        self,
        name: &str,
        gate: &Gate,
        held: impl Fn(u32) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (body, gate) = (self.shared().body(name), gate.clone());
        self.slow(name, move |call| {
            let gate = held(call.attempt).then(|| gate.clone());
            let body = Arc::clone(&body);
            async move {
                if let Some(gate) = gate {
                    gate.pass().await;
                }
                body(call).await
            }
        })
    }

    /// Paths of the live attempts so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.shared().calls.clone()
    }

    /// How often a process loaded it.
    #[must_use]
    pub fn loads(&self) -> usize {
        self.shared().loads
    }

    /// Declares inputs and outputs of its steps, from when it is loaded next. `None`: it says nothing of them.
    pub fn declare(&self, steps: Option<Value>) {
        let manifest = steps.map(|steps| json!({ "name": "p", "steps": steps }).to_string());
        self.shared().manifest =
            manifest.map(|text| Manifest::parse(&text).expect("a manifest of a test"));
    }

    /// Builds the component anew: its digest is another one from now on.
    pub fn rebuild(&self) {
        self.shared().build += 1;
    }

    /// Removes the component from disk, or puts it back.
    pub fn lose(&self, missing: bool) {
        self.shared().missing = missing;
    }

    /// Lets no process load the component, wherever its bytes are, or lets it again.
    pub fn refuse(&self, unusable: bool) {
        self.shared().unusable = unusable;
    }

    fn shared(&self) -> MutexGuard<'_, Scripted> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scripted {
    fn body(&self, step: &str) -> Arc<Body> {
        let body = self.steps.get(step).cloned();
        body.unwrap_or_else(|| at_once(at))
    }
}

fn at_once(answer: impl Fn(&Call) -> Outcome + Send + Sync + 'static) -> Arc<Body> {
    Arc::new(move |call| Box::pin(std::future::ready(answer(&call))))
}

impl PluginSource for Script {
    fn read(&self, name: &str, _: &PluginSpec, _: &Path) -> Result<ComponentBytes, PluginError> {
        let shared = self.shared();
        if shared.missing {
            return Err(PluginError::Unavailable {
                name: name.to_owned(),
                reason: "its file is gone".to_owned(),
            });
        }
        let bytes = format!("{name} {}", shared.build).into_bytes();
        Ok(ComponentBytes::new(name, format!("{name}.wasm"), bytes))
    }

    fn load(&self, component: &ComponentBytes) -> Result<LoadedPlugin, PluginError> {
        let mut shared = self.shared();
        if shared.unusable {
            return Err(PluginError::Unavailable {
                name: component.name.clone(),
                reason: "it cannot be loaded here".to_owned(),
            });
        }
        shared.loads += 1;
        Ok(LoadedPlugin {
            digest: component.digest,
            manifest: shared.manifest.clone(),
            contracts: Arc::new(
                shared
                    .manifest
                    .as_ref()
                    .map_or_else(Default::default, Contracts::of),
            ),
            functions: Arc::default(),
            callable: Arc::new(self.clone()),
        })
    }
}

impl Callable for Script {
    fn call(&self, call: Call) -> BoxFuture<'_, CallResult> {
        Box::pin(async move {
            let line = LogLine {
                at: Timestamp::default(),
                level: LogLevel::Info,
                message: format!("{}, attempt {}", call.path, call.attempt),
                fields: Vec::new(),
                dropped: None,
            };
            call.host.log(&line).await;
            let body = {
                let mut shared = self.shared();
                if let Mode::Live = call.mode {
                    shared.calls.push(call.path.to_string());
                }
                shared.body(&call.step)
            };
            CallResult {
                logs: vec![line],
                ..CallResult::of(body(call).await)
            }
        })
    }
}

/// Holds whoever wants to pass until the test opens it, and tells the test that somebody came.
#[derive(Clone, Debug)]
pub struct Gate {
    came: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            came: Arc::new(Semaphore::new(0)),
            open: Arc::new(Semaphore::new(0)),
        }
    }
}

impl Gate {
    /// Says that somebody is here and waits to be let through.
    pub async fn pass(&self) {
        self.came.add_permits(1);
        take(&self.open).await;
    }

    /// Waits until somebody came.
    pub async fn came(&self) {
        take(&self.came).await;
    }

    /// Drives a future until somebody in it waits here.
    ///
    /// # Panics
    /// When the future ends before.
    pub async fn holds<T>(&self, future: impl Future<Output = T>) {
        tokio::select! {
            _ = future => unreachable!("somebody is held"),
            () = self.came() => {}
        }
    }

    /// Lets one through.
    pub fn open(&self) {
        self.open.add_permits(1);
    }
}

async fn take(permits: &Semaphore) {
    let permit = permits.acquire().await;
    permit.expect("a gate is never closed").forget();
}

/// An output that tells where it comes from.
#[must_use]
pub fn at(call: &Call) -> Outcome {
    ok(json!({ "at": call.path }))
}

/// An output.
#[must_use]
pub fn ok(output: Value) -> Outcome {
    Outcome::Completed(output)
}

/// A failure of the class `failed`.
#[must_use]
pub fn fail(code: &str) -> Outcome {
    error(ErrorClass::Failed, code)
}

/// A failure of any class.
#[must_use]
pub fn error(class: ErrorClass, code: &str) -> Outcome {
    Outcome::Failed(StepError::new(class, code, format!("{code} happened")))
}

/// A pause of the step's own wish.
#[must_use]
pub fn pause(code: &str) -> Outcome {
    Outcome::Paused(Pause {
        code: code.to_owned(),
        reason: format!("{code} happened"),
        provider: None,
        until: None,
        signal: None,
        state: None,
    })
}
