//! Stores around another store: written down is only what they do otherwise.

use futures_util::future::BoxFuture;

use crate::{Store, StoreError};

/// The words of the traits, for the modules that use [`hand_on!`](crate::hand_on).
pub mod prelude {
    pub use std::time::Duration;

    pub use futures_util::future::BoxFuture;
    pub use milepost_core::effect::{Applied, Artifact, KvChange, KvItem, Memo, ProcessGroup};
    pub use milepost_core::ids::{Digest, Epoch, RunId};
    pub use milepost_core::state::Status;
    pub use milepost_core::time::Timestamp;

    pub use crate::{
        ArtifactSink, Artifacts, Ask, Attempts, Attention, Blobs, Bucket, CheckedBlob, Claims,
        Count, Filter, Health, Held, Holdings, Inbox, KnownToken, Listing, Look, Mailbox,
        NewSignal, News, Note, Offer, Owner, RunRow, Runs, Said, Sent, StopRequest, Store,
        StoreError, StoredCheckpoint, StoredEntry, StoredLog, StoredProgress, StoredSignal,
        StoredTape, Swept, Upkeep, UsedArtifact, Watch, Write, Written,
    };
}

/// A store that hands on what it is asked: [`hand_on!`](crate::hand_on) writes the methods that do nothing else.
pub trait Decorator: Send + Sync {
    /// The store inside.
    fn inner(&self) -> &dyn Store;

    /// Lets the store inside make a change, which has not begun yet.
    fn change<'a, T: Send + 'a>(
        &'a self,
        change: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        change
    }

    /// Lets the store inside read, which has not begun yet.
    fn read<'a, T: Send + 'a>(
        &'a self,
        read: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        read
    }
}

/// Methods of a store's traits for a [`Decorator`](crate::decorator::Decorator): all of a trait, or those that are named.
#[macro_export]
macro_rules! hand_on {
    ($store:ty: Runs) => {
        impl Runs for $store {
            $crate::hand_on! { write row checkpoint journal logs }
        }
    };
    ($store:ty: Attempts) => {
        impl Attempts for $store {
            $crate::hand_on! { note say progress tape memo memos groups artifacts artifact kv kv_keys kv_change buckets }
        }
    };
    ($store:ty: Artifacts) => {
        impl Artifacts for $store {
            $crate::hand_on! { create_artifact read_artifact sweep_artifacts discard_artifact }
        }
    };
    ($store:ty: Claims) => {
        impl Claims for $store {
            $crate::hand_on! { offer keep give_up mark_detached look present absent workers }
        }
    };
    ($store:ty: Mailbox) => {
        impl Mailbox for $store {
            $crate::hand_on! { request_stop withdraw_pause send_signal known_token inbox inbox_size }
        }
    };
    ($store:ty: Blobs) => {
        impl Blobs for $store {
            $crate::hand_on! { blob checked_blob }
        }
    };
    ($store:ty: Upkeep) => {
        impl Upkeep for $store {
            $crate::hand_on! { list count ids_with_prefix written_before delete holdings count_up counts health }
        }
    };
    ($store:ty: Watch) => {
        impl Watch for $store {
            $crate::hand_on! { time }

            fn hint(&self) -> BoxFuture<'_, ()> {
                $crate::decorator::Decorator::inner(self).hint()
            }
        }
    };
    ($($name:ident)*) => { $($crate::hand_on_one! { $name })* };
}

