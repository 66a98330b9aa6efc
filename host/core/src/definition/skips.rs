//! Reads of steps that may have come to nothing: what was skipped has no output, and whoever reads it fails.
//!
//! A read is doubted only where there is a way to it on which its step was skipped: an `if` did not hold, a `join` was not met, the
//! loop around it was skipped; or a failure was handled. What the reader itself hangs on rules such ways out: its `if`, its `join`,
//! the steps around it, and what the expression asks before it reads.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::bits::Bits;
use super::codes;
use super::expressions::Reader;
use super::model::{Flow, Join, Step};
use super::needs::Order;
use super::outline::{Kind, Outline};
use super::scope::Place;
use crate::diagnostic::Diagnostic;
use crate::expr::{Known, Read, Reference};
use crate::limits;

/// How much is looked at for the warnings of one file. Nobody writes what takes more.
const WORK: usize = 2_000_000;

/// Warns of every step that an expression reads as if it had run in any case.
pub(super) fn check(
    file: &str,
    outline: &Outline<'_>,
    order: &Order,
    steps: &[Step],
    readers: &[Reader],
    out: &mut Vec<Diagnostic>,
) {
    let skips = Skips::new(outline, order, steps);
    // One word for each step that a step reads, and no more than are shown.
    let mut told = BTreeSet::new();
    let mut last = None::<((Place, bool), Facts<'_>)>;
    for reader in readers {
        let mut targets = reader.expr.references().filter_map(|read| match read {
            Reference::Step { id, .. } if read.is_outcome() => outline.find(id.as_str()),
            _ => None,
        });
        if !targets.any(|target| skips.doubtful[target]) {
            continue;
        }
        let at = (reader.place, reader.is_condition);
        if last.as_ref().is_none_or(|(place, _)| *place != at) {
            last = Some((at, skips.facts(reader)));
        }
        let Some((_, facts)) = &last else { continue };
        let by = own(reader.place);
        let mut known = facts.known.clone();
        reader.expr.visit_reads(&mut known, &mut |known, read| {
            let Some(target) = outline.find(read.id.as_str()) else {
                return;
            };
            // Only what has completed is undone.
            if reader.place == Place::Compensation(target) {
                return;
            }
            if told.len() < limits::DIAGNOSTICS
                && skips.doubtful[target]
                && !told.contains(&(by, target))
                && let Some(way) = skips.way(reader.place, facts, known, target)
            {
                told.insert((by, target));
                out.push(skips.warning(file, reader, &read, target, way));
            }
        });
    }
}

/// The step that an expression belongs to.
fn own(place: Place) -> Option<usize> {
    match place {
        Place::Step(index)
        | Place::Until(index)
        | Place::Item(index)
        | Place::Compensation(index) => Some(index),
        Place::Returns => None,
    }
}

/// How a step can have come to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The `if` of this step did not hold.
    Condition(usize),
    /// It failed, which was handled.
    Handled,
    /// This step failed.
    Failure(usize),
    /// The run came to its end before.
    End,
}

/// What is known where an expression is evaluated.
#[derive(Debug, Clone, Default)]
struct Facts<'a> {
    known: Known<'a>,
    /// Steps that were not skipped.
    ran: Bits,
    /// Steps that did not fail, unless they were skipped.
    unfailed: Bits,
}

/// What is known of others once a step runs: all that its join rules out.
#[derive(Debug, Clone, Default)]
struct Behind {
    ran: Bits,
    unfailed: Bits,
}

struct Skips<'a> {
    outline: &'a Outline<'a>,
    order: &'a Order,
    steps: &'a [Step],
    /// Steps that could come to nothing, if nothing were known.
    doubtful: Vec<bool>,
    behind: Vec<Behind>,
    /// Steps that end the run under a condition.
    ends: Vec<usize>,
    work: Cell<usize>,
}

