//! Workflows by name.

use expect_test::expect;
use milepost_tests::cli::{Cli, Output};
use serde_json::json;

const STEP: &str = "[[step]]\nid = \"a\"\nuse = \"text/echo\"\nwith = { from = \"HERE\" }\n";
/// Where a user has workflows for all projects.
const USER: &str = ".config/milepost/workflows";

fn workflow(cli: &Cli, file: &str, from: &str) {
    cli.workflow(file, &STEP.replace("HERE", from));
}

/// Each way to have a name, in the project and of the user.
fn named() -> Cli {
    let cli = Cli::new();
    workflow(&cli, "workflows/report.toml", "project");
    workflow(&cli, "workflows/orders/workflow.toml", "folder");
    workflow(&cli, &format!("{USER}/report.toml"), "user");
    workflow(&cli, &format!("{USER}/weekly.toml"), "user");
    // Neither is a workflow.
    cli.write("workflows/settings.toml", "a = 1\n");
    cli.write("workflows/report.test.toml", "[[step]]\n");
    cli
}

fn from(output: Output) -> serde_json::Value {
    output.expect(0).json()["output"]["from"].clone()
}

#[test]
fn b29_names_lead_to_workflows_of_the_project_before_those_of_the_user() {
    let cli = named();
    assert_eq!(from(cli.run("run weekly --json")), "user");
    assert_eq!(from(cli.run("run orders --json")), "folder");
    let ran = cli.run("run report --json");
    assert_eq!(
        ran.stderr.lines().next(),
        Some(
            "`report` is workflows/report.toml (project), and not the user's workflow of that name"
        )
    );
    assert_eq!(from(ran), "project");
}

#[test]
fn b29_the_listing_shows_the_source_of_each_name() {
    let cli = named();
    let listed = cli.run("workflows").expect(0).stdout;
    let folder = cli.folder().display().to_string();
    expect![[r#"
        NAME    SOURCE                         FILE
        orders  project                        workflows/orders/workflow.toml
        report  project                        workflows/report.toml
        report  user, hidden by the project's  [folder]/.config/milepost/workflows/report.toml
        weekly  user                           [folder]/.config/milepost/workflows/weekly.toml
    "#]]
    .assert_eq(&listed.replace(&folder, "[folder]"));
    let document = cli.run("workflows --json").expect(0).json();
    let of = |at: usize| {
        let one = &document["workflows"][at];
        json!([one["name"], one["source"], one["hidden"]])
    };
    assert_eq!(of(1), json!(["report", "project", false]));
    assert_eq!(of(2), json!(["report", "user", true]));
    let none = Cli::new().run("workflows").expect(0).stdout;
    assert!(none.starts_with("no workflows have a name"), "{none}");
}

/// Below the folder of the project, too, as git does.
#[test]
fn b29_a_project_is_found_from_its_folders() {
    let cli = named();
    cli.write("deep/er/x", "");
    let mut command = cli.command("run report --json");
    command.current_dir(cli.folder().join("deep/er"));
    let ran = Output::of(command.output().unwrap());
    assert_eq!(from(ran), "project");
}

#[test]
fn b29_every_verb_that_takes_a_file_takes_a_name() {
    let cli = named();
    for line in [
        "validate weekly",
        "graph weekly",
        "secrets weekly",
        "dry-run weekly --scaffold s.toml",
        "submit weekly",
    ] {
        let output = cli.run(line);
        assert_eq!(output.status, 0, "{line}: {output:?}");
    }
}

#[test]
fn b29_what_is_no_name_is_answered_with_the_nearest_and_nothing_is_chosen_silently() {
    let cli = named();
    let refused = |line: &str, status: i32| cli.run(line).expect(status).stderr;
    expect![[r#"
        error: there is no file and no workflow `reprot`
          help: did you mean `report`?
    "#]]
    .assert_eq(&refused("run reprot", 65));
    expect![[r#"
        error: there is no file and no workflow `zzzzzzzz`
          help: `milepost workflows` lists the names that there are; a path names any file
    "#]]
    .assert_eq(&refused("validate zzzzzzzz", 65));
    // A file of that name is here, too: the person decides.
    workflow(&cli, "weekly", "here");
    expect![[r#"
        error: `weekly` is a file here, and the name of the workflow [folder]/.config/milepost/workflows/weekly.toml
          help: name the path: `./NAME` is the file
    "#]]
    .assert_eq(
        &refused("run weekly", 64).replace(&cli.folder().display().to_string(), "[folder]"),
    );
    assert_eq!(from(cli.run("run ./weekly --json")), "here");
    workflow(&cli, "workflows/orders.toml", "twice");
    let twice = refused("run orders", 64);
    assert!(twice.contains("is the name of two workflows"), "{twice}");
}

/// A component that is not there is told where the definition names it, by every verb that needs it.
#[test]
fn a_missing_component_has_its_line_and_column_in_every_verb() {
    let cli = Cli::new();
    workflow(&cli, "w.toml", "here");
    let text = std::fs::read_to_string(cli.folder().join("w.toml")).unwrap();
    let text = text.lines().map(|line| match line.starts_with("source") {
        true => "source = \"txet.wasm\"",
        false => line,
    });
    let text: Vec<&str> = text.collect();
    cli.write("w.toml", text.join("\n"));
    cli.write("text.wasm", "");
    let line = 1 + text
        .iter()
        .position(|line| line.starts_with("source"))
        .unwrap();
    for verb in ["run", "submit", "dry-run", "validate"] {
        let output = cli.run(&format!("{verb} w.toml"));
        let told = format!("{}{}", output.stdout, output.stderr);
        for part in [
            &*format!("w.toml:{line}:10"),
            "MP0607",
            "did you mean `text.wasm`?",
        ] {
            assert!(told.contains(part), "{verb}: {told}");
        }
    }
    let failed = cli.run("run w.toml --json").expect(69).json();
    assert_eq!(failed["error"]["code"], "plugin_unavailable");
    assert_eq!(failed["error"]["diagnostics"][0]["line"], line);
}
