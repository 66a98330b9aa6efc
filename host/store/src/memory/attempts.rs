//! What attempts leave behind while they are in flight, and buckets.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use milepost_core::effect::{
    Applied, Artifact, GroupChange, KvChange, KvItem, Memo, ProcessGroup, TapePart,
};
use milepost_core::ids::{Digest, Epoch, RunId};
use milepost_core::limits;
use milepost_core::state::Status;

use super::{MemoryStore, Run, State, conflict};
use crate::{
    Attempts, Bucket, NewLog, Note, Page, Said, StoreError, StoredLog, StoredProgress, StoredTape,
    UsedArtifact, bucket_has_room, may_use,
};

impl Attempts for MemoryStore {
    fn note(&self, note: Note) -> BoxFuture<'_, Result<Applied, StoreError>> {
        Box::pin(async move {
            let mut state = self.state();
            let artifact = note.effect.artifact.as_ref();
            let gone = artifact.is_some_and(|artifact| !self.keeps(&artifact.digest));
            state.note(note, gone)
        })
    }

    fn say(&self, said: Said) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut state = self.state();
            let mut position = state.last_log;
            let run = state.running(&said.run, said.epoch)?;
            let added: u64 = said.lines.iter().map(NewLog::bytes).sum();
            run.row.stored_bytes = run.row.stored_bytes.saturating_add(added);
            for line in said.lines {
                position += 1;
                run.logs.push(StoredLog { position, line });
            }
            if let Some(progress) = said.progress {
                run.progress.insert(progress.path.clone(), progress);
                if run.progress.len() > limits::PROGRESS_KEPT {
                    let all = run.progress.values();
                    let oldest = all.min_by_key(|it| (it.at, it.path.clone()));
                    let oldest = oldest.map(|it| it.path.clone()).unwrap_or_default();
                    run.progress.remove(&oldest);
                }
            }
            state.last_log = position;
            Ok(())
        })
    }

    fn progress<'a>(
        &'a self,
        run: &'a RunId,
    ) -> BoxFuture<'a, Result<Vec<StoredProgress>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let all = state.runs.get(run).map(|run| run.progress.values());
            Ok(all.into_iter().flatten().cloned().collect())
        })
    }

    fn tape<'a>(
        &'a self,
        run: &'a RunId,
        started: u64,
        from: u64,
    ) -> BoxFuture<'a, Result<Vec<StoredTape>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let Some(run) = state.runs.get(run) else {
                return Ok(Vec::new());
            };
            let mut page = Page::default();
            for ((_, first), body) in run.tapes.range((started, from)..=(started, u64::MAX)) {
                let part = StoredTape {
                    first: *first,
                    body: body.clone(),
                };
                if !page.take(part, body.len()) {
                    break;
                }
            }
            Ok(page.into_rows())
        })
    }

    fn memo<'a>(
        &'a self,
        run: &'a RunId,
        path: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let memos = state.runs.get(run).map(|run| &run.memos);
            let key = (path.to_owned(), key.to_owned());
            Ok(memos.and_then(|memos| memos.get(&key).cloned()))
        })
    }

    fn memos<'a>(
        &'a self,
        run: &'a RunId,
        after: Option<(&'a str, &'a str)>,
    ) -> BoxFuture<'a, Result<Vec<(String, Memo)>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let memos = state.runs.get(run).into_iter().flat_map(|run| &run.memos);
            let mut page = Page::default();
            for ((path, key), value) in memos {
                if after.is_some_and(|after| (path.as_str(), key.as_str()) <= after) {
                    continue;
                }
                let memo = Memo {
                    key: key.clone(),
                    value: value.clone(),
                };
                let bytes = key.len() + value.len();
                if !page.take((path.clone(), memo), bytes) {
                    break;
                }
            }
            Ok(page.into_rows())
        })
    }

    fn groups<'a>(
        &'a self,
        run: &'a RunId,
    ) -> BoxFuture<'a, Result<Vec<ProcessGroup>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let groups = state.runs.get(run).map(|run| run.groups.iter().cloned());
            Ok(groups.into_iter().flatten().collect())
        })
    }

    fn artifacts<'a>(
        &'a self,
        run: &'a RunId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<UsedArtifact>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let used = state.runs.get(run).into_iter();
            let used = used.flat_map(|run| &run.artifacts);
            let later = used.filter(|used| used.position > after);
            Ok(later.take(limit).cloned().collect())
        })
    }

    fn artifact<'a>(
        &'a self,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Artifact>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let used = state.runs.values().flat_map(|run| &run.artifacts);
            let found = used.filter(|used| used.artifact.digest == *digest);
            let first = found.min_by_key(|used| used.position);
            Ok(first.map(|used| used.artifact.clone()))
        })
    }

    fn kv<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<KvItem>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let key = (bucket.to_owned(), key.to_owned());
            let absent = || {
                let revision = *state.kv_deleted.get(bucket)?;
                let value = None;
                Some(KvItem { revision, value })
            };
            Ok(state.kv.get(&key).cloned().or_else(absent))
        })
    }

    fn kv_keys<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let from = (bucket.to_owned(), after.unwrap_or(prefix).to_owned());
            let from = match after {
                Some(after) if after >= prefix => Bound::Excluded(from),
                _ => Bound::Included((bucket.to_owned(), prefix.to_owned())),
            };
            let keys = state.kv.range((from, Bound::Unbounded));
            let keys = keys.take_while(|((of, key), _)| of == bucket && key.starts_with(prefix));
            Ok(keys.map(|((_, key), _)| key.clone()).take(limit).collect())
        })
    }

    fn kv_change(&self, change: KvChange) -> BoxFuture<'_, Result<Applied, StoreError>> {
        Box::pin(async move {
            let mut state = self.state();
            let applied = state.kv_allows(&change);
            if applied == Applied::Done {
                state.kv_put(change);
            }
            Ok(applied)
        })
    }

    fn buckets<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Bucket>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let empty = |name: &String| Bucket {
                name: name.clone(),
                keys: 0,
                bytes: 0,
            };
            let emptied = state.kv_deleted.keys();
            let mut buckets: BTreeMap<String, Bucket> =
                emptied.map(|name| (name.clone(), empty(name))).collect();
            for ((name, key), item) in &state.kv {
                let bucket = buckets.entry(name.clone());
                let bucket = bucket.or_insert_with(|| empty(name));
                bucket.keys += 1;
                bucket.bytes += bytes_of(key, item);
            }
            let later = |bucket: &Bucket| after.is_none_or(|after| bucket.name.as_str() > after);
            Ok(buckets.into_values().filter(later).take(limit).collect())
        })
    }
}

