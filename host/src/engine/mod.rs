//! The engine: starts, resumes, retries and cancels runs, and drives the ones that this process owns.
//!
//! Everything that changes a run goes load -> decide -> record -> commit -> perform; see `driver` for the loop. A run whose
//! future is dropped releases its claim; a run whose process dies is found by [`Engine::resume`] through its owner.

mod control;
mod driver;
mod error;
pub(crate) mod launch;
mod observer;
mod shared;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use milepost_core::definition::Definition;
use milepost_core::event::{ClaimCause, Event, RunCreated, RunResumed, Stop, StopCode};
use milepost_core::ids::{RunId, StepId};
use milepost_core::limits;
use milepost_core::payload::Payload;
use milepost_core::resume::{Intent, dropped_by, plan};
use milepost_core::state::{Phase, RunState, Status};
use milepost_core::time::Timestamp;
use serde_json::Value;

pub use control::{Control, Request};
pub use error::{Changes, EngineError};
pub use observer::{Notice, Observer, Unobserved};

use self::driver::{Driver, Halted};
use self::shared::Shared;
use crate::clock::{Clock, SystemClock};
use crate::owner::{Liveness, liveness, this_process};
use crate::plugin::PluginSource;
use crate::record::{self, Batch, Recorded};
use crate::report::{RunReport, StopReport};
use crate::store::{Claim, RunRow, Store, StoreError};
use crate::workflow::{self, Components, OpenError, Workflow};

/// Runs workflows against one store. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// Puts an engine together.
pub struct EngineBuilder {
    shared: Shared,
}

impl EngineBuilder {
    /// Uses another clock than the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.shared.clock = clock;
        self
    }

    /// Tells an observer what happens.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.shared.observer = observer;
        self
    }

    /// The engine.
    #[must_use]
    pub fn build(self) -> Engine {
        Engine {
            shared: Arc::new(self.shared),
        }
    }
}

/// How a run is started.
#[derive(Debug, Clone, Default)]
pub struct StartOptions {
    /// The run's id; drawn at random when absent. Starting the same id with the same workflow and inputs again is not a
    /// second run.
    pub id: Option<RunId>,
    /// By which the run can be asked to stop.
    pub control: Control,
}

/// How a stopped run is asked to go on.
#[derive(Debug, Clone, Default)]
pub struct ResumeOptions {
    /// Go on under the definition and the components as they are on disk now.
    pub accept_changes: bool,
    /// By which the run can be asked to stop.
    pub control: Control,
}

/// What a cancel did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "answer", content = "status")]
pub enum CancelAnswer {
    /// The run is cancelled.
    Cancelled,
    /// It was terminal before; nothing was changed (B286).
    Already(Status),
    /// Its owner was asked and will end it.
    Cancelling,
}

