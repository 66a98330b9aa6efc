//! The output of every kind of step, as the reference shows it.

use milepost_tests::cli::{Cli, component};
use serde_json::Value;

const REFERENCE: &str = include_str!("../../../examples/README.md");

/// The fenced block of the language below the heading.
fn block<'t>(section: &'t str, language: &str) -> &'t str {
    let (_, block) = section.split_once(&format!("```{language}\n")).unwrap();
    block.split_once("```").unwrap().0
}

#[test]
fn the_output_of_every_kind_of_step_is_as_the_reference_shows() {
    let (_, section) = REFERENCE.split_once("\n## Outputs\n").unwrap();
    let cli = Cli::new();
    std::fs::copy(component("text"), cli.folder().join("text.wasm")).unwrap();
    cli.write("outputs.toml", block(section, "toml"));
    cli.write(
        "greet.toml",
        "schema = 1\nname = \"greet\"\nreturns = \"${ steps.greet.output.greeting }\"\n[inputs.name]\ntype = \"string\"\n\
         [plugins.text]\nsource = \"text.wasm\"\n[[step]]\nid = \"greet\"\nuse = \"text/greet\"\nwith = { name = \"${ inputs.name }\" }\n",
    );
    cli.run("run outputs.toml --id r").expect(2);
    cli.run("signal r deployed --data {\"version\":3}")
        .expect(0);
    cli.run("resume r").expect(2);
    // The wait that times out may stand still for a moment first.
    let asked = || cli.shown("r")["stop"]["code"] == "waiting_for_approval";
    if !asked() {
        cli.run("resume r").expect(2);
    }
    cli.run("approve r --by Ada --comment fine").expect(0);
    let ended = cli.run("resume r --json").expect(0).json();
    let shown: Value = serde_json::from_str(block(section, "json")).unwrap();
    assert_eq!(ended["output"], shown, "{:#}", ended["output"]);
}
