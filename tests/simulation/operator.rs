//! The people and the machines around the store: workers that die and come back, an operator who submits, signals, decides,
//! cancels, pauses and resumes at random; at last the storm is over and everything has to come to an end.

use milepost::store::prelude::*;
use milepost_tests::now::Now as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use milepost::engine::{
    ApprovalDecision, Control, EngineError, ResumeOptions, StartOptions, StopAnswer, WorkOptions,
};
use milepost::record;
use milepost_core::ids::RunId;
use milepost_core::limits::{JSON_DEPTH, NOTE_BYTES};
use milepost_core::state::Status;
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
        submit(world, &files[n % files.len()], n).await;
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
    let run = RunId::new(&format!("run-{}", rng.below(RUNS as u64))).unwrap();
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
                path: None,
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
            let ended = match deed {
                38 => patiently(engine.kill(&run, "the operator")).await,
                _ => patiently(engine.cancel(&run, "the operator")).await,
            };
            world.say(format!("cancel {run}: {}", short(&ended)));
            if let Some(Ok(StopAnswer::Asked | StopAnswer::Done(_))) = ended {
                if let Some(Ok(StopAnswer::Done(_))) = ended {
                    world.promises().over.insert(run.clone());
                }
                let calls = world.calls().len();
                world.promises().cancelled.entry(run).or_insert(calls);
            }
        }
        41..48 => {
            let paused = patiently(engine.pause(&run, deed < 44, "the operator")).await;
            world.say(format!("pause {run}: {}", short(&paused)));
        }
        48..70 => {
            let options = ResumeOptions::default();
            let ended = match deed {
                48..64 => {
                    tokio::time::timeout(seconds(world, 20), engine.resume(&run, options)).await
                }
                _ => {
                    tokio::time::timeout(seconds(world, 20), engine.retry(&run, None, options))
                        .await
                }
            };
            world.say(format!("resume {run}: {}", short(&ended.ok())));
        }
        70..80 => {
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

fn open(world: &World) -> Vec<(RunId, Status, Option<String>)> {
    let rows = world
        .runs()
        .into_iter()
        .map(|run| world.store.row(&run).now().unwrap().unwrap());
    rows.filter(|row| !row.status.is_terminal())
        .map(|row| (row.id, row.status, row.stop_code))
        .collect()
}

/// Does what a reasonable operator does for every run that needs one. Returns whether all are over.
async fn settle(world: &Arc<World>) -> bool {
    let open = open(world);
    for (run, status, _) in &open {
        let process = world.process();
        let engine = process.engine();
        let state = record::load(world.store.as_ref(), run).now().unwrap().state;
        let done: Result<(), EngineError> = match status {
            Status::Paused if state.approvals().next().is_some() => {
                let decision = ApprovalDecision {
                    path: None,
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
            Status::Paused => {
                let resumed = engine.resume(run, ResumeOptions::default());
                resumed.await.map(drop)
            }
            Status::Failed => {
                let retried = engine.retry(run, None, ResumeOptions::default());
                retried.await.map(drop)
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
