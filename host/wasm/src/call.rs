//! One attempt: a fresh store, the guest's `run` in it, and whatever ends it.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use milepost_core::function::{Function, Unresolved};
use milepost_core::limits;
use milepost_core::outcome::{ErrorClass, Outcome, StepError, codes};
use serde_json::Value;
use wasmtime::component::Val;
use wasmtime::{Store, UpdateDeadline};

use super::contract::v0_1::PluginPre;
use super::contract::v0_1::exports::milepost::step::guest::StepError as StepErrorOfGuest;
use super::ending;
use super::engine::Sandbox;
use super::function;
use super::loader::{Callee, Inner, Plugin};
use super::memory_budget::Turn;
use super::state::HostState;
use crate::attempt::{BoxFuture, Call, CallResult, Callable};

impl Callable for Plugin {
    fn call(&self, call: Call) -> BoxFuture<'_, CallResult> {
        Box::pin(attempt(&self.inner, call))
    }
}

/// What is said of an attempt that was cancelled while it waited for its turn.
const NOT_BEGUN: &str = "cancelled before it started";

async fn attempt(plugin: &Inner, call: Call) -> CallResult {
    let shared = &plugin.engine;
    let timeout = call.timeout;
    let max_output = call.limits.output_bytes;
    let (step, input) = (Arc::clone(&call.step), Arc::clone(&call.input));
    let mut state = HostState::new(call, Arc::clone(&shared.clock));
    state.script = plugin.script();
    state.hold_groups_with(&shared.holder, shared.supervisor.as_ref());
    if !state.is_mocked() {
        state.http = Some(shared.http.clone());
    }
    let callee = match plugin.callee(&step) {
        Ok(callee) => callee,
        Err(unresolved) => return state.finish(unresolved_step(&step, &unresolved)),
    };
    // Held until the output has been read.
    let limits = &state.call.limits;
    let beside = plugin.held_bytes() + callee.held_bytes();
    let turn = shared.turns.take(limits, beside, &*state.call.host);
    let Some(turn) = turn.await else {
        return state.finish(Outcome::Cancelled(NOT_BEGUN.to_owned()));
    };
    let prepared = match prepare(callee, &input) {
        Ok(prepared) => prepared,
        Err(outcome) => {
            let outcome = state.masked(*outcome);
            return state.finish(outcome);
        }
    };
    let begun = Instant::now();
    let (mut state, ended) = execute(
        shared,
        &turn,
        state,
        timeout,
        async |store| match &prepared {
            Prepared::Step(guest) => {
                let instance = guest.instantiate_async(&mut *store).await?;
                let input = input.to_string();
                let guest = instance.milepost_step_guest();
                Ok(Returned::Step(guest.call_run(store, &step, &input).await?))
            }
            Prepared::Function(function, arguments) => {
                let value = function::call(&plugin.pre, store, function, arguments).await?;
                Ok(Returned::Function(function, value))
            }
        },
    )
    .await;
    state.end_programs().await;
    let outcome = match ended {
        Ok(Returned::Step(result)) => ending::returned(result, max_output),
        Ok(Returned::Function(function, value)) => {
            function::returned(function, value.as_ref(), max_output)
        }
        Err(stop) => Outcome::Failed(ending::last_words(
            stop.error(&state),
            state.states.log().last_words().as_deref(),
        )),
    };
    let log = state.states.log();
    let outcome = state.masked(outcome);
    let result = state.finish(outcome);
    log.show_rest(timeout.saturating_sub(begun.elapsed())).await;
    result
}

/// A call whose input was read.
enum Prepared<'a> {
    Step(&'a PluginPre<HostState>),
    Function(&'a Function, Vec<Val>),
}

/// What a guest returned, which is looked at once the guest is gone.
enum Returned<'a> {
    Step(Result<String, StepErrorOfGuest>),
    Function(&'a Function, Option<Val>),
}

/// # Errors
/// The outcome of a call with arguments that do not fit.
fn prepare<'a>(callee: Callee<'a>, input: &Value) -> Result<Prepared<'a>, Box<Outcome>> {
    Ok(match callee {
        Callee::Step(guest) => Prepared::Step(guest),
        Callee::Function(function) => {
            Prepared::Function(function, function::arguments(function, input)?)
        }
    })
}

