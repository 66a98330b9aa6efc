//! Definitions and inputs as people write them: what is refused, what is only doubted, and what a file may be.

use std::process::{Command, Stdio};

use expect_test::expect;
use milepost_tests::cli::Cli;

use super::HELLO;

const BRACES: &str = r#"
[inputs.b]
type = "bool"
default = true
[inputs.n]
type = "int"
default = 5
"#;

#[test]
fn braces_are_understood() {
    let cli = Cli::new();
    let step = |keys: &str| format!("{BRACES}[[step]]\nid = \"a\"\nuse = \"text/upper\"\n{keys}\n");
    cli.workflow(
        "double.toml",
        &step("if = \"${{ inputs.b }}\"\nwith = { text = \"${{ inputs.b }}\" }"),
    );
    let mut session = cli.session();
    session.milepost("validate double.toml");
    cli.workflow(
        "dollar.toml",
        &step("with = { text = \"costs $${ inputs.n }\" }"),
    );
    session.milepost("validate dollar.toml");
    session.comment("as the warning says");
    cli.workflow(
        "price.toml",
        &step("with = { text = \"costs ${ '$' }${ inputs.n }\" }"),
    );
    session.milepost("run price.toml --id r");
    session.reads(expect![[r#"
        $ milepost validate double.toml
        error[MP0307]: an expression here is written without `${ }`
          --> double.toml:17:7
           |
        17 | if = "${{ inputs.b }}"
           |       ^^
           |
           = help: write `inputs.b`

        error[MP0301]: a value takes one pair of braces
          --> double.toml:18:18
           |
        18 | with = { text = "${{ inputs.b }}" }
           |                  ^^^^^^^^^^^^^^^
           |
           = help: write `${ inputs.b }`
        1 file checked, 1 with errors
        [exit 65]

        $ milepost validate dollar.toml
        warning[MP0309]: `$${` is a literal `${`: this is text
          --> dollar.toml:17:24
           |
        17 | with = { text = "costs $${ inputs.n }" }
           |                        ^^^^^^^^^^^^^^
           |
           = help: for a `$` before the value write `${ '$' }${ inputs.n }`; for the text itself, without this warning, `${ '$' }{ inputs.n }`
        ok dollar.toml
        1 file checked, no errors

        # as the warning says

        $ milepost run price.toml --id r
        ! input b = true (default)
        ! input n = 5 (default)
        ! run r: started
        ! step a: started
        ! step a: completed in [elapsed]
        ! completed: run r after [elapsed], 1 of 1 step
        {
          "text": "COSTS $5"
        }
    "#]]);
}

#[test]
fn an_input_that_no_step_could_be_given_is_refused_at_the_start() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.write("s.txt", "x".repeat(5_000_000));
    let mut session = cli.session();
    session.milepost("run hello.toml --input name=@s.txt");
    session.document("run hello.toml --input name=@s.txt", &["/error/code"]);
    session.milepost("ls");
    session.reads(expect![[r#"
        $ milepost run hello.toml --input name=@s.txt
        ! error: step `greet` would get at least 5000000 bytes of inputs, more than the 4194304 that its expressions can produce
        !   help: inputs are stored with the run; give large data as an input of type `file`
        [exit 65]

        $ milepost run hello.toml --input name=@s.txt --json
        /error/code: "invalid_input"
        [exit 65]

        $ milepost ls
        no runs yet (store: .milepost)
    "#]]);
}

#[test]
fn values_from_files_begin_after_the_byte_order_mark() {
    let cli = Cli::new();
    cli.workflow(
        "echo.toml",
        r#"
returns = ["${ inputs.s }", "${ inputs.n }", "${ inputs.b }", "${ inputs.j }"]
[inputs.s]
type = "string"
[inputs.n]
type = "int"
[inputs.b]
type = "bool"
[inputs.j]
type = "json"
[[step]]
id = "a"
use = "text/upper"
with = { text = "a" }
"#,
    );
    cli.write("s.txt", "\u{feff}two\r\nlines\n");
    cli.write("n.txt", "\u{feff}5\r\n");
    cli.write("b.txt", "true\n");
    cli.write("j.txt", "\u{feff}{\"a\": 1}\n");
    let run = cli
        .run("run echo.toml --input s=@s.txt --input n=@n.txt --input b=@b.txt --input j=@j.txt --json")
        .expect(0);
    assert_eq!(
        run.json()["output"],
        serde_json::json!(["two\r\nlines\n", 5, true, {"a": 1}])
    );
    // A definition may begin with one too, and have either line end.
    let text = std::fs::read_to_string(cli.folder().join("echo.toml")).unwrap_or_default();
    cli.write(
        "windows.toml",
        format!("\u{feff}{}", text.replace('\n', "\r\n")),
    );
    cli.run("validate windows.toml").expect(0);
    cli.write("utf16.txt", b"\xff\xfea\0");
    let mut session = cli.session();
    session.milepost("run echo.toml --input s=@utf16.txt");
    session.reads(expect![[r#"
        $ milepost run echo.toml --input s=@utf16.txt
        ! error: cannot read utf16.txt: it is not UTF-8 text; it looks like UTF-16: save it as UTF-8
        !   help: to give a text that starts with `@`, write `s=@@…`
        [exit 65]
    "#]]);
}

#[cfg(unix)]
#[test]
fn definitions_and_components_are_regular_files() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    let pipe = cli.folder().join("pipe");
    let made = Command::new("mkfifo")
        .arg(&pipe)
        .stdin(Stdio::null())
        .status();
    assert!(made.is_ok_and(|status| status.success()));
    let mut session = cli.session();
    for line in [
        "inspect /dev/zero",
        "inspect pipe",
        "pack /dev/zero -o x.wasm",
        "validate pipe",
        "validate /dev/zero",
        "run pipe",
    ] {
        session.milepost(line);
    }
    cli.write("w.toml", "schema = 1\nname = \"w\"\n[plugins.p]\nsource = \"pipe\"\n[[step]]\nid = \"a\"\nuse = \"p/s\"\n");
    session.milepost("run w.toml");
    session.reads(expect![[r#"
        $ milepost inspect /dev/zero
        ! error: cannot read /dev/zero: it is not a regular file, and could be larger than 64MiB
        [exit 65]

        $ milepost inspect pipe
        ! error: cannot read pipe: it is not a regular file, and could be larger than 64MiB
        [exit 65]

        $ milepost pack /dev/zero -o x.wasm
        ! error: cannot read /dev/zero: it is not a regular file, and could be larger than 64MiB
        [exit 65]

        $ milepost validate pipe
        error: the definition pipe cannot be read: it is not a regular file, and could be larger than 1MiB
        1 file checked, 1 with errors
        [exit 65]

        $ milepost validate /dev/zero
        error: the definition /dev/zero cannot be read: it is not a regular file, and could be larger than 1MiB
        1 file checked, 1 with errors
        [exit 65]

        $ milepost run pipe
        ! error: the definition pipe cannot be read: it is not a regular file, and could be larger than 1MiB
        [exit 65]

        $ milepost run w.toml
        ! error[MP0607]: plugin `p` is not available: cannot read the component [folder]/pipe: it is not a regular file, and could be larger than 64MiB
        !  --> w.toml:4:10
        !   |
        ! 4 | source = "pipe"
        !   |          ^^^^^^
        [exit 69]
    "#]]);
}

/// What an operator names on the command line is read before anything runs: it may take its time.
#[cfg(unix)]
#[test]
fn inputs_may_come_from_a_pipe() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.workflow("ask.toml", super::SIGNAL);
    let greeted = cli.shell("milepost run hello.toml --input name=@<(sleep 0.2; printf World)");
    assert_eq!(greeted.expect(0).stdout, "Hello, World!\n");
    let greeted = cli.shell("printf you | milepost run hello.toml --input name=@/dev/stdin");
    assert_eq!(greeted.expect(0).stdout, "Hello, you!\n");
    cli.shell("mkfifo in.json; echo '{\"name\": \"all\"}' > in.json & milepost run hello.toml --inputs in.json")
        .expect(0);
    // A pipe of the shell has no suffix.
    for inputs in ["{\\\"name\\\": \\\"all\\\"}", "name = \\\"all\\\""] {
        let greeted = cli.shell(&format!(
            "milepost run hello.toml --inputs <(echo \"{inputs}\")"
        ));
        assert_eq!(greeted.expect(0).stdout, "Hello, all!\n");
    }
    cli.run("run ask.toml --id ask").expect(2);
    cli.shell("milepost signal ask go --data @<(echo 12)")
        .expect(0);
    let told = cli.shell("milepost run hello.toml --input name=@<(yes) --id none");
    let told = told.expect(65).stderr;
    assert!(told.contains("is larger than"), "{told}");
    let mut session = cli.session();
    session.milepost("run hello.toml --input name=@/dev/zero --id none");
    session.milepost("run hello.toml --input name=@. --id none");
    session.milepost("show none");
    session.reads(expect![[r#"
        $ milepost run hello.toml --input name=@/dev/zero --id none
        ! error: /dev/zero is larger than 8MiB
        !   help: to give a text that starts with `@`, write `name=@@…`
        [exit 65]

        $ milepost run hello.toml --input name=@. --id none
        ! error: cannot read .: Is a directory (os error 21)
        !   help: to give a text that starts with `@`, write `name=@@…`
        [exit 65]

        $ milepost show none
        ! error: no run begins with `none` (store: .milepost)
        !   help: `milepost ls` lists the runs
        [exit 65]
    "#]]);
}

#[test]
fn a_value_may_begin_with_a_hyphen_and_an_id_may_not() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    let mut session = cli.session();
    session.milepost("run hello.toml --id -x");
    session.milepost("submit hello.toml --id=-x");
    session.document("run hello.toml --id", &["/error/message"]);
    cli.workflow("ask.toml", super::SIGNAL);
    session.milepost("run ask.toml --id ask");
    session.milepost("signal ask go --data -1");
    session.milepost("resume ask");
    session.reads(expect![[r#"
        $ milepost run hello.toml --id -x
        ! error: invalid value '-x' for '--id <ID>': `-x` is not a valid run id: it must start with a letter, a digit or `_`
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost submit hello.toml --id=-x
        ! error: invalid value '-x' for '--id <ID>': `-x` is not a valid run id: it must start with a letter, a digit or `_`
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost run hello.toml --id --json
        /error/message: "invalid value '--json' for '--id <ID>': `--json` is not a valid run id: it must start with a letter, a digit or `_`\n\nFor more information, try '--help'."
        [exit 64]

        $ milepost run ask.toml --id ask
        ! run ask: started
        ! step ask: started
        ! step ask: paused: needs-signal: waiting for signal `go`
        ! paused: run ask after [elapsed], 0 of 1 step
        !   step:   ask
        !   reason: step_paused: `ask` paused (needs-signal): waiting for signal `go`
        !   next:   `milepost resume ask` continues at `ask`; after `milepost signal ask go`, a worker does so, too
        !   resume: milepost resume ask
        [exit 2]

        $ milepost signal ask go --data -1
        run ask received `go`; no worker is running: `milepost resume ask` continues it

        $ milepost resume ask
        ! run ask: resumed, 0 completed steps kept
        ! step ask: started
        ! step ask: completed in [elapsed]
        ! completed: run ask after [elapsed], 1 of 1 step
        {
          "payload": -1
        }
    "#]]);
}

#[test]
fn a_hundred_problems_are_shown_and_the_rest_is_counted() {
    let cli = Cli::new();
    let names: String = (0..500)
        .map(|n| format!("\"${{ inputs.x{n} }}\", "))
        .collect();
    cli.workflow(
        "many.toml",
        &format!("[[step]]\nid = \"a\"\nuse = \"text/upper\"\nwith = {{ text = [{names}] }}\n"),
    );
    let found = cli
        .run("validate many.toml --no-components")
        .expect(65)
        .stdout;
    assert_eq!(found.matches("error[MP0303]").count(), 100);
    assert!(found.contains("400 more problems are not shown"), "{found}");
    let document = cli
        .run("validate many.toml --no-components --json")
        .expect(65)
        .json();
    assert_eq!(
        document["files"][0]["diagnostics"].as_array().map(Vec::len),
        Some(100)
    );
    assert_eq!(document["files"][0]["omitted"], 400);
}

#[test]
fn a_name_is_given_once_wherever_json_comes_in() {
    let cli = Cli::new();
    cli.workflow(
        "echo.toml",
        "[inputs.j]\ntype = \"json\"\n[[step]]\nid = \"a\"\nwait = { signal = \"go\" }\n",
    );
    cli.write("twice.json", r#"{"j": 1, "j": 2}"#);
    cli.write("j.txt", r#"{"a": {"b": 1, "b": 2}}"#);
    let mut session = cli.session();
    session.milepost("run echo.toml --input j=1 --id r");
    session.milepost("run echo.toml --inputs twice.json");
    session.milepost("run echo.toml --input j=@j.txt");
    session.milepost("signal r go --data @j.txt");
    session.reads(expect![[r#"
        $ milepost run echo.toml --input j=1 --id r
        ! run r: started
        ! step a: waits for the signal `go`
        ! paused: run r after [elapsed], 0 of 1 step
        !   step:   a
        !   reason: waiting_for_signal: `a` waits for the signal `go`
        !   next:   after `milepost signal r go`, a worker or `milepost resume r` continues the run
        [exit 2]

        $ milepost run echo.toml --inputs twice.json
        ! error[MP0706]: cannot read the inputs file twice.json: the name `j` is given twice in one object
        [exit 65]

        $ milepost run echo.toml --input j=@j.txt
        ! error[MP0704]: input `j` must be of type json: the name `b` is given twice in one object
        [exit 65]

        $ milepost signal r go --data @j.txt
        ! error: j.txt: the name `b` is given twice in one object
        [exit 64]
    "#]]);
}

#[test]
fn validate_names_what_only_looks_like_a_workflow() {
    let cli = Cli::new();
    cli.workflow("flows/good.toml", HELLO);
    cli.write("flows/steps.toml", "name = \"x\"\n[[steps]]\nid = \"a\"\n");
    cli.write("flows/jobs.toml", "[jobs.build]\nruns-on = \"x\"\n");
    cli.write("flows/Cargo.toml", "[package]\nname = \"x\"\n");
    let mut session = cli.session();
    session.milepost("validate flows");
    session.reads(expect![[r#"
        $ milepost validate flows
        ! flows/jobs.toml is not checked: it looks like a workflow, and has neither a `schema` line nor a `[[step]]`; `milepost validate flows/jobs.toml` tells what to write
        ! flows/steps.toml is not checked: it looks like a workflow, and has neither a `schema` line nor a `[[step]]`; `milepost validate flows/steps.toml` tells what to write
        ok flows/good.toml
        1 file checked, no errors
    "#]]);
}
