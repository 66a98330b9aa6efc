//! A recorded run is executed against its record.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use milepost::engine::{EngineError, ResumeOptions};
use milepost::plugin::{ComponentBytes, LoadedPlugin, PluginError, PluginSource};
use milepost::replay::{Replayed, replay};
use milepost::store::StoreError;
use milepost::workflow::OpenError;
use milepost_core::definition::PluginSpec;
use milepost_core::outcome::ErrorClass;
use milepost_core::replay::Divergence;
use milepost_core::state::Status;
use milepost_core::stop::StopCode;
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Gate, Script, error, fail, ok, pause};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::steps;

const LOOP: &str = "
returns = '${ steps.count.output }'
[[step]]
id = 'a'
use = 'p/a'
[[step]]
id = 'fix'
loop = { until = 'steps.test.status == \"completed\"', max_iterations = 4 }
[[step]]
id = 'test'
in = 'fix'
use = 'p/test'
with = { iteration = '${ loop.iteration }' }
[[step]]
id = 'count'
use = 'p/count'
with = { n = '${ steps.fix.iterations }' }
";

fn script() -> Script {
    Script::new()
        .step("a", |_| ok(json!({ "n": 1, "list": [1, 2] })))
        .step("test", |call| {
            match (call.input["iteration"].as_i64(), call.attempt) {
                (Some(1), 1) => error(ErrorClass::Retryable, "busy"),
                (Some(1 | 2), _) => fail("red"),
                _ => ok(json!("green")),
            }
        })
        .step("count", |call| match &call.resume_state {
            None if call.attempt == 1 => pause("quota"),
            _ => ok(call.input["n"].clone()),
        })
}

/// A run with everything in it: a retry, failed passes, a pause, a resume, a success.
async fn recorded() -> Rig {
    let rig = Rig::sqlite(LOOP, &script());
    assert_eq!(rig.run().await.unwrap().status, Status::Paused);
    let report = rig.resume().await.unwrap();
    assert_eq!(
        (report.status, report.output),
        (Status::Completed, json!(3))
    );
    rig
}

fn divergence(replayed: Replayed) -> Divergence {
    *replayed.divergence.unwrap()
}

/// Edits the file of the store behind its back.
fn tamper(rig: &mut Rig, sql: &str) {
    rig.damaged = true;
    let db = rusqlite::Connection::open(rig.store_file()).unwrap();
    assert_eq!(db.execute(sql, []).unwrap(), 1, "{sql}");
    rig.reopen();
}

/// The one field in which two values differ, which the divergence must name.
fn found(divergence: &Divergence) -> (String, Option<String>, &str, &Value, &Value) {
    (
        divergence.event.clone(),
        divergence.path.as_ref().map(ToString::to_string),
        &divergence.field,
        &divergence.recorded,
        &divergence.actual,
    )
}

#[tokio::test]
async fn a_run_replays_and_nothing_is_called_live_or_written() {
    let rig = recorded().await;
    let (calls, row) = (rig.script.calls(), rig.row());
    let replayed = rig.replay().await.unwrap();
    assert_eq!(replayed.divergence, None);
    assert_eq!(replayed.events, row.seq);
    assert_eq!(replayed.attempts, calls.len() as u64);
    assert!(replayed.not_replayed.is_empty());
    assert_eq!((rig.script.calls(), rig.row()), (calls, row));
}

#[tokio::test]
async fn a_machine_that_is_slower_than_the_first_is_no_difference() {
    let steps = "[[step]]\nid = 'a'\nuse = 'p/a'\ntimeout = '2s'\nidle_timeout = '1s'\n[[step]]\nid = 'b'\nuse = 'p/b'\n";
    let rig = Rig::new(steps, &Script::new());
    rig.run().await.unwrap();
    let given = Arc::new(Mutex::new(None));
    let noted = Arc::clone(&given);
    rig.script.answer("a", move |call| {
        *noted.lock().unwrap() = Some((call.timeout, call.idle_timeout));
        error(ErrorClass::Timeout, "timeout")
    });
    let replayed = rig.replay().await.unwrap();
    assert_eq!(
        *given.lock().unwrap(),
        Some((Duration::from_secs(20), None))
    );
    assert_eq!(replayed.divergence, None);
    assert_eq!(replayed.attempts, 1, "the other one");
    let [slow] = &*replayed.not_replayed else {
        panic!("{replayed:?}");
    };
    assert_eq!(
        (slow.path.to_string(), &*slow.reason),
        ("a".to_owned(), "it was not over after 10 times its timeout")
    );
}

