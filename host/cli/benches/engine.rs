//! What the engine costs over a bare baseline: isolated calls and SQLite commits of the same size, with no engine between.
//! Every figure is a ratio within this one run; the absolute ones are of this machine and this moment.
//!
//! Run with `cargo bench --bench engine`. `MILEPOST_BENCH_DIR` picks the disk.

#![expect(clippy::disallowed_macros, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark: whatever fails ends it")]

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod bare;
mod flow;
mod tape;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milepost::Engine;
use milepost::attempt::Callable;
use milepost::clock::SystemClock;
use milepost::core::ids::RunId;
use milepost::core::state::Status;
use milepost::engine::{Notice, Observer, ResumeOptions, StartOptions};
use milepost::store::prelude::*;
use milepost::wasm::{CodeCache, WasmEngine};

use bare::{Place, RUNS, STEPS, bare_table, bare_together, call, insert, quarter, sequence};

const ROUNDS: usize = 7;
const PAIRS: usize = 21;

fn main() {
    let place = Place::new();
    println!("store in {}", place.dir.display());
    let (bare, engine) = alone(&place);
    ratio(
        "one run, 100 steps: engine / bare, per step (at most 1.5)",
        engine,
        bare,
    );
    let engine_many = together(&place);
    println!(
        "  64 runs / one run (at least 3):          {:.1}",
        engine_many * engine
    );
    flow::graph(&place);
    flow::fan_outs(&place);
    tape::taped(&place);
    passes(&place);
}

/// Seconds per step of one run alone: bare and with the engine, in turns, the best round of each.
fn alone(place: &Place) -> (f64, f64) {
    let runtime = place.one_thread();
    let wasm = WasmEngine::new(
        Some(CodeCache::open(&place.dir.join("code"))),
        Arc::new(SystemClock),
    )
    .unwrap();
    let plugin = wasm.load(&place.component(), None).unwrap();
    let db = bare_table(&place.dir.join("bare.db"));
    let workflow = place.workflow(&sequence());
    let store = place.store("alone.db");
    let engine = Engine::builder(store.clone(), place.plugins.clone()).build();
    let (mut bare, mut with_engine) = (f64::MAX, f64::MAX);
    for round in 0..ROUNDS {
        let start = Instant::now();
        runtime.block_on(async {
            for _ in 0..STEPS {
                plugin.call(call("s")).await;
                insert(&db);
            }
        });
        bare = bare.min(start.elapsed().as_secs_f64() / STEPS as f64);

        let before = store.commits();
        let options = StartOptions {
            id: Some(RunId::new(&format!("alone-{round}")).unwrap()),
            ..StartOptions::default()
        };
        let start = Instant::now();
        let report = runtime
            .block_on(engine.run(workflow.clone(), BTreeMap::new(), options))
            .unwrap();
        with_engine = with_engine.min(start.elapsed().as_secs_f64() / STEPS as f64);
        assert_eq!(report.status, Status::Completed);
        if round == 0 {
            println!(
                "commits of a run of {STEPS} steps: {}",
                store.commits() - before
            );
        }
    }
    println!(
        "one step alone: bare {:.0} us, engine {:.0} us",
        bare * 1e6,
        with_engine * 1e6
    );
    (bare, with_engine)
}

