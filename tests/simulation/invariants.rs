//! What must hold whatever happened.

use milepost::store::prelude::*;
use milepost_tests::now::Now as _;
use std::collections::BTreeSet;
use std::sync::Arc;

use milepost::{record, workflow};
use milepost_core::definition::{Around, Definition, Flow, StepKind};
use milepost_core::event::{
    AttemptStarted, ChildEnding, Entry, Event, Fork, ResumeCause, RunEvent, StepEvent, WaitEvent,
};
use milepost_core::ids::{Path, RunId, StepId};
use milepost_core::replay;
use milepost_core::state::{Phase, RunState, Status, StepPhase};
use milepost_core::wait::Wait;
use serde_json::Value;

use crate::workload::FINALLY;
use crate::world::World;

pub(crate) fn check(world: &Arc<World>) {
    assert!(world.differences.none_of() > 0);
    let promises = world.promises();
    let runs = world.runs();
    for run in &promises.starts {
        assert!(
            runs.contains(run),
            "the acknowledged start of {run} is lost"
        );
    }
    for ((run, seq), promised) in &promises.entries {
        let kept = world.store.journal(run, seq - 1, 1).now().unwrap();
        assert_eq!(
            kept.first(),
            Some(promised),
            "acknowledged event {seq} of {run}"
        );
    }
    for run in &runs {
        let journal = world.journal(run);
        let state = record::load(world.store.as_ref(), run).now().unwrap().state;
        let status = state.phase().status();
        // A child that failed is over for good when its parent is, and what was compensated at once.
        let undone = state.executions().compensations().have_begun();
        let left = status == Status::Failed && (undone || state.created().parent.is_some());
        assert!(status.is_terminal() || left, "{run} is {status}");
        assert_eq!(
            RunState::fold(&journal).unwrap(),
            state,
            "the journal of {run} folds"
        );
        let text = record::definition_text(world.store.as_ref(), &state)
            .now()
            .unwrap();
        let file = &state.created().file;
        let children = workflow::children(std::path::Path::new(file), &text, None);
        let around = Around {
            manifests: None,
            children: Some(&children),
        };
        let parsed = Definition::parse_with(file, &text, around);
        let definition = parsed.unwrap().definition;
        one_ending(&journal, left);
        epochs_and_times(&journal);
        attempts_end_once(&journal);
        nothing_completed_runs_again(&journal);
        nothing_is_early(&journal);
        nothing_is_late(&journal, asks_one_at_a_time(&definition));
        children_end_as_recorded(world, &journal);
        a_fork_keeps_what_was_recorded(world, &journal);
        let mut again = RunState::create(&journal[0]).unwrap();
        for entry in &journal[1..] {
            if let Err(divergence) = replay::check(&definition, &mut again, entry) {
                panic!("{run}: the record is not what the core decides: {divergence:?}");
            }
        }
        no_signal_is_lost(world, run, &journal, &promises.signals);
    }
    let calls = world.calls();
    for run in &promises.over {
        let status = world.store.row(run).now().unwrap().unwrap().status;
        assert_eq!(status, Status::Cancelled, "{run}, of which that was said");
    }
    for (run, before) in &promises.cancelled {
        let begins = |path: &str| !FINALLY.contains(&path) && !path.ends_with("!compensate");
        let mut late = calls[*before..].iter();
        let late = late.find(|(called, path, _)| called == run && begins(path));
        assert_eq!(
            late, None,
            "a step started after the cancellation was acknowledged"
        );
        let status = world.store.row(run).now().unwrap().unwrap().status;
        assert!(
            matches!(status, Status::Cancelled | Status::Completed),
            "{run} was cancelled and is {status}"
        );
    }
}

type Journal = [Entry];

/// A run ends once; one that failed and is `left` so does not.
fn one_ending(journal: &Journal, left: bool) {
    let ends = |event: &Event| {
        matches!(
            event,
            Event::Run(RunEvent::Completed { .. } | RunEvent::Cancelled { .. })
        )
    };
    let endings = journal.iter().filter(|entry| ends(&entry.event)).count();
    assert_eq!(endings, usize::from(!left), "a run ends once");
    assert!(
        left || ends(&journal.last().unwrap().event),
        "nothing follows the end"
    );
}

fn epochs_and_times(journal: &Journal) {
    for pair in journal.windows(2) {
        let claim = matches!(pair[1].event, Event::Run(RunEvent::Claimed { .. }));
        assert_eq!(pair[1].seq, pair[0].seq + 1);
        assert!(pair[1].at >= pair[0].at);
        assert_eq!(
            pair[1].epoch.0,
            pair[0].epoch.0 + u64::from(claim),
            "only claims raise the epoch"
        );
    }
}