impl<'a> Skips<'a> {
    fn new(outline: &'a Outline<'a>, order: &'a Order, steps: &'a [Step]) -> Self {
        let mut doubtful = Vec::with_capacity(steps.len());
        // What runs at the end runs whatever came of the others.
        let finally = steps.iter().any(|step| step.finally);
        for step in steps {
            // What is around a step comes before it in the file.
            let around = step.parent.is_some_and(|parent: usize| doubtful[parent]);
            let graph = order.flow(step.parent) == Flow::Graph;
            doubtful.push(
                finally || around || graph || step.condition.is_some() || step.continue_on_error,
            );
        }
        // What does nothing yet may be meant to end the run.
        let ends = steps.iter().enumerate().filter(|(index, step)| {
            let kind = outline.entries[*index].kind;
            matches!(kind, Kind::End | Kind::Unknown) && step.condition.is_some()
        });
        Self {
            outline,
            order,
            steps,
            doubtful,
            behind: behind(order, steps),
            ends: ends.map(|(index, _)| index).collect(),
            work: Cell::new(WORK),
        }
    }

    /// Counts what is looked at; `false` when it has become too much.
    fn look(&self) -> bool {
        self.work.set(self.work.get().saturating_sub(1));
        self.work.get() > 0
    }

    /// The step at the place and the steps around it, from the inside out.
    fn levels(&self, place: Place) -> impl Iterator<Item = usize> {
        std::iter::successors(own(place), |at| self.steps[*at].parent)
    }

    fn facts(&self, reader: &Reader) -> Facts<'a> {
        let mut facts = Facts::default();
        for level in self.levels(reader.place) {
            match reader.is_condition && Some(level) == own(reader.place) {
                true => self.joined(level, &mut facts),
                false => self.run(level, &mut facts),
            }
            let parent = self.steps[level].parent;
            if self.order.flow(parent) == Flow::Sequence && !self.steps[level].finally {
                let before = self.ends.iter().filter(|end| **end < level);
                for end in before.filter(|end| self.steps[**end].parent == parent) {
                    let condition = &self.steps[*end].condition;
                    condition.iter().for_each(|c| facts.known.add(c, false));
                }
            }
        }
        self.follow(&mut facts, 0);
        facts
    }

    /// The step was not skipped, and so neither was what is around it.
    fn run(&self, index: usize, facts: &mut Facts<'a>) {
        if facts.ran.contains(index) {
            return;
        }
        self.met(index, facts);
        self.joined(index, facts);
        if let Some(parent) = self.steps[index].parent {
            self.run(parent, facts);
        }
    }

    /// The join of the step was met.
    fn joined(&self, index: usize, facts: &mut Facts<'a>) {
        let behind = &self.behind[index];
        facts.unfailed.insert_all(&behind.unfailed);
        for other in behind.ran.indices() {
            if !facts.ran.contains(other) {
                self.met(other, facts);
            }
        }
    }

    /// The `if` of the step did hold.
    fn met(&self, index: usize, facts: &mut Facts<'a>) {
        facts.ran.insert(index);
        if let Some(condition) = &self.steps[index].condition {
            facts.known.add(condition, true);
        }
    }

    /// What follows from the conditions that are known, from this one on.
    fn follow(&self, facts: &mut Facts<'a>, from: usize) {
        let mut from = from;
        while from < facts.known.len() {
            let read = facts.known.steps(from);
            let read: BTreeSet<_> = read
                .filter_map(|id| self.outline.find(id.as_str()))
                .collect();
            from = facts.known.len();
            for index in read {
                let excludes = |status| facts.known.excludes(&self.steps[index].id, status);
                if self.look() && excludes("skipped") && excludes("pending") {
                    if excludes("failed") {
                        facts.unfailed.insert(index);
                    }
                    self.run(index, facts);
                }
            }
        }
    }

    /// How the step at `target` can have come to nothing where it is read.
    fn way(
        &self,
        place: Place,
        facts: &Facts<'a>,
        known: &Known<'a>,
        target: usize,
    ) -> Option<Way> {
        let levels: Vec<_> = self.levels(place).collect();
        let search = |facts: &Facts<'a>, known: &Known<'a>| {
            Search {
                skips: self,
                levels: &levels,
                facts,
                known,
                safe: Bits::default(),
            }
            .way(target)
        };
        let way = search(facts, known)?;
        if known.len() == facts.known.len() {
            return Some(way);
        }
        // What the expression asks itself may say more than its words do.
        let mut more = facts.clone();
        more.known = known.clone();
        self.follow(&mut more, facts.known.len());
        search(&more, &more.known)
    }

    fn warning(
        &self,
        file: &str,
        reader: &Reader,
        read: &Read<'_>,
        target: usize,
        way: Way,
    ) -> Diagnostic {
        let entry = |index: usize| &self.outline.entries[index];
        let name = entry(target).name;
        let what = match way {
            Way::Handled => "may fail",
            Way::Failure(step) if step == target => "may have failed",
            Way::End => "may not have completed when the run ends",
            Way::Condition(_) | Way::Failure(_) => "may be skipped",
        };
        let message = format!("step `{name}` {what}, and then it has no `{}`", read.field);
        let span = reader.span(file, &read.range);
        let problem = Diagnostic::warning(codes::EXPR_MAY_BE_SKIPPED, span, message);
        let problem = problem.with_help(help(reader.expr.text(), read));
        let (key, step, label) = match way {
            Way::Condition(step) if step == target => ("if", step, "unless this holds".to_owned()),
            Way::Condition(step) => {
                let label = format!(
                    "unless this holds: without `{}` there is no `{name}`",
                    entry(step).name
                );
                ("if", step, label)
            }
            Way::End => {
                let by = own(reader.place).unwrap_or(target);
                ("finally", by, "runs in any case".to_owned())
            }
            Way::Handled => (
                "continue_on_error",
                target,
                "the run goes on then".to_owned(),
            ),
            Way::Failure(step) if step == target => {
                let scope = self.steps[target].parent;
                let mut levels = self.levels(reader.place);
                let by = levels.find(|level| self.steps[*level].parent == scope);
                let label = "lets the reader run then".to_owned();
                ("join", by.unwrap_or(target), label)
            }
            Way::Failure(step) => {
                let label = format!("when this step fails: without it there is no `{name}`");
                ("id", step, label)
            }
        };
        let place = entry(step).view.node(key).map(|node| node.span());
        problem.with_related(place.unwrap_or_else(|| entry(step).span.clone()), label)
    }
}

