//! What a decision costs in graphs of 10, 100 and 1,000 members, whatever their shape, and in fan-outs of as many items; and how long a
//! dense graph takes to be read: 1,000 members with 100,000 `needs`.
//!
//! Run with `cargo bench -p milepost-core --bench graphs`. With a shape and a size, as in `-- wide 1000`, it drives such a graph once, and
//! says how many steps ended: `valgrind --tool=callgrind --toggle-collect='*decide_from*'` counts what their decisions cost, on a machine
//! that is as busy as it likes.

#![expect(clippy::disallowed_macros, reason = "a benchmark prints its figures")]
#![expect(clippy::disallowed_types, reason = "a benchmark measures time")]
#![expect(clippy::unwrap_used, reason = "a benchmark: whatever fails ends it")]

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use milepost_core::decide::{Action, Decision, decide_from, settle};
use milepost_core::definition::Definition;
use milepost_core::event::{ClaimCause, Entry, Event, RunCreated, RunEvent};
use milepost_core::frontier::Frontier;
use milepost_core::ids::{Digest, Epoch, Path, RunId};
use milepost_core::labels::Labels;
use milepost_core::outcome::Outcome;
use milepost_core::payload::Payload;
use milepost_core::rules::Rules;
use milepost_core::state::RunState;
use milepost_core::tape::Tape;
use milepost_core::time::Timestamp;
use serde_json::json;

const SIZES: [usize; 3] = [10, 100, 1_000];
const ROUNDS: usize = 15;

/// A graph of so many members; `needs` says what each of them needs.
fn graph(members: usize, needs: impl Fn(usize) -> std::ops::Range<usize>) -> String {
    let mut text = "schema = 1\nname = \"g\"\nflow = \"graph\"\n".to_owned();
    text.push_str("[plugins.p]\nsource = \"p.wasm\"\n");
    for member in 0..members {
        write!(
            text,
            "[[step]]\nid = \"s{member}\"\nuse = \"p/s\"\nneeds = ["
        )
        .unwrap();
        needs(member).for_each(|need| write!(text, "\"s{need}\",").unwrap());
        text.push_str("]\n");
    }
    text
}

/// Members that wait for a signal beside a chain of calls.
fn beside_waits(members: usize) -> String {
    let mut text = graph(members / 2, |member| member.saturating_sub(1)..member);
    for wait in members / 2..members {
        write!(
            text,
            "[[step]]\nid = \"s{wait}\"\nwait = {{ signal = \"go\" }}\n"
        )
        .unwrap();
    }
    text
}

/// Items of one fan-out.
fn items(_: usize) -> String {
    let text = graph(0, |_| 0..0);
    text + "[inputs.items]\ntype = \"json\"\n[[step]]\nid = \"each\"\nuse = \"p/s\"\n\
            foreach = { items = \"inputs.items\", max_parallel = 8 }\nwith = { n = \"${ item }\" }\n"
}

struct Run {
    definition: Definition,
    state: RunState,
    frontier: Frontier,
    now: Timestamp,
    /// Time that decisions took, and how many attempts ended.
    decided: Duration,
    ended: u32,
}

impl Run {
    /// With so many items, for whoever goes over them.
    fn of(text: &str, items: usize) -> Self {
        let definition = Definition::parse("g.toml", text).unwrap().definition;
        let now = Timestamp::from_nanos(1_700_000_000_000_000_000);
        let created = RunCreated {
            run: RunId::new("r").unwrap(),
            workflow: "g".to_owned(),
            definition: definition.source.digest,
            file: "/g.toml".to_owned(),
            plugins: BTreeMap::<String, Digest>::new(),
            inputs: Payload::new(json!({ "items": (0..items).collect::<Vec<_>>() })),
            seed: 1,
            rules: Rules::PRESENT,
            children: [].into(),
            parent: None,
            redacted: Vec::new(),
            fork: None,
            labels: Labels::default(),
        };
        let entry = Entry {
            seq: 1,
            at: now,
            epoch: Epoch(0),
            event: RunEvent::Created(created).into(),
        };
        let mut run = Self {
            definition,
            state: RunState::create(&entry).unwrap(),
            frontier: Frontier::default(),
            now,
            decided: Duration::ZERO,
            ended: 0,
        };
        let claimed = RunEvent::Claimed {
            owner: "bench".to_owned(),
            cause: ClaimCause::Start,
        };
        run.record(claimed.into());
        run
    }

