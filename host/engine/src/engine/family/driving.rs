//! Who drives a run and, in the same process, the runs that it starts.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use milepost_core::definition::Definition;
use milepost_core::ids::{Path, RunId};
use milepost_core::request::Intent;
use milepost_core::request::resume::ResumeBy;
use milepost_core::request::stop::Demand;
use milepost_core::state::{RunState, Status};
use milepost_core::stop::StopCode;
use tokio::sync::mpsc;

use crate::engine::control::Control;
use crate::engine::driver::{Driver, OfChild};
use crate::engine::error::EngineError;
use crate::engine::family::goes_on_as_carried;
use crate::engine::{Engine, ResumeOptions, StopAnswer, Trouble};
use crate::record::{self, Recorded};
use crate::report::RunReport;
use crate::store::StopKind;

/// How often, and how soon again, it is looked whether a run was claimed before its children go on.
const CLAIM_LOOKS: usize = 250;
const CLAIM_LOOK: Duration = Duration::from_millis(20);

impl Engine {
    /// Drives a run and, in this process, its children and theirs, until nothing of it moves here.
    pub(in crate::engine) fn drive_family(
        &self,
        driver: Driver,
        definition: Arc<Definition>,
        control: Control,
        by_person: bool,
    ) -> BoxFuture<'static, Result<RunReport, EngineError>> {
        let engine = self.clone();
        Box::pin(async move { engine.family(driver, &definition, control, by_person).await })
    }

    async fn family(
        &self,
        driver: Driver,
        definition: &Arc<Definition>,
        control: Control,
        by_person: bool,
    ) -> Result<RunReport, EngineError> {
        let run = driver.state().created().run.clone();
        let mut driving = FuturesUnordered::<BoxFuture<'static, ()>>::new();
        if by_person {
            let parent = Arc::new((driver.state().clone(), definition.clone()));
            for (path, child) in driver.state().awaited_children() {
                let (run, path) = (child.run.clone(), path.clone());
                driving.push(self.drive_awaited(&parent, path, run, &control));
            }
        }
        let mut next = Some(driver);
        let mut last: Option<RunReport> = None;
        loop {
            if let Some(mut driver) = next.take() {
                let (told, mut started) = mpsc::unbounded_channel();
                driver.tells_children(told);
                let stopped = driver.hears_of_children();
                let mut own = self.driven(driver, definition);
                let report = loop {
                    tokio::select! {
                        biased;
                        report = &mut own => break report,
                        Some(child) = started.recv() => {
                            driving.push(self.tend(child, &control));
                        }
                        Some(()) = driving.next(), if !driving.is_empty() => stopped.notify_one(),
                    }
                };
                while let Ok(child) = started.try_recv() {
                    driving.push(self.tend(child, &control));
                }
                if let Ok(report) = &report
                    && report.status == Status::Pending
                {
                    next = self.to_finish(&run, &control).await?;
                    if next.is_some() {
                        continue;
                    }
                }
                if let Ok(report) = &report
                    && report.status.is_terminal()
                    && definition.starts_runs()
                {
                    // What has something left to do that ended with it.
                    let (descendants, _more) = self.descendants(&run).await?;
                    for row in descendants {
                        if row.status == Status::Pending {
                            driving.push(self.drive_child(row.id, control.clone(), false));
                        }
                    }
                }
                match report {
                    Ok(report) if report.status == Status::Paused => last = Some(report),
                    // What the children do without it is for whoever drives them next.
                    other if driving.is_empty() => return other,
                    other => {
                        while driving.next().await.is_some() {}
                        return other;
                    }
                }
            }
            next = self.after_children(&run, &control).await?;
            if next.is_some() {
                continue;
            }
            match driving.next().await {
                Some(()) => {}
                None => {
                    next = self.end_standing(&run, &control).await?;
                    if next.is_some() {
                        continue;
                    }
                    let report = self.report(&run).await?;
                    return Ok(match last {
                        Some(last) if report.status == Status::Paused => RunReport {
                            unsaved: last.unsaved,
                            ..report
                        },
                        Some(_) | None => report,
                    });
                }
            }
        }
    }

    /// Who drives a run on that stood still until its children ended.
    fn after_children<'a>(
        &'a self,
        run: &'a RunId,
        control: &'a Control,
    ) -> BoxFuture<'a, Result<Option<Driver>, EngineError>> {
        Box::pin(async move {
            let recorded = record::load(self.shared.store.as_ref(), run).await?;
            let stopped = recorded.state.phase().status() == Status::Paused;
            if recorded.state.phase().status() == Status::Pending {
                // Somebody cancels it.
                return self.to_finish(run, control).await;
            }
            let asked = control.present().is_some();
            if !stopped || asked || !self.deliver_children(run).await? {
                return Ok(None);
            }
            let recorded = record::load(self.shared.store.as_ref(), run).await?;
            if !recorded.state.moves() {
                return Ok(None);
            }
            self.taken_up(recorded, ResumeBy::Wait, control).await
        })
    }

    /// Ends a run that stands still where somebody has asked for that in this process, after its children have ended. Returns who
    /// drives it on where something is left to do before its end.
    fn end_standing<'a>(
        &'a self,
        run: &'a RunId,
        control: &'a Control,
    ) -> BoxFuture<'a, Result<Option<Driver>, EngineError>> {
        Box::pin(async move {
            let Some(request) = control.present() else {
                return Ok(None);
            };
            let kind = match request.demand {
                Demand::Kill => StopKind::Kill,
                Demand::Cancel => StopKind::Cancel,
                Demand::Compensate => StopKind::Compensate,
                Demand::Pause | Demand::PauseNow | Demand::Release | Demand::ReleaseNow => {
                    return Ok(None);
                }
            };
            let row = self.shared.store.row(run).await?;
            if row.is_none_or(|row| row.status != Status::Paused) {
                return Ok(None);
            }
            let ended = self.end_family_by(run, kind, &request.by).await?;
            match ended.answer {
                StopAnswer::Finishing => self.to_finish(run, control).await,
                _ => Ok(None),
            }
        })
    }

    /// Who drives a run on that stands still; `None` when a worker was quicker.
    async fn taken_up(
        &self,
        recorded: Recorded,
        by: ResumeBy,
        control: &Control,
    ) -> Result<Option<Driver>, EngineError> {
        let options = ResumeOptions::as_started(control.clone());
        let prepared = self.prepared(recorded, None, Intent::Resume(by), options, None);
        match prepared.await {
            Ok(prepared) => Ok(prepared.map(|(driver, _)| driver)),
            Err(EngineError::AlreadyRunning { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// [`Engine::drive`], apart: families are polled inside of each other, eight deep, and what each of them takes of the stack counts.
    fn driven<'a>(
        &'a self,
        driver: Driver,
        definition: &'a Definition,
    ) -> BoxFuture<'a, Result<RunReport, EngineError>> {
        Box::pin(self.drive(driver, definition))
    }

    fn tend(&self, child: OfChild, control: &Control) -> BoxFuture<'static, ()> {
        match child {
            OfChild::Moves(run) => self.drive_child(run, control.clone(), false),
            OfChild::Left(run) => {
                let (engine, control) = (self.clone(), control.clone());
                Box::pin(async move {
                    for run in engine.end_left_child(run).await {
                        engine.drive_child(run, control.clone(), false).await;
                    }
                })
            }
        }
    }

    /// A run that was cancelled as it paused, or while it stood still, and was not released: it is driven to its end.
    fn to_finish<'a>(
        &'a self,
        run: &'a RunId,
        control: &'a Control,
    ) -> BoxFuture<'a, Result<Option<Driver>, EngineError>> {
        Box::pin(async move {
            let recorded = record::load(self.shared.store.as_ref(), run).await?;
            let released = control.present().is_some_and(|request| {
                matches!(request.demand, Demand::Release | Demand::ReleaseNow)
            });
            let pending = recorded.row.status == Status::Pending;
            if released || !pending || recorded.state.ending().is_none() {
                return Ok(None);
            }
            match self.taken_up(recorded, ResumeBy::Person, control).await {
                // A worker was quicker, and it is over.
                Err(EngineError::NotResumable { .. }) => Ok(None),
                taken => taken,
            }
        })
    }

    /// Drives a child run on for which a resumed run waits, under what that carries by now.
    fn drive_awaited(
        &self,
        parent: &Arc<(RunState, Arc<Definition>)>,
        path: Path,
        run: RunId,
        control: &Control,
    ) -> BoxFuture<'static, ()> {
        let (engine, parent) = (self.clone(), Arc::clone(parent));
        let driven = self.drive_child(run.clone(), control.clone(), true);
        Box::pin(async move {
            let (parent, definition) = parent.as_ref();
            if engine.is_taken_up(parent).await {
                let shared = engine.shared.as_ref();
                let went_on = goes_on_as_carried(shared, definition, parent, &path, &run).await;
                if let Err(error) = went_on {
                    let text = error.to_string();
                    engine
                        .shared
                        .tell_trouble(Some(run.as_str()), Trouble::Error(&text));
                }
            }
            driven.await;
        })
    }

    /// Whether the claim of this state is written, waiting for that a moment.
    async fn is_taken_up(&self, state: &RunState) -> bool {
        let run = &state.created().run;
        for _ in 0..CLAIM_LOOKS {
            match self.shared.store.row(run).await {
                Ok(Some(row)) if row.epoch >= state.epoch() => return row.epoch == state.epoch(),
                Ok(Some(_)) => tokio::time::sleep(CLAIM_LOOK).await,
                Ok(None) | Err(_) => return false,
            }
        }
        false
    }

    /// Drives a child run as far as it goes in this process. What is wrong with it is told, and recorded where that matters.
    fn drive_child(&self, run: RunId, family: Control, by_person: bool) -> BoxFuture<'static, ()> {
        let engine = self.clone();
        Box::pin(async move {
            let control = Control::default();
            let mut driven = engine.child(&run, control.clone(), by_person);
            let mut passed = None;
            let driven = loop {
                tokio::select! {
                    biased;
                    driven = &mut driven => break driven,
                    request = family.asked_here(passed) => {
                        passed = Some(request.demand);
                        control.ask(request);
                    }
                }
            };
            match driven {
                Ok(())
                | Err(EngineError::AlreadyRunning { .. } | EngineError::NotResumable { .. }) => {}
                Err(error) => {
                    let text = error.to_string();
                    let trouble = Trouble::Error(&text);
                    engine.shared.tell_trouble(Some(run.as_str()), trouble);
                }
            }
        })
    }

    fn child<'a>(
        &'a self,
        run: &'a RunId,
        control: Control,
        by_person: bool,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(self.go_on_with_child(run, control, by_person))
    }

    async fn go_on_with_child(
        &self,
        run: &RunId,
        control: Control,
        by_person: bool,
    ) -> Result<(), EngineError> {
        let recorded = record::load(self.shared.store.as_ref(), run).await?;
        let state = &recorded.state;
        let waits_for_others = matches!(
            state.phase().stop_code(),
            Some(
                StopCode::WaitingForTime
                    | StopCode::WaitingForSignal
                    | StopCode::WaitingForApproval
            )
        );
        let intent = match state.phase().status() {
            Status::Pending => Intent::Resume(ResumeBy::Person),
            Status::Paused if state.moves() => Intent::Resume(ResumeBy::Wait),
            Status::Paused if by_person && !waits_for_others => Intent::Resume(ResumeBy::Person),
            Status::Running if by_person => Intent::Resume(ResumeBy::Person),
            _ => return Ok(()),
        };
        let options = ResumeOptions::as_started(control.clone());
        let row = recorded.row.clone();
        let prepared = Box::pin(self.prepared(recorded, Some(&row), intent, options, None));
        let Some((driver, definition)) = prepared.await? else {
            return Ok(());
        };
        let driven = self.drive_family(driver, definition, control, by_person);
        driven.await.map(drop)
    }
}
