//! Secrets from where they are given to everything that is said and kept of a run that uses them.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../../wasm/tests/guests/mod.rs"]
mod guests;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use guests::Guest;
use serde_json::Value;

/// Nothing else looks like it, in any encoding.
const VALUE: &str = "q7~Zx/0p\"K\\w9 ü+Lm3";

/// Gets the value of `token` and says it in every way that there is: a log line with a field, progress, stdout, and, with the
/// step's name, its output (`a`), an error (`f`) or a pause (`p`). The input is what the value becomes, `%` in its place.
fn says() -> Vec<u8> {
    Guest {
        imports: r#"
            (import "milepost:step/secrets-reveal@0.1.0" "reveal" (func $reveal (param i32 i32 i32)))
            (import "milepost:step/log@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
            (import "milepost:step/progress@0.1.0" "report" (func $report (param i64 i32 i64 i32 i32)))"#,
        data: "tokencodekey",
        items: r#"
            ;; The value with every byte that JSON writes otherwise after a backslash.
            (func $escaped (result i32) (local $i i32) (local $to i32) (local $c i32)
                (local.set $to (i32.const 8193))
                (i32.store8 (i32.const 8192) (i32.const 34))
                (loop $each
                    (local.set $c (i32.load8_u (i32.add (i32.load (i32.const 1204)) (local.get $i))))
                    (if (i32.or (i32.eq (local.get $c) (i32.const 34)) (i32.eq (local.get $c) (i32.const 92))) (then
                        (i32.store8 (local.get $to) (i32.const 92))
                        (local.set $to (i32.add (local.get $to) (i32.const 1)))))
                    (i32.store8 (local.get $to) (local.get $c))
                    (local.set $to (i32.add (local.get $to) (i32.const 1)))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br_if $each (i32.lt_u (local.get $i) (i32.load (i32.const 1208)))))
                (i32.store8 (local.get $to) (i32.const 34))
                (i32.sub (i32.add (local.get $to) (i32.const 1)) (i32.const 8192)))"#,
        run: r#"
            (call $reveal (i32.const 2048) (i32.const 5) (i32.const 1200))
            (if (i32.load8_u (i32.const 1200)) (then (unreachable)))
            ;; One field: `key` and the value.
            (i32.store (i32.const 1300) (i32.const 2057)) (i32.store (i32.const 1304) (i32.const 3))
            (i32.store (i32.const 1308) (i32.load (i32.const 1204))) (i32.store (i32.const 1312) (i32.load (i32.const 1208)))
            (call $emit (i32.const 2) (i32.load (i32.const 1204)) (i32.load (i32.const 1208)) (i32.const 1300) (i32.const 1))
            ;; What the step was given: the value in some encoding.
            (call $emit (i32.const 2) (local.get $in) (local.get $in_n) (i32.const 0) (i32.const 0))
            (call $report (i64.const 1) (i32.const 0) (i64.const 0) (i32.load (i32.const 1204)) (i32.load (i32.const 1208)))
            (if (i32.eq (i32.load8_u (local.get $step)) (i32.const 97)) (then
                (return (call $ok (i32.const 8192) (call $escaped)))))
            ;; err(failed({code, message, detail})) or err(paused({code, reason, ..})).
            (i32.store8 (i32.const 1024) (i32.const 1))
            (i32.store8 (i32.const 1032) (select (i32.const 1) (i32.const 2) (i32.eq (i32.load8_u (local.get $step)) (i32.const 102))))
            (i32.store (i32.const 1040) (i32.const 2053)) (i32.store (i32.const 1044) (i32.const 4))
            (i32.store (i32.const 1048) (i32.load (i32.const 1204))) (i32.store (i32.const 1052) (i32.load (i32.const 1208)))
            (i32.const 1024)"#,
        ..Guest::default()
    }
    .build()
}

