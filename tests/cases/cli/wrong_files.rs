//! Files of another kind than the command is for.

use std::fs;

use expect_test::expect;
use milepost_tests::cli::{Cli, component};

use super::HELLO;

#[test]
fn what_is_no_workflow_is_told_by_what_it_is() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.run("run hello.toml --id r --input name=x").expect(0);
    cli.run("export r -o r.mpr").expect(0);
    fs::copy(component("text"), cli.folder().join("text.wasm")).unwrap();
    cli.workflow("report/workflow.toml", HELLO);
    cli.write(
        "hello.test.toml",
        "schema = 1\nworkflow = \"hello.toml\"\n\n[[test]]\nname = \"greets\"\n",
    );
    let mut session = cli.session();
    for line in [
        "run report",
        "run text.wasm",
        "submit r.mpr",
        "validate hello.test.toml",
        "test hello.toml",
        "import hello.toml",
        "explain invalid_inputs",
    ] {
        session.milepost(line);
    }
    session.reads(expect![[r#"
        $ milepost run report
        ! error: report is a folder
        !   help: the workflow in it is report/workflow.toml
        [exit 65]

        $ milepost run text.wasm
        ! error: the definition text.wasm cannot be read: it is not UTF-8 text
        !   help: it is a component: `milepost call text.wasm STEP` calls a step of it
        [exit 65]

        $ milepost submit r.mpr
        ! error: the definition r.mpr cannot be read: it is not UTF-8 text
        !   help: it looks like an exported run: `milepost replay r.mpr` executes it again, `milepost import r.mpr` keeps it
        [exit 65]

        $ milepost validate hello.test.toml
        error[MP0101]: this is a file of tests, not a workflow
         --> hello.test.toml:4:3
          |
        4 | [[test]]
          |   ^^^^
          |
          = help: the workflow that it tests is `hello.toml`
        1 file checked, 1 with errors
        [exit 65]

        $ milepost test hello.toml
        error[MP0101]: this is a workflow, not a file of tests
          --> hello.toml:11:3
           |
        11 | [[step]]
           |   ^^^^
           |
           = help: its tests stand in a file of their own, such as `NAME.test.toml`, whose `workflow` names this one
        1 file of tests cannot be used; no test was executed
        [exit 65]

        $ milepost import hello.toml
        ! error: the file: it is not a run that was exported
        !   help: nothing of it was taken; export the run again, and copy the file as it is
        [exit 65]

        $ milepost explain invalid_inputs
        ! error: there is no code `invalid_inputs`
        !   help: did you mean `invalid_input` or `invalid_output`?
        [exit 64]
    "#]]);
}
