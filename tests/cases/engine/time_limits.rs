//! Deadlines and idle timeouts: what the engine does with attempts in flight, and with runs that stand still.

use std::time::Duration;

use milepost::attempt::Mode;
use milepost::clock::VirtualClock;
use milepost::engine::Control;
use milepost_core::outcome::{Outcome, codes};
use milepost_core::state::Status;
use milepost_core::stop::StopCode;
use milepost_core::wait::Verdict;
use milepost_tests::now::Now as _;
use milepost_tests::rig::{Rig, START, r1};
use milepost_tests::scripted::{Gate, Script, at, ok, pause};
use serde_json::json;

use super::approvals::decide;
use super::count;

/// A loop with a deadline around the step `m`, beside the step `b`, which is called until the test opens a gate.
const BESIDE: &str = r#"
flow = "graph"
[[step]]
id = "l"
loop = { until = "true" }
deadline = "10m"
continue_on_error = true
[[step]]
id = "m"
in = "l"
use = "p/m"
[[step]]
id = "b"
use = "p/b"
"#;

#[tokio::test(start_paused = true)]
async fn a_loop_that_is_out_of_time_lets_its_attempts_clean_up_and_disturbs_nobody_else() {
    // It cleans up; it does not care; it cleans up and says so.
    for (answer, completed) in [(0, true), (1, false), (2, false)] {
        let gate = Gate::default();
        let opened = gate.clone();
        let script = Script::new()
            .slow("m", move |call| async move {
                match (&call.mode, answer) {
                    (Mode::Replay(_), _) => {}
                    (Mode::Live | Mode::Mocked(_), 1) => std::future::pending().await,
                    (Mode::Live | Mode::Mocked(_), _) => call.host.cancelled().await,
                }
                match answer {
                    0 => ok(json!("cleaned up")),
                    _ => Outcome::Cancelled("cleaned up".to_owned()),
                }
            })
            .slow("b", move |call| {
                let opened = opened.clone();
                async move {
                    if let Mode::Live = call.mode {
                        opened.pass().await;
                    }
                    assert!(!call.host.cancel_requested().await, "nobody asked it");
                    at(&call)
                }
            });
        let mut rig = Rig::sqlite(BESIDE, &script);
        rig.clock = VirtualClock::manual(START);
        let engine = rig.engine();
        let (report, ()) = tokio::join!(rig.run_on(&engine, Control::default()), async {
            gate.came().await;
            rig.clock.advance(Duration::from_secs(600));
            tokio::time::sleep(Duration::from_secs(5)).await;
            let now = rig.engine().report(&r1()).now().unwrap();
            assert_eq!(now.status, Status::Running);
            gate.open();
        });
        let report = report.unwrap();
        assert_eq!(report.status, Status::Completed, "{answer}");
        let error = report.steps[0].error.as_ref().unwrap();
        assert_eq!(error.code, codes::DEADLINE_EXCEEDED);
        let events = rig.recorder.events();
        assert_eq!(count(&events, "step_completed"), 1 + usize::from(completed));
        assert_eq!(count(&events, "step_interrupted"), usize::from(!completed));
        assert_eq!(rig.replay().await.unwrap().divergence, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_ends_what_stands_still_when_its_deadline_comes() {
    for step in [
        "use = \"p/s\"",
        "wait = { signal = \"go\" }",
        "approval = { message = \"?\" }",
    ] {
        let body = format!("[[step]]\nid = \"s\"\n{step}\ndeadline = \"10m\"\n");
        let rig = Rig::sqlite(&body, &Script::new().step("s", |_| pause("quota")));
        assert_eq!(rig.run().await.unwrap().status, Status::Paused);
        rig.clock.set(START.after(Duration::from_secs(599)));
        assert_eq!(rig.work().await.taken, 0, "{step}");
        rig.clock.set(START.after(Duration::from_secs(600)));
        assert_eq!(rig.work().await.taken, 1, "{step}");
        let report = rig.engine().report(&r1()).now().unwrap();
        assert_eq!(report.stop.unwrap().code(), StopCode::StepFailed, "{step}");
        let error = report.steps[0].error.as_ref().unwrap();
        assert_eq!(error.code, codes::DEADLINE_EXCEEDED);
        assert_eq!(rig.replay().await.unwrap().divergence, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_comes_after_the_deadline_finds_it_recorded() {
    let body = "[[step]]\nid = \"s\"\napproval = { message = \"?\" }\ndeadline = \"10m\"\n";
    let rig = Rig::sqlite(body, &Script::new());
    assert_eq!(rig.run().await.unwrap().status, Status::Paused);
    rig.clock.set(START.after(Duration::from_secs(601)));
    let late = decide(&rig, Verdict::Approved).await;
    let refused = late.unwrap_err().to_string();
    assert!(refused.contains("too late"), "{refused}");
    rig.work().await;
    assert_eq!(rig.row().status, Status::Failed);
}