fn workflow(step: &str) -> String {
    format!(
        "schema = 1\nname = \"w\"\n[plugins.p]\nsource = \"p.wasm\"\nallow = {{ secrets-reveal = [\"token\"] }}\n\
         [[step]]\nid = \"s\"\nuse = \"p/{step}\"\nsecrets = [\"token\"]\nwith = {{}}\n"
    )
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("p.wasm", says());
        for step in ["a", "f", "p"] {
            place.write(&format!("{step}.toml"), workflow(step));
        }
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), bytes).unwrap();
    }

    fn secrets(&self, name: &str, text: &str, mode: u32) {
        self.write(name, text);
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.path().join(name), mode).unwrap();
    }

    fn milepost(&self, line: &str, token: Option<&str>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_milepost"));
        command
            .args(line.split(' '))
            .current_dir(self.path())
            .env_clear()
            .env("MILEPOST_CACHE", self.path().join("cache"));
        if let Some(token) = token {
            command.env("MILEPOST_SECRET_TOKEN", token);
        }
        command.output().unwrap()
    }
}

fn all(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The value in five encodings, parts of the texts that they have in common with nothing else.
fn encodings() -> Vec<Vec<u8>> {
    let bytes = VALUE.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = bytes
        .iter()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'~' => char::from(*byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let json = Value::from(VALUE).to_string();
    vec![
        bytes.to_vec(),
        json.as_bytes()[1..json.len() - 1].to_vec(),
        base64(bytes).into_bytes(),
        percent.into_bytes(),
        hex.into_bytes(),
    ]
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    // Whole groups: what is left of the value says nothing of its beginning.
    for group in bytes.chunks_exact(3) {
        let bits = group
            .iter()
            .fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        for shift in [18, 12, 6, 0] {
            text.push(char::from(DIGITS[bits >> shift & 63]));
        }
    }
    text
}

fn assert_no_value(what: &str, bytes: &[u8]) {
    for form in encodings() {
        let found = bytes.windows(form.len()).any(|part| part == form);
        assert!(!found, "{what} holds {}", String::from_utf8_lossy(&form));
    }
}

#[test]
fn no_value_of_a_secret_is_in_anything_that_is_printed_or_kept() {
    let place = Place::new();
    for (step, code, status) in [
        ("a", 0, "completed"),
        ("f", 1, "failed"),
        ("p", 2, "paused"),
    ] {
        for json in ["", " --json"] {
            let id = format!("{step}{}", json.trim().len());
            let run = place.milepost(&format!("run {step}.toml --id {id}{json}"), Some(VALUE));
            assert_eq!(run.status.code(), Some(code), "{}", all(&run));
            assert_no_value("run", all(&run).as_bytes());
            let shown = place.milepost(&format!("show {id} --json"), None);
            let document: Value = serde_json::from_slice(&shown.stdout).unwrap();
            assert_eq!(document["status"], status);
            assert!(all(&shown).contains("***token***"), "{}", all(&shown));
            for verb in [
                "show",
                "events",
                "logs",
                "ls",
                "graph a.toml --run",
                "doctor",
                "replay",
            ] {
                for form in ["", " --json"] {
                    let line = match verb {
                        "ls" | "doctor" => format!("{verb}{form}"),
                        _ => format!("{verb} {id}{form}"),
                    };
                    let told = place.milepost(&line, None);
                    assert_no_value(&line, all(&told).as_bytes());
                }
            }
            let logs = place.milepost(&format!("logs {id}"), None);
            assert!(
                all(&logs).matches("***token***").count() >= 2,
                "{}",
                all(&logs)
            );
        }
    }
    // The database, its log, compiled code, whatever else the program wrote.
    let mut folders = vec![place.path().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files += 1;
                assert_no_value(&path.display().to_string(), &std::fs::read(&path).unwrap());
            }
        }
    }
    assert!(files > 5);
}