/// One method.
#[doc(hidden)]
#[macro_export]
macro_rules! hand_on_one {
    (write) => { $crate::hand_on_as! { change: write(write: Write) -> Written } };
    (row) => { $crate::hand_on_as! { read: row(run: &'a RunId) -> Option<RunRow> } };
    (checkpoint) => { $crate::hand_on_as! { read: checkpoint(run: &'a RunId) -> Option<StoredCheckpoint> } };
    (journal) => { $crate::hand_on_as! { read: journal(run: &'a RunId, after: u64, limit: usize) -> Vec<StoredEntry> } };
    (logs) => { $crate::hand_on_as! { read: logs(run: &'a RunId, after: u64, limit: usize) -> Vec<StoredLog> } };
    (note) => { $crate::hand_on_as! { change: note(note: Note) -> Applied } };
    (say) => { $crate::hand_on_as! { change: say(said: Said) -> () } };
    (progress) => { $crate::hand_on_as! { read: progress(run: &'a RunId) -> Vec<StoredProgress> } };
    (tape) => { $crate::hand_on_as! { read: tape(run: &'a RunId, started: u64, from: u64) -> Vec<StoredTape> } };
    (memo) => { $crate::hand_on_as! { read: memo(run: &'a RunId, path: &'a str, key: &'a str) -> Option<String> } };
    (memos) => { $crate::hand_on_as! { read: memos(run: &'a RunId, after: Option<(&'a str, &'a str)>) -> Vec<(String, Memo)> } };
    (groups) => { $crate::hand_on_as! { read: groups(run: &'a RunId) -> Vec<ProcessGroup> } };
    (artifacts) => { $crate::hand_on_as! { read: artifacts(run: &'a RunId, after: u64, limit: usize) -> Vec<UsedArtifact> } };
    (artifact) => { $crate::hand_on_as! { read: artifact(digest: &'a Digest) -> Option<Artifact> } };
    (kv) => { $crate::hand_on_as! { read: kv(bucket: &'a str, key: &'a str) -> Option<KvItem> } };
    (kv_keys) => { $crate::hand_on_as! { read: kv_keys(bucket: &'a str, prefix: &'a str, after: Option<&'a str>, limit: usize) -> Vec<String> } };
    (kv_change) => { $crate::hand_on_as! { change: kv_change(change: KvChange) -> Applied } };
    (buckets) => { $crate::hand_on_as! { read: buckets(after: Option<&'a str>, limit: usize) -> Vec<Bucket> } };
    (create_artifact) => { $crate::hand_on_as! { change: create_artifact() -> Box<dyn ArtifactSink> } };
    (read_artifact) => { $crate::hand_on_as! { read: read_artifact(digest: &'a Digest, offset: u64, max: usize) -> Option<Vec<u8>> } };
    (sweep_artifacts) => { $crate::hand_on_as! { change: sweep_artifacts(grace: Duration, pretend: bool) -> Swept } };
    (discard_artifact) => { $crate::hand_on_as! { change: discard_artifact(digest: &'a Digest) -> () } };
    (offer) => { $crate::hand_on_as! { read: offer(ask: &'a Ask) -> Offer } };
    (keep) => { $crate::hand_on_as! { change: keep(held: &'a [Held], renew: Option<Duration>) -> Vec<News> } };
    (give_up) => { $crate::hand_on_as! { change: give_up(held: &'a [Held]) -> () } };
    (mark_detached) => { $crate::hand_on_as! { change: mark_detached(run: &'a RunId, epoch: Epoch) -> bool } };
    (look) => { $crate::hand_on_as! { read: look(look: &'a Look) -> Attention } };
    (present) => { $crate::hand_on_as! { change: present(worker: Owner, lease: Duration) -> () } };
    (absent) => { $crate::hand_on_as! { change: absent(worker: &'a Owner) -> () } };
    (workers) => { $crate::hand_on_as! { read: workers() -> Vec<Owner> } };
    (request_stop) => { $crate::hand_on_as! { change: request_stop(run: &'a RunId, request: StopRequest) -> Status } };
    (withdraw_pause) => { $crate::hand_on_as! { change: withdraw_pause(run: &'a RunId) -> bool } };
    (send_signal) => { $crate::hand_on_as! { change: send_signal(run: &'a RunId, signal: NewSignal) -> Sent } };
    (known_token) => { $crate::hand_on_as! { read: known_token(run: &'a RunId, token: &'a str) -> Option<KnownToken> } };
    (inbox) => { $crate::hand_on_as! { read: inbox(run: &'a RunId, limit: usize) -> Vec<StoredSignal> } };
    (inbox_size) => { $crate::hand_on_as! { read: inbox_size(run: &'a RunId) -> Inbox } };
    (blob) => { $crate::hand_on_as! { read: blob(digest: &'a Digest) -> Option<Vec<u8>> } };
    (checked_blob) => { $crate::hand_on_as! { read: checked_blob(after: Option<&'a Digest>) -> Option<CheckedBlob> } };
    (list) => { $crate::hand_on_as! { read: list(filter: &'a Filter) -> Listing } };
    (count) => { $crate::hand_on_as! { read: count(filter: &'a Filter) -> usize } };
    (ids_with_prefix) => { $crate::hand_on_as! { read: ids_with_prefix(prefix: &'a str, limit: usize) -> Vec<RunId> } };
    (written_before) => { $crate::hand_on_as! { read: written_before(before: Timestamp, statuses: &'a [Status], limit: usize) -> Vec<RunRow> } };
    (delete) => { $crate::hand_on_as! { change: delete(run: &'a RunId, seq: u64) -> () } };
    (holdings) => { $crate::hand_on_as! { read: holdings(run: &'a RunId) -> Holdings } };
    (count_up) => { $crate::hand_on_as! { change: count_up(by: Vec<Count>) -> () } };
    (counts) => { $crate::hand_on_as! { read: counts() -> Vec<Count> } };
    (time) => { $crate::hand_on_as! { read: time() -> Option<Timestamp> } };
    (health) => { $crate::hand_on_as! { read: health() -> Health } };
}

/// A method, from its arguments and its answer.
#[doc(hidden)]
#[macro_export]
macro_rules! hand_on_as {
    ($how:ident: $name:ident($($argument:ident: $type:ty),*) -> $answer:ty) => {
        fn $name<'a>(&'a self, $($argument: $type),*) -> BoxFuture<'a, Result<$answer, StoreError>> {
            $crate::decorator::Decorator::$how(self, $crate::decorator::Decorator::inner(self).$name($($argument),*))
        }
    };
}
