//! Which components the workflows of a folder may use.

use milepost::core::ids::Digest;
use milepost::core::lock::Wants;
use schemars::JsonSchema;
use serde::Serialize;

/// Locks as they are now.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LockedPlugins {
    /// One for each folder.
    pub(crate) locks: Vec<LockFile>,
}

/// A lock.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LockFile {
    /// The file.
    pub(crate) file: String,
    /// Whether it has changed.
    pub(crate) written: bool,
    /// The plugins that were looked at.
    pub(crate) plugins: Vec<LockedPlugin>,
    /// What is in it no longer, because nothing used it.
    pub(crate) dropped: Vec<DroppedPlugin>,
}

/// A component that may be used.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LockedPlugin {
    /// Name in the workflow.
    pub(crate) name: String,
    /// Where the workflow takes it from.
    pub(crate) source: String,
    /// Of a component, digest of the file; of a script, digest of its text as it is run.
    pub(crate) digest: Digest,
    /// Of a component from a registry, digest of its manifest; null of others.
    pub(crate) manifest: Option<Digest>,
    /// The public key that has to have signed it: the Base64 of its DER; null where none was named.
    pub(crate) key: Option<String>,
    /// The version of the contract that it was built for; null when it has functions alone.
    pub(crate) contract: Option<String>,
    /// What it wants.
    pub(crate) wants: Wants,
    /// What became of its entry.
    pub(crate) change: LockChange,
    /// The digest that was there before; null unless it has changed.
    pub(crate) before: Option<Digest>,
    /// What it wants more than before; null unless it has changed.
    pub(crate) more: Option<Wants>,
    /// What it wants no longer; null unless it has changed.
    pub(crate) less: Option<Wants>,
}

/// What became of an entry.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LockChange {
    /// It is new.
    Added,
    /// It is as it was.
    Unchanged,
    /// It is another component, or what is seen of it is more.
    Changed,
}

/// What is in a lock no longer.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DroppedPlugin {
    /// Name of the plugin.
    pub(crate) name: String,
    /// Where it was taken from.
    pub(crate) source: String,
}
