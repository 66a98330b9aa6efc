//! Random histories, told to the SQLite store and to the one in memory: every answer and everything that can be read must be
//! the same. `PROPTEST_CASES` sets how many histories are tried, `MILEPOST_SEED` tries those of an earlier run again.

#![expect(clippy::disallowed_macros, reason = "a test prints its seed")]
#![expect(clippy::unwrap_used, reason = "a test")]

mod store;

use crate::store::Now as _;
use std::fmt::Debug;
use std::hash::{BuildHasher as _, RandomState};
use std::str::FromStr;
use std::task::Poll;

use milepost_core::effect::{
    Artifact, Effect, GroupChange, KvChange, Memo, ProcessGroup, TapePart,
};
use milepost_core::ids::{Digest, Epoch, RunId};
use milepost_core::labels::Labels;
use milepost_core::state::Status;
use milepost_store::memory::MemoryStore;
use milepost_store::{Cursor, Expect, Family, Filter, Note, RunRow, StopKind, Store, Write};
use milepost_store_sqlite::{Durability, SqliteStore};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

use store::{ALL, Talk as _, With, at, clock, create, id, poll_once, request, signal, wait};

const RUNS: [&str; 4] = ["a", "ab", "b_1", "B"];
const PARTS: [&str; 4] = ["p", "q", "p/1", "now"];
const BLOBS: [&[u8]; 3] = [b"", b"one", b"two"];
const BUCKETS: [&str; 2] = ["b", "B"];
const KEYS: [&str; 3] = ["k", "k%", "ü"];
const PATHS: [&str; 5] = ["fix", "fix#1/test", "fix#12/test", "fixed", "fix[3]"];
const TOKENS: [&str; 2] = ["t", "T"];
const SIGNALS: [&str; 3] = ["go", "Go", "it's \"ü\""];

/// One thing done to both stores. Indexes choose from the constants above.
#[derive(Debug, Clone)]
enum Op {
    Write(Box<Change>),
    /// Several writes on their way at once: SQLite may join them into one transaction.
    Together(Vec<Change>),
    Stop {
        run: usize,
        kind: StopKind,
        seconds: u64,
    },
    Withdraw {
        run: usize,
    },
    Signal {
        run: usize,
        name: usize,
        seconds: u64,
        token: Option<usize>,
    },
    Detach {
        run: usize,
        epoch_off: i64,
        seconds: u64,
    },
    Delete {
        run: usize,
        seq_off: i64,
    },
    Renew {
        run: usize,
        epoch_off: i64,
        seconds: u64,
    },
    List {
        statuses: Vec<Status>,
        workflow: Option<bool>,
        limit: usize,
        after: Option<(usize, u64)>,
        family: Option<Option<usize>>,
    },
    Prefix {
        prefix: &'static str,
        limit: usize,
    },
    Page {
        run: usize,
        after: u64,
        limit: usize,
    },
    Attention {
        seconds: u64,
        limit: usize,
    },
    Old {
        seconds: u64,
        statuses: Vec<Status>,
        limit: usize,
    },
    /// An attempt in flight brings something about.
    Note {
        run: usize,
        epoch_off: i64,
        noted: Noted,
    },
    /// A person changes a key of a bucket.
    Kv(KvOp),
    /// Ends the store and opens the file again.
    Reopen,
}

/// What an attempt brings about; whatever is there, at once.
#[derive(Debug, Clone)]
struct Noted {
    started: u64,
    path: usize,
    tape: Option<(u64, u8, Option<usize>)>,
    memo: Option<(usize, u8)>,
    kv: Option<KvOp>,
    artifact: Option<(usize, u64)>,
    group: Option<(bool, u32)>,
}

/// A change of a key, over a revision that is so far off the present one.
#[derive(Debug, Clone)]
struct KvOp {
    bucket: usize,
    key: usize,
    off: i64,
    value: Option<u8>,
}