#[test]
fn a_run_that_was_told_a_value_is_replayed_where_it_is_known() {
    let place = Place::new();
    assert_eq!(
        place
            .milepost("run a.toml --id r", Some(VALUE))
            .status
            .code(),
        Some(0)
    );
    let without = place.milepost("replay r", None);
    assert_eq!(without.status.code(), Some(0), "{}", all(&without));
    let told = all(&without);
    assert!(told.contains("depends on the secret `token`"), "{told}");
    assert!(told.contains("MILEPOST_SECRET_TOKEN"), "{told}");
    let with = place.milepost("replay r --json", Some(VALUE));
    let document: Value = serde_json::from_slice(&with.stdout).unwrap();
    assert_eq!(document["attempts"], 1, "{document}");
    assert_eq!(document["divergence"], Value::Null, "{document}");
}

#[test]
fn b434_a_missing_secret_pauses_the_run_before_its_component_is_called() {
    let place = Place::new();
    let run = place.milepost("run a.toml --id r --json", None);
    assert_eq!(run.status.code(), Some(2), "{}", all(&run));
    let told = all(&run);
    for text in [
        "secret_missing",
        "`token`",
        "--secrets FILE",
        "MILEPOST_SECRET_TOKEN",
    ] {
        assert!(told.contains(text), "{text}: {told}");
    }
    let document: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(document["status"], "paused");
    let logs = place.milepost("logs r", None);
    assert_eq!(logs.stdout, b"", "its component was not called");
    // Nobody goes on by himself, and nothing has failed.
    let worked = place.milepost("work --until-idle", None);
    assert_eq!(worked.status.code(), Some(0), "{}", all(&worked));
    let again = place.milepost("resume r", None);
    assert_eq!(again.status.code(), Some(2), "{}", all(&again));
    let resumed = place.milepost("resume r", Some("another value"));
    assert_eq!(resumed.status.code(), Some(0), "{}", all(&resumed));
    assert_eq!(resumed.stdout, b"***token***\n");
    let replayed = place.milepost("replay r", Some("another value"));
    assert_eq!(replayed.status.code(), Some(0), "{}", all(&replayed));
    let explained = place.milepost("explain secret_missing", None);
    assert_eq!(explained.status.code(), Some(0));
}

/// A run whose step does as its name says, and that ends with a step that needs `other`.
fn ending(step: &str) -> String {
    let workflow = workflow(step).replace("[\"token\"] }", "[\"token\", \"other\"] }");
    let last = "[[step]]\nid = \"last\"\nfinally = true\nuse = \"p/a\"\nsecrets = [\"other\", \"token\"]\n";
    format!("{workflow}{last}")
}

#[test]
fn b434_a_step_at_the_end_of_a_run_says_which_secret_it_misses_and_why_the_run_ended() {
    let place = Place::new();
    place.write("w.toml", ending("f"));
    let run = place.milepost("run w.toml --id r --json", Some(VALUE));
    assert_eq!(run.status.code(), Some(1), "{}", all(&run));
    let document: Value = serde_json::from_slice(&run.stdout).unwrap();
    let steps = document["steps"].as_array().unwrap();
    let last = steps.iter().find(|step| step["path"] == "last").unwrap();
    assert_eq!(last["error"]["code"], "secret_missing", "{document:#}");
    let message = last["error"]["message"].as_str().unwrap();
    for part in ["`other`", "--secrets FILE", "MILEPOST_SECRET_OTHER"] {
        assert!(message.contains(part), "{message}");
    }
    let reasons = document["stop"]["reasons"].as_array().unwrap();
    assert_eq!(reasons[0]["path"], "s", "{document:#}");
    assert_eq!(
        place.milepost("replay r", Some(VALUE)).status.code(),
        Some(0)
    );
}

