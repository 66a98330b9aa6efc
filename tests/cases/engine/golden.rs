//! Stores of every version that ever was, each as the program of its time wrote it: they open, what is in them is as it was, and
//! their runs go on. The files are in `host/store/sqlite/tests/golden`; that of the newest version is written by
//!
//! ```text
//! UPDATE_EXPECT=1 cargo test --workspace --test cases golden
//! ```
//!
//! before the first program that has it leaves. Never change one: such files exist.

use milepost_tests::now::Now as _;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use milepost::engine::{
    ApprovalDecision, Control, Gravity, ResumeOptions, StartOptions, StopAnswer,
};
use milepost::owner::{Host as _, ThisHost};
use milepost::replay::replay;
use milepost::store::{Filter, StopKind};
use milepost_core::ids::RunId;
use milepost_core::state::Status;
use milepost_core::stop::{Came, Why};
use milepost_core::wait::Verdict;
use milepost_tests::faulty::FaultyStore;
use milepost_tests::rig::{Rig, until_idle};
use milepost_tests::scripted::{Gate, Script, at, fail, ok, pause};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::json;
use tokio::sync::Notify;

const DONE: &str = "\
[[step]]\nid = \"big\"\nuse = \"p/big\"\n\
[[step]]\nid = \"last\"\nuse = \"p/last\"\nwith = { size = \"${ size(steps.big.output) }\" }\n";
const PAUSED: &str = "\
[[step]]\nid = \"fix\"\nloop = { until = \"steps.check.output.good\", max_iterations = 5 }\n\
[[step]]\nid = \"edit\"\nin = \"fix\"\nuse = \"p/edit\"\n\
[[step]]\nid = \"check\"\nin = \"fix\"\nuse = \"p/check\"\n\
[[step]]\nid = \"last\"\nuse = \"p/last\"\n";
const FAILED: &str = "\
[[step]]\nid = \"big\"\nuse = \"p/big\"\n[[step]]\nid = \"broken\"\nuse = \"p/broken\"\n";
const LOST: &str = "\
[[step]]\nid = \"big\"\nuse = \"p/big\"\n[[step]]\nid = \"slow\"\nuse = \"p/slow\"\n";
const WAITS: &str = "\
[[step]]\nid = \"go\"\nwait = { signal = \"go\" }\n[[step]]\nid = \"last\"\nuse = \"p/last\"\n";
const ASKS: &str = "\
[[step]]\nid = \"ask\"\n[step.approval]\nmessage = \"Go on?\"\n\
[[step]]\nid = \"last\"\nuse = \"p/last\"\n";
const NAPS: &str = "\
[[step]]\nid = \"nap\"\nwait = { for = \"1h\" }\n[[step]]\nid = \"last\"\nuse = \"p/last\"\n";

fn script() -> Script {
    Script::new()
        .step("big", |_| ok(json!("x".repeat(20_000))))
        .step("edit", |call| {
            let second = call.path.to_string().contains("#2");
            match second && call.attempt == 1 {
                true => pause("quota"),
                false => at(call),
            }
        })
        .step("check", |call| {
            ok(json!({"good": call.path.to_string().contains("#2")}))
        })
        .step("broken", |call| match call.attempt {
            1 => fail("broken"),
            _ => at(call),
        })
}

fn id(text: &str) -> RunId {
    RunId::new(text).unwrap()
}

fn options(run: &str) -> StartOptions {
    StartOptions {
        id: Some(id(run)),
        control: Control::default(),
        ..StartOptions::default()
    }
}

