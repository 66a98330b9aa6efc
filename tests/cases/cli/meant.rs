//! What a person meant who wrote something else: the answer says what to write.

use expect_test::expect;
use milepost_tests::cli::{Cli, component};

const SCRIPT: &str = "schema = 1\nname = \"w\"\n[plugins.s]\nsource = \"steps.js\"\n[[step]]\nid = \"a\"\nuse = \"s/greet\"\n";

#[test]
fn scripts_that_are_written_for_elsewhere_are_led_to_the_right_form() {
    let cli = Cli::new();
    cli.write("w.toml", SCRIPT);
    for (script, part) in [
        (
            "module.exports = { greet: () => 1 }",
            "export const steps = {",
        ),
        (
            "export default { greet: () => 1 }",
            "export const steps = {",
        ),
        ("export function greet() {}", "export const steps = {"),
        (
            "const fs = require('fs')",
            "import { request } from 'milepost'",
        ),
        (
            "import _ from 'lodash'\nexport const steps = {}",
            "npx esbuild",
        ),
    ] {
        cli.write("steps.js", script);
        for line in ["validate w.toml", "run w.toml", "call steps.js greet"] {
            let told = cli.run(line).expect(65);
            let told = told.stdout + &told.stderr;
            assert!(
                told.contains("help: ") && told.contains(part),
                "{line}: {script}: {told}"
            );
        }
    }
    for (body, part) in [
        (
            "fetch('https://example.com')",
            "import { request } from 'milepost'",
        ),
        ("process.env.HOME", "import { config } from 'milepost'"),
        ("setTimeout(() => 1, 10)", "wait = { for = "),
    ] {
        cli.write(
            "steps.js",
            format!("export const steps = {{ greet: () => {body} }}"),
        );
        for line in ["run w.toml", "call steps.js greet"] {
            let told = cli.run(line).expect(1).stderr;
            assert!(
                told.contains("help: ") && told.contains(part),
                "{line}: {body}: {told}"
            );
        }
    }
    // A name of the author's own is none of ours.
    cli.write("steps.js", "export const steps = { greet: () => total }");
    let told = cli.run("run w.toml").expect(1).stderr;
    assert!(
        told.contains("total is not defined") && !told.contains("help: "),
        "{told}"
    );
}

