//! What an expression of one step sees: the recorded state, from where that step stands.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::definition::{Definition, StepKind};
use crate::expr::{Reference, Scope, StepField};
use crate::ids::{Path, StepId};
use crate::payload::Payload;
use crate::rules::Rules;
use crate::state::{RunState, Settled, StepPhase, StepRecord, StepResult, loop_output};

/// The scope of the step at a path. Reads the record and nothing else (B71).
pub struct StateScope<'a> {
    definition: &'a Definition,
    state: &'a RunState,
    /// `None` for `returns`, which stands outside every step.
    at: Option<&'a Path>,
    /// For `until`: the loop itself is the innermost loop, in this iteration.
    own_pass: Option<u32>,
    /// For `compensate.with`: what the step at that place came to, or is about to come to.
    own_output: Option<&'a Value>,
    read: Shelf<'a>,
}

/// Values that were parsed for this scope: they stay as long as it does, each in its place.
#[derive(Default)]
struct Shelf<'a>(OnceCell<Box<Kept<'a>>>);

struct Kept<'a> {
    payload: &'a Payload,
    value: Arc<Value>,
    next: Shelf<'a>,
}

impl<'a> Shelf<'a> {
    fn value_of(&self, payload: &'a Payload) -> &Value {
        let mut place = self;
        while let Some(kept) = place.0.get() {
            if kept.payload.is(payload) {
                return &kept.value;
            }
            place = &kept.next;
        }
        let kept = || {
            Box::new(Kept {
                payload,
                value: payload.value(),
                next: Self::default(),
            })
        };
        &place.0.get_or_init(kept).value
    }
}

impl<'a> StateScope<'a> {
    /// The scope of `if` and `with` of the step at `path`, and of `returns` of the item at `path`.
    #[must_use]
    pub fn of_step(definition: &'a Definition, state: &'a RunState, path: &'a Path) -> Self {
        Self {
            definition,
            state,
            at: Some(path),
            own_pass: None,
            own_output: None,
            read: Shelf::default(),
        }
    }

    /// The scope of `compensate.with` of the step at `path`, which completes with this output.
    #[must_use]
    pub fn of_compensation(
        definition: &'a Definition,
        state: &'a RunState,
        path: &'a Path,
        output: &'a Value,
    ) -> Self {
        Self {
            own_output: Some(output),
            ..Self::of_step(definition, state, path)
        }
    }

    /// The scope of `until` of the loop at `path`, after `iteration`.
    #[must_use]
    pub fn of_until(
        definition: &'a Definition,
        state: &'a RunState,
        path: &'a Path,
        iteration: u32,
    ) -> Self {
        Self {
            definition,
            state,
            at: Some(path),
            own_pass: Some(iteration),
            own_output: None,
            read: Shelf::default(),
        }
    }

    /// The scope of `returns`.
    #[must_use]
    pub fn of_run(definition: &'a Definition, state: &'a RunState) -> Self {
        Self {
            definition,
            state,
            at: None,
            own_pass: None,
            own_output: None,
            read: Shelf::default(),
        }
    }

    fn value_of<'s>(&'s self, payload: &'a Payload) -> &'s Value {
        match payload.parsed() {
            Some(value) => value,
            None => self.read.value_of(payload),
        }
    }

    fn output_of(&self, settled: &'a Settled) -> Option<&Value> {
        settled.output().map(|output| self.value_of(output))
    }

    fn iteration(&self) -> Option<u32> {
        self.own_pass
            .or_else(|| self.at.and_then(Path::loop_iteration))
    }

    /// Output of the last member of the innermost loop in the iteration before this one.
    fn previous(&self) -> Option<&Value> {
        let iteration = self.iteration()?;
        let path = self.at?;
        let loop_path = match self.own_pass {
            Some(_) => path.clone(),
            None => path.innermost_loop()?,
        };
        let StepKind::Loop(inner) = &self.definition.step(loop_path.step())?.kind else {
            return None;
        };
        let last = &self.definition.steps()[*inner.body.last()?].id;
        let record = self.record(last)?;
        let settled = if record.path.is_inside(&loop_path, iteration) {
            record.previous.as_ref()
        } else {
            record.settled()
        };
        settled.and_then(|settled| self.output_of(settled))
    }

