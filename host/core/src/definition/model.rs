//! The checked definition: a type that cannot be wrong. Only the loader builds one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::expr::{Expr, Reference, Template};
use crate::grants::Grants;
use crate::ids::{Digest, Path, StepId};
use crate::limits::CallLimits;
use crate::retry::RetryPolicy;

/// A workflow as the engine sees it.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Where it came from, with its exact text.
    pub source: Source,
    /// Name of the workflow.
    pub name: Arc<str>,
    /// The author's version text.
    pub version: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Declared inputs, by name.
    pub inputs: BTreeMap<String, InputSpec>,
    /// Declared components, by name.
    pub plugins: BTreeMap<String, PluginSpec>,
    /// The run's output; without it, the output of the last top-level step that completed.
    pub returns: Option<Template>,
    /// What an attempt is granted.
    pub call_limits: CallLimits,
    /// What a run may take in its store.
    pub disk_bytes: usize,
    /// How the top-level steps follow each other.
    pub flow: Flow,
    /// What a failed step means for the others of its graph.
    pub on_failure: OnFailure,
    /// Attempts at the same time.
    pub parallel: usize,
    /// How long all steps with `finally` may take together.
    pub finally_time: Duration,
    /// Every step, in file order; indices are stable within one definition.
    pub(super) steps: Vec<Step>,
    /// Indices of the top-level steps, in file order.
    pub(super) top: Vec<usize>,
    /// Those of them without `finally`.
    pub(super) main: Vec<usize>,
    /// Those of them with it.
    pub(super) finally: Vec<usize>,
    /// Index of a step by its id.
    pub(super) by_id: BTreeMap<StepId, usize>,
}

/// The text of a definition and where it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// File name for diagnostics, as the user gave it.
    pub file: String,
    /// The exact text.
    pub text: Arc<str>,
    /// Digest of the text.
    pub digest: Digest,
}

/// Type of a declared input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputType {
    /// UTF-8 text.
    String,
    /// 64-bit signed integer.
    Int,
    /// Double.
    Float,
    /// `true` or `false`.
    Bool,
    /// Any JSON value.
    Json,
    /// A file: the run keeps its bytes as an artifact, and the value is what is known of that.
    File,
}

/// A declared input.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSpec {
    /// Its type.
    pub ty: InputType,
    /// Whether a run needs it (default: unless there is a default).
    pub required: bool,
    /// Value when none is given; already of type `ty`.
    pub default: Option<Value>,
    /// For people.
    pub description: Option<String>,
    /// Allowed values, when restricted; already of type `ty`.
    pub allowed: Option<Vec<Value>>,
}

/// A declared component.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginSpec {
    /// File, relative to the definition file.
    pub source: String,
    /// Digest that the file must have, when pinned.
    pub digest: Option<Digest>,
    /// Settings for `config.get`.
    pub config: Arc<BTreeMap<String, Value>>,
    /// What it may reach outside of its sandbox.
    pub grants: Arc<Grants>,
    /// Whether inputs and outputs of its steps are held against its manifest.
    pub validate: bool,
}

/// One unit of a definition.
#[derive(Debug, Clone)]
pub struct Step {
    /// Unique over the definition.
    pub id: StepId,
    /// Index of the loop or fan-out whose body this step is in.
    pub parent: Option<usize>,
    /// What it does.
    pub kind: StepKind,
    /// `if`: of type bool.
    pub condition: Option<Expr>,
    /// Whether a failure of this step is handled: later steps run, and the run can complete.
    pub continue_on_error: bool,
    /// Whether it runs at the end, after everything else.
    pub finally: bool,
    /// How long it may take over all its attempts and waits, from when it first starts.
    pub deadline: Option<Duration>,
    /// In a graph: indices of the members of the same scope that are settled before this one starts, in file order.
    pub needs: Vec<usize>,
    /// Which outcomes of those let it run.
    pub join: Join,
    /// Steps whose record this step's expressions read, itself and its body excluded.
    pub reads: BTreeSet<StepId>,
    /// Byte range of its `id` in the source, for messages.
    pub span: std::ops::Range<usize>,
}

