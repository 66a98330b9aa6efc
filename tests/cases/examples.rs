//! Every example does what its README says.

use std::path::{Path, PathBuf};

use milepost_core::definition::Definition;
use milepost_core::grants::ExecCall;
use milepost_tests::cli::Cli;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(name)
}

fn run(cli: &Cli, name: &str, arguments: &str) -> milepost_tests::cli::Output {
    let file = example(name).join("workflow.toml");
    cli.run(&format!("run {} {arguments}", file.display()))
}

fn orders() -> String {
    let data = example("table-report/data/orders.csv");
    format!("--input csv=@{}", data.display())
}

#[test]
fn every_example_folder_has_a_valid_workflow_and_a_readme() {
    let cli = Cli::new();
    let mut found = 0;
    for entry in std::fs::read_dir(example("")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        found += 1;
        assert!(folder.join("README.md").is_file(), "{}", folder.display());
        cli.run(&format!(
            "validate {}",
            folder.join("workflow.toml").display()
        ))
        .expect(0);
    }
    assert!(found >= 5);
}

#[test]
fn hello_greets() {
    let cli = Cli::new();
    assert_eq!(run(&cli, "hello", "").expect(0).stdout, "Hello, world!\n");
    let output = run(&cli, "hello", "--input name=Ada").expect(0);
    assert_eq!(output.stdout, "Hello, Ada!\n");
}

#[test]
fn outliers_are_found_by_functions_of_a_component_without_an_sdk() {
    let cli = Cli::new();
    let output = run(&cli, "outliers", "").expect(0).stdout;
    let readme = std::fs::read_to_string(example("outliers").join("README.md")).unwrap();
    assert!(readme.contains(&output), "{output}");
    let report = run(&cli, "outliers", "--input times=[] --json")
        .expect(1)
        .json();
    assert_eq!(report["steps"][0]["error"]["code"], "empty");
}

#[test]
fn feedback_is_sorted_by_a_file_of_javascript() {
    let cli = Cli::new();
    let output = run(&cli, "feedback", "").expect(0).stdout;
    let readme = std::fs::read_to_string(example("feedback").join("README.md")).unwrap();
    assert!(readme.contains(&output), "{output}");
    let tests = cli
        .run(&format!("test {}", example("feedback").display()))
        .expect(0);
    assert!(
        tests.stdout.contains("3 tests: 3 passed"),
        "{}",
        tests.stdout
    );
}

#[test]
fn retry_succeeds_on_the_third_attempt() {
    let cli = Cli::new();
    let report = run(&cli, "retry", "--json").expect(0).json();
    assert_eq!(report["steps"][0]["attempts"], 3);
}