impl State {
    /// A run that runs under that epoch.
    fn running(&mut self, run: &RunId, epoch: Epoch) -> Result<&mut Run, StoreError> {
        let run = self.run(run)?;
        match run.row.epoch == epoch && run.row.status == Status::Running {
            true => Ok(run),
            false => Err(conflict(&run.row)),
        }
    }

    /// `gone`: the bytes of its artifact are not kept.
    fn note(&mut self, note: Note, gone: bool) -> Result<Applied, StoreError> {
        let run = self.running(&note.run, note.epoch)?;
        let tape = note.effect.tape.as_ref();
        let mut added = tape.map_or(0, TapePart::bytes);
        if let Some(memo) = &note.effect.memo {
            let of_path = run.memos.keys().filter(|(path, _)| *path == note.path);
            match run.memos.get(&(note.path.clone(), memo.key.clone())) {
                Some(value) if *value == memo.value => {}
                Some(_) => return Ok(Applied::Conflict),
                None if of_path.count() >= limits::MEMO_KEYS => return Ok(Applied::Full),
                None => added += memo.bytes(),
            }
        }
        if gone {
            return Ok(Applied::Gone);
        }
        if let Some(artifact) = &note.effect.artifact
            && !run.uses(&note.path, artifact)
        {
            let bytes = run.artifacts.iter().map(|used| used.artifact.size);
            if !may_use(run.artifacts.len() as u64, bytes.sum(), artifact.size) {
                return Ok(Applied::Full);
            }
        }
        let effect = note.effect;
        if let Some(change) = &effect.kv {
            match self.kv_allows(change) {
                Applied::Done => {}
                refused => return Ok(refused),
            }
        }
        // Nothing below can fail.
        let row = &mut self.run(&note.run)?.row;
        row.stored_bytes = row.stored_bytes.saturating_add(added);
        if let Some(part) = effect.tape {
            self.keep_tape(&note.run, note.started, part)?;
        }
        let mut last = self.last_artifact;
        let run = self.run(&note.run)?;
        if let Some(artifact) = effect.artifact {
            last += u64::from(run.use_artifact(last + 1, note.path.clone(), artifact));
        }
        if let Some(memo) = effect.memo {
            run.memos.insert((note.path, memo.key), memo.value);
        }
        match effect.processes {
            Some(GroupChange::Began(group)) => drop(run.groups.insert(group)),
            Some(GroupChange::Ended(group)) => drop(run.groups.remove(&group)),
            None => {}
        }
        self.last_artifact = last;
        if let Some(change) = effect.kv {
            self.kv_put(change);
        }
        Ok(Applied::Done)
    }

