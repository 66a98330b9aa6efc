//! Steps with `finally`: what is told of them, and what becomes of a run that is ended while nobody drives it.

use milepost_tests::cli::{Cli, Output};
use serde_json::json;

/// A question, work that fails as it is told, a report at the end, and an alarm that fails.
const FLOW: &str = r#"
[inputs.ask]
type = "bool"
[inputs.code]
type = "string"
default = ""
[[step]]
id = "gate"
if = "inputs.ask"
approval = { message = "Go?" }
[[step]]
id = "work"
use = "flaky/fail_always"
if = "inputs.code != ''"
with = { code = "${ inputs.code }" }
[[step]]
id = "report"
use = "text/upper"
with = { text = "${ run.status }, work ${ steps.work.status }" }
finally = true
[[step]]
id = "alarm"
use = "flaky/fail_always"
with = { code = "no-mail" }
finally = true
"#;

fn flow() -> Cli {
    let cli = Cli::new();
    cli.workflow("flow.toml", FLOW);
    cli
}

/// Each of these lines, in this order, with others between them.
fn says(output: &Output, lines: &[&str]) {
    let mut said = output.stderr.lines();
    for line in lines {
        assert!(said.any(|said| said.contains(line)), "{line}: {output:#?}");
    }
}

#[test]
fn a_failed_step_at_the_end_fails_the_run_and_keeps_the_first_reason() {
    let cli = flow();
    let line = "run flow.toml --id r --input ask=false --input code=broken";
    says(
        &cli.run(line).expect(1),
        &[
            "step work: failed: broken",
            "run r: steps with `finally` run now",
            "step report: completed",
            "step alarm: failed: no-mail",
            "reason: finally_failed: `alarm` failed (no-mail): broken",
            "first:  step_failed: `work` failed (broken): broken",
            "next:   nothing by itself; fix the cause, then `milepost resume r` runs the failed steps again",
        ],
    );
    let shown = cli.run("show r --json").expect(0).json();
    assert_eq!(
        shown["stop"]["message"],
        json!("`alarm` failed (no-mail): broken; `work` failed (broken): broken")
    );
    assert_eq!(shown["stop"]["reasons"][0]["code"], json!("step_failed"));
    assert_eq!(
        shown["steps"][2]["output"],
        json!({ "text": "FAILED, WORK FAILED" })
    );
    cli.run("replay r").expect(0);
    cli.run("explain finally_failed").expect(0);
}

#[test]
fn a_run_that_nobody_drives_is_finished_by_whoever_ends_it() {
    let cli = flow();
    for run in ["cancelled", "rejected", "killed"] {
        let line = format!("run flow.toml --id {run} --input ask=true");
        cli.run(&line).expect(2);
    }
    let finished = [
        "steps with `finally` run now",
        "step report: completed",
        "step alarm: failed: no-mail",
        "warning: `alarm` failed (no-mail): broken",
    ];
    let cancelled = cli.run("cancel cancelled").expect(0);
    says(&cancelled, &finished);
    assert_eq!(cancelled.stdout, "run cancelled is cancelled\n");
    let rejected = cli.run("reject rejected --by ann").expect(0);
    says(&rejected, &finished);
    assert_eq!(
        rejected.stdout,
        "`gate` of run rejected is rejected; the run is cancelled\n"
    );
    let killed = cli.run("kill killed").expect(0);
    assert_eq!(killed.stderr, "");
    for (run, code) in [
        ("cancelled", "cancelled"),
        ("rejected", "rejected"),
        ("killed", "cancelled"),
    ] {
        let shown = cli.run(&format!("show {run} --json")).json();
        assert_eq!(shown["status"], json!("cancelled"), "{run}");
        assert_eq!(shown["stop"]["code"], json!(code), "{run}");
        let told = shown["stop"]["reasons"][0]["code"].as_str();
        assert_eq!(told, (run != "killed").then_some("finally_failed"), "{run}");
        cli.run(&format!("replay {run}")).expect(0);
    }
}