/// A store with a run in each situation, while the process that drives one of them still lives; as SQL.
async fn written_now() -> String {
    let gate = Gate::default();
    let rig = Rig::sqlite(DONE, &script().held_once("slow", &gate));
    for (run, body, status) in [
        ("done", DONE, Status::Completed),
        ("paused", PAUSED, Status::Paused),
        ("failed", FAILED, Status::Failed),
        ("waits", WAITS, Status::Paused),
        ("asks", ASKS, Status::Paused),
    ] {
        rig.edit(body);
        let engine = rig.engine();
        let ran = engine.run(rig.workflow(), BTreeMap::new(), options(run));
        assert_eq!(ran.await.unwrap().status, status, "{run}");
    }
    rig.edit(WAITS);
    rig.submit("early").await;
    let (engine, early) = (rig.engine(), id("early"));
    let data = json!({"n": 1});
    let sent = engine.signal_once(&early, "go", &data, "token");
    sent.await.unwrap();
    rig.edit(LOST);
    let mut begun = Box::pin(engine.run(rig.workflow(), BTreeMap::new(), options("lost")));
    gate.holds(&mut begun).await;
    let other = rig.engine();
    other.pause(&id("lost"), false, "somebody").await.unwrap();
    let db = Connection::open(rig.store_file()).unwrap();
    let owner: String = db
        .query_row("SELECT owner FROM run WHERE id = 'lost'", [], |row| {
            row.get(0)
        })
        .unwrap();
    let another = r#"{"host":"another","boot":"boot","pid":1,"started":1,"nonce":"nonce"}"#;
    written_by_nobody(&rig).replace(&owner.replace('\'', "''"), another)
}

/// A store with runs that stand because a person said so.
async fn decided_now() -> String {
    let rig = Rig::sqlite(DONE, &script());
    let engine = rig.engine();
    for (run, body) in [
        ("held", NAPS),
        ("ready", ASKS),
        ("rejected", ASKS),
        ("cancelled", WAITS),
    ] {
        rig.edit(body);
        let ran = engine.run(rig.workflow(), BTreeMap::new(), options(run));
        assert_eq!(ran.await.unwrap().status, Status::Paused, "{run}");
    }
    let held = engine.pause(&id("held"), false, "somebody").await.unwrap();
    assert_eq!(held, StopAnswer::Held);
    for (run, verdict) in [
        ("ready", Verdict::Approved),
        ("rejected", Verdict::Rejected),
    ] {
        let decision = ApprovalDecision {
            path: None,
            verdict,
            comment: Some("because".to_owned()),
            by: Some("ada".to_owned()),
        };
        engine.decide_approval(&id(run), &decision).await.unwrap();
    }
    engine.cancel(&id("cancelled"), "somebody").await.unwrap();
    written_by_nobody(&rig)
}

/// The file of the rig. Which machine wrote it, and where, is nobody's business; the length counts.
fn written_by_nobody(rig: &Rig) -> String {
    let db = Connection::open(rig.store_file()).unwrap();
    let host = ThisHost.name();
    let folder = rig.file().parent().unwrap().display().to_string();
    dump(&db)
        .unwrap()
        .replace(&folder, "/some/workflows")
        .replace(
            &format!(" on {host}\""),
            &format!(" on {}\"", "h".repeat(host.len())),
        )
}

/// Everything in a store's file as SQL: readable, and the same file again for whoever runs it.
fn dump(db: &Connection) -> rusqlite::Result<String> {
    let pragma = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let mut sql = format!(
        "PRAGMA application_id = {};\nPRAGMA user_version = {};\n",
        pragma("application_id")?,
        pragma("user_version")?
    );
    let mut statement = db.prepare(
        "SELECT name, sql, type = 'table' FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' ORDER BY rowid",
    )?;
    let objects = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let objects: Vec<(String, String, bool)> = objects.collect::<Result<_, _>>()?;
    for (_, made_by, _) in &objects {
        sql += &format!("{made_by};\n");
    }
    for (table, ..) in objects.iter().filter(|(.., is_table)| *is_table) {
        sql += &rows(db, table)?;
    }
    if objects.iter().any(|(name, ..)| name == "signal") {
        sql += &rows(db, "sqlite_sequence")?;
    }
    Ok(sql)
}