    fn record(&self, id: &StepId) -> Option<&'a StepRecord> {
        seen_from(self.definition, self.state, self.at, id)
    }

    /// The element at which a fan-out around the place is: of the one with this id, or of the innermost one.
    fn item(&self, id: Option<&StepId>) -> Option<Value> {
        let segments = self.at?.segments();
        let at = segments.iter().rposition(|segment| {
            segment.item.is_some() && id.is_none_or(|id| segment.step == *id)
        })?;
        let outer = segments[..at].iter().filter_map(|segment| segment.item);
        let executions = self.state.executions();
        let record = executions.in_items(&segments[at].step, outer)?;
        record.items()?.value(segments[at].item?)
    }

    fn step(&self, id: &StepId, field: StepField) -> Option<Cow<'_, Value>> {
        let own = self
            .at
            .filter(|path| path.step() == id)
            .zip(self.own_output);
        let record = match (own, field) {
            (Some((_, output)), StepField::Output) => return Some(Cow::Borrowed(output)),
            (Some(_), StepField::Status) => return Some(Cow::Owned(json!("completed"))),
            (Some(_), StepField::Error) => return None,
            (Some((path, _)), _) => self.state.executions().at(path),
            (None, _) => self.record(id),
        };
        match field {
            StepField::Status => Some(Cow::Owned(json!(status_of(record)))),
            StepField::Attempts => Some(Cow::Owned(json!(record.map_or(0, StepRecord::attempts)))),
            StepField::Output => {
                let settled = record?.visible()?;
                match (self.output_of(settled), settled.iterations) {
                    (Some(output), _) => Some(Cow::Borrowed(output)),
                    // A loop says how far it came also when it failed (B94).
                    (None, Some(iterations)) => Some(Cow::Owned(Arc::unwrap_or_clone(
                        loop_output(iterations, false).value(),
                    ))),
                    (None, None) => None,
                }
            }
            StepField::Error => match &record?.visible()?.result {
                StepResult::Failed { error } => Some(Cow::Owned(json!(error))),
                StepResult::Completed { .. } | StepResult::Skipped => None,
            },
            StepField::Item => self.item(Some(id)).map(Cow::Owned),
            StepField::Iterations => {
                let record = record?;
                let running = match record.phase {
                    StepPhase::Looping { iteration, .. } => Some(iteration),
                    StepPhase::Pending
                    | StepPhase::InFlight { .. }
                    | StepPhase::Waiting { .. }
                    | StepPhase::Paused { .. }
                    | StepPhase::Awaiting { .. }
                    | StepPhase::FannedOut
                    | StepPhase::InItem
                    | StepPhase::Settled(_) => None,
                };
                running
                    .or_else(|| record.visible().and_then(|s| s.iterations))
                    .map(|n| Cow::Owned(json!(n)))
            }
        }
    }
}

fn status_of(record: Option<&StepRecord>) -> &'static str {
    let Some(record) = record else {
        return "pending";
    };
    match (record.visible(), &record.phase) {
        (Some(settled), _) => settled.result.status(),
        // Between two attempts a step is still running for whoever looks from another one.
        (None, StepPhase::Waiting { .. }) => "running",
        (None, _) => record.status(),
    }
}

/// What is recorded of a step, as it is seen from a place (`None`: from outside of every step): of one inside a fan-out, in the
/// same item.
#[must_use]
pub fn seen_from<'a>(
    definition: &Definition,
    state: &'a RunState,
    at: Option<&Path>,
    id: &StepId,
) -> Option<&'a StepRecord> {
    let executions = state.executions();
    let segments = at.map_or(&[][..], Path::segments);
    if segments.iter().all(|segment| segment.item.is_none()) {
        return executions.of(id);
    }
    let target = definition.index_of(id)?;
    let shared = segments.iter().filter(|segment| {
        let mut around = definition.around(target);
        segment.item.is_some() && around.any(|outer| outer.id == segment.step)
    });
    executions.in_items(id, shared.filter_map(|segment| segment.item))
}

impl Scope for StateScope<'_> {
    fn lookup(&self, reference: &Reference) -> Option<Cow<'_, Value>> {
        match reference {
            Reference::Input(name) => self
                .value_of(self.state.inputs())
                .get(name.as_str())
                .map(Cow::Borrowed),
            Reference::Step { id, field } => self.step(id, *field),
            Reference::LoopIteration => self.iteration().map(|n| Cow::Owned(json!(n))),
            Reference::LoopPrevious => self.previous().map(Cow::Borrowed),
            Reference::RunId => Some(Cow::Owned(json!(self.state.created().run))),
            Reference::RunStatus => {
                let ending = self.state.ending()?;
                Some(Cow::Owned(json!(ending.status().as_str())))
            }
            Reference::RunStartedAt => self.state.started_at().map(|at| Cow::Owned(json!(at))),
            Reference::ItemIndex => self
                .at
                .and_then(Path::item_index)
                .map(|n| Cow::Owned(json!(n))),
            Reference::Item => self.item(None).map(Cow::Owned),
        }
    }

    fn rules(&self) -> Rules {
        self.state.created().rules
    }
}