#[test]
fn a_letter_is_signed_and_delivered_as_the_readme_says() {
    let cli = Cli::new();
    run(&cli, "sign-off", "--id letter").expect(2);
    cli.run("approve letter --by grace").expect(0);
    cli.run("resume letter").expect(2);
    let file = cli.folder().join("data.json");
    cli.write("data.json", r#"{ "state": "left at the door" }"#);
    let sent = format!(
        "milepost signal letter delivered --data \"$(cat {})\"",
        file.display()
    );
    cli.shell(&sent).expect(0);
    let output = cli.run("resume letter").expect(0).stdout;
    let readme = std::fs::read_to_string(example("sign-off").join("README.md")).unwrap();
    assert!(readme.contains(&output), "{output}");
    let tests = cli.run(&format!("test {}", example("sign-off").display()));
    assert!(tests.expect(0).stdout.ends_with("4 tests: 4 passed\n"));
}

#[test]
fn nested_loops_count_to_twelve() {
    let cli = Cli::new();
    let output = run(&cli, "nested-loops", "").expect(0);
    assert!(
        output.stdout.starts_with("1.1=1 1.2=2"),
        "{}",
        output.stdout
    );
    assert!(
        output.stdout.trim_end().ends_with("3.4=12"),
        "{}",
        output.stdout
    );
}

#[test]
fn release_notes_are_written_as_the_readme_shows_and_replay_without_the_repository() {
    let cli = Cli::new();
    let repository = cli.folder().join("kettle.git");
    let history = example("release-notes/data/history.txt");
    let arguments = format!(
        "--input repository={} --input history=@{} --id notes",
        repository.display(),
        history.display()
    );
    let notes = run(&cli, "release-notes", &arguments).expect(0).stdout;
    let readme = std::fs::read_to_string(example("release-notes/README.md")).unwrap();
    assert!(readme.contains(notes.trim_end()), "{notes}");
    std::fs::remove_dir_all(&repository).unwrap();
    cli.run("replay notes").expect(0);
    assert!(!repository.exists(), "a replay runs nothing");
    // What is granted lets Git write no file that an argument names.
    let text = std::fs::read_to_string(example("release-notes/workflow.toml")).unwrap();
    let definition = Definition::parse("workflow.toml", &text)
        .unwrap()
        .definition;
    let grants = &definition.plugins["git"].grants;
    let fits = |args: &[&str]| {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let call = ExecCall {
            program: "git",
            args: &args,
            env: &[],
            dir: None,
        };
        grants.exec(&call).is_ok()
    };
    let log = ["log", "--no-show-signature", "--no-color", "--format=%H"];
    let with = |more: &[&'static str]| [&log[..], more].concat();
    assert!(fits(&with(&[
        "--max-count=2",
        "--end-of-options",
        "HEAD",
        "--"
    ])));
    for more in [
        &["--output=/tmp/x", "--end-of-options"][..],
        &["--max-count=2", "--output=/tmp/x", "--end-of-options"],
        &["--max-count=2", "--output=/tmp/x"],
    ] {
        assert!(!fits(&with(more)), "{more:?}");
    }
    assert!(!fits(&["log", "--output=/tmp/x"]));
    assert!(!fits(&["fast-import", "--export-marks=/tmp/x"]));
    assert!(!fits(&["init", "--separate-git-dir=/tmp/x", "/tmp/y"]));
}

fn train(packages: &str) -> String {
    format!("--input train=2026.11 --input packages=@{packages}")
}

#[test]
fn release_train_plans_every_package_asks_and_publishes_as_its_readme_shows() {
    let cli = Cli::new();
    let readme = std::fs::read_to_string(example("release-train/README.md")).unwrap();
    let shows = |text: &str| {
        let mut lines = text.trim_end().lines();
        assert!(
            lines.all(|line| readme.contains(line.trim())),
            "the README shows something else:\n{text}"
        );
    };
    let data = example("release-train/data/packages.json");
    let arguments = format!("{} --id train", train(&data.display().to_string()));
    let asked = run(&cli, "release-train", &arguments).expect(2);
    let question = asked.stderr.split_once("reason:").unwrap().1;
    shows(question.split_once("due:").unwrap().0);
    cli.run("approve train").expect(0);
    let released = cli.run("resume train").expect(0).stdout;
    assert!(readme.contains(released.trim_end()), "{released}");
    let file = example("release-train/workflow.toml");
    let drawn = cli.run(&format!("graph {}", file.display())).expect(0);
    assert!(readme.contains(drawn.stdout.trim_end()), "{}", drawn.stdout);
    let report = cli.run("show train --json").expect(0).json();
    assert_eq!(report["children"], serde_json::json!({"completed": 4}));
    let written = written(&report);
    assert!(readme.contains(written.trim_end()), "{written}");
    cli.run("replay train").expect(0);
}

/// The report that the steps of the train end with.
fn written(shown: &serde_json::Value) -> String {
    let steps = shown["steps"].as_array().unwrap();
    let report = steps.iter().find(|step| step["path"] == "report").unwrap();
    report["output"]["markdown"].as_str().unwrap().to_owned()
}

#[test]
fn release_train_that_is_rejected_releases_nothing_and_reports_all_the_same() {
    let cli = Cli::new();
    let data = example("release-train/data/packages.json");
    let arguments = format!("{} --id train", train(&data.display().to_string()));
    run(&cli, "release-train", &arguments).expect(2);
    cli.run("reject train").expect(0);
    let shown = cli.run("show train --json").expect(0).json();
    assert_eq!(shown["status"], "cancelled");
    let report = written(&shown);
    for part in [
        "The run: **cancelled**",
        "Published: **0**",
        "| sdk | 0.3.1 | 0.4.0 | minor |",
    ] {
        assert!(report.contains(part), "{part} in\n{report}");
    }
    cli.run("replay train").expect(0);
}

#[test]
fn release_train_stops_at_a_package_without_a_version_and_goes_on_with_another_one() {
    let cli = Cli::new();
    cli.write(
        "packages.json",
        r#"[{"name": "core", "version": "1.4", "changes": ["fix: a"]}, {"name": "cli", "version": "2.0.0", "changes": ["feat: b"]}]"#,
    );
    let arguments = format!("{} --id t --json", train("packages.json"));
    let failed = run(&cli, "release-train", &arguments).expect(1).json();
    let said = failed["steps"][0]["error"]["message"].as_str().unwrap();
    assert!(said.starts_with("1 of 2 items failed; the first is `packages[0]`"));
    assert!(
        said.ends_with("1.4 is no version: it has to be like 1.4.2"),
        "{said}"
    );
    let status = |step: &str| {
        let steps = failed["steps"].as_array().unwrap();
        let step = steps.iter().find(|found| found["path"] == step);
        step.unwrap()["status"].clone()
    };
    assert_eq!(
        (status("gate"), status("publish")),
        ("skipped".into(), "skipped".into())
    );
    let report = written(&failed);
    for part in [
        "The run: **failed**",
        "1.4 is no version",
        "No plan was made.",
    ] {
        assert!(report.contains(part), "{part} in\n{report}");
    }
    // Its end is the same whoever resumes it; the other package is not planned again.
    cli.run("resume t").expect(1);
    let rows = cli.run("ls --flat --json").expect(0).json();
    assert_eq!(rows.as_array().unwrap().len(), 3);
}

/// The output that the README shows, and all that it tells of it.
#[test]
fn word_count_maps_and_reduces_two_hundred_texts_also_when_it_is_stopped_on_the_way() {
    let cli = Cli::new();
    let data = example("word-count/data/handbook.txt");
    let arguments = format!("--input text=@{} --id words", data.display());
    let output = run(&cli, "word-count", &arguments).expect(0);
    let readme = std::fs::read_to_string(example("word-count/README.md")).unwrap();
    assert!(
        readme.contains(output.stdout.trim_end()),
        "{}",
        output.stdout
    );
    let drawn = cli.run(&format!(
        "graph {}",
        example("word-count/workflow.toml").display()
    ));
    assert!(readme.contains(drawn.expect(0).stdout.trim_end()));
    let report = cli.run("show words --json").expect(0).json();
    let items = &report["steps"][1]["items"];
    assert_eq!(
        (&items["total"], &items["completed"]),
        (&200.into(), &200.into())
    );
    cli.run("replay words").expect(0);
}

/// What the README shows, and all that it tells of it.
#[test]
fn saga_undoes_all_that_it_has_booked_when_the_last_step_fails() {
    let cli = Cli::new();
    let readme = std::fs::read_to_string(example("saga/README.md")).unwrap();
    let booked = run(&cli, "saga", "--input tickets=available").expect(0);
    assert!(readme.contains(booked.stdout.trim_end()));
    let failed = run(&cli, "saga", "--id trip --json").expect(1).json();
    assert_eq!(failed["stop"]["compensated"], 4);
    let tried = failed["compensations"]["tried"].as_array().unwrap();
    let paths: Vec<_> = tried
        .iter()
        .filter_map(|step| step["path"].as_str())
        .collect();
    assert!(readme.contains(&paths.join("\n")), "{paths:?}");
    assert!(tried.iter().all(|step| step["status"] == "completed"));
    cli.run("resume trip").expect(65);
    cli.run("replay trip").expect(0);
}

#[test]
fn table_report_cleans_in_a_loop_and_ends_in_a_report() {
    let cli = Cli::new();
    let report = run(&cli, "table-report", &format!("{} --json", orders()))
        .expect(0)
        .json();
    let step = |path: &str| {
        let steps = report["steps"].as_array().unwrap();
        steps
            .iter()
            .find(|step| step["path"] == path)
            .unwrap()
            .clone()
    };
    assert_eq!(step("clean_up")["output"]["condition_met"], true);
    assert_eq!(step("clean_up")["iterations"], 4);
    assert_eq!(step("decide")["status"], "skipped");
    let markdown = report["output"].as_str().unwrap();
    for part in [
        "# Orders",
        "145,497.71 EUR",
        "| Electronics | 36 |",
        "## What could not be repaired",
    ] {
        assert!(markdown.contains(part), "{part} in\n{markdown}");
    }
}

#[test]
fn strict_table_report_pauses_for_a_decision_and_resume_finishes_it() {
    let cli = Cli::new();
    let arguments = format!("{} --input strict=true --id strict", orders());
    let paused = run(&cli, "table-report", &arguments).expect(2);
    assert!(
        paused.stderr.contains("milepost resume strict"),
        "{}",
        paused.stderr
    );
    assert!(paused.stderr.contains("31.11.2025"), "{}", paused.stderr);
    let resumed = cli.run("resume strict").expect(0);
    assert!(resumed.stdout.starts_with("# Orders"));
    let undisturbed = run(&cli, "table-report", &orders()).expect(0);
    assert_eq!(resumed.stdout, undisturbed.stdout);
}

fn statuses(report: &serde_json::Value) -> String {
    let steps = report["steps"].as_array().unwrap().iter();
    let words = steps.map(|step| {
        let status = step["status"].as_str().unwrap();
        format!("{} {status}", step["path"].as_str().unwrap())
    });
    words.collect::<Vec<_>>().join(", ")
}

#[test]
fn table_checks_run_side_by_side_and_ask_when_one_finds_something() {
    let cli = Cli::new();
    let paused = run(&cli, "table-checks", &format!("{} --id c --json", orders())).expect(2);
    assert_eq!(
        statuses(&paused.json()),
        "parse completed, identity completed, words completed, numbers completed, tidy completed, by_region completed, \
         targets failed, gate waiting, report pending"
    );
    cli.run("approve c --comment known").expect(0);
    let report = cli.run("resume c").expect(0).stdout;
    for part in [
        "South  43,786.44",
        "found: known",
        "Without targets: the text has no header line",
    ] {
        assert!(report.contains(part), "{part} in\n{report}");
    }
}

#[test]
fn table_checks_ask_nobody_when_there_is_nothing_to_ask() {
    let cli = Cli::new();
    cli.write(
        "orders.csv",
        "order_id,date,category,region,quantity,amount\nA1,2025-01-03,Books,South,3,40.40\n",
    );
    cli.write("targets.csv", "region,target\nSouth,50.00\n");
    let inputs = "--input csv=@orders.csv --input targets=@targets.csv";
    let report = run(&cli, "table-checks", &format!("{inputs} --id c"));
    let report = report.expect(0).stdout;
    assert!(report.contains("nothing that a person"), "{report}");
    assert!(report.contains("| South | 50.00 |"), "{report}");
}

#[test]
fn table_checks_name_every_failure_and_skip_what_needs_them() {
    let cli = Cli::new();
    cli.write(
        "words.csv",
        "order_id,category,region,amount\nA1,Books,South,3\n",
    );
    let failed = run(&cli, "table-checks", "--input csv=@words.csv --id c --json");
    assert_eq!(
        statuses(&failed.expect(1).json()),
        "parse completed, identity completed, words completed, numbers failed, tidy completed, by_region completed, \
         targets failed, gate skipped, report skipped"
    );
}

#[test]
fn all_examples_replay_to_the_same_bytes() {
    let cli = Cli::new();
    run(&cli, "hello", "--id hello").expect(0);
    run(&cli, "retry", "--id retry").expect(0);
    run(&cli, "nested-loops", "--id nested").expect(0);
    run(
        &cli,
        "table-report",
        &format!("{} --input strict=true --id table", orders()),
    )
    .expect(2);
    cli.run("replay table").expect(0);
    cli.run("resume table").expect(0);
    run(&cli, "table-checks", &format!("{} --id checks", orders())).expect(2);
    cli.run("approve checks").expect(0);
    cli.run("resume checks").expect(0);
    let data = example("release-train/data/packages.json");
    let arguments = format!("{} --id train", train(&data.display().to_string()));
    run(&cli, "release-train", &arguments).expect(2);
    cli.run("reject train").expect(0);
    for id in ["hello", "retry", "nested", "table", "checks", "train"] {
        cli.run(&format!("replay {id}")).expect(0);
    }
}