#[tokio::test]
async fn an_attempt_without_an_outcome_is_named_and_not_executed() {
    let gate = Gate::default();
    let script = Script::new()
        .held("a", &gate)
        .step("b", |_| error(ErrorClass::Timeout, "timeout"));
    let rig = Rig::new(&steps(&["a", "b"]), &script);
    gate.holds(rig.run()).await;
    gate.open();
    rig.resume().await.unwrap();
    gate.open();
    let replayed = rig.replay().await.unwrap();
    assert_eq!(replayed.divergence, None);
    assert_eq!(replayed.attempts, 1);
    let named: Vec<String> = replayed
        .not_replayed
        .iter()
        .map(|n| format!("{} {}: {}", n.path, n.attempt, n.reason))
        .collect();
    assert_eq!(
        named,
        [
            "a 1: its process was lost before it had an outcome",
            "b 1: a timeout depends on the machine",
        ]
    );
}

#[tokio::test]
async fn a_step_that_answers_otherwise_is_found_at_its_first_place() {
    let rig = recorded().await;
    rig.script
        .answer("a", |_| ok(json!({ "n": 1, "list": [1, 3] })));
    let found_there = divergence(rig.replay().await.unwrap());
    assert_eq!(found_there.seq, 4);
    assert_eq!(
        found(&found_there),
        (
            "step_completed".to_owned(),
            Some("a".to_owned()),
            "/output/list/1",
            &json!(2),
            &json!(3)
        )
    );
}

#[tokio::test]
async fn a_step_that_ends_otherwise_is_found() {
    let rig = recorded().await;
    rig.script.answer("test", |_| ok(json!("green")));
    let found = divergence(rig.replay().await.unwrap());
    assert_eq!(
        (found.event.as_str(), found.path.unwrap().to_string()),
        ("attempt_failed", "fix#1/test".to_owned())
    );
}

#[tokio::test]
async fn a_replay_needs_no_file() {
    let rig = recorded().await;
    rig.script.rebuild();
    let attempts = rig.replay().await.unwrap().attempts;
    rig.script.lose(true);
    std::fs::remove_file(rig.file()).unwrap();
    let replayed = rig.replay().await.unwrap();
    assert_eq!((replayed.divergence, replayed.attempts), (None, attempts));
    assert!(replayed.not_replayed.is_empty());
}

/// As older versions left their runs.
#[tokio::test]
async fn a_run_without_its_components_replays_with_the_same_file_and_no_other() {
    let mut rig = recorded().await;
    tamper(
        &mut rig,
        "DELETE FROM blob WHERE bytes = CAST('p 0' AS BLOB)",
    );
    assert_eq!(rig.replay().await.unwrap().divergence, None);
    for (changed, says) in [
        (Script::rebuild as fn(&Script), "p.wasm is another one"),
        (|script: &Script| script.lose(true), "its file is gone"),
    ] {
        changed(&rig.script);
        let Err(EngineError::Open(OpenError::Plugin(error))) = rig.replay().await else {
            panic!("it was replayed");
        };
        let text = error.to_string();
        for part in [
            says,
            "put the file with that digest in its place",
            "sha256:",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("--"), "replay has no options: {text}");
    }
}

#[tokio::test]
async fn an_edited_output_in_the_journal_is_found() {
    let mut rig = recorded().await;
    tamper(
        &mut rig,
        "UPDATE journal SET body = replace(body, '\"n\":1', '\"n\":2') WHERE seq = 4",
    );
    let found_there = divergence(rig.replay().await.unwrap());
    assert_eq!(found_there.seq, 4);
    assert_eq!(
        found(&found_there),
        (
            "step_completed".to_owned(),
            Some("a".to_owned()),
            "/output/n",
            &json!(2),
            &json!(1)
        )
    );
}

#[tokio::test]
async fn an_edited_decision_in_the_journal_is_found() {
    let mut rig = recorded().await;
    tamper(
        &mut rig,
        "UPDATE journal SET body = replace(body, '\"condition_met\":true', '\"condition_met\":false')
         WHERE body LIKE '%loop_iteration_ended%' AND body LIKE '%\"condition_met\":true%'",
    );
    let found_there = divergence(rig.replay().await.unwrap());
    assert_eq!(
        found(&found_there),
        (
            "loop_iteration_ended".to_owned(),
            Some("fix".to_owned()),
            "/condition_met",
            &json!(false),
            &json!(true)
        )
    );
}

#[tokio::test]
async fn an_unreadable_event_is_found_where_it_stands() {
    let mut rig = recorded().await;
    tamper(
        &mut rig,
        "UPDATE journal SET body = substr(body, 2) WHERE seq = 5",
    );
    let found = divergence(rig.replay().await.unwrap());
    assert_eq!((found.seq, found.event.as_str()), (5, "unreadable"));
}

