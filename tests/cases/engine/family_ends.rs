//! What ends a run ends what it has started before it.

use std::sync::Arc;
use std::time::Duration;

use milepost::engine::{ApprovalDecision, Control, Demand, Request, StopAnswer};
use milepost::store::{StopKind, Write};
use milepost_core::event::{Event, RunEvent};
use milepost_core::ids::RunId;
use milepost_core::outcome::Outcome;
use milepost_core::state::Status;
use milepost_core::wait::Verdict;
use milepost_tests::faulty::{Fault, FaultyStore};
use milepost_tests::now::Now as _;
use milepost_tests::rig::{Rig, r1, until_idle};
use milepost_tests::scripted::{Gate, Script, ok};
use serde_json::json;

use super::children::{children, rig_of, row};

/// A child that waits for its step.
const CHILD: &str = "[inputs.n]\ntype = 'int'\n[[step]]\nid = 'inner'\nuse = 'p/inner'\n";

const STARTS: &str = "[[step]]\nid = 'child'\nworkflow = 'c.toml'\nwith = { n = 3 }\n";

/// A store that remembers what is written to it.
fn watched(rig: &Rig) -> Arc<FaultyStore> {
    Arc::new(FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None))
}

/// The runs that came to their end, in that order.
fn ends(store: &FaultyStore) -> Vec<RunId> {
    let writes = store.writes().into_iter();
    let ended = writes.filter(|write: &Write| write.head.status.is_terminal());
    ended.map(|write| write.run).collect()
}

/// A step that stays until it is cancelled. Time is real here: how long others wait for it counts.
fn until_cancelled(script: Script, name: &str, gate: &Gate) -> Script {
    let gate = gate.clone();
    script.slow(name, move |call| {
        let gate = gate.clone();
        async move {
            tokio::select! {
                () = call.host.cancelled() => {}
                () = gate.pass() => {}
            }
            Outcome::Cancelled(String::new())
        }
    })
}

fn rig(body: &str, script: &Script) -> Rig {
    rig_of(body, &[("c.toml", CHILD)], script)
}

fn only_child(rig: &Rig) -> RunId {
    let mut children = children(rig, &r1());
    assert_eq!(children.len(), 1);
    children.remove(0).id
}

