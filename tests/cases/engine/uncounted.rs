//! Approvals that a program began which did not count rejections.

use milepost_tests::now::Now as _;
use std::sync::Arc;

use milepost::record;
use milepost::store::{Expect, Head, Kin, Write};
use milepost_core::state::Status;
use milepost_core::wait::Verdict;
use milepost_tests::faulty::{Fault, FaultyStore};
use milepost_tests::rig::{Rig, r1, until_idle};
use serde_json::{Value, json};

use super::approvals::{REWORKS, decide, decision, echo};

/// Makes the checkpoint that of a program which did not count rejections. Returns what it counted at `steps`.
async fn uncounted(rig: &Rig, steps: &[&str]) -> Vec<Value> {
    let stored = rig.store.checkpoint(&r1()).now().unwrap().unwrap();
    let mut counted = Vec::new();
    let mut parts = Vec::new();
    for id in steps {
        let name = format!("step/{id}");
        let part = stored.parts.iter().find(|(n, _)| *n == name);
        let mut body: Value = serde_json::from_str(&part.unwrap().1).unwrap();
        let record = body["body"].as_object_mut().unwrap();
        counted.push(record.remove("rejections").unwrap());
        parts.push((name, Some(body.to_string())));
    }
    let row = stored.row;
    let older = Write {
        run: r1(),
        expect: Expect::At {
            seq: row.seq,
            epoch: row.epoch,
        },
        claim: None,
        head: Head {
            workflow: row.workflow,
            labels: row.labels,
            status: row.status,
            moves_by_itself: row.status == Status::Paused,
            cancelling: false,
            at: row.updated_at,
            stop_code: row.stop_code,
            due_at: row.due_at,
            recoveries: row.recoveries,
            auto_resumes: row.auto_resumes,
            provider: row.provider,
            awaits: row.awaits,
        },
        entries: Vec::new(),
        parts,
        logs: Vec::new(),
        tapes: Vec::new(),
        renewed: Vec::new(),
        blobs: Vec::new(),
        named: Vec::new(),
        artifacts: Vec::new(),
        consumed: Vec::new(),
        kin: Kin::default(),
        moved: None,
    };
    rig.store.write(older).await.unwrap();
    counted
}

// A checkpoint of a program that did not count rejections: the journal tells how many there were.
#[tokio::test]
async fn rejections_that_an_older_program_did_not_count_are_counted_when_somebody_decides() {
    let rig = Rig::sqlite(REWORKS, &echo());
    rig.run().await.unwrap();
    decide(&rig, Verdict::Rejected).await.unwrap();
    rig.work().await;
    assert_eq!(uncounted(&rig, &["g"]).await, [json!(1)]);
    assert_eq!(rig.replay().await.unwrap().divergence, None);
    let last = decide(&rig, Verdict::Rejected).await.unwrap();
    assert_eq!(
        (last.status, last.rework_left),
        (Status::Cancelled, Some(0))
    );
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

#[tokio::test]
async fn a_gate_that_an_older_program_opened_again_keeps_its_count() {
    let body = REWORKS.replace("max_attempts = 2", "max_attempts = 3");
    let rig = Rig::sqlite(&body, &echo());
    rig.run().await.unwrap();
    decide(&rig, Verdict::Rejected).await.unwrap();
    // The work that was rejected, and the question after it, are those of a program that counts.
    assert_eq!(uncounted(&rig, &["g"]).await, [json!(1)]);
    rig.work().await;
    let second = decide(&rig, Verdict::Rejected).await.unwrap();
    assert_eq!(second.rework_left, Some(1));
    rig.work().await;
    assert_eq!(uncounted(&rig, &["g"]).await, [json!(2)]);
    let last = decide(&rig, Verdict::Rejected).await.unwrap();
    assert_eq!(last.rework_left, Some(0));
}

// What no rejection can follow costs nothing: a load does not depend on how long the run is. Whoever is about to change the run
// looks at the last entry alone.
#[tokio::test]
async fn a_load_of_an_older_run_reads_no_history() {
    const WAITS: &str = "\
        [[step]]\nid = \"nap\"\nwait = { for = \"1s\" }\n\
        [[step]]\nid = \"go\"\nwait = { signal = \"go\" }\n\
        [[step]]\nid = \"g\"\napproval = { message = \"Good?\" }\n";
    let mut rig = Rig::sqlite(WAITS, &echo());
    // The numbers stay uncounted; replay compares the rest.
    rig.damaged = true;
    rig.run().await.unwrap();
    let (engine, run) = (rig.engine(), r1());
    engine.signal(&run, "go", &json!(1)).await.unwrap();
    rig.work().await;
    assert_eq!(
        uncounted(&rig, &["nap", "go", "g"]).await,
        [json!(0), json!(0), json!(0)]
    );
    let seen = Arc::new(FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None));
    let engine = rig.engine_on(Arc::clone(&seen) as _);
    record::load(seen.as_ref(), &run).now().unwrap();
    engine.report(&run).now().unwrap();
    assert_eq!(seen.entries(), 0);
    engine
        .decide_approval(&run, &decision(Verdict::Approved))
        .await
        .unwrap();
    engine.work(until_idle(1)).await;
    assert_eq!(rig.row().status, Status::Completed);
    assert_eq!(
        seen.entries(),
        2,
        "one for the decision, one for the worker"
    );
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}