#[derive(Debug, Clone)]
struct Change {
    run: usize,
    /// Create, or how far the expected place is off the present one.
    expect: Option<(i64, i64)>,
    claim: Option<u64>,
    status: Status,
    seconds: u64,
    workflow: bool,
    stop: Option<u64>,
    recoveries: u32,
    resumes: u32,
    provider: Option<u8>,
    awaits: Vec<usize>,
    entries: Vec<i64>,
    parts: Vec<(usize, Option<u8>)>,
    logs: Vec<u8>,
    blobs: Vec<usize>,
    named: Vec<usize>,
    /// Which of the waiting signals it takes, and whether also one that is not there.
    consumed: Vec<usize>,
    stray: bool,
    /// Which run has started it.
    parent: Option<usize>,
    children: Vec<Born>,
    /// Signals for itself or others: the run, the name.
    tells: Vec<(usize, usize)>,
    /// Parts of tapes: the event that started the attempt, the first entry, the body.
    tapes: Vec<(u64, u64, u8)>,
    /// Executions whose work is done anew.
    renewed: Vec<usize>,
    /// Artifacts that the run uses from then on: the path, the name, the size.
    artifacts: Vec<(usize, usize, u64)>,
}

/// A run that comes into being with the write of another one.
#[derive(Debug, Clone)]
struct Born {
    run: usize,
    parent: usize,
    entries: u64,
    part: Option<u8>,
    blob: Option<usize>,
    named: Option<usize>,
    artifact: Option<(usize, usize, u64)>,
    /// Not a new one, which is refused.
    stale: bool,
}

fn born() -> impl Strategy<Value = Born> {
    let runs = || 0..RUNS.len();
    let blobs = || option::weighted(0.3, 0..BLOBS.len());
    let stale = prop::bool::weighted(0.05);
    let head = (runs(), runs(), 0..3_u64, option::of(any::<u8>()));
    let artifact = option::weighted(0.3, used());
    (head, blobs(), blobs(), artifact, stale).prop_map(
        |((run, parent, entries, part), blob, named, artifact, stale)| Born {
            run,
            parent,
            entries,
            part,
            blob,
            named,
            artifact,
            stale,
        },
    )
}

fn used() -> impl Strategy<Value = (usize, usize, u64)> {
    (0..PATHS.len(), 0..KEYS.len(), 0..3_u64)
}

fn kv_op() -> impl Strategy<Value = KvOp> {
    let value = option::weighted(0.8, any::<u8>());
    (0..BUCKETS.len(), 0..KEYS.len(), mostly_zero(), value).prop_map(|(bucket, key, off, value)| {
        KvOp {
            bucket,
            key,
            off,
            value,
        }
    })
}

fn noted() -> impl Strategy<Value = Noted> {
    let blob = option::weighted(0.3, 0..BLOBS.len());
    (
        0..3_u64,
        0..PATHS.len(),
        option::of((0..3_u64, any::<u8>(), blob)),
        option::of((0..KEYS.len(), 0..3_u8)),
        option::of(kv_op()),
        option::weighted(0.3, (0..KEYS.len(), 0..3_u64)),
        option::weighted(0.3, (any::<bool>(), 0..3_u32)),
    )
        .prop_map(|(started, path, tape, memo, kv, artifact, group)| Noted {
            started,
            path,
            tape,
            memo,
            kv,
            artifact,
            group,
        })
}

