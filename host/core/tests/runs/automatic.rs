//! What goes on by itself: automatic resumes of paused runs, and recoveries of runs whose process is gone.

use std::time::Duration;

use milepost_core::correction::correction;
use milepost_core::decide::interrupt;
use milepost_core::event::{ClaimCause, Event, ItemsAgain, ResumeCause, RunEvent, RunResumed};
use milepost_core::limits::AUTOMATIC_RESUMES;
use milepost_core::outcome::{Outcome, Pause};
use milepost_core::recovery::{Judgement, Liveness, judge};
use milepost_core::request::recover::put_off;
use milepost_core::request::resume::ResumeBy;
use milepost_core::state::{Rejected, Status};
use milepost_core::stop::{Automatic, StopCode, Why};
use milepost_core::time::Timestamp;
use milepost_core::wait;
use serde_json::json;

use crate::sim::{Attempt, Sim, fail, ok, pause, retryable};

const TWO: &str = "[[step]]\nid = \"a\"\nuse = \"p/a\"\n[[step]]\nid = \"b\"\nuse = \"p/b\"\n";

fn limit_of(provider: &'static str) -> impl Fn(&Attempt) -> Outcome {
    move |_| match pause("quota") {
        Outcome::Paused(pause) => Outcome::Paused(Pause {
            provider: Some(provider.to_owned()),
            ..pause
        }),
        other => other,
    }
}

fn fine(_: &Attempt) -> Outcome {
    ok(json!({}))
}

/// How long until the paused run is due, in seconds.
fn wait_of(sim: &Sim) -> f64 {
    sim.stop().due_at.unwrap().since(sim.now).as_secs_f64()
}

const USED_UP: Option<Automatic> = Some(Automatic::UsedUp { of: 5 });

fn next(number: u32) -> Option<Automatic> {
    Some(Automatic::Next { number, of: 5 })
}

#[test]
fn b197_b198_a_limit_is_tried_again_after_a_spread_wait() {
    let mut sim = Sim::new(TWO);
    sim.run(limit_of("acme"));
    let planned = AUTOMATIC_RESUMES[0].as_secs_f64();
    let wait = wait_of(&sim);
    assert!((planned * 0.75..=planned * 1.25).contains(&wait), "{wait}");
    assert_ne!(wait, planned, "spread");
    assert_eq!(sim.automatic(), next(1));
    let mut again = Sim::new(TWO);
    again.run(limit_of("acme"));
    assert_eq!(wait_of(&again), wait, "the same run draws the same");
}

#[test]
fn only_what_passes_by_itself_is_resumed_by_itself() {
    let due = |outcome: &dyn Fn(&Attempt) -> Outcome| {
        let mut sim = Sim::new(TWO);
        sim.run(outcome);
        assert_eq!(sim.status(), Status::Paused);
        sim.stop().due_at
    };
    assert_eq!(due(&|_| pause("ask")), None, "a person has to look");
    assert!(due(&|_| retryable("busy")).is_some(), "retries are used up");
    assert!(due(&limit_of("acme")).is_some());
    let at = "2023-11-15T00:00:00Z".parse::<Timestamp>().unwrap();
    let with = |signal: Option<&str>, until: Option<Timestamp>| {
        let signal = signal.map(str::to_owned);
        move |_: &Attempt| match pause("ask") {
            Outcome::Paused(pause) => Outcome::Paused(Pause {
                signal: signal.clone(),
                until,
                provider: Some("acme".to_owned()),
                ..pause
            }),
            other => other,
        }
    };
    assert_eq!(due(&with(Some("go"), None)), None, "the signal decides");
    assert_eq!(due(&with(None, Some(at))), Some(at));
    assert_eq!(due(&with(Some("go"), Some(at))), Some(at));
}

