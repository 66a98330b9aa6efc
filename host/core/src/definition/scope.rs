//! What an expression may read at its place: the static half of every missing value.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::grammar::FOREACH_KEY;
use super::model::Flow;
use super::needs::Order;
use super::outline::{Kind, Outline};
use super::view::View;
use crate::expr::{Env, StepField, StepProblem, Type};
use crate::limits;

/// Every status of a step that an expression can meet.
const STATUSES: &[&str] = &[
    "completed",
    "failed",
    "skipped",
    "pending",
    "running",
    "waiting",
    "paused",
];

/// What comes of an approval.
const DECISIONS: &[&str] = &["approved", "rejected"];

/// Where an expression stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `if`, `with`, `wait` or `approval` of the step at this index.
    Step(usize),
    /// `until` of the loop at this index: inside its body, after the last member.
    Until(usize),
    /// In an item of the fan-out at this index, after the last member if it has any: its `returns`, or the `with` of its call.
    Item(usize),
    /// `compensate.with` of the step at this index: when its call, or that of one of its items, has completed.
    Compensation(usize),
    /// `returns`: after every step.
    Returns,
}

/// The names that exist at a place.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    pub(super) outline: &'a Outline<'a>,
    pub(super) order: &'a Order,
    pub(super) inputs: &'a BTreeMap<String, Type>,
    /// Output type of each step, by index.
    pub(super) outputs: &'a [Type],
    /// How often names were given for a suggestion, over the whole file.
    pub(super) suggested: &'a Cell<usize>,
    /// See [`Env::accepted`].
    pub(super) accepted: bool,
    pub(super) place: Place,
}

