//! What goes out comes in again, all of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use milepost::bundle::{BundleError, Standing};
use milepost::engine::{ApprovalDecision, Control, Gravity};
use milepost::record;
use milepost::replay::replay;
use milepost::store::memory::MemoryStore;
use milepost::store::{Family, Filter, Note, Store};
use milepost_core::checkpoint;
use milepost_core::effect::{Artifact, Effect, Memo, TapePart};
use milepost_core::ids::{Digest, RunId};
use milepost_core::limits;
use milepost_core::outcome::ErrorClass;
use milepost_core::state::Status;
use milepost_core::tape::{HostCall, TapeEntry, json_of};
use milepost_core::wait::Verdict;
use milepost_tests::now::Now as _;
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Gate, Script, error, fail, ok};
use serde_json::json;

use super::{export, export_as, import, import_as};
use crate::engine::{rig_of, steps};

/// Everything that a store has of a run, but for where it is kept.
fn all_of(store: &dyn Store, run: &RunId) -> String {
    let row = store.row(run).now().unwrap().unwrap();
    // The checkpoint of a moving run may stand some events before its row.
    let recorded = record::load(store, run).now().unwrap();
    let mut parts = checkpoint::all_parts(&recorded.state);
    parts.sort();
    let journal = store.journal(run, 0, usize::MAX).now().unwrap();
    let logs = store.logs(run, 0, usize::MAX).now().unwrap();
    let logs: Vec<_> = logs.into_iter().map(|log| log.line).collect();
    let tapes: Vec<_> = (0..=row.seq)
        .map(|started| store.tape(run, started, 0).now().unwrap())
        .collect();
    let memos = store.memos(run, None).now().unwrap();
    let artifacts = store.artifacts(run, 0, usize::MAX).now().unwrap();
    let artifacts: Vec<_> = artifacts
        .into_iter()
        .map(|used| (used.path, used.artifact))
        .collect();
    let holdings = store.holdings(run).now().unwrap();
    format!(
        "{row:#?}\n{parts:#?}\n{journal:#?}\n{logs:#?}\n{tapes:#?}\n{memos:#?}\n{artifacts:#?}\n{holdings:#?}"
    )
}

/// A run with a loop, a retry, a value that stands beside the record, a decision that is too large for it, and a log.
async fn eventful() -> Rig {
    let script = Script::new()
        .step("big", |_| {
            ok(json!("x".repeat(3 * limits::INLINE_VALUE_BYTES)))
        })
        .step("test", |call| match call.attempt {
            1 => error(ErrorClass::Retryable, "busy"),
            _ => ok(json!({ "green": call.path.to_string().contains("#2") })),
        });
    let body = format!(
        "returns = '${{ steps.gate.output }}'\n{}
        [[step]]\nid = 'fix'\nloop = {{ until = 'steps.test.output.green', max_iterations = 4 }}
        [[step]]\nid = 'test'\nin = 'fix'\nuse = 'p/test'\n
        [[step]]\nid = 'gate'\napproval = {{ message = 'Go on?' }}\n{}",
        steps(&["big"]),
        steps(&["last"]),
    );
    let rig = Rig::sqlite(&body, &script);
    assert_eq!(rig.run().await.unwrap().status, Status::Paused);
    let decision = ApprovalDecision {
        path: None,
        verdict: Verdict::Approved,
        comment: Some("y".repeat(limits::NOTE_BYTES)),
        by: Some("z".repeat(limits::NOTE_BYTES)),
    };
    rig.engine()
        .decide_approval(&r1(), &decision)
        .await
        .unwrap();
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    rig
}

