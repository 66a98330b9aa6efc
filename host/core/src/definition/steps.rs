//! Turns the checked tables of steps into the steps that the engine runs.

use std::collections::{BTreeMap, BTreeSet};

use super::approvals;
use super::arguments;
use super::calls::{Call, Calls};
use super::children;
use super::codes;
use super::contract;
use super::expressions::Compiler;
use super::grammar::{ATTEMPT_KEYS, CALL_KEYS, COMPENSATE_KEY, FOREACH_KEY};
use super::model::{
    Compensation, ComponentStep, EndStatus, EndStep, ForEachStep, ItemsJoin, Join, LoopStep,
    OnExhausted, Over, Step, StepKind, TimeoutSource, WaitStep,
};
use super::outline::{Entry, Kind};
use super::scope::Place;
use super::settings::{Settings, retry};
use super::view::View;
use super::waits;
use crate::diagnostic::Diagnostic;
use crate::expr::Reference;
use crate::expr::Template;
use crate::ids::StepId;
use crate::limits;

/// The steps of a file.
#[derive(Debug)]
pub(super) struct Built {
    /// In file order.
    pub(super) steps: Vec<Step>,
    /// Whether each is what the file says. If not, some do something else, because what they should do was reported; the rest of
    /// them, and when they run, still holds.
    pub(super) sound: bool,
}