/// Steps per second of 64 runs at once with the engine. Compared, in turns, with bare ones: calls on two threads, and one
/// writer thread that joins what waits. The ratio is that of neighbouring rounds, because what else the machine does changes
/// both by more than they differ.
fn together(place: &Place) -> f64 {
    let runtime = place.two_threads();
    let (mut bare, mut engine, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..PAIRS {
        bare.push(runtime.block_on(bare_together(place, round)));
        engine.push(runtime.block_on(many_runs(place)));
        ratios.push(engine[round] / bare[round]);
    }
    let engine = quarter(&mut engine, 2);
    println!(
        "64 runs, medians of {PAIRS} rounds each: bare {:.0}, engine {engine:.0} steps/s",
        quarter(&mut bare, 2)
    );
    println!(
        "  engine / bare (at least 0.5):            {:.2} (half of the rounds from {:.2} to {:.2})",
        quarter(&mut ratios, 2),
        quarter(&mut ratios, 1),
        quarter(&mut ratios, 3)
    );
    engine
}

async fn many_runs(place: &Place) -> f64 {
    let workflow = place.workflow(&sequence());
    let name = format!("together-{:?}.db", Instant::now());
    let store = place.store(&name.replace([' ', ':', '{', '}'], ""));
    let engine = Engine::builder(store, place.plugins.clone()).build();
    let start = Instant::now();
    let runs: Vec<_> = (0..RUNS)
        .map(|_| {
            let (engine, workflow) = (engine.clone(), workflow.clone());
            tokio::spawn(async move {
                let report = engine
                    .run(workflow, BTreeMap::new(), StartOptions::default())
                    .await
                    .unwrap();
                assert_eq!(report.status, Status::Completed);
            })
        })
        .collect();
    for run in runs {
        run.await.unwrap();
    }
    (RUNS * STEPS) as f64 / start.elapsed().as_secs_f64()
}

/// Notes when every pass of a loop began.
#[derive(Default)]
struct Passes(std::sync::Mutex<Vec<Instant>>);

impl Observer for Passes {
    fn notice(&self, _: &RunId, notice: Notice<'_>) {
        if let Notice::Recorded(entry) = notice
            && entry.event.name() == "loop_iteration_started"
        {
            self.0.lock().unwrap().push(Instant::now());
        }
    }
}

/// A long loop: cost per pass at both ends, cost of a resume and size of the checkpoint by the passes behind it.
fn passes(place: &Place) {
    let runtime = place.one_thread();
    let mut figures = Vec::new();
    for passes in [10_u32, 10_000] {
        let steps = format!(
            "[[step]]\nid = \"l\"\nloop = {{ until = \"loop.iteration == {passes}\", max_iterations = 10000 }}\n\
             [[step]]\nid = \"m\"\nin = \"l\"\nuse = \"text/echo\"\nwith = {{ n = \"${{ loop.iteration }}\" }}\n\
             [[step]]\nid = \"stop\"\nuse = \"text/unknown\"\nif = \"true\"\n"
        );
        let text = steps.replace("text/unknown", "flaky/fail_always");
        let text = format!(
            "[plugins.flaky]\nsource = {:?}\n{text}",
            place.repository.join("plugins/prebuilt/flaky.wasm")
        );
        let workflow = place.workflow(&text);
        std::fs::write(
            place.dir.join("bench.toml"),
            &*workflow.definition.source.text,
        )
        .unwrap();
        let store = place.store(&format!("passes-{passes}.db"));
        let observer = Arc::new(Passes::default());
        let engine = Engine::builder(store.clone(), place.plugins.clone())
            .observer(observer.clone())
            .build();
        let report = runtime
            .block_on(engine.run(workflow, BTreeMap::new(), StartOptions::default()))
            .unwrap();
        assert_ne!(
            report.status,
            Status::Completed,
            "the last step stops the run"
        );
        let times = observer.0.lock().unwrap().clone();
        let resume = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                runtime
                    .block_on(engine.resume(&report.id, ResumeOptions::default()))
                    .unwrap();
                start.elapsed()
            })
            .min()
            .unwrap();
        let checkpoint = runtime.block_on(store.checkpoint(&report.id));
        let parts = checkpoint.unwrap().unwrap().parts;
        let bytes: usize = parts
            .iter()
            .map(|(name, body)| name.len() + body.len())
            .sum();
        figures.push((times, resume, bytes));
    }
    let [(_, few, few_bytes), (times, many, many_bytes)] = &figures[..] else {
        unreachable!("two loops")
    };
    let median = |times: &[Instant]| {
        let mut waits: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        waits.sort();
        waits[waits.len() / 2].as_secs_f64()
    };
    let (first, last) = (
        median(&times[..1_000]),
        median(&times[times.len() - 1_000..]),
    );
    ratio(
        "10,000 passes: median pass, last 1,000 / first 1,000 (about 1)",
        last,
        first,
    );
    ratio(
        "resume behind 10,000 passes / behind 10 (at most 2)",
        many.as_secs_f64(),
        few.as_secs_f64(),
    );
    println!("checkpoint: {few_bytes} bytes after 10 passes, {many_bytes} after 10,000");
}

fn ratio(what: &str, value: f64, to: f64) {
    println!("{what}: {:.2}", value / to);
}
