//! Fan-outs: which items begin, and how each of them and the whole ends.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{Action, Decider, Scope, Standing, Walk, expression_failed, fits};
use crate::definition::{ChildStep, ComponentStep, ForEachStep, ItemsJoin, Over, Step};
use crate::event::{ForEachEvent, StepEvent};
use crate::expr::{Budget, Template};
use crate::frontier::FanOut;
use crate::ids::Path;
use crate::open::Timer;
use crate::outcome::{ErrorClass, StepError, codes};
use crate::payload::Payload;
use crate::scope::StateScope;
use crate::state::{COMPLETED, Items, OUTPUT, StepPhase, StepRecord, StepResult};
use crate::within::Within;

impl Decider<'_> {
    /// The list is evaluated once, and recorded.
    pub(super) fn begin_fan_out(&self, fan_out: &ForEachStep, path: &Path) -> Action {
        let event = match self.items(fan_out, path) {
            Ok(items) => {
                let kept = self.state.kept_items(path, &items);
                let kept = kept.into_iter().filter(|kept| *kept).count();
                let items = items.list().clone();
                ForEachEvent::Started {
                    items,
                    kept: u32::try_from(kept).unwrap_or(u32::MAX),
                }
                .into()
            }
            Err(failed) => *failed,
        };
        Action::record(path, event)
    }

    fn items(&self, fan_out: &ForEachStep, path: &Path) -> Result<Items, Box<StepEvent>> {
        let failed = |code, message: String| {
            let error = StepError::new(ErrorClass::Definition, code, message);
            Box::new(StepEvent::failed(error))
        };
        let scope = StateScope::of_step(self.definition, self.state, path);
        let value = fan_out
            .items
            .eval(&scope, &mut Budget::default())
            .map_err(|error| Box::new(expression_failed("foreach.items", &error)))?;
        let Value::Array(list) = &value else {
            let message = format!("`foreach.items` gives {}, not a list", kind_of(&value));
            return Err(failed(codes::NOT_A_LIST, message));
        };
        if list.len() > fan_out.max_items {
            let message = format!(
                "`foreach.items` gives {} items, more than the maximum of {}",
                list.len(),
                fan_out.max_items
            );
            return Err(failed(codes::TOO_MANY_ITEMS, message));
        }
        let list = Payload::new(value);
        fits(self.state, path, "this list of items", list.text().len())
            .map_err(|error| Box::new(StepEvent::failed(*error)))?;
        Items::new(list).ok_or_else(|| {
            let message = "the items cannot be read back".to_owned();
            failed(codes::NOT_A_LIST, message)
        })
    }

    /// A fan-out whose items are at work: those that have begun move on, others begin where there is room. The cost is that of
    /// the items that something happened to, and of those that begin.
    pub(super) fn in_fan_out(
        &self,
        (step, fan_out): (&Step, &ForEachStep),
        path: &Path,
        items: &Items,
        walk: &mut Walk<'_>,
    ) -> Standing {
        let which = (step, fan_out);
        let mut known = walk.frontier.enter_fan_out(path);
        known.open.wake_due(self.now);
        let mut from = 0;
        while let Some(index) = known.open.next(from, walk.free > 0) {
            from = index + 1;
            self.move_item(which, index, &path.item(index), &mut known, walk);
        }
        while known.next < items.len() && known.open.len() < fan_out.max_parallel {
            let item = path.item(known.next);
            if matches!(fan_out.over, Over::Call(_))
                && self.state.executions().at(&item).is_none()
                && !walk.has_room()
            {
                break;
            }
            let index = known.next;
            known.next += 1;
            self.move_item(which, index, &item, &mut known, walk);
        }
        walk.due.join(&known.open.due());
        walk.wanting |= known.open.any_wanting();
        if known.open.len() > 0 || known.next < items.len() {
            walk.frontier.leave_fan_out(path, known);
            return Standing::Open;
        }
        let event = match self.all_ended(fan_out, path, items, &known) {
            Ok(output) => ForEachEvent::Completed { output }.into(),
            Err(error) => StepEvent::failed(*error),
        };
        // Until the event is recorded, it is decided again with what is known.
        walk.frontier.leave_fan_out(path, known);
        walk.act(Action::record(path, event))
    }

    /// An item that has begun moves on as far as it can. One that has ended is counted.
    fn move_item(
        &self,
        (step, fan_out): (&Step, &ForEachStep),
        index: u32,
        item: &Path,
        known: &mut FanOut,
        walk: &mut Walk<'_>,
    ) {
        let record = self.state.executions().at(item);
        if let Some(settled) = record.and_then(StepRecord::settled) {
            known.settle(index, settled.has_failed());
            return;
        }
        let (standing, apart) = walk.apart(|walk| match &fan_out.over {
            Over::Call(call) => self.item_of_call(call, item, record, walk),
            Over::Child(child) => self.item_of_child(step, child, item, record, walk),
            Over::Body { .. } => self.item_with_members(fan_out, item, record, walk),
        });
        match standing {
            Standing::Settled { failed } => known.settle(index, failed),
            Standing::Open if apart.acted => known.open.look_at(index),
            Standing::Open => known.open.rest(index, apart.due, apart.wanting),
        }
    }

    fn item_of_call(
        &self,
        call: &ComponentStep,
        item: &Path,
        record: Option<&StepRecord>,
        walk: &mut Walk<'_>,
    ) -> Standing {
        match record.map(|record| &record.phase) {
            Some(StepPhase::InFlight { .. }) => Standing::Open,
            Some(StepPhase::Waiting { retry_at, .. }) if *retry_at > self.now => {
                walk.wake(Timer::Retry, *retry_at)
            }
            Some(StepPhase::Paused {
                pause,
                retries_exhausted,
                due_at,
            }) => self.paused(item, pause, *retries_exhausted, *due_at, walk),
            _ if !walk.has_room() => Standing::Open,
            _ => walk.call(self.start(call, item, record)),
        }
    }

    fn item_of_child(
        &self,
        step: &Step,
        child: &ChildStep,
        item: &Path,
        record: Option<&StepRecord>,
        walk: &mut Walk<'_>,
    ) -> Standing {
        match record.map(|record| &record.phase) {
            Some(StepPhase::Awaiting { wait }) => self.awaiting(step, item, wait, walk),
            _ => walk.act(self.begin_child(child, item)),
        }
    }

    fn item_with_members(
        &self,
        fan_out: &ForEachStep,
        item: &Path,
        record: Option<&StepRecord>,
        walk: &mut Walk<'_>,
    ) -> Standing {
        let Over::Body {
            members,
            flow,
            returns,
        } = &fan_out.over
        else {
            return Standing::Open;
        };
        if !record.is_some_and(|record| record.phase == StepPhase::InItem) {
            return walk.act(Action::record(item, ForEachEvent::ItemStarted.into()));
        }
        let event = match self.scope(members, *flow, Within::Item(item), walk) {
            Scope::Open => return Standing::Open,
            Scope::Done => match self.item_ended(members, returns.as_ref(), item) {
                Ok(output) => ForEachEvent::ItemCompleted { output }.into(),
                Err(event) => *event,
            },
        };
        walk.act(Action::record(item, event))
    }

    /// What came of an item whose members have all ended.
    fn item_ended(
        &self,
        members: &[usize],
        returns: Option<&Template>,
        item: &Path,
    ) -> Result<Payload, Box<StepEvent>> {
        let within = Within::Item(item);
        let failed = self.failures(members, within);
        if let Some((step, _, error)) = failed.iter().find(|(step, ..)| !step.continue_on_error) {
            let message = format!("`{}`: {}", step.id, error.message);
            let error = StepError::new(ErrorClass::Failed, &error.code, message);
            return Err(Box::new(StepEvent::failed(error)));
        }
        let output = match returns {
            Some(returns) => {
                let scope = StateScope::of_step(self.definition, self.state, item);
                let value = returns.resolve(&scope, &mut Budget::default());
                Payload::new(
                    value
                        .map_err(|error| Box::new(expression_failed("foreach.returns", &error)))?,
                )
            }
            None => {
                let last = members.iter().rev().find_map(|index| {
                    let step = &self.definition.steps()[*index];
                    self.record(step, within)?.settled()?.output().cloned()
                });
                last.unwrap_or_else(|| Payload::new(Value::Null))
            }
        };
        let bytes = output.text().len();
        match fits(self.state, item, "the output of this item", bytes) {
            Ok(()) => Ok(output),
            Err(error) => Err(Box::new(StepEvent::failed(*error))),
        }
    }

    /// What came of a fan-out whose items have all ended.
    fn all_ended(
        &self,
        fan_out: &ForEachStep,
        path: &Path,
        items: &Items,
        known: &FanOut,
    ) -> Result<Payload, Box<StepError>> {
        if let (ItemsJoin::AllSuccess, Some(first)) = (fan_out.join, known.first_failed) {
            return Err(Box::new(self.items_failed(path, first, known, items.len())));
        }
        let result = |index| {
            let record = self.state.executions().at(&path.item(index));
            record.and_then(StepRecord::settled).map(|s| &s.result)
        };
        let outcomes = (0..items.len()).map(|index| match (result(index), fan_out.join) {
            (Some(StepResult::Completed { output }), ItemsJoin::AllSuccess) => {
                Cow::Borrowed(output.text())
            }
            (Some(StepResult::Completed { output }), ItemsJoin::AllDone) => {
                let output = output.text();
                Cow::Owned(format!("{OUTPUT}{output}{COMPLETED}"))
            }
            (Some(StepResult::Failed { error }), _) => {
                Cow::Owned(json!({"error": error, "status": "failed"}).to_string())
            }
            (Some(StepResult::Skipped) | None, _) => Cow::Borrowed("null"),
        });
        let output = Payload::list(outcomes);
        fits(self.state, path, "this output", output.text().len())?;
        Ok(output)
    }

    fn items_failed(&self, path: &Path, first: u32, known: &FanOut, all: u32) -> StepError {
        let item = path.item(first);
        let record = self.state.executions().at(&item);
        let (code, said) = match record.and_then(StepRecord::settled).map(|s| &s.result) {
            Some(StepResult::Failed { error }) => (error.code.as_str(), error.message.as_str()),
            Some(StepResult::Completed { .. } | StepResult::Skipped) | None => ("", ""),
        };
        let failed = known.failed;
        let message =
            format!("{failed} of {all} items failed; the first is `{item}`: {code}: {said}");
        let mut error = StepError::new(ErrorClass::Failed, codes::ITEMS_FAILED, message);
        error.detail = Some(json!({"items": all, "failed": failed, "first": first}));
        error
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
