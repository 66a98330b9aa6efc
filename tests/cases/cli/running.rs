//! `run`, `resume`, `retry`, `cancel`.

use milepost_tests::cli::Cli;

use super::{ENDLESS, FAILING, HELLO, PAUSING};

#[test]
fn b164_a_completed_run_prints_what_it_returns_and_exits_with_0() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    let output = cli.run("run hello.toml --input name=World").expect(0);
    assert_eq!(output.stdout, "Hello, World!\n");
    assert!(
        output.stderr.contains("step greet: completed in "),
        "{output:#?}"
    );
    assert!(output.stderr.contains("1 of 1 step"), "{output:#?}");
}

#[test]
fn what_is_no_text_is_printed_as_json() {
    let cli = Cli::new();
    cli.workflow("hello.toml", &HELLO.replace(".greeting }", " }"));
    let output = cli.run("run hello.toml --input name=World").expect(0);
    assert_eq!(output.json()["greeting"], "Hello, World!");
}

#[test]
fn b189_json_is_one_document_on_stdout() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    let run = cli
        .run("run hello.toml --input name=World --json --id one")
        .expect(0)
        .json();
    assert_eq!(run["id"], "one");
    assert_eq!(run["status"], "completed");
    assert_eq!(run["output"], "Hello, World!");
    assert_eq!(run["summary"]["completed"], 1);
    assert_eq!(cli.report("one"), run);
}

#[test]
fn inputs_come_from_arguments_and_files() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.write("in.toml", "name = \"Toml\"");
    cli.write("in.json", r#"{"name": "Json", "more": 1}"#);
    cli.write("name.txt", "File");
    for (line, greeted) in [
        ("--inputs in.toml", "Toml"),
        ("--inputs in.toml --input name=Wins", "Wins"),
        ("--input name=@name.txt", "File"),
        ("--input name=@@at", "@at"),
        ("--input name=a=b", "a=b"),
        ("--inputs in.json --allow-extra-inputs", "Json"),
    ] {
        let output = cli.run(&format!("run hello.toml {line}")).expect(0);
        assert_eq!(output.stdout, format!("Hello, {greeted}!\n"), "{line}");
    }
    let output = cli.run("run hello.toml --inputs in.json --allow-extra-inputs");
    assert!(output.stderr.contains("no input `more`"), "{output:#?}");
}

#[test]
fn the_same_start_again_is_no_second_run() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    let first = cli
        .run("run hello.toml --input name=World --id one --json")
        .expect(0);
    let again = cli
        .run("run hello.toml --input name=World --id one --json")
        .expect(0);
    assert_eq!(first.json(), again.json());
    assert!(
        again.stderr.contains("run one existed already"),
        "{again:#?}"
    );
    let other = cli
        .run("run hello.toml --input name=Moon --id one --json")
        .expect(65);
    assert_eq!(other.json()["error"]["code"], "id_taken");
    assert_eq!(
        cli.run("ls --json").json().as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn b157_a_paused_run_says_why_and_how_to_go_on() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    let paused = cli.run("run pausing.toml --id nap").expect(2);
    assert_eq!(paused.stdout, "");
    for part in [
        "paused: run nap",
        "1 of 2 steps",
        "step:   ask",
        "[acme]",
        "milepost resume nap",
    ] {
        assert!(paused.stderr.contains(part), "{part}: {paused:#?}");
    }
    let shown = cli.run("show nap").expect(0).stdout;
    assert!(
        shown.contains("paused") && shown.contains("[acme]"),
        "{shown}"
    );
    let resumed = cli.run("resume nap --json").expect(0);
    let run = resumed.json();
    assert_eq!(run["status"], "completed");
    assert_eq!(
        run["steps"][0]["attempts"], 1,
        "a completed step does not run again"
    );
    assert!(
        resumed.stderr.contains("1 completed steps stay"),
        "{resumed:#?}"
    );
}

#[test]
fn a_failed_run_tells_every_failed_step() {
    let cli = Cli::new();
    cli.workflow("bad.toml", FAILING);
    let failed = cli.run("run bad.toml --id bad").expect(1);
    assert_eq!(failed.stdout, "");
    for part in ["step one: broken", "step two: too-bad", "milepost show bad"] {
        assert!(failed.stderr.contains(part), "{part}: {failed:#?}");
    }
    let run = cli.run("resume bad --json").expect(1).json();
    assert_eq!(run["status"], "failed");
    assert_eq!(run["steps"][1]["attempts"], 2);
    let run = cli.run("retry bad --from one --json").expect(1).json();
    assert_eq!(run["steps"][0]["attempts"], 3);
    let unknown = cli.run("retry bad --from tow --json").expect(65).json();
    assert_eq!(unknown["error"]["code"], "refused");
}

