//! What steps do with the world, by the real program and a real component that does what it is told: durable before the guest goes on,
//! on the tape, and answered from there in replay.

use std::fmt::Write as _;
use std::fs;

use milepost_tests::cli::{Cli, Output};
use milepost_tests::rng::Rng;
use serde_json::{Value, json};

/// What the workflows here allow.
const ALLOW: &str = "[plugins.world.allow]\nkv = [\"b\", \"c\"]\nartifacts = true\n";

/// A workflow with one step, which makes these calls.
fn one_step(keys: &str) -> String {
    let with = format!("with = {{ calls = \"${{ inputs.calls }}\" }}\n{keys}");
    format!(
        "{ALLOW}[inputs.calls]\ntype = \"json\"\n[[step]]\nid = \"a\"\nuse = \"world/visit\"\n{with}"
    )
}

/// Makes these calls in a run of that id.
fn visit(cli: &Cli, id: &str, calls: &Value, keys: &str, status: i32) -> Value {
    cli.workflow("w.toml", &one_step(keys));
    cli.write("inputs.json", json!({ "calls": calls }).to_string());
    let line = format!("run w.toml --inputs inputs.json --id {id} --json");
    cli.run(&line).expect(status).json()
}

/// The answers of a run that completed.
fn answers(run: &Value) -> Vec<Value> {
    assert_eq!(run["status"], "completed", "{run:#}");
    run["output"].as_array().unwrap().clone()
}

fn ok(value: Value) -> Value {
    json!({ "ok": value })
}

fn replays(cli: &Cli, run: &str) {
    let replayed = cli.run(&format!("replay {run} --json")).expect(0).json();
    assert_eq!(replayed["not_replayed"], json!([]), "{replayed:#}");
}

#[test]
fn what_a_component_does_with_the_world_is_there_and_replays() {
    let cli = Cli::new();
    let calls = json!([
        { "do": "memo", "key": "k", "value": { "ü": [1.5, null] } },
        { "do": "put", "bucket": "b", "key": "x", "value": "1" },
        { "do": "get", "bucket": "b", "key": "x" },
        { "do": "replace", "bucket": "b", "key": "x", "over": 7, "value": "2" },
        { "do": "get", "bucket": "secret", "key": "x" },
        { "do": "delete", "bucket": "b", "key": "x" },
        { "do": "keys", "bucket": "b", "prefix": "" },
        { "do": "write", "name": "r.txt", "text": "0123456789", "times": 1000 },
        { "do": "read", "offset": 9_995, "max": 100 },
        { "do": "read", "digest": "sha256:00", "offset": 0, "max": 1 },
        { "do": "now" },
        { "do": "random", "bytes": 4 },
    ]);
    let run = visit(&cli, "r", &calls, "", 0);
    let found = answers(&run);
    let digest = found[7]["ok"]["digest"].clone();
    assert_eq!(
        found[..10],
        [
            ok(json!({ "fresh": { "ü": [1.5, null] } })),
            ok(json!(1)),
            ok(json!({ "value": "1", "revision": 1 })),
            json!({ "error": "conflict" }),
            json!({ "error": "denied" }),
            ok(Value::Null),
            ok(json!([])),
            ok(json!({ "digest": digest, "size": 10_000 })),
            ok(json!("56789")),
            json!({ "error": "not-found" }),
        ]
    );
    let shown = cli.run("show r --json").expect(0).json();
    assert!(shown["steps"][0]["tape"]["entries"].as_u64().unwrap() > 10);
    assert_eq!(shown["artifacts"][0]["name"], "r.txt");
    cli.run("artifacts r r.txt -o out.txt").expect(0);
    let bytes = fs::read_to_string(cli.folder().join("out.txt")).unwrap();
    assert_eq!(bytes, "0123456789".repeat(1000));
    replays(&cli, "r");
    // Nothing of a replay reaches the world: the bucket may be another one by now.
    cli.run("kv put b x 9").expect(0);
    replays(&cli, "r");
    assert_eq!(cli.run("kv get b x").expect(0).stdout, "9");
    cli.run("doctor --artifacts").expect(0);
    cli.run("doctor").expect(0);
}

