//! Who is running, and what the workflow lets the step see.

use std::time::SystemTime;

use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// The attempt that is running: the interfaces `context` and `config` of the contract. Every getter asks the host, which
/// answers the same throughout an attempt (but for [`cancel_requested`](Self::cancel_requested)).
///
/// On targets without a host, as in a unit test, a context is a record that the test fills:
///
/// ```
/// # use milepost_sdk::Context;
/// let ctx = Context::fake().with_attempt(3).with_config("api", &"v3");
/// assert_eq!(ctx.attempt(), 3);
/// assert_eq!(ctx.config::<String>("api"), Ok(Some("v3".to_owned())));
/// assert_eq!(ctx.config::<String>("unset"), Ok(None));
/// ```
pub struct Context {
    source: source::Source,
}

impl Context {
    /// Id of the run.
    #[must_use]
    pub fn run_id(&self) -> String {
        self.source.run_id()
    }

    /// Name of the workflow.
    #[must_use]
    pub fn workflow(&self) -> String {
        self.source.workflow()
    }

    /// Id of the step in the workflow, which need not be its name in the plugin.
    #[must_use]
    pub fn step_id(&self) -> String {
        self.source.step_id()
    }

    /// Where this execution stands: `test`, `fix#2/test` (second pass of loop `fix`), `notes[3]` (fourth item).
    #[must_use]
    pub fn path(&self) -> String {
        self.source.path()
    }

    /// Number of this attempt, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.source.attempt()
    }

    /// Pass of the innermost loop, from 1.
    #[must_use]
    pub fn loop_iteration(&self) -> Option<u32> {
        self.source.loop_iteration()
    }

    /// Position in the innermost fan-out, from 0.
    #[must_use]
    pub fn item_index(&self) -> Option<u32> {
        self.source.item_index()
    }

    /// The same for every attempt of this step and iteration: hand it to remote APIs.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        self.source.idempotency_key()
    }

    /// When the host ends the attempt at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<SystemTime> {
        self.source.deadline()
    }

    /// What the last [`crate::Pause::state`] saved; `None` when this step has not paused with a state.
    ///
    /// # Errors
    /// `invalid_input` when the state is not a `T`.
    pub fn resume_state<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        parse(self.source.resume_state())
    }

    /// The payload of the signal that woke the step.
    ///
    /// # Errors
    /// `invalid_input` when the payload is not a `T`.
    pub fn resume_signal<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        parse(self.source.resume_signal())
    }

    /// Output of an earlier step that the workflow lets this one read.
    ///
    /// # Errors
    /// `invalid_input` when the output is not a `T`.
    pub fn output_of<T: DeserializeOwned>(&self, step_id: &str) -> Result<Option<T>> {
        parse(self.source.output_of(step_id))
    }

    /// W3C trace context of the step's span.
    #[must_use]
    pub fn trace_parent(&self) -> String {
        self.source.trace_parent()
    }

    /// Whether somebody asked for the run to stop. A long step asks now and then, cleans up, and returns
    /// [`Error::cancelled`].
    #[must_use]
    pub fn cancel_requested(&self) -> bool {
        self.source.cancel_requested()
    }

    /// A setting of the plugin from the workflow file; `None` when it is not set.
    ///
    /// # Errors
    /// `invalid_config` when the setting is not a `T`.
    pub fn config<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let Some(text) = self.source.config(key) else {
            return Ok(None);
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|e| Error::failed("invalid_config", format!("setting `{key}`: {e}")).into())
    }

    /// Names of the settings of the plugin.
    #[must_use]
    pub fn config_keys(&self) -> Vec<String> {
        self.source.config_keys()
    }
}

fn parse<T: DeserializeOwned>(text: Option<String>) -> Result<Option<T>> {
    Ok(match text {
        Some(text) => Some(serde_json::from_str(&text)?),
        None => None,
    })
}

#[cfg(target_family = "wasm")]
mod source {
    use std::time::{Duration, SystemTime};

    use super::Context;
    use crate::bindings::milepost::step::{config, context};

    impl Context {
        /// The attempt that the host is running.
        #[doc(hidden)]
        #[must_use]
        pub fn current() -> Self {
            Self { source: Source }
        }
    }

    pub(super) struct Source;

