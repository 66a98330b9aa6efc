//! The engine: starts, resumes, retries and cancels runs, and drives the ones that this process owns.
//!
//! Everything that changes a run goes load -> decide -> record -> commit -> perform; see `driver` for the loop. `stops` asks
//! runs to stop, `inbox` brings signals, `approvals` decides at approvals, `deadline` tells who comes too late, `sweep` looks
//! after runs that nobody drives, `worker` drives many (`loads`: as far as
//! their components are there).
//! A run whose future is dropped releases its claim; one whose process dies is found by the next sweep through its owner.

mod approvals;
pub(crate) mod attempt_host;
mod changes;
mod clock;
mod control;
mod deadline;
pub(crate) mod driver;
mod error;
mod examination;
mod family;
mod files;
mod fork;
mod housekeeping;
mod inbox;
mod items;
mod keeper;
pub(crate) mod launch;
mod live_log;
mod loads;
mod observer;
mod orphans;
mod posting;
mod presence;
mod shared;
mod span;
mod stops;
mod sweep;
mod taken;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use milepost_core::definition::Definition;
use milepost_core::effect::Artifact;
use milepost_core::event::{ClaimCause, Event, RunCreated, RunEvent};
use milepost_core::grants::Narrowing;
use milepost_core::ids::{Path as StepPath, RunId};
use milepost_core::labels::Labels;
use milepost_core::limits;
use milepost_core::payload::Payload;
use milepost_core::recovery::lease_holds;
use milepost_core::request::Intent;
use milepost_core::request::compensate::Undoing;
use milepost_core::request::resume::ResumeBy;
use milepost_core::request::take::{NotTaken, Owned, take};
use milepost_core::rules::Rules;
use milepost_core::state::{Phase, RunState, Status};
use milepost_core::stop::{Stop, Why};
use serde_json::Value;
use tracing::Instrument as _;

pub use approvals::{ApprovalDecision, Decided};
pub use changes::{Changes, OnChange};
pub use control::{Control, Request};
pub use error::{EngineError, Wanted};
pub use examination::{Doctor, Examining, Finding, Gravity, Remedy, much_unused};
pub use family::FamilyStopped;
pub use fork::ForkOptions;
pub use housekeeping::Collected;
pub use inbox::{SignalAnswer, Signalled};
pub use items::{ItemAnswer, ItemStopped};
pub use milepost_core::request::approve::EarlierDecision;
pub use milepost_core::request::deadline::{Holds, TimedOut};
pub use milepost_core::request::stop::Demand;
pub use observer::{Notice, Observer, Trouble, Unobserved};
pub use span::Spent;
pub use stops::StopAnswer;
pub use sweep::Swept;
pub use taken::Taken;
pub use worker::{WorkOptions, Worked};

use self::changes::{Bound, Load, Version, borrowed};
use self::clock::Following;
use self::driver::{Driver, Halted};
use self::family::END_OF_PARENT;
use self::keeper::Keeper;
use self::loads::LoadPermit;
use self::shared::Shared;
use crate::carried::{self, Kept};
use crate::clock::{Clock, SystemClock};
use crate::input_file::{InputFile, InputFileError};
use crate::metrics::Metrics;
use crate::owner::{Host, Liveness, ThisHost};
use crate::plugin::{Once, PluginSource};
use crate::record::{self, Batch, Recorded};
use crate::report::{OwnerReport, RunReport};
use crate::secrets::{NoSecrets, SecretSource};
use crate::store::sqlite::{Durability, SqliteStore};
use crate::store::{Ask, Claim, Owner, RunRow, StopKind, Store, StoreError};
use crate::wasm_plugins::WasmPlugins;
use crate::workflow::{OpenError, Workflow};

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
        self.shared.clock = Following::new(clock);
        self
    }

    /// Uses other identities for its claims, and another way to tell whether an owner lives.
    #[must_use]
    pub fn host(mut self, host: Arc<dyn Host>) -> Self {
        self.shared.host = host;
        self
    }

    /// Tells an observer what happens.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.shared.observer = observer;
        self
    }

    /// Asks this source for the values of secrets. Without one, no secret has a value.
    #[must_use]
    pub fn secrets(mut self, secrets: Arc<dyn SecretSource>) -> Self {
        self.shared.secrets = secrets;
        self
    }

    /// Takes this away from what workflows grant.
    #[must_use]
    pub fn deny(mut self, narrowing: Narrowing) -> Self {
        self.shared.narrowing = narrowing;
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
    /// What it is called by, to find it again.
    pub labels: Labels,
    /// By which the run can be asked to stop.
    pub control: Control,
}

