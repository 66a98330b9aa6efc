//! A real hostile component under the real program: every step ends with its stable code, and the next one is unaffected.
//! (The sandbox's limits one by one: `host/wasm/tests/hostile.rs`.)

use milepost_tests::cli::Cli;
use serde_json::Value;

/// Runs one step of `hostile`, then a good one, tolerating the first.
fn run(cli: &Cli, step: &str, with: &str, settings: &str) -> Value {
    let limits = if settings.starts_with("[limits]") {
        settings
    } else {
        ""
    };
    let keys = if limits.is_empty() { settings } else { "" };
    cli.workflow(
        "hostile.toml",
        &format!(
            r#"
{limits}
[[step]]
id = "bad"
use = "hostile/{step}"
with = {{ {with} }}
continue_on_error = true
{keys}
[[step]]
id = "good"
use = "text/upper"
with = {{ text = "fine" }}
"#
        ),
    );
    let report = cli.run("run hostile.toml --json").json();
    assert_eq!(report["steps"][1]["output"]["text"], "FINE", "{report:#}");
    report
}

#[test]
fn b260_b261_every_hostile_step_ends_with_its_stable_code() {
    let cli = Cli::new();
    for (step, with, settings, class, code) in [
        ("trap", "", "", "trap", "trap"),
        ("panic", "message = \"boo\"", "", "trap", "trap"),
        ("spin", "", "timeout = \"300ms\"", "timeout", "timeout"),
        (
            "sleep",
            "ms = 30000",
            "timeout = \"300ms\"",
            "timeout",
            "timeout",
        ),
        ("allocate", "", "", "trap", "out_of_memory"),
        (
            "allocate",
            "mib = 20",
            "[limits]\nmemory = \"16MiB\"",
            "trap",
            "out_of_memory",
        ),
        // A Rust guest keeps its frames in its own memory, whose lower end comes before the host's limit of the stack.
        ("recurse", "n = 100000000", "", "trap", "trap"),
        ("big_output", "n = 5000000", "", "trap", "output_too_large"),
        ("deep_output", "n = 65", "", "trap", "invalid_output"),
        ("host_calls", "n = 200000", "", "trap", "limit_exceeded"),
        ("exit", "code = 3", "", "trap", "exited"),
    ] {
        let report = run(&cli, step, with, settings);
        let error = &report["steps"][0]["error"];
        assert_eq!(error["code"], code, "{step}: {error:#}");
        assert_eq!(error["class"], class, "{step}");
        assert_eq!(report["steps"][0]["status"], "failed", "{step}");
        assert_eq!(report["status"], "completed", "{step}: handled");
    }
}

#[test]
fn a_trap_shows_the_guests_backtrace() {
    let cli = Cli::new();
    let report = run(&cli, "trap", "", "");
    let error = report["steps"][0]["error"].to_string();
    assert!(error.contains("hostile"), "{error}");
}

#[test]
fn b250_a_log_flood_is_cut_and_the_step_goes_on() {
    let cli = Cli::new();
    let report = run(&cli, "log_flood", "lines = 5000, bytes = 1000", "");
    assert_eq!(report["status"], "completed");
    let id = report["id"].as_str().unwrap();
    let logs = cli.run(&format!("logs {id}")).expect(0);
    assert!(
        logs.stdout.len() < 2 * 1024 * 1024,
        "{} bytes",
        logs.stdout.len()
    );
}

#[test]
fn the_sandbox_is_empty() {
    let cli = Cli::new();
    cli.write("secret.txt", "secret");
    let report = run(&cli, "environment", "", "");
    let output = &report["steps"][0]["output"];
    assert_eq!(output["variables"], serde_json::json!([]));
    assert_eq!(output["arguments"], serde_json::json!([]));

    let report = run(
        &cli,
        "files",
        "paths = [\"secret.txt\", \"/etc/passwd\", \"/\", \"new.txt\"]",
        "",
    );
    let output = &report["steps"][0]["output"];
    for verdicts in ["read", "list", "create"] {
        for verdict in output[verdicts].as_array().unwrap() {
            assert_ne!(verdict, "ok", "{output:#}");
        }
    }
    assert!(!cli.folder().join("new.txt").exists());

    let report = run(&cli, "sockets", "", "");
    for (what, verdict) in report["steps"][0]["output"].as_object().unwrap() {
        assert_ne!(verdict, "ok", "{what}");
    }
}