impl Scope<'_> {
    /// Whether a suggestion is still worth its search: those that nobody reads only add up.
    fn suggests(&self) -> bool {
        // What is read again has been reported the first time.
        if self.accepted {
            return false;
        }
        self.suggested.update(|count| count + 1);
        self.suggested.get() <= 2 * limits::DIAGNOSTICS
    }

    /// The loops and fan-outs around the place, outermost first.
    fn enclosing(&self) -> Vec<usize> {
        match self.place {
            Place::Step(index) => self.outline.enclosing(index),
            Place::Compensation(index) if !self.outline.entries[index].fans_out => {
                self.outline.enclosing(index)
            }
            Place::Compensation(index) | Place::Until(index) | Place::Item(index) => {
                let mut around = self.outline.enclosing(index);
                around.push(index);
                around
            }
            Place::Returns => Vec::new(),
        }
    }

    /// Nothing is known about the place, because its `in` could not be resolved.
    fn lost(&self) -> bool {
        let is_lost = |index: &usize| self.outline.entries[*index].lost;
        match self.place {
            Place::Step(index)
            | Place::Until(index)
            | Place::Item(index)
            | Place::Compensation(index) => is_lost(&index) || self.enclosing().iter().any(is_lost),
            Place::Returns => false,
        }
    }

    /// Whether the step at `target` can have a record when the expression is evaluated.
    fn check_readable(&self, target: usize, field: StepField) -> Result<(), StepProblem> {
        let entry = &self.outline.entries[target];
        let name = entry.name;
        let around = self.enclosing();
        if self.is_undone(target) && field != StepField::Item {
            return Ok(());
        }
        if around.contains(&target) {
            let (what, own) = match entry.fans_out {
                true => ("fan-out", StepField::Item),
                false => ("loop", StepField::Iterations),
            };
            return if field == own {
                Ok(())
            } else {
                Err(StepProblem::NotReadable(
                    format!("{what} `{name}` is still running here"),
                    Some(format!(
                        "inside the {what}, only `steps.{name}.{own}` can be read"
                    )),
                ))
            };
        }
        if field == StepField::Item {
            return Err(match entry.fans_out {
                true => StepProblem::NotReadable(
                    format!("an item of `{name}` has a value only inside that fan-out"),
                    Some(format!(
                        "outside of it, read it as a whole: `steps.{name}.output`"
                    )),
                ),
                false => StepProblem::NotReadable(
                    format!("step `{name}` has no `foreach`, so it has no item"),
                    None,
                ),
            });
        }
        if self.lost() || entry.lost {
            return Ok(());
        }
        let around_target = self.outline.enclosing(target);
        let fan_out = around_target
            .iter()
            .find(|outer| self.outline.entries[**outer].fans_out && !around.contains(outer));
        if let Some(fan_out) = fan_out {
            let outer = self.outline.entries[*fan_out].name;
            return Err(StepProblem::NotReadable(
                format!("step `{name}` runs once for each item of `{outer}`"),
                Some(format!(
                    "outside of the fan-out, read it as a whole: `steps.{outer}.output`"
                )),
            ));
        }
        let index = match self.place {
            Place::Returns if self.outline.entries[target].finally => {
                return Err(StepProblem::NotReadable(
                    format!("step `{name}` runs at the end, when the output of the run is known"),
                    None,
                ));
            }
            Place::Returns => return Ok(()),
            Place::Step(index)
            | Place::Until(index)
            | Place::Item(index)
            | Place::Compensation(index) => index,
        };
        // The scope that both stand in, and the members of it that hold them.
        let depth = around
            .iter()
            .zip(&around_target)
            .take_while(|(a, b)| a == b);
        let depth = depth.count();
        let here = around.get(depth).copied();
        let there = around_target.get(depth).copied().unwrap_or(target);
        let scope = depth.checked_sub(1).map(|inner| around[inner]);
        let in_step = matches!(self.place, Place::Step(_) | Place::Compensation(_));
        let Some(here) = here.or(Some(index).filter(|_| in_step)) else {
            // `until` and `returns` come after all members.
            return Ok(());
        };
        let at_the_end = |index: usize| self.outline.entries[index].finally;
        match (at_the_end(here), at_the_end(there)) {
            (true, false) => return Ok(()),
            (false, true) => {
                return Err(StepProblem::NotReadable(
                    format!("step `{name}` runs at the end, after everything else"),
                    None,
                ));
            }
            (true, true) | (false, false) => {}
        }
        let repeated = scope.is_some_and(|scope| self.outline.entries[scope].kind == Kind::Loop);
        if self.order.flow(scope) == Flow::Graph {
            return self.check_needed(there, here, target, repeated);
        }
        // In the body of a loop, an earlier iteration may have run it.
        if repeated {
            return Ok(());
        }
        // What a rejected approval left is read by the steps that go over the work, and by the approval itself.
        let goes_over = self.outline.entries[target]
            .rework
            .is_some_and(|from| (from..=target).contains(&here));
        if goes_over {
            return Ok(());
        }
        match there.cmp(&here) {
            std::cmp::Ordering::Less => Ok(()),
            std::cmp::Ordering::Equal => Err(self.within_itself(target, index)),
            std::cmp::Ordering::Greater => Err(StepProblem::NotReadable(
                format!("step `{name}` runs later"),
                Some("only earlier steps, and members of the same loop, can be read".to_owned()),
            )),
        }
    }

    /// Whether the place is the compensation of the step at `target`, whose outcome it reads.
    fn is_undone(&self, target: usize) -> bool {
        self.place == Place::Compensation(target)
    }

    /// In a graph: only what is settled in any case is read, or the outcome would depend on who is faster.
    fn check_needed(
        &self,
        there: usize,
        here: usize,
        target: usize,
        repeated: bool,
    ) -> Result<(), StepProblem> {
        if self.order.is_before(there, here) {
            return Ok(());
        }
        let entry = |index: usize| &self.outline.entries[index];
        let name = entry(target).name;
        if there == here {
            // The iteration before this one.
            return match repeated && there == target {
                true => Ok(()),
                false => Err(self.within_itself(target, here)),
            };
        }
        let goes_over = entry(there)
            .rework
            .is_some_and(|from| from == here || self.order.is_before(from, here));
        if goes_over && self.order.is_before(here, there) {
            return Ok(());
        }
        let (reader, needed) = (entry(here).name, entry(there).name);
        if self.order.is_before(here, there) {
            // In a loop, what comes later was there in the iteration before this one.
            if repeated {
                return Ok(());
            }
            return Err(StepProblem::NotReadable(
                format!("step `{name}` runs later: it needs `{reader}`"),
                None,
            ));
        }
        Err(StepProblem::NotReadable(
            format!("`{reader}` does not wait for step `{name}`, which may run at the same time"),
            Some(format!("add `\"{needed}\"` to `needs` of `{reader}`")),
        ))
    }

    /// The step at `index`, or a member of it, reads what it is itself about to come to.
    fn within_itself(&self, target: usize, index: usize) -> StepProblem {
        let name = self.outline.entries[target].name;
        StepProblem::NotReadable(
            match target == index {
                true => format!("step `{name}` cannot read its own result"),
                false => {
                    format!("step `{name}` is a member of this loop, which has not begun here")
                }
            },
            None,
        )
    }
}

