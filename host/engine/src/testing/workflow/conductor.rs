//! Lets a run take place on the real engine: what a worker, a clock and people do, in virtual time.
//!
//! Everything is polled by one task. When the thread has nothing to do, nothing can happen before time passes: then whoever
//! sleeps wakes up, paused runs are due, people act. An engine that dies is followed by another one on the same store.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use milepost_core::ids::{Path, RunId};
use milepost_core::request::resume::ResumeBy;
use milepost_core::state::Status;
use milepost_core::stop::StopCode;
use milepost_core::time::Timestamp;

use super::act::{Act, Ask, What};
use super::host::{Known, Life};
use super::stage::{Stage, Staged};
use super::store::Seen;
use super::{TestError, WorkflowTest};
use crate::clock::Clock as _;
use crate::engine::{
    ApprovalDecision, Control, Demand, Engine, EngineError, Request, ResumeOptions, StartOptions,
};
use crate::report::{RunReport, stop_of};
use crate::store::prelude::*;
use crate::store::{Filter, RunRow};
use crate::testing::compare::Finding;
use crate::workflow::Workflow;

/// Who acts has acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Waits,
    /// It acts again after a crash, if it still can.
    Tried,
    /// Under way; `since`: where the run stood.
    Acts {
        since: u64,
    },
    Done,
}

enum Ended {
    /// A run that was driven stands still.
    Run(RunId, Box<Result<RunReport, EngineError>>),
    /// So much for what the test's person did.
    Act(usize, Result<(), EngineError>),
}

pub(super) struct Conductor<'a> {
    test: &'a WorkflowTest,
    stage: Arc<Stage>,
    staged: Arc<Staged>,
    engine: Engine,
    tasks: FuturesUnordered<BoxFuture<'static, Ended>>,
    /// Runs that are driven here.
    driven: BTreeMap<RunId, Control>,
    acts: Vec<Stands>,
    start: Timestamp,
    findings: Vec<Finding>,
}

impl<'a> Conductor<'a> {
    pub(super) fn new(test: &'a WorkflowTest, stage: Arc<Stage>, staged: Arc<Staged>) -> Self {
        Self {
            engine: engine(test, &stage, &staged),
            acts: vec![Stands::Waits; test.acts.len()],
            start: stage.clock.now(),
            test,
            stage,
            staged,
            tasks: FuturesUnordered::new(),
            driven: BTreeMap::new(),
            findings: Vec::new(),
        }
    }

    /// From the start until nothing happens any more. Returns what was wrong.
    pub(super) async fn play(mut self, workflow: Workflow) -> Result<Vec<Finding>, TestError> {
        let inputs = workflow
            .inputs(self.test.inputs.clone())
            .map_err(|error| TestError::Missing(error.to_string()))?;
        let run = self.test.run.clone();
        let control = Control::default();
        let options = StartOptions {
            id: Some(run.clone()),
            control: control.clone(),
            ..StartOptions::default()
        };
        let engine = self.engine.clone();
        self.drive(run, control, async move {
            engine.run(workflow, inputs, options).await
        });
        loop {
            let stage = Arc::clone(&self.stage);
            tokio::select! {
                biased;
                () = stage.died() => {}
                Some(ended) = self.tasks.next(), if !self.tasks.is_empty() => {
                    self.ended(ended).await?;
                    continue;
                }
                () = stage.idle() => {
                    // What it does itself may be what the engine dies of, and then never comes to an end.
                    let goes_on = tokio::select! {
                        biased;
                        () = stage.died() => None,
                        goes_on = self.next() => Some(goes_on?),
                    };
                    match goes_on {
                        Some(true) => continue,
                        Some(false) => break,
                        None => {}
                    }
                }
            }
            if stage.is_endless() {
                let message = format!("the run has not ended after {} events", self.test.most);
                self.findings.push(Finding::new(message, 0..0));
                break;
            }
            self.begin_again().await?;
        }
        self.tasks.clear();
        self.left_over().await?;
        Ok(self.findings)
    }

    /// Nothing moves: looks for what is to be done now, or else for what comes later. Returns whether there is anything.
    async fn next(&mut self) -> Result<bool, TestError> {
        Ok(self.look_around().await? || self.go_on().await?)
    }

    /// After a crash: another process takes over what the first one has left.
    async fn begin_again(&mut self) -> Result<(), TestError> {
        self.tasks.clear();
        self.driven.clear();
        self.stage.revive().await;
        for at in 0..self.acts.len() {
            if let Stands::Acts { since } = self.acts[at] {
                let moved = self.seq().await? > since;
                let is_once = matches!(
                    self.test.acts[at].what,
                    What::Request {
                        what: Ask::Resume | Ask::Retry | Ask::Compensate,
                        ..
                    }
                );
                self.acts[at] = match moved && is_once {
                    true => Stands::Done,
                    false => Stands::Tried,
                };
            }
        }
        self.engine = engine(self.test, &self.stage, &self.staged);
        Ok(())
    }