#[test]
fn a_call_is_told_of_its_component_and_its_step_alone() {
    let cli = Cli::new();
    std::fs::copy(component("text"), cli.folder().join("text.wasm")).unwrap();
    let needs = "{ type: 'object', properties: { n: { type: 'integer' } }, required: ['n'], additionalProperties: false }";
    cli.write(
        "s.js",
        format!("export const steps = {{ g: {{ input: {needs}, run: ({{ n }}) => n }} }}"),
    );
    let mut session = cli.session();
    session.milepost("call text.wasm ech");
    session.milepost("call text.wasm");
    session.milepost("call texd.wasm echo");
    session.shell("milepost call s.js g --input '{ \"m\": 2 }'");
    session.shell("milepost call s.js g --input '{ \"n\": \"x\" }'");
    session.milepost("call s.js g --timeout 1");
    session.milepost("call s.js g --timeout 0s");
    session.reads(expect![[r#"
        $ milepost call text.wasm ech
        ! error: `text.wasm` has no step `ech`
        !   help: did you mean `echo`?
        [exit 65]

        $ milepost call text.wasm
        ! error: `text.wasm` has 10 steps: name one
        !   help: its steps are `count`, `echo`, `fill`, `greet`, `join`, `lower`, `replace`, `split`, `trim`, `upper`
        [exit 65]

        $ milepost call texd.wasm echo
        ! error: plugin `texd.wasm` is not available: cannot read the component [folder]/texd.wasm: No such file or directory (os error 2)
        !   help: did you mean `text.wasm`?
        [exit 69]

        $ milepost call s.js g --input '{ "m": 2 }'
        ! error: the step needs `n`; the step has no input `m`
        !   help: did you mean `n`?
        [exit 65]

        $ milepost call s.js g --input '{ "n": "x" }'
        ! failed, 0 host calls
        !   invalid_input: the input does not fit the manifest of `g`: `n`: expected an integer, found "x"
        [exit 1]

        $ milepost call s.js g --timeout 1
        ! error: invalid value '1' for '--timeout <TIME>': `1` is not a duration; write a whole number and one of ms, s, m, h, d, such as "250ms", "30s" or "5m"
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost call s.js g --timeout 0s
        ! error: invalid value '0s' for '--timeout <TIME>': it must be longer than zero
        !
        ! For more information, try '--help'.
        [exit 64]
    "#]]);
}

#[test]
fn a_folder_and_a_file_of_another_language_are_no_definitions() {
    let cli = Cli::new();
    cli.run("new demo").expect(0);
    cli.write(
        "ci.yml",
        "# a comment\nname: ci\non: push\njobs:\n  a:\n    steps: []\n",
    );
    cli.write("flow.json", "{ \"schema\": 1 }\n");
    cli.write("odd.toml", "name = \n");
    let mut session = cli.session();
    session.milepost("run demo");
    session.milepost("graph ./demo");
    session.milepost("run ./");
    session.milepost("validate ci.yml");
    session.milepost("run flow.json");
    session.milepost("validate odd.toml");
    session.comment("all below this folder");
    session.milepost("validate");
    session.reads(expect![[r#"
        $ milepost run demo
        ! error: demo is a folder
        !   help: the workflow in it is demo/workflow.toml
        [exit 65]

        $ milepost graph ./demo
        ! error: ./demo is a folder
        !   help: the workflow in it is ./demo/workflow.toml
        [exit 65]

        $ milepost run ./
        ! error: ./ is a folder
        !   help: name the file of a workflow in it
        [exit 65]

        $ milepost validate ci.yml
        error[MP0001]: this is YAML, and a workflow is TOML
         --> ci.yml:2:1
          |
        2 | name: ci
          | ^^^^^^^^
          |
          = help: it begins like this:
                  schema = 1
                  name = "hello"
                  [plugins.text]
                  source = "text.wasm"
                  [[step]]
                  id = "greet"
                  use = "text/greet"
                  with = { name = "world" }
        1 file checked, 1 with errors
        [exit 65]

        $ milepost run flow.json
        ! error[MP0001]: this is JSON, and a workflow is TOML
        !  --> flow.json:1:1
        !   |
        ! 1 | { "schema": 1 }
        !   | ^^^^^^^^^^^^^^^
        !   |
        !   = help: it begins like this:
        !           schema = 1
        !           name = "hello"
        !           [plugins.text]
        !           source = "text.wasm"
        !           [[step]]
        !           id = "greet"
        !           use = "text/greet"
        !           with = { name = "world" }
        [exit 65]

        $ milepost validate odd.toml
        error[MP0001]: this is not TOML: string values must be quoted, expected literal string
         --> odd.toml:1:8
          |
        1 | name = 
          |        ^
        1 file checked, 1 with errors
        [exit 65]

        # all below this folder

        $ milepost validate
        ok ./demo/workflow.toml
        1 file checked, no errors
    "#]]);
}

#[test]
fn a_signal_that_came_too_late_or_wrong_leads_to_another_wait() {
    let cli = Cli::new();
    cli.workflow(
        "w.toml",
        "[[step]]\nid = \"go\"\nwait = { signal = \"deployed\", timeout = \"1h\" }\n\
         [[step]]\nid = \"greet\"\nuse = \"text/greet\"\nwith = { name = \"${ steps.go.output.data.name }\" }\n",
    );
    cli.workflow(
        "late.toml",
        "[[step]]\nid = \"go\"\nwait = { signal = \"deployed\", timeout = \"1ms\" }\n",
    );
    cli.run("run w.toml --id r").expect(2);
    cli.shell("milepost signal r deployed --data '{}' --resume")
        .expect(1);
    let mut session = cli.session();
    session.shell("milepost signal r deployed --data '{\"name\":\"Ada\"}'");
    session.milepost("retry r --from go");
    cli.run("run late.toml --id late").expect(2);
    std::thread::sleep(std::time::Duration::from_millis(10));
    let told = cli.run("signal late deployed").expect(65).stderr;
    assert!(
        told.contains("`milepost retry late --from go` waits again"),
        "{told}"
    );
    session.reads(expect![[r#"
        $ milepost signal r deployed --data '{"name":"Ada"}'
        run r has failed; the signal is kept: `milepost retry r --from go` takes it

        $ milepost retry r --from go
        ! run r: resumed, 0 completed steps kept; running again: go, greet
        ! step go: waits for the signal `deployed` until [time]
        ! step go: received the signal `deployed`
        ! step greet: started
        ! step greet: completed in [elapsed]
        ! completed: run r after [elapsed], 2 of 2 steps
        {
          "greeting": "Hello, Ada!"
        }
    "#]]);
}

#[test]
fn the_help_of_test_has_a_file_of_tests() {
    let cli = Cli::new();
    let help = cli.run("test --help").expect(0).stdout;
    let form = help.split("orders.test.toml:\n").nth(1).unwrap();
    let form = form.split("\nExamples:").next().unwrap();
    cli.write("orders.test.toml", form);
    cli.workflow(
        "workflow.toml",
        "returns = { shipped = true }\n[inputs.order]\ntype = \"int\"\n[[step]]\nid = \"pay\"\nuse = \"text/echo\"\n\
         [[step]]\nid = \"gate\"\napproval = { message = \"ok?\" }\n",
    );
    let told = cli.run("test orders.test.toml").expect(0).stdout;
    assert!(told.contains("1 test: 1 passed"), "{told}");
}