#[test]
fn b199_b202_five_automatic_resumes_and_then_a_person() {
    let mut sim = Sim::new(TWO);
    sim.run(limit_of("acme"));
    for (used, planned) in AUTOMATIC_RESUMES.iter().enumerate() {
        assert_eq!(sim.state.episode().resumes as usize, used);
        let wait = wait_of(&sim) / planned.as_secs_f64();
        assert!((0.75..=1.25).contains(&wait), "resume {used}: {wait}");
        sim.pass_to_due()
            .work(ResumeBy::Schedule)
            .run(limit_of("acme"));
    }
    assert_eq!(sim.status(), Status::Paused);
    assert_eq!(sim.stop().due_at, None);
    assert_eq!(sim.automatic(), USED_UP);
    assert_eq!(sim.calls.len(), 6);
    // A person's word begins afresh (B204).
    sim.resume().run(limit_of("acme"));
    assert_eq!(sim.state.episode().resumes, 0);
    assert!(sim.stop().due_at.is_some());
}

#[test]
fn b200_only_a_resume_that_happens_counts() {
    let mut sim = Sim::new(TWO);
    sim.run(limit_of("acme"));
    let resumed = |cause| {
        Event::Run(RunEvent::Resumed(RunResumed {
            cause,
            reset: Vec::new(),
            closed: Vec::new(),
            paused: Vec::new(),
            reopened: Vec::new(),
            items: ItemsAgain::default(),
            completed: 0,
            cleared: None,
        }))
    };
    sim.pass_to_due().work(ResumeBy::Schedule);
    assert_eq!(sim.state.episode().resumes, 1);
    // B201: somebody else was faster; the run is running already.
    let late = sim.try_record(resumed(ResumeCause::Schedule));
    assert!(matches!(late, Err(Rejected::Transition { .. })));
    assert_eq!(sim.state.episode().resumes, 1);
}

#[test]
fn b203_a_resume_that_could_not_begin_counts_and_is_tried_again() {
    let mut sim = Sim::new(TWO);
    sim.run(limit_of("acme"));
    sim.pass_to_due();
    let due = sim.now.after(Duration::from_secs(600));
    sim.record(Event::Run(RunEvent::Postponed {
        reason: "a component is missing".to_owned(),
        due_at: Some(due),
        waited: false,
    }));
    assert_eq!(sim.status(), Status::Paused);
    assert_eq!(sim.stop().due_at, Some(due));
    let reason = sim.stop().postponed;
    assert_eq!(reason.as_deref(), Some("a component is missing"));
    assert_eq!(sim.stop().code(), StopCode::StepPaused, "the reason stays");
    assert_eq!(sim.state.episode().resumes, 1);
    sim.record(Event::Run(RunEvent::Postponed {
        reason: "still missing".to_owned(),
        due_at: None,
        waited: false,
    }));
    assert_eq!((sim.stop().due_at, sim.state.episode().resumes), (None, 2));
    sim.work(ResumeBy::Schedule).run(limit_of("acme"));
    assert_eq!(sim.state.episode().resumes, 3);
    assert_eq!(sim.automatic(), next(4));
    sim.resume().run(fine);
    let late = sim.try_record(Event::Run(RunEvent::Postponed {
        reason: "late".to_owned(),
        due_at: None,
        waited: false,
    }));
    assert!(matches!(late, Err(Rejected::NotPaused { .. })));
}

#[test]
fn b204_a_completed_step_ends_the_episode() {
    let mut sim = Sim::new(TWO);
    sim.run(limit_of("acme"));
    sim.pass_to_due()
        .work(ResumeBy::Schedule)
        .run(limit_of("acme"));
    assert_eq!(sim.state.episode().resumes, 1);
    sim.pass_to_due()
        .work(ResumeBy::Schedule)
        .run(|attempt| match attempt.step.as_str() {
            "b" => limit_of("acme")(attempt),
            _ => fine(attempt),
        });
    assert_eq!(sim.state.episode().resumes, 0, "`a` went through");
    assert_eq!(sim.automatic(), next(1));
}