fn mostly_zero() -> impl Strategy<Value = i64> {
    prop_oneof![9 => Just(0), 1 => -1..=2_i64]
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        3 => Just(Status::Running),
        2 => prop::sample::select(Status::ALL.to_vec()),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let place = prop_oneof![
        1 => Just(None),
        4 => (mostly_zero(), mostly_zero()).prop_map(Some),
    ];
    let head = (
        status(),
        0..20_u64,
        any::<bool>(),
        option::weighted(0.2, 0..20_u64),
        (0..3_u32, 0..3_u32, option::weighted(0.1, any::<u8>())),
        prop_oneof![3 => Just(Vec::new()), 1 => vec(0..SIGNALS.len(), 1..3)],
    );
    (
        (0..RUNS.len(), place, option::weighted(0.3, 0..99_u64)),
        head,
        vec(mostly_zero(), 0..3),
        vec((0..PARTS.len(), option::weighted(0.7, any::<u8>())), 0..4),
        vec(any::<u8>(), 0..3),
        (vec(0..BLOBS.len(), 0..2), vec(0..BLOBS.len(), 0..2)),
        (vec(0..3_usize, 0..2), prop::bool::weighted(0.03)),
        (
            option::weighted(0.2, 0..RUNS.len()),
            prop_oneof![3 => Just(Vec::new()), 1 => vec(born(), 1..3)],
            prop_oneof![3 => Just(Vec::new()), 1 => vec((0..RUNS.len(), 0..SIGNALS.len()), 1..3)],
            prop_oneof![3 => Just(Vec::new()), 1 => vec((0..3_u64, 3..9_u64, any::<u8>()), 1..3)],
            prop_oneof![5 => Just(Vec::new()), 1 => vec(0..PATHS.len(), 1..3)],
            prop_oneof![3 => Just(Vec::new()), 1 => vec(used(), 1..3)],
        ),
    )
        .prop_map(
            |(
                (run, expect, claim),
                head,
                entries,
                parts,
                logs,
                (blobs, named),
                (consumed, stray),
                (parent, children, tells, tapes, renewed, artifacts),
            )| {
                let (status, seconds, workflow, stop, counts, awaits) = head;
                let (recoveries, resumes, provider) = counts;
                Change {
                    run,
                    expect,
                    claim,
                    status,
                    seconds,
                    workflow,
                    stop,
                    recoveries,
                    resumes,
                    provider,
                    awaits,
                    entries,
                    parts,
                    logs,
                    blobs,
                    named,
                    consumed,
                    stray,
                    parent,
                    children,
                    tells,
                    tapes,
                    renewed,
                    artifacts,
                }
            },
        )
}

fn run_of() -> impl Strategy<Value = usize> {
    0..RUNS.len()
}

fn op() -> impl Strategy<Value = Op> {
    let run = 0..RUNS.len();
    prop_oneof![
        12 => change().prop_map(|change| Op::Write(Box::new(change))),
        2 => vec(change(), 2..6).prop_map(Op::Together),
        3 => (run.clone(), prop::sample::select(StopKind::ALL.to_vec()), 0..20_u64)
            .prop_map(|(run, kind, seconds)| Op::Stop { run, kind, seconds }),
        1 => run.clone().prop_map(|run| Op::Withdraw { run }),
        4 => (run.clone(), 0..SIGNALS.len(), 0..20_u64, option::of(0..TOKENS.len()))
            .prop_map(|(run, name, seconds, token)| Op::Signal { run, name, seconds, token }),
        2 => (run.clone(), mostly_zero(), 0..120_u64)
            .prop_map(|(run, epoch_off, seconds)| Op::Detach { run, epoch_off, seconds }),
        2 => (run.clone(), mostly_zero()).prop_map(|(run, seq_off)| Op::Delete { run, seq_off }),
        2 => (run.clone(), mostly_zero(), 0..99_u64)
            .prop_map(|(run, epoch_off, seconds)| Op::Renew { run, epoch_off, seconds }),
        2 => (vec(status(), 0..3), option::of(any::<bool>()), 0..5_usize, option::of((0..RUNS.len(), 0..20_u64)), option::of(option::weighted(0.7, 0..RUNS.len())))
            .prop_map(|(statuses, workflow, limit, after, family)| Op::List { statuses, workflow, limit, after, family }),
        1 => (prop::sample::select(vec!["", "a", "b_", "%", "_"]), 0..4_usize)
            .prop_map(|(prefix, limit)| Op::Prefix { prefix, limit }),
        1 => (run, 0..4_u64, 0..4_usize)
            .prop_map(|(run, after, limit)| Op::Page { run, after, limit }),
        2 => (0..25_u64, 0..5_usize).prop_map(|(seconds, limit)| Op::Attention { seconds, limit }),
        1 => (0..25_u64, vec(status(), 0..4), 0..5_usize)
            .prop_map(|(seconds, statuses, limit)| Op::Old { seconds, statuses, limit }),
        8 => (run_of(), mostly_zero(), noted())
            .prop_map(|(run, epoch_off, noted)| Op::Note { run, epoch_off, noted }),
        2 => kv_op().prop_map(Op::Kv),
        1 => Just(Op::Reopen),
    ]
}

