//! Requests to stop a run that somebody else drives.

use super::words::Wait as _;
use crate::{Claimed, StopKind, Store, StoreError, Written};
use milepost_core::state::Status;

use super::words::{
    Talk, With, at, change, conflict, create, id, in_status, request, start, step, wait,
};

pub(crate) fn a_request_is_kept_while_the_run_runs(s: &dyn Store) {
    for kind in StopKind::ALL {
        let run = kind.to_string();
        s.save(start(&run).at(2).entry(1));
        let mut expected = s.see(&run);
        assert_eq!(s.ask(&run, kind, 40).unwrap(), Status::Running);
        // It moves neither the place nor the update time.
        expected.request = Some(request(kind, 40));
        assert_eq!(s.see(&run), expected);
        s.save(step(&run, 1, 1));
    }
}

/// B277 to B279, B285, B286: what is not running is told, and nothing is kept: it can be changed directly, or is over.
pub(crate) fn b285_b286_what_does_not_run_is_told_and_nothing_is_kept(s: &dyn Store) {
    for status in Status::ALL.into_iter().filter(|s| *s != Status::Running) {
        for kind in StopKind::ALL {
            let run = format!("{status}-{kind}");
            in_status(s, &run, status);
            let before = s.see(&run);
            assert_eq!(s.ask(&run, kind, 40).unwrap(), status);
            assert_eq!(s.ask(&run, kind, 41).unwrap(), status, "again");
            assert_eq!(s.see(&run), before);
        }
    }
}

pub(crate) fn b279_a_request_for_an_unknown_run_is_refused(s: &dyn Store) {
    let refused = s.ask("r", StopKind::Kill, 1);
    assert!(matches!(refused, Err(StoreError::NotFound(run)) if run == id("r")));
}

pub(crate) fn a_stronger_request_replaces_a_weaker_one_and_never_the_reverse(s: &dyn Store) {
    for first in StopKind::ALL {
        for second in StopKind::ALL {
            let run = format!("{first}-{second}");
            s.save(start(&run));
            s.ask(&run, first, 40).unwrap();
            assert_eq!(s.ask(&run, second, 50).unwrap(), Status::Running);
            // Of equal ones, the first keeps its time and its author.
            let kept = match second > first {
                true => request(second, 50),
                false => request(first, 40),
            };
            assert_eq!(s.see(&run).request, Some(kept), "{run}");
        }
    }
}

fn asked(written: &Written) -> Option<StopKind> {
    written.request.as_ref().map(|request| request.kind)
}

pub(crate) fn writes_and_renewals_tell_of_a_request(s: &dyn Store) {
    for kind in StopKind::ALL {
        let run = kind.to_string();
        s.save(start(&run));
        assert_eq!(s.save(step(&run, 0, 1)).request, None);
        assert_eq!(s.renew(&run, 1, 60).unwrap(), None);
        s.ask(&run, kind, 40).unwrap();
        let asked = request(kind, 40);
        assert_eq!(s.save(step(&run, 1, 1)).request, Some(asked.clone()));
        let news = Some(Claimed::Asked(asked.clone()));
        assert_eq!(s.renew(&run, 1, 90).unwrap(), news);
        // Whoever takes over has to meet it as well.
        let taken_over = s.save(step(&run, 2, 1).claim("b", 60));
        assert_eq!(taken_over.request, Some(asked.clone()));
        assert_eq!(s.see(&run).request, Some(asked));
    }
}

pub(crate) fn a_status_clears_the_requests_that_mean_nothing_to_it(s: &dyn Store) {
    for kind in StopKind::ALL {
        for status in Status::ALL {
            let run = format!("{kind}-{status}");
            s.save(start(&run));
            s.ask(&run, kind, 40).unwrap();
            let outlives = match status {
                Status::Pending | Status::Running => true,
                Status::Paused | Status::Failed => {
                    !matches!(kind, StopKind::Pause | StopKind::PauseNow)
                }
                Status::Completed | Status::Cancelled => false,
            };
            let written = s.save(step(&run, 0, 1).status(status));
            assert_eq!(asked(&written), outlives.then_some(kind), "{run}");
            let kept = outlives.then(|| request(kind, 40));
            assert_eq!(s.see(&run).request, kept, "{run}");
        }
    }
}

/// Until it is held, for which the request has to be there still.
pub(crate) fn a_run_that_paused_but_moves_by_itself_keeps_a_pause(s: &dyn Store) {
    for kind in StopKind::ALL {
        let run = kind.to_string();
        s.save(start(&run));
        s.ask(&run, kind, 40).unwrap();
        let written = s.save(step(&run, 0, 1).status(Status::Paused).moving());
        assert_eq!(asked(&written), Some(kind));
        assert_eq!(s.see(&run).request, Some(request(kind, 40)));
        let requested = s.find(50, 10).unwrap().requested;
        assert!(requested.iter().any(|row| row.id == id(&run)), "{run}");
        let held = s.save(step(&run, 1, 1).status(Status::Paused));
        assert_eq!(asked(&held), Some(kind).filter(|kind| kind.ends()));
    }
}

/// The run goes on for a while after that, and another one can be asked of it.
pub(crate) fn a_cancellation_that_is_met_is_cleared_and_nothing_else(s: &dyn Store) {
    for status in [Status::Running, Status::Pending] {
        for kind in StopKind::ALL {
            let run = format!("{kind} {status}").replace(' ', "-");
            s.save(start(&run));
            s.ask(&run, kind, 40).unwrap();
            let met = matches!(kind, StopKind::Compensate | StopKind::Cancel);
            let stays = !met && kind.outlives(status);
            let written = s.save(step(&run, 0, 1).status(status).cancelling());
            assert_eq!(asked(&written), stays.then_some(kind), "{run}");
            assert_eq!(s.see(&run).request.is_some(), stays, "{run}");
            if kind == StopKind::Cancel && status == Status::Running {
                s.ask(&run, kind, 50).unwrap();
                assert_eq!(s.see(&run).request, Some(request(kind, 50)));
            }
        }
    }
}