#[test]
fn memos_outlive_attempts_and_retries_but_not_a_retry_from_their_step() {
    let cli = Cli::new();
    let calls = |fails: u32| {
        json!([
            { "do": "once", "key": "paid", "bucket": "b" },
            { "do": "memo", "key": "k", "value": 1 },
            { "do": "fail_in", "attempt": fails, "retryable": false },
        ])
    };
    let paid = || cli.run("kv get b paid").expect(0).stdout;
    let run = visit(&cli, "r", &calls(1), "", 1);
    assert_eq!(run["status"], "failed");
    assert_eq!(paid(), "1");
    let run = cli.run("retry r --json").expect(0).json();
    assert_eq!(answers(&run)[1], ok(json!({ "recorded": 1 })));
    assert_eq!(paid(), "1");
    let run = cli.run("retry r --from a --json");
    // A run that is over is not begun again; one that failed is.
    assert_eq!(run.status, 65);
    let run = visit(&cli, "s", &calls(1), "", 1);
    assert_eq!(run["status"], "failed");
    let run = cli.run("retry s --from a --json").expect(0).json();
    assert_eq!(answers(&run)[1], ok(json!({ "fresh": 1 })));
    assert_eq!(paid(), "3");
    for run in ["r", "s"] {
        replays(&cli, run);
    }
}

#[test]
fn what_holds_a_secret_is_kept_as_it_is_or_not_at_all() {
    const TOKEN: &str = "12345678";
    let cli = Cli::new();
    let allow = ALLOW.replace("kv =", "secrets = [\"token\"]\nkv =");
    let run = |id: &str, calls: &Value, keys: &str, status| {
        let flow = one_step(keys).replace(ALLOW, &allow);
        cli.workflow("w.toml", &flow);
        cli.write("inputs.json", json!({ "calls": calls }).to_string());
        let line = format!("run w.toml --inputs inputs.json --id {id} --json");
        let mut command = cli.command(&line);
        command.env("MILEPOST_SECRET_TOKEN", TOKEN);
        let run = Output::of(command.output().unwrap()).expect(status).json();
        assert!(replayed(&cli, id, TOKEN), "{id}");
        run
    };
    let visit = |id: &str, calls: &Value, keys: &str| answers(&run(id, calls, keys, 0));
    let refused = || json!({ "error": "contains-secret" });
    // Put there by a step that has no part in the secret.
    let calls = json!([{"do": "put", "bucket": "c", "key": "old", "value": TOKEN}]);
    assert_eq!(visit("without", &calls, ""), [ok(json!(1))]);
    let text = format!("a {TOKEN}");
    let encoded = "MTIzNDU2Nzg=";
    let calls = json!([
        {"do": "put", "bucket": "b", "key": "k", "value": "first"},
        {"do": "put", "bucket": "b", "key": "k", "value": text},
        {"do": "replace", "bucket": "b", "key": "k", "over": 1, "value": encoded},
        {"do": "put", "bucket": "b", "key": text, "value": "v"},
        {"do": "delete", "bucket": "b", "key": text},
        {"do": "get", "bucket": "b", "key": text},
        {"do": "keys", "bucket": "b", "prefix": text},
        {"do": "get", "bucket": "c", "key": "old"},
        {"do": "get", "bucket": "b", "key": "k"},
        {"do": "keys", "bucket": "b", "prefix": ""},
        {"do": "memo", "key": "number", "value": {"a": [1, 1234567]}},
        {"do": "put", "bucket": "c", "key": "numbers", "value": "1234567 2345678"},
    ]);
    let found = visit("with", &calls, "secrets = [\"token\"]\n");
    for (call, answer) in calls.as_array().unwrap().iter().zip(&found).take(8).skip(1) {
        assert_eq!(*answer, refused(), "{call}");
    }
    assert_eq!(found[8]["ok"]["value"], "first", "{found:?}");
    assert_eq!(
        found[8]["ok"]["revision"], 1,
        "nothing was written in between"
    );
    assert_eq!(found[9], ok(json!(["k"])));
    assert!(
        found[10]["ok"].is_object() && found[11]["ok"] == 1,
        "{found:?}"
    );
    for (id, key, value) in [
        ("text", "t", json!({ "a": text })),
        ("number", "n", json!([1, 12_345_678])),
        ("key", text.as_str(), json!(1)),
    ] {
        let calls = json!([{"do": "memo", "key": key, "value": value}]);
        let failed = run(id, &calls, "secrets = [\"token\"]\n", 1);
        let error = &failed["steps"][0]["error"];
        assert_eq!(error["code"], "contains-secret", "{failed:#}");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains("`token`") && !message.contains(TOKEN),
            "{message}"
        );
    }
}

