//! A run that does not take place: the decisions of a real one, over stubs in the place of everything outside, in virtual time.
//!
//! What happens is decided by `decide_from` and `settle` and folded by the run's state, as in an engine: graphs, joins,
//! conditions, loops, fan-outs, retries, waits, endings and child runs are the real ones. Only what a driver does is done
//! otherwise: an attempt ends at once with what its stub says, time passes when nothing else moves, people approve.

mod run;
mod sample;
mod stubs;
mod trace;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::decide::{ChildStanding, ChildStarted, child_standing};
use crate::definition::{Definition, Step, StepKind};
use crate::event::{ChildEnding, Event, RunCreated, WaitEvent};
use crate::ids::{Path, RunId};
use crate::labels::Labels;
use crate::limits;
use crate::outcome::Outcome;
use crate::payload::Payload;
use crate::rules::Rules;
use crate::state::{Phase, Status};
use crate::stop::Stop;
use crate::time::Timestamp;

use self::run::Run;
pub use self::sample::sample;
pub use self::stubs::{InvalidStubs, Stub, Stubs};
pub use self::trace::{How, Traced, Why};

/// What a dry run is given.
pub struct Setting<'a> {
    /// The workflow.
    pub definition: &'a Definition,
    /// Its inputs, checked and with defaults.
    pub inputs: BTreeMap<String, Value>,
    /// What stands in the place of its steps.
    pub stubs: &'a Stubs,
    /// Schemas of what its components return: by the file of the definition and the name of the plugin, by step.
    pub schemas: &'a Schemas,
    /// Leaves approvals open, instead of approving them.
    pub stop_at_gates: bool,
    /// When it begins.
    pub now: Timestamp,
}

/// Schemas of outputs, by the file of a definition, the name of a plugin in it, and that of a step.
pub type Schemas = BTreeMap<(String, String), BTreeMap<String, Value>>;

/// What came of a dry run.
#[derive(Debug, Clone, PartialEq)]
pub struct DryRun {
    /// How it ended, or where it stands.
    pub status: Status,
    /// What it returned; null unless completed.
    pub output: Value,
    /// Why it does not move.
    pub stop: Option<Stop>,
    /// What happened to its steps, in that order.
    pub trace: Vec<Traced>,
    /// Steps that were called and have no stub, in the order in which that was found: a value that fits their schema was taken.
    pub missing: Vec<String>,
    /// Stubs that nothing asked for, with whether there is such a step.
    pub unused: Vec<(String, bool)>,
    /// Whether it was broken off after [`DRY_RUN_EVENTS`](limits::DRY_RUN_EVENTS).
    pub broken_off: bool,
}

impl DryRun {
    /// Whether it completed, with a stub for every step that it came to.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.status == Status::Completed && self.missing.is_empty()
    }
}

/// Simulates a run.
#[must_use]
pub fn dry_run(setting: Setting<'_>) -> DryRun {
    let mut simulation = Simulation {
        stubs: setting.stubs,
        schemas: setting.schemas,
        stop_at_gates: setting.stop_at_gates,
        trace: Vec::new(),
        missing: Vec::new(),
        asked: BTreeMap::new(),
        events: 0,
    };
    let inputs = Value::Object(setting.inputs.into_iter().collect());
    let created = created(
        RunId::new("dry-run").expect("letters and a dash make a run id"),
        setting.definition,
        Payload::kept(inputs),
        0,
    );
    let mut run = Run::new(setting.definition, created, setting.now, String::new());
    run.drive(&mut simulation);
    let known = steps(setting.definition);
    let unused = setting.stubs.names().filter(|name| {
        let asked = simulation.asked.get(*name);
        asked.is_none_or(|asked| *asked == 0)
    });
    let unused = unused
        .map(|name| (name.to_owned(), known.iter().any(|(step, _)| step == name)))
        .collect();
    let phase = run.state.phase();
    DryRun {
        status: phase.status(),
        output: match phase {
            Phase::Completed { output, .. } => (*output.value()).clone(),
            _ => Value::Null,
        },
        stop: phase.stop(),
        unused,
        broken_off: simulation.events >= limits::DRY_RUN_EVENTS,
        trace: simulation.trace,
        missing: simulation.missing,
    }
}

/// Stubs for all steps that call something or wait for somebody, those of child workflows included: outputs that fit the schemas of
/// the components.
#[must_use]
pub fn scaffold(definition: &Definition, schemas: &Schemas) -> Stubs {
    let steps = steps(definition).into_iter();
    let stubs = steps.filter_map(|(name, (definition, step))| {
        let stub = match &step.kind {
            StepKind::Approval(_) => Stub::approved(),
            StepKind::Wait(crate::definition::WaitStep::Signal { .. }) => Stub::Signal(Value::Null),
            _ => Stub::Output(output(definition, step, schemas)?),
        };
        Some((name, vec![stub]))
    });
    Stubs::of(stubs)
}

