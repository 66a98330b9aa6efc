//! What it costs that host calls are recorded: the same steps with a tape and, because it may hold next to nothing, without.

use std::collections::BTreeMap;
use std::time::Instant;

use milepost::Engine;
use milepost::core::state::Status;
use milepost::engine::StartOptions;
use milepost::workflow::Workflow;

use crate::bare::{Place, quarter};

const ROUNDS: usize = 15;
const STEPS: usize = 50;
const CALLS: usize = 20;

/// Steps of 20 host calls each, in turns.
pub(crate) fn taped(place: &Place) {
    let [with, without] = ["8MiB", "1B"].map(|tape| workflow(place, tape));
    let runtime = place.two_threads();
    let engine = Engine::builder(place.store("tape.db"), place.plugins.clone()).build();
    let millis = |workflow: &Workflow| {
        let start = Instant::now();
        let run = engine.run(workflow.clone(), BTreeMap::new(), StartOptions::default());
        let report = runtime.block_on(run).unwrap();
        assert_eq!(report.status, Status::Completed);
        start.elapsed().as_secs_f64() * 1e3 / STEPS as f64
    };
    let (mut taped, mut untaped, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        taped.push(millis(&with));
        untaped.push(millis(&without));
        ratios.push(taped[round] / untaped[round]);
    }
    println!(
        "a step with {CALLS} host calls: on the tape {:.3} ms, without {:.3} ms",
        quarter(&mut taped, 2),
        quarter(&mut untaped, 2)
    );
    println!(
        "  on the tape / without (at most 1.10): {:.2} (half of the rounds from {:.2} to {:.2})",
        quarter(&mut ratios, 2),
        quarter(&mut ratios, 1),
        quarter(&mut ratios, 3)
    );
}

fn workflow(place: &Place, tape: &str) -> Workflow {
    let call = "{ do = \"get\", bucket = \"b\", key = \"k\" }, { do = \"now\" }";
    let calls = [call; CALLS / 2].join(", ");
    let steps = (0..STEPS).map(|n| {
        format!("[[step]]\nid = \"s{n}\"\nuse = \"world/visit\"\nwith = {{ calls = [{calls}] }}\n")
    });
    let text = format!(
        "schema = 1\nname = \"bench\"\n[plugins.world]\nsource = {:?}\n[plugins.world.allow]\nkv = [\"b\"]\n[limits]\ntape = \"{tape}\"\n{}",
        place.component().with_file_name("world.wasm"),
        steps.collect::<String>()
    );
    Workflow::link(&place.dir.join("tape.toml"), &text, place.plugins.as_ref()).unwrap()
}