/// How the members of a scope follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// In file order, one at a time.
    Sequence,
    /// As their `needs` allow.
    Graph,
}

/// What a failed member of a graph means for those that have not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Whatever can still run, runs.
    Finish,
    /// Nothing new starts.
    Stop,
    /// Whatever can still run, runs; then what has completed is undone.
    Compensate,
}

/// Which outcomes of what a step needs let it run. A failure that is handled counts as success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// All succeeded.
    AllSuccess,
    /// One succeeded.
    OneSuccess,
    /// None failed, and one succeeded.
    NoneFailedMinOneSuccess,
    /// Whatever came of them.
    AllDone,
}

impl Join {
    /// Whether a step runs of whose needs so many came to each end. Whoever needs nothing runs.
    #[must_use]
    pub const fn lets_run(self, succeeded: usize, failed: usize, skipped: usize) -> bool {
        let none = succeeded + failed + skipped == 0;
        none || match self {
            Self::AllSuccess => failed + skipped == 0,
            Self::OneSuccess => succeeded > 0,
            Self::NoneFailedMinOneSuccess => failed == 0 && succeeded > 0,
            Self::AllDone => true,
        }
    }

    /// The word of the language for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AllSuccess => "all_success",
            Self::OneSuccess => "one_success",
            Self::NoneFailedMinOneSuccess => "none_failed_min_one_success",
            Self::AllDone => "all_done",
        }
    }
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum StepKind {
    /// Calls a component.
    Component(ComponentStep),
    /// Repeats its body.
    Loop(LoopStep),
    /// Waits for time or a signal.
    Wait(WaitStep),
    /// Asks a person.
    Approval(ApprovalStep),
    /// Does the same for each item of a list.
    ForEach(ForEachStep),
    /// Ends the run.
    End(EndStep),
    /// Starts a run of another workflow.
    Child(ChildStep),
}

/// A run of another workflow, whose end settles the step.
#[derive(Debug, Clone)]
pub struct ChildStep {
    /// The file of the workflow, as it is written.
    pub workflow: String,
    /// What stands there; `None` where the definition was read without its children.
    pub child: Option<Child>,
    /// Inputs of the run: an object.
    pub with: Template,
}

/// The workflow of a child run.
#[derive(Debug, Clone)]
pub struct Child {
    /// Its file, absolute.
    pub file: String,
    /// What it holds.
    pub definition: Arc<Definition>,
}

/// A call of one step of one component.
#[derive(Debug, Clone)]
pub struct ComponentStep {
    /// Key into [`Definition::plugins`].
    pub plugin: String,
    /// Step name inside the component; `None` when `use` named only the plugin and its manifest has not been seen yet. With a `#`
    /// in it, it is a function that the component exports: see [`Function::full_name`](crate::function::Function::full_name).
    pub step: Option<Arc<str>>,
    /// Input of the step: an object.
    pub with: Template,
    /// What happens after a failed attempt.
    pub retry: RetryPolicy,
    /// Whether a failure is handled and the step does not say what follows when its attempts are used up: then it fails.
    pub handled: bool,
    /// Effective timeout of one attempt.
    pub timeout: Duration,
    /// Where the timeout comes from.
    pub timeout_source: TimeoutSource,
    /// Whether it runs again whenever a person resumes or retries the run.
    pub always_run: bool,
    /// How long an attempt may be silent: no log line, no progress, no other call of the host.
    pub idle_timeout: Option<Duration>,
    /// How it is undone.
    pub compensation: Option<Box<Compensation>>,
    /// Secrets of the call, of those that the plugin is allowed.
    pub secrets: BTreeSet<Arc<str>>,
}

/// The call that undoes a completed call. What it may take, and what happens when it fails, is as for the step.
#[derive(Debug, Clone)]
pub struct Compensation {
    /// Key into [`Definition::plugins`].
    pub plugin: String,
    /// As [`ComponentStep::step`].
    pub step: Option<Arc<str>>,
    /// Its input: an object. May read the output of the step that it undoes.
    pub with: Template,
    /// As [`ComponentStep::secrets`].
    pub secrets: BTreeSet<Arc<str>>,
}