#[test]
fn b204_a_failed_step_does_not_end_the_episode() {
    let body = "[[step]]\nid = \"l\"\nloop = { until = \"false\", max_iterations = 9 }\n[[step]]\nid = \"m\"\nin = \"l\"\nuse = \"p/m\"\n";
    let mut sim = Sim::new(body);
    let script = |attempt: &Attempt| match attempt.attempt {
        1 => limit_of("acme")(attempt),
        _ => fail("red"),
    };
    sim.run(script);
    for resumes in 1..=5 {
        sim.pass_to_due().work(ResumeBy::Schedule).run(script);
        assert_eq!(sim.state.episode().resumes, resumes);
    }
    assert_eq!(sim.stop().due_at, None, "a loop of failures cannot spin");
}

#[test]
fn b206_another_provider_is_another_pool() {
    let mut sim = Sim::new(TWO);
    sim.run(limit_of("acme"));
    sim.pass_to_due()
        .work(ResumeBy::Schedule)
        .run(limit_of("acme"));
    sim.pass_to_due()
        .work(ResumeBy::Schedule)
        .run(limit_of("other"));
    assert_eq!(sim.state.episode().resumes, 0);
    assert_eq!(sim.state.episode().provider.as_deref(), Some("other"));
    let first = AUTOMATIC_RESUMES[0].as_secs_f64() * 1.25;
    assert!(wait_of(&sim) <= first, "{}", wait_of(&sim));
}

/// Providers that take turns, times that are asked for, signals that may come: none of it makes more than five of them.
#[test]
fn no_row_of_pauses_without_a_completed_step_is_resumed_more_than_five_times() {
    let hints = |providers: &'static [&'static str], until: bool| {
        move |attempt: &Attempt| match pause("quota") {
            Outcome::Paused(pause) => {
                let turn = attempt.attempt as usize % providers.len();
                let provider = Some(providers[turn].to_owned()).filter(|name| !name.is_empty());
                Outcome::Paused(Pause {
                    until: (until || provider.is_none()).then(|| Timestamp::from_nanos(1)),
                    provider,
                    ..pause
                })
            }
            other => other,
        }
    };
    let rows: [&'static [&'static str]; 4] = [
        &["acme", "other"],
        &["acme", ""],
        &["a", "b", "c", "d", "e", "f", "g"],
        &["acme", "acme", "other"],
    ];
    for providers in rows {
        for until in [false, true] {
            let script = hints(providers, until);
            let mut sim = Sim::new(TWO);
            sim.run(&script);
            while sim.stop().due_at.is_some() && sim.calls.len() < 20 {
                sim.pass_to_due().work(ResumeBy::Schedule).run(&script);
            }
            assert_eq!(sim.calls.len(), 6, "{providers:?} {until}");
            assert_eq!(sim.state.episode().in_a_row(), 5);
            assert_eq!(sim.automatic(), USED_UP);
            // A person's word begins afresh, and so does a completed step.
            sim.resume().run(&script);
            assert_eq!(sim.state.episode().in_a_row(), 0);
            sim.pass_to_due().work(ResumeBy::Schedule).run(fine);
            assert_eq!(sim.status(), Status::Completed);
            assert_eq!(sim.state.episode().in_a_row(), 0);
        }
    }
}

/// What an old program began goes on, and replays, by the rules that it began under.
#[test]
fn an_old_run_counts_for_each_provider() {
    let turns = |attempt: &Attempt| match attempt.attempt % 2 {
        0 => limit_of("acme")(attempt),
        _ => limit_of("other")(attempt),
    };
    let mut sim = Sim::of_old(TWO);
    sim.run(turns);
    for _ in 0..8 {
        sim.pass_to_due().work(ResumeBy::Schedule).run(turns);
    }
    assert_eq!(sim.automatic(), next(1));
}

