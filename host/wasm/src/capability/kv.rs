//! Capability `kv`: buckets of keys and values that all runs of a store share. A change is durable before the guest goes on; every answer is on the tape, so that
//! a replay neither reads nor changes anything.

use std::sync::Arc;
use std::time::Instant;

use milepost_core::effect::{Applied, Effect, KvChange, KvItem};
use milepost_core::ids::Digest;
use milepost_core::limits;
use serde::{Deserialize, Serialize};
use serde_json::json;
use wasmtime::component::{HasSelf, Resource};

use super::Capability;
use super::body::{Body, shown_bytes};
use super::key::check_key;
use crate::contract::v0_1::milepost::step::kv::{self, Host, HostBucket, Item};
use crate::contract::v0_1::milepost::step::types;
use crate::host_error::HostError;
use crate::limits::Refusal;
use crate::secrets::{Found, Secrets};
use crate::state::HostState;
use crate::taped::Asked;

/// The interface.
pub(super) const CAPABILITY: Capability = Capability {
    interface: INTERFACE,
    functions: FUNCTIONS,
    link: |linker| kv::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state),
};

const INTERFACE: &str = "kv";

const FUNCTIONS: &[(&str, &str)] = &[
    (
        "[static]bucket.open",
        "func(name: string) -> result<own, record { code: string, message: string, transient: bool }>",
    ),
    (
        "[method]bucket.get",
        "func(self: borrow, key: string) -> result<option<record { value: list<u8>, revision: u64 }>, record { code: string, message: string, transient: bool }>",
    ),
    (
        "[method]bucket.put",
        "func(self: borrow, key: string, value: list<u8>) -> result<u64, record { code: string, message: string, transient: bool }>",
    ),
    (
        "[method]bucket.replace",
        "func(self: borrow, key: string, over: option<u64>, value: list<u8>) -> result<u64, record { code: string, message: string, transient: bool }>",
    ),
    (
        "[method]bucket.delete",
        "func(self: borrow, key: string) -> result<_, record { code: string, message: string, transient: bool }>",
    ),
    (
        "[method]bucket.keys",
        "func(self: borrow, prefix: string, after: option<string>, limit: u32) -> result<list<string>, record { code: string, message: string, transient: bool }>",
    ),
];

/// Times that a change is tried against others who change the same key.
const TRIES: usize = 100;

/// A bucket that a guest may use.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Bucket {
    name: Arc<str>,
}

/// An item on the tape.
#[derive(Serialize, Deserialize)]
struct Taped {
    value: Body,
    revision: u64,
}

/// What a write asks for.
enum Over {
    /// Whatever is there.
    Anything,
    /// That revision; none: nothing.
    Revision(Option<u64>),
}

type Answer<T> = wasmtime::Result<Result<T, types::HostError>>;

impl Host for HostState {}

impl HostBucket for HostState {
    async fn open(&mut self, name: String) -> Answer<Resource<Bucket>> {
        self.charge()?;
        let mut found = Found::default();
        let name = self.kept(&mut found, name, Secrets::kept);
        // On the tape, because an operator may take a grant away for as long as a process lives.
        let call = Asked::new(INTERFACE, "open", &name, &name)
            .told(self.details(|| json!({ "bucket": name })));
        let opened = self
            .taped(call, async |state| {
                found.refused("the name of the bucket")?;
                check_key("the name of the bucket", &name)?;
                Ok(state.call.grants.kv(&name)?)
            })
            .await?;
        Ok(match opened {
            Ok(()) => Ok(self.resources.push(Bucket { name: name.into() })?),
            Err(error) => Err(error.into()),
        })
    }

    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<Option<Item>> {
        self.charge()?;
        let bucket = self.bucket(&bucket)?;
        let mut found = Found::default();
        let key = self.kept(&mut found, key, Secrets::kept);
        let call = Asked::new(INTERFACE, "get", &(&*bucket, &key), &shown(&bucket, &key))
            .told(self.details(|| json!({ "bucket": *bucket, "key": key })));
        let mut live = None;
        let answer = self
            .taped(call, async |state| {
                found.refused("the key")?;
                check_key("the key", &key)?;
                let item = state.call.host.kv(&bucket, &key).await?;
                let there = item.and_then(|item| Some((item.value?, item.revision)));
                if let Some((value, _)) = &there {
                    // Put there without it: it must not get to the tape.
                    state.found_in(value).refused("what is kept there")?;
                }
                Ok(there.map(|(value, revision)| {
                    let taped = Taped {
                        value: state.body(&value),
                        revision,
                    };
                    live = Some(value);
                    taped
                }))
            })
            .await?;
        Ok(match answer {
            Ok(None) => Ok(None),
            Ok(Some(Taped { value, revision })) => {
                let value = match live {
                    Some(value) => value.to_vec(),
                    None => self.bytes(&value).await?,
                };
                Ok(Some(Item { value, revision }))
            }
            Err(error) => Err(error.into()),
        })
    }