    async fn ended(&mut self, ended: Ended) -> Result<(), TestError> {
        match ended {
            Ended::Run(run, result) => {
                self.driven.remove(&run);
                match *result {
                    Ok(_)
                    | Err(EngineError::AlreadyRunning { .. } | EngineError::NotResumable { .. }) => {
                    }
                    Err(error) => return Err(TestError::Engine(Box::new(error))),
                }
                // Whoever waits for it may be driven here, too.
                for parent in self.driven.keys() {
                    self.engine.nudge(parent);
                }
            }
            Ended::Act(at, result) => {
                self.acts[at] = Stands::Done;
                if let What::Request { .. } = self.test.acts[at].what {
                    self.driven.remove(&self.test.run);
                }
                if let Err(error) = result
                    && !self.was_lost(&error)
                {
                    let act = &self.test.acts[at];
                    let message = format!("{}: {error}", act.shown());
                    self.findings.push(Finding::new(message, act.place.clone()));
                }
            }
        }
        Ok(())
    }

    /// After a crash, what was done before may be done again: it is answered so.
    fn was_lost(&self, error: &EngineError) -> bool {
        let again = matches!(
            error,
            EngineError::AlreadyDecided(_)
                | EngineError::NotWaiting { .. }
                | EngineError::NotResumable { .. }
                | EngineError::AlreadyRunning { .. }
        );
        again && self.stage.life() > 1
    }

    /// What a worker does: looks after what nobody drives, and takes what is on offer. Returns whether there was anything.
    async fn look_around(&mut self) -> Result<bool, TestError> {
        let swept = self.engine.sweep().await.map_err(EngineError::from)?;
        let mut taken: Vec<(RunRow, ResumeBy)> = Vec::new();
        taken.extend(swept.lost.into_iter().map(|row| (row, ResumeBy::Person)));
        let driven: BTreeSet<RunId> = self.driven.keys().cloned().collect();
        taken.extend(
            self.engine
                .offered(driven)
                .await
                .map_err(EngineError::from)?,
        );
        let changed = [&swept.delivered, &swept.stopped, &swept.given_up];
        let any = !taken.is_empty() || changed.iter().any(|runs| !runs.is_empty());
        for (row, how) in taken {
            let control = Control::default();
            let (engine, run, given) = (self.engine.clone(), row.id.clone(), control.clone());
            self.drive(run, control, async move {
                engine.take_up(&row, how, given).await
            });
        }
        Ok(any)
    }