/// A write at the place where the run stands now, or beside it.
fn resolve(store: &dyn Store, change: &Change) -> Write {
    let run = RUNS[change.run];
    let row = store.row(&id(run)).now().unwrap();
    let (seq, epoch) = row.map_or((0, 0), |row| (row.seq, row.epoch.0));
    let mut write = create(run)
        .status(change.status)
        .at(change.seconds)
        .workflow(if change.workflow { "x" } else { "y" });
    let mut next = 0;
    if let Some((seq_off, epoch_off)) = change.expect {
        let seq = seq.saturating_add_signed(seq_off);
        let epoch = Epoch(epoch.saturating_add_signed(epoch_off));
        write.expect = Expect::At { seq, epoch };
        next = seq;
    }
    if let Some(lease) = change.claim {
        write = write.claim(&lease.to_string(), lease);
    }
    let label = format!("n={}", change.recoveries % 3);
    let labels =
        Labels::new((!change.recoveries.is_multiple_of(3)).then(|| label.parse().unwrap()));
    write.head.labels = labels.unwrap();
    write.head.moves_by_itself = change.status == Status::Paused && change.stop.is_some();
    write.head.cancelling = change.resumes % 3 == 1;
    write.head.stop_code = change.stop.map(|n| format!("code {n}"));
    write.head.due_at = change.stop.map(at);
    write.head.recoveries = change.recoveries;
    write.head.auto_resumes = change.resumes;
    write.head.provider = change.provider.map(|n| n.to_string());
    write = write.awaits(
        &change
            .awaits
            .iter()
            .map(|n| SIGNALS[*n])
            .collect::<Vec<_>>(),
    );
    let waiting = store.inbox(&id(run), ALL).now().unwrap();
    let taken = change.consumed.iter().filter_map(|n| waiting.get(*n));
    let taken = taken
        .map(|signal| signal.number)
        .chain(change.stray.then_some(1));
    write = write.consume(&taken.collect::<Vec<_>>());
    for off in &change.entries {
        next = (next + 1).saturating_add_signed(*off);
        write = write.entry(next);
    }
    for (part, body) in &change.parts {
        write = match body {
            Some(body) => write.part(PARTS[*part], &body.to_string()),
            None => write.without(PARTS[*part]),
        };
    }
    for log in &change.logs {
        write = write.log(&log.to_string());
    }
    for blob in &change.blobs {
        write = write.blob(BLOBS[*blob]);
    }
    for blob in &change.named {
        write = write.naming(BLOBS[*blob]);
    }
    if let Some(parent) = change.parent {
        write = write.child_of(RUNS[parent]);
    }
    for born in &change.children {
        write = write.bears(child(born, change.seconds));
    }
    // What is written is not there yet, as with a driver, which knows what it has saved.
    let fresh = |started: u64, first: u64| {
        let there = store.tape(&id(run), started, first).now().unwrap();
        there.iter().all(|part| part.first != first)
    };
    for (started, first, byte) in &change.tapes {
        let known = write
            .tapes
            .iter()
            .any(|(s, part)| (s, part.first) == (started, *first));
        if fresh(*started, *first) && !known {
            let blobs = Vec::new();
            let body = format!("[{byte}]");
            let first = *first;
            write
                .tapes
                .push((*started, TapePart { first, body, blobs }));
        }
    }
    write.renewed = change
        .renewed
        .iter()
        .map(|path| PATHS[*path].to_owned())
        .collect();
    for used in &change.artifacts {
        write.artifacts.push(artifact(*used));
    }
    for (run, name) in &change.tells {
        write = write.tells(RUNS[*run], signal(SIGNALS[*name], "1", change.seconds));
    }
    write
}

