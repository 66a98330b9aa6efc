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