/// Whether a replay, which knows the secret, comes to the same.
fn replayed(cli: &Cli, run: &str, token: &str) -> bool {
    let mut command = cli.command(&format!("replay {run} --json"));
    command.env("MILEPOST_SECRET_TOKEN", token);
    let replay = Output::of(command.output().unwrap()).expect(0).json();
    replay["divergence"].is_null() && replay["attempts"] == 1
}

#[test]
fn a_failed_attempt_shows_its_last_calls() {
    let cli = Cli::new();
    let calls = json!([
        { "do": "get", "bucket": "b", "key": "nothing" },
        { "do": "get", "bucket": "other", "key": "x" },
        { "do": "fail_in", "attempt": 1, "retryable": false },
    ]);
    visit(&cli, "r", &calls, "", 1);
    let shown = cli.run("show r").expect(0).stdout;
    for line in [
        "a: last calls of the host:",
        "kv.get b/nothing: ok,",
        "kv.open other: error `denied`,",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let calls = cli.run("show r --json").expect(0).json()["steps"][0]["host_calls"].clone();
    assert_eq!(calls[2]["error"], "denied", "{calls:#}");
    replays(&cli, "r");
}

/// A script of calls, by chance. Some fail or trap in their first attempt.
fn random_script(rng: &Rng) -> Value {
    let key = || format!("k{}", rng.below(4));
    let bucket = || ["b", "c", "d"][rng.below(3) as usize];
    let mut calls: Vec<Value> = (0..rng.below(12))
        .map(|n| match rng.below(16) {
            0 => json!({ "do": "memo", "key": key(), "value": n }),
            1 => json!({ "do": "begin_memo", "key": key() }),
            2 => json!({ "do": "once", "key": key(), "bucket": "b" }),
            3 => json!({ "do": "get", "bucket": bucket(), "key": key() }),
            4 => json!({ "do": "put", "bucket": bucket(), "key": key(), "value": "v".repeat(rng.below(9_000) as usize) }),
            5 => json!({ "do": "replace", "bucket": bucket(), "key": key(), "over": rng.below(5), "value": "r" }),
            6 => json!({ "do": "delete", "bucket": bucket(), "key": key() }),
            7 => json!({ "do": "keys", "bucket": bucket(), "prefix": "k" }),
            8 => json!({ "do": "now" }),
            9 => json!({ "do": "random", "bytes": rng.below(20) }),
            10 => json!({ "do": "write", "name": key(), "text": "ab", "times": rng.below(3_000) }),
            11 => json!({ "do": "exec", "program": "cat", "args": [], "stdin": "in".repeat(rng.below(4_000) as usize) }),
            12 => json!({ "do": "exec", "program": "cat", "args": ["/nothing"], "stdin": "" }),
            13 => json!({ "do": "sleep", "millis": rng.below(3) }),
            14 => json!({ "do": "cancelled" }),
            _ => json!({ "do": "read", "offset": rng.below(6_000), "max": rng.below(6_000) }),
        })
        .collect();
    let at = rng.below(calls.len() as u64 + 1) as usize;
    match rng.below(4) {
        0 => calls.insert(
            at,
            json!({ "do": "fail_in", "attempt": 1, "retryable": true }),
        ),
        1 => calls.insert(at, json!({ "do": "trap_in", "attempt": 1 })),
        _ => {}
    }
    Value::Array(calls)
}

/// Many at once, so that they meet in the same buckets. `MILEPOST_SCRIPTS` sets how many.
#[test]
fn scripts_by_chance_replay_to_the_same_bytes() {
    const ITEMS: u64 = 100;
    let scripts = std::env::var("MILEPOST_SCRIPTS").map_or(1_000, |n| n.parse().unwrap());
    let allow = ALLOW.to_owned() + "exec = [{ program = \"cat\", args = [\"**\"] }]\n";
    let keys = "foreach = { items = \"inputs.scripts\", max_parallel = 16, join = \"all_done\" }\n\
        retry = { initial = \"1ms\", max_attempts = 2, on = [\"retryable\", \"trap\"], then = \"fail\" }\n";
    let workflow = format!(
        "[limits]\nparallel = 16\n{allow}[inputs.scripts]\ntype = \"json\"\n[[step]]\nid = \"a\"\nuse = \"world/visit\"\nwith = {{ calls = \"${{ item }}\" }}\n{keys}"
    );
    for seed in 0..scripts / ITEMS {
        let cli = Cli::new();
        let rng = Rng::new(seed);
        let all: Vec<Value> = (0..ITEMS).map(|_| random_script(&rng)).collect();
        cli.workflow("w.toml", &workflow);
        cli.write("inputs.json", json!({ "scripts": all }).to_string());
        cli.run("run w.toml --inputs inputs.json --id r").expect(0);
        replays(&cli, "r");
        cli.run("doctor").expect(0);
    }
}

#[test]
fn an_artifact_that_is_gone_is_told_where_it_is_needed() {
    let cli = Cli::new();
    let calls = json!([
        { "do": "write", "name": "r.txt", "text": "0123456789", "times": 1000 },
        { "do": "read", "offset": 0, "max": 5 },
        { "do": "now" },
    ]);
    visit(&cli, "r", &calls, "", 0);
    let folder = cli.database().with_extension("artifacts");
    let mut files = String::new();
    for part in fs::read_dir(&folder).unwrap() {
        for file in fs::read_dir(part.unwrap().path()).unwrap() {
            let file = file.unwrap().path();
            let _ = writeln!(files, "{}", file.display());
            fs::remove_file(file).unwrap();
        }
    }
    assert_eq!(files.lines().count(), 1, "{files}");
    let doctor = cli.run("doctor").expect(1).stdout;
    assert!(doctor.contains("artifact r.txt: sha256:"), "{doctor}");
    let output = cli.run("artifacts r r.txt -o out.txt");
    assert_eq!(output.status, 69, "{output:?}");
    assert!(output.stderr.contains("is missing"), "{output:?}");
    assert!(!cli.folder().join("out.txt").exists());
    let replayed = cli.run("replay r --json").expect(4).json();
    let told = replayed["divergence"]["recorded"].as_str().unwrap();
    assert!(
        told.contains("it is not kept any more") && !told.contains('\n'),
        "not what was done after it: {replayed:#}"
    );
}

#[test]
fn an_artifact_whose_bytes_changed_is_told_as_damage_and_not_as_another_output() {
    let cli = Cli::new();
    let calls = json!([
        { "do": "write", "name": "r.txt", "text": "0123456789", "times": 1000 },
        { "do": "read", "offset": 0, "max": 5 },
    ]);
    let run = visit(&cli, "r", &calls, "", 0);
    let digest = answers(&run)[0]["ok"]["digest"].clone();
    let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
    let folder = cli.database().with_extension("artifacts");
    let file = folder.join(&hex[..2]).join(&hex[2..]);
    let mut bytes = fs::read(&file).unwrap();
    bytes[9_000] ^= 1;
    fs::write(&file, &bytes).unwrap();

    // Its size is as it was: what reads everything finds it.
    cli.run("doctor").expect(0);
    let doctor = cli.run("doctor --artifacts").expect(1).stdout;
    let told = format!(
        "artifact r.txt: {} does not match its digest",
        digest.as_str().unwrap()
    );
    assert!(doctor.contains(&told), "{doctor}");
    let replayed = cli.run("replay r --json").expect(4).json();
    let recorded = &replayed["divergence"]["recorded"];
    assert!(
        recorded
            .as_str()
            .unwrap()
            .contains("does not match its digest"),
        "{replayed:#}"
    );
    assert_eq!(replayed["divergence"]["path"], "a", "{replayed:#}");
    // A step that opens it is told, and can do something about it.
    let read = json!([{ "do": "read", "digest": digest, "offset": 0, "max": 5 }]);
    let run = visit(&cli, "s", &read, "", 0);
    assert_eq!(answers(&run), [json!({ "error": "damaged" })]);
    replays(&cli, "s");
    // So is whoever reads it into a pipe, before anything comes out of it.
    let output = cli.run("artifacts r r.txt");
    assert_eq!(output.status, 69, "{output:?}");
    assert_eq!(output.stdout, "");
    assert!(output.stderr.contains("doctor --artifacts"), "{output:?}");
    assert!(
        output.stderr.contains("does not match its digest"),
        "{output:?}"
    );
    let output = cli.run("artifacts r r.txt -o out.txt");
    assert_eq!(output.status, 69, "{output:?}");
    assert!(!cli.folder().join("out.txt").exists());
}

#[test]
fn bytes_go_into_a_pipe_as_they_are() {
    let cli = Cli::new();
    let text = "\u{1b}[31mred\u{9b}\r\n\0\u{202e}ü\n\n";
    let calls = json!([
        { "do": "put", "bucket": "b", "key": "x", "value": text },
        { "do": "write", "name": "r.txt", "text": text, "times": 60_000 },
        { "do": "write", "name": "empty", "text": "", "times": 0 },
    ]);
    visit(&cli, "r", &calls, "", 0);
    assert_eq!(cli.run("kv get b x").expect(0).stdout, text);
    cli.run("kv get b x -o value").expect(0);
    assert_eq!(
        fs::read(cli.folder().join("value")).unwrap(),
        text.as_bytes()
    );
    assert_eq!(
        cli.run("artifacts r r.txt").expect(0).stdout,
        text.repeat(60_000)
    );
    assert_eq!(cli.run("artifacts r empty").expect(0).stdout, "");
    cli.write("bytes", b"\xff\0\xfe");
    cli.run("kv put b y --file bytes").expect(0);
    let output = cli.command("kv get b y").output().unwrap();
    assert_eq!(output.stdout, b"\xff\0\xfe");
    // A terminal gets nothing that could control it.
    let shown = cli.on_terminal("kv get b x", 40).left.join("\n");
    assert!(shown.contains("\\u{1b}[31mred\\u{9b}"), "{shown:?}");
    assert!(
        !shown.contains('\u{9b}') && !shown.contains("\u{1b}[31m"),
        "{shown:?}"
    );
    let shown = cli.on_terminal("kv get b y", 40).left.join("\n");
    assert!(shown.contains("is not text"), "{shown:?}");
}

#[test]
fn keys_of_a_large_bucket_are_listed_page_by_page() {
    let cli = Cli::new();
    cli.run("kv put b first 1").expect(0);
    let db = rusqlite::Connection::open(cli.database()).unwrap();
    db.execute_batch(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2500)
         INSERT INTO item (bucket, key, revision, value) SELECT 1, printf('k%06d', n), 1, x'31' FROM n;
         INSERT INTO item (bucket, key, revision, value) VALUES (1, 'l', 1, x'31');",
    )
    .unwrap();
    drop(db);
    let listed = cli.run("kv ls b --prefix k").expect(0).stdout;
    let keys: Vec<String> = (1..=2500).map(|n| format!("k{n:06}")).collect();
    assert_eq!(listed.lines().collect::<Vec<_>>(), keys);
    let document = cli.run("kv ls b --json").expect(0).json();
    assert_eq!(document["bucket"], "b");
    assert_eq!(document["keys"].as_array().unwrap().len(), 2502);
    assert_eq!(cli.run("kv ls b --prefix z").expect(0).stdout, "no keys\n");
    let none = cli.run("kv ls nothing --json").expect(0).json();
    assert_eq!(none, json!({ "bucket": "nothing", "keys": [] }));
}