    /// Nothing moves: somebody acts, or time passes. Returns whether there is anything to come.
    async fn go_on(&mut self) -> Result<bool, TestError> {
        let waits: Vec<usize> = (0..self.acts.len())
            .filter(|at| matches!(self.acts[*at], Stands::Waits | Stands::Tried))
            .collect();
        for at in &waits {
            if self.test.acts[*at].at.is_none() && self.is_awaited(*at).await? {
                self.act(*at).await?;
                return Ok(true);
            }
        }
        let timed = waits.iter().copied().filter_map(|at| {
            let after = self.test.acts[at].at?;
            Some((self.start.after(after), at))
        });
        let act = timed.min();
        let next = [
            act.map(|(at, _)| at),
            self.stage.clock.next(),
            self.due().await?,
        ];
        if let Some(next) = next.into_iter().flatten().min() {
            let end = self.test.until.map(|until| self.start.after(until));
            if end.is_some_and(|end| next > end) {
                return Ok(false);
            }
            self.stage.clock.go_on_to(next);
            if let Some((at, number)) = act
                && at <= next
            {
                self.act(number).await?;
            }
            return Ok(true);
        }
        // Nothing comes by itself.
        let standing = |at: &&usize| {
            let act = &self.test.acts[**at];
            act.at.is_none() && matches!(act.what, What::Request { .. })
        };
        match waits.iter().find(standing) {
            Some(at) if self.tasks.is_empty() && !self.is_over().await? => {
                self.act(*at).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// When the next paused run is due.
    async fn due(&self) -> Result<Option<Timestamp>, TestError> {
        let rows = self.rows().await?.into_iter();
        let paused = rows.filter(|row| row.status == Status::Paused);
        Ok(paused.filter_map(|row| row.due_at).min())
    }

    async fn rows(&self) -> Result<Vec<RunRow>, TestError> {
        let filter = Filter {
            limit: usize::MAX,
            ..Filter::default()
        };
        let listing = self.stage.store.list(&filter).await;
        Ok(listing.map_err(EngineError::from)?.rows)
    }

    async fn row(&self) -> Result<Option<RunRow>, TestError> {
        let row = self.stage.store.row(&self.test.run).await;
        Ok(row.map_err(EngineError::from)?)
    }

    async fn seq(&self) -> Result<u64, TestError> {
        Ok(self.row().await?.map_or(0, |row| row.seq))
    }

    /// Whether nothing can be asked of the run any more.
    async fn is_over(&self) -> Result<bool, TestError> {
        let row = self.row().await?;
        Ok(row.is_none_or(|row| row.status.is_terminal()))
    }

    /// Whether a run waits for what somebody does.
    async fn is_awaited(&self, at: usize) -> Result<bool, TestError> {
        let rows = self.rows().await?;
        match &self.test.acts[at].what {
            What::Signal { name, to, .. } => {
                let to = self.run_of(to.as_deref(), &rows).await;
                let waits = |row: &RunRow| row.awaits.iter().any(|awaited| awaited == name);
                let mut rows = rows.iter();
                let to = to.filter(|(_, rest)| rest.is_empty());
                Ok(to.is_some_and(|(run, _)| rows.any(|row| row.id == run && waits(row))))
            }
            What::Decision { step, .. } => {
                let Some((run, path)) = self.asked_at(step.as_deref(), &rows).await else {
                    return Ok(false);
                };
                let recorded = crate::record::load(self.stage.store.as_ref(), &run).await;
                let state = recorded.map_err(EngineError::from)?.state;
                let asked =
                    milepost_core::request::approve::asking(&state, path.as_deref(), None, false);
                Ok(asked.is_ok())
            }
            What::Request { .. } => Ok(false),
        }
    }

    /// The run in which the step stands that the test calls so, and what it is called there.
    async fn run_of(&self, step: Option<&str>, rows: &[RunRow]) -> Option<(RunId, String)> {
        let Some(step) = step else {
            return Some((self.test.run.clone(), String::new()));
        };
        let whole = format!("{step}/");
        let mut found: Option<(usize, RunId, String)> = None;
        for row in rows {
            let before = self.stage.before(&row.id).await;
            for prefix in [&before.full, &before.short] {
                let Some(rest) = whole.strip_prefix(prefix.as_str()) else {
                    continue;
                };
                if found
                    .as_ref()
                    .is_none_or(|(length, ..)| *length < prefix.len())
                {
                    let rest = rest.trim_end_matches('/').to_owned();
                    found = Some((prefix.len(), row.id.clone(), rest));
                }
            }
        }
        found.map(|(_, run, rest)| (run, rest))
    }

    /// The run that asks for a decision, and where.
    async fn asked_at(
        &self,
        step: Option<&str>,
        rows: &[RunRow],
    ) -> Option<(RunId, Option<String>)> {
        if let Some(step) = step {
            let (run, rest) = self.run_of(Some(step), rows).await?;
            return Some((run, Some(rest)));
        }
        let asks = |row: &&RunRow| stop_of(row) == Some(StopCode::WaitingForApproval);
        let run = rows.iter().find(asks).map(|row| row.id.clone());
        Some((run.unwrap_or_else(|| self.test.run.clone()), None))
    }

    fn drive(
        &mut self,
        run: RunId,
        control: Control,
        driven: impl Future<Output = Result<RunReport, EngineError>> + Send + 'static,
    ) {
        self.driven.insert(run.clone(), control);
        self.tasks.push(Box::pin(
            async move { Ended::Run(run, Box::new(driven.await)) },
        ));
    }

    /// Somebody does what the test says.
    async fn act(&mut self, at: usize) -> Result<(), TestError> {
        let since = self.seq().await?;
        self.acts[at] = Stands::Acts { since };
        let rows = self.rows().await?;
        let act: &Act = &self.test.acts[at];
        let (engine, busy) = (self.engine.clone(), self.stage.busy());
        let nowhere =
            |step: &str| Finding::new(format!("no run of `{step}` is there"), act.place.clone());
        match act.what.clone() {
            What::Signal { name, payload, to } => {
                let found = self.run_of(to.as_deref(), &rows).await;
                let Some((run, _)) = found.filter(|(_, rest)| rest.is_empty()) else {
                    self.findings
                        .push(nowhere(to.as_deref().unwrap_or_default()));
                    self.acts[at] = Stands::Done;
                    return Ok(());
                };
                self.tasks.push(Box::pin(async move {
                    let token = format!("test-{at}");
                    let sent = engine.signal_once(&run, &name, &payload, &token).await;
                    engine.nudge(&run);
                    drop(busy);
                    Ended::Act(at, sent.map(drop))
                }));
            }
            What::Decision {
                step,
                verdict,
                comment,
                by,
            } => {
                let Some((run, path)) = self.asked_at(step.as_deref(), &rows).await else {
                    self.findings
                        .push(nowhere(step.as_deref().unwrap_or_default()));
                    self.acts[at] = Stands::Done;
                    return Ok(());
                };
                let decision = ApprovalDecision {
                    path,
                    verdict,
                    comment,
                    by,
                };
                self.tasks.push(Box::pin(async move {
                    let decided = engine.decide_approval(&run, &decision).await;
                    engine.nudge(&run);
                    drop(busy);
                    Ended::Act(at, decided.map(drop))
                }));
            }
            What::Request { what, step, by } => {
                drop(busy);
                self.request(at, what, step, by).await;
            }
        }
        Ok(())
    }

    async fn request(&mut self, at: usize, what: Ask, step: Option<String>, by: String) {
        let (engine, run) = (self.engine.clone(), self.test.run.clone());
        let told = |control: Option<&Control>, demand| {
            if let Some(control) = control {
                control.ask(Request::new(demand, by.as_str()));
            }
        };
        let control = Control::default();
        let options = ResumeOptions::as_started(control.clone());
        let driven: BoxFuture<'static, Result<RunReport, EngineError>> = match what {
            Ask::Resume => Box::pin(async move { engine.resume(&run, options).await }),
            Ask::Compensate => Box::pin(async move { engine.compensate(&run, &by, options).await }),
            Ask::Retry => {
                let from: Option<Path> = match step.as_deref().map(str::parse).transpose() {
                    Ok(from) => from,
                    Err(error) => {
                        let message = format!("the request to retry: {error}");
                        let place = self.test.acts[at].place.clone();
                        self.findings.push(Finding::new(message, place));
                        self.acts[at] = Stands::Done;
                        return;
                    }
                };
                Box::pin(async move { engine.retry(&run, from.as_ref(), options).await })
            }
            Ask::Cancel => {
                let answer = engine.cancel(&run, &by).await;
                told(self.driven.get(&run), Demand::Cancel);
                self.answered(at, answer.map(drop));
                return;
            }
            Ask::Pause => {
                let answer = engine.pause(&run, true, &by).await;
                told(self.driven.get(&run), Demand::PauseNow);
                self.answered(at, answer.map(drop));
                return;
            }
        };
        let run = self.test.run.clone();
        self.driven.insert(run.clone(), control);
        self.tasks.push(Box::pin(async move {
            match driven.await {
                Err(error) => Ended::Act(at, Err(error)),
                result => Ended::Run(run, Box::new(result)),
            }
        }));
    }

    fn answered(&mut self, at: usize, answer: Result<(), EngineError>) {
        self.acts[at] = Stands::Done;
        if let Err(error) = answer {
            let act = &self.test.acts[at];
            let message = format!("{}: {error}", act.shown());
            self.findings.push(Finding::new(message, act.place.clone()));
        }
    }

    /// What nobody came to ask for, and signals that nothing has taken.
    async fn left_over(&mut self) -> Result<(), TestError> {
        let mut found: Vec<(String, Range<usize>)> = Vec::new();
        let rows = self.rows().await?;
        for (at, act) in self.test.acts.iter().enumerate() {
            if self.acts[at] == Stands::Waits {
                let why = match act.at {
                    Some(_) => "the test was over before its time",
                    None if matches!(act.what, What::Request { .. }) => {
                        "the run never stood still for it"
                    }
                    None => "nothing waited for it",
                };
                found.push((
                    format!("{} did not come: {why}", act.shown()),
                    act.place.clone(),
                ));
                continue;
            }
            let What::Signal { name, .. } = &act.what else {
                continue;
            };
            for row in &rows {
                let inbox = self.stage.store.inbox(&row.id, usize::MAX).await;
                let inbox = inbox.map_err(EngineError::from)?;
                let token = format!("test-{at}");
                let known = self.stage.store.known_token(&row.id, &token).await;
                let known = known.map_err(EngineError::from)?;
                if known.is_some_and(|known| inbox.iter().any(|kept| kept.number == known.number)) {
                    found.push((
                        format!("nothing has taken the signal `{name}`"),
                        act.place.clone(),
                    ));
                }
            }
        }
        let found = found.into_iter();
        self.findings
            .extend(found.map(|(message, place)| Finding::new(message, place)));
        Ok(())
    }
}

/// The next life of the engine.
fn engine(test: &WorkflowTest, stage: &Arc<Stage>, staged: &Arc<Staged>) -> Engine {
    let life = stage.life();
    let store = Arc::new(Seen {
        store: Arc::clone(&stage.store),
        stage: Arc::clone(stage),
        life,
    });
    Engine::builder(store, Arc::clone(staged) as _)
        .clock(Arc::new(stage.clock.clone()))
        .host(Arc::new(Life::new(life, test.seed)))
        .secrets(Arc::new(Known(test.secrets.clone())))
        .build()
}
