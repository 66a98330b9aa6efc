//! The people and the machines around the store: workers that die and come back, an operator who submits, signals, decides,
//! cancels, pauses, resumes and forks at random; at last the storm is over and everything has to come to an end.

use milepost::store::prelude::*;
use milepost_tests::now::Now as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use milepost::Engine;
use milepost::engine::{
    ApprovalDecision, Control, EngineError, FamilyStopped, ForkOptions, ResumeOptions,
    StartOptions, StopAnswer, WorkOptions,
};
use milepost::record;
use milepost::store::RunRow;
use milepost_core::definition::input::GivenInputs;
use milepost_core::ids::{Path, RunId};
use milepost_core::limits::{JSON_DEPTH, NOTE_BYTES};
use milepost_core::state::{RunState, Status};
use milepost_core::stop::StopCode;
use milepost_core::wait::Verdict;
use milepost_tests::values::value;
use serde_json::json;

use crate::process::Process;
use crate::workload::files;
use crate::world::World;

const WORKERS: usize = 3;
const RUNS: usize = 6;
/// Virtual seconds of the storm.
const STORM: u64 = 240;
/// Virtual seconds after which everything has to be over.
const CALM: u64 = 3_600;

pub(crate) async fn play(world: &Arc<World>) {
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..WORKERS {
        workers.spawn(keep_working(Arc::clone(world)));
    }
    let files = files(world.folder.path());
    for n in 0..RUNS {
        rest(world, 4_000).await;
        submit(world, &files[workflow(world, n, files.len())], n).await;
    }
    while world.began.elapsed() < Duration::from_secs(STORM) {
        rest(world, 4_000).await;
        meddle(world).await;
    }
    world.stormy.store(false, Ordering::Relaxed);
    world.say("calm".to_owned());
    let until = world.began.elapsed() + Duration::from_secs(CALM);
    while !settle(world).await {
        assert!(
            world.began.elapsed() < until,
            "runs do not come to an end: {:#?}",
            open(world)
        );
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    workers.abort_all();
}

/// Which workflow the run of that number follows: another one for each seed, so that all of them meet.
fn workflow(world: &World, n: usize, count: usize) -> usize {
    let only = crate::variable("MILEPOST_WORKFLOW");
    let first = only.map_or(world.seed, |only| only);
    let n = if only.is_some() { 0 } else { n };
    usize::try_from(first % count as u64).map_or(0, |first| (first + n) % count)
}

async fn rest(world: &World, millis: u64) {
    tokio::time::sleep(Duration::from_millis(world.rng.below(millis) + 1)).await;
}

/// A machine that starts its worker again whenever it dies.
async fn keep_working(world: Arc<World>) {
    loop {
        let process = world.process();
        let work = tokio::spawn(work(Arc::clone(&process)));
        process.died.notified().await;
        work.abort();
        rest(&world, 15_000).await;
    }
}

async fn work(process: Arc<Process>) {
    let options = WorkOptions {
        max_runs: 3,
        until_idle: false,
        control: Control::default(),
    };
    process.engine().work(options).await;
}

async fn submit(world: &Arc<World>, file: &std::path::Path, n: usize) {
    let run = RunId::new(&format!("run-{n}")).unwrap();
    loop {
        let engine = world.process().engine();
        let workflow = engine.open(file).unwrap();
        let options = StartOptions {
            id: Some(run.clone()),
            control: Control::default(),
            ..StartOptions::default()
        };
        let submitted = patiently(engine.submit(workflow, Default::default(), options)).await;
        if let Some(Ok(_)) = submitted {
            world.promises().starts.insert(run);
            return;
        }
        rest(world, 1_000).await;
    }
}

/// A command of a process that may die under it.
async fn patiently<T>(command: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(Duration::from_secs(60), command)
        .await
        .ok()
}

/// One deed of the operator, or of fate.
async fn meddle(world: &Arc<World>) {
    let rng = &world.rng;
    let run = some_run(world);
    let process = world.process();
    let engine = process.engine();
    let deed = rng.below(100);
    match deed {
        0..22 => {
            let number = rng.next() % 1_000_000;
            let data = json!({ "n": number, "value": value(number, JSON_DEPTH - 1) });
            let sent = patiently(engine.signal(&run, "go", &data)).await;
            world.say(format!("signal {run}: {}", short(&sent)));
            if let Some(Ok(_)) = sent {
                world.promises().signals.push((run, number));
            }
        }
        22..38 => {
            let decision = ApprovalDecision {
                path: some_approval(world, &run),
                verdict: if rng.once_in(2) {
                    Verdict::Rejected
                } else {
                    Verdict::Approved
                },
                comment: deed.is_multiple_of(2).then(|| "é".repeat(NOTE_BYTES / 2)),
                by: None,
            };
            let decided = patiently(engine.decide_approval(&run, &decision)).await;
            world.say(format!("{} {run}: {}", decision.verdict, short(&decided)));
        }
        38..41 => {
            let at_once = deed == 38;
            let ended = patiently(engine.end_family(&run, at_once, "the operator")).await;
            world.say(format!("cancel {run}: {}", short(&ended)));
            if let Some(Ok(ended)) = ended {
                promise_the_end(world, run, ended);
            }
        }
        41..48 => {
            let paused = patiently(engine.pause(&run, deed < 44, "the operator")).await;
            world.say(format!("pause {run}: {}", short(&paused)));
        }
        48..70 => {
            let options = ResumeOptions::default();
            let ended = match deed {
                48..62 => {
                    tokio::time::timeout(seconds(world, 20), engine.resume(&run, options)).await
                }
                _ => {
                    let from = (deed >= 67).then(|| some_path(world, &run)).flatten();
                    let retried = engine.retry(&run, from.as_ref(), options);
                    tokio::time::timeout(seconds(world, 20), retried).await
                }
            };
            world.say(format!("resume {run}: {}", short(&ended.ok())));
        }
        70..73 => {
            if let Some(path) = some_path(world, &run) {
                let path = path.to_string();
                let cancelled = patiently(engine.cancel_item(&run, &path, "the operator")).await;
                world.say(format!("cancel {path} of {run}: {}", short(&cancelled)));
            }
        }
        73..76 => fork(world, &engine, &run).await,
        76..80 => {
            // Sweeps that nobody waited for, twice: duplicate wake-ups change nothing.
            for _ in 0..2 {
                let swept = patiently(engine.sweep()).await;
                world.say(format!("sweep: {}", short(&swept)));
            }
        }
        80..88 => {
            if let Some(victim) = somebody(world) {
                victim.kill();
            }
        }
        88..94 => {
            if let Some(victim) = somebody(world) {
                victim.hang(Duration::from_secs(rng.below(60)));
            }
        }
        _ => {
            if let Some(victim) = somebody(world) {
                let seconds = i64::try_from(rng.below(200)).unwrap() - 100;
                victim.step_clock(seconds);
            }
        }
    }
    // The command is over, and its process with it.
    process.kill();
}

/// A new run begins with what another one has recorded, and is driven here for a while.
async fn fork(world: &World, engine: &Engine, run: &RunId) {
    let Some(path) = some_path(world, run) else {
        return;
    };
    let from = [path.segments()[0].step.clone()];
    let id = RunId::new(&format!("fork-{}", world.rng.below(1_000_000))).unwrap();
    let options = ForkOptions {
        id: Some(id.clone()),
        ..ForkOptions::default()
    };
    let inputs = GivenInputs::default();
    let forked = engine.fork(run, &from, &inputs, options);
    let forked = tokio::time::timeout(seconds(world, 20), forked).await.ok();
    world.say(format!(
        "fork {run} from {} as {id}: {}",
        from[0],
        short(&forked)
    ));
    if let Some(Ok(_)) = forked {
        world.promises().starts.insert(id);
    }
}

/// A run that was started, or one that another run has started.
fn some_run(world: &World) -> RunId {
    let runs = world.runs();
    let number = world.rng.below(RUNS as u64);
    let any = world.rng.next();
    match usize::try_from(any % (2 * runs.len() as u64 + 1)) {
        Ok(index) if index < runs.len() => runs[index].clone(),
        _ => RunId::new(&format!("run-{number}")).unwrap(),
    }
}

fn state(world: &World, run: &RunId) -> Option<RunState> {
    let recorded = record::load(world.store.as_ref(), run).now();
    recorded.ok().map(|recorded| recorded.state)
}

/// One of the approvals that a run asks at, if there are more of them.
fn some_approval(world: &World, run: &RunId) -> Option<String> {
    let state = state(world, run)?;
    let asks: Vec<_> = state
        .approvals()
        .map(|(path, _)| path.to_string())
        .collect();
    match asks.len() {
        0 | 1 => None,
        count => asks
            .get(usize::try_from(world.rng.below(count as u64)).unwrap())
            .cloned(),
    }
}

/// Something that a run has begun.
fn some_path(world: &World, run: &RunId) -> Option<Path> {
    let state = state(world, run)?;
    let paths: Vec<_> = state
        .executions()
        .iter()
        .map(|record| record.path().clone())
        .collect();
    match paths.len() {
        0 => None,
        count => paths
            .get(usize::try_from(world.rng.below(count as u64)).unwrap())
            .cloned(),
    }
}

/// Nothing of what was said to be over, or asked to end, begins anything any more.
fn promise_the_end(world: &World, run: RunId, ended: FamilyStopped) {
    let calls = world.calls().len();
    let mut promises = world.promises();
    let (own, ends) = match ended.answer {
        StopAnswer::Done(_) => (Some(run), None),
        StopAnswer::Asked => (None, Some(run)),
        StopAnswer::Already(_) | StopAnswer::Held | StopAnswer::Ending | StopAnswer::Finishing => {
            (None, None)
        }
    };
    for run in ended.children.into_iter().chain(own) {
        promises.over.insert(run.clone());
        promises.cancelled.entry(run).or_insert(calls);
    }
    for run in ended.asked.into_iter().chain(ends) {
        promises.cancelled.entry(run).or_insert(calls);
    }
}

fn seconds(world: &World, most: u64) -> Duration {
    Duration::from_secs(world.rng.below(most))
}

fn short<T: std::fmt::Debug, E: std::fmt::Debug>(answer: &Option<Result<T, E>>) -> String {
    let text = match answer {
        None => "no answer".to_owned(),
        Some(Ok(done)) => format!("{done:?}"),
        Some(Err(refused)) => format!("{refused:?}"),
    };
    text.chars().take(60).collect()
}

/// A process that lives, most likely a worker.
fn somebody(world: &World) -> Option<Arc<Process>> {
    let last = u32::try_from(world.rng.below(12)).unwrap();
    (0..=last).rev().find_map(|pid| world.living(pid))
}

/// Runs that are not over. A child that failed is its parent's business, if that is not over either.
fn open(world: &World) -> Vec<(RunId, Status, Option<String>)> {
    let rows: Vec<_> = world
        .runs()
        .into_iter()
        .map(|run| world.store.row(&run).now().unwrap().unwrap())
        .collect();
    let of_a_parent = |row: &RunRow| row.status == Status::Failed && row.parent.is_some();
    let open = rows.into_iter().filter(|row| !row.status.is_terminal());
    // What was compensated is over.
    let undone = |row: &RunRow| {
        let state = state(world, &row.id).unwrap();
        row.status == Status::Failed && state.executions().compensations().have_begun()
    };
    open.filter(|row| !of_a_parent(row) && !undone(row))
        .map(|row| (row.id, row.status, row.stop_code))
        .collect()
}

/// Does what a reasonable operator does for every run that needs one. Returns whether all are over.
async fn settle(world: &Arc<World>) -> bool {
    let open = open(world);
    for (run, status, _) in &open {
        let process = world.process();
        let engine = process.engine();
        let state = state(world, run).unwrap();
        let asks = state.approvals().next().map(|(path, _)| path.to_string());
        let done: Result<(), EngineError> = match status {
            Status::Paused if asks.is_some() => {
                let decision = ApprovalDecision {
                    path: asks,
                    verdict: Verdict::Approved,
                    comment: Some("at last".to_owned()),
                    by: None,
                };
                engine.decide_approval(run, &decision).await.map(drop)
            }
            Status::Paused if state.awaited().next().is_some() => {
                let (_, name) = state.awaited().next().unwrap();
                engine.signal(run, name, &json!(null)).await.map(drop)
            }
            Status::Paused
                if !state.is_held() && state.phase().stop_code().is_some_and(StopCode::is_wait) =>
            {
                Ok(())
            }
            // What was lost on the way to its cancellation goes on with that, and nothing of it is tried again.
            Status::Failed if !state.is_being_cancelled() => {
                let retried = engine.retry(run, None, ResumeOptions::default());
                retried.await.map(drop)
            }
            Status::Paused | Status::Failed => {
                let resumed = engine.resume(run, ResumeOptions::default());
                resumed.await.map(drop)
            }
            Status::Pending | Status::Running | Status::Completed | Status::Cancelled => Ok(()),
        };
        if let Err(error) = done {
            world.say(format!("settle {run}: {error}"));
        }
        process.kill();
    }
    open.is_empty()
}