fn unresolved_step(step: &str, unresolved: &Unresolved) -> Outcome {
    let message = format!("`{step}`: {unresolved}");
    let code = codes::PLUGIN_INCOMPATIBLE;
    Outcome::Failed(StepError::new(ErrorClass::Host, code, message))
}

/// How long an attempt that is over waits for what it was making durable.
const ANSWER: Duration = Duration::from_secs(5);

/// What stopped a guest.
pub(super) enum Stop {
    Error(wasmtime::Error),
    TimedOut(Duration),
    Silent(Duration),
    HostPanic(String),
}

impl Stop {
    pub(super) fn error(&self, state: &HostState) -> StepError {
        match self {
            Self::Error(error) => ending::stopped(error, &state.allocations, &state.call.limits),
            Self::TimedOut(after) => ending::timed_out(*after),
            Self::Silent(for_) => ending::silent(*for_),
            Self::HostPanic(message) => ending::host_failed(message),
        }
    }
}

/// Runs `body` on a store with `state`, for `timeout` at most. Dropping the future ends the guest.
pub(super) async fn execute<T>(
    shared: &Sandbox,
    _: &Turn<'_>,
    mut state: HostState,
    timeout: Duration,
    body: impl AsyncFnOnce(&mut Store<HostState>) -> wasmtime::Result<T>,
) -> (HostState, Result<T, Stop>) {
    // Not while it waited for its turn.
    state.started = state.clock.monotonic();
    let _awake = shared.ticker.attempt();
    let mut store = store(shared, state);
    let (heard, idle_timeout) = (store.data().heard.clone(), store.data().call.idle_timeout);
    heard.note();
    let durable = Arc::clone(&store.data().durable);
    let called = {
        let mut called = pin!(catch_panic(body(&mut store)));
        let called_in_time = tokio::select! {
        biased;
        called = &mut called => Ok(called),
        () = tokio::time::sleep(timeout) => Err(Stop::TimedOut(timeout)),
        silent = heard.silence(idle_timeout) => Err(Stop::Silent(silent)),
        };
        if called_in_time.is_err() {
            // What the store has in hand gets its answer: otherwise the tape could not say what holds.
            durable.close();
            let answered = poll_fn(|cx| {
                let waits = durable.is_under_way() && called.as_mut().poll(cx).is_pending();
                match waits && durable.is_under_way() {
                    true => Poll::Pending,
                    false => Poll::Ready(()),
                }
            });
            // Where it has none by then, the tape says so.
            let _ = tokio::time::timeout(ANSWER, answered).await;
        }
        called_in_time
    };
    let ended = match called {
        Ok(Ok(Ok(value))) => match store.data().check_host_calls() {
            Ok(()) => Ok(value),
            Err(refusal) => Err(Stop::Error(refusal.into())),
        },
        Ok(Ok(Err(error))) => Err(Stop::Error(error)),
        Ok(Err(message)) => Err(Stop::HostPanic(message)),
        Err(stop) => Err(stop),
    };
    let left = shared.code.metered.then(|| store.get_fuel().ok()).flatten();
    let mut state = store.into_data();
    state.fuel = left.map(|left| FUEL - left);
    (state, ended)
}

/// What a metered guest may consume: no attempt ends because of it.
const FUEL: u64 = u64::MAX;

fn store(shared: &Sandbox, state: HostState) -> Store<HostState> {
    let mut store = Store::new(&shared.engine, state);
    store.limiter(|state| &mut state.allocations);
    // Also bounds what the guest returns.
    store.set_hostcall_fuel(store.data().call.limits.passed_bytes());
    store.set_max_component_handles(limits::HANDLES);
    if shared.code.metered {
        store
            .set_fuel(FUEL)
            .expect("an engine that meters takes fuel");
    }
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| {
        store.data().check_host_calls()?;
        Ok(UpdateDeadline::Yield(1))
    });
    store
}

/// A panic of a host function, which wasmtime carries through the guest's frames, ends the attempt and nothing else.
pub(super) async fn catch_panic<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        // The store, all that a panic may leave half-changed, is dropped with the attempt.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(payload) => Poll::Ready(Err(panic_message(payload.as_ref()))),
        }
    })
    .await
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("the host panicked: {}", text.unwrap_or("no message"))
}