fn rows(db: &Connection, table: &str) -> rusqlite::Result<String> {
    let mut statement = db.prepare(&format!("SELECT * FROM {table}"))?;
    let columns = statement.column_names().collect::<Vec<_>>().join(", ");
    let count = statement.column_count();
    let mut rows = statement.query([])?;
    let mut sql = String::new();
    while let Some(row) = rows.next()? {
        let values: Vec<String> = (0..count)
            .map(|n| row.get_ref(n).map(literal))
            .collect::<Result<_, _>>()?;
        let values = values.join(", ");
        sql += &format!("INSERT INTO {table} ({columns}) VALUES ({values});\n");
    }
    Ok(sql)
}

fn literal(value: ValueRef<'_>) -> String {
    let text = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).ok()?.replace('\'', "''");
        // One letter many times: a value that was too large for its row.
        let many = text.find(&"x".repeat(100))?;
        let end = text[many..]
            .find(|c| c != 'x')
            .map_or(text.len(), |n| many + n);
        let (before, after) = (&text[..many], &text[end..]);
        let times = end - many;
        Some(format!(
            "'{before}' || printf('%.*c', {times}, 'x') || '{after}'"
        ))
    };
    let short = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).ok()?;
        Some(format!("'{}'", text.replace('\'', "''")))
    };
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(n) => n.to_string(),
        ValueRef::Real(n) => n.to_string(),
        ValueRef::Text(bytes) => text(bytes).or_else(|| short(bytes)).unwrap(),
        ValueRef::Blob(bytes) if bytes.len() != 32 && std::str::from_utf8(bytes).is_ok() => {
            let text = text(bytes).or_else(|| short(bytes)).unwrap();
            format!("CAST({text} AS BLOB)")
        }
        ValueRef::Blob(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("x'{hex}'")
        }
    }
}

fn golden(name: &str) -> PathBuf {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../host/store/sqlite/tests/golden");
    folder.join(name)
}

fn file(version: u32) -> PathBuf {
    golden(&format!("version-{version}.sql"))
}

fn version(sql: &str) -> u32 {
    let rest = sql.split("PRAGMA user_version = ").nth(1).unwrap();
    rest[..rest.find(';').unwrap()].parse().unwrap()
}

/// A rig on the store that some program left.
fn rig_on(sql: &str) -> Rig {
    let mut rig = Rig::new(DONE, &script());
    let db = Connection::open(rig.store_file()).unwrap();
    db.execute_batch(sql).unwrap();
    drop(db);
    rig.reopen();
    // Events of older programs are read, not written the same again.
    rig.damaged = true;
    rig
}

/// Journals fold to their checkpoints, rows and blobs are as they say: nothing that `doctor` looks at is wrong. Notes are that
/// older stores do not hold the components, and that nobody can tell whether the owner of `lost` lives.
fn assert_sound(rig: &Rig, what: &str) {
    let doctor = rig.engine().examine(&|_| ()).now().unwrap();
    assert_eq!(doctor.store.problems, Vec::<String>::new(), "{what}");
    let found = doctor.findings.iter();
    let wrong: Vec<_> = found.filter(|f| f.gravity != Gravity::Note).collect();
    assert!(wrong.is_empty(), "{what}: {wrong:?}");
}