/// The step of a component that an attempt calls.
#[derive(Debug, Clone, Copy)]
pub struct Callee<'a> {
    /// Key into [`Definition::plugins`].
    pub plugin: &'a str,
    /// As [`ComponentStep::step`].
    pub step: Option<&'a Arc<str>>,
    /// As [`ComponentStep::secrets`].
    pub secrets: &'a BTreeSet<Arc<str>>,
}

/// Which line of the definition set a timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeoutSource {
    /// The step's own `timeout`.
    Step,
    /// `[defaults] timeout`.
    Defaults,
    /// The engine's default.
    Engine,
}

/// A repeated body.
#[derive(Debug, Clone)]
pub struct LoopStep {
    /// Evaluated once after every full iteration.
    pub until: Expr,
    /// Effective limit: min(own or default, `limits.loop`, the engine's cap).
    pub max_iterations: u32,
    /// What exhaustion means.
    pub on_exhausted: OnExhausted,
    /// Indices of the members, in file order; never empty.
    pub body: Vec<usize>,
    /// How those follow each other.
    pub flow: Flow,
}

/// A fan-out: the same for each item of a list.
#[derive(Debug, Clone)]
pub struct ForEachStep {
    /// The list.
    pub items: Expr,
    /// Items at work at the same time.
    pub max_parallel: usize,
    /// What failed items mean.
    pub join: ItemsJoin,
    /// How many items there may be.
    pub max_items: usize,
    /// What is done for each.
    pub over: Over,
}

/// What a fan-out does for each item.
#[derive(Debug, Clone)]
pub enum Over {
    /// Calls a component.
    Call(ComponentStep),
    /// Starts a run of another workflow.
    Child(ChildStep),
    /// Runs its members.
    Body {
        /// Indices of the members, in file order; never empty.
        members: Vec<usize>,
        /// How those follow each other.
        flow: Flow,
        /// Output of an item; without it, that of the last member that completed.
        returns: Option<Template>,
    },
}

/// What the failed items of a fan-out mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemsJoin {
    /// It fails when all items have ended.
    AllSuccess,
    /// It completes, and says how each of them ended.
    AllDone,
}

/// A wait without a component.
#[derive(Debug, Clone)]
pub enum WaitStep {
    /// `for`: so long, from when the step's turn comes.
    For(Duration),
    /// `until`: to a point in time, which the expression gives as RFC 3339 text.
    Until(Expr),
    /// `signal`: for a signal of this name.
    Signal {
        /// The name.
        name: String,
        /// How long at most.
        timeout: Option<Duration>,
        /// What a timeout means.
        on_timeout: OnWaitTimeout,
    },
}

/// What happens to a wait for a signal whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnWaitTimeout {
    /// The step fails.
    Fail,
    /// The step completes with `timed_out = true`.
    Continue,
}

/// A question to a person.
#[derive(Debug, Clone)]
pub struct ApprovalStep {
    /// What the person is asked: a text.
    pub message: Template,
    /// How long at most.
    pub timeout: Option<Duration>,
    /// What a timeout means.
    pub on_timeout: OnApprovalTimeout,
    /// What a rejection means when there is no rework.
    pub on_reject: OnReject,
    /// What runs again after a rejection.
    pub rework: Option<Rework>,
}

/// What happens to an approval whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnApprovalTimeout {
    /// As if somebody had rejected, without rework.
    Reject,
    /// As if somebody had approved.
    Approve,
    /// The run stays paused until somebody decides.
    Stay,
}

/// What a rejection does to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnReject {
    /// It is cancelled.
    Cancel,
    /// The step completes with `decision = "rejected"`, and the run goes on.
    Continue,
}

/// The end of a run, as a step.
#[derive(Debug, Clone)]
pub struct EndStep {
    /// How the run ends.
    pub status: EndStatus,
    /// Why, for people: a text.
    pub message: Option<Template>,
    /// The output of a run that completes.
    pub output: Option<Template>,
}

/// How a step ends its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EndStatus {
    /// As completed.
    Completed,
    /// As failed.
    Failed,
    /// As cancelled.
    Cancelled,
}

