//! A run carries its definition and its components: what goes on by itself needs no file, and a person decides.

use milepost_tests::now::Now as _;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use milepost::engine::{
    Control, Demand, EngineError, OnChange, Request, ResumeOptions, StopAnswer,
};
use milepost::report::RunReport;
use milepost_core::ids::RunId;
use milepost_core::state::Status;
use milepost_core::stop::{AfterHostError, Lasting, Lost, Stop, Why};
use milepost_tests::faulty::FaultyStore;
use milepost_tests::rig::{Rig, r1, until_idle};
use milepost_tests::scripted::{Gate, Script, at, fail, ok, pause};
use serde_json::json;

use super::steps;

const BODY: &str = "
[[step]]
id = 'a'
use = 'p/a'
[[step]]
id = 'w'
wait = { for = '10m' }
[[step]]
id = 'b'
use = 'p/b'
";

/// What happens to the files of a run, in words and in fact.
type Deed = (&'static str, fn(&Rig));

/// What may happen to them.
const DEEDS: [Deed; 6] = [
    ("the definition is edited", |rig| {
        rig.edit(&steps(&["x", "y"]));
    }),
    ("the definition is half-written", |rig| {
        fs::write(rig.file(), "schema = 1\nname = ").unwrap();
    }),
    ("the definition is removed", |rig| {
        fs::remove_file(rig.file()).unwrap();
    }),
    ("the component is replaced", |rig| rig.script.rebuild()),
    ("the component is removed", |rig| rig.script.lose(true)),
    ("everything is moved away", |rig| {
        fs::remove_file(rig.file()).unwrap();
        rig.script.lose(true);
    }),
];

async fn pending() -> Rig {
    let rig = Rig::sqlite(BODY, &Script::new());
    rig.submit("r1").await;
    rig
}

async fn waiting() -> Rig {
    let rig = Rig::sqlite(BODY, &Script::new());
    assert_eq!(rig.run().await.unwrap().status, Status::Paused);
    rig
}

async fn drained() -> Rig {
    let gate = Gate::default();
    let rig = Rig::sqlite(BODY, &Script::new().held("a", &gate));
    rig.submit("r1").await;
    let (control, engine) = (Control::default(), rig.engine());
    let work = milepost::engine::WorkOptions {
        until_idle: false,
        control: control.clone(),
        ..until_idle(4)
    };
    tokio::join!(engine.work(work), async {
        gate.came().await;
        control.ask(Request::new(Demand::Release, "SIGTERM"));
        // The run hears of it before its step ends.
        tokio::time::sleep(Duration::from_millis(1)).await;
        gate.open();
    });
    assert_eq!(rig.row().status, Status::Pending);
    rig
}

async fn lost() -> Rig {
    let rig = Rig::sqlite(BODY, &Script::new());
    rig.dies_on(FaultyStore::dying_after(Arc::clone(&rig.store), 1))
        .await;
    assert_eq!(rig.row().status, Status::Running);
    rig
}

/// Lets workers do what is to be done, over the wait.
async fn work(rig: &Rig) {
    for _ in 0..2 {
        assert_eq!(rig.work().await.refused, 0, "{:?}", rig.recorder.trouble());
        rig.clock.advance(Duration::from_secs(660));
    }
}

fn assert_went_on(rig: &Rig, what: &str) {
    let report = rig.engine().report(&r1()).now().unwrap();
    assert_eq!(report.status, Status::Completed, "{what}: {report:?}");
    assert_eq!(rig.script.calls().last().unwrap(), "b", "{what}");
    for event in ["definition_changed", "run_postponed", "run_failed"] {
        assert!(!rig.events().contains(&event), "{what}: {event}");
    }
}

#[tokio::test(start_paused = true)]
async fn b128_workers_go_on_under_what_a_run_carries_whatever_the_files_hold() {
    for (what, deed) in DEEDS {
        for rig in [
            pending().await,
            waiting().await,
            drained().await,
            lost().await,
        ] {
            deed(&rig);
            rig.clock.advance(Duration::from_secs(660));
            work(&rig).await;
            assert_went_on(&rig, what);
        }
    }
}

async fn resume(rig: &Rig, on_change: OnChange) -> Result<RunReport, EngineError> {
    let options = ResumeOptions {
        on_change,
        ..ResumeOptions::default()
    };
    rig.engine().resume(&r1(), options).await
}

#[tokio::test(start_paused = true)]
async fn b128_a_person_decides_about_changes_and_need_not_about_what_is_gone() {
    for (what, deed) in DEEDS {
        let gone = what.contains("removed") || what.contains("moved away");
        for rig in [
            pending().await,
            waiting().await,
            drained().await,
            lost().await,
        ] {
            deed(&rig);
            rig.clock.advance(Duration::from_secs(660));
            let stands = (rig.row(), rig.journal());
            let answer = resume(&rig, OnChange::Ask).await;
            if gone {
                let told = rig.recorder.trouble();
                assert!(
                    told.iter()
                        .any(|told| told.contains("gone") || told.contains("read")),
                    "{what}: {told:?}"
                );
            } else {
                assert!(
                    matches!(answer, Err(EngineError::Changed { .. })),
                    "{what}: {answer:?}"
                );
                assert_eq!((rig.row(), rig.journal()), stands, "{what}");
                resume(&rig, OnChange::AsStarted).await.unwrap();
            }
            rig.clock.advance(Duration::from_secs(660));
            work(&rig).await;
            assert_went_on(&rig, what);
        }
    }
}

#[tokio::test]
async fn a_start_of_the_same_id_takes_the_run_over_under_what_it_carries() {
    let rig = pending().await;
    let (workflow, inputs) = (rig.workflow(), BTreeMap::new());
    rig.edit(&steps(&["x"]));
    let answer = rig.run().await;
    let Err(EngineError::StartedOtherwise {
        status, changes, ..
    }) = answer
    else {
        panic!("{answer:?}");
    };
    assert_eq!(status, Status::Pending);
    assert!(changes.to_string().contains("+id = \"x\""), "{changes}");
    let options = milepost::engine::StartOptions {
        id: Some(r1()),
        control: Control::default(),
        ..Default::default()
    };
    let report = rig.engine().run(workflow, inputs, options).await.unwrap();
    assert_eq!(report.status, Status::Paused);
    // What was accepted since is the same workflow, too.
    resume(&rig, OnChange::Accept).await.unwrap();
    assert_eq!(rig.run().await.unwrap().status, Status::Completed);
    assert_eq!(rig.script.calls(), ["a", "x"]);
}

fn kept(rig: &Rig) -> i64 {
    let db = rusqlite::Connection::open(rig.store_file()).unwrap();
    let sql = "SELECT count(*) FROM blob WHERE bytes = CAST('p 0' AS BLOB)";
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_component_is_kept_once_loaded_once_and_collected_with_its_last_run() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new());
    let ids = ["one", "two", "three"];
    for id in ids {
        rig.submit(id).await;
    }
    assert_eq!(kept(&rig), 1);
    let before = rig.script.loads();
    rig.work().await;
    assert_eq!(rig.script.calls().len(), 3);
    assert_eq!(rig.script.loads(), before + 1);
    for (id, left) in ids.into_iter().zip([1, 1, 0]) {
        let id = RunId::new(id).unwrap();
        let seq = rig.store.row(&id).now().unwrap().unwrap().seq;
        rig.store.delete(&id, seq).await.unwrap();
        assert_eq!(kept(&rig), left);
    }
}