async fn goes_on(sql: &str) {
    let version = version(sql);
    let rig = rig_on(sql);
    let store = rig.store.as_ref();
    assert_sound(&rig, &format!("version {version}, as it was"));
    let status = |run: &str| store.row(&id(run)).now().unwrap().map(|row| row.status);
    let mut runs = vec![
        ("done", Status::Completed),
        ("paused", Status::Paused),
        ("failed", Status::Failed),
        ("lost", Status::Running),
    ];
    // Steps that wait came with version 2.
    let waits = version >= 2;
    if waits {
        runs.extend([
            ("waits", Status::Paused),
            ("asks", Status::Paused),
            ("early", Status::Pending),
        ]);
    }
    assert_eq!(
        store.list(&Filter::default()).now().unwrap().rows.len(),
        runs.len()
    );
    for (run, expected) in &runs {
        assert_eq!(status(run), Some(*expected), "{run} of version {version}");
    }
    for run in ["done", "paused", "failed", "lost"] {
        let logs = store.logs(&id(run), 0, 9).now().unwrap();
        assert!(!logs.is_empty(), "{run} of version {version}");
    }
    let lost = store.row(&id("lost")).now().unwrap().unwrap();
    assert_eq!(lost.owner.as_ref().unwrap().host, "another");
    assert_eq!(
        lost.request.map(|request| request.kind),
        waits.then_some(StopKind::Pause)
    );
    let inbox = store.inbox(&id("early"), 9).now().unwrap();
    let kept: Vec<_> = inbox.iter().map(|s| (&*s.name, &*s.data)).collect();
    assert_eq!(kept, [("go", "{\"n\":1}")][..usize::from(waits)]);

    // What a person has to say.
    let engine = rig.engine();
    let options = ResumeOptions::default;
    let resumed = engine.resume(&id("paused"), options()).await.unwrap();
    assert_eq!(resumed.status, Status::Completed, "version {version}");
    let retried = engine.retry(&id("failed"), None, options()).await.unwrap();
    assert_eq!(retried.status, Status::Completed, "version {version}");
    if waits {
        let decision = ApprovalDecision {
            path: None,
            verdict: Verdict::Approved,
            comment: None,
            by: None,
        };
        engine
            .decide_approval(&id("asks"), &decision)
            .await
            .unwrap();
        // A token is kept from version 6 on: there it is the signal that was sent before.
        let again = engine
            .signal_once(&id("early"), "go", &json!({"n": 1}), "token")
            .await;
        again.unwrap();
        let sent = 1 + usize::from(version < 6);
        assert_eq!(store.inbox(&id("early"), 9).now().unwrap().len(), sent);
        engine.signal(&id("waits"), "go", &json!(2)).await.unwrap();
    }
    // And a worker the rest, once the owner's lease is over.
    rig.clock.advance(Duration::from_secs(3_600));
    rig.work().await;
    if waits {
        assert_eq!(status("lost"), Some(Status::Paused), "as was asked of it");
        engine.resume(&id("lost"), options()).await.unwrap();
    }
    for (run, _) in &runs {
        assert_eq!(
            status(run),
            Some(Status::Completed),
            "{run} of version {version}"
        );
        let replayed = replay(&rig.store, &rig.script, &id(run)).await.unwrap();
        assert!(replayed.divergence.is_none(), "{replayed:?}");
        assert!(replayed.attempts > 0);
    }
    assert_sound(&rig, &format!("version {version}, gone on"));
}

/// What a person said holds, and a worker does the rest.
async fn stands_as_decided(sql: &str) {
    let rig = rig_on(sql);
    assert_sound(&rig, "as it was");
    let engine = rig.engine();
    let report = |run: &str| engine.report(&id(run)).now().unwrap();
    let stop = |run: &str| report(run).stop.unwrap();
    assert_eq!(stop("held").held_by.as_deref(), Some("somebody"));
    assert_eq!(
        stop("ready").why,
        Why::Ready(Came::Decision(Verdict::Approved))
    );
    let because = Some("because".to_owned());
    let rejected = Why::Rejected {
        by: Some("ada".to_owned()),
        comment: because,
    };
    assert_eq!(stop("rejected").why, rejected);
    let by = "somebody".to_owned();
    assert_eq!(stop("cancelled").why, Why::Cancelled { by });
    rig.clock.advance(Duration::from_secs(7_200));
    assert_eq!(rig.work().await.taken, 1);
    let after = ["held", "ready", "rejected", "cancelled"].map(|run| report(run).status);
    assert_eq!(
        after,
        [
            Status::Paused,
            Status::Completed,
            Status::Cancelled,
            Status::Cancelled
        ]
    );
    let resumed = engine.resume(&id("held"), ResumeOptions::default()).await;
    assert_eq!(resumed.unwrap().status, Status::Completed);
    for run in ["held", "ready", "rejected", "cancelled"] {
        let replayed = replay(&rig.store, &rig.script, &id(run)).await;
        assert_eq!(replayed.unwrap().divergence, None, "{run}");
    }
    assert_sound(&rig, "gone on");
}