    fn record(&mut self, event: Event) {
        let entry = Entry {
            seq: self.state.seq() + 1,
            at: self.now,
            epoch: Epoch(1),
            event,
        };
        self.state.apply(&entry).unwrap();
    }

    /// To the end, or to where nothing but waits is left.
    fn drive(&mut self) {
        let mut flying = VecDeque::<Path>::new();
        loop {
            let began = Instant::now();
            let decision = decide_from(&mut self.frontier, &self.definition, &self.state, self.now);
            self.decided += began.elapsed();
            match decision {
                Decision::Act(actions) => {
                    for action in actions {
                        if let Action::Start { path, .. } = &action {
                            flying.push_back(path.clone());
                        }
                        self.record(action.into_event());
                    }
                }
                Decision::Wait { .. } => {
                    let path = flying.pop_front().unwrap();
                    let event = settle(
                        &self.definition,
                        &self.state,
                        &path,
                        1,
                        Outcome::Completed(json!({})),
                        Tape::default(),
                        self.now,
                    );
                    self.record(event);
                    self.ended += 1;
                }
                Decision::Pause(_) | Decision::Note(_) | Decision::End(_) => return,
                Decision::Still => unreachable!("it runs"),
            }
        }
    }
}

/// What the decisions for a step cost, at least: whatever else the machine does only adds to that.
fn per_step(text: &str, items: usize) -> Duration {
    let costs = (0..ROUNDS).map(|_| {
        let mut run = Run::of(text, items);
        run.drive();
        run.decided / run.ended
    });
    costs.min().unwrap()
}

/// The shape and the size that were named.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark, which a person starts"
)]
fn asked() -> Option<(String, usize)> {
    let mut named = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"));
    Some((named.next()?, named.next()?.parse().unwrap()))
}

fn main() {
    let chain = |members| graph(members, |member| member.saturating_sub(1)..member);
    let wide = |members| graph(members, |_| 0..0);
    let layered = |members| {
        graph(members, |member| {
            let layer = member / 10 * 10;
            layer.saturating_sub(10)..layer
        })
    };
    let shapes: [(&str, &dyn Fn(usize) -> String); 5] = [
        ("chain", &chain),
        ("wide", &wide),
        ("layers of 10", &layered),
        ("beside as many waits", &beside_waits),
        ("items of a fan-out", &items),
    ];
    if let Some((shape, size)) = asked() {
        let (_, shape) = shapes.iter().find(|(name, _)| *name == shape).unwrap();
        let mut run = Run::of(&shape(size), size);
        run.drive();
        println!("{} steps", run.ended);
        return;
    }
    println!(
        "decisions for one step of graphs of {SIZES:?} members, in µs (the last at most 2 x the first)"
    );
    for (name, shape) in shapes {
        let costs = SIZES.map(|size| per_step(&shape(size), size).as_secs_f64() * 1e6);
        let [few, some, many] = costs;
        let ratio = many / few;
        println!("{name:>22}: {few:6.1} {some:6.1} {many:6.1}   x{ratio:.1}");
    }
    let dense = graph(1_000, |member| member.saturating_sub(105)..member);
    let needs = dense.matches("\"s").count() - 1_000;
    let began = Instant::now();
    let definition = Definition::parse("g.toml", &dense).unwrap().definition;
    let took = began.elapsed().as_secs_f64() * 1e3;
    println!("reading 1,000 members with {needs} needs: {took:.0} ms");
    drop(definition);
    let cost = per_step(&dense, 0).as_secs_f64() * 1e6;
    println!("decisions for one of its steps: {cost:.1} µs");
    let began = Instant::now();
    let unknown = dense
        .replace("\"s", "\"ss")
        .replace("id = \"ss", "id = \"s");
    let refused = Definition::parse("g.toml", &unknown).is_err();
    let took = began.elapsed().as_secs_f64() * 1e3;
    println!("the same with every name unknown: {took:.0} ms, refused: {refused}");
}
