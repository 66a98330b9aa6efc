//! `doctor` reads everything that a store holds, and names the run of whatever is damaged.

use std::fs;

use expect_test::expect;
use milepost_tests::cli::{Cli, component};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{HELLO, SIGNAL, spinning, stopped};

/// A step that writes to its log before it succeeds.
const TRIED: &str = r#"
[[step]]
id = "try"
use = "flaky/fail_until"
with = { succeed_on = 2 }
retry = { initial = "1ms" }
"#;

/// Finished, failed, paused, waiting and new runs; signals that wait, values in blobs of their own.
fn store() -> Cli {
    let cli = stopped();
    cli.run("submit hello.toml --input name=x --id new")
        .expect(0);
    cli.workflow("signal.toml", SIGNAL);
    cli.run("run signal.toml --id ask").expect(2);
    cli.run("submit signal.toml --id early").expect(0);
    cli.run("signal early go").expect(0);
    cli.workflow("tried.toml", TRIED);
    cli.run("run tried.toml --id tried").expect(0);
    cli.write("long.txt", "x".repeat(100_000));
    cli.run("run hello.toml --input name=@long.txt --id long")
        .expect(0);
    cli
}

fn problems(cli: &Cli, status: i32) -> Vec<Value> {
    let seen = cli.run("doctor --json").expect(status).json();
    assert_eq!(seen["ok"], status == 0, "{seen:#}");
    let findings = seen["findings"].as_array().unwrap().iter();
    let broken = findings.filter(|finding| finding["severity"] == "problem");
    broken.cloned().collect()
}

