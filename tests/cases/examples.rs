//! Every example does what its README says.

use std::path::{Path, PathBuf};

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
    assert!(found >= 4);
}

#[test]
fn hello_greets() {
    let cli = Cli::new();
    assert_eq!(run(&cli, "hello", "").expect(0).stdout, "Hello, world!\n");
    let output = run(&cli, "hello", "--input name=Ada").expect(0);
    assert_eq!(output.stdout, "Hello, Ada!\n");
}

#[test]
fn retry_succeeds_on_the_third_attempt() {
    let cli = Cli::new();
    let report = run(&cli, "retry", "--json").expect(0).json();
    assert_eq!(report["steps"][0]["attempts"], 3);
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
    for id in ["hello", "retry", "nested", "table"] {
        cli.run(&format!("replay {id}")).expect(0);
    }
}
