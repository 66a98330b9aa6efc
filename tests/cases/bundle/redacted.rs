//! Values that are replaced in a file: nowhere in it, and no replay takes them for a difference.

use std::collections::BTreeMap;
use std::sync::Arc;

use milepost::attempt::{LogLevel, LogLine};
use milepost::bundle::{BundleError, MARKER, Standing};
use milepost::engine::Control;
use milepost::replay::replay;
use milepost::store::memory::MemoryStore;
use milepost::store::{Note, Store};
use milepost_core::effect::{Effect, Memo, TapePart};
use milepost_core::ids::Digest;
use milepost_core::limits;
use milepost_core::state::Status;
use milepost_core::tape::{HostCall, TapeEntry, json_of};
use milepost_tests::now::Now as _;
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Gate, Script, ok};
use serde_json::{Value, json};

use super::{export, export_as, import_as};
use crate::engine::rig_of;

const TOKEN: &str = "t0k3n-of-somebody";
const FLOW: &str = "
returns = '${ steps.use.output }'
[inputs.token]
type = 'string'
[inputs.size]
type = 'int'
[[step]]
id = 'plain'
use = 'p/plain'
[[step]]
id = 'use'
use = 'p/use'
with = { header = 'Bearer ${ inputs.token }', size = '${ inputs.size }' }
[[step]]
id = 'guess'
if = 'inputs.token == \"t0k3n-of-somebody\"'
use = 'p/plain'
[[step]]
id = 'child'
workflow = 'c.toml'
with = { token = '${ inputs.token }' }
[[step]]
id = 'big'
use = 'p/big'
with = { token = '${ inputs.token }' }
";
const CHILD: &str = "[inputs.token]\ntype = 'string'\n[[step]]\nid = 'in'\nuse = 'p/use'\nwith = { header = '${ inputs.token }', size = 1 }\n";

fn unpacked(file: &[u8]) -> String {
    String::from_utf8_lossy(&zstd::decode_all(file).unwrap()).into_owned()
}