#[tokio::test]
async fn runs_that_an_older_program_stopped_as_a_person_said_stand_as_decided() {
    let sql = decided_now().await;
    let path = golden("version-6-decided.sql");
    if std::env::var_os("UPDATE_EXPECT").is_some() && !path.exists() {
        fs::write(&path, &sql).unwrap();
    }
    stands_as_decided(&fs::read_to_string(&path).unwrap()).await;
    stands_as_decided(&sql).await;
}

#[tokio::test]
async fn b236_runs_of_stores_of_every_version_go_on_and_replay() {
    let newest = version(&written_now().await);
    assert!(newest >= 6);
    for version in 1..=newest {
        let path = file(version);
        let sql = fs::read_to_string(&path).unwrap_or_else(|error| {
            let path = path.display();
            panic!("{path}: {error}; UPDATE_EXPECT=1 writes it")
        });
        goes_on(&sql).await;
    }
}

/// The first writes to a run that an older program left are followed by the death of who wrote: what the file holds of it then is no
/// mixture of what both wrote.
#[tokio::test]
async fn b236_runs_of_older_stores_survive_the_death_of_who_goes_on_with_them() {
    let newest = version(&written_now().await);
    let mut deaths = 0;
    for version in 1..=newest {
        let sql = fs::read_to_string(file(version)).unwrap();
        for writes in 1..=3 {
            for run in ["lost", "paused", "failed"] {
                let rig = rig_on(&sql);
                let what = format!("version {version}, {run} after {writes} writes");
                let before = rig.store.row(&id(run)).now().unwrap().unwrap();
                rig.clock.advance(Duration::from_secs(660));
                let store = Arc::new(FaultyStore::dying_after(Arc::clone(&rig.store), writes));
                let engine = rig.engine_on(Arc::clone(&store) as _);
                let ended = Notify::new();
                let goes_on = async {
                    match run {
                        "paused" => drop(engine.resume(&id(run), ResumeOptions::default()).await),
                        "failed" => {
                            drop(engine.retry(&id(run), None, ResumeOptions::default()).await);
                        }
                        _ => drop(engine.work(until_idle(1)).await),
                    }
                    ended.notify_one();
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    () = store.kills(goes_on) => deaths += 1,
                    // It came to its end with fewer writes.
                    () = ended.notified() => {}
                }
                let after = rig.store.row(&id(run)).now().unwrap().unwrap();
                assert!(run == "lost" || after.seq > before.seq, "{what}");
                let doctor = rig.engine().examine(&|_| ()).now().unwrap();
                let mut findings = doctor.findings.iter();
                let broken = findings.find(|found| found.gravity == Gravity::Problem);
                assert!(broken.is_none(), "{what}: {broken:?}");
                rig.engine().report(&id(run)).now().unwrap();
                rig.clock.advance(Duration::from_secs(660));
                rig.work().await;
                assert_sound(&rig, &format!("{what}, gone on"));
            }
        }
    }
    assert!(deaths > 3 * newest, "{deaths}");
}

/// What writes the file of the next version works, and what it writes does.
#[tokio::test]
async fn a_store_that_is_written_now_goes_on_as_its_file() {
    let sql = written_now().await;
    let path = file(version(&sql));
    if std::env::var_os("UPDATE_EXPECT").is_some() && !path.exists() {
        fs::write(&path, &sql).unwrap();
    }
    goes_on(&sql).await;
}