#[tokio::test]
async fn an_edited_checkpoint_is_found_by_its_part() {
    let mut rig = recorded().await;
    tamper(
        &mut rig,
        "UPDATE checkpoint SET body = replace(body, '\"n\":1', '\"n\":2') WHERE part = 'step/a'",
    );
    let found = divergence(rig.replay().await.unwrap());
    assert_eq!(found.event, "checkpoint");
    assert!(
        found.field.starts_with("/step~1a") || found.field.starts_with("/step/a"),
        "{}",
        found.field
    );
    assert!(found.field.ends_with("/n"), "{}", found.field);
    assert_eq!((found.recorded, found.actual), (json!(2), json!(1)));
}

#[tokio::test]
async fn stopped_runs_replay_to_where_they_stopped() {
    for (script, stop) in [
        (
            Script::new().step("a", |_| pause("quota")),
            StopCode::StepPaused,
        ),
        (
            Script::new().step("a", |_| fail("broken")),
            StopCode::StepFailed,
        ),
        (
            Script::new().step("a", |_| error(ErrorClass::Trap, "trap")),
            StopCode::StepFailed,
        ),
    ] {
        let rig = Rig::new(&steps(&["a", "b"]), &script);
        assert_eq!(rig.run().await.unwrap().stop.unwrap().code(), stop);
        let replayed = rig.replay().await.unwrap();
        assert_eq!((replayed.divergence, replayed.attempts), (None, 1));
    }
}

#[tokio::test]
async fn a_run_that_moves_is_replayed_up_to_the_step_in_flight() {
    let gate = Gate::default();
    let script = Script::new().held("b", &gate);
    let rig = Rig::sqlite(&steps(&["a", "b", "c"]), &script);
    let (report, ()) = tokio::join!(rig.run(), async {
        gate.came().await;
        let replayed = rig.replay().await.unwrap();
        assert_eq!((replayed.divergence, replayed.attempts), (None, 1));
        assert_eq!(replayed.events, rig.row().seq);
        let open = &replayed.not_replayed[0];
        assert_eq!(
            (open.path.to_string().as_str(), open.reason.as_str()),
            ("b", "it has no outcome")
        );
        gate.open();
    });
    assert_eq!(report.unwrap().status, Status::Completed);
}

/// The component of a rig, and what others do once a replay has read the run and asks for its component.
struct Meanwhile {
    script: Script,
    deed: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Meanwhile {
    fn new(rig: &Rig, deed: impl Future<Output = ()> + Send + 'static) -> Self {
        let deed = move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            // On a thread of its own: this one is inside a runtime already.
            let done = std::thread::spawn(move || runtime.block_on(deed));
            done.join().unwrap();
        };
        Self {
            script: rig.script.clone(),
            deed: Mutex::new(Some(Box::new(deed))),
        }
    }
}

impl PluginSource for Meanwhile {
    fn read(
        &self,
        name: &str,
        spec: &PluginSpec,
        at: &Path,
    ) -> Result<ComponentBytes, PluginError> {
        self.script.read(name, spec, at)
    }

    fn load(&self, component: &ComponentBytes) -> Result<LoadedPlugin, PluginError> {
        if let Some(deed) = self.deed.lock().unwrap().take() {
            deed();
        }
        self.script.load(component)
    }
}

#[tokio::test]
async fn what_is_recorded_after_the_checkpoint_was_read_is_no_difference() {
    let rig = Rig::sqlite(LOOP, &script());
    assert_eq!(rig.run().await.unwrap().status, Status::Paused);
    let (before, engine) = (rig.row().seq, rig.engine());
    let moves = Meanwhile::new(&rig, async move {
        let report = engine.resume(&r1(), ResumeOptions::default()).await;
        assert_eq!(report.unwrap().status, Status::Completed);
    });
    let replayed = replay(&rig.store, &moves, &r1()).await.unwrap();
    assert!(rig.row().seq > before);
    assert_eq!((replayed.divergence, replayed.events), (None, before));
}

#[tokio::test]
async fn a_run_that_is_removed_while_it_is_replayed_is_not_found() {
    let rig = recorded().await;
    let (seq, store) = (rig.row().seq, Arc::clone(&rig.store));
    let removed = Meanwhile::new(&rig, async move {
        store.delete(&r1(), seq).await.unwrap();
    });
    let answer = replay(&rig.store, &removed, &r1()).await;
    assert!(
        matches!(answer, Err(EngineError::Store(StoreError::NotFound(_)))),
        "{answer:?}"
    );
}
