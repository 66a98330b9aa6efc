//! Plugins that are a file of JavaScript.

use std::fs;

use milepost_tests::cli::Cli;
use serde_json::json;

const WORKFLOW: &str = r#"
schema = 1
name = "greeting"
returns = "${ steps.greet.output }"
[inputs.name]
type = "string"
default = "Ada"
[plugins.hello]
source = "hello.js"
[[step]]
id = "pause"
use = "hello/pause"
[[step]]
id = "greet"
use = "hello/greet"
with = { name = "${ inputs.name }" }
"#;

const SCRIPT: &str = r"import { pause } from 'milepost';

export const version = '1.0.0';
export const steps = {
  pause(_, { resumeState }) {
    if (resumeState === undefined) throw pause('asks', 'for a person', { state: 1 });
  },
  greet: {
    description: 'Greets',
    input: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'], additionalProperties: false },
    output: { type: 'string' },
    run({ name }) {
      console.warn('to', name);
      return `Hello, ${name.trim()}`;
    },
  },
};
";

fn paused() -> Cli {
    let cli = Cli::new();
    cli.write("w.toml", WORKFLOW);
    cli.write("hello.js", SCRIPT);
    cli.run("run w.toml --id r").expect(2);
    cli
}

#[test]
fn a_run_goes_on_under_the_script_that_it_started_with() {
    let cli = paused();
    cli.write("hello.js", SCRIPT.replace("Hello, ", "Goodbye, "));
    // A person is asked, as for any component that has changed.
    let asked = cli.run("resume r").expect(65).stderr;
    assert!(
        asked.contains("hello") && asked.contains("--as-started"),
        "{asked}"
    );
    let output = cli.run("resume r --as-started").expect(0).stdout;
    assert_eq!(output, "Hello, Ada\n");
    assert_eq!(
        cli.run("logs r --json").expect(0).json()["lines"][0]["message"],
        "to Ada"
    );

    // What the run has is in its file, and so it is on another machine, without the script.
    cli.run("export r -o r.mpr").expect(0);
    fs::remove_file(cli.folder().join("hello.js")).unwrap();
    for run in ["r", "r.mpr"] {
        let replayed = cli.run(&format!("replay {run} --json")).expect(0).json();
        assert_eq!(replayed["divergence"], json!(null));
        assert_eq!(replayed["not_replayed"], json!([]));
    }
    let other = Cli::new();
    fs::copy(cli.folder().join("r.mpr"), other.folder().join("r.mpr")).unwrap();
    other.run("import r.mpr").expect(0);
    other
        .run("fork r --from greet --input name=Bob --id f")
        .expect(0);
    assert_eq!(other.shown("f")["output"], "Hello, Bob");
}

#[test]
fn a_changed_script_is_taken_where_a_person_accepts_it() {
    let cli = paused();
    cli.write("hello.js", SCRIPT.replace("name.trim()", "name.trimm()"));
    let failed = cli.run("resume r --accept-changes").expect(1).stderr;
    assert!(
        failed.contains("exception: TypeError: not a function (hello.js:14:29)"),
        "{failed}"
    );
    cli.write("hello.js", SCRIPT);
    cli.run("retry r --accept-changes").expect(0);
    // Whether the next one would do the same is known before it is used.
    cli.write("next.js", SCRIPT.replace("Hello, ", "Goodbye, "));
    let same = cli.run("replay r --with hello=hello.js").expect(4).stdout;
    assert!(
        same.contains("differs: 1 of"),
        "what failed does not: {same}"
    );
    let other = cli.run("replay r --with hello=next.js").expect(4).stdout;
    assert!(
        other.contains("differs: 2 of") && other.contains("Goodbye, Ada"),
        "{other}"
    );
}

#[test]
fn a_workflow_is_checked_against_what_its_script_declares() {
    let cli = Cli::new();
    cli.write("hello.js", SCRIPT);
    cli.write(
        "w.toml",
        WORKFLOW
            .replace("hello/greet", "hello/great")
            .replace("{ name =", "{ nme ="),
    );
    let told = cli.run("validate w.toml").expect(65).stdout;
    assert!(told.contains("great") && told.contains("greet"), "{told}");
    cli.write("w.toml", WORKFLOW.replace("{ name =", "{ nme ="));
    let told = cli.run("validate w.toml").expect(65).stdout;
    assert!(told.contains("nme") && told.contains("w.toml:16"), "{told}");
    // No grant is missing that the script has no use for.
    cli.write("w.toml", WORKFLOW);
    let told = cli.run("validate w.toml").expect(0).stdout;
    assert!(!told.contains("warning"), "{told}");
    cli.write("hello.js", SCRIPT.replace("{ pause }", "{ kv, pause }"));
    let told = cli.run("validate w.toml").expect(0).stdout;
    assert!(told.contains("MP0602") && told.contains("`kv`"), "{told}");
}

#[test]
fn a_script_that_cannot_be_used_is_told_with_its_line() {
    let cli = Cli::new();
    cli.write("w.toml", WORKFLOW);
    for (text, says) in [
        ("export const steps = {\n  greet( {\n};\n", "SyntaxError"),
        (
            "export const greet = 1;\n",
            "it exports neither an object `steps` nor a `guest`",
        ),
        ("import fs from 'node:fs';\n", "a script is one file"),
    ] {
        cli.write("hello.js", text);
        for command in ["validate w.toml", "plugin inspect hello.js", "run w.toml"] {
            let told = cli.run(command).expect(65);
            let told = format!("{}{}", told.stdout, told.stderr);
            assert!(
                told.contains(says) && told.contains("hello.js"),
                "{command}: {told}"
            );
        }
    }
    fs::remove_file(cli.folder().join("hello.js")).unwrap();
    let told = cli.run("run w.toml").expect(69).stderr;
    assert!(told.contains("cannot read the script"), "{told}");
}

#[test]
fn a_script_is_inspected_packed_and_tested_as_a_component() {
    let cli = Cli::new();
    cli.write("hello.js", SCRIPT);
    let script = cli.run("plugin inspect hello.js --json").expect(0).json();
    assert_eq!(
        script["manifest"]["steps"]["greet"]["description"],
        "Greets"
    );
    assert_eq!(
        script["capabilities"],
        json!(["context", "log", "clock", "random"])
    );
    // A component of its own, which needs nothing else.
    cli.run("plugin pack hello.js -o hello.wasm").expect(0);
    let packed = cli.run("plugin inspect hello.wasm --json").expect(0).json();
    assert_eq!(packed["digest"], script["digest"]);
    let test = |component: &str| {
        format!(
            "schema = 1\ncomponent = \"{component}\"\n[[test]]\nname = \"greets\"\nstep = \"greet\"\ninput = {{ name = \"Bob\" }}\n\
             [test.expect]\noutput = \"Hello, Bob\"\n"
        )
    };
    cli.write("a.test.toml", test("hello.js"));
    cli.write("b.test.toml", test("hello.wasm"));
    let told = cli.run("test --crash").expect(0).stdout;
    assert!(told.contains("2 tests: 2 passed"), "{told}");
}

#[test]
fn what_is_written_to_be_built_runs_without_that() {
    let cli = Cli::new();
    cli.run("plugin new words --lang javascript").expect(0);
    let tests = fs::read_to_string(cli.folder().join("words/words.test.toml")).unwrap();
    cli.write(
        "words/words.test.toml",
        tests.replace("words.wasm", "step.js"),
    );
    let told = cli.run("test words").expect(0).stdout;
    assert!(told.contains("5 tests: 5 passed"), "{told}");
}
