//! Where the values of secrets come from: asked for each attempt that needs some, kept nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::sync::Arc;

use milepost_core::outcome::{Outcome, Pause, codes};
use milepost_core::tape::Tape;

use crate::attempt::{BoxFuture, Call, CallResult};
use crate::wasm::secrets::Secrets;
pub use crate::wasm::secrets::{SecretValue, UnusableSecret};

/// Knows the values of secrets.
pub trait SecretSource: Send + Sync {
    /// The value of a secret; `None` where it has none.
    ///
    /// # Errors
    /// Why it cannot be told now, or cannot be used, for people and without the value.
    fn secret<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<SecretValue>, String>>;

    /// How a person gives a value to a secret that has none.
    fn advice(&self, name: &str) -> String;
}

/// A source that knows none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSecrets;

impl SecretSource for NoSecrets {
    fn secret<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<SecretValue>, String>> {
        Box::pin(ready(Ok(None)))
    }

    fn advice(&self, _: &str) -> String {
        "this program has no source of secrets".to_owned()
    }
}

/// Secrets that an attempt needs and that have no value.
#[derive(Debug)]
pub(crate) struct Missing(Vec<String>);

impl Missing {
    /// What becomes of an attempt whose component was not called: its run waits for a person.
    pub(crate) fn paused(self) -> CallResult {
        let pause = Pause {
            code: codes::SECRET_MISSING.to_owned(),
            reason: self.0.join("; "),
            provider: None,
            until: None,
            signal: None,
            state: None,
        };
        let tape = Tape {
            not_replayable: Some(
                "a secret was missing, and its component was not called".to_owned(),
            ),
            ..Tape::default()
        };
        CallResult {
            tape,
            ..CallResult::of(Outcome::Paused(pause))
        }
    }
}

/// Names of the secrets that a call may use.
fn needed(call: &Call) -> BTreeSet<Arc<str>> {
    let grants = &call.grants;
    let names = grants.secrets.iter().chain(&grants.secrets_reveal);
    names.cloned().collect()
}

/// The call with the values of its secrets.
///
/// # Errors
/// [`Missing`] names all that have none.
pub(crate) async fn give(source: &dyn SecretSource, call: Call) -> Result<Call, Missing> {
    let mut values = BTreeMap::new();
    let mut missing = Vec::new();
    for name in needed(&call) {
        match source.secret(&name).await {
            Ok(Some(value)) => drop(values.insert(name, Some(value))),
            Ok(None) => missing.push(format!(
                "the secret `{name}` has no value; {}",
                source.advice(&name)
            )),
            Err(error) => missing.push(format!("the secret `{name}` cannot be used: {error}")),
        }
    }
    match missing.is_empty() {
        true => Ok(with(call, values)),
        false => Err(Missing(missing)),
    }
}

/// The call for a replay: with whatever values there are.
///
/// # Errors
/// Why it cannot be executed again: a value that had a part in the outcome is not there.
pub(crate) async fn give_again(
    source: &dyn SecretSource,
    call: Call,
    tape: &Tape,
) -> Result<Call, String> {
    let mut values = BTreeMap::new();
    for name in needed(&call) {
        let value = source.secret(&name).await.ok().flatten();
        if value.is_none() && tape.secrets.contains(&*name) {
            return Err(format!(
                "its outcome depends on the secret `{name}`, which has no value here; {}",
                source.advice(&name)
            ));
        }
        values.insert(name, value);
    }
    Ok(with(call, values))
}

fn with(call: Call, values: BTreeMap<Arc<str>, Option<SecretValue>>) -> Call {
    let secrets = Secrets::new(call.seed, values);
    Call { secrets, ..call }
}