fn child(born: &Born, seconds: u64) -> Write {
    let mut child = create(RUNS[born.run])
        .child_of(RUNS[born.parent])
        .at(seconds);
    for entry in 1..=born.entries {
        child = child.entry(entry);
    }
    if let Some(body) = born.part {
        child = child.part(PARTS[0], &body.to_string());
    }
    if let Some(blob) = born.blob {
        child = child.blob(BLOBS[blob]);
    }
    if let Some(blob) = born.named {
        child = child.naming(BLOBS[blob]);
    }
    child.artifacts.extend(born.artifact.map(artifact));
    if born.stale {
        child.expect = Expect::At {
            seq: 0,
            epoch: Epoch(0),
        };
    }
    child
}

/// Under a path, with bytes that nobody looks at here.
fn artifact((path, name, size): (usize, usize, u64)) -> (String, Artifact) {
    let artifact = Artifact {
        digest: Digest::of(&size.to_le_bytes()),
        name: KEYS[name].to_owned(),
        size,
        media_type: "text/plain".to_owned(),
    };
    (PATHS[path].to_owned(), artifact)
}

fn kv_change(store: &dyn Store, op: &KvOp) -> KvChange {
    let (bucket, key) = (BUCKETS[op.bucket], KEYS[op.key]);
    let present = store.kv(bucket, key).now().unwrap();
    let revision = present.map_or(0, |item| item.revision);
    KvChange {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        over: revision.saturating_add_signed(op.off),
        value: op.value.map(|byte| vec![byte; usize::from(byte)].into()),
    }
}

fn effect(store: &dyn Store, noted: &Noted) -> Effect {
    let blob = |blob: usize| (Digest::of(BLOBS[blob]), BLOBS[blob].into());
    let group = |number| ProcessGroup {
        host: "h".to_owned(),
        boot: "b".to_owned(),
        group: number,
        started: 1,
    };
    Effect {
        tape: noted.tape.map(|(first, byte, of)| TapePart {
            first,
            body: format!("[{byte}]"),
            blobs: of.map(blob).into_iter().collect(),
        }),
        memo: noted.memo.map(|(key, value)| Memo {
            key: KEYS[key].to_owned(),
            value: value.to_string(),
        }),
        kv: noted.kv.as_ref().map(|op| kv_change(store, op)),
        artifact: noted.artifact.map(|(name, size)| Artifact {
            digest: Digest::of(&size.to_le_bytes()),
            name: KEYS[name].to_owned(),
            size,
            media_type: "text/plain".to_owned(),
        }),
        processes: noted.group.map(|(began, number)| match began {
            true => GroupChange::Began(group(number)),
            false => GroupChange::Ended(group(number)),
        }),
    }
}

fn family(of: Option<Option<usize>>) -> Family {
    match of {
        None => Family::All,
        Some(None) => Family::Roots,
        Some(Some(run)) => Family::ChildrenOf(id(RUNS[run])),
    }
}