pub(crate) fn a_request_that_was_cleared_does_not_come_back(s: &dyn Store) {
    s.save(start("r"));
    s.ask("r", StopKind::PauseNow, 40).unwrap();
    s.save(step("r", 0, 1).status(Status::Paused));
    assert_eq!(s.save(step("r", 1, 1).claim("b", 60)).request, None);
    // And a weaker one can be made again.
    s.ask("r", StopKind::Pause, 70).unwrap();
    assert_eq!(s.see("r").request, Some(request(StopKind::Pause, 70)));
}

pub(crate) fn a_refused_write_leaves_the_request(s: &dyn Store) {
    s.save(start("r"));
    s.ask("r", StopKind::Cancel, 40).unwrap();
    conflict(s.try_save(step("r", 0, 2).status(Status::Completed)));
    assert_eq!(s.see("r").request, Some(request(StopKind::Cancel, 40)));
}

pub(crate) fn a_request_is_of_one_run(s: &dyn Store) {
    s.save(start("a"));
    s.save(start("b"));
    s.ask("a", StopKind::Kill, 40).unwrap();
    assert_eq!(s.see("b").request, None);
    assert_eq!(s.save(step("b", 0, 1)).request, None);
}

/// B286: a request after the end stamps nothing anew.
pub(crate) fn b286_the_end_of_a_run_is_stamped_once(s: &dyn Store) {
    s.save(start("r"));
    s.save(step("r", 0, 1).status(Status::Cancelled).at(9));
    assert_eq!(s.ask("r", StopKind::Cancel, 40).unwrap(), Status::Cancelled);
    assert_eq!((s.see("r").updated_at, s.entries("r")), (at(9), vec![1]));
}

/// B303: two decisions on the same waiting run. Whoever is second changes nothing at all, whatever it brought along.
pub(crate) fn b303_of_two_decisions_exactly_one_wins_and_the_other_writes_nothing(s: &dyn Store) {
    for (run, first, second) in [
        ("approved", Status::Running, Status::Cancelled),
        ("rejected", Status::Cancelled, Status::Running),
    ] {
        s.save(create(run).claim("a", 30).status(Status::Paused).entry(1));
        let number = s.post(run, "note");
        s.save(step(run, 1, 1).status(first).part("decision", "first"));
        let before = (s.checkpoint(&id(run)).wait().unwrap(), s.waiting(run));
        let late = step(run, 1, 1)
            .status(second)
            .part("decision", "second")
            .log("second")
            .blob(b"second")
            .consume(&[number]);
        assert_eq!(conflict(s.try_save(late)), (run.to_owned(), first, 2, 1));
        assert_eq!(
            (s.checkpoint(&id(run)).wait().unwrap(), s.waiting(run)),
            before
        );
        assert_eq!((s.entries(run), s.lines(run).len()), (vec![1, 2], 0));
        let digest = milepost_core::ids::Digest::of(b"second");
        assert_eq!(s.blob(&digest).wait().unwrap(), None);
    }
}

/// B303 and B431: the same at once, from as many threads.
pub(crate) fn b303_b431_of_many_decisions_at_once_one_leaves_its_trace(s: &dyn Store) {
    in_status(s, "r", Status::Paused);
    let won: Vec<String> = std::thread::scope(|scope| {
        let deciders: Vec<_> = (0..8)
            .map(|n| {
                scope.spawn(move || {
                    let decision = n.to_string();
                    let status = match n % 2 {
                        0 => Status::Running,
                        _ => Status::Cancelled,
                    };
                    let write = change("r", 1, 1).status(status).entry(2);
                    let written = s.try_save(write.part("decision", &decision).log(&decision));
                    match written {
                        Ok(_) => Some(decision),
                        lost => {
                            assert_eq!(conflict(lost).2, 2);
                            None
                        }
                    }
                })
            })
            .collect();
        let answers = deciders.into_iter().map(|decider| decider.join().unwrap());
        answers.flatten().collect()
    });
    assert_eq!(won.len(), 1);
    assert_eq!(s.lines("r"), won);
    assert_eq!(s.parts("r"), [("decision".into(), won[0].clone())]);
    assert_eq!(s.entries("r"), [1, 2]);
}

pub(crate) fn a_pause_can_be_withdrawn_and_what_ends_a_run_cannot(s: &dyn Store) {
    for kind in StopKind::ALL {
        let run = kind.to_string();
        s.save(start(&run));
        let before = s.see(&run);
        assert!(
            !wait(s.withdraw_pause(&id(&run))).unwrap(),
            "nothing is asked"
        );
        s.ask(&run, kind, 40).unwrap();
        assert_eq!(wait(s.withdraw_pause(&id(&run))).unwrap(), !kind.ends());
        let kept = Some(request(kind, 40)).filter(|request| request.kind.ends());
        assert_eq!(s.see(&run).request, kept, "{run}");
        if !kind.ends() {
            assert_eq!(s.see(&run), before);
            // Asked for again, it is a request of its own.
            s.ask(&run, kind, 50).unwrap();
            assert_eq!(s.see(&run).request, Some(request(kind, 50)));
        }
    }
    let unknown = wait(s.withdraw_pause(&id("nobody")));
    assert!(matches!(unknown, Err(StoreError::NotFound(_))));
}