impl Engine {
    /// An engine on a store, with a source of components.
    #[must_use]
    pub fn builder(store: Arc<dyn Store>, plugins: Arc<dyn PluginSource>) -> EngineBuilder {
        EngineBuilder {
            shared: Shared {
                store,
                plugins,
                clock: Arc::new(SystemClock),
                observer: Arc::new(Unobserved),
            },
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// Opens a workflow with this engine's components.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, file: &Path) -> Result<Workflow, OpenError> {
        Workflow::open(file, self.shared.plugins.as_ref())
    }

    /// Runs a workflow until it does not move: completed, failed, paused or cancelled.
    ///
    /// `inputs` are typed already ([`Inputs::resolve`](milepost_core::definition::input::Inputs::resolve)). An id that
    /// exists with the same workflow and inputs gives that run's report as it stands; a pending one is driven.
    ///
    /// # Errors
    /// [`EngineError`] when the run could not be started; then there is none.
    pub async fn run(
        &self,
        workflow: Workflow,
        inputs: BTreeMap<String, Value>,
        options: StartOptions,
    ) -> Result<RunReport, EngineError> {
        let run = options.id.clone().unwrap_or_else(new_run_id);
        let now = self.shared.clock.now();
        let inputs = Payload::new(Value::Object(inputs.into_iter().collect()));
        if inputs.text().len() > limits::INPUTS_BYTES {
            return Err(EngineError::InputsTooLarge(inputs.text().len()));
        }
        let created = RunCreated {
            run: run.clone(),
            workflow: workflow.definition.name.to_string(),
            definition: workflow.definition.source.digest,
            file: workflow.file.display().to_string(),
            plugins: workflow.digests(),
            inputs,
            seed: random_bits() >> 11,
        };
        let mut batch = Batch::for_new_run();
        batch.blob(workflow.definition.source.text.as_bytes());
        let mut state = batch.create(Event::RunCreated(created.clone()), now)?;
        self.claim(&mut batch, &mut state, ClaimCause::Start)?;
        let driver = Driver::new(
            Arc::clone(&self.shared),
            workflow.clone(),
            state,
            batch,
            options.control.clone(),
        );
        match self.drive(driver, &workflow.definition).await {
            Err(EngineError::Store(StoreError::Exists(_))) => {
                self.run_existing(workflow, created, options.control).await
            }
            other => other,
        }
    }

    /// The id exists: the same start again is answered with that run, another one is refused.
    async fn run_existing(
        &self,
        workflow: Workflow,
        wanted: RunCreated,
        control: Control,
    ) -> Result<RunReport, EngineError> {
        let recorded = record::load(self.shared.store.as_ref(), &wanted.run)?;
        let existing = &recorded.state.created;
        if existing.definition != wanted.definition
            || existing.inputs != wanted.inputs
            || existing.plugins != wanted.plugins
        {
            return Err(EngineError::IdTaken(wanted.run));
        }
        let lost = recorded.state.phase == Phase::Running
            && !owner_may_live(&recorded.row, self.shared.clock.now());
        let cause = match recorded.state.phase {
            Phase::Pending => ClaimCause::Start,
            // A supervisor that starts the same command again takes over from the process that died.
            Phase::Running if lost => ClaimCause::Recovery,
            Phase::Running
            | Phase::Paused { .. }
            | Phase::Completed { .. }
            | Phase::Failed { .. }
            | Phase::Cancelled { .. } => {
                return Ok(RunReport::new(&workflow.definition, &recorded.state));
            }
        };
        let mut state = recorded.state;
        let mut batch = Batch::after(state.seq, state.epoch);
        self.claim(&mut batch, &mut state, cause)?;
        let definition = Arc::clone(&workflow.definition);
        let driver = Driver::new(Arc::clone(&self.shared), workflow, state, batch, control);
        self.drive(driver, &definition).await
    }

    /// Lets a stopped run go on from its checkpoint: completed steps stay, failed ones run again. Also takes a run whose
    /// owner is gone, and a pending one.
    ///
    /// # Errors
    /// [`EngineError`]; the run stands as before.
    pub async fn resume(
        &self,
        run: &RunId,
        options: ResumeOptions,
    ) -> Result<RunReport, EngineError> {
        self.go_on(run, Intent::Resume, options).await
    }

    /// Runs failed steps again, loops from their first pass; with `from`, that step and what depends on it too.
    ///
    /// # Errors
    /// [`EngineError`]; the run stands as before.
    pub async fn retry(
        &self,
        run: &RunId,
        from: Option<&StepId>,
        options: ResumeOptions,
    ) -> Result<RunReport, EngineError> {
        self.go_on(run, Intent::Retry { from }, options).await
    }

    async fn go_on(
        &self,
        run: &RunId,
        intent: Intent<'_>,
        options: ResumeOptions,
    ) -> Result<RunReport, EngineError> {
        let recorded = record::load(self.shared.store.as_ref(), run)?;
        let cause = resumable(&recorded, intent, self.shared.clock.now())?;
        let bound = self.bind(&recorded, options.accept_changes)?;
        let Recorded { mut state, .. } = recorded;
        let now = self.shared.clock.now();
        let mut batch = Batch::after(state.seq, state.epoch);
        if bound.changed {
            batch.blob(bound.workflow.definition.source.text.as_bytes());
            let event = Event::DefinitionChanged {
                definition: bound.workflow.definition.source.digest,
                plugins: bound.workflow.digests(),
                dropped: dropped_by(&bound.workflow.definition, &state),
            };
            batch.record(&mut state, event, now)?;
        }
        if matches!(state.phase.status(), Status::Paused | Status::Failed) {
            let resumed: RunResumed = plan(&bound.workflow.definition, &state, intent)?;
            batch.record(&mut state, Event::RunResumed(resumed), now)?;
        }
        self.claim(&mut batch, &mut state, cause)?;
        let definition = Arc::clone(&bound.workflow.definition);
        let driver = Driver::new(
            Arc::clone(&self.shared),
            bound.workflow,
            state,
            batch,
            options.control,
        );
        self.drive(driver, &definition).await
    }

    /// Links the run's frozen definition with its components, or the ones on disk when changes are accepted.
    fn bind(&self, recorded: &Recorded, accept_changes: bool) -> Result<Bound, EngineError> {
        let state = &recorded.state;
        let file = Path::new(&state.created.file);
        let frozen = self.frozen_text(state)?;
        // A definition that is gone from disk cannot have been edited: the frozen one serves.
        let on_disk = match workflow::read_definition(file) {
            Ok(text) => Some(text),
            Err(OpenError::Unreadable { cause, .. })
                if cause.kind() == std::io::ErrorKind::NotFound && !accept_changes =>
            {
                None
            }
            Err(error) => return Err(error.into()),
        };
        let mut changes = Changes {
            definition: on_disk
                .filter(|text| *text != frozen)
                .map(|text| (frozen.clone(), text)),
            plugins: BTreeMap::new(),
        };
        let text = match &changes.definition {
            Some((_, new)) if accept_changes => new,
            Some(_) | None => &frozen,
        };
        let components = Components::load(file, text, self.shared.plugins.as_ref());
        if let Some(refused) = components.refused() {
            return Err(OpenError::from(refused.clone()).into());
        }
        // Before the text is checked against the components: a replaced one is not a mistake in the text.
        changes.plugins =
            Changes::of_plugins(&state.binding.plugins, &components.digests()).plugins;
        if !changes.is_empty() && !accept_changes {
            return Err(EngineError::Changed {
                run: state.created.run.clone(),
                changes: Box::new(changes),
            });
        }
        Ok(Bound {
            workflow: components.link(text)?,
            changed: !changes.is_empty(),
        })
    }

    /// The text of the definition that a run carries.
    ///
    /// # Errors
    /// [`EngineError::Store`] when the text is gone or damaged.
    pub fn frozen_text(&self, state: &RunState) -> Result<String, EngineError> {
        Ok(record::definition_text(self.shared.store.as_ref(), state)?)
    }

    /// Ends a run for good. One that another process runs is asked through the store.
    ///
    /// # Errors
    /// [`EngineError`]; the run stands as before.
    pub async fn cancel(&self, run: &RunId, by: &str) -> Result<CancelAnswer, EngineError> {
        loop {
            let Recorded { row, mut state } = record::load(self.shared.store.as_ref(), run)?;
            let status = state.phase.status();
            if status.is_terminal() {
                return Ok(CancelAnswer::Already(status));
            }
            let now = self.shared.clock.now();
            if status == Status::Running && owner_may_live(&row, now) {
                let asked = self.shared.store.request_cancel(run, now).await?;
                let row = self.shared.store.row(run)?;
                // Its owner may have stopped it meanwhile and will not look at the request any more.
                if asked && row.is_some_and(|row| row.status == Status::Running) {
                    return Ok(CancelAnswer::Cancelling);
                }
                continue;
            }
            let mut batch = Batch::after(state.seq, state.epoch);
            let stop = Stop {
                code: StopCode::Cancelled,
                message: format!("cancelled by {by}"),
                path: None,
                next: "nothing; the run is over".to_owned(),
                due_at: None,
                provider: None,
            };
            for event in milepost_core::decide::interrupt(&state, Event::RunCancelled { stop }) {
                batch.record(&mut state, event, now)?;
            }
            let write = batch.to_write(&state);
            match self.shared.store.write(write).await {
                Ok(_) => return Ok(CancelAnswer::Cancelled),
                // Somebody moved the run meanwhile: look again.
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The run as it stands.
    ///
    /// # Errors
    /// [`EngineError`] when it does not exist or cannot be read.
    pub fn report(&self, run: &RunId) -> Result<RunReport, EngineError> {
        let recorded = record::load(self.shared.store.as_ref(), run)?;
        let definition = self.frozen(&recorded.state)?;
        Ok(RunReport::new(&definition, &recorded.state))
    }

    /// The definition that a run carries, checked without its components.
    ///
    /// # Errors
    /// [`EngineError`] when it cannot be read back.
    pub fn frozen(&self, state: &RunState) -> Result<Definition, EngineError> {
        let text = self.frozen_text(state)?;
        let parsed = Definition::parse(&state.created.file, &text).map_err(OpenError::from)?;
        Ok(parsed.definition)
    }

    fn claim(
        &self,
        batch: &mut Batch,
        state: &mut RunState,
        cause: ClaimCause,
    ) -> Result<(), EngineError> {
        let now = self.shared.clock.now();
        let owner = this_process();
        let event = Event::RunClaimed {
            owner: format!("process {} on {}", owner.pid, owner.host),
            cause,
        };
        batch.record(state, event, now)?;
        batch.claim(Claim {
            owner: owner.clone(),
            lease_until: now.after(limits::LEASE),
        });
        Ok(())
    }

    async fn drive(
        &self,
        mut driver: Driver,
        definition: &Definition,
    ) -> Result<RunReport, EngineError> {
        let run = driver.state().created.run.clone();
        let ended = match driver.claim_and_drive().await {
            Ok(ended) => ended,
            Err(StoreError::Conflict { status, .. }) => {
                return Err(self.lost_race(run, status));
            }
            Err(error) => return Err(error.into()),
        };
        match ended {
            Ok(()) => Ok(RunReport::new(definition, driver.state())),
            Err(Halted::NotSaved(reason)) => {
                let mut report = RunReport::new(definition, driver.state());
                report.status = Status::Failed;
                report.output = Value::Null;
                report.stop = Some(StopReport {
                    code: StopCode::CheckpointNotSaved,
                    message: format!("the checkpoint could not be saved: {reason}"),
                    path: None,
                    next: format!(
                        "make the store writable, then `milepost resume {run}`; steps whose outcome was not saved run again"
                    ),
                    due_at: None,
                    provider: None,
                });
                Ok(report)
            }
            Err(Halted::LostClaim) => Err(self.lost_race(run, Status::Running)),
            Err(Halted::Failed(error)) => Err(error),
        }
    }

    fn lost_race(&self, run: RunId, status: Status) -> EngineError {
        let row = self.shared.store.row(&run).ok().flatten();
        EngineError::AlreadyRunning {
            status: row.as_ref().map_or(status, |row| row.status),
            owner: row.and_then(|row| row.owner),
            run,
        }
    }
}

struct Bound {
    workflow: Workflow,
    changed: bool,
}

/// Whether a run can be taken now, and under which cause.
fn resumable(
    recorded: &Recorded,
    intent: Intent<'_>,
    now: Timestamp,
) -> Result<ClaimCause, EngineError> {
    let run = recorded.row.id.clone();
    let status = recorded.state.phase.status();
    let refuse = |reason: &str| EngineError::NotResumable {
        run: run.clone(),
        status,
        reason: reason.to_owned(),
    };
    match status {
        Status::Paused | Status::Failed => Ok(match intent {
            Intent::Resume => ClaimCause::Resume,
            Intent::Retry { .. } => ClaimCause::Retry,
        }),
        Status::Completed => Err(refuse("it has ended; start a new run")),
        Status::Cancelled => Err(refuse("it was cancelled for good; start a new run")),
        Status::Pending | Status::Running => {
            if let Intent::Retry { .. } = intent {
                return Err(refuse(
                    "only a paused or failed run can be retried; `milepost resume` takes over a run whose process is gone",
                ));
            }
            if recorded.row.owner.is_none() {
                Ok(ClaimCause::Start)
            } else if owner_may_live(&recorded.row, now) {
                Err(EngineError::AlreadyRunning {
                    run,
                    status,
                    owner: recorded.row.owner.clone(),
                })
            } else {
                Ok(ClaimCause::Recovery)
            }
        }
    }
}

/// Whether the owner of a run can still be at work. One whose process this host cannot see lives as long as its lease.
fn owner_may_live(row: &RunRow, now: Timestamp) -> bool {
    match row.owner.as_ref().map(liveness) {
        None | Some(Liveness::Gone) => false,
        Some(Liveness::Alive) => true,
        Some(Liveness::Unknown) => row.lease_until.is_some_and(|until| until > now),
    }
}

/// A new run id: 16 characters of lower-case letters and digits, drawn at random.
fn new_run_id() -> RunId {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut bits = u128::from(random_bits()) << 64 | u128::from(random_bits());
    let text: String = (0..16)
        .map(|_| {
            let letter = ALPHABET[(bits % 32) as usize];
            bits /= 32;
            char::from(letter)
        })
        .collect();
    RunId::new(&text).expect("letters and digits make a run id")
}

fn random_bits() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    u64::from_le_bytes(bytes)
}
