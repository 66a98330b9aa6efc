//! `call`: one step, once, and nothing of it is kept.

use std::process::Stdio;

use milepost_tests::cli::{Cli, Output, component};
use serde_json::{Value, json};

/// A command line with arguments that contain spaces.
#[track_caller]
fn call(cli: &Cli, plugin: &str, args: &[&str]) -> Output {
    let mut command = cli.command("call");
    command.arg(component(plugin)).args(args);
    Output::of(command.output().unwrap())
}

#[test]
fn a_step_is_called_and_nothing_is_kept() {
    let cli = Cli::new();
    let args = ["greet", "--input", r#"{"name":"Ada"}"#];
    let told = call(&cli, "text", &args).expect(0);
    let output: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(output, json!({ "greeting": "Hello, Ada!" }));
    assert!(told.stderr.starts_with("completed after "), "{told:?}");
    assert!(
        told.stderr.contains("MiB of memory, 0 host calls"),
        "{told:?}"
    );
    let left: Vec<_> = std::fs::read_dir(cli.folder()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_input_comes_from_stdin_or_a_file() {
    let cli = Cli::new();
    cli.write("in.json", r#"{ "of": null, "name": "file" }"#);
    let told = call(&cli, "text", &["echo", "--input", "@in.json", "--json"]).expect(0);
    assert_eq!(told.json()["output"], json!({ "of": null, "name": "file" }));

    let mut command = cli.command("call --input - --json");
    command.arg(component("text")).arg("greet");
    command.stdin(std::fs::File::open(cli.folder().join("in.json")).unwrap());
    command.stdout(Stdio::piped());
    // A member that the step does not know is told where the step says what it knows.
    let told = Output::of(command.output().unwrap()).expect(65).json();
    assert_eq!(told["error"]["code"], "invalid_input");
    assert_eq!(told["error"]["help"], "its inputs are `name`");

    for (given, part) in [
        ("[1]", "the input is not a JSON object: [1]"),
        ("{", "the input cannot be read: "),
    ] {
        let told = call(&cli, "text", &["echo", "--input", given]).expect(65);
        assert!(told.stderr.contains(part), "{told:?}");
    }
}

#[test]
fn the_document_has_logs_calls_time_and_memory() {
    let cli = Cli::new();
    let args = ["host_calls", "--input", r#"{"n":3}"#, "--json"];
    let told = call(&cli, "hostile", &args).expect(0).json();
    assert_eq!(told["status"], "completed");
    assert_eq!(told["calls"].as_array().unwrap().len(), 3);
    assert_eq!(told["calls"][0]["call"], "clock.now");
    assert!(told["memory_bytes"].as_u64().unwrap() >= 65_536);
    assert!(told["took_millis"].is_u64());

    let before = told["memory_bytes"].as_u64().unwrap();
    let args = ["allocate", "--input", r#"{"mib":8}"#, "--json"];
    let told = call(&cli, "hostile", &args).expect(0).json();
    let grown = told["memory_bytes"].as_u64().unwrap() - before;
    assert!(grown >= 8 << 20, "{grown}");

    let args = ["panic", "--input", r#"{"message":"oh"}"#, "--json"];
    let told = call(&cli, "hostile", &args).expect(1).json();
    let logs = told["logs"].as_array().unwrap();
    assert!(logs.iter().any(|line| line["message"] == "oh"), "{told}");
}

#[test]
fn a_failure_is_1_and_a_pause_2_and_neither_is_tried_again() {
    let cli = Cli::new();
    let args = ["fail_until", "--input", r#"{"succeed_on":3}"#, "--json"];
    let told = call(&cli, "flaky", &args).expect(1).json();
    assert_eq!(told["status"], "failed");
    assert_eq!(told["error"]["class"], "retryable", "{told}");

    let told = call(&cli, "pausing", &["once", "--json"]).expect(2).json();
    assert_eq!(told["status"], "paused");
    assert!(told["pause"]["code"].is_string(), "{told}");
    assert_eq!(told["output"], Value::Null);
}

#[test]
fn functions_are_called_and_mistakes_have_the_nearest_name() {
    let cli = Cli::new();
    let values = r#"{"values":[1,2,3,90],"factor":1.5}"#;
    for name in ["outliers", "example:math/statistics#outliers"] {
        let told = call(&cli, "math", &[name, "--input", values, "--json"])
            .expect(0)
            .json();
        assert_eq!(told["step"], name);
        assert!(told["output"].is_array(), "{told}");
    }
    let told = call(&cli, "math", &["outlier"]).expect(65);
    assert!(told.stderr.contains("outliers"), "{told:?}");
    let told = call(&cli, "text", &["gret"]).expect(65);
    assert!(told.stderr.contains("did you mean `greet`?"), "{told:?}");
    let told = cli.run("call nowhere.wasm greet").expect(69);
    assert!(told.stderr.contains("nowhere.wasm"), "{told:?}");
}

#[test]
fn it_reaches_only_what_is_allowed() {
    let cli = Cli::new();
    let deed = r#"{"calls":[{"do":"put","bucket":"b","key":"k","value":"1"}]}"#;
    let denied = call(&cli, "world", &["visit", "--input", deed, "--json"]);
    let allowed = [
        "visit",
        "--input",
        deed,
        "--allow",
        "kv = [\"b\"]",
        "--json",
    ];
    let allowed = call(&cli, "world", &allowed);
    let code = |output: &Output| output.json()["calls"][0]["error"].clone();
    assert_eq!(code(&denied), "denied", "{denied:?}");
    assert_eq!(code(&allowed), Value::Null, "{allowed:?}");
    call(&cli, "world", &["visit", "--allow", "kv ="]).expect(64);
    call(&cli, "world", &["visit", "--allow", "kw = []"]).expect(65);
}