/// How to read what may not be there.
fn help(text: &str, read: &Read<'_>) -> String {
    let path = &text[read.range.clone()];
    let step = path.rsplit_once('.').map_or(path, |(step, _)| step);
    let field = read.field;
    if read.asked {
        return format!("ask `has({step}.{field})` first");
    }
    // What stands far behind is left out.
    const LONGEST: usize = 60;
    let members = &text[read.range.end..read.whole.end];
    let members = Some(members).filter(|members| members.len() <= LONGEST);
    format!(
        "write `{step}.?{field}{}.orValue(..)`, or ask `has({step}.{field})` first",
        members.unwrap_or_default()
    )
}

/// The search for a way on which a step came to nothing.
struct Search<'s, 'a> {
    skips: &'s Skips<'a>,
    /// The reader and what is around it.
    levels: &'s [usize],
    facts: &'s Facts<'a>,
    known: &'s Known<'a>,
    /// Steps that were looked at and cannot have been skipped.
    safe: Bits,
}

impl Search<'_, '_> {
    fn way(mut self, target: usize) -> Option<Way> {
        let steps = self.skips.steps;
        let at_the_end = self.levels.iter().any(|level| steps[*level].finally);
        if at_the_end && !steps[target].finally {
            let completed = self.facts.ran.contains(target) && !self.may_have_failed(target);
            return (!completed).then_some(Way::End);
        }
        let around = self.skips.outline.enclosing(target);
        let outer = around
            .into_iter()
            .filter(|outer| !self.levels.contains(outer));
        for index in outer.chain([target]).collect::<Vec<_>>() {
            if let Some(way) = self.skipped(index) {
                return Some(way);
            }
        }
        let step = &self.skips.steps[target];
        // A loop that failed says how far it came.
        if self.skips.outline.entries[target].kind == Kind::Loop {
            return None;
        }
        match step.continue_on_error {
            true => self.may_have_failed(target).then_some(Way::Handled),
            false => self.fails(target).then_some(Way::Failure(target)),
        }
    }