/// What a store answers, as a text to compare.
fn answer(store: &dyn Store, op: &Op, writes: &[Write]) -> String {
    match op {
        Op::Write(_) | Op::Together(_) => text(wait(all_at_once(store, writes))),
        Op::Stop { run, kind, seconds } => text(wait(
            store.request_stop(&id(RUNS[*run]), request(*kind, *seconds)),
        )),
        Op::Withdraw { run } => text(wait(store.withdraw_pause(&id(RUNS[*run])))),
        Op::Signal {
            run,
            name,
            seconds,
            token,
        } => {
            // With few data, so that a token comes again with the same and with others.
            let mut sent = signal(SIGNALS[*name], &(seconds % 2).to_string(), *seconds);
            sent.token = token.map(|n| TOKENS[n].to_owned());
            text(wait(store.send_signal(&id(RUNS[*run]), sent)))
        }
        Op::Detach {
            run,
            epoch_off,
            seconds,
        } => {
            let epoch = present(store, &id(RUNS[*run]), *epoch_off, |row| row.epoch.0);
            text(store.detach(RUNS[*run], epoch, *seconds))
        }
        Op::Delete { run, seq_off } => {
            let run = id(RUNS[*run]);
            let seq = present(store, &run, *seq_off, |row| row.seq);
            text(wait(store.delete(&run, seq)))
        }
        Op::Renew {
            run,
            epoch_off,
            seconds,
        } => {
            let epoch = present(store, &id(RUNS[*run]), *epoch_off, |row| row.epoch.0);
            text(store.renew(RUNS[*run], epoch, *seconds))
        }
        Op::List {
            statuses,
            workflow,
            limit,
            after,
            family: of,
        } => {
            let time = |matters: bool| matters.then(|| at(*limit as u64));
            let filter = Filter {
                family: family(*of),
                statuses: statuses.clone(),
                workflow: workflow.map(|x| if x { "x" } else { "y" }.to_owned()),
                labels: match limit {
                    3 => vec!["n=1".parse().unwrap()],
                    4 => vec!["n".parse().unwrap()],
                    _ => Vec::new(),
                },
                updated_after: time(*limit > 0),
                due_before: time(*limit % 2 == 1),
                after: after.map(|(run, seconds)| Cursor {
                    created_at: i64::try_from(at(seconds).as_nanos()).unwrap(),
                    id: RUNS[run].into(),
                }),
                limit: *limit,
            };
            text((store.list(&filter).now(), store.count(&filter).now()))
        }
        Op::Prefix { prefix, limit } => text(store.ids_with_prefix(prefix, *limit).now()),
        Op::Page { run, after, limit } => text((
            store.journal(&id(RUNS[*run]), *after, *limit).now(),
            store.logs(&id(RUNS[*run]), *after, *limit).now(),
        )),
        Op::Attention { seconds, limit } => text(store.find(*seconds, (*limit).max(1))),
        Op::Old {
            seconds,
            statuses,
            limit,
        } => text(store.written_before(at(*seconds), statuses, *limit).now()),
        Op::Note {
            run,
            epoch_off,
            noted,
        } => {
            let run = id(RUNS[*run]);
            let epoch = present(store, &run, *epoch_off, |row| row.epoch.0);
            let effect = effect(store, noted);
            text(wait(store.note(Note {
                run,
                epoch: Epoch(epoch),
                started: noted.started,
                path: PATHS[noted.path].to_owned(),
                effect,
            })))
        }
        Op::Kv(op) => text(wait(store.kv_change(kv_change(store, op)))),
        Op::Reopen => String::new(),
    }
}

/// A number of the run as it stands now, or one beside it.
fn present(store: &dyn Store, run: &RunId, off: i64, number: impl Fn(RunRow) -> u64) -> u64 {
    let row = store.row(run).now().unwrap();
    row.map_or(0, number).saturating_add_signed(off)
}

/// Starts all writes, in order, before the first is waited for.
async fn all_at_once(store: &dyn Store, writes: &[Write]) -> Vec<String> {
    let mut started = Vec::new();
    for write in writes {
        let mut future = store.write(write.clone());
        let early = poll_once(&mut future);
        started.push((future, early));
    }
    let mut answers = Vec::new();
    for (future, early) in started {
        answers.push(text(match early {
            Poll::Ready(answer) => answer,
            Poll::Pending => future.await,
        }));
    }
    answers
}