#[tokio::test(start_paused = true)]
async fn a_run_is_on_another_store_what_it_was() {
    let rig = eventful().await;
    let file = export(rig.store.as_ref(), &r1());
    let before = all_of(rig.store.as_ref(), &r1());
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let other = Rig::sqlite("", &rig.script);
    for store in [&memory, &other.store] {
        let imported = import(store.as_ref(), &file).unwrap();
        assert_eq!((imported.runs, imported.there), (1, 0));
        assert_eq!(
            (imported.status, imported.held),
            (Status::Completed, vec![])
        );
        assert_eq!(all_of(store.as_ref(), &r1()), before);
        let replayed = replay(store, &rig.script, &r1()).await.unwrap();
        assert!(replayed.is_same() && replayed.attempts > 3, "{replayed:?}");
        // The same run, the same bytes, wherever it is.
        assert!(export(store.as_ref(), &r1()) == file);
    }
    let doctor = other.engine().examine(&|_| {}).await.unwrap();
    let problems = doctor.findings.iter();
    assert_eq!(
        problems.filter(|f| f.gravity == Gravity::Problem).count(),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_comes_with_its_children_and_theirs() {
    let script = Script::new().step("inner", |call| ok(call.input["n"].clone()));
    let parent = "[[step]]\nid = 'one'\nworkflow = 'c.toml'\nwith = { n = 1 }\n[[step]]\nid = 'two'\nworkflow = 'c.toml'\nwith = { n = 2 }\n";
    let child = "[inputs.n]\ntype = 'int'\n[[step]]\nid = 'deep'\nworkflow = 'd.toml'\nwith = { n = '${ inputs.n }' }\n";
    let deep = "[inputs.n]\ntype = 'int'\n[[step]]\nid = 'inner'\nuse = 'p/inner'\nwith = { n = '${ inputs.n }' }\n";
    let rig = rig_of(parent, &[("c.toml", child), ("d.toml", deep)], &script);
    assert_eq!(rig.run().await.unwrap().status, Status::Completed);
    let (exported, file) = export_as(rig.store.as_ref(), &r1(), &[]).unwrap();
    assert_eq!(exported.runs, 5);
    let other = Rig::sqlite("", &rig.script);
    let imported = import(other.store.as_ref(), &file).unwrap();
    assert_eq!(imported.runs, 5);
    for row in rig.store.list(&Filter::default()).now().unwrap().rows {
        assert_eq!(
            all_of(other.store.as_ref(), &row.id),
            all_of(rig.store.as_ref(), &row.id)
        );
    }
    let replayed = replay(&other.store, &rig.script, &r1()).await.unwrap();
    assert!(replayed.is_same());
    assert_eq!(replayed.children.len(), 2);
    assert_eq!(replayed.children[0].children[0].attempts, 1);
    // One that was removed meanwhile comes back; those that are there stay.
    let of = |run: &RunId| Filter {
        family: Family::ChildrenOf(run.clone()),
        ..Filter::default()
    };
    let listed = other.store.list(&of(&r1())).now().unwrap();
    let gone = &listed.rows[0];
    other.store.delete(&gone.id, gone.seq).now().unwrap();
    let again = import(other.store.as_ref(), &file).unwrap();
    assert_eq!((again.runs, again.there), (1, 4));
    // A child alone is a run like any other.
    let alone = export(rig.store.as_ref(), &gone.id);
    let store = MemoryStore::new();
    assert_eq!(import(&store, &alone).unwrap().runs, 2);
}

/// A step at work, with whatever attempts leave behind.
#[tokio::test(start_paused = true)]
async fn what_attempts_left_comes_along_and_a_moving_run_is_as_it_was_seen() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new().held_once("b", &gate));
    let mut run = Box::pin(rig.run());
    gate.holds(&mut run).await;
    let row = rig.row();
    let bytes = vec![7; 300_000];
    let artifact = Artifact {
        digest: Digest::of(&bytes),
        name: "data.bin".to_owned(),
        size: bytes.len() as u64,
        media_type: "application/octet-stream".to_owned(),
    };
    let mut sink = rig.store.create_artifact().now().unwrap();
    sink.write(&bytes).now().unwrap();
    sink.finish(artifact.digest).now().unwrap();
    let body: Arc<[u8]> = b"a body beside the tape".as_slice().into();
    let beside = Digest::of(&body);
    let call = TapeEntry::Host(HostCall {
        interface: "http".to_owned(),
        function: "send".to_owned(),
        request: Digest::of(b"r"),
        about: "GET".to_owned(),
        parts: BTreeMap::new(),
        took_millis: 1,
        answer: json!({ "ok": { "body": { "blob": beside } } }),
    });
    let effect = Effect {
        tape: Some(TapePart {
            first: 0,
            body: json_of(&[call]),
            blobs: vec![(beside, body)],
        }),
        memo: Some(Memo {
            key: "k".to_owned(),
            value: "[1]".to_owned(),
        }),
        artifact: Some(artifact.clone()),
        ..Effect::default()
    };
    let note = Note {
        run: r1(),
        epoch: row.epoch,
        started: row.seq,
        path: "b".to_owned(),
        effect,
    };
    rig.store.note(note).now().unwrap();
    let (exported, file) = export_as(rig.store.as_ref(), &r1(), &[]).unwrap();
    assert_eq!((exported.moving, exported.artifacts), (vec![r1()], 1));
    assert_eq!(exported.seq, row.seq);
    let there = all_of(rig.store.as_ref(), &r1());
    let other = Rig::sqlite("", &rig.script);
    import_as(other.store.as_ref(), &file, &Standing::AsRecorded).unwrap();
    let differ = |text: &str| {
        let lines = text.lines().filter(|line| !line.contains("stored_bytes"));
        let text: Vec<_> = lines
            .skip_while(|line| !line.contains("detached_at"))
            .collect();
        text.join("\n")
    };
    assert_eq!(differ(&all_of(other.store.as_ref(), &r1())), differ(&there));
    let read = other
        .store
        .read_artifact(&artifact.digest, 0, usize::MAX)
        .now()
        .unwrap();
    assert!(read.as_deref() == Some(bytes.as_slice()));
    assert!(other.store.blob(&beside).now().unwrap().is_some());
    gate.open();
    run.await.unwrap();
    // It has gone on here: what the file has of it is still there.
    assert_eq!(import(rig.store.as_ref(), &file).unwrap().there, 1);
}

