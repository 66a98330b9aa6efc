//! Capability `memo`: a piece of work is done once per key over all attempts of a step. What it came to is durable before the guest goes
//! on; whether it was known when the guest asked is on the tape.

use std::time::Instant;

use milepost_core::effect::{Applied, Effect, Memo};
use milepost_core::{limits, shown};
use serde::{Deserialize, Serialize};
use serde_json::json;
use wasmtime::component::{HasSelf, Resource};

use super::Capability;
use super::body::shown_json;
use super::key::check_key;
use crate::contract::v0_1::milepost::step::memo::{self, Entry, Host, HostTicket};
use crate::contract::v0_1::milepost::step::types;
use crate::guest_json;
use crate::host_error::HostError;
use crate::secrets::{Found, Secrets};
use crate::state::HostState;
use crate::taped::Asked;

/// The interface.
pub(super) const CAPABILITY: Capability = Capability {
    interface: INTERFACE,
    functions: FUNCTIONS,
    link: |linker| memo::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state),
};

const INTERFACE: &str = "memo";

const FUNCTIONS: &[(&str, &str)] = &[
    (
        "begin",
        "func(key: string) -> result<variant { recorded(string), fresh(own) }, record { code: string, message: string, transient: bool }>",
    ),
    (
        "[static]ticket.settle",
        "func(this: own, value: string) -> result<_, record { code: string, message: string, transient: bool }>",
    ),
];

/// The right to do the work under a key.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Ticket {
    key: String,
}

/// What `begin` answers, on the tape. A value is text there: it comes back as it was.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Begun {
    Recorded(String),
    Fresh,
}

fn check_value(value: &str) -> Result<(), HostError> {
    if value.len() > limits::MEMO_VALUE_BYTES {
        return Err(HostError::new(
            "too-large",
            format!(
                "the value has {} bytes, more than the {} that a memo may have; keep large results as an artifact, and its digest here",
                value.len(),
                limits::MEMO_VALUE_BYTES
            ),
        ));
    }
    match guest_json::parse(value, limits::MEMO_VALUE_BYTES, limits::JSON_DEPTH) {
        Ok(_) => Ok(()),
        Err(error) => Err(HostError::new(
            "invalid",
            shown::message(format!("the value is not usable JSON: {error}")),
        )),
    }
}

impl Host for HostState {
    async fn begin(&mut self, key: String) -> wasmtime::Result<Result<Entry, types::HostError>> {
        self.charge()?;
        let mut found = Found::default();
        let key = self.kept(&mut found, key, Secrets::kept);
        let call =
            Asked::new(INTERFACE, "begin", &key, &key).told(self.details(|| json!({ "key": key })));
        let begun = self
            .taped(call, async |state| {
                found.refused("the key")?;
                check_key("the key", &key)?;
                let known = state.call.host.memo(&key).await?;
                if let Some(value) = &known {
                    state
                        .found_in(value.as_bytes())
                        .refused("what is kept there")?;
                }
                Ok(known.map_or(Begun::Fresh, Begun::Recorded))
            })
            .await?;
        Ok(match begun {
            Ok(Begun::Recorded(value)) => Ok(Entry::Recorded(value)),
            Ok(Begun::Fresh) => Ok(Entry::Fresh(self.resources.push(Ticket { key })?)),
            Err(error) => Err(error.into()),
        })
    }
}

impl HostTicket for HostState {
    async fn settle(
        &mut self,
        ticket: Resource<Ticket>,
        value: String,
    ) -> wasmtime::Result<Result<(), types::HostError>> {
        self.charge()?;
        let Ticket { key } = self.resources.delete(ticket)?;
        let mut found = Found::default();
        let value = self.kept(&mut found, value, Secrets::kept_json);
        let call = Asked::new(INTERFACE, "settle", &(&key, &value), &key)
            .told(self.details(|| json!({ "key": key, "value": shown_json(&value) })));
        if let Some(answer) = self.recorded_answer::<()>(&call).await? {
            return Ok(answer.map_err(Into::into));
        }
        let begun = Instant::now();
        let usable = found
            .refused("the value")
            .and_then(|()| check_value(&value));
        let answer = match usable {
            Ok(()) => self.settle_durably(&call, key, value, begun).await,
            Err(refused) => Err(refused),
        };
        if let Err(error) = &answer {
            self.note::<()>(&call, &Err(error.clone()), begun);
        }
        Ok(answer.map_err(Into::into))
    }

    fn drop(&mut self, ticket: Resource<Ticket>) -> wasmtime::Result<()> {
        self.resources.delete(ticket)?;
        Ok(())
    }
}

impl HostState {
    async fn settle_durably(
        &mut self,
        call: &Asked,
        key: String,
        value: String,
        begun: Instant,
    ) -> Result<(), HostError> {
        let effect = Effect {
            memo: Some(Memo { key, value }),
            ..Effect::default()
        };
        match self.note_durably(call, &(), begun, effect).await? {
            Applied::Done => Ok(()),
            // Only an artifact can be gone.
            Applied::Conflict | Applied::Gone => Err(HostError::new(
                "conflict",
                "the work under this key was settled meanwhile, with another result",
            )),
            Applied::Full => Err(HostError::new(
                "too-large",
                format!(
                    "the step has {} memos, and may have no more",
                    limits::MEMO_KEYS
                ),
            )),
        }
    }
}