/// What a component step may return.
fn output(definition: &Definition, step: &Step, schemas: &Schemas) -> Option<Value> {
    let call = step.call()?;
    let key = (definition.source.file.clone(), call.plugin.clone());
    let schema = schemas
        .get(&key)
        .and_then(|steps| steps.get(call.step.as_deref()?));
    Some(schema.map_or(Value::Null, sample))
}

/// All steps by the names of their stubs: those of a child workflow stand behind the step that starts it.
fn steps(definition: &Definition) -> BTreeMap<String, (&Definition, &Step)> {
    let mut all = BTreeMap::new();
    let mut open = vec![(String::new(), definition)];
    while let Some((before, definition)) = open.pop() {
        for step in definition.steps() {
            let name = format!("{before}{}", step.id);
            if let Some(child) = step.child() {
                open.push((format!("{name}/"), child.definition.as_ref()));
            }
            all.insert(name, (definition, step));
        }
    }
    all
}

/// What a dry run and its children share.
struct Simulation<'a> {
    stubs: &'a Stubs,
    schemas: &'a Schemas,
    stop_at_gates: bool,
    trace: Vec<Traced>,
    missing: Vec<String>,
    /// How often each stub was taken.
    asked: BTreeMap<String, usize>,
    events: u64,
}

impl Simulation<'_> {
    /// The next stub of that name: the last one stays.
    fn stub(&mut self, name: &str) -> Option<Stub> {
        let all = self.stubs.get(name)?;
        let asked = self.asked.entry(name.to_owned()).or_default();
        let stub = all.get(*asked).or(all.last())?;
        *asked += 1;
        Some(stub.clone())
    }

    /// Whether another stub of that name follows the one that was taken last.
    fn has_more(&self, name: &str) -> bool {
        let asked = self.asked.get(name).copied().unwrap_or(0);
        let stubs = self.stubs.get(name);
        stubs.is_some_and(|stubs| asked < stubs.len())
    }

    /// What an attempt comes to, and whether a stub says so.
    fn outcome(&mut self, definition: &Definition, before: &str, path: &Path) -> (Outcome, bool) {
        let name = format!("{before}{}", path.step());
        // What undoes a step is asked for under a name of its own, and may be left out.
        if path.is_compensation() {
            let stub = self.stub(&format!("{name}!compensate"));
            let outcome = stub.and_then(|stub| stub.outcome());
            return (outcome.unwrap_or(Outcome::Completed(Value::Null)), true);
        }
        if let Some(outcome) = self.stub(&name).and_then(|stub| stub.outcome()) {
            return (outcome, true);
        }
        if !self.missing.contains(&name) {
            self.missing.push(name);
        }
        let step = definition.step(path.step());
        let value = step.and_then(|step| output(definition, step, self.schemas));
        (Outcome::Completed(value.unwrap_or(Value::Null)), false)
    }

    /// Lets a child run take place, and says what becomes of the step that waits for it.
    fn child(&mut self, parent: &Run<'_>, path: &Path, started: &ChildStarted) -> Option<Event> {
        let name = format!("{}{}", parent.before, path.step());
        if let Some(outcome) = self.stub(&name).and_then(|stub| stub.outcome()) {
            let ending = match outcome {
                Outcome::Completed(output) => ChildEnding::Completed(Payload::kept(output)),
                Outcome::Failed(error) => ChildEnding::Failed(error),
                Outcome::Paused(_) | Outcome::Cancelled(_) => return None,
            };
            let ended = WaitEvent::ChildEnded {
                run: started.run.clone(),
                seq: 1,
                ending,
            };
            return Some(ended.at(path.clone()));
        }
        let step = parent.definition.step(path.step())?;
        let definition = step.child()?.definition.as_ref();
        let created = created(
            started.run.clone(),
            definition,
            started.inputs.clone(),
            started.seed,
        );
        let mut child = Run::new(definition, created, parent.now, format!("{name}/"));
        child.drive(self);
        match child_standing(&parent.state, path, &child.state) {
            ChildStanding::Ended(event) => Some(event),
            ChildStanding::Open | ChildStanding::ToGoOn => None,
        }
    }
}

fn created(run: RunId, definition: &Definition, inputs: Payload, seed: u64) -> RunCreated {
    RunCreated {
        run,
        workflow: definition.name.to_string(),
        definition: definition.source.digest,
        file: definition.source.file.clone(),
        plugins: BTreeMap::new(),
        inputs,
        seed,
        rules: Rules::PRESENT,
        children: BTreeMap::new(),
        parent: None,
        redacted: Vec::new(),
        fork: None,
        labels: Labels::default(),
    }
}