/// How a stopped run is asked to go on.
#[derive(Debug, Clone, Default)]
pub struct ResumeOptions {
    /// What happens when the definition or a component on disk is not the one that the run carries.
    pub on_change: OnChange,
    /// By which the run can be asked to stop.
    pub control: Control,
}

impl ResumeOptions {
    /// With the definition and the components that the run carries, whatever is on disk.
    #[must_use]
    pub fn as_started(control: Control) -> Self {
        Self {
            on_change: OnChange::AsStarted,
            control,
        }
    }
}

impl Engine {
    /// An engine as most programs want it: on the SQLite store in `file`, which is created when it is missing, with components
    /// from files. [`Engine::builder`] makes others.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be opened.
    pub fn at(file: impl AsRef<Path>) -> Result<Self, StoreError> {
        let store = SqliteStore::open(file.as_ref(), Durability::default())?;
        Ok(Self::builder(Arc::new(store), Arc::new(WasmPlugins::new(None))).build())
    }

    /// An engine on a store, with a source of components.
    #[must_use]
    pub fn builder(store: Arc<dyn Store>, plugins: Arc<dyn PluginSource>) -> EngineBuilder {
        EngineBuilder {
            shared: Shared {
                store,
                plugins: Arc::new(Once::new(plugins)),
                workflows: Kept::default(),
                clock: Following::new(Arc::new(SystemClock)),
                keeper: Keeper::default(),
                metrics: Metrics::default(),
                observer: Arc::new(Unobserved),
                host: Arc::new(ThisHost),
                secrets: Arc::new(NoSecrets),
                narrowing: Narrowing::default(),
            },
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// Adds what this engine has [counted](crate::metrics) to the counters of its store. It does so by itself every 10 seconds while it
    /// has something new, and when it is dropped; that last time is lost in a store that does not answer at once, unless this was
    /// called before.
    pub async fn save_metrics(&self) {
        self.shared.save_metrics().await;
    }

    /// Opens a workflow with this engine's components.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, file: impl AsRef<Path>) -> Result<Workflow, OpenError> {
        Workflow::open(file.as_ref(), self.shared.plugins.as_ref())
    }

    /// Runs a workflow until it does not move: completed, failed, paused or cancelled.
    ///
    /// `inputs` are checked already ([`Workflow::inputs`]). An id that
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
        self.shared.follow().await;
        let (created, mut batch, mut state) = self.create(&workflow, inputs, &options).await?;
        let workflow = workflow.without_bytes();
        let owner = self.claim(&mut batch, &mut state, ClaimCause::Start)?;
        let control = options.control.clone();
        let bound = Bound {
            workflow: workflow.clone(),
            loaded: true,
            changed: None,
        };
        let driver = self.driver(bound, state, batch, owner, control.clone());
        let definition = Arc::clone(&workflow.definition);
        match self.drive_family(driver, definition, control, false).await {
            Err(EngineError::Store(StoreError::Exists(_))) => {
                self.run_existing(workflow, created, options.control).await
            }
            other => other,
        }
    }

