//! What events do to a fan-out and to its items.

use super::{Rejected, Touched};
use crate::event::ForEachEvent;
use crate::ids::Path;
use crate::outcome::StepError;
use crate::state::{Items, Kind, Phase, RunState, Slot, StepPhase, StepRecord, StepResult};
use crate::stop::Came;
use crate::time::Timestamp;

impl RunState {
    pub(super) fn check_for_each(
        &self,
        name: &'static str,
        path: &Path,
        event: &ForEachEvent,
    ) -> Result<(), Rejected> {
        let must_be = |wanted: bool| wanted.then_some(()).ok_or_else(|| self.reject(name, path));
        let phase = self.executions.at(path).map(|record| &record.phase);
        match event {
            ForEachEvent::Started { items, .. } => {
                self.must_run(name)?;
                self.may_open(name, path)?;
                must_be(!path.is_item() && items.elements().is_some())
            }
            ForEachEvent::ItemStarted => {
                self.must_run(name)?;
                must_be(path.is_item())?;
                self.may_open(name, path).map(drop)
            }
            ForEachEvent::ItemCompleted { .. } => {
                self.must_run(name)?;
                must_be(matches!(phase, Some(StepPhase::InItem)))
            }
            ForEachEvent::Completed { .. } => {
                self.must_run(name)?;
                must_be(matches!(phase, Some(StepPhase::FannedOut)))
            }
            ForEachEvent::ItemCancelled { .. } => {
                if self.phase.status().is_terminal() {
                    let status = self.phase.status();
                    return Err(Rejected::NotRunning {
                        event: name,
                        status,
                    });
                }
                let settled =
                    matches!(phase, Some(StepPhase::Settled(settled)) if !settled.has_failed());
                let at_work = |slot: &Slot| {
                    let record = self.executions.get(slot);
                    record.is_some_and(|record| record.path == *path || path.holds(&record.path))
                };
                must_be(self.is_item_of_open(path, false))?;
                must_be(!settled && !self.in_flight.iter().any(at_work))
            }
        }
    }

    pub(super) fn change_for_each(
        &mut self,
        path: &Path,
        event: &ForEachEvent,
        at: Timestamp,
    ) -> Touched {
        let mut touched = Touched::step(path);
        match event {
            ForEachEvent::Started { items, .. } => {
                let Some(items) = Items::new(items.clone()) else {
                    return touched;
                };
                self.renew_items(path, &items, &mut touched);
                let record = self.opened(path, at);
                record.kind = Kind::FanOut(items);
                record.phase = StepPhase::FannedOut;
            }
            ForEachEvent::ItemStarted => {
                let record = self.opened(path, at);
                record.kind = Kind::Item;
                record.phase = StepPhase::InItem;
            }
            ForEachEvent::ItemCompleted { output } | ForEachEvent::Completed { output } => {
                let output = output.clone();
                let result = StepResult::Completed { output };
                self.opened(path, at).settle(result, None, at);
                self.executions.share_outputs(path);
            }
            ForEachEvent::ItemCancelled { by } => {
                let error = StepError::item_cancelled(by);
                let item = self.opened(path, at);
                item.leave_child();
                item.settle(StepResult::Failed { error }, None, at);
                for record in self.executions.iter_mut() {
                    if path.holds(&record.path) && record.settled().is_none() {
                        record.leave_child();
                        record.reset();
                        touched.slots.push(Slot::from(&record.path));
                    }
                }
                // The run stands there no more.
                if let Phase::Paused { rest, .. } = &mut self.phase
                    && let Some(stands) = rest.reason().path.clone()
                    && (stands == *path || path.holds(&stands))
                {
                    *rest = rest.ready(path, Came::End, self.created_at.min(at));
                    touched.run = true;
                }
            }
        }
        touched
    }

    /// A fan-out that begins again at the same path: items whose value is the same keep what came of them, unless they failed. What a
    /// person cancelled inside of one that failed stays cancelled.
    fn renew_items(&mut self, path: &Path, items: &Items, touched: &mut Touched) {
        let kept = self.kept_items(path, items);
        if kept.is_empty() {
            return;
        }
        let rules = self.created.rules;
        let record = self.executions.at(path);
        let before = record.and_then(StepRecord::items).cloned();
        let is_same = |index| {
            before
                .as_ref()
                .is_some_and(|before| items.same(before, index))
        };
        for record in self.executions.iter_mut() {
            let Some(index) = record.path.item_of(path) else {
                continue;
            };
            let kept = kept.get(index as usize).is_some_and(|kept| *kept);
            let inside = record.path.segments().len() > path.segments().len();
            let stays = inside && record.stays_cancelled(rules) && is_same(index);
            if !kept && !stays {
                record.begin_anew(touched);
            }
        }
    }

    /// Which items keep what came of them when the fan-out at this path begins again, with these: those whose value is the same,
    /// unless they failed. Nothing of one that begins for the first time.
    #[must_use]
    pub(crate) fn kept_items(&self, path: &Path, items: &Items) -> Vec<bool> {
        let record = self.executions.at(path);
        let Some(before) = record.and_then(StepRecord::items) else {
            return Vec::new();
        };
        let kept = |index: u32| {
            let record = self.executions.at(&path.item(index));
            items.same(before, index) && record.is_some_and(StepRecord::is_kept)
        };
        (0..before.len()).map(kept).collect()
    }

    /// Whether this is the path of an item of a fan-out that has begun; `open` asks that the fan-out has not ended, too.
    pub(super) fn is_item_of_open(&self, path: &Path, open: bool) -> bool {
        let Some((fan_out, index)) = path.fan_out() else {
            return false;
        };
        let record = self.executions.at(&fan_out);
        record.is_some_and(|record| {
            record.items().is_some_and(|items| index < items.len())
                && (!open || record.phase == StepPhase::FannedOut)
        })
    }
}