    /// Keeps a part of a tape with its blobs; the part's own bytes are counted already.
    fn keep_tape(&mut self, run: &RunId, started: u64, part: TapePart) -> Result<(), StoreError> {
        for (digest, bytes) in part.blobs {
            self.keep_blob(digest, &bytes);
            let run = self.run(run)?;
            if run.blobs.insert(digest) {
                run.row.stored_bytes = run.row.stored_bytes.saturating_add(bytes.len() as u64);
            }
        }
        let run = self.run(run)?;
        let before = run.tapes.insert((started, part.first), part.body);
        let freed = before.map_or(0, |body| body.len() as u64);
        run.row.stored_bytes = run.row.stored_bytes.saturating_sub(freed);
        Ok(())
    }

    /// Keeps a blob; one that was damaged is mended.
    pub(super) fn keep_blob(&mut self, digest: Digest, bytes: &Arc<[u8]>) {
        let kept = self.blobs.entry(digest);
        let kept = kept.or_insert_with(|| Arc::clone(bytes));
        if kept != bytes && Digest::of(bytes) == digest {
            *kept = Arc::clone(bytes);
        }
    }

    fn kv_allows(&self, change: &KvChange) -> Applied {
        let key = (change.bucket.clone(), change.key.clone());
        let present = self.kv.get(&key);
        let deleted = self.kv_deleted.get(&change.bucket).copied();
        let stands = present.map_or(deleted.unwrap_or(0), |item| item.revision);
        if stands != change.over {
            return Applied::Conflict;
        }
        let of_bucket = self.kv.iter().filter(|((of, _), _)| *of == change.bucket);
        let bytes = of_bucket.map(|((_, key), item)| bytes_of(key, item));
        let before = present.map_or(0, |item| bytes_of(&change.key, item));
        let named = |value: &Arc<[u8]>| (change.key.len() + value.len()) as u64;
        let after = change.value.as_ref().map_or(0, named);
        match bucket_has_room(bytes.sum(), before, after) {
            true => Applied::Done,
            false => Applied::Full,
        }
    }

    fn kv_put(&mut self, change: KvChange) {
        let revision = change.over + 1;
        if change.value.is_none() {
            let deleted = self.kv_deleted.entry(change.bucket.clone()).or_default();
            *deleted = revision.max(*deleted);
            self.kv.remove(&(change.bucket, change.key));
            return;
        }
        let value = change.value;
        let item = KvItem { revision, value };
        self.kv.insert((change.bucket, change.key), item);
    }
}

fn bytes_of(key: &str, item: &KvItem) -> u64 {
    let value = item.value.as_ref();
    (key.len() + value.map_or(0, |value| value.len())) as u64
}

impl Run {
    /// Whether that execution uses the artifact under its name already.
    fn uses(&self, path: &str, artifact: &Artifact) -> bool {
        let known = |used: &UsedArtifact| {
            used.path == path
                && used.artifact.name == artifact.name
                && used.artifact.digest == artifact.digest
        };
        self.artifacts.iter().any(known)
    }

    /// Notes that it uses an artifact. Returns whether it did not yet.
    pub(super) fn use_artifact(&mut self, position: u64, path: String, artifact: Artifact) -> bool {
        let is_new = !self.uses(&path, &artifact);
        if is_new {
            self.artifacts.push(UsedArtifact {
                position,
                path,
                artifact,
            });
        }
        is_new
    }

    /// Drops the memos of these executions, and of all that stands in them. Returns what they took, bytes.
    pub(super) fn renew(&mut self, paths: &[String]) -> u64 {
        let mut freed = 0;
        self.memos.retain(|(of, key), value| {
            let dropped = paths.iter().any(|path| stands_in(of, path));
            if dropped {
                freed += (key.len() + value.len()) as u64;
            }
            !dropped
        });
        freed
    }
}

/// Whether `path` is that of `whole`, or of something inside of it.
fn stands_in(path: &str, whole: &str) -> bool {
    path.strip_prefix(whole)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['#', '[', '/']))
}