    /// Records a run without running it: a worker will. Idempotent by id, as [`Engine::run`] is.
    ///
    /// # Errors
    /// [`EngineError`] when the run could not be recorded.
    pub async fn submit(
        &self,
        workflow: Workflow,
        inputs: BTreeMap<String, Value>,
        options: StartOptions,
    ) -> Result<RunReport, EngineError> {
        self.shared.follow().await;
        let (created, batch, state) = self.create(&workflow, inputs, &options).await?;
        match self.shared.save(&batch, &state).await {
            Ok(_) => {
                self.shared.tell_saved(&state);
                Ok(RunReport::new(&workflow.definition, &state))
            }
            Err(StoreError::Exists(_)) => {
                let state = self.existing(&created, &workflow).await?.state;
                Ok(RunReport::new(&workflow.definition, &state))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps a file for an input of type `file`: the artifact, as JSON, is its value. A run that is started with it within an hour uses it;
    /// after that, what no run uses may be collected.
    ///
    /// ```
    /// use milepost::{Engine, StartOptions};
    /// use milepost::input_file::InputFile;
    /// use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let file = folder.path().join("sizes.toml");
    /// # std::fs::write(&file, "schema = 1\nname = \"sizes\"\n[inputs.orders]\ntype = \"file\"\n[[step]]\nid = \"end\"\nend = { status = \"completed\", output = \"${ inputs.orders.size }\" }\n")?;
    /// # let orders = folder.path().join("orders.csv");
    /// # std::fs::write(&orders, "id,amount\n")?;
    /// let engine = Engine::at(folder.path().join("milepost.db"))?;
    /// let workflow = engine.open(&file)?;
    /// let orders = engine.keep(InputFile::open(&orders, "orders")?).await?;
    /// let inputs = workflow.inputs(json!({ "orders": orders.to_value() }))?;
    /// let report = engine.run(workflow, inputs, StartOptions::default()).await?;
    /// assert_eq!(report.output, 10);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`InputFileError`] when it cannot be read or kept.
    pub async fn keep(&self, file: InputFile) -> Result<Artifact, InputFileError> {
        file.keep(self.shared.store.as_ref()).await
    }

    /// The first event of a new run.
    async fn create(
        &self,
        workflow: &Workflow,
        inputs: BTreeMap<String, Value>,
        options: &StartOptions,
    ) -> Result<(RunCreated, Batch, RunState), EngineError> {
        let inputs = Payload::kept(Value::Object(inputs.into_iter().collect()));
        if inputs.text().len() > limits::INPUTS_BYTES {
            return Err(EngineError::InputsTooLarge(inputs.text().len()));
        }
        if let Some((place, bytes)) = workflow.definition.cannot_take(&inputs.value()) {
            return Err(EngineError::InputsDoNotFit { place, bytes });
        }
        let store = self.shared.store.as_ref();
        let files = files::of_new_run(store, &workflow.definition, &inputs.value()).await?;
        let created = RunCreated {
            run: options.id.clone().unwrap_or_else(|| self.new_run_id()),
            workflow: workflow.definition.name.to_string(),
            definition: workflow.definition.source.digest,
            file: workflow.file.display().to_string(),
            plugins: workflow.digests(),
            inputs,
            seed: self.shared.host.draw() >> 11,
            rules: Rules::PRESENT,
            children: workflow.children().clone(),
            parent: None,
            redacted: Vec::new(),
            fork: None,
            labels: options.labels.clone(),
        };
        let mut batch = Batch::for_new_run();
        batch.workflow(workflow);
        batch.artifacts(files);
        let event = Event::Run(RunEvent::Created(created.clone()));
        let state = batch.create(event, self.shared.clock.now())?;
        Ok((created, batch, state))
    }

    /// The run of that id, if it is the same start: the same workflow, components and inputs. What was accepted since counts
    /// as the same workflow, too.
    async fn existing(
        &self,
        wanted: &RunCreated,
        workflow: &Workflow,
    ) -> Result<Recorded, EngineError> {
        let recorded = record::load(self.shared.store.as_ref(), &wanted.run).await?;
        let (created, now) = (&recorded.state.created(), &recorded.state.binding());
        let otherwise = Taken::otherwise_forked(created, wanted);
        if let Some(taken) = otherwise.or_else(|| Taken::otherwise_labelled(created, wanted)) {
            return Err(EngineError::IdTaken(Box::new(taken)));
        }
        if created.inputs != wanted.inputs
            && *recorded.state.inputs() != wanted.inputs
            && let Some(taken) = Taken::by(created, wanted)
        {
            return Err(EngineError::IdTaken(Box::new(taken)));
        }
        let made_of = (wanted.definition, &wanted.plugins, &wanted.children);
        let same = (created.definition, &created.plugins, &created.children) == made_of
            || (now.definition, &now.plugins, &now.children) == made_of;
        if same {
            return Ok(recorded);
        }
        let carried = self.frozen_text(&recorded.state).await?;
        let children = self.carried_children(&recorded.state).await?;
        let old = Version {
            text: &carried,
            plugins: &now.plugins,
            children: borrowed(&children),
        };
        let descendants = workflow.definition.descendants().into_iter();
        let descendants = descendants.filter_map(|(file, definition)| {
            let carried = wanted.children.get(file)?;
            Some((file, (&*definition.source.text, &carried.plugins)))
        });
        let new = Version {
            text: &workflow.definition.source.text,
            plugins: &wanted.plugins,
            children: descendants.collect(),
        };
        Err(EngineError::StartedOtherwise {
            run: wanted.run.clone(),
            status: recorded.row.status,
            changes: Box::new(Changes::between(&old, &new)),
        })
    }

    fn driver(
        &self,
        bound: Bound,
        state: RunState,
        batch: Batch,
        owner: Owner,
        control: Control,
    ) -> Driver {
        let shared = Arc::clone(&self.shared);
        Driver::new(shared, bound, state, batch, owner, control)
    }

    /// The id exists: the same start again is answered with that run, another one is refused.
    async fn run_existing(
        &self,
        workflow: Workflow,
        wanted: RunCreated,
        control: Control,
    ) -> Result<RunReport, EngineError> {
        let recorded = self.existing(&wanted, &workflow).await?;
        let lost = *recorded.state.phase() == Phase::Running && !self.owner_may_live(&recorded.row);
        if lost {
            self.end_orphans(&recorded.row).await;
        }
        let cause = match recorded.state.phase() {
            Phase::Pending => ClaimCause::Start,
            // A supervisor that starts the same command again takes over from the process that died, as a worker would.
            Phase::Running if lost && recorded.row.recoveries >= limits::RECOVERIES => {
                self.give_up(&recorded.row).await?;
                let state = record::load(self.shared.store.as_ref(), &wanted.run)
                    .await?
                    .state;
                return Ok(RunReport::new(&workflow.definition, &state));
            }
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
        let bound = self.as_started(&state, Load::UnderClaim).await?;
        let mut batch = Batch::after(state.seq(), state.epoch());
        let owner = self.claim(&mut batch, &mut state, cause)?;
        let definition = Arc::clone(&bound.workflow.definition);
        let driver = self.driver(bound, state, batch, owner, control.clone());
        let driven = self.drive_family(driver, Arc::clone(&definition), control, true);
        match driven.await {
            // It ended before it could be claimed: answered as a start that comes later.
            Err(EngineError::NotResumable { .. }) => {
                let state = record::load(self.shared.store.as_ref(), &wanted.run)
                    .await?
                    .state;
                Ok(RunReport::new(&definition, &state))
            }
            other => other,
        }
    }

    /// Continues a stopped run from its checkpoint: completed steps stay, failed ones run again. Also takes a run whose
    /// owner is gone, and a pending one.
    ///
    /// # Errors
    /// [`EngineError`]; the run stands as before, but after [`EngineError::NotBegun`].
    pub async fn resume(
        &self,
        run: &RunId,
        options: ResumeOptions,
    ) -> Result<RunReport, EngineError> {
        self.go_on(run, Intent::Resume(ResumeBy::Person), options)
            .await
    }

    /// Runs failed steps again, loops from their first iteration; with `from`, that step, or what stands at that
    /// path in a fan-out, and what depends on it too.
    ///
    /// # Errors
    /// [`EngineError`]; the run stands as before.
    pub async fn retry(
        &self,
        run: &RunId,
        from: Option<&StepPath>,
        options: ResumeOptions,
    ) -> Result<RunReport, EngineError> {
        self.go_on(run, Intent::Retry { from }, options).await
    }

    /// Undoes what a failed run has done: calls the compensations of its completed steps, the latest first. It stays failed.
    ///
    /// # Errors
    /// [`EngineError`]; the run stands as before.
    pub async fn compensate(
        &self,
        run: &RunId,
        by: &str,
        options: ResumeOptions,
    ) -> Result<RunReport, EngineError> {
        let wanted = Undoing { cancels: false, by };
        self.go_on(run, Intent::Compensate(wanted), options).await
    }

    async fn go_on(
        &self,
        run: &RunId,
        intent: Intent<'_>,
        options: ResumeOptions,
    ) -> Result<RunReport, EngineError> {
        self.shared.follow().await;
        let recorded = record::load_to_change(self.shared.store.as_ref(), run).await?;
        let control = options.control.clone();
        let prepared = self.prepared(recorded, None, intent, options, None);
        match prepared.await? {
            Some((driver, definition)) => {
                self.drive_family(driver, definition, control, true).await
            }
            None => self.report(run).await,
        }
    }

    /// [`Engine::prepared`], and driven.
    pub(super) async fn go_on_from(
        &self,
        recorded: Recorded,
        seen: Option<&RunRow>,
        intent: Intent<'_>,
        options: ResumeOptions,
        permit: Option<LoadPermit>,
    ) -> Result<RunReport, EngineError> {
        let run = recorded.row.id.clone();
        let prepared = self.prepared(recorded, seen, intent, options, permit);
        match prepared.await? {
            Some((driver, definition)) => self.drive(driver, &definition).await,
            None => self.report(&run).await,
        }
    }

    /// Drives a run that was offered, or found lost, and in this process its children, from where that row stands.
    pub(crate) async fn take_up(
        &self,
        row: &RunRow,
        how: ResumeBy,
        control: Control,
    ) -> Result<RunReport, EngineError> {
        let recorded = record::load_to_change(self.shared.store.as_ref(), &row.id).await?;
        let options = ResumeOptions::as_started(control.clone());
        let prepared = self.prepared(recorded, Some(row), Intent::Resume(how), options, None);
        match prepared.await? {
            Some((driver, definition)) => {
                self.drive_family(driver, definition, control, false).await
            }
            None => self.report(&row.id).await,
        }
    }

    /// Runs that somebody may take now, but for these, and how they go on.
    pub(crate) async fn offered(
        &self,
        except: BTreeSet<RunId>,
    ) -> Result<Vec<(RunRow, ResumeBy)>, StoreError> {
        let ask = Ask {
            room: usize::MAX,
            except,
        };
        let offer = self.shared.store.offer(&ask).await?;
        let rows = offer.rows.into_iter();
        Ok(rows
            .map(|row| (row.clone(), worker::goes_on(&row)))
            .collect())
    }

    /// Something was left for a run of this process: its driver looks now.
    pub(crate) fn nudge(&self, run: &RunId) {
        self.shared.keeper.nudge(run);
    }

    /// Who drives a run on, before it is claimed; `None` when this process was asked to stop first.
    ///
    /// With `seen`, only from where that row stands: what was due, pending or lost then may have been taken, and stopped
    /// again for another reason, since. What is not at hand is loaded under the permit, if there is one.
    async fn prepared(
        &self,
        recorded: Recorded,
        seen: Option<&RunRow>,
        intent: Intent<'_>,
        options: ResumeOptions,
        permit: Option<LoadPermit>,
    ) -> Result<Option<(Driver, Arc<Definition>)>, EngineError> {
        let run = &recorded.row.id;
        let stands = (recorded.row.seq, recorded.row.epoch);
        if seen.is_some_and(|seen| (seen.seq, seen.epoch) != stands) {
            return Err(self.lost_race(run.clone(), recorded.row.status).await);
        }
        let mut cause = self.resumable(&recorded, intent)?;
        if cause == ClaimCause::Recovery {
            self.end_orphans(&recorded.row).await;
        }
        // Nobody looked for work here: a person takes the run over.
        if cause == ClaimCause::Recovery && seen.is_none() {
            cause = ClaimCause::Resume;
        }
        // What stopped for good or waits for a person is left as it is when a person's try does not work (B184). All else is
        // claimed first, so that a try counts however it ends.
        let stopped = matches!(recorded.row.status, Status::Paused | Status::Failed);
        let load = match seen {
            None if stopped => Load::First,
            _ => Load::UnderClaim,
        };
        let mut state = recorded.state;
        let binding = self.bind(&state, options.on_change, load);
        let bound = tokio::select! {
        biased;
        bound = binding => bound?,
        // Nothing was recorded yet: the run stands as before.
                    _ = options.control.asked(None), if load == Load::First => return Ok(None),
        };
        let now = self.shared.clock.now();
        let mut batch = Batch::after(state.seq(), state.epoch());
        self.correct_clock(&mut batch, &mut state).await?;
        let mut bound = bound;
        // The store does not hold those of an older version's run, or holds them damaged.
        batch.components(&bound.workflow);
        if let Some(changed) = bound.changed.take() {
            batch.workflow(&bound.workflow);
            batch.record(&mut state, changed, now)?;
            let (store, definition) = (self.shared.store.as_ref(), &bound.workflow.definition);
            batch.artifacts(files::known(store, definition, &state.inputs().value()).await?);
        }
        bound.workflow = bound.workflow.without_bytes();
        let definition = Arc::clone(&bound.workflow.definition);
        let stopped = matches!(state.phase().status(), Status::Paused | Status::Failed);
        if stopped || matches!(intent, Intent::Compensate(_)) {
            let event = intent.event(&definition, &state)?;
            if let (Intent::Retry { from: Some(_) }, RunEvent::Resumed(resumed)) = (intent, &event)
            {
                batch.renew_reset(&state, resumed);
            }
            batch.record(&mut state, event.into(), now)?;
        }
        let owner = self.claim(&mut batch, &mut state, cause)?;
        let mut driver = self.driver(bound, state, batch, owner, options.control);
        driver.loads_under(permit);
        Ok(Some((driver, definition)))
    }

    /// The text of the definition that a run carries.
    ///
    /// # Errors
    /// [`EngineError::Store`] when the text is gone or damaged.
    pub async fn frozen_text(&self, state: &RunState) -> Result<String, EngineError> {
        Ok(record::definition_text(self.shared.store.as_ref(), state).await?)
    }

    /// The run as it stands; also one whose definition cannot be read any more.
    ///
    /// # Errors
    /// [`EngineError`] when it does not exist or cannot be read.
    pub async fn report(&self, run: &RunId) -> Result<RunReport, EngineError> {
        let recorded = record::load(self.shared.store.as_ref(), run).await?;
        let mut report = match self.frozen(&recorded.state).await {
            Ok(definition) => RunReport::new(&definition, &recorded.state),
            Err(error @ (EngineError::Open(_) | EngineError::Store(StoreError::Corrupt(_)))) => {
                RunReport::without_definition(&recorded.state, &error.to_string())
            }
            Err(error) => return Err(error),
        };
        self.report_children(&mut report).await?;
        report.owned(self.owner(&recorded.row));
        Ok(report)
    }

    /// The definition that a run carries, read without its components, by the rules that it was accepted under.
    ///
    /// # Errors
    /// [`EngineError`] when it cannot be read back.
    pub async fn frozen(&self, state: &RunState) -> Result<Definition, EngineError> {
        carried::definition(self.shared.store.as_ref(), state).await
    }

    /// Adds a claim to the batch, under an identity of its own; the driver gives that back.
    fn claim(
        &self,
        batch: &mut Batch,
        state: &mut RunState,
        cause: ClaimCause,
    ) -> Result<Owner, EngineError> {
        let now = self.shared.clock.now();
        let owner = self.shared.host.enter();
        let event = Event::Run(RunEvent::Claimed {
            owner: format!("process {} on {}", owner.pid, owner.host),
            cause,
        });
        if let Err(rejected) = batch.record(state, event, now) {
            self.shared.host.leave(&owner);
            return Err(rejected.into());
        }
        batch.claim(Claim {
            owner: owner.clone(),
            lease: limits::LEASE,
        });
        Ok(owner)
    }

    async fn drive(
        &self,
        mut driver: Driver,
        definition: &Definition,
    ) -> Result<RunReport, EngineError> {
        let run = driver.state().created().run.clone();
        // What a process left undone that died; what is left to do of it then is for whoever takes it up.
        let _finishing = self.end_left_children(driver.state()).await;
        let span = driver.span();
        let ended = match driver.claim_and_drive().instrument(span).await {
            Ok(ended) => ended,
            Err(StoreError::Conflict { status, .. }) => {
                return Err(self.lost_race(run, status).await);
            }
            Err(error) => return Err(error.into()),
        };
        match ended {
            Ok(()) => {
                if let Some(error) = driver.not_begun() {
                    return Err(EngineError::NotBegun {
                        status: driver.state().phase().status(),
                        run,
                        error: Box::new(error),
                    });
                }
                let mut report = RunReport::new(definition, driver.state());
                report.unsaved = driver.is_unsaved();
                if definition.starts_runs() {
                    let _finishing = self.end_left_children(driver.state()).await;
                    if report.status == Status::Cancelled {
                        self.end_children(&run, StopKind::Cancel, END_OF_PARENT)
                            .await;
                    }
                }
                Ok(report)
            }
            Err(Halted::NotSaved(reason)) => {
                let mut report = RunReport::new(definition, driver.state());
                report.status = Status::Failed;
                report.output = Value::Null;
                report.stop = Some(Stop::new(Why::CheckpointNotSaved { error: reason }));
                Ok(report)
            }
            Err(Halted::LostClaim) => {
                let row = self.shared.store.row(&run).await.ok().flatten();
                Err(EngineError::ClaimLost {
                    status: row.map(|row| row.status),
                    run,
                })
            }
            Err(Halted::Failed(error) | Halted::NotBegun(error)) => Err(error),
        }
    }

    /// Somebody was quicker. When that ended the run, there is nothing to try again (B181).
    async fn lost_race(&self, run: RunId, status: Status) -> EngineError {
        let row = self.shared.store.row(&run).await.ok().flatten();
        let status = row.as_ref().map_or(status, |row| row.status);
        if status.is_terminal() {
            return is_over(run, status);
        }
        EngineError::AlreadyRunning {
            status,
            owner: row.and_then(|row| row.owner),
            run,
        }
    }
}

fn is_over(run: RunId, status: Status) -> EngineError {
    let how = match status {
        Status::Cancelled => "a cancelled run cannot be continued",
        _ => "it has ended",
    };
    EngineError::NotResumable {
        run,
        status,
        reason: format!("{how}; start a new run"),
    }
}

impl Engine {
    /// Whether a run can be taken now, and under which cause.
    fn resumable(
        &self,
        recorded: &Recorded,
        intent: Intent<'_>,
    ) -> Result<ClaimCause, EngineError> {
        let (row, status) = (&recorded.row, recorded.state.phase().status());
        let owned = match row.owner {
            None => Owned::Nobody,
            Some(_) if self.owner_may_live(row) => Owned::Alive,
            Some(_) => Owned::Lost,
        };
        let run = || row.id.clone();
        take(&recorded.state, owned, intent).map_err(|reason| match reason {
            NotTaken::Over => is_over(run(), status),
            NotTaken::Moves => EngineError::NotResumable {
                run: run(),
                status,
                reason: "only a paused or failed run can be retried".to_owned(),
            },
            NotTaken::Owned => EngineError::AlreadyRunning {
                run: run(),
                status,
                owner: row.owner.clone(),
            },
        })
    }

    /// Whether the owner of a run can still be at work. One whose process this host cannot see lives as long as its lease.
    pub(super) fn owner_may_live(&self, row: &RunRow) -> bool {
        let now = self.shared.clock.now();
        match self.liveness(row) {
            None | Some(Liveness::Gone) => false,
            Some(Liveness::Alive) => true,
            Some(Liveness::Unknown) => row.lease_until.is_some_and(|until| lease_holds(until, now)),
        }
    }

    /// Who owns a run, and whether that process still drives it, as far as can be told from here.
    #[must_use]
    pub fn owner(&self, row: &RunRow) -> Option<OwnerReport> {
        OwnerReport::new(row, self.liveness(row), self.shared.clock.now())
    }

    /// Whether the owner of a run lives, as far as this host can tell; `None` when nobody owns it.
    #[must_use]
    pub fn liveness(&self, row: &RunRow) -> Option<Liveness> {
        let host = self.shared.host.as_ref();
        row.owner.as_ref().map(|owner| host.liveness(owner))
    }

    /// A new run id: 16 characters of lower-case letters and digits, drawn at random.
    fn new_run_id(&self) -> RunId {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let host = self.shared.host.as_ref();
        let mut bits = u128::from(host.draw()) << 64 | u128::from(host.draw());
        let text: String = (0..16)
            .map(|_| {
                let letter = ALPHABET[(bits % 32) as usize];
                bits /= 32;
                char::from(letter)
            })
            .collect();
        RunId::new(&text).expect("letters and digits make a run id")
    }
}