/// What a child run has left to do before its end is done by whoever cancels its item.
#[test]
fn a_child_run_that_is_cancelled_with_its_item_is_finished_here() {
    let cli = Cli::new();
    cli.workflow(
        "c.toml",
        "[[step]]\nid = \"gate\"\napproval = { message = \"Go?\" }\n[[step]]\nid = \"last\"\nuse = \"text/upper\"\nwith = { text = \"${ run.status }\" }\nfinally = true\n",
    );
    cli.workflow(
        "all.toml",
        "[[step]]\nid = \"each\"\nworkflow = \"c.toml\"\nforeach = { items = \"[1, 2]\", join = \"all_done\" }\n",
    );
    cli.run("run all.toml --id a").expect(2);
    let cancelled = cli.run("cancel a --step each[0]").expect(0);
    says(&cancelled, &["step last: completed"]);
    let children = cli.shown("a")["children"].clone();
    assert_eq!(children, json!({ "cancelled": 1, "paused": 1 }));
}

/// Loops and fan-outs that were at work when the run ended are not running any more.
#[test]
fn what_was_open_is_cancelled_with_its_run() {
    let cli = Cli::new();
    cli.workflow(
        "w.toml",
        "[[step]]\nid = \"l\"\nloop = { until = \"false\", max_iterations = 3 }\n\
         [[step]]\nid = \"each\"\nin = \"l\"\nforeach = { items = \"[1, 2]\", max_parallel = 1 }\n\
         [[step]]\nid = \"x\"\nin = \"each\"\nuse = \"text/upper\"\nwith = { text = \"a\" }\n\
         [[step]]\nid = \"z\"\nin = \"each\"\nend = { status = \"cancelled\" }\n",
    );
    cli.run("run w.toml --id r").expect(3);
    let shown = cli.shown("r");
    for step in [0, 1] {
        assert_eq!(shown["steps"][step]["status"], "cancelled", "{shown:#}");
        assert_eq!(shown["steps"][step]["stop_reason"], "cancelled");
    }
    let drawn = cli.run("graph w.toml --run r").expect(0).stdout;
    assert!(!drawn.contains("running"), "{drawn}");
}

/// A run that was compensated can be looked at, and that is all.
#[test]
fn what_was_compensated_is_over() {
    let cli = Cli::new();
    let undone = "[[step]]\nid = \"a\"\nuse = \"text/upper\"\nwith = { text = \"a\" }\ncompensate = { use = \"UNDO\" }\n\
        [[step]]\nid = \"b\"\nuse = \"text/upper\"\nwith = { text = \"b\" }\ncompensate = { use = \"text/echo\" }\n\
        [[step]]\nid = \"c\"\nuse = \"flaky/fail_always\"\n";
    let head = "on_failure = \"compensate\"\n";
    cli.workflow(
        "w.toml",
        &format!("{head}{}", undone.replace("UNDO", "text/echo")),
    );
    cli.workflow(
        "v.toml",
        &format!("{head}{}", undone.replace("UNDO", "flaky/fail_always")),
    );
    cli.run("run w.toml --id r").expect(1);
    let listed = cli.run("ls").expect(0).stdout;
    assert!(!listed.contains("resume by hand"), "{listed}");
    let listed = cli.run("ls --json").expect(0).json();
    assert_eq!(listed[0]["next_action"], json!(null));
    // One that is ended on the way says how far that had come.
    cli.run("run v.toml --id s").expect(2);
    let cancelled = cli.run("cancel s").expect(0);
    says(&cancelled, &["1 step was compensated; 1 step was not"]);
    let stop = cli.shown("s")["stop"].clone();
    assert_eq!(
        (&stop["compensated"], &stop["uncompensated"]),
        (&json!(1), &json!(1))
    );
}