/// Everything that can be read.
fn snapshot(store: &dyn Store) -> String {
    let runs = RUNS.map(|run| {
        let run = id(run);
        (
            store.row(&run).now(),
            store.checkpoint(&run).now(),
            store.journal(&run, 0, ALL).now(),
            store.logs(&run, 0, ALL).now(),
            store.inbox(&run, ALL).now(),
            TOKENS.map(|token| store.known_token(&run, token).now()),
            noted_of(store, &run),
        )
    });
    let blobs = BLOBS.map(|bytes| store.blob(&Digest::of(bytes)).now());
    let families = [None, Some(0), Some(1), Some(2), Some(3)].map(|run| {
        let of = Filter {
            family: family(Some(run)),
            ..Filter::default()
        };
        store.list(&of).now()
    });
    let health = store.health().now().unwrap();
    text((
        runs,
        blobs,
        store.list(&Filter::default()).now(),
        families,
        [0, 10, 99].map(|now| store.find(now, ALL)),
        [0, 10, 99].map(|before| store.written_before(at(before), &Status::ALL, ALL).now()),
        (health.problems, health.runs),
        BUCKETS.map(|bucket| {
            let keys = store.kv_keys(bucket, "", None, ALL).now();
            (keys, KEYS.map(|key| store.kv(bucket, key).now()))
        }),
        store.buckets(None, ALL).now(),
    ))
}

/// What attempts of a run have left.
fn noted_of(store: &dyn Store, run: &RunId) -> impl Debug + use<> {
    (
        [0, 1, 2].map(|started| store.tape(run, started, 0).now()),
        PATHS.map(|path| KEYS.map(|key| store.memo(run, path, key).now())),
        store.artifacts(run, 0, ALL).now(),
        store.groups(run).now(),
        store.holdings(run).now(),
    )
}

fn text(value: impl Debug) -> String {
    format!("{value:#?}")
}

/// Fails with the first line that differs and some before it: the whole is long.
fn same(sqlite: &str, memory: &str) -> Result<(), TestCaseError> {
    let lines: Vec<_> = sqlite.lines().zip(memory.lines()).collect();
    match lines.iter().position(|(sqlite, memory)| sqlite != memory) {
        None => {
            prop_assert_eq!(sqlite.len(), memory.len());
            Ok(())
        }
        Some(at) => {
            let before: Vec<_> = lines[at.saturating_sub(40)..at]
                .iter()
                .map(|l| l.0)
                .collect();
            let (sqlite, memory) = lines[at];
            let before = before.join("\n");
            let reason = format!("{before}\nsqlite: {sqlite}\nmemory: {memory}");
            Err(TestCaseError::fail(reason))
        }
    }
}

fn setting<T: FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn sqlite_and_memory_answer_alike() {
    let cases = setting("PROPTEST_CASES").unwrap_or(300);
    let seed = setting("MILEPOST_SEED").unwrap_or_else(|| RandomState::new().hash_one(()));
    println!("{cases} histories, MILEPOST_SEED={seed}");
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    let history = vec(op(), 1..60);
    TestRunner::new(config)
        .run(&history, |ops| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store.db");
            let open = || {
                SqliteStore::open(&path, Durability::ProcessCrash)
                    .unwrap()
                    .with_clock(clock())
            };
            let memory = MemoryStore::with_clock(clock());
            let mut sqlite = open();
            // Of the artifacts that are named, one is nowhere.
            for store in [&sqlite as &dyn Store, &memory] {
                for size in 0..2_u64 {
                    let bytes = size.to_le_bytes();
                    let mut sink = wait(store.create_artifact()).unwrap();
                    wait(sink.write(&bytes)).unwrap();
                    wait(sink.finish(Digest::of(&bytes))).unwrap();
                }
            }
            for op in &ops {
                let changes = match op {
                    Op::Write(change) => std::slice::from_ref(&**change),
                    Op::Together(changes) => changes,
                    Op::Reopen => {
                        drop(sqlite);
                        sqlite = open();
                        &[]
                    }
                    _ => &[],
                };
                let writes: Vec<_> = changes.iter().map(|c| resolve(&memory, c)).collect();
                same(&answer(&sqlite, op, &writes), &answer(&memory, op, &writes))?;
            }
            same(&snapshot(&sqlite), &snapshot(&memory))?;
            Ok(())
        })
        .unwrap();
}