impl Env for Scope<'_> {
    fn input(&self, name: &str) -> Option<Type> {
        self.inputs.get(name).cloned()
    }

    fn input_names(&self) -> Vec<String> {
        if !self.suggests() {
            return Vec::new();
        }
        self.inputs.keys().cloned().collect()
    }

    fn step(&self, id: &str, field: StepField) -> Result<Type, StepProblem> {
        let target = self.outline.find(id).ok_or(StepProblem::Unknown)?;
        self.check_readable(target, field)?;
        match field {
            StepField::Status => Ok(Type::one_of(STATUSES)),
            StepField::Output
                if self.is_undone(target) && self.outline.entries[target].fans_out =>
            {
                let fan_out = self.outline.entries[target].view.record(FOREACH_KEY);
                let join = fan_out.and_then(|view| view.text("join"));
                Ok(item_output(&self.outputs[target], join))
            }
            StepField::Output => Ok(self.outputs[target].clone()),
            StepField::Error => Ok(error_type()),
            StepField::Attempts => Ok(Type::Int),
            StepField::Item => Ok(Type::Dyn),
            StepField::Iterations => match self.outline.entries[target].kind {
                Kind::Loop | Kind::Unknown => Ok(Type::Int),
                Kind::Component
                | Kind::Wait
                | Kind::Approval
                | Kind::ForEach
                | Kind::End
                | Kind::Child => Err(StepProblem::NotReadable(
                    format!("step `{id}` is not a loop, so it has no iterations"),
                    None,
                )),
            },
        }
    }

    fn step_names(&self) -> Vec<String> {
        if !self.suggests() {
            return Vec::new();
        }
        self.outline.names().map(str::to_owned).collect()
    }

    fn in_loop(&self) -> bool {
        let is_loop = |index: &usize| self.outline.entries[*index].kind == Kind::Loop;
        self.enclosing().iter().any(is_loop) || self.lost()
    }

    /// What the last member of the innermost loop returns.
    fn previous(&self) -> Type {
        let is_loop = |index: &usize| self.outline.entries[*index].kind == Kind::Loop;
        let around = self.enclosing();
        let Some(innermost) = around.into_iter().rfind(is_loop) else {
            return Type::Dyn;
        };
        match self.outline.entries[innermost].members.last() {
            Some(last) if !self.lost() => self.outputs[*last].clone(),
            _ => Type::Dyn,
        }
    }

    fn accepted(&self) -> bool {
        self.accepted
    }

    fn at_the_end(&self) -> bool {
        match self.place {
            Place::Step(index) | Place::Item(index) => self.outline.entries[index].finally,
            Place::Until(_) | Place::Compensation(_) | Place::Returns => false,
        }
    }

    fn in_foreach(&self) -> bool {
        let fans_out = |index: &usize| self.outline.entries[*index].fans_out;
        self.enclosing().iter().any(fans_out) || self.lost()
    }
}

/// Type of `steps.<id>.error`.
fn error_type() -> Type {
    object([("code", Type::String), ("message", Type::String)], true)
}

/// Type of a loop's output.
pub(super) fn loop_output() -> Type {
    object(
        [("iterations", Type::Int), ("condition_met", Type::Bool)],
        false,
    )
}

/// Type of a fan-out's output, of one item's.
pub(super) fn fan_out_output(one: Type, join: Option<&str>) -> Type {
    let item = match join {
        Some("all_done") => object(
            [
                ("status", Type::one_of(&["completed", "failed"])),
                ("output", one),
                ("error", error_type()),
            ],
            false,
        ),
        _ => one,
    };
    Type::List(Box::new(item))
}

/// The same backwards: of one item's output.
fn item_output(fan_out: &Type, join: Option<&str>) -> Type {
    match (fan_out, join) {
        (Type::List(item), Some("all_done")) => match item.as_ref() {
            Type::Object { fields, .. } => fields.get("output").cloned().unwrap_or(Type::Dyn),
            _ => Type::Dyn,
        },
        (Type::List(item), _) => item.as_ref().clone(),
        _ => Type::Dyn,
    }
}

/// Type of a wait's output.
pub(super) fn wait_output(wait: &View<'_>) -> Type {
    let [time, signal] = [
        wait.node("for").or_else(|| wait.node("until")),
        wait.node("signal"),
    ];
    match (time, signal) {
        (Some(_), None) => object([("until", Type::String)], false),
        (None, Some(_)) => object(
            [
                ("signal", Type::String),
                ("data", Type::Dyn),
                ("timed_out", Type::Bool),
            ],
            false,
        ),
        (Some(_), Some(_)) | (None, None) => Type::Dyn,
    }
}

/// Type of an approval's output. `by` is null when nobody said who decided. A rejection leaves an output only where the run goes on.
pub(super) fn approval_output(goes_on: bool) -> Type {
    let decisions = if goes_on { DECISIONS } else { &DECISIONS[..1] };
    object(
        [
            ("decision", Type::one_of(decisions)),
            ("comment", Type::String),
            ("by", Type::Dyn),
            ("timed_out", Type::Bool),
        ],
        false,
    )
}

fn object<const N: usize>(fields: [(&str, Type); N], open: bool) -> Type {
    let fields = fields.into_iter().map(|(name, ty)| (name.to_owned(), ty));
    Type::Object {
        fields: fields.collect(),
        open,
    }
}