#[test]
fn b356_a_retry_is_announced_with_kind_count_and_delay() {
    let cli = Cli::new();
    let steps = r#"
        [[step]]
        id = "try"
        use = "flaky/fail_until"
        with = { succeed_on = 3 }
        retry = { max_attempts = 4, initial = "1ms", factor = 1.0 }
    "#;
    cli.workflow("flaky.toml", steps);
    let output = cli.run("run flaky.toml").expect(0);
    for line in [
        "step try: started\n",
        "step try: retry 2 of 4 in 1 ms: retryable busy: attempt 1 of 3 fails\n",
        "step try: started, attempt 2 of 4\n",
        "step try: retry 3 of 4 in 1 ms: retryable busy: attempt 2 of 3 fails\n",
        "  try | warning: attempt 2 of 3 fails\n",
        "step try: completed in ",
    ] {
        assert!(output.stderr.contains(line), "{line}: {}", output.stderr);
    }
}

#[test]
fn a_loop_counts_its_passes() {
    let cli = Cli::new();
    let steps = r#"
        [[step]]
        id = "again"
        loop = { until = "loop.iteration == 2", max_iterations = 4 }
        [[step]]
        id = "echo"
        in = "again"
        use = "text/upper"
        with = { text = "a" }
        [[step]]
        id = "never"
        if = "1 == 2"
        use = "text/upper"
        with = { text = "a" }
    "#;
    cli.workflow("loop.toml", steps);
    let output = cli.run("run loop.toml").expect(0);
    for line in [
        "loop again: iteration 1 of 4\n",
        "step again#2/echo: completed",
        "loop again: completed after 2 iterations\n",
        "step never: skipped, because `1 == 2` is false\n",
    ] {
        assert!(output.stderr.contains(line), "{line}: {}", output.stderr);
    }
}

#[test]
fn a_changed_workflow_is_refused_with_a_diff() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    cli.run("run pausing.toml --id nap").expect(2);
    cli.workflow("pausing.toml", &PAUSING.replace("acme", "other"));
    let refused = cli.run("resume nap").expect(65);
    for part in [
        "-with = { complete_on = 2, provider = \"acme\" }",
        "+with",
        "--accept-changes",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {refused:#?}");
    }
    cli.run("resume nap --accept-changes").expect(0);
}

#[test]
fn b286_cancelling_is_idempotent() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    cli.run("run pausing.toml --id nap").expect(2);
    let first = cli.run("cancel nap --json").expect(0).json();
    assert_eq!(
        (&first["answer"], &first["status"]),
        (&"cancelled".into(), &"cancelled".into())
    );
    let shown = cli.shown("nap");
    let second = cli.run("cancel nap").expect(0);
    assert_eq!(second.stdout, "nothing to cancel: run nap is cancelled\n");
    assert_eq!(cli.run("show nap --json").json(), shown);
    // Resuming what was cancelled is refused with its state (B180, B192).
    let refused = cli.run("resume nap").expect(65);
    assert!(
        refused.stderr.contains("`nap` is cancelled"),
        "{refused:#?}"
    );
    assert!(refused.stderr.contains("milepost show nap"), "{refused:#?}");
}

#[test]
fn b195_a_run_of_another_process_is_left_to_it_and_cancelled_by_asking() {
    let cli = Cli::new();
    cli.workflow("endless.toml", ENDLESS);
    let mut running = cli.start("run endless.toml --id busy --json");
    running.until("step spin: started");
    // While it runs, nobody else can have it (B172).
    let second = cli.run("resume busy --json").expect(75).json();
    assert_eq!(second["error"]["code"], "already_running");
    let again = cli.run("run endless.toml --id busy --json").expect(75);
    assert_eq!(again.json()["status"], "running");
    let asked = cli.run("cancel busy --json").expect(0).json();
    assert_eq!(asked["answer"], "cancelling");
    let ended = running.wait().expect(3);
    assert_eq!(ended.json()["status"], "cancelled");
}

#[test]
fn b195_a_run_whose_process_was_killed_goes_on() {
    let cli = Cli::new();
    cli.workflow("endless.toml", ENDLESS);
    let mut running = cli.start("run endless.toml --id dead");
    running.until("step spin: started");
    running.signal("KILL");
    running.wait().expect(128 + 9);
    let mut resumed = cli.start("resume dead --json");
    resumed.until("step spin: started");
    resumed.signal("INT");
    let run = resumed.wait().expect(2).json();
    assert_eq!(run["steps"][0]["attempts"], 1, "{run:#}");
    assert_eq!(run["steps"][1]["attempts"], 2, "{run:#}");
}
