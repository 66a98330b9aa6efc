//! Steps beside each other in one run: a graph against the same steps in a row, and fan-outs against as many steps of 64 runs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use milepost::Engine;
use milepost::core::state::Status;
use milepost::engine::StartOptions;
use milepost::workflow::Workflow;
use serde_json::{Value, json};

use super::many_runs;
use crate::bare::{Place, RUNS, quarter};

const ROUNDS: usize = 15;
/// Rounds of fan-outs of all sizes and of 64 runs.
const FAN_OUTS: usize = 5;
const ITEMS: [usize; 3] = [100, 1_000, 10_000];

/// 64 steps that need nothing of each other, at once and in a row, in turns.
pub(crate) fn graph(place: &Place) {
    let steps = (0..RUNS).fold(String::new(), |mut text, n| {
        write!(text, "[[step]]\nid = \"s{n}\"\nuse = \"text/echo\"\nwith = {{ n = {n}, text = \"a small value\" }}\n").unwrap();
        text
    });
    let [graph, sequence] = ["graph", "sequence"].map(|flow| workflow(place, flow, &steps));
    let runner = Runner::new(place, "graph.db");
    let (mut beside, mut in_a_row, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        beside.push(runner.millis(&graph, &BTreeMap::new()));
        in_a_row.push(runner.millis(&sequence, &BTreeMap::new()));
        ratios.push(in_a_row[round] / beside[round]);
    }
    println!(
        "{RUNS} steps of one run: as a graph {:.1} ms, as a sequence {:.1} ms",
        quarter(&mut beside, 2),
        quarter(&mut in_a_row, 2)
    );
    println!(
        "  steps/s of the graph / of the sequence (at least 5): {:.1} (half of the rounds from {:.1} to {:.1})",
        quarter(&mut ratios, 2),
        quarter(&mut ratios, 1),
        quarter(&mut ratios, 3)
    );
}

/// Items of one call, in fan-outs of several sizes and, in turns, as many steps of runs.
pub(crate) fn fan_outs(place: &Place) {
    let step = "[inputs.items]\ntype = \"json\"\n[[step]]\nid = \"each\"\nuse = \"text/echo\"\n\
        foreach = { items = \"inputs.items\", max_parallel = 64 }\nwith = { n = \"${ item }\", text = \"a small value\" }\n";
    let workflow = workflow(place, "sequence", step);
    let runner = Runner::new(place, "items.db");
    let inputs = ITEMS.map(|items| {
        let list: Vec<usize> = (0..items).collect();
        BTreeMap::from([("items".to_owned(), json!(list))])
    });
    let mut per_item = ITEMS.map(|_| Vec::new());
    let mut ratios = Vec::new();
    for _ in 0..FAN_OUTS {
        for (size, items) in ITEMS.into_iter().enumerate() {
            // A short one is over before it can be measured: the median of as many as take about as long.
            let rounds = (1_000 / items).clamp(1, 9);
            let mut times: Vec<f64> = (0..rounds)
                .map(|_| runner.millis(&workflow, &inputs[size]) / items as f64)
                .collect();
            per_item[size].push(quarter(&mut times, 2));
        }
        let largest = per_item[ITEMS.len() - 1].last().copied().unwrap();
        ratios.push(1e3 / largest / runner.runtime.block_on(many_runs(place)));
    }
    let [few, some, many] = per_item.each_mut().map(|times| quarter(times, 2));
    println!("fan-outs of {ITEMS:?} items: {few:.3}, {some:.3}, {many:.3} ms an item");
    println!(
        "  an item of 10,000 / of 100 (at most 1.5):            {:.2}",
        many / few
    );
    println!(
        "  items/s of 10,000 / steps/s of 64 runs (at least 0.5): {:.2} (half of the rounds from {:.2} to {:.2})",
        quarter(&mut ratios, 2),
        quarter(&mut ratios, 1),
        quarter(&mut ratios, 3)
    );
}

fn workflow(place: &Place, flow: &str, steps: &str) -> Workflow {
    let text = format!(
        "schema = 1\nname = \"bench\"\nflow = \"{flow}\"\nplugins.text = {{ source = {:?} }}\nlimits.parallel = 64\n{steps}",
        place.component()
    );
    Workflow::link(&place.dir.join("bench.toml"), &text, place.plugins.as_ref()).unwrap()
}

struct Runner {
    runtime: tokio::runtime::Runtime,
    engine: Engine,
}

impl Runner {
    fn new(place: &Place, store: &str) -> Self {
        let store = place.store(store);
        Self {
            runtime: place.two_threads(),
            engine: Engine::builder(store, place.plugins.clone()).build(),
        }
    }

    /// How long a run takes.
    fn millis(&self, workflow: &Workflow, inputs: &BTreeMap<String, Value>) -> f64 {
        let start = Instant::now();
        let run = self
            .engine
            .run(workflow.clone(), inputs.clone(), StartOptions::default());
        let report = self.runtime.block_on(run).unwrap();
        assert_eq!(report.status, Status::Completed);
        start.elapsed().as_secs_f64() * 1e3
    }
}