#[test]
fn stdout_and_stderr_of_a_guest_become_log_lines() {
    let cli = Cli::new();
    let report = run(
        &cli,
        "print",
        "stdout = \"to out\", stderr = \"to err\"",
        "",
    );
    let id = report["id"].as_str().unwrap();
    let logs = cli.run(&format!("logs {id}")).expect(0).stdout;
    assert!(logs.contains("to out") && logs.contains("to err"), "{logs}");
}

#[test]
fn clocks_and_random_replay() {
    let cli = Cli::new();
    for (step, with) in [("clock", ""), ("random", "n = 16")] {
        let report = run(&cli, step, with, "");
        let id = report["id"].as_str().unwrap();
        cli.run(&format!("replay {id}")).expect(0);
    }
}

#[test]
fn hostile_components_are_refused_before_anything_runs() {
    let cli = Cli::new();
    let text = std::fs::read(milepost_tests::cli::component("text")).unwrap();
    for (bytes, says) in [
        (b"".as_slice(), "is not"),
        (b"\0asm\x01\0\0\0".as_slice(), "core module"),
        (&text[..text.len() / 2], "not a valid component"),
        (b"MZ not wasm at all".as_slice(), "not"),
    ] {
        cli.write("bad.wasm", bytes);
        cli.write(
            "bad.toml",
            "schema = 1\nname = \"bad\"\n[plugins.p]\nsource = \"bad.wasm\"\n[[step]]\nid = \"a\"\nuse = \"p/a\"\n",
        );
        let output = cli.run("run bad.toml").expect(65);
        assert!(output.stderr.contains(says), "{says}: {}", output.stderr);
        assert!(!cli.database().exists() || cli.run("ls --json").stdout.contains("[]"));
    }
}

/// A loop that fills the disk, a mebibyte of log per pass.
const FILLING: &str = r#"
[limits]
disk = "4MiB"
[[step]]
id = "again"
loop = { until = "false", max_iterations = 40, on_exhausted = "continue" }
[[step]]
id = "flood"
in = "again"
use = "hostile/log_flood"
with = { lines = 1100, bytes = 1000 }
"#;

#[test]
fn a_run_takes_so_much_of_the_disk_and_no_more() {
    const MIB: u64 = 1024 * 1024;
    let cli = Cli::new();
    cli.workflow("filling.toml", FILLING);
    let report = cli
        .run("run filling.toml --id full --json")
        .expect(1)
        .json();
    let stop = &report["stop"];
    assert_eq!(stop["code"], "disk_limit", "{report:#}");
    assert!(stop["message"].as_str().unwrap().contains("`limits.disk`"));
    let passes = |count: usize| {
        let events = cli.run("events full --json").expect(0).json();
        let events = events["events"].as_array().unwrap().iter();
        let ended = events.filter(|entry| entry["event"]["type"] == "step_completed");
        assert!(
            (2..=count).contains(&ended.count()),
            "at most {count} passes"
        );
    };
    let stored = || cli.shown("full")["stored_bytes"].as_u64().unwrap();
    // One pass too much: what it brought is only known when it is over.
    passes(5);
    assert!((4 * MIB..6 * MIB).contains(&stored()), "{}", stored());
    assert!(std::fs::metadata(cli.database()).unwrap().len() < 12 * MIB);
    cli.run("replay full").expect(0);
    cli.run("doctor").expect(0);

    // It cannot be talked into more, without leave.
    cli.run("resume full").expect(1);
    passes(5);
    let raised = FILLING.replace("4MiB", "16MiB").replace("40", "7");
    cli.workflow("filling.toml", &raised);
    let report = cli
        .run("resume full --accept-changes --json")
        .expect(0)
        .json();
    assert_eq!(report["status"], "completed", "{report:#}");
    cli.run("replay full").expect(0);
}