#[tokio::test]
async fn accepted_components_are_kept_beside_those_before() {
    let rig = Rig::sqlite(
        &steps(&["a", "b"]),
        &Script::new().step("b", |_| pause("quota")),
    );
    rig.run().await.unwrap();
    rig.script.rebuild();
    resume(&rig, OnChange::Accept).await.unwrap();
    rig.script.lose(true);
    let replayed = rig.replay().await.unwrap();
    assert_eq!((replayed.divergence, replayed.attempts), (None, 3));
    assert!(replayed.not_replayed.is_empty());
    rig.script.answer("b", at);
    let report = resume(&rig, OnChange::Ask).await.unwrap();
    assert_eq!(report.status, Status::Completed);
}

fn with_input(input: &str) -> String {
    format!(
        "[inputs.region]\n{input}\n[[step]]\nid = 'a'\nuse = 'p/a'\nwith = {{ v = '${{ inputs.region }}' }}\n"
    )
}

/// `a` fails once, and then returns its input.
fn broken_once() -> Script {
    Script::new().step("a", |call| match call.attempt {
        1 => fail("broken"),
        _ => ok((*call.input).clone()),
    })
}

#[tokio::test]
async fn accepted_changes_bring_the_defaults_of_new_inputs() {
    let mut rig = Rig::sqlite(&steps(&["a"]), &broken_once());
    rig.run().await.unwrap();
    rig.edit(&with_input("type = 'string'\ndefault = 'eu'"));
    let report = resume(&rig, OnChange::Accept).await.unwrap();
    assert_eq!(report.output, json!({ "v": "eu" }));
    assert_eq!(report.inputs, json!({ "region": "eu" }));
    rig.reopen();
    assert_eq!(rig.engine().report(&r1()).now().unwrap(), report);
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

#[tokio::test]
async fn the_same_start_again_is_the_same_run_after_new_inputs_were_accepted() {
    let rig = Rig::sqlite(&steps(&["a"]), &broken_once());
    rig.run().await.unwrap();
    rig.edit(&with_input("type = 'string'\ndefault = 'eu'"));
    let report = resume(&rig, OnChange::Accept).await.unwrap();
    assert_eq!(rig.run().await.unwrap(), report);
}

#[tokio::test]
async fn a_large_default_of_a_new_input_is_read_back() {
    let large = "x".repeat(20_000);
    let mut rig = Rig::sqlite(&steps(&["a"]), &broken_once());
    rig.run().await.unwrap();
    rig.edit(&with_input(&format!(
        "type = 'string'\ndefault = '{large}'"
    )));
    let report = resume(&rig, OnChange::Accept).await.unwrap();
    assert_eq!(report.output, json!({ "v": large }));
    rig.reopen();
    assert_eq!(rig.engine().report(&r1()).now().unwrap(), report);
}

#[tokio::test]
async fn inputs_that_the_changed_definition_misses_are_named_before_anything_runs() {
    let rig = Rig::sqlite(
        &with_input("type = 'string'\ndefault = 'eu'"),
        &Script::new().step("a", |_| fail("broken")),
    );
    rig.run().await.unwrap();
    let stands = (rig.row(), rig.journal());
    for (input, says) in [
        ("type = 'int'", "region"),
        (
            "type = 'string'\n[inputs.zone]\ntype = 'string'",
            "input `zone` is missing",
        ),
    ] {
        rig.edit(&with_input(input));
        let answer = resume(&rig, OnChange::Accept).await;
        let Err(error @ EngineError::InputsUnfit { .. }) = answer else {
            panic!("{answer:?}");
        };
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!((rig.row(), rig.journal()), stands);
    }
}

#[tokio::test]
async fn a_run_whose_definition_cannot_be_read_is_still_shown_and_cancelled() {
    let mut rig = waiting().await;
    let before = rig.engine().report(&r1()).now().unwrap();
    rig.damaged = true;
    let db = rusqlite::Connection::open(rig.store_file()).unwrap();
    let changed = db.execute(
        "UPDATE blob SET bytes = x'00' WHERE bytes <> CAST('p 0' AS BLOB)",
        [],
    );
    assert_eq!(changed.unwrap(), 1);
    rig.reopen();
    let report = rig.engine().report(&r1()).now().unwrap();
    assert!(report.definition_problem.is_some());
    let standing = |report: &RunReport| (report.status, report.stop.clone(), report.events);
    assert_eq!(standing(&report), standing(&before));
    let steps: Vec<&str> = report.steps.iter().map(|step| step.path.as_str()).collect();
    assert_eq!(steps, ["a", "w"]);
    let answer = rig.engine().cancel(&r1(), "somebody").await.unwrap();
    assert_eq!(answer, StopAnswer::Done(Status::Cancelled));
}

/// What makes the error last with which the run has failed.
fn fault(stop: &Stop) -> Lasting {
    match &stop.why {
        Why::HostError {
            then: AfterHostError::Lasting { fault, .. },
            ..
        }
        | Why::ProcessLost(Lost::CannotGoOn { fault, .. }) => *fault,
        other => panic!("{other:?}"),
    }
}

/// What no try can bring back is not tried: the run fails at once, and says what a person can do.
#[tokio::test(start_paused = true)]
async fn a_run_that_lost_what_it_carries_fails_at_once_for_a_reason_that_a_person_can_mend() {
    const COMPONENT: Lasting = Lasting::ComponentMissing;
    const RECORD: Lasting = Lasting::Damaged;
    for (sql, lasting) in [
        (
            "DELETE FROM blob WHERE bytes = CAST('p 0' AS BLOB)",
            COMPONENT,
        ),
        (
            "UPDATE blob SET bytes = x'00' WHERE bytes = CAST('p 0' AS BLOB)",
            COMPONENT,
        ),
        (
            "DELETE FROM blob WHERE bytes <> CAST('p 0' AS BLOB)",
            RECORD,
        ),
        (
            "UPDATE blob SET bytes = x'00' WHERE bytes <> CAST('p 0' AS BLOB)",
            RECORD,
        ),
    ] {
        for mut rig in [
            pending().await,
            waiting().await,
            drained().await,
            lost().await,
        ] {
            let case = format!("{sql}: {}", rig.row().status);
            rig.damaged = true;
            rig.script.lose(true);
            let db = rusqlite::Connection::open(rig.store_file()).unwrap();
            assert_eq!(db.execute(sql, []).unwrap(), 1, "{case}");
            rig.clock.advance(Duration::from_secs(660));
            assert_eq!(rig.work().await.refused, 1, "{case}");
            let report = rig.engine().report(&r1()).now().unwrap();
            let stop = report.stop.unwrap();
            assert_eq!(report.status, Status::Failed, "{case}: {stop:?}");
            assert_eq!(fault(&stop), lasting, "{case}: {stop:?}");
            assert_eq!(rig.work().await.taken, 0, "{case}");
            // A person's try changes nothing until it can work.
            let stands = rig.row();
            resume(&rig, OnChange::AsStarted).await.unwrap_err();
            assert_eq!(rig.row(), stands, "{case}");
            if lasting == COMPONENT {
                rig.script.lose(false);
                resume(&rig, OnChange::AsStarted).await.unwrap();
                rig.clock.advance(Duration::from_secs(660));
                rig.work().await;
                assert_eq!(rig.row().status, Status::Completed, "{case}");
            }
        }
    }
}