    async fn put(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Answer<u64> {
        self.charge()?;
        let bucket = self.bucket(&bucket)?;
        let mut found = Found::default();
        let key = self.kept(&mut found, key, Secrets::kept);
        let value = self.kept(&mut found, value, Secrets::kept_bytes);
        let request = (&*bucket, &key, Digest::of(&value));
        let call = Asked::new(INTERFACE, "put", &request, &shown(&bucket, &key)).told(
            self.details(|| json!({ "bucket": *bucket, "key": key, "value": shown_bytes(&value) })),
        );
        let revision = self
            .change(
                &call,
                &bucket,
                &key,
                &Over::Anything,
                Some(value.into()),
                &found,
            )
            .await?;
        Ok(revision.map_err(Into::into))
    }

    async fn replace(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        over: Option<u64>,
        value: Vec<u8>,
    ) -> Answer<u64> {
        self.charge()?;
        let bucket = self.bucket(&bucket)?;
        let mut found = Found::default();
        let key = self.kept(&mut found, key, Secrets::kept);
        let value = self.kept(&mut found, value, Secrets::kept_bytes);
        let request = (&*bucket, &key, over, Digest::of(&value));
        let call = Asked::new(INTERFACE, "replace", &request, &shown(&bucket, &key))
            .told(self.details(
            || json!({ "bucket": *bucket, "key": key, "over": over, "value": shown_bytes(&value) }),
        ));
        let over = Over::Revision(over);
        let revision = self
            .change(&call, &bucket, &key, &over, Some(value.into()), &found)
            .await?;
        Ok(revision.map_err(Into::into))
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<()> {
        self.charge()?;
        let bucket = self.bucket(&bucket)?;
        let mut found = Found::default();
        let key = self.kept(&mut found, key, Secrets::kept);
        let call = Asked::new(
            INTERFACE,
            "delete",
            &(&*bucket, &key),
            &shown(&bucket, &key),
        )
        .told(self.details(|| json!({ "bucket": *bucket, "key": key })));
        let deleted = self
            .change(&call, &bucket, &key, &Over::Anything, None, &found)
            .await?;
        Ok(deleted.map(drop).map_err(Into::into))
    }

    async fn keys(
        &mut self,
        bucket: Resource<Bucket>,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Answer<Vec<String>> {
        self.charge()?;
        let bucket = self.bucket(&bucket)?;
        let mut found = Found::default();
        let prefix = self.kept(&mut found, prefix, Secrets::kept);
        let after = after.map(|after| self.kept(&mut found, after, Secrets::kept));
        let request = (&*bucket, &prefix, &after, limit);
        let about = shown(&bucket, &format!("{prefix}*"));
        let call = Asked::new(INTERFACE, "keys", &request, &about).told(self.details(
            || json!({ "bucket": *bucket, "prefix": prefix, "after": after, "limit": limit }),
        ));
        let keys = self
            .taped(call, async |state| {
                found.refused("the key")?;
                for text in std::iter::once(&prefix).chain(&after) {
                    if !text.is_empty() {
                        check_key("the key", text)?;
                    }
                }
                let limit = limit.min(limits::KV_KEYS) as usize;
                let host = &state.call.host;
                let keys = host
                    .kv_keys(&bucket, &prefix, after.as_deref(), limit)
                    .await?;
                for key in &keys {
                    state.found_in(key.as_bytes()).refused("a key")?;
                }
                Ok(keys)
            })
            .await?;
        Ok(keys.map_err(Into::into))
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.resources.delete(bucket)?;
        Ok(())
    }
}

fn shown(bucket: &str, key: &str) -> String {
    format!("{bucket}/{key}")
}

impl HostState {
    fn bucket(&self, bucket: &Resource<Bucket>) -> wasmtime::Result<Arc<str>> {
        Ok(Arc::clone(&self.resources.get(bucket)?.name))
    }

    /// The secrets in something that is there already.
    pub(super) fn found_in(&self, bytes: &[u8]) -> Found {
        let mut found = Found::default();
        let _ = self
            .call
            .secrets
            .kept_bytes(bytes.to_vec(), &mut |name| found.note(name));
        found
    }

    /// Puts or deletes a key. Gives its new revision.
    async fn change(
        &mut self,
        call: &Asked,
        bucket: &str,
        key: &str,
        over: &Over,
        value: Option<Arc<[u8]>>,
        found: &Found,
    ) -> Result<Result<u64, HostError>, Refusal> {
        if let Some(answer) = self.recorded_answer(call).await? {
            return Ok(answer);
        }
        let begun = Instant::now();
        let changed = match found.refused("the key, or its value,") {
            Ok(()) => {
                self.change_live(call, bucket, key, over, value, begun)
                    .await
            }
            Err(refused) => Err(refused),
        };
        if let Err(error) = &changed {
            self.note::<u64>(call, &Err(error.clone()), begun);
        }
        Ok(changed)
    }

    async fn change_live(
        &mut self,
        call: &Asked,
        bucket: &str,
        key: &str,
        over: &Over,
        value: Option<Arc<[u8]>>,
        begun: Instant,
    ) -> Result<u64, HostError> {
        check_key("the key", key)?;
        let bytes = value.as_ref().map_or(0, |value| value.len());
        if bytes > limits::KV_VALUE_BYTES {
            let most = limits::KV_VALUE_BYTES;
            return Err(HostError::new(
                "too-large",
                format!("the value has {bytes} bytes, more than the {most} that it may have"),
            ));
        }
        for _ in 0..TRIES {
            let present = self.call.host.kv(bucket, key).await?;
            let revision = present.as_ref().map_or(0, |item| item.revision);
            if let Over::Revision(wanted) = over {
                let there = present.as_ref().filter(|item| item.value.is_some());
                let there = there.map(|item: &KvItem| item.revision);
                if there != *wanted {
                    return Err(conflict(key, there));
                }
            }
            if value.is_none() && present.is_none_or(|item| item.value.is_none()) {
                // There is nothing to delete, and nothing to remember.
                self.note(call, &Ok(revision), begun);
                return Ok(revision);
            }
            let effect = Effect {
                kv: Some(KvChange {
                    bucket: bucket.to_owned(),
                    key: key.to_owned(),
                    over: revision,
                    value: value.clone(),
                }),
                ..Effect::default()
            };
            let next = revision + 1;
            match self.note_durably(call, &next, begun, effect).await? {
                Applied::Done => return Ok(next),
                // Somebody was faster: look again. (Only an artifact can be gone.)
                Applied::Conflict | Applied::Gone => {}
                Applied::Full => {
                    let most = limits::KV_BUCKET_BYTES;
                    return Err(HostError::new(
                        "too-large",
                        format!(
                            "the bucket would have more than the {most} bytes that it may have"
                        ),
                    ));
                }
            }
        }
        Err(HostError::transient(
            "conflict",
            format!("the key was changed {TRIES} times while this change was tried"),
        ))
    }
}

fn conflict(key: &str, there: Option<u64>) -> HostError {
    let what = match there {
        Some(revision) => format!("has the revision {revision}"),
        None => "is not there".to_owned(),
    };
    HostError::new("conflict", format!("`{key}` {what}"))
}