/// Every outcome belongs to a start of its own, in the same epoch.
fn attempts_end_once(journal: &Journal) {
    let mut started = BTreeSet::new();
    for entry in journal {
        match &entry.event {
            Event::Step {
                path,
                event: StepEvent::Started(AttemptStarted { attempt, .. }),
            } => {
                assert!(
                    started.insert((path.clone(), *attempt, entry.epoch)),
                    "{path} started twice"
                );
            }
            Event::Step {
                path,
                event:
                    StepEvent::Completed { attempt, .. }
                    | StepEvent::AttemptFailed { attempt, .. }
                    | StepEvent::Paused { attempt, .. }
                    | StepEvent::Failed {
                        attempt: Some(attempt),
                        ..
                    },
            } => {
                let own = started.remove(&(path.clone(), *attempt, entry.epoch));
                assert!(
                    own,
                    "the outcome of {path}, attempt {attempt}, has no start under its claim"
                );
            }
            _ => {}
        }
    }
}

/// What was completed starts again only if somebody named it, or what it follows from.
fn nothing_completed_runs_again(journal: &Journal) {
    let kept = forked(journal).into_iter().flat_map(|fork| &fork.kept);
    let mut completed: BTreeSet<Path> = kept
        .filter(|record| record.has_completed())
        .map(|record| record.path().clone())
        .collect();
    for entry in journal {
        match &entry.event {
            Event::Step { path, event } => match event {
                StepEvent::Started(_) => {
                    assert!(!completed.contains(path), "{path} had completed");
                }
                StepEvent::Completed { .. } => {
                    assert!(completed.insert(path.clone()), "{path} completed twice");
                }
                StepEvent::Wait(WaitEvent::ApprovalDecided { rework, .. }) => {
                    forget(&mut completed, rework);
                }
                _ => {}
            },
            Event::Run(RunEvent::Resumed(resumed)) => {
                forget(&mut completed, &resumed.reset);
                let again = &resumed.items.reset;
                completed.retain(|path| !again.iter().any(|reset| is_in(path, reset)));
            }
            Event::Run(_) => {}
        }
    }
}

/// Whether an execution is that one, or inside of it.
fn is_in(path: &Path, outer: &Path) -> bool {
    let (path, outer) = (path.to_string(), outer.to_string());
    let rest = path.strip_prefix(&outer);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '/', '#']))
}

fn forget(completed: &mut BTreeSet<Path>, steps: &[StepId]) {
    completed.retain(|path| {
        let parts = path.segments();
        !parts.iter().any(|part| steps.contains(&part.step))
    });
}

/// Whether a run of it never stands at more than one step.
fn asks_one_at_a_time(definition: &Definition) -> bool {
    let mut steps = definition.steps().iter();
    definition.flow == Flow::Sequence
        && steps.all(|step| match &step.kind {
            StepKind::Loop(body) => body.flow == Flow::Sequence,
            StepKind::ForEach(_) => false,
            _ => true,
        })
}

/// What a run recorded of the ends of its children is what they have recorded themselves, and each was its child.
fn children_end_as_recorded(world: &World, journal: &Journal) {
    let Event::Run(RunEvent::Created(own)) = &journal[0].event else {
        panic!("a run begins with its creation");
    };
    if let Some(parent) = &own.parent {
        let started = world.journal(&parent.run).into_iter().any(|entry| {
            matches!(
                &entry.event,
                Event::Step {
                    path,
                    event: StepEvent::Wait(WaitEvent::Started { wait: Wait::Child { run, .. } }),
                } if *path == parent.path && *run == own.run
            )
        });
        assert!(started, "{} was started by nobody", own.run);
    }
    let mut told = BTreeSet::new();
    for entry in journal {
        let Event::Step {
            path,
            event: StepEvent::Wait(WaitEvent::ChildEnded { run, seq, ending }),
        } = &entry.event
        else {
            continue;
        };
        assert!(
            told.insert((run.clone(), *seq)),
            "{run} ended twice at {path}"
        );
        let child = world.journal(run);
        let upto = usize::try_from(*seq).unwrap();
        let state = RunState::fold(&child[..upto]).unwrap();
        match (ending, state.phase()) {
            (ChildEnding::Completed(told), Phase::Completed { output, .. }) => {
                assert_eq!(told, output, "the output of {run}");
            }
            (ChildEnding::Failed(_), Phase::Failed { .. })
            | (ChildEnding::Cancelled(_), Phase::Cancelled { .. }) => {}
            (told, phase) => panic!("{run} is {} at {seq}, {told:?}", phase.status()),
        }
    }
}

/// What a run was forked of, if it was.
fn forked(journal: &Journal) -> Option<&Fork> {
    match &journal[0].event {
        Event::Run(RunEvent::Created(created)) => created.fork.as_ref(),
        _ => panic!("a run begins with its creation"),
    }
}