fn inputs() -> BTreeMap<String, Value> {
    [("token", json!(TOKEN)), ("size", json!(987_654_321))]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

/// A run that has the token in an input, an output, a large value, a log line, a memo, a host call and a child.
async fn recorded() -> Rig {
    let gate = Gate::default();
    let script = Script::new()
        .step("plain", |_| ok(json!("plain")))
        .slow("use", |call| async move {
            let line = LogLine {
                at: milepost_tests::rig::START,
                level: LogLevel::Info,
                message: format!("sent {}", call.input["header"]),
                fields: vec![("header".to_owned(), call.input["header"].to_string())],
                dropped: None,
            };
            call.host.log(&line).await;
            ok(json!({ "sent": call.input["header"], "name": "Ada Lovelace", "size": call.input["size"] }))
        })
        .step("big", |call| ok(json!([call.input["token"], "x".repeat(limits::INLINE_VALUE_BYTES)])))
        .held_once("big", &gate);
    let rig = rig_of(FLOW, &[("c.toml", CHILD)], &script);
    let engine = rig.engine();
    let mut run = Box::pin(rig.run_with(&engine, inputs(), Control::default()));
    gate.holds(&mut run).await;
    let row = rig.row();
    let body: Arc<[u8]> = format!("answer for {TOKEN}").into_bytes().into();
    let beside = Digest::of(&body);
    let call = |answer: Value| {
        TapeEntry::Host(HostCall {
            interface: "http".to_owned(),
            function: "send".to_owned(),
            request: Digest::of(TOKEN.as_bytes()),
            about: format!("GET /?{TOKEN}"),
            parts: BTreeMap::from([("body".to_owned(), "feed1234".to_owned())]),
            took_millis: 1,
            answer,
        })
    };
    // `t0k3n-of-somebody!`, in base64.
    let coded = "dDBrM24tb2Ytc29tZWJvZHkh";
    let effect = Effect {
        tape: Some(TapePart {
            first: 0,
            body: json_of(&[
                call(json!({ "ok": { "body": { "blob": beside } } })),
                call(json!({ "ok": { "body": { "base64": coded } } })),
            ]),
            blobs: vec![(beside, body)],
        }),
        memo: Some(Memo {
            key: format!("of {TOKEN}"),
            value: json!([TOKEN]).to_string(),
        }),
        ..Effect::default()
    };
    let (run_id, epoch, started) = (r1(), row.epoch, row.seq);
    let path = "big".to_owned();
    rig.store
        .note(Note {
            run: run_id,
            epoch,
            started,
            path,
            effect,
        })
        .now()
        .unwrap();
    // The attempt ends without an outcome, and its tape stays.
    drop(run);
    gate.open();
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    rig
}

#[tokio::test(start_paused = true)]
async fn a_replaced_value_is_nowhere_in_the_file_and_what_depends_on_it_is_not_replayed() {
    let rig = recorded().await;
    let plain = unpacked(&export(rig.store.as_ref(), &r1()));
    assert!(plain.matches(TOKEN).count() > 10 && plain.contains("987654321"));
    let fields = ["inputs.token", "inputs.size", "steps.use.output.name"];
    let (exported, file) = export_as(rig.store.as_ref(), &r1(), &fields).unwrap();
    let text = unpacked(&file);
    // The workflow itself names it in a condition, and says so.
    assert_eq!(exported.left_in.len(), 1, "{:?}", exported.left_in);
    assert!(exported.left_in[0].starts_with("definitions/"));
    let own = format!("== \"{TOKEN}\"");
    assert_eq!(
        text.matches(TOKEN).count(),
        text.matches(&own).count(),
        "{text}"
    );
    for gone in ["Ada Lovelace", "987654321", "dDBrM24tb2Ytc29tZWJvZHkh"] {
        assert!(!text.contains(gone), "{gone}");
    }
    let digest = Digest::of(TOKEN.as_bytes()).to_string();
    assert!(
        !text.contains(&digest),
        "a digest tells whoever can guess it"
    );
    assert!(text.contains(MARKER));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let imported = import_as(store.as_ref(), &file, &Standing::AsRecorded).unwrap();
    assert!(imported.redacted);
    let replayed = replay(&store, &rig.script, &r1()).await.unwrap();
    assert!(replayed.is_same(), "{replayed:?}");
    let skipped: Vec<_> = replayed
        .not_replayed
        .iter()
        .map(|it| it.path.to_string())
        .collect();
    assert_eq!(
        skipped,
        ["use", "big", "big"]
            .into_iter()
            .take(skipped.len())
            .collect::<Vec<_>>()
    );
    assert!(
        replayed
            .not_replayed
            .iter()
            .any(|it| it.reason.contains("replaced"))
    );
    // `guess` runs only where the token is what it was.
    assert!(!replayed.not_compared.is_empty(), "{replayed:?}");
    assert_eq!(
        replayed.attempts, 2,
        "`plain` and `guess` depend on none of it"
    );
    // The same values, the same file.
    assert!(export_as(rig.store.as_ref(), &r1(), &fields).unwrap().1 == file);
    // What was replaced stays so when it is exported again.
    let again = export(store.as_ref(), &r1());
    assert!(!unpacked(&again).contains("987654321"));
}

#[tokio::test(start_paused = true)]
async fn a_step_that_answers_otherwise_is_found_in_a_redacted_run_too() {
    let rig = recorded().await;
    let (_, file) = export_as(rig.store.as_ref(), &r1(), &["inputs.size"]).unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    import_as(store.as_ref(), &file, &Standing::AsRecorded).unwrap();
    rig.script.answer("plain", |_| ok(json!("other")));
    let replayed = replay(&store, &rig.script, &r1()).await.unwrap();
    assert_eq!(
        replayed.divergence.unwrap().path.unwrap().to_string(),
        "plain"
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_replaced_is_refused() {
    let rig = recorded().await;
    for nothing in [
        "inputs.tokens",
        "steps.none.output",
        "steps.use.output.name.first",
    ] {
        let refused = export_as(rig.store.as_ref(), &r1(), &[nothing]);
        assert!(
            matches!(refused, Err(BundleError::NothingThere { .. })),
            "{nothing}"
        );
    }
    for nonsense in [
        "",
        "token",
        "inputs",
        "inputs.",
        "steps",
        "steps.a",
        "steps.a.input.x",
        "steps.a b.output",
    ] {
        assert!(
            nonsense.parse::<milepost::bundle::Field>().is_err(),
            "{nonsense}"
        );
    }
    // A value that is a word of the record.
    let rig = Rig::new(
        "[inputs.word]\ntype = 'string'\n[[step]]\nid = 'plain'\nuse = 'p/plain'\n",
        &Script::new(),
    );
    let word = [("word".to_owned(), json!("step_started"))].into();
    let engine = rig.engine();
    rig.run_with(&engine, word, Control::default())
        .await
        .unwrap();
    let refused = export_as(rig.store.as_ref(), &r1(), &["inputs.word"]);
    assert!(
        matches!(refused, Err(BundleError::NotReplaceable { .. })),
        "{refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn numbers_that_read_like_a_replaced_text_are_no_rest_of_it() {
    let numbers: Vec<u64> = (0..8_000).collect();
    let script = Script::new()
        .step("a", |_| ok(json!("47,48")))
        .step("b", move |_| ok(json!(numbers)));
    let rig = Rig::new(&crate::engine::steps(&["a", "b"]), &script);
    rig.run().await.unwrap();
    let (exported, file) = export_as(rig.store.as_ref(), &r1(), &["steps.a.output"]).unwrap();
    assert!(
        unpacked(&file).contains("46,47,48,49"),
        "a value stands beside the record"
    );
    assert_eq!(exported.left_in, Vec::<String>::new());
}
