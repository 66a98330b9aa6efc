//! Definitions and inputs as people write them: what is refused, what is only doubted, and what a file may be.

use std::process::{Command, Stdio};

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
    let found = cli.run("validate double.toml").expect(65).stdout;
    assert!(found.contains("write `inputs.b`"), "{found}");
    assert!(found.contains("write `${ inputs.b }`"), "{found}");
    cli.workflow(
        "dollar.toml",
        &step("with = { text = \"costs $${ inputs.n }\" }"),
    );
    let found = cli.run("validate dollar.toml").expect(0).stdout;
    assert!(found.contains("warning[MP0309]"), "{found}");
    assert!(found.contains("`${ '$' }${ inputs.n }`"), "{found}");
    cli.workflow(
        "price.toml",
        &step("with = { text = \"costs ${ '$' }${ inputs.n }\" }"),
    );
    let run = cli.run("run price.toml --json").expect(0);
    assert_eq!(run.json()["output"]["text"], "COSTS $5");
    assert!(!run.stderr.contains("MP0309"), "{}", run.stderr);
}

#[test]
fn an_input_that_no_step_could_be_given_is_refused_at_the_start() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.write("s.txt", "x".repeat(5_000_000));
    let refused = cli
        .run("run hello.toml --input name=@s.txt --json")
        .expect(65);
    assert_eq!(refused.json()["error"]["code"], "invalid_input");
    let told = refused.json()["error"]["message"].to_string();
    assert!(
        told.contains("step `greet` would be given at least 5000000 bytes"),
        "{told}"
    );
    assert_eq!(cli.run("ls --json").expect(0).json(), serde_json::json!([]));
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
    let told = cli
        .run("run echo.toml --input s=@utf16.txt")
        .expect(65)
        .stderr;
    assert!(told.contains("save it as UTF-8"), "{told}");
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
    for (line, exit) in [
        ("inspect /dev/zero", 65),
        ("inspect pipe", 65),
        ("pack /dev/zero -o x.wasm", 65),
        ("validate pipe", 65),
        ("validate /dev/zero", 65),
        ("run pipe", 65),
    ] {
        let output = cli.run(line).expect(exit);
        let told = output.stdout + &output.stderr;
        assert!(told.contains("it is not a regular file"), "{line}: {told}");
    }
    cli.write("w.toml", "schema = 1\nname = \"w\"\n[plugins.p]\nsource = \"pipe\"\n[[step]]\nid = \"a\"\nuse = \"p/s\"\n");
    let told = cli.run("run w.toml").expect(69).stderr;
    assert!(told.contains("it is not a regular file"), "{told}");
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
    for endless in ["/dev/zero", "<(yes)"] {
        let line = format!("milepost run hello.toml --input name=@{endless} --id none");
        let told = cli.shell(&line).expect(65).stderr;
        assert!(told.contains("is larger than"), "{told}");
    }
    cli.run("run hello.toml --input name=@. --id none")
        .expect(65);
    cli.run("show none").expect(65);
}

#[test]
fn a_value_may_begin_with_a_hyphen_and_an_id_may_not() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    for line in [
        "run hello.toml --id -x",
        "submit hello.toml --id=-x",
        "run hello.toml --id --json",
    ] {
        let told = cli.run(line).expect(64);
        let told = told.stdout + &told.stderr;
        assert!(
            told.contains("it must start with a letter, a digit or `_`"),
            "{told}"
        );
        assert!(!told.contains("-- -x"), "{told}");
    }
    cli.workflow("ask.toml", super::SIGNAL);
    cli.run("run ask.toml --id ask").expect(2);
    cli.run("signal ask go --data -1").expect(0);
    let got = cli.run("resume ask").expect(0).stdout;
    assert!(got.contains("\"payload\": -1\n"), "{got}");
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
    cli.run("run echo.toml --input j=1 --id r").expect(2);
    for (line, exit) in [
        ("run echo.toml --inputs twice.json", 65),
        ("run echo.toml --input j=@j.txt", 65),
        ("signal r go --data @j.txt", 64),
    ] {
        let told = cli.run(line).expect(exit).stderr;
        assert!(
            told.contains("is given twice in one object"),
            "{line}: {told}"
        );
    }
}