#[test]
fn a_failed_item_shows_its_last_calls() {
    let cli = Cli::new();
    let keys = "foreach = { items = \"inputs.scripts\", join = \"all_done\" }\n";
    let workflow = format!(
        "{ALLOW}[inputs.scripts]\ntype = \"json\"\n[[step]]\nid = \"a\"\nuse = \"world/visit\"\nwith = {{ calls = \"${{ item }}\" }}\n{keys}"
    );
    cli.workflow("w.toml", &workflow);
    let fails = |key: &str| {
        json!([
            { "do": "get", "bucket": "b", "key": key },
            { "do": "fail_in", "attempt": 1, "retryable": false },
        ])
    };
    let fine = json!([{ "do": "get", "bucket": "b", "key": "fine" }]);
    let scripts = json!({ "scripts": [fails("one"), fine, fails("two")] });
    cli.write("inputs.json", scripts.to_string());
    cli.run("run w.toml --inputs inputs.json --id r");
    let shown = cli.run("show r").expect(0).stdout;
    for lines in [
        "a[0]: last calls of the host:\n  kv.open b: ok,",
        "  kv.get b/one: ok,",
        "a[2]: last calls of the host:",
        "  kv.get b/two: ok,",
    ] {
        assert!(shown.contains(lines), "{lines}: {shown}");
    }
    assert!(!shown.contains("b/fine"), "{shown}");
    let report = cli.run("show r --json").expect(0).json();
    let failures = report["steps"][0]["items"]["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 2, "{report:#}");
    for (failure, key) in failures.iter().zip(["b/one", "b/two"]) {
        let calls = failure["host_calls"].as_array().unwrap();
        assert!(calls.iter().any(|call| call["about"] == key), "{failure:#}");
    }
}

#[test]
fn of_several_artifacts_with_one_name_a_path_tells_which() {
    let cli = Cli::new();
    let keys = "foreach = { items = \"inputs.scripts\" }\n";
    let workflow = format!(
        "{ALLOW}[inputs.scripts]\ntype = \"json\"\n[[step]]\nid = \"a\"\nuse = \"world/visit\"\nwith = {{ calls = \"${{ item }}\" }}\n{keys}"
    );
    cli.workflow("w.toml", &workflow);
    let writes =
        |text: &str| json!([{ "do": "write", "name": "report.csv", "text": text, "times": 1 }]);
    let scripts = json!({ "scripts": [writes("one"), writes("two"), writes("3")] });
    cli.write("inputs.json", scripts.to_string());
    cli.run("run w.toml --inputs inputs.json --id r").expect(0);
    let refused = cli.run("artifacts r report.csv").expect(64).stderr;
    assert!(refused.contains("`--path`"), "{refused}");
    let second = cli.run("artifacts r report.csv --path a[1]").expect(0);
    assert_eq!(second.stdout, "two");
    let listed = cli.run("artifacts r --path a[2]").expect(0).stdout;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains("1 byte "), "{listed}");
    let none = cli.run("artifacts r --path b --json");
    assert_eq!(none.json()["error"]["code"], "no_artifact");
}

#[test]
fn host_calls_that_are_gone_or_changed_are_told() {
    for (damage, told) in [
        ("DELETE FROM tape", "0 of 5 host calls"),
        (
            "UPDATE tape SET body = replace(body, 'about', 'abouT')",
            "cannot be read",
        ),
        (
            "UPDATE tape SET body = replace(body, '\"revision\":1', '\"revision\":2')",
            "have the digest",
        ),
        (
            "UPDATE tape SET first = first + 5",
            "where number 5 should follow",
        ),
    ] {
        let cli = Cli::new();
        let calls = json!([
            { "do": "put", "bucket": "b", "key": "x", "value": "1" },
            { "do": "get", "bucket": "b", "key": "x" },
            { "do": "now" },
        ]);
        visit(&cli, "r", &calls, "", 0);
        let db = rusqlite::Connection::open(cli.database()).unwrap();
        db.execute_batch(damage).unwrap();
        drop(db);
        let doctor = cli.run("doctor").expect(1).stdout;
        assert!(doctor.contains(told), "{damage}: {doctor}");
        let replayed = cli.run("replay r").expect(4).stdout;
        assert!(replayed.contains(told), "{damage}: {replayed}");
        cli.run("show r").expect(0);
    }
}

#[test]
fn gc_removes_artifacts_that_no_run_uses() {
    let cli = Cli::new();
    let calls = json!([{ "do": "write", "name": "r.txt", "text": "x", "times": 10 }]);
    visit(&cli, "r", &calls, "", 0);
    let folder = cli.database().with_extension("artifacts");
    let files = || {
        let parts = fs::read_dir(&folder)
            .unwrap()
            .map(|part| part.unwrap().path());
        parts
            .map(|part| fs::read_dir(part).unwrap().count())
            .sum::<usize>()
    };
    assert_eq!(files(), 1);
    cli.run("gc --older-than 0s").expect(0);
    // Somebody may be about to use it.
    assert_eq!(files(), 1);
    for part in fs::read_dir(&folder).unwrap() {
        for file in fs::read_dir(part.unwrap().path()).unwrap() {
            let file = fs::File::open(file.unwrap().path()).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
    }
    let swept = cli.run("gc --older-than 0s --json").expect(0).json();
    assert_eq!(
        (swept["artifacts"].clone(), swept["artifact_bytes"].clone()),
        (json!(1), json!(10))
    );
    assert_eq!(files(), 0);
}

#[test]
fn metrics_tell_how_the_store_stands() {
    let cli = Cli::new();
    cli.workflow("w.toml", &one_step(""));
    cli.write("inputs.json", json!({ "calls": [] }).to_string());
    cli.run("submit w.toml --inputs inputs.json").expect(0);
    cli.run("kv put a\"b\\c k 123").expect(0);
    let text = cli.run("metrics").expect(0).stdout;
    for line in [
        "milepost_runs{status=\"pending\"} 1",
        "milepost_runs{status=\"failed\"} 0",
        "milepost_expired_leases 0",
        "milepost_bucket_keys{bucket=\"a\\\"b\\\\c\"} 1",
        "milepost_bucket_bytes{bucket=\"a\\\"b\\\\c\"} 4",
        "# TYPE milepost_oldest_waiting_seconds gauge",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}