    impl Source {
        pub(super) fn run_id(&self) -> String {
            context::run_id()
        }
        pub(super) fn workflow(&self) -> String {
            context::workflow()
        }
        pub(super) fn step_id(&self) -> String {
            context::step_id()
        }
        pub(super) fn path(&self) -> String {
            context::path()
        }
        pub(super) fn attempt(&self) -> u32 {
            context::attempt()
        }
        pub(super) fn loop_iteration(&self) -> Option<u32> {
            context::loop_iteration()
        }
        pub(super) fn item_index(&self) -> Option<u32> {
            context::item_index()
        }
        pub(super) fn idempotency_key(&self) -> String {
            context::idempotency_key()
        }
        pub(super) fn deadline(&self) -> Option<SystemTime> {
            context::deadline().map(|nanos| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos))
        }
        pub(super) fn resume_state(&self) -> Option<String> {
            context::resume_state()
        }
        pub(super) fn resume_signal(&self) -> Option<String> {
            context::resume_signal()
        }
        pub(super) fn output_of(&self, step_id: &str) -> Option<String> {
            context::output_of(step_id)
        }
        pub(super) fn trace_parent(&self) -> String {
            context::trace_parent()
        }
        pub(super) fn cancel_requested(&self) -> bool {
            context::cancel_requested()
        }
        pub(super) fn config(&self, key: &str) -> Option<String> {
            config::get(key)
        }
        pub(super) fn config_keys(&self) -> Vec<String> {
            config::keys()
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod source {
    use std::collections::BTreeMap;
    use std::time::SystemTime;

    use serde::Serialize;

    use super::Context;

    /// Only where there is no host.
    impl Context {
        /// First attempt of step `step` of run `run`, with no settings and nothing to resume from.
        #[must_use]
        pub fn fake() -> Self {
            Self {
                source: Source::default(),
            }
        }

        /// Sets the number of the attempt.
        #[must_use]
        pub fn with_attempt(mut self, attempt: u32) -> Self {
            self.source.attempt = Some(attempt);
            self
        }

        /// Puts the step into a pass of a loop, counted from 1.
        #[must_use]
        pub fn with_loop_iteration(mut self, iteration: u32) -> Self {
            self.source.loop_iteration = Some(iteration);
            self
        }

        /// Sets what an earlier pause saved.
        #[must_use]
        pub fn with_resume_state(mut self, state: &impl Serialize) -> Self {
            self.source.resume_state = text(state);
            self
        }

        /// Sets the payload of the signal that woke the step.
        #[must_use]
        pub fn with_resume_signal(mut self, payload: &impl Serialize) -> Self {
            self.source.resume_signal = text(payload);
            self
        }

        /// Adds a setting.
        #[must_use]
        pub fn with_config(mut self, key: &str, value: &impl Serialize) -> Self {
            if let Some(text) = text(value) {
                self.source.config.insert(key.to_owned(), text);
            }
            self
        }

        /// Adds the output of an earlier step.
        #[must_use]
        pub fn with_output(mut self, step_id: &str, output: &impl Serialize) -> Self {
            if let Some(text) = text(output) {
                self.source.outputs.insert(step_id.to_owned(), text);
            }
            self
        }

        /// Asks the step to stop.
        #[must_use]
        pub fn with_cancel_requested(mut self) -> Self {
            self.source.cancel_requested = true;
            self
        }
    }

    fn text(value: &impl Serialize) -> Option<String> {
        serde_json::to_string(value).ok()
    }

    #[derive(Default)]
    pub(super) struct Source {
        attempt: Option<u32>,
        loop_iteration: Option<u32>,
        resume_state: Option<String>,
        resume_signal: Option<String>,
        cancel_requested: bool,
        config: BTreeMap<String, String>,
        outputs: BTreeMap<String, String>,
    }

    impl Source {
        pub(super) fn run_id(&self) -> String {
            "run".to_owned()
        }
        pub(super) fn workflow(&self) -> String {
            "workflow".to_owned()
        }
        pub(super) fn step_id(&self) -> String {
            "step".to_owned()
        }
        pub(super) fn path(&self) -> String {
            self.loop_iteration
                .map_or_else(|| "step".to_owned(), |n| format!("loop#{n}/step"))
        }
        pub(super) fn attempt(&self) -> u32 {
            self.attempt.unwrap_or(1)
        }
        pub(super) fn loop_iteration(&self) -> Option<u32> {
            self.loop_iteration
        }
        pub(super) fn item_index(&self) -> Option<u32> {
            None
        }
        pub(super) fn idempotency_key(&self) -> String {
            format!("{}/{}", self.run_id(), self.path())
        }
        pub(super) fn deadline(&self) -> Option<SystemTime> {
            None
        }
        pub(super) fn resume_state(&self) -> Option<String> {
            self.resume_state.clone()
        }
        pub(super) fn resume_signal(&self) -> Option<String> {
            self.resume_signal.clone()
        }
        pub(super) fn output_of(&self, step_id: &str) -> Option<String> {
            self.outputs.get(step_id).cloned()
        }
        pub(super) fn trace_parent(&self) -> String {
            String::new()
        }
        pub(super) fn cancel_requested(&self) -> bool {
            self.cancel_requested
        }
        pub(super) fn config(&self, key: &str) -> Option<String> {
            self.config.get(key).cloned()
        }
        pub(super) fn config_keys(&self) -> Vec<String> {
            self.config.keys().cloned().collect()
        }
    }
}