/// Builds every step; `None` when nothing is known of when one of them runs, which was reported.
pub(super) fn build(
    compiler: &mut Compiler<'_>,
    calls: &[Calls<'_>],
    settings: &Settings,
) -> Option<Built> {
    let outline = compiler.outline;
    let mut sound = true;
    let steps: Vec<_> = outline
        .entries
        .iter()
        .zip(calls)
        .enumerate()
        .map(|(index, (entry, call))| step(compiler, index, entry, call, settings, &mut sound))
        .collect();
    let steps = steps.into_iter().collect::<Option<_>>()?;
    Some(Built { steps, sound })
}

/// Stands for what a step should do where that was reported.
const UNKNOWN: StepKind = StepKind::End(EndStep {
    status: EndStatus::Failed,
    message: None,
    output: None,
});

fn step(
    compiler: &mut Compiler<'_>,
    index: usize,
    entry: &Entry<'_>,
    call: &Calls<'_>,
    settings: &Settings,
    sound: &mut bool,
) -> Option<Step> {
    let mut reads = BTreeSet::new();
    let condition = match entry.view.node("if") {
        Some(node) => {
            let condition = compiler.condition("if", node, Place::Step(index));
            reads.extend(
                condition
                    .iter()
                    .flat_map(|expr| steps_read(expr.references())),
            );
            // A condition with a problem must not end the step here: its other keys have problems of their own.
            condition.map(Some)
        }
        None => Some(None),
    };
    let kind = match entry.kind {
        Kind::Component if entry.fans_out => {
            let call = component(compiler, index, entry, call, settings, &mut reads);
            fan_out(compiler, index, entry, call.map(Over::Call), &mut reads)
        }
        Kind::Component => {
            component(compiler, index, entry, call, settings, &mut reads).map(StepKind::Component)
        }
        Kind::ForEach => {
            let what = "a fan-out with members";
            not_for(&entry.view, CALL_KEYS, what, &mut compiler.out);
            let body = body(compiler, index, entry, &mut reads);
            fan_out(compiler, index, entry, body, &mut reads)
        }
        Kind::Loop => repeat(compiler, index, entry, settings, &mut reads).map(StepKind::Loop),
        Kind::Wait => {
            not_for(&entry.view, CALL_KEYS, "a wait", &mut compiler.out);
            not_for(&entry.view, &[FOREACH_KEY], "a wait", &mut compiler.out);
            let view = entry.view.record("wait");
            let wait = view.and_then(|view| waits::wait(compiler, index, &view));
            if let Some(WaitStep::Until(until)) = &wait {
                reads.extend(steps_read(until.references()));
            }
            wait.map(StepKind::Wait)
        }
        Kind::Approval => {
            let keys = [CALL_KEYS, &["continue_on_error", FOREACH_KEY]].concat();
            not_for(&entry.view, &keys, "an approval", &mut compiler.out);
            let view = entry.view.record("approval");
            let approval = view.and_then(|view| approvals::approval(compiler, index, entry, &view));
            if let Some(approval) = &approval {
                reads.extend(steps_read(approval.message.references()));
            }
            approval.map(StepKind::Approval)
        }
        Kind::End => {
            let keys = [CALL_KEYS, &["continue_on_error", "deadline"]].concat();
            not_for(&entry.view, &keys, "an end", &mut compiler.out);
            let view = entry.view.record("end");
            let end = view.and_then(|view| end(compiler, index, &view));
            if let Some(end) = &end {
                let templates = end.message.iter().chain(&end.output);
                reads.extend(templates.flat_map(|template| steps_read(template.references())));
            }
            end.map(StepKind::End)
        }
        Kind::Child => {
            not_for(&entry.view, ATTEMPT_KEYS, "a child run", &mut compiler.out);
            let child = children::child(compiler, index, entry);
            if let Some(child) = &child {
                reads.extend(steps_read(child.with.references()));
            }
            match entry.fans_out {
                true => fan_out(compiler, index, entry, child.map(Over::Child), &mut reads),
                false => child.map(StepKind::Child),
            }
        }
        Kind::Unknown => {
            // Its expressions are checked all the same, so that nothing new appears once the kind is mended.
            if let Some(node) = entry.view.node("with") {
                compiler.template(node, Place::Step(index));
            }
            None
        }
    };
    let id = StepId::new(entry.name).ok();
    let outside = |read: &StepId| {
        let target = compiler.outline.find(read.as_str());
        target.is_some_and(|target| {
            target != index && !compiler.outline.enclosing(target).contains(&index)
        })
    };
    reads.retain(outside);
    *sound &= kind.is_some();
    Some(Step {
        id: id?,
        parent: entry.parent,
        kind: kind.unwrap_or(UNKNOWN),
        condition: condition?,
        continue_on_error: entry.view.flag("continue_on_error").unwrap_or(false),
        finally: entry.finally,
        deadline: entry.view.duration("deadline"),
        needs: compiler.order.needs(index).to_vec(),
        join: join(&entry.view),
        reads,
        span: entry.span.clone(),
    })
}

fn component(
    compiler: &mut Compiler<'_>,
    index: usize,
    entry: &Entry<'_>,
    calls: &Calls<'_>,
    settings: &Settings,
    reads: &mut BTreeSet<StepId>,
) -> Option<ComponentStep> {
    let view = &entry.view;
    let call = calls.own.as_ref();
    let policy = retry(
        view.record("retry").as_ref(),
        &settings.retry,
        &mut compiler.out,
    );
    let own = view.record("retry");
    let then_given = own.is_some_and(|retry| retry.text("then").is_some());
    let place = match entry.fans_out {
        true => Place::Item(index),
        false => Place::Step(index),
    };
    let with = with(compiler, view, call, place);
    reads.extend(
        with.iter()
            .flat_map(|template| steps_read(template.references())),
    );
    let compensation = match view.record(COMPENSATE_KEY) {
        Some(view) => {
            let call = calls.compensation.as_ref();
            let with = self::with(compiler, &view, call, Place::Compensation(index));
            call.zip(with).map(|(call, with)| {
                Some(Box::new(Compensation {
                    plugin: call.plugin.clone(),
                    step: call.step.clone(),
                    with,
                    secrets: call.secrets.clone(),
                }))
            })
        }
        None => Some(None),
    };
    let (timeout, timeout_source) = match (view.duration("timeout"), settings.timeout) {
        (Some(own), _) => (own, TimeoutSource::Step),
        (None, Some(default)) => (default, TimeoutSource::Defaults),
        (None, None) => (limits::ATTEMPT_TIMEOUT, TimeoutSource::Engine),
    };
    let call = call?;
    Some(ComponentStep {
        plugin: call.plugin.clone(),
        step: call.step.clone(),
        with: with?,
        retry: policy,
        handled: view.flag("continue_on_error").unwrap_or(false) && !then_given,
        timeout,
        timeout_source,
        always_run: view.flag("always_run").unwrap_or(false),
        idle_timeout: view.duration("idle_timeout"),
        compensation: compensation?,
        secrets: call.secrets.clone(),
    })
}

/// The input of a call, checked against what its component says of it.
fn with(
    compiler: &mut Compiler<'_>,
    view: &View<'_>,
    call: Option<&Call<'_>>,
    place: Place,
) -> Option<Template> {
    let given = view.node("with");
    let with = match given {
        Some(node) => compiler.template(node, place),
        None => Some(Template::Object(BTreeMap::new())),
    };
    let place = || {
        let with = view.key_span("with");
        let place = with.or_else(|| view.node("use").map(|node| node.span()));
        place.unwrap_or_else(|| view.span.clone())
    };
    if let (Some(call), Some(template)) = (call, &with) {
        let given = given.map(|node| (node, template));
        if let Some(function) = call.function {
            arguments::check(function, given, place(), &mut compiler.out);
        } else if let Some(manifest) = call.manifest {
            contract::check(&manifest.input, given, place(), &mut compiler.out);
        }
    }
    with
}

fn repeat(
    compiler: &mut Compiler<'_>,
    index: usize,
    entry: &Entry<'_>,
    settings: &Settings,
    reads: &mut BTreeSet<StepId>,
) -> Option<LoopStep> {
    let keys = [CALL_KEYS, &[FOREACH_KEY]].concat();
    not_for(&entry.view, &keys, "a loop", &mut compiler.out);
    let view = entry.view.record("loop")?;
    let until = compiler.condition("until", view.node("until")?, Place::Until(index));
    reads.extend(until.iter().flat_map(|expr| steps_read(expr.references())));
    let own = view
        .integer("max_iterations")
        .unwrap_or(limits::LOOP_DEFAULT_ITERATIONS);
    Some(LoopStep {
        until: until?,
        max_iterations: own.min(settings.loop_limit).min(limits::LOOP_ITERATIONS),
        on_exhausted: match view.text("on_exhausted") {
            Some("continue") => OnExhausted::Continue,
            _ => OnExhausted::Fail,
        },
        body: entry.members.clone(),
        flow: compiler.order.flow(Some(index)),
    })
}

/// What a fan-out with members does for each item.
fn body(
    compiler: &mut Compiler<'_>,
    index: usize,
    entry: &Entry<'_>,
    reads: &mut BTreeSet<StepId>,
) -> Option<Over> {
    let view = entry.view.record(FOREACH_KEY)?;
    let returns = match view.node("returns") {
        Some(node) => Some(compiler.template(node, Place::Item(index))?),
        None => None,
    };
    reads.extend(
        returns
            .iter()
            .flat_map(|template| steps_read(template.references())),
    );
    Some(Over::Body {
        members: entry.members.clone(),
        flow: compiler.order.flow(Some(index)),
        returns,
    })
}

fn fan_out(
    compiler: &mut Compiler<'_>,
    index: usize,
    entry: &Entry<'_>,
    over: Option<Over>,
    reads: &mut BTreeSet<StepId>,
) -> Option<StepKind> {
    let view = entry.view.record(FOREACH_KEY)?;
    let items = compiler.list("items", view.node("items")?, Place::Step(index));
    reads.extend(items.iter().flat_map(|expr| steps_read(expr.references())));
    let whose = match entry.kind {
        Kind::Component => Some(("a call is what the component returns", "use")),
        Kind::Child => Some(("a child run is what its workflow returns", "workflow")),
        _ => None,
    };
    if let (Some((output, key)), Some(span)) = (whose, view.key_span("returns")) {
        let message =
            format!("`returns` is the output of an item that has members; that of {output}");
        let help = format!("leave it out, or move the `{key}` to a member of this step");
        let problem = Diagnostic::error(codes::NOT_FOR_KIND, span, message);
        compiler.out.push(problem.with_help(help));
    }
    Some(StepKind::ForEach(ForEachStep {
        items: items?,
        max_parallel: view
            .integer("max_parallel")
            .unwrap_or(limits::ITEMS_PARALLEL_DEFAULT),
        join: match view.text("join") {
            Some("all_done") => ItemsJoin::AllDone,
            _ => ItemsJoin::AllSuccess,
        },
        max_items: view.integer("max_items").unwrap_or(limits::ITEMS),
        over: over?,
    }))
}

/// `end`: how the run ends there.
fn end(compiler: &mut Compiler<'_>, index: usize, view: &View<'_>) -> Option<EndStep> {
    let mut template = |key| match view.node(key) {
        Some(node) => compiler.template(node, Place::Step(index)).map(Some),
        None => Some(None),
    };
    let (message, output) = (template("message"), template("output"));
    let status = match view.text("status")? {
        "completed" => EndStatus::Completed,
        "failed" => EndStatus::Failed,
        _ => EndStatus::Cancelled,
    };
    if status != EndStatus::Completed
        && let Some(span) = view.key_span("output")
    {
        let message = format!("a run that ends as {} has no output", status.as_str());
        compiler.out.push(
            Diagnostic::error(codes::NOT_FOR_KIND, span, message)
                .with_help("say why in `message`, or end it with `status = \"completed\"`"),
        );
    }
    Some(EndStep {
        status,
        message: message?,
        output: output?,
    })
}

fn join(view: &View<'_>) -> Join {
    match view.text("join") {
        Some("one_success") => Join::OneSuccess,
        Some("none_failed_min_one_success") => Join::NoneFailedMinOneSuccess,
        Some("all_done") => Join::AllDone,
        _ => Join::AllSuccess,
    }
}

/// Refuses keys that mean nothing at a step of this kind.
fn not_for(view: &View<'_>, keys: &[&str], kind: &str, out: &mut Vec<Diagnostic>) {
    for key in keys {
        let Some(span) = view.key_span(key) else {
            continue;
        };
        let message = format!("`{key}` does not apply to {kind}");
        let help = match (kind, *key) {
            (_, FOREACH_KEY) => {
                "give it to a step of its own, without a kind, and make this one a member of that with `in`".to_owned()
            }
            ("a fan-out with members", _) => format!("give `{key}` to its members"),
            ("a loop", _) => format!("give `{key}` to the members of the loop"),
            ("a wait", "timeout") => {
                "write it inside: `wait = { signal = \"..\", timeout = \"..\" }`".to_owned()
            }
            ("an approval", "timeout") => {
                "write it inside: `approval = { message = \"..\", timeout = \"..\" }`".to_owned()
            }
            ("a child run", _) => {
                format!("give `{key}` to the steps of the child workflow, which have their own")
            }
            ("an end", _) => "leave it out: the step does nothing but end the run".to_owned(),
            (_, "continue_on_error") => {
                "a rejection is not a failure; `on_reject = \"continue\"` lets the run continue after one"
                    .to_owned()
            }
            _ => format!("leave it out: `{key}` belongs to a step with `use`"),
        };
        out.push(Diagnostic::error(codes::NOT_FOR_KIND, span, message).with_help(help));
    }
}

fn steps_read<'a>(references: impl IntoIterator<Item = &'a Reference>) -> Vec<StepId> {
    let ids = references
        .into_iter()
        .filter_map(|reference| match reference {
            Reference::Step { id, .. } => Some(id.clone()),
            Reference::Input(_)
            | Reference::LoopIteration
            | Reference::LoopPrevious
            | Reference::Item
            | Reference::ItemIndex
            | Reference::RunId
            | Reference::RunStartedAt
            | Reference::RunStatus => None,
        });
    ids.collect()
}
