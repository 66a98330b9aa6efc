//! One guest in every language, by the real program: the same workflow, the same table of what has to come of it, then a replay that
//! executes every attempt again. What each step of a guest does: `plugins/conformance/README.md`.

use std::fs;
use std::path::{Path, PathBuf};

use milepost_core::ids::Digest;
use milepost_tests::cli::{Cli, component};
use serde_json::{Value, json};

use crate::servers::{Reply, Server};

/// Characters of two bytes in the value that travels through `echo`: with what is around it, a little less than an output may have.
const LARGE: usize = 2_000_000;

/// Id, step of the guest, its `with`, the other keys of the step.
const STEPS: [(&str, &str, &str, &str); 16] = [
    (
        "unicode",
        "echo",
        r#"{ text = "Grüße 🌍 \u0000\u001f\\ \"\u2028", list = [0, -1, 1.5, 9007199254740991, true], nothing = {} }"#,
        "",
    ),
    ("large", "echo", r#"{ text = "${ inputs.large }" }"#, ""),
    ("log", "log", r#"{ message = "grüße 🌍" }"#, ""),
    ("progress", "progress", "{}", ""),
    ("retry", "retry", "{}", r#"retry = { initial = "1ms" }"#),
    ("fail", "fail", r#"{ a = [1, "ü"] }"#, HANDLED),
    ("clock", "clock", "{}", ""),
    ("random", "random", "{}", ""),
    (
        "memo",
        "memo",
        r#"{ once = "ü" }"#,
        r#"retry = { initial = "1ms" }"#,
    ),
    ("kv", "kv", "{}", ""),
    ("http", "http", r#"{ url = "${ inputs.url }" }"#, ""),
    ("artifacts", "artifacts", "{}", ""),
    ("exec", "exec", "{}", ""),
    ("strict", "strict", r#"{ n = "x" }"#, HANDLED),
    ("broken", "broken", "{}", HANDLED),
    ("pause", "pause", "{}", ""),
];
/// Steps of guests in languages whose SDK is for the world `step-core`, which has nothing that needs a grant.
const GRANTED: [&str; 5] = ["memo", "kv", "http", "artifacts", "exec"];
const CORE_ONLY: [&str; 2] = ["zig", "assemblyscript"];
const HANDLED: &str = "continue_on_error = true";

/// The steps that a guest has, the ones that its manifest lists.
fn workflow(guest: &Path, port: u16, has: &[&str]) -> String {
    let mut text = format!(
        "schema = 1\nname = \"conformance\"\n[plugins.g]\nsource = {guest:?}\n[plugins.g.allow]\nkv = [\"b\"]\nartifacts = true\n\
         http = [{{ host = \"127.0.0.1\", ports = [{port}], methods = [\"POST\"], private = true }}]\n\
         [inputs.url]\ntype = \"string\"\n[inputs.large]\ntype = \"string\"\n"
    );
    for (id, step, with, keys) in STEPS.iter().filter(|(_, step, ..)| has.contains(step)) {
        text.push_str(&format!(
            "[[step]]\nid = \"{id}\"\nuse = \"g/{step}\"\nwith = {with}\n{keys}\n"
        ));
    }
    text
}

/// What has to have come of a step, as `show` prints it.
fn check(id: &str, step: &Value) {
    let output = &step["output"];
    let completed = |attempts: u64, expected: Value| {
        assert_eq!(step["status"], "completed", "{step:#}");
        assert_eq!(step["attempts"], attempts, "{step:#}");
        assert!(*output == expected, "{id}: {output:#}\nis not {expected:#}");
    };
    let failed = |class: &str, code: &str| {
        assert_eq!(step["status"], "failed", "{step:#}");
        assert_eq!(step["attempts"], 1, "{step:#}");
        assert_eq!(step["error"]["class"], class, "{step:#}");
        assert_eq!(step["error"]["code"], code, "{step:#}");
    };
    match id {
        "unicode" => completed(
            1,
            json!({
                "text": "Grüße 🌍 \u{0}\u{1f}\\ \"\u{2028}",
                "list": [0, -1, 1.5, 9_007_199_254_740_991_u64, true],
                "nothing": {},
            }),
        ),
        "large" => completed(1, json!({ "text": "ü".repeat(LARGE) })),
        "log" | "progress" => completed(1, Value::Null),
        "retry" => {
            completed(2, json!(2));
            let waited = time(&step["ended_at"]) - time(&step["started_at"]);
            assert!(waited >= 300_000_000, "{step:#}");
        }
        "fail" => {
            failed("failed", "no-such-thing");
            assert_eq!(step["error"]["message"], "nichts für dich 🌍");
            assert_eq!(step["error"]["detail"], json!({ "a": [1, "ü"] }));
        }
        "clock" => {
            let now: i128 = output["now"].as_str().unwrap().parse().unwrap();
            assert!(now >= time(&step["started_at"]) && now <= time(&step["ended_at"]));
            completed(1, json!({ "now": output["now"], "passed": true }));
        }
        "random" => {
            completed(1, output.clone());
            let bytes = output.as_array().unwrap().iter();
            let bytes: Vec<u64> = bytes.map(|byte| byte.as_u64().unwrap()).collect();
            assert_eq!(bytes.len(), 8);
            assert!(bytes.iter().all(|byte| *byte < 256), "{bytes:?}");
            assert!(bytes.iter().any(|byte| *byte != bytes[0]), "{bytes:?}");
        }
        "memo" => completed(2, json!({ "once": "ü" })),
        "kv" => completed(
            1,
            json!({ "value": "v1", "same": true, "replace": "conflict", "keys": ["k/ü"], "left": false }),
        ),
        "http" => completed(1, json!({ "status": 418, "body": "http:grüße" })),
        "artifacts" => completed(
            1,
            json!({ "size": 15, "type": "text/plain", "tail": "an alle" }),
        ),
        "exec" => completed(1, json!("denied")),
        "strict" => failed("failed", "invalid_input"),
        "broken" => failed("trap", "invalid_output"),
        "pause" => completed(2, json!({ "page": 2, "ü": null })),
        _ => panic!("no such case: {id}"),
    }
}

/// A time of a report, in nanoseconds since 1970.
fn time(text: &Value) -> i128 {
    let time: milepost_core::time::Timestamp = serde_json::from_value(text.clone()).unwrap();
    i128::from(time.as_nanos())
}

/// Runs the workflow with a guest. It has to have all steps but those.
fn conforms(guest: &Path, lacks: &[&str]) {
    let cli = Cli::new();
    let server = Server::start(|seen| {
        let mut body = seen
            .header("x-case")
            .unwrap_or_default()
            .as_bytes()
            .to_vec();
        body.push(b':');
        body.extend(&seen.body);
        Reply::new(418, &[], &body)
    });
    let manifest = cli.run(&format!("inspect {} --json", guest.display()));
    let manifest = manifest.expect(0).json()["manifest"].clone();
    let listed = manifest["steps"].as_object().unwrap();
    let mut has: Vec<&str> = STEPS.iter().map(|(_, step, ..)| *step).collect();
    has.retain(|step| !lacks.contains(step));
    for step in &has {
        assert!(
            listed.contains_key(*step),
            "{} lacks {step}",
            guest.display()
        );
    }
    for step in lacks {
        assert!(
            !listed.contains_key(*step),
            "{} has {step} by now",
            guest.display()
        );
    }

    cli.write("w.toml", workflow(guest, server.port(), &has));
    let url = format!("http://127.0.0.1:{}/x", server.port());
    let inputs = json!({ "url": url, "large": "ü".repeat(LARGE) });
    cli.write("inputs.json", inputs.to_string());
    let pauses = has.contains(&"pause");
    let run = cli.run("run w.toml --inputs inputs.json --id r --json");
    let mut report = run.expect(if pauses { 2 } else { 0 }).json();
    if pauses {
        let stop = report["stop"].to_string();
        assert!(
            stop.contains("needs-input") && stop.contains("waits for a person"),
            "{stop}"
        );
        report = cli.run("resume r --json").expect(0).json();
    }
    let steps = report["steps"].as_array().unwrap();
    for (id, ..) in STEPS.iter().filter(|(_, step, ..)| has.contains(step)) {
        let step = steps.iter().find(|step| step["path"] == *id);
        check(id, step.unwrap());
    }
    if has.contains(&"log") {
        let lines = cli.run("logs r --json").expect(0).json()["lines"].clone();
        let line = lines
            .as_array()
            .unwrap()
            .iter()
            .find(|line| line["path"] == "log");
        let line = line.unwrap();
        assert_eq!(
            (&line["level"], &line["message"], &line["fields"]),
            (
                &json!("warn"),
                &json!("grüße 🌍"),
                &json!({ "from": "guest" })
            )
        );
    }
    let replayed = cli.run("replay r --json").expect(0).json();
    assert_eq!(replayed["not_replayed"], json!([]), "{replayed:#}");
    assert_eq!(replayed["divergence"], Value::Null, "{replayed:#}");
}

fn prebuilt() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("plugins/conformance/prebuilt")
}

#[test]
fn rust() {
    conforms(&component("conformance"), &[]);
}

#[test]
fn c() {
    conforms(&prebuilt().join("c.wasm"), &[]);
}

/// The source itself, on the engine for scripts.
#[test]
fn scripts_that_are_not_built() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    conforms(&root.join("plugins/conformance/javascript/guest.js"), &[]);
    conforms(&root.join("plugins/conformance/typescript/guest.ts"), &[]);
}

/// Guests that are too large to be committed: `.ci/run` builds them into the folder that `MILEPOST_GUESTS` names.
#[test]
fn those_that_were_just_built() {
    let Some(folder) = std::env::var_os("MILEPOST_GUESTS") else {
        return;
    };
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let guest = entry.unwrap().path();
        if guest
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            println!("{}", guest.display());
            let name = guest.file_stem().unwrap_or_default().to_string_lossy();
            let is_core = CORE_ONLY.contains(&&*name);
            conforms(&guest, if is_core { &GRANTED } else { &[] });
            seen += 1;
        }
    }
    assert!(seen > 0, "there is no guest");
}

/// Golden components: what was built once is loaded for good.
#[test]
fn the_committed_ones_are_the_ones_that_their_digests_name() {
    let recorded = fs::read_to_string(prebuilt().join("DIGESTS")).unwrap();
    let lines = recorded.lines().filter(|line| !line.starts_with('#'));
    let mut seen = 0;
    for line in lines {
        let (digest, name) = line.split_once("  ").unwrap();
        let bytes = fs::read(prebuilt().join(name)).unwrap();
        assert_eq!(Digest::of(&bytes).hex(), digest, "{name}");
        seen += 1;
    }
    assert_eq!(seen, fs::read_dir(prebuilt()).unwrap().count() - 1);
}
