//! What each command comes to, wherever a run stands.

use milepost_core::event::{ClaimCause, Event, RunEvent};
use milepost_core::limits;
use milepost_core::request::Intent;
use milepost_core::request::let_go::{let_go, resumed};
use milepost_core::request::recover::{CannotBegin, cannot_begin};
use milepost_core::request::release::release;
use milepost_core::request::resume::{ResumeBy, resume};
use milepost_core::request::stop::{Demand, NotPausable, Stopping, meet, meet_late, stop};
use milepost_core::request::take::{NotTaken, Owned, take};
use milepost_core::state::{RunState, Status};
use milepost_core::stop::Lasting;
use serde_json::json;

use crate::sim::{Sim, fail, ok, pause};

const ONE: &str = "[[step]]\nid = \"a\"\nuse = \"p/a\"\n";
const GATE: &str = "[[step]]\nid = \"g\"\napproval = { message = \"?\" }\n";

/// Where a run can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Pending,
    Running,
    /// Until a person resumes it.
    Paused,
    /// Until somebody decides.
    Waiting,
    Failed,
    Completed,
    Cancelled,
}

const EVERYWHERE: [At; 7] = [
    At::Pending,
    At::Running,
    At::Paused,
    At::Waiting,
    At::Failed,
    At::Completed,
    At::Cancelled,
];

fn run(at: At) -> Sim {
    let mut sim = Sim::new(if at == At::Waiting { GATE } else { ONE });
    match at {
        At::Pending => {
            let released = release(&sim.state, "a drain").unwrap();
            sim.record(released);
        }
        At::Running => drop(sim.next_attempt().unwrap()),
        At::Paused => {
            sim.run(|_| pause("quota"));
        }
        At::Failed => {
            sim.run(|_| fail("red"));
        }
        At::Waiting | At::Completed => {
            sim.run(|_| ok(json!(1)));
        }
        At::Cancelled => {
            for event in meet(&sim.state, Demand::Kill, "ann") {
                sim.record(event);
            }
        }
    }
    sim
}

fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(Event::name).collect()
}

/// What a request comes to, in short.
fn asked(state: &RunState, demand: Demand, owned: bool) -> String {
    match stop(None, state, demand, "ann", owned) {
        Ok(Stopping::Stop(events)) => names(&events).join(" "),
        Ok(Stopping::Hold(event)) => event.name().to_owned(),
        Ok(Stopping::AskOwner) => "ask".to_owned(),
        Ok(Stopping::Already(status)) => format!("already {status}"),
        Ok(Stopping::Finishing) => "finishing".to_owned(),
        Err(NotPausable(status)) => format!("no, {status}"),
    }
}

#[test]
fn a_stop_does_what_the_place_allows() {
    for at in EVERYWHERE {
        let sim = run(at);
        let (pause, end) = match at {
            At::Pending => ("no, pending", "run_cancelled"),
            At::Running => (
                "step_interrupted run_paused",
                "step_interrupted run_cancelled",
            ),
            At::Paused => ("already paused", "run_cancelled"),
            At::Waiting => ("run_held", "run_cancelled"),
            At::Failed => ("already failed", "run_cancelled"),
            At::Completed => ("already completed", "already completed"),
            At::Cancelled => ("already cancelled", "already cancelled"),
        };
        for (demand, expected) in [
            (Demand::Pause, pause),
            (Demand::PauseNow, pause),
            (Demand::Cancel, end),
            (Demand::Kill, end),
        ] {
            let case = format!("{at:?} {demand:?}");
            assert_eq!(asked(&sim.state, demand, false), expected, "{case}");
            let of_an_owner = match at {
                At::Running => "ask",
                _ => expected,
            };
            assert_eq!(asked(&sim.state, demand, true), of_an_owner, "{case}");
        }
    }
}

#[test]
fn an_owner_meets_what_was_asked_while_the_run_moves_and_what_is_left_of_it_afterwards() {
    use Demand::{Cancel, Compensate, Kill, Pause, PauseNow, Release, ReleaseNow};
    for at in EVERYWHERE {
        let sim = run(at);
        for demand in [
            Release, Pause, ReleaseNow, PauseNow, Compensate, Cancel, Kill,
        ] {
            let last = match demand {
                Release | ReleaseNow => "run_released",
                Pause | PauseNow => "run_paused",
                // Where nothing can be undone, it is cancelled as by `Cancel`.
                Compensate | Cancel | Kill => "run_cancelled",
            };
            let now = match at {
                At::Running => vec!["step_interrupted", last],
                _ => vec![],
            };
            let case = format!("{at:?} {demand:?}");
            assert_eq!(names(&meet(&sim.state, demand, "ann")), now, "{case}");
            let late = match (at, demand) {
                (At::Paused | At::Waiting | At::Failed, Compensate | Cancel | Kill) => {
                    Some("run_cancelled")
                }
                (At::Waiting, Pause | PauseNow) => Some("run_held"),
                _ => None,
            };
            let met = meet_late(&sim.definition, &sim.state, demand, "ann");
            assert_eq!(met.as_ref().map(Event::name), late, "{case}");
        }
    }
}