/// Parent and child are runs of a worker; whoever cancels the parent waits for the child before.
#[tokio::test]
async fn b369_a_child_that_another_process_drives_is_over_before_its_parent_is() {
    for kind in [StopKind::Cancel, StopKind::Compensate] {
        let gate = Gate::default();
        let script = until_cancelled(Script::new(), "inner", &gate);
        let rig = rig(STARTS, &script);
        let store = watched(&rig);
        rig.submit("r1").await;
        let worker = rig.engine_on(Arc::clone(&store) as _);
        let other = rig.engine_on(Arc::clone(&store) as _);
        let (_, ended) = tokio::join!(worker.work(until_idle(2)), async {
            gate.came().await;
            while rig.row().status != Status::Paused {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            other.end_family_by(&r1(), kind, "ann").await.unwrap()
        });
        let child = only_child(&rig);
        assert_eq!(ended.answer, StopAnswer::Done(Status::Cancelled));
        assert_eq!(ended.children, std::slice::from_ref(&child), "{kind:?}");
        assert!(ended.asked.is_empty(), "{kind:?}");
        assert_eq!(ends(&store), [child, r1()], "{kind:?}");
    }
}

/// The process that drives parent and child is asked to end the parent, which stands still.
#[tokio::test]
async fn b369_a_parent_that_stands_still_ends_with_its_child_for_whoever_drives_both() {
    const FINALLY: &str = "[[step]]\nid = 'last'\nfinally = true\nuse = 'p/last'\n";
    for (demand, body) in [
        (Demand::Kill, STARTS.to_owned()),
        (Demand::Cancel, STARTS.to_owned()),
        (Demand::Compensate, STARTS.to_owned()),
        (Demand::Kill, format!("{STARTS}{FINALLY}")),
        (Demand::Cancel, format!("{STARTS}{FINALLY}")),
    ] {
        let gate = Gate::default();
        let script = until_cancelled(Script::new(), "inner", &gate);
        let script = script.step("last", |_| ok(json!(1)));
        let rig = rig(&body, &script);
        let store = watched(&rig);
        let engine = rig.engine_on(Arc::clone(&store) as _);
        let control = Control::default();
        let (report, ()) = tokio::join!(rig.run_on(&engine, control.clone()), async {
            gate.came().await;
            while rig.row().status != Status::Paused {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(control.ask(Request::new(demand, "ann")));
        });
        let child = only_child(&rig);
        assert_eq!(row(&rig, &child).status, Status::Cancelled, "{demand:?}");
        assert_eq!(report.unwrap().status, Status::Cancelled, "{demand:?}");
        assert_eq!(ends(&store), [child, r1()], "{demand:?}");
        let cleans_up = demand != Demand::Kill && body.contains("last");
        let called = script.calls().iter().any(|call| call.starts_with("last"));
        assert_eq!(called, cleans_up, "{demand:?}");
    }
}

/// One whose process does not answer holds nobody up, and is named.
#[tokio::test]
async fn b369_a_child_that_does_not_end_in_time_is_named_and_its_parent_ends() {
    let gate = Gate::default();
    let script = Script::new().held("inner", &gate);
    let rig = rig(STARTS, &script);
    let engine = rig.engine();
    // Its process hangs from now on: nobody polls it.
    let mut driven = Box::pin(rig.run_on(&engine, Control::default()));
    gate.holds(&mut driven).await;
    while rig.row().status != Status::Paused {
        let soon = tokio::time::timeout(Duration::from_millis(50), &mut driven);
        assert!(soon.await.is_err());
    }
    let began = tokio::time::Instant::now();
    let ended = rig.engine().end_family(&r1(), false, "ann").await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10));
    let child = only_child(&rig);
    assert_eq!(ended.answer, StopAnswer::Done(Status::Cancelled));
    assert_eq!(ended.asked, std::slice::from_ref(&child));
    assert_eq!(row(&rig, &child).request.unwrap().kind, StopKind::Cancel);
    // It hears of it when it goes on.
    driven.await.unwrap();
    assert_eq!(row(&rig, &child).status, Status::Cancelled);
}

/// The process of a parent that moves ends its children before it ends it, whoever asks and however.
#[tokio::test]
async fn b369_a_parent_that_moves_is_over_after_its_children() {
    let body = format!("flow = 'graph'\n{STARTS}[[step]]\nid = 'long'\nuse = 'p/long'\n");
    for (here, kind) in [
        (true, StopKind::Cancel),
        (false, StopKind::Cancel),
        (false, StopKind::Compensate),
    ] {
        let (gate, held) = (Gate::default(), Gate::default());
        let script = until_cancelled(Script::new(), "inner", &gate);
        let script = until_cancelled(script, "long", &held);
        let rig = rig(&body, &script);
        let store = watched(&rig);
        let engine = rig.engine_on(Arc::clone(&store) as _);
        let control = Control::default();
        let (report, ()) = tokio::join!(rig.run_on(&engine, control.clone()), async {
            gate.came().await;
            held.came().await;
            if here {
                assert!(control.ask(Request::new(Demand::Cancel, "ann")));
            } else {
                let other = rig.engine_on(Arc::clone(&store) as _);
                let ended = other.end_family_by(&r1(), kind, "ann").await.unwrap();
                assert_eq!(ended.answer, StopAnswer::Asked);
                assert_eq!(ended.children, [only_child(&rig)], "{kind:?}");
            }
        });
        assert_eq!(report.unwrap().status, Status::Cancelled, "{here} {kind:?}");
        assert_eq!(ends(&store), [only_child(&rig), r1()], "{here} {kind:?}");
        assert!(rig.replay().await.unwrap().is_same());
    }
}

