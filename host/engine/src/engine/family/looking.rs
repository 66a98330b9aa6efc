//! What is told of the runs that a run has started, and which of them somebody means.

use std::collections::BTreeSet;

use milepost_core::ids::{Path, RunId};
use milepost_core::limits;
use milepost_core::state::{RunState, Status};

use super::awaited;
use crate::engine::Engine;
use crate::engine::error::{EngineError, Wanted};
use crate::record;
use crate::report::{RunReport, StepReport};
use crate::store::{Family, Filter, Pages, RunRow, StoreError};

impl Engine {
    /// Adds how the children of a run stand.
    pub(in crate::engine) async fn report_children(
        &self,
        report: &mut RunReport,
    ) -> Result<(), StoreError> {
        let store = self.shared.store.as_ref();
        let none = |step: &StepReport| step.child.is_none() && step.items.is_none();
        if report.steps.iter().all(none) {
            return Ok(());
        }
        for child in report.steps.iter_mut().flat_map(StepReport::children_mut) {
            // One that cannot be read is told by whoever shows that one.
            let Ok(Some(row)) = store.row(&child.run).await else {
                continue;
            };
            child.status = Some(row.status);
            if row.stop_code.is_some()
                && let Ok(recorded) = record::load(store, &child.run).await
            {
                child.stop = recorded.state.phase().stop();
            }
        }
        for status in Status::ALL {
            let of_status = Filter {
                statuses: vec![status],
                family: Family::ChildrenOf(report.id.clone()),
                ..Filter::default()
            };
            let count = store.count(&of_status).await?;
            if count > 0 {
                report.children.insert(status, count);
            }
        }
        Ok(())
    }

    /// The child run that takes what somebody brings to a run that waits for it; `takes` says which one wants it. Where none does,
    /// the first one is named if `or_first` says so. A person who named a step that waits for a child means that one.
    pub(in crate::engine) async fn at_child(
        &self,
        state: &RunState,
        wanted: Wanted,
        named: Option<&str>,
        takes: impl Fn(&RunRow) -> bool,
        or_first: bool,
    ) -> Result<Option<EngineError>, EngineError> {
        if state.phase().status().is_terminal() {
            return Ok(None);
        }
        let store = self.shared.store.as_ref();
        let mut awaited = awaited(state);
        let meant = |(path, _): &(Path, RunId)| named == Some(path.to_string().as_str());
        if awaited.iter().any(meant) {
            awaited.retain(meant);
        }
        let at = |path: &Path, child: &RunId| EngineError::AtChild {
            run: state.created().run.clone(),
            path: path.clone(),
            child: child.clone(),
            wanted: wanted.clone(),
        };
        for (path, child) in &awaited {
            let mut open = vec![child.clone()];
            let mut looked = 0;
            while let Some(run) = open.pop()
                && looked < limits::CHILD_FILES
            {
                looked += 1;
                let Ok(recorded) = record::load(store, &run).await else {
                    continue;
                };
                if takes(&recorded.row) {
                    return Ok(Some(at(path, &run)));
                }
                let below = recorded.state.awaited_children();
                open.extend(below.map(|(_, child)| child.run.clone()));
            }
        }
        let first = awaited.first().filter(|_| or_first);
        Ok(first.map(|(path, child)| at(path, child)))
    }

    /// The child run that will wait for a signal of this name, by its workflow, though it does not yet.
    pub(in crate::engine) async fn will_wait(
        &self,
        state: &RunState,
        name: &str,
    ) -> Result<Option<EngineError>, EngineError> {
        let store = self.shared.store.as_ref();
        let asked = &state.created().run;
        for (path, child) in awaited(state) {
            let mut open = vec![child];
            let mut looked = 0;
            while let Some(run) = open.pop()
                && looked < limits::CHILD_FILES
            {
                looked += 1;
                let Ok(recorded) = record::load(store, &run).await else {
                    continue;
                };
                let state = recorded.state;
                if state.phase().status().has_ended() {
                    continue;
                }
                let definition = self.frozen(&state).await;
                if definition.is_ok_and(|definition| definition.signals().contains(&name)) {
                    return Ok(Some(EngineError::AtChild {
                        run: asked.clone(),
                        path,
                        child: run,
                        wanted: Wanted::Signal(name.to_owned()),
                    }));
                }
                let below = state.awaited_children();
                open.extend(below.map(|(_, child)| child.run.clone()));
            }
        }
        Ok(None)
    }

    /// The runs that a run has started, and those that they have started, the ones closest to it first; `true` says that there
    /// are more.
    pub(in crate::engine) async fn descendants(
        &self,
        run: &RunId,
    ) -> Result<(Vec<RunRow>, bool), StoreError> {
        let store = self.shared.store.as_ref();
        let mut found: Vec<RunRow> = Vec::new();
        let mut seen = BTreeSet::from([run.clone()]);
        let mut open = vec![run.clone()];
        while let Some(parent) = open.pop() {
            let mut pages = Pages::of(Filter {
                family: Family::ChildrenOf(parent),
                ..Filter::default()
            });
            while let Some(page) = pages.next(store).await? {
                for row in page.rows {
                    if found.len() >= limits::FAMILY {
                        return Ok((found, true));
                    }
                    if seen.insert(row.id.clone()) {
                        open.insert(0, row.id.clone());
                        found.push(row);
                    }
                }
            }
        }
        Ok((found, false))
    }
}