/// What a fork begins with is how the steps had ended in the run that was forked, and that run did not move.
fn a_fork_keeps_what_was_recorded(world: &World, journal: &Journal) {
    let Some(fork) = forked(journal) else {
        return;
    };
    let upto = usize::try_from(fork.seq).unwrap();
    let origin = RunState::fold(&world.journal(&fork.run)[..upto]).unwrap();
    assert!(
        !matches!(origin.phase().status(), Status::Pending | Status::Running),
        "{} moved when it was forked",
        fork.run
    );
    for kept in &fork.kept {
        let own = origin.executions().latest(kept.path()).unwrap();
        assert_eq!(
            own.settled(),
            kept.settled(),
            "{} of {}",
            kept.path(),
            fork.run
        );
        assert!(own.settled().is_some(), "{}", kept.path());
    }
}

/// What came after the time of a wait did not end it; and a run that stands still asks one question, where it can have only one.
fn nothing_is_late(journal: &Journal, one_at_a_time: bool) {
    let mut state = RunState::create(&journal[0]).unwrap();
    for entry in &journal[1..] {
        let came = match &entry.event {
            Event::Step {
                path,
                event: StepEvent::Wait(WaitEvent::SignalReceived { sent_at, .. }),
            } => Some((path, *sent_at)),
            Event::Step {
                path,
                event: StepEvent::Wait(WaitEvent::ApprovalDecided { .. }),
            } if state.phase().status() == Status::Paused => Some((path, entry.at)),
            // A run that moves is sent a decision in time, and takes it later.
            _ => None,
        };
        if let Some((path, came)) = came
            && let Some(record) = state.executions().latest(path)
            && let StepPhase::Awaiting { wait } = record.phase()
        {
            assert!(
                wait.until().is_none_or(|until| came < until),
                "{path} was ended too late"
            );
        }
        state.apply(entry).unwrap();
        if state.phase().status() == Status::Paused {
            let open = state.executions().iter();
            let open = open.filter(|record| matches!(record.phase(), StepPhase::Awaiting { .. }));
            assert!(
                !one_at_a_time || open.count() <= 1,
                "several questions at once"
            );
        }
    }
}

fn nothing_is_early(journal: &Journal) {
    let mut state = RunState::create(&journal[0]).unwrap();
    for entry in &journal[1..] {
        match &entry.event {
            Event::Step {
                path,
                event: StepEvent::Wait(WaitEvent::Ended { .. }),
            } => {
                let record = state.executions().latest(path).unwrap();
                if let StepPhase::Awaiting { wait } = record.phase() {
                    let until = match wait {
                        Wait::Time { until } => Some(*until),
                        Wait::Signal { until, .. } | Wait::Approval { until, .. } => *until,
                        Wait::Child { .. } => None,
                    };
                    assert!(
                        until.is_some_and(|until| until <= entry.at),
                        "{path} ended early"
                    );
                }
            }
            Event::Step {
                path,
                event: StepEvent::Started(_),
            } => {
                if let Some(record) = state.executions().latest(path)
                    && let StepPhase::Waiting { retry_at, .. } = record.phase()
                {
                    assert!(*retry_at <= entry.at, "{path} is tried again too early");
                }
            }
            Event::Run(RunEvent::Resumed(resumed)) if resumed.cause == ResumeCause::Schedule => {
                if let Phase::Paused { rest, .. } = &state.phase() {
                    assert!(
                        rest.due_at().is_some_and(|due| due <= entry.at),
                        "resumed too early"
                    );
                }
            }
            _ => {}
        }
        state.apply(entry).unwrap();
    }
}

/// Every acknowledged signal was taken once, or is still there.
fn no_signal_is_lost(world: &World, run: &RunId, journal: &Journal, sent: &[(RunId, u64)]) {
    let inbox = world.store.inbox(run, usize::MAX).now().unwrap();
    let waiting = inbox
        .iter()
        .filter_map(|signal| serde_json::from_str::<Value>(&signal.data).ok())
        .filter_map(|data| data.get("n")?.as_u64());
    let taken = journal.iter().filter_map(|entry| match &entry.event {
        Event::Step {
            event: StepEvent::Wait(WaitEvent::SignalReceived { data, .. }),
            ..
        } => data.value().get("n")?.as_u64(),
        _ => None,
    });
    let found: Vec<u64> = waiting.chain(taken).collect();
    for (_, number) in sent.iter().filter(|(to, _)| to == run) {
        let count = found.iter().filter(|found| *found == number).count();
        assert_eq!(count, 1, "the acknowledged signal {number} of {run}");
    }
}