impl EndStatus {
    /// The stable text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A second chance after a rejection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rework {
    /// The earlier step, of the same loop body or the top level, from which the run goes over its work again.
    pub from: StepId,
    /// The rejection that ends it: from 1 to [`REWORK_ATTEMPTS`](crate::limits::REWORK_ATTEMPTS).
    pub max_attempts: u32,
}

/// What happens to a loop whose iterations are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnExhausted {
    /// The loop step fails.
    Fail,
    /// The loop step completes with `condition_met = false`.
    Continue,
}

impl Step {
    /// Whether an expression that its outcome comes of reads this input; of a loop or fan-out, members not included.
    #[must_use]
    pub fn reads_input(&self, input: &str) -> bool {
        let is_it =
            |reference: &Reference| matches!(reference, Reference::Input(name) if name == input);
        let in_template = |template: &Template| template.references().into_iter().any(is_it);
        let in_expr = |expr: &Expr| expr.references().any(is_it);
        let in_kind = match &self.kind {
            StepKind::Component(call) => in_template(&call.with),
            StepKind::Child(child) => in_template(&child.with),
            StepKind::Loop(body) => in_expr(&body.until),
            StepKind::Wait(WaitStep::Until(until)) => in_expr(until),
            StepKind::Wait(WaitStep::For(_) | WaitStep::Signal { .. }) => false,
            StepKind::Approval(approval) => in_template(&approval.message),
            StepKind::End(end) => end.message.iter().chain(&end.output).any(in_template),
            StepKind::ForEach(fan_out) => {
                let each = match &fan_out.over {
                    Over::Call(call) => in_template(&call.with),
                    Over::Child(child) => in_template(&child.with),
                    Over::Body { returns, .. } => returns.iter().any(in_template),
                };
                each || in_expr(&fan_out.items)
            }
        };
        in_kind || self.condition.iter().any(in_expr)
    }

    /// The workflow of its child runs, if it starts any and that was looked for.
    #[must_use]
    pub const fn child(&self) -> Option<&Child> {
        match self.starts() {
            Some(step) => step.child.as_ref(),
            None => None,
        }
    }

    /// The child run that it starts, itself or for each of its items.
    #[must_use]
    pub const fn starts(&self) -> Option<&ChildStep> {
        match &self.kind {
            StepKind::Child(step)
            | StepKind::ForEach(ForEachStep {
                over: Over::Child(step),
                ..
            }) => Some(step),
            StepKind::Component(_)
            | StepKind::End(_)
            | StepKind::Loop(_)
            | StepKind::Wait(_)
            | StepKind::ForEach(_)
            | StepKind::Approval(_) => None,
        }
    }

    /// What it calls, itself or for each of its items.
    #[must_use]
    pub const fn call(&self) -> Option<&ComponentStep> {
        match &self.kind {
            StepKind::Component(call)
            | StepKind::ForEach(ForEachStep {
                over: Over::Call(call),
                ..
            }) => Some(call),
            StepKind::Loop(_)
            | StepKind::Wait(_)
            | StepKind::Approval(_)
            | StepKind::End(_)
            | StepKind::Child(_)
            | StepKind::ForEach(_) => None,
        }
    }

    /// What an attempt at this path calls: the step's own component, or the one that undoes it.
    #[must_use]
    pub fn callee(&self, path: &Path) -> Option<Callee<'_>> {
        let call = self.call()?;
        Some(match path.is_compensation() {
            false => Callee {
                plugin: &call.plugin,
                step: call.step.as_ref(),
                secrets: &call.secrets,
            },
            true => {
                let compensation = call.compensation.as_ref()?;
                Callee {
                    plugin: &compensation.plugin,
                    step: compensation.step.as_ref(),
                    secrets: &compensation.secrets,
                }
            }
        })
    }

    /// Indices of its members, in file order.
    #[must_use]
    pub fn members(&self) -> &[usize] {
        match &self.kind {
            StepKind::Loop(LoopStep { body, .. }) => body,
            StepKind::ForEach(ForEachStep {
                over: Over::Body { members, .. },
                ..
            }) => members,
            StepKind::Component(_)
            | StepKind::Wait(_)
            | StepKind::Approval(_)
            | StepKind::End(_)
            | StepKind::Child(_)
            | StepKind::ForEach(_) => &[],
        }
    }

    /// The list that it goes over, where it does.
    #[must_use]
    pub const fn for_each(&self) -> Option<&ForEachStep> {
        match &self.kind {
            StepKind::ForEach(fan_out) => Some(fan_out),
            StepKind::Component(_)
            | StepKind::Loop(_)
            | StepKind::Wait(_)
            | StepKind::Approval(_)
            | StepKind::End(_)
            | StepKind::Child(_) => None,
        }
    }
}

