//! Functions of a component that knows nothing of Milepost, as steps.

use milepost_tests::cli::{Cli, component};
use serde_json::json;

/// A workflow with the component, this line at its top, and these steps.
fn workflow(cli: &Cli, top: &str, steps: &str) {
    std::fs::copy(component("math"), cli.folder().join("math.wasm")).unwrap();
    let text = format!(
        "schema = 1\nname = \"w\"\n{top}\n[plugins.math]\nsource = \"math.wasm\"\n[inputs.v]\ntype = \"json\"\ndefault = [1, 2, 6]\n{steps}"
    );
    cli.write("w.toml", text);
}

#[test]
fn inspect_shows_functions_and_steps_that_call_them() {
    let cli = Cli::new();
    let file = component("math");
    let told = cli
        .run(&format!("inspect {}", file.display()))
        .expect(0)
        .stdout;
    for line in [
        "function example:math/statistics@1.0.0#outliers",
        "function describe",
        "  describe: func(of: list<f64>, unit: option<string>) -> string",
        "    [[step]]",
        "    call = \"describe\"",
        "    with = { of = [] }",
    ] {
        assert!(told.lines().any(|found| found == line), "{line}: {told}");
    }
    assert!(
        !told.contains("manifest") && !told.contains("cannot run"),
        "{told}"
    );

    let document = cli
        .run(&format!("inspect {} --json", file.display()))
        .expect(0)
        .json();
    let functions = document["functions"].as_array().unwrap();
    assert_eq!(functions.len(), 3);
    let steps: String = functions
        .iter()
        .map(|function| function["step"].as_str().unwrap())
        .collect();
    workflow(&cli, "", &steps);
    cli.run("validate w.toml").expect(0);
}

#[test]
fn mistakes_are_told_where_they_stand() {
    let cli = Cli::new();
    workflow(
        &cli,
        "returns = \"${ steps.a.output.medium }\"",
        "[[step]]\nid = \"a\"\nuse = \"math\"\ncall = \"summarise\"\n\
         [[step]]\nid = \"b\"\nuse = \"math\"\ncall = \"outliers\"\nwith = { values = [1, \"x\"], faktor = 1 }\n",
    );
    let told = cli.run("validate w.toml").expect(65).stdout;
    for says in [
        "plugin `math` exports no function `summarise`",
        "did you mean `summarize`?",
        "`values[1]`: expected f64, found \"x\"",
        "the function has no parameter `faktor`",
        "did you mean `factor`?",
        "w.toml:17:",
    ] {
        assert!(told.contains(says), "{says}: {told}");
    }
    workflow(
        &cli,
        "returns = \"${ steps.a.output.medium }\"",
        "[[step]]\nid = \"a\"\nuse = \"math\"\ncall = \"summarize\"\nwith = { values = [] }\n",
    );
    let told = cli.run("validate w.toml").expect(65).stdout;
    assert!(told.contains("did you mean `median`?"), "{told}");
    workflow(&cli, "", "[[step]]\nid = \"a\"\nuse = \"math/summarize\"\n");
    let told = cli.run("validate w.toml").expect(65).stdout;
    assert!(
        told.contains("has no steps, only functions, so `call` must name one"),
        "{told}"
    );
}

#[test]
fn an_error_of_a_function_fails_its_step_and_a_run_replays() {
    let cli = Cli::new();
    workflow(
        &cli,
        "returns = \"${ steps.a.output.mean }\"",
        "[[step]]\nid = \"a\"\nuse = \"math\"\ncall = \"summarize\"\nwith = { values = \"${ inputs.v }\" }\n\
         [[step]]\nid = \"b\"\nuse = \"math\"\ncall = \"outliers\"\nwith = { values = \"${ inputs.v }\" }\n",
    );
    let report = cli.run("run w.toml --id good --json").expect(0).json();
    assert_eq!(report["output"], json!(3.0));
    assert_eq!(report["steps"][1]["output"], json!([]));
    let log = cli.run("logs good").expect(0).stdout;
    assert!(log.contains("3 values, up to"), "{log}");
    cli.run("replay good").expect(0);

    let report = cli
        .run("run w.toml --id empty --input v=[] --json")
        .expect(1)
        .json();
    let error = &report["steps"][0]["error"];
    assert_eq!(error["code"], "empty");
    assert_eq!(error["class"], "failed");
    assert_eq!(report["steps"][0]["attempts"], 1);
    cli.run("replay empty").expect(0);

    let report = cli
        .run("run w.toml --id odd --input v=[1,true] --json")
        .expect(1)
        .json();
    let error = &report["steps"][0]["error"];
    assert_eq!(error["code"], "invalid_input");
    let says = "the input does not fit `example:math/statistics@1.0.0#summarize`: values[1]: expected f64, found true";
    assert_eq!(error["message"], says);
    cli.run("replay odd").expect(0);
}

#[test]
fn other_verbs_know_functions() {
    let cli = Cli::new();
    workflow(
        &cli,
        "",
        "[[step]]\nid = \"a\"\nuse = \"math\"\ncall = \"summarize\"\nwith = { values = \"${ inputs.v }\" }\nretry = { on = [\"failed\"], codes = [\"empty\"], max_attempts = 2, initial = \"0s\", then = \"fail\" }\n",
    );
    let graph = cli.run("graph w.toml").expect(0).stdout;
    assert!(graph.contains("a: math#summarize"), "{graph}");
    let dry = cli.run("dry-run w.toml --scaffold stubs.json").expect(0);
    assert!(dry.stdout.contains("\"median\""), "{}", dry.stdout);
    let report = cli.run("run w.toml --input v=[] --json").expect(1).json();
    assert_eq!(report["steps"][0]["attempts"], 2);
}