    fn may_have_failed(&self, index: usize) -> bool {
        let id = &self.skips.steps[index].id;
        !self.facts.unfailed.contains(index) && !self.known.excludes(id, "failed")
    }

    /// Whether the reader may run although the step failed. In a sequence, and after the last member, nothing does.
    fn fails(&self, index: usize) -> bool {
        let step = &self.skips.steps[index];
        let mut levels = self.levels.iter();
        self.skips.order.flow(step.parent) == Flow::Graph
            && levels.any(|level| self.skips.steps[*level].parent == step.parent)
            && !step.continue_on_error
            && self.may_have_failed(index)
    }

    fn skipped(&mut self, index: usize) -> Option<Way> {
        if !self.skips.look() || self.facts.ran.contains(index) || self.safe.contains(index) {
            return None;
        }
        let step = &self.skips.steps[index];
        let way = match &step.condition {
            _ if self.known.excludes(&step.id, "skipped") => None,
            Some(condition) if !self.known.implies(condition) => Some(Way::Condition(index)),
            Some(_) | None => self.not_joined(step),
        };
        if way.is_none() {
            self.safe.insert(index);
        }
        way
    }

    /// How the join of a step may not have been met.
    fn not_joined(&mut self, step: &Step) -> Option<Way> {
        match step.join {
            Join::AllDone => None,
            Join::AllSuccess => step.needs.iter().find_map(|need| self.no_success(*need)),
            Join::OneSuccess => self.all(&step.needs, Self::no_success),
            Join::NoneFailedMinOneSuccess => {
                let failed = step.needs.iter().find(|need| self.fails(**need));
                let failed = failed.map(|need| Way::Failure(*need));
                failed.or_else(|| self.all(&step.needs, Self::skipped))
            }
        }
    }

    fn no_success(&mut self, index: usize) -> Option<Way> {
        let failure = |search: &Self| search.fails(index).then_some(Way::Failure(index));
        self.skipped(index).or_else(|| failure(self))
    }

    /// The first way, if there is one for every step.
    fn all(&mut self, steps: &[usize], way: fn(&mut Self, usize) -> Option<Way>) -> Option<Way> {
        let mut first = None;
        for index in steps {
            let found = way(self, *index)?;
            first = first.or(Some(found));
        }
        first
    }
}

/// What is known of other steps of a graph once a step runs, by step.
fn behind(order: &Order, steps: &[Step]) -> Vec<Behind> {
    let mut all = vec![Behind::default(); steps.len()];
    let mut sorted: Vec<_> = (0..steps.len()).collect();
    sorted.sort_by_key(|index| order.before(*index).len());
    for index in sorted {
        let step = &steps[index];
        let mut behind = Behind::default();
        let certain = match step.join {
            Join::AllSuccess => true,
            Join::OneSuccess | Join::NoneFailedMinOneSuccess => step.needs.len() == 1,
            Join::AllDone => false,
        };
        for need in &step.needs {
            if certain {
                behind.ran.insert(*need);
                behind.ran.insert_all(&all[*need].ran);
                behind.unfailed.insert_all(&all[*need].unfailed);
            }
            if certain && !steps[*need].continue_on_error {
                behind.unfailed.insert(*need);
            }
        }
        // What fails farther back may skip what is needed and let the step run. That fails the run in any case, and whoever
        // writes this join does not expect to run then.
        if step.join == Join::NoneFailedMinOneSuccess {
            behind.unfailed.insert_all(order.before(index));
        }
        all[index] = behind;
    }
    all
}
