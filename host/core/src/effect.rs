//! What an attempt brings about before it has an outcome, and what of it has to be on the disk before the guest goes on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ids::Digest;
use crate::limits;

/// Changes that become durable together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Effect {
    /// The tape as far as it was not saved yet.
    pub tape: Option<TapePart>,
    /// A piece of work that is done once for all attempts of its step.
    pub memo: Option<Memo>,
    /// A change of state that outlives the run.
    pub kv: Option<KvChange>,
    /// An artifact that the run uses from now on. Its bytes are kept already.
    pub artifact: Option<Artifact>,
    /// A process group that the attempt starts, or that is over.
    pub processes: Option<GroupChange>,
}

/// Consecutive entries of the tape of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct TapePart {
    /// Position of the first, from 0.
    pub first: u64,
    /// The entries: a JSON array.
    pub body: String,
    /// Bodies that the entries name by digest.
    pub blobs: Vec<(Digest, Arc<[u8]>)>,
}

impl TapePart {
    /// What it takes in a store beside its blobs, bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.body.len() as u64
    }
}

/// What the work under a key came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memo {
    /// The key, as the component chose it.
    pub key: String,
    /// The result: a JSON document.
    pub value: String,
}

impl Memo {
    /// What it takes in a store, bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.key.len() + self.value.len()) as u64
    }
}

/// Puts or deletes one key of a bucket, if nobody did since it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvChange {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// Its revision as it was read; 0 where nothing was read. The change gives the next one.
    pub over: u64,
    /// The new value; none deletes.
    pub value: Option<Arc<[u8]>>,
}

/// A key of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvItem {
    /// Rises with every change. Of a key that is not there, the highest that any deleted key of its bucket had: a key that comes back
    /// goes on above what it had, and nothing has to be kept of it.
    pub revision: u64,
    /// None where the key is not there.
    pub value: Option<Arc<[u8]>>,
}

/// Bytes that are kept by their digest, apart from the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// Name, as the component chose it.
    pub name: String,
    /// How many bytes.
    pub size: u64,
    /// What they are, as the component says.
    pub media_type: String,
}

impl Artifact {
    /// As steps hand it to each other: `{ digest, size, media_type, name }`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!({
            "digest": self.digest, "size": self.size, "media_type": self.media_type, "name": self.name,
        })
    }

    /// The artifact that such a value names; `None` when it is none. A component says nothing of the name in its output: it is the digest then.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Self> {
        let fields = value.as_object()?;
        let known = ["digest", "size", "media_type", "name"];
        let text = |name: &str| {
            let text = fields.get(name)?.as_str()?;
            let fits = !text.is_empty() && text.len() <= limits::KEY_BYTES && !text.contains('\0');
            fits.then(|| text.to_owned())
        };
        let digest = text("digest")?;
        let artifact = Self {
            name: match fields.get("name") {
                Some(_) => text("name")?,
                None => digest.clone(),
            },
            digest: digest.parse().ok()?,
            size: fields.get("size")?.as_u64()?,
            media_type: text("media_type")?,
        };
        let fits = artifact.size <= limits::ARTIFACT_BYTES
            && fields.keys().all(|name| known.contains(&name.as_str()));
        fits.then_some(artifact)
    }
}

/// What became of an effect. All of it was applied, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It is durable.
    Done,
    /// The key was changed since it was read.
    Conflict,
    /// There is no room for it: a bound on keys or bytes would be exceeded.
    Full,
    /// The bytes of its artifact are not kept (any more).
    Gone,
}

/// A process group that an attempt starts, or that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupChange {
    /// It is about to exist.
    Began(ProcessGroup),
    /// None of its processes is left.
    Ended(ProcessGroup),
}

/// Processes of a program that a component runs, and who they are if the number is used again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessGroup {
    /// Name of the machine.
    pub host: String,
    /// Identity of its present boot, and of the namespace of its process ids.
    pub boot: String,
    /// Number of the group: the process id of its leader.
    pub group: u32,
    /// When the leader started, in the kernel's own unit.
    pub started: u64,
}