/// Changes a byte of the largest blob that a run uses, which is a component.
fn flip(db: &Connection, run: &str) {
    let sql =
        "SELECT blob.digest, bytes FROM blob JOIN blob_use USING (digest) JOIN run ON run.key = run
               WHERE id = ?1 ORDER BY length(bytes) DESC LIMIT 1";
    let (digest, mut bytes): (Vec<u8>, Vec<u8>) = db
        .query_row(sql, [run], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert!(bytes.starts_with(b"\0asm"), "a component");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let changed = db.execute(
        "UPDATE blob SET bytes = ?2 WHERE digest = ?1",
        (digest, bytes),
    );
    assert_eq!(changed.unwrap(), 1);
}

/// The digest of a component.
const COMPONENT: &str =
    "digest IN (SELECT digest FROM blob WHERE substr(bytes, 1, 4) = x'0061736d')";

const OWNER: &str =
    r#"owner = '{"host":"h","boot":"b","pid":1,"started":1,"nonce":"n"}', lease_until = 1"#;

#[test]
fn whatever_is_damaged_is_told_with_its_run() {
    let cli = store();
    let whole = fs::read(cli.database()).unwrap();
    assert_eq!(problems(&cli, 0), [] as [Value; 0]);
    let of = |run: &str| format!("run = (SELECT key FROM run WHERE id = '{run}')");
    let journal = |run: &str, set: &str, and: &str| {
        format!(
            "UPDATE journal SET body = {set} WHERE {} AND {and} AND body <> {set}",
            of(run)
        )
    };
    let remove = |run: &str, and: &str| format!("DELETE FROM journal WHERE {} AND {and}", of(run));
    let part = |run: &str, set: &str, and: &str| {
        format!(
            "UPDATE checkpoint SET body = {set} WHERE {} AND {and} AND body <> {set}",
            of(run)
        )
    };
    let column = |run: &str, set: &str| format!("UPDATE run SET {set} WHERE id = '{run}'");
    let blob = |run: &str, like: &str| {
        format!(
            "DELETE FROM blob WHERE CAST(bytes AS TEXT) LIKE '{like}'
             AND digest IN (SELECT digest FROM blob_use WHERE {})",
            of(run)
        )
    };
    let last = "seq = (SELECT max(seq) FROM journal j WHERE j.run = journal.run)";
    let unused = |run: &str, and: &str| format!("DELETE FROM blob_use WHERE {} AND {and}", of(run));
    let logged = |set: &str| format!("UPDATE log SET {set} WHERE {}", of("tried"));
    let signal = |set: &str| format!("UPDATE signal SET {set} WHERE {}", of("early"));
    let deep = "'[' || replace(hex(zeroblob(200)), '0', '[') || '1' || replace(hex(zeroblob(200)), '0', ']') || ']'";
    for (sql, run, damaged) in [
        (unused("new", "true"), "new", "definition"),
        (unused("done", "true"), "done", "definition"),
        (unused("new", COMPONENT), "new", "component text"),
        (
            unused(
                "long",
                "digest IN (SELECT digest FROM blob WHERE bytes LIKE '\"Hello%')",
            ),
            "long",
            "blob",
        ),
        (
            column("done", "stored_bytes = stored_bytes + 1"),
            "done",
            "column stored_bytes",
        ),
        (column("done", "stored_bytes = -1"), "done", "row"),
        (
            column("new", "stored_bytes = 9223372036854775807"),
            "new",
            "column stored_bytes",
        ),
        (
            column("done", "created_at = 1"),
            "done",
            "column created_at",
        ),
        (
            column("done", "lease_until = 1"),
            "done",
            "column lease_until",
        ),
        (
            column("nap", "detached_at = 1"),
            "nap",
            "column detached_at",
        ),
        (column("nap", OWNER), "nap", "column owner"),
        (
            "UPDATE run SET id = 'x1' WHERE id = 'nap'".to_owned(),
            "x1",
            "column id",
        ),
        (logged("path = 'other'"), "tried", "log"),
        (logged("path = 'try#'"), "tried", "log"),
        (logged("attempt = 7"), "tried", "log"),
        (signal("name = ''"), "early", "signal 1"),
        (signal("data = '{\"a\":1,\"a\":2}'"), "early", "signal 1"),
        (signal("data = '99999999999999999999'"), "early", "signal 1"),
        (signal(&format!("data = {deep}")), "early", "signal 1"),
        (
            journal("done", "substr(body, 1, length(body) - 9)", "seq = 3"),
            "done",
            "event 3",
        ),
        (journal("nap", "'{}'", "seq = 1"), "nap", "event 1"),
        (
            journal(
                "done",
                "replace(body, '\"greet\"', '\"other\"')",
                "body LIKE '%step_completed%'",
            ),
            "done",
            "event 4",
        ),
        (remove("bad", "seq = 2"), "bad", "event 2"),
        (remove("nap", last), "nap", "journal"),
        (remove("new", "true"), "new", "journal"),
        (
            format!(
                "UPDATE journal SET epoch = 7 WHERE {} AND seq = 3",
                of("nap")
            ),
            "nap",
            "event 3",
        ),
        (
            format!("UPDATE journal SET at = 1 WHERE {} AND seq = 3", of("bad")),
            "bad",
            "event 3",
        ),
        (
            format!("UPDATE journal SET at = -1 WHERE {} AND seq = 3", of("nap")),
            "nap",
            "journal",
        ),
        (
            part(
                "done",
                "replace(body, 'Hello', 'Hullo')",
                "part = 'step/greet'",
            ),
            "done",
            "checkpoint",
        ),
        (
            part("nap", "substr(body, 2)", "part = 'run'"),
            "nap",
            "checkpoint",
        ),
        (
            format!(
                "DELETE FROM checkpoint WHERE {} AND part = 'step/one'",
                of("bad")
            ),
            "bad",
            "checkpoint",
        ),
        (column("done", "status = 'failed'"), "done", "column status"),
        (column("nap", "status = 'pending'"), "nap", "column status"),
        (column("bad", "stop_code = NULL"), "bad", "column stop_code"),
        (column("new", "due_at = 7"), "new", "column due_at"),
        (column("nap", "epoch = 9"), "nap", "column epoch"),
        (
            column("done", "updated_at = 1"),
            "done",
            "column updated_at",
        ),
        (
            column("done", "workflow = 'other'"),
            "done",
            "column workflow",
        ),
        (column("ask", "awaits = '[]'"), "ask", "column awaits"),
        (column("nap", "provider = NULL"), "nap", "column provider"),
        (column("done", "seq = seq - 1"), "done", "row"),
        (column("done", "seq = seq + 1"), "done", "journal"),
        (column("done", "recoveries = -1"), "done", "row"),
        (
            format!("UPDATE signal SET data = '{{' WHERE {}", of("early")),
            "early",
            "signal 1",
        ),
        (blob("bad", "%name = \"failing\"%"), "bad", "definition"),
        (
            blob("long", "\"xxx%").replace("\"xxx", "%xxx"),
            "long",
            "blob",
        ),
    ] {
        fs::write(cli.database(), &whole).unwrap();
        let db = Connection::open(cli.database()).unwrap();
        assert!(db.execute(&sql, []).unwrap() > 0, "{sql}");
        drop(db);
        let found = problems(&cli, 1);
        let told = |finding: &Value| finding["part"] == damaged && finding["run"] == run;
        assert!(found.iter().any(told), "{sql}: {found:#?}");
        // It is of that run alone.
        assert!(
            found.iter().all(|finding| finding["run"] == run),
            "{sql}: {found:#?}"
        );
        assert!(!found[0]["help"].as_str().unwrap().is_empty());
    }
    let mut session = cli.session();
    session.milepost("doctor");
    session.reads(expect![[r#"
        $ milepost doctor
        store .milepost, version [version]
          size: [size] ([size] unused) and 0 bytes of log, [size] free on its disk
          runs: 2 pending, 2 paused, 3 completed, 1 failed
        problem: run long: blob: [digest] is missing
          other runs are not affected; keep a copy of the store, then restore a backup, or start the workflow again as a new run
        problem: run long: blob: [digest] is missing
          other runs are not affected; keep a copy of the store, then restore a backup, or start the workflow again as a new run
        problem: run long: blob: [digest] is missing
          other runs are not affected; keep a copy of the store, then restore a backup, or start the workflow again as a new run
        [exit 1]
    "#]]);
}

/// A blob that nothing holds for a run goes with another run, and that is told before.
#[test]
fn what_is_not_held_for_a_run_is_told_before_it_is_gone() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.run("submit hello.toml --input name=x --id p1")
        .expect(0);
    cli.run("run hello.toml --input name=x --id done1")
        .expect(0);
    let db = Connection::open(cli.database()).unwrap();
    let uses = "DELETE FROM blob_use WHERE run = (SELECT key FROM run WHERE id = 'p1')";
    assert!(db.execute(uses, ()).unwrap() > 0);
    let found = problems(&cli, 1);
    assert!(found.iter().all(|f| f["run"] == "p1"), "{found:#?}");
    let parts: Vec<&str> = found.iter().map(|f| f["part"].as_str().unwrap()).collect();
    assert!(
        parts.contains(&"definition") && parts.contains(&"component text"),
        "{found:#?}"
    );
    // In a store of an older version, which left components to their files, that is how it is.
    let held = "INSERT INTO blob_use (run, digest) SELECT run.key, digest FROM run, blob
                WHERE run.id = 'p1' AND substr(bytes, 1, 4) <> x'0061736d'";
    assert!(db.execute(held, ()).unwrap() > 0);
    db.execute("UPDATE run SET stored_bytes = 0", ()).unwrap();
    assert_eq!(problems(&cli, 0), [] as [Value; 0]);
}

#[test]
fn what_is_missing_of_the_tables_is_told() {
    let cli = store();
    let whole = fs::read(cli.database()).unwrap();
    for (sql, told) in [
        ("DROP INDEX run_by_due", "the index `run_by_due` is missing"),
        (
            "DROP INDEX run_by_due; CREATE INDEX run_by_due ON run (seq)",
            "the index `run_by_due` differs from what this version creates",
        ),
        ("DROP TABLE signal", "the table `signal` is missing"),
        (
            "ALTER TABLE run ADD COLUMN more TEXT",
            "the table `run` differs from what this version creates",
        ),
        (
            "CREATE TRIGGER theirs AFTER UPDATE ON run BEGIN DELETE FROM log; END",
            "the trigger `theirs` was not created by this program",
        ),
    ] {
        fs::write(cli.database(), &whole).unwrap();
        let db = Connection::open(cli.database()).unwrap();
        db.execute_batch(sql).unwrap();
        drop(db);
        let found = problems(&cli, 1);
        assert!(
            found.iter().any(|f| f["message"] == told),
            "{sql}: {found:#?}"
        );
    }
    fs::write(cli.database(), &whole).unwrap();
    let db = Connection::open(cli.database()).unwrap();
    db.execute_batch("CREATE INDEX theirs ON run (workflow); ANALYZE")
        .unwrap();
    drop(db);
    assert_eq!(problems(&cli, 0), [] as [Value; 0]);
}

/// As `doctor` advises: the workflow in a new run, or the file in its place.
#[test]
fn a_damaged_component_is_mended_by_a_new_start_and_by_a_resume() {
    let cli = Cli::new();
    fs::copy(component("text"), cli.folder().join("text.wasm")).unwrap();
    let steps = "schema = 1\nname = \"own\"\n[plugins.text]\nsource = \"text.wasm\"\n\
                 [[step]]\nid = \"w\"\nwait = { signal = \"go\" }\n\
                 [[step]]\nid = \"a\"\nuse = \"text/upper\"\nwith = { text = \"a\" }\n";
    cli.write("own.toml", steps);
    cli.run("run own.toml --id first").expect(2);
    let db = Connection::open(cli.database()).unwrap();
    for (again, status) in [("submit own.toml --id second", 0), ("resume first", 2)] {
        flip(&db, "first");
        assert!(!problems(&cli, 1).is_empty());
        cli.run(again).expect(status);
        assert_eq!(problems(&cli, 0), [] as [Value; 0], "{again}");
    }
    // Text that was damaged is text again.
    let spoil = "UPDATE blob SET bytes = x'00' WHERE CAST(bytes AS TEXT) LIKE 'schema%'";
    assert_eq!(db.execute(spoil, ()).unwrap(), 1);
    assert!(!problems(&cli, 1).is_empty());
    cli.run("submit own.toml --id third").expect(0);
    assert_eq!(problems(&cli, 0), [] as [Value; 0]);
}

#[test]
fn a_component_with_a_wrong_byte_is_told_of_every_run_that_carries_it() {
    let cli = store();
    let db = Connection::open(cli.database()).unwrap();
    flip(&db, "done");
    let found = problems(&cli, 1);
    let runs: Vec<&str> = found.iter().map(|f| f["run"].as_str().unwrap()).collect();
    assert_eq!(runs, ["long", "new", "nap", "done"], "{found:#?}");
    for finding in &found {
        assert_eq!(finding["part"], "component text");
        let remedy = finding["help"].as_str().unwrap();
        assert!(
            remedy.contains("component file with that digest"),
            "{remedy}"
        );
    }
    let mut session = cli.session();
    session.milepost("doctor");
    session.reads(expect![[r#"
        $ milepost doctor
        store .milepost, version [version]
          size: [size] (0 bytes unused) and [size] of log, [size] free on its disk
          runs: 2 pending, 2 paused, 3 completed, 1 failed
        problem: run long: component text: [digest] does not match its digest
          other runs are not affected; put the component file with that digest where the definition names it, or restore a backup of the store
        problem: run new: component text: [digest] does not match its digest
          other runs are not affected; put the component file with that digest where the definition names it, or restore a backup of the store
        problem: run nap: component text: [digest] does not match its digest
          other runs are not affected; put the component file with that digest where the definition names it, or restore a backup of the store
        problem: run done: component text: [digest] does not match its digest
          other runs are not affected; put the component file with that digest where the definition names it, or restore a backup of the store
        [exit 1]
    "#]]);
    db.execute(
        "DELETE FROM blob WHERE substr(bytes, 1, 4) = x'0061736d'",
        (),
    )
    .unwrap();
    let found = problems(&cli, 1);
    assert!(found.len() > 4, "{found:#?}");
    assert!(
        found
            .iter()
            .all(|f| f["message"].as_str().unwrap().ends_with("is missing")),
        "{found:#?}"
    );
}

/// A loop that is well while others examine it.
const LOOP: &str = r#"
[[step]]
id = "again"
loop = { until = "false", max_iterations = 3000, on_exhausted = "continue" }
[[step]]
id = "up"
in = "again"
use = "text/upper"
with = { text = "a" }
"#;

#[test]
fn a_store_that_is_written_to_meanwhile_is_well() {
    let cli = store();
    let running = spinning(&cli);
    cli.workflow("loop.toml", LOOP);
    let mut busy = cli.command("run loop.toml --id busy");
    busy.stdout(std::process::Stdio::null());
    busy.stderr(std::process::Stdio::null());
    let mut busy = busy.spawn().unwrap();
    for round in 0..5 {
        let id = format!("come-{round}");
        cli.run(&format!("run hello.toml --input name=x --id {id}"))
            .expect(0);
        let mut removal = cli.command("gc --older-than 0s --status completed");
        removal.stdout(std::process::Stdio::null());
        removal.stderr(std::process::Stdio::null());
        let mut removal = removal.spawn().unwrap();
        let seen = cli.run("doctor --json").expect(0).json();
        assert_eq!(seen["findings"], json!([]), "{seen:#}");
        assert!(removal.wait().unwrap().success());
    }
    let moving = busy.try_wait().unwrap().is_none();
    busy.kill().unwrap();
    busy.wait().unwrap();
    assert!(moving, "the loop ended before it was examined");
    running.signal("KILL");
    running.wait().expect(128 + 9);
}