#[tokio::test(start_paused = true)]
async fn another_run_of_the_same_id_is_not_replaced() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new());
    rig.run().await.unwrap();
    let file = export(rig.store.as_ref(), &r1());
    let again = import(rig.store.as_ref(), &file).unwrap();
    assert_eq!((again.runs, again.there), (0, 1));
    let other = Rig::sqlite(&steps(&["a"]), &Script::new().step("a", |_| fail("no")));
    other.run().await.unwrap();
    let before = all_of(other.store.as_ref(), &r1());
    let refused = import(other.store.as_ref(), &file);
    assert!(
        matches!(refused, Err(BundleError::Exists { seq: 1, .. })),
        "{refused:?}"
    );
    assert_eq!(all_of(other.store.as_ref(), &r1()), before);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_not_whole_is_not_exported() {
    let mut rig = eventful().await;
    rig.damaged = true;
    let db = rusqlite::Connection::open(rig.store_file()).unwrap();
    db.execute("DELETE FROM journal WHERE seq = 4", []).unwrap();
    rig.reopen();
    let refused = export_as(rig.store.as_ref(), &r1(), &[]);
    assert!(
        matches!(refused, Err(BundleError::Damaged { .. })),
        "{refused:?}"
    );
    let nobody = RunId::new("nobody").unwrap();
    assert!(export_as(rig.store.as_ref(), &nobody, &[]).is_err());
    let engine = rig.engine();
    let options = milepost::StartOptions {
        id: Some(nobody.clone()),
        control: Control::default(),
        ..Default::default()
    };
    rig.edit(&steps(&["a"]));
    engine
        .run(rig.workflow(), BTreeMap::new(), options)
        .await
        .unwrap();
    assert!(export_as(rig.store.as_ref(), &nobody, &[]).is_ok());
}