/// A step that ends the run, and a rejection: of one that moves, and of one that stands still.
#[tokio::test]
async fn b369_what_ends_a_parent_by_itself_ends_its_children_before() {
    let ends_it = "[[step]]\nid = 'stop'\nend = { status = 'cancelled' }\nneeds = ['go']\n";
    let asks = "[[step]]\nid = 'ask'\napproval = { message = 'go on?' }\n";
    let long = "[[step]]\nid = 'long'\nuse = 'p/long'\n";
    let go = "[[step]]\nid = 'go'\nuse = 'p/go'\n";
    let last = "[[step]]\nid = 'last'\nuse = 'p/last'\nfinally = true\n";
    for tail in ["", last] {
        for (name, body, moves) in [
            ("end", format!("{go}{ends_it}"), false),
            ("rejected while it moves", format!("{asks}{long}"), true),
            ("rejected", asks.to_owned(), false),
        ] {
            let (gate, held, goes) = (Gate::default(), Gate::default(), Gate::default());
            let script = until_cancelled(Script::new(), "inner", &gate);
            let script = until_cancelled(script, "long", &held)
                .held("go", &goes)
                .step("last", |_| ok(json!(1)));
            let rig = rig(&format!("flow = 'graph'\n{STARTS}{body}{tail}"), &script);
            let store = watched(&rig);
            rig.submit("r1").await;
            let worker = rig.engine_on(Arc::clone(&store) as _);
            let other = rig.engine_on(Arc::clone(&store) as _);
            tokio::join!(worker.work(until_idle(2)), async {
                gate.came().await;
                if name == "end" {
                    goes.came().await;
                    return goes.open();
                }
                let standing = if moves {
                    Status::Running
                } else {
                    Status::Paused
                };
                while rig.row().status != standing {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                let decision = ApprovalDecision {
                    path: None,
                    verdict: Verdict::Rejected,
                    comment: None,
                    by: None,
                };
                other.decide_approval(&r1(), &decision).await.unwrap();
            });
            rig.work().await;
            let child = only_child(&rig);
            assert_eq!(rig.row().status, Status::Cancelled, "{name}");
            assert_eq!(ends(&store)[0], child, "{name}");
            let journal = rig.journal();
            let finishes = journal.iter().find(|entry| {
                matches!(
                    entry.event,
                    Event::Run(RunEvent::Finishing { .. } | RunEvent::Cancelled { .. })
                )
            });
            // Also before it begins to wind up.
            let child = milepost::record::journal(rig.store.as_ref(), &child, 0, 1_000);
            let child = child.now().unwrap();
            let ended = child.last().unwrap().at;
            assert!(ended <= finishes.unwrap().at, "{name}");
            for gate in [&gate, &held, &goes] {
                gate.open();
            }
            assert!(rig.replay().await.unwrap().is_same(), "{name}");
        }
    }
}

/// The process of the parent is lost with a request that it has not met: whoever sweeps ends the children first.
#[tokio::test]
async fn b369_a_request_that_a_lost_process_left_ends_the_children_first() {
    let body = format!("flow = 'graph'\n{STARTS}[[step]]\nid = 'long'\nuse = 'p/long'\n");
    let (gate, held) = (Gate::default(), Gate::default());
    let script = until_cancelled(Script::new(), "inner", &gate);
    let script = until_cancelled(script, "long", &held);
    let rig = rig(&body, &script);
    let store = watched(&rig);
    {
        let engine = rig.engine_of(milepost_tests::faulty::dead_process());
        let mut run = Box::pin(rig.run_on(&engine, Control::default()));
        gate.holds(&mut run).await;
        std::mem::forget(run);
    }
    let other = rig.engine_on(Arc::clone(&store) as _);
    let asked = milepost::store::StopRequest {
        kind: StopKind::Cancel,
        at: milepost::clock::Clock::now(&rig.clock),
        by: "ann".to_owned(),
    };
    rig.store.request_stop(&r1(), asked).await.unwrap();
    other.sweep().await.unwrap();
    assert_eq!(ends(&store), [only_child(&rig), r1()]);
}