#[test]
fn a_run_is_taken_by_one_who_may() {
    let resume = Intent::Resume(ResumeBy::Person);
    let retry = Intent::Retry { from: None };
    for at in EVERYWHERE {
        let sim = run(at);
        for owned in [Owned::Nobody, Owned::Alive, Owned::Lost] {
            let (resumed, retried) = match (at, owned) {
                (At::Paused | At::Waiting | At::Failed, _) => {
                    (Ok(ClaimCause::Resume), Ok(ClaimCause::Retry))
                }
                (At::Completed | At::Cancelled, _) => (Err(NotTaken::Over), Err(NotTaken::Over)),
                (_, Owned::Alive) => (Err(NotTaken::Owned), Err(NotTaken::Moves)),
                (At::Pending, Owned::Nobody) => (Ok(ClaimCause::Start), Err(NotTaken::Moves)),
                // An owner that gave it up is as lost as one that is gone.
                (_, Owned::Nobody | Owned::Lost) => {
                    (Ok(ClaimCause::Recovery), Err(NotTaken::Moves))
                }
            };
            let case = format!("{at:?} {owned:?}");
            assert_eq!(take(&sim.state, owned, resume), resumed, "{case}");
            assert_eq!(take(&sim.state, owned, retry), retried, "{case}");
        }
    }
}

#[test]
fn what_cannot_begin_is_put_off_or_ends() {
    for at in EVERYWHERE {
        let mut sim = run(at);
        let tried = |sim: &Sim, fault: Option<Lasting>| match cannot_begin(
            &sim.state, "no luck", fault, sim.now,
        ) {
            CannotBegin::Record(event) => event.name().to_owned(),
            CannotBegin::Claim(cause) => format!("{cause:?}"),
            CannotBegin::Over => "over".to_owned(),
        };
        let (later, for_good) = match at {
            At::Pending => ("Start", "run_failed"),
            At::Running => ("Recovery", "run_failed"),
            At::Paused | At::Waiting => ("run_postponed", "Resume"),
            At::Failed | At::Completed | At::Cancelled => ("over", "over"),
        };
        assert_eq!(tried(&sim, None), later, "{at:?}");
        assert_eq!(tried(&sim, Some(Lasting::Damaged)), for_good, "{at:?}");
        if sim.status() != Status::Paused {
            continue;
        }
        for _ in 1..limits::AUTOMATIC_RESUMES.len() {
            let CannotBegin::Record(event) = cannot_begin(&sim.state, "no luck", None, sim.now)
            else {
                panic!("it is tried again");
            };
            sim.record(event);
        }
        assert_eq!(tried(&sim, None), "Resume", "the last try is claimed");
    }
}

#[test]
fn only_a_paused_run_is_asked_to_go_on_before_it_is_let_go_of() {
    for at in EVERYWHERE {
        let sim = run(at);
        let with = resumed(Some(&sim.definition), &sim.state).unwrap();
        let without = resumed(None, &sim.state).unwrap();
        if !matches!(at, At::Paused | At::Waiting) {
            assert_eq!((with, without), (None, None), "{at:?}");
            continue;
        }
        let asked = resume(&sim.definition, &sim.state, ResumeBy::Schedule).unwrap();
        assert_eq!(with.as_ref(), Some(&asked), "{at:?}");
        let without = without.unwrap();
        assert_eq!(without.cleared, asked.cleared, "{at:?}");
        let again = [&without.reset, &without.reopened, &without.closed];
        assert!(again.iter().all(|steps| steps.is_empty()), "{at:?}");
        for (fault, status) in [
            (None, Status::Paused),
            (Some(Lasting::Damaged), Status::Failed),
        ] {
            let mut sim = run(at);
            sim.record(Event::Run(RunEvent::Resumed(without.clone())));
            assert_eq!(sim.state.episode().in_a_row(), 1, "{at:?}: the try counts");
            sim.claim(ClaimCause::Resume);
            sim.record(let_go(&sim.state, "no luck", fault, None, sim.now));
            assert_eq!(sim.status(), status, "{at:?}");
        }
    }
}