impl Definition {
    /// Every step, in file order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Indices of the top-level steps, in file order.
    #[must_use]
    pub fn top(&self) -> &[usize] {
        &self.top
    }

    /// Those of them that run before the end.
    #[must_use]
    pub fn main(&self) -> &[usize] {
        &self.main
    }

    /// Those of them with `finally`: they run at the end.
    #[must_use]
    pub fn finally(&self) -> &[usize] {
        &self.finally
    }

    /// Whether the execution at `path` is one of those.
    #[must_use]
    pub fn is_finally(&self, path: &Path) -> bool {
        !self.finally.is_empty()
            && self
                .step(&path.segments()[0].step)
                .is_some_and(|step| step.finally)
    }

    /// The steps around the one at `index`, innermost first.
    pub fn around(&self, index: usize) -> impl Iterator<Item = &Step> {
        std::iter::successors(self.steps[index].parent, |at| self.steps[*at].parent)
            .map(|index| &self.steps[index])
    }

    /// The step of that id.
    #[must_use]
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.by_id.get(id).map(|index| &self.steps[*index])
    }

    /// Index of the step of that id.
    #[must_use]
    pub fn index_of(&self, id: &StepId) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// The outermost step that contains the step at `index` (itself when top-level).
    #[must_use]
    pub fn outermost(&self, mut index: usize) -> usize {
        while let Some(parent) = self.steps[index].parent {
            index = parent;
        }
        index
    }

    /// Whether several attempts of a run may be in flight.
    #[must_use]
    pub fn is_parallel(&self) -> bool {
        self.parallel > 1 && self.is_concurrent()
    }

    /// Whether a step may move while another waits: in a graph, or in the items of a fan-out.
    #[must_use]
    pub fn is_concurrent(&self) -> bool {
        let several = |step: &Step| match &step.kind {
            StepKind::Loop(body) => body.flow == Flow::Graph,
            StepKind::ForEach(_) => true,
            StepKind::Component(_)
            | StepKind::Wait(_)
            | StepKind::Approval(_)
            | StepKind::Child(_)
            | StepKind::End(_) => false,
        };
        self.flow == Flow::Graph || self.steps.iter().any(several)
    }

    /// Whether a step of it starts runs of other workflows.
    #[must_use]
    pub fn starts_runs(&self) -> bool {
        self.steps.iter().any(|step| step.starts().is_some())
    }

    /// How the members of a scope follow each other: of the top level, or of the body of the step at that index.
    #[must_use]
    pub fn flow_in(&self, parent: Option<usize>) -> Flow {
        match parent.map(|index| &self.steps[index].kind) {
            Some(StepKind::Loop(body)) => body.flow,
            Some(StepKind::ForEach(ForEachStep {
                over: Over::Body { flow, .. },
                ..
            })) => *flow,
            Some(
                StepKind::Component(_)
                | StepKind::Wait(_)
                | StepKind::Approval(_)
                | StepKind::Child(_)
                | StepKind::End(_)
                | StepKind::ForEach(_),
            )
            | None => self.flow,
        }
    }

    /// The members of their scopes that need one of these steps, directly or through others.
    #[must_use]
    pub fn needing(&self, steps: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let mut needed_by = BTreeMap::<usize, Vec<usize>>::new();
        for (index, step) in self.steps.iter().enumerate() {
            for need in &step.needs {
                needed_by.entry(*need).or_default().push(index);
            }
        }
        let mut found = BTreeSet::new();
        let mut look: Vec<usize> = steps.into_iter().collect();
        while let Some(index) = look.pop() {
            let later = needed_by.get(&index).into_iter().flatten();
            look.extend(later.filter(|later| found.insert(**later)));
        }
        found
    }
}