#[test]
fn b434_whoever_cancels_a_run_gives_the_secrets_of_what_comes_before_its_end() {
    let place = Place::new();
    place.write("w.toml", ending("p"));
    let both = format!(
        "token = {}\nother = \"another-value\"\n",
        Value::from(VALUE)
    );
    place.secrets("both.toml", &both, 0o600);
    for (id, line, status) in [
        ("without", "cancel without", "failed"),
        ("with", "cancel with --secrets both.toml", "completed"),
    ] {
        let run = place.milepost(&format!("run w.toml --id {id}"), Some(VALUE));
        assert_eq!(run.status.code(), Some(2), "{}", all(&run));
        let cancelled = place.milepost(line, None);
        assert_eq!(cancelled.status.code(), Some(0), "{}", all(&cancelled));
        let shown = place.milepost(&format!("show {id} --json"), None);
        let document: Value = serde_json::from_slice(&shown.stdout).unwrap();
        assert_eq!(document["status"], "cancelled", "{document:#}");
        let steps = document["steps"].as_array().unwrap();
        let last = steps.iter().find(|step| step["path"] == "last").unwrap();
        assert_eq!(last["status"], status, "{document:#}");
        let told = all(&cancelled);
        assert_eq!(
            told.contains("the secret `other` has no value"),
            status == "failed",
            "{told}"
        );
    }
}

#[test]
fn a_file_of_secrets_comes_first_and_is_refused_unless_it_is_private() {
    let place = Place::new();
    place.secrets(
        "good.toml",
        &format!("token = {}\n", Value::from(VALUE)),
        0o600,
    );
    let run = place.milepost("run a.toml --secrets good.toml", Some("another value"));
    assert_eq!(
        (run.status.code(), &*run.stdout),
        (Some(0), &b"***token***\n"[..]),
        "{}",
        all(&run)
    );
    place.secrets("open.toml", "token = \"private-1\"\n", 0o640);
    place.secrets("broken.toml", "other = 1\ntoken = \"private-1\n", 0o600);
    place.secrets("number.toml", "token = 12345678\n", 0o600);
    place.secrets("name.toml", "Token = \"private-1\"\n", 0o600);
    place.secrets("short.toml", "token = \"abc\"\n", 0o600);
    for (file, says) in [
        ("open.toml", "others than its owner may open it (mode 640)"),
        ("broken.toml", "line 2 is not TOML"),
        ("number.toml", "the value of `token` is no text"),
        ("name.toml", "`Token` is no name of a secret"),
        ("short.toml", "shorter than 4 bytes"),
        ("none.toml", "cannot read none.toml"),
    ] {
        for verb in ["run a.toml", "secrets a.toml", "work --until-idle"] {
            let refused = place.milepost(&format!("{verb} --secrets {file}"), None);
            let told = all(&refused);
            assert!(refused.status.code() > Some(3), "{told}");
            assert!(told.contains(says), "{told}");
            assert!(
                !told.contains("private-1") && !told.contains("12345678"),
                "{told}"
            );
        }
    }
}

#[test]
fn the_secrets_of_a_workflow_are_listed_without_values() {
    let place = Place::new();
    let missing = place.milepost("secrets a.toml", None);
    assert_eq!(missing.status.code(), Some(1), "{}", all(&missing));
    let told = all(&missing);
    for text in [
        "token",
        "missing",
        "yes",
        "MILEPOST_SECRET_TOKEN",
        "--secrets FILE",
    ] {
        assert!(told.contains(text), "{text}: {told}");
    }
    let found = place.milepost("secrets a.toml --json", Some(VALUE));
    assert_eq!(found.status.code(), Some(0), "{}", all(&found));
    assert_no_value("secrets", all(&found).as_bytes());
    let document: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(
        document["secrets"],
        serde_json::json!([{
            "name": "token", "steps": ["s"], "revealed": true, "from": "environment", "problem": null
        }])
    );
    place.write(
        "none.toml",
        "schema = 1\nname = \"w\"\n[plugins.p]\nsource = \"p.wasm\"\n[[step]]\nid = \"s\"\nuse = \"p/a\"\n",
    );
    let none = place.milepost("secrets none.toml", None);
    assert_eq!(
        (none.status.code(), &*none.stdout),
        (Some(0), &b"the workflow needs no secrets\n"[..])
    );
}