#[test]
fn a_run_that_its_host_cannot_drive_on_is_put_off_and_fails_at_last() {
    let mut sim = Sim::new(TWO);
    let mut path = None;
    for used in 0..5 {
        path = sim
            .next_attempt()
            .map(|attempt| attempt.path.parse().unwrap());
        assert_eq!(sim.state.episode().in_a_row(), used);
        let last = put_off(&sim.state, "no luck", path.clone(), sim.now);
        for event in interrupt(&sim.state, last) {
            sim.record(event);
        }
        let stop = sim.stop();
        assert_eq!(
            (sim.status(), stop.code()),
            (Status::Paused, StopCode::HostError)
        );
        assert_eq!(stop.why.error(), Some("no luck"));
        assert_eq!(sim.automatic(), next(used + 1));
        let planned = AUTOMATIC_RESUMES[used as usize].as_secs_f64();
        let wait = wait_of(&sim) / planned;
        assert!((0.75..=1.25).contains(&wait), "{wait}");
        sim.pass_to_due().work(ResumeBy::Schedule);
    }
    sim.next_attempt().unwrap();
    let last = put_off(&sim.state, "no luck", path, sim.now);
    for event in interrupt(&sim.state, last) {
        sim.record(event);
    }
    let stop = sim.stop();
    assert_eq!(
        (sim.status(), stop.code()),
        (Status::Failed, StopCode::HostError)
    );
    assert_eq!(sim.automatic(), USED_UP);
    sim.resume().run(fine);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn a_person_who_takes_a_lost_run_over_begins_its_counts_afresh() {
    let mut sim = Sim::new(TWO);
    sim.claim(ClaimCause::Recovery);
    assert_eq!(sim.state.recoveries(), 1);
    sim.claim(ClaimCause::Resume);
    assert_eq!(
        (sim.state.recoveries(), verdict(&sim)),
        (0, Judgement::Recover)
    );
}

#[test]
fn a_paused_run_can_be_held_whatever_comes() {
    let held = |sim: &Sim| {
        let stop = sim.stop();
        assert_eq!((sim.status(), stop.due_at), (Status::Paused, None));
        assert!(sim.state.is_held());
        assert!(stop.held_by.is_some());
    };
    let mut sim = Sim::new(TWO);
    sim.run(limit_of("acme"));
    assert!(!sim.state.is_held());
    sim.hold();
    held(&sim);
    assert_eq!(sim.stop().code(), StopCode::StepPaused, "the reason stays");
    sim.resume().run(fine);
    assert_eq!(sim.status(), Status::Completed);
    let late = sim.try_record(Event::Run(RunEvent::Held {
        by: "ann".to_owned(),
    }));
    assert!(matches!(late, Err(Rejected::NotPaused { .. })));

    let mut sim = Sim::new("[[step]]\nid = \"w\"\nwait = { signal = \"go\" }\n");
    sim.run(fine);
    sim.hold();
    sim.signal("go", json!(null)).unwrap();
    assert_eq!(sim.stop().code(), StopCode::Ready);
    held(&sim);
    sim.resume().run(fine);
    assert_eq!(sim.status(), Status::Completed);

    let mut sim = Sim::new("[[step]]\nid = \"w\"\napproval = { message = \"?\" }\n");
    sim.run(fine);
    sim.hold();
    sim.approve("w");
    held(&sim);
}

/// A clock that was years ahead is right again: what it left behind goes on in its own time.
#[test]
fn a_clock_far_ahead_does_not_hold_a_run_up() {
    let years = Duration::from_secs(10 * 365 * 86_400);
    let bodies = [
        TWO.to_owned(),
        "[[step]]\nid = \"w\"\nwait = { for = \"10m\" }\n".to_owned(),
        "[[step]]\nid = \"w\"\nwait = { signal = \"go\", timeout = \"10m\", on_timeout = \"continue\" }\n".to_owned(),
        "[[step]]\nid = \"w\"\napproval = { message = \"?\", timeout = \"10m\", on_timeout = \"approve\" }\n".to_owned(),
    ];
    for body in bodies {
        let mut sim = Sim::new(&body);
        let right = sim.now;
        sim.pass(years).run(limit_of("acme"));
        let wait = sim.stop().due_at.unwrap().since(sim.now);
        sim.now = right;
        let event = correction(&sim.definition, &sim.state, sim.now).unwrap();
        sim.record(event);
        assert_eq!(sim.state.updated_at(), right);
        assert_eq!(sim.stop().due_at, Some(right.after(wait)), "{body}");
        assert_eq!(
            correction(&sim.definition, &sim.state, sim.now),
            None,
            "once"
        );
        let go_on = match sim.stop().code().is_wait() {
            true => ResumeBy::Wait,
            false => ResumeBy::Schedule,
        };
        sim.pass_to_due().work(go_on).run(fine);
        assert_eq!(sim.status(), Status::Completed, "{body}");
        assert!(sim.now.since(right) < Duration::from_secs(3_600));
    }
    // A little ahead is no reason, and a time that the definition names is nobody's mistake.
    let mut sim = Sim::new("[[step]]\nid = \"w\"\nwait = { until = \"'2090-01-01T00:00:00Z'\" }\n");
    let right = sim.now;
    sim.pass(Duration::from_secs(86_400)).run(fine);
    assert_eq!(correction(&sim.definition, &sim.state, right), None);
    let mut sim = Sim::new("[[step]]\nid = \"w\"\nwait = { until = \"'2090-01-01T00:00:00Z'\" }\n");
    sim.pass(years).run(fine);
    sim.now = right;
    let due = sim.stop().due_at;
    let event = correction(&sim.definition, &sim.state, right).unwrap();
    sim.record(event);
    assert_eq!(sim.stop().due_at, due);
}

/// A device that boots in 1970, until it hears what time it is: it takes nothing back.
#[test]
fn a_clock_that_was_never_set_takes_nothing_back() {
    let bodies = [
        "[[step]]\nid = \"w\"\nwait = { for = \"10m\" }\n",
        "[[step]]\nid = \"w\"\napproval = { message = \"?\", timeout = \"10m\", on_timeout = \"approve\" }\n",
    ];
    for body in bodies {
        let mut sim = Sim::new(body);
        sim.run(fine);
        let due = sim.stop().due_at;
        for seconds in [0, 86_400, 946_684_800, 1_672_531_199] {
            let never_set = Timestamp::from_nanos(seconds * 1_000_000_000);
            let event = correction(&sim.definition, &sim.state, never_set);
            assert_eq!(event, None, "{seconds}");
        }
        let set = Timestamp::from_nanos(1_672_531_200_000_000_000);
        assert!(correction(&sim.definition, &sim.state, set).is_some());
        assert_eq!(sim.stop().due_at, due);
    }
}

#[test]
fn b199_a_plugin_that_always_asks_for_now_cannot_spin() {
    let now = |_: &Attempt| match pause("quota") {
        Outcome::Paused(pause) => Outcome::Paused(Pause {
            until: Some(Timestamp::from_nanos(1)),
            ..pause
        }),
        other => other,
    };
    let mut sim = Sim::new(TWO);
    sim.run(now);
    let begin = sim.now;
    assert_eq!(sim.stop().due_at, Some(begin), "the first time it may");
    while sim.stop().due_at.is_some() {
        sim.pass_to_due().work(ResumeBy::Schedule).run(now);
    }
    assert_eq!(sim.calls.len(), 6);
    assert!(sim.now.since(begin) > Duration::from_secs(4 * 3_600));
}

#[test]
fn a_pause_tells_its_own_time_where_that_is_not_when_it_is_due() {
    let until = |after: Duration| {
        let mut sim = Sim::new(TWO);
        let at = sim.now.after(after);
        let asks = move |_: &Attempt| match pause("quota") {
            Outcome::Paused(pause) => Outcome::Paused(Pause {
                until: Some(at),
                ..pause
            }),
            other => other,
        };
        sim.run(asks);
        let of = |sim: &Sim| match &sim.stop().why {
            Why::StepPaused(pausing) => (sim.stop().due_at, pausing.not_before),
            other => panic!("{other:?}"),
        };
        let first = of(&sim);
        sim.pass_to_due().work(ResumeBy::Schedule).run(asks);
        (at, first, of(&sim))
    };
    let (at, (due, not_before), (later, again)) = until(Duration::from_secs(3_600));
    assert_eq!(due, Some(at));
    assert_eq!(not_before, None, "it is due then");
    // Asked for the same time again, which is over: it has to wait for longer.
    assert!(later > due, "{later:?}");
    assert_eq!(again, Some(at));
}

#[test]
fn a_wait_between_two_pauses_is_no_automatic_resume() {
    let body =
        "[[step]]\nid = \"w\"\nwait = { for = \"10m\" }\n[[step]]\nid = \"a\"\nuse = \"p/a\"\n";
    let mut sim = Sim::new(body);
    sim.run(fine);
    sim.pass_to_due().work(ResumeBy::Wait).run(limit_of("acme"));
    assert_eq!(sim.state.episode().resumes, 0);
    assert_eq!(sim.automatic(), next(1));
}

/// What the next sweep would do after the owner of this run is gone.
fn verdict(sim: &Sim) -> Judgement {
    judge(Liveness::Gone, true, sim.state.recoveries())
}

#[test]
fn b398_b399_a_run_is_recovered_once_without_progress() {
    let mut sim = Sim::new(TWO);
    let first = sim.next_attempt().unwrap();
    assert_eq!(verdict(&sim), Judgement::Recover);
    sim.claim(ClaimCause::Recovery);
    assert_eq!(sim.state.recoveries(), 1);
    assert_eq!(verdict(&sim), Judgement::GiveUp);
    let again = sim.next_attempt().unwrap();
    assert_eq!(
        (again.path, again.attempt),
        (first.path, 2),
        "it starts again"
    );
    sim.claim(ClaimCause::Recovery);
    assert_eq!(sim.state.recoveries(), 2);
    assert_eq!(verdict(&sim), Judgement::GiveUp);
}

#[test]
fn b398_a_claim_that_is_no_recovery_does_not_count() {
    let mut sim = Sim::new(TWO);
    for cause in [ClaimCause::Start, ClaimCause::Resume, ClaimCause::Retry] {
        sim.claim(cause);
        assert_eq!(sim.state.recoveries(), 0);
    }
    sim.record(Event::Run(RunEvent::Released {
        reason: "shut down".to_owned(),
    }));
    sim.claim(ClaimCause::Start);
    assert_eq!(sim.state.recoveries(), 0);
}

#[test]
fn b398_every_ending_is_progress() {
    let recovered = |body: &str| {
        let mut sim = Sim::new(body);
        sim.claim(ClaimCause::Recovery);
        sim
    };
    for outcome in [ok(json!({})), fail("red"), pause("ask")] {
        let mut sim = recovered(TWO);
        let attempt = sim.next_attempt().unwrap();
        assert_eq!(sim.state.recoveries(), 1);
        sim.end(&attempt, outcome);
        assert_eq!(sim.state.recoveries(), 0);
    }
    let mut sim = recovered("[[step]]\nid = \"w\"\nwait = { for = \"30s\" }\n");
    sim.run(fine);
    assert_eq!(sim.state.recoveries(), 0, "a wait is over");
    let mut sim = recovered("[[step]]\nid = \"w\"\nwait = { signal = \"go\" }\n");
    sim.run(fine);
    assert_eq!(sim.state.recoveries(), 1, "a pause settles nothing");
    sim.signal("go", json!(null)).unwrap();
    assert_eq!(sim.state.recoveries(), 0);
    let mut sim = recovered("[[step]]\nid = \"w\"\napproval = { message = \"?\" }\n");
    sim.run(fine);
    sim.decide("w", wait::Verdict::Approved, "").unwrap();
    assert_eq!(sim.state.recoveries(), 0);
}
