//! `milepost test`: files of tests, what they say when something differs, and what they are brought up to date with.

use std::fs;

use expect_test::expect;
use milepost_tests::cli::{Cli, component};

/// One test that passes, one whose output differs, one whose step calls what no mock answers.
fn three(cli: &Cli) {
    let (text, fetch) = (component("text"), component("fetch"));
    cli.write(
        "three.test.toml",
        format!(
            r#"schema = 1
component = {text:?}

[[test]]
name = "upper"
step = "upper"
input = {{ text = "a" }}
[test.expect]
output = {{ text = "A" }} # as it is

[[test]]
name = "lower"
step = "lower"
input = {{ text = "A" }}
expect = {{ output = {{ text = "b" }} }}

[[test]]
name = "get"
component = {fetch:?}
step = "get"
input = {{ url = "https://api.test/items" }}
"#
        ),
    );
}

#[test]
fn what_differs_is_told_at_its_place() {
    let cli = Cli::new();
    three(&cli);
    let mut session = cli.session();
    session.milepost("test");
    session.milepost("test --filter upper");
    session.milepost("test --filter nothing");
    session.reads(expect![[r#"
        $ milepost test
        ok   three.test.toml: upper
        FAIL three.test.toml: lower
          three.test.toml:15:21: `output` differs
              {
            -   "text": "b"
            +   "text": "a"
              }
        FAIL three.test.toml: get
          three.test.toml:18:8: no mock answers `http.send`
            add:
            [[test.call]]
            call = "http.send"
            request = { method = "GET", url = "https://api.test/items" }
            answer = { status = 200, json = {} }
        3 tests: 1 passed, 2 failed
        [exit 1]

        $ milepost test --filter upper
        ok   three.test.toml: upper
        1 test: 1 passed

        $ milepost test --filter nothing
        ! error: no tests found
        !   help: no test has that text in its name; leave `--filter` out to execute all of them
        [exit 65]
    "#]]);
}

#[test]
fn files_that_cannot_be_used_are_told_whole_and_nothing_is_executed() {
    let cli = Cli::new();
    cli.write(
        "bad.test.toml",
        "schema = 1\ncomponnet = \"a.wasm\"\n\n[[test]]\nname = \"a\"\nstep = \"x\"\ntimeout = 5\n",
    );
    let mut session = cli.session();
    session.milepost("test bad.test.toml");
    session.milepost("test missing.test.toml");
    session.reads(expect![[r#"
        $ milepost test bad.test.toml
        error[MP0101]: the file has no key `componnet`
         --> bad.test.toml:2:1
          |
        2 | componnet = "a.wasm"
          | ^^^^^^^^^
          |
          = help: did you mean `component`?

        error[MP0102]: the test says neither `component` nor `workflow`
         --> bad.test.toml:4:1
          |
        4 | [[test]]
          | ^^^^^^^^
          |
          = help: add `component = ".."` or `workflow = ".."`, here or at the top of the file

        error[MP0103]: `timeout` is not a text
         --> bad.test.toml:7:11
          |
        7 | timeout = 5
          |           ^
        1 file of tests cannot be used; no test was executed
        [exit 65]

        $ milepost test missing.test.toml
        error: missing.test.toml cannot be read: No such file or directory (os error 2)
        1 file of tests cannot be used; no test was executed
        [exit 65]
    "#]]);
    cli.run("test --json").expect(65);
}

#[test]
fn what_is_expected_has_a_table_of_its_own() {
    let cli = Cli::new();
    cli.write(
        "bad.test.toml",
        "schema = 1\nworkflow = \"flow.toml\"\n\n[[test]]\nname = \"a\"\nstep = \"x\"\noutput = 1\noutputs = { x = 1 }\n",
    );
    let mut session = cli.session();
    session.milepost("test bad.test.toml");
    session.reads(expect![[r#"
        $ milepost test bad.test.toml
        error[MP0101]: a test has no key `output`
         --> bad.test.toml:7:1
          |
        7 | output = 1
          | ^^^^^^
          |
          = help: what is expected has a table of its own: `expect = { output = .. }`

        error[MP0108]: `x` is the step that is tested; `outputs` are those of others
         --> bad.test.toml:8:11
          |
        8 | outputs = { x = 1 }
          |           ^^^^^^^^^
          |
          = help: what is expected of it: `expect = { output = .. }`
        1 file of tests cannot be used; no test was executed
        [exit 65]
    "#]]);
}

#[test]
fn an_update_writes_what_happened_and_leaves_the_rest() {
    let cli = Cli::new();
    three(&cli);
    cli.run("test --filter er --update").expect(1);
    let file = cli.folder().join("three.test.toml");
    let text = fs::read_to_string(&file).expect("it is there");
    assert!(
        text.contains("expect = { output = { text = \"a\" } }"),
        "{text}"
    );
    assert!(
        text.contains("output = { text = \"A\" } # as it is"),
        "{text}"
    );
    let again = cli.run("test --filter er --update").expect(0);
    assert!(!again.stdout.contains("updated"), "{}", again.stdout);
}

#[test]
fn results_are_documents_and_junit_too() {
    let cli = Cli::new();
    three(&cli);
    let document = cli.run("test --json --junit out.xml").expect(1).json();
    assert_eq!(
        (&document["passed"], &document["failed"]),
        (&1.into(), &2.into())
    );
    let difference = &document["tests"][1]["differences"][0];
    assert_eq!(
        (&difference["line"], &difference["column"]),
        (&15.into(), &21.into())
    );
    let junit = fs::read_to_string(cli.folder().join("out.xml")).expect("it is written");
    assert!(
        junit.contains("tests=\"3\" failures=\"2\" errors=\"0\""),
        "{junit}"
    );
}

#[test]
fn a_crash_test_kills_after_every_host_call() {
    let cli = Cli::new();
    let notify = component("notify");
    cli.write(
        "notify.test.toml",
        format!(
            "schema = 1\ncomponent = {notify:?}\n[[test]]\nname = \"tells\"\nstep = \"webhook\"\n\
             input = {{ url = \"https://hooks.test/\", payload = {{}} }}\n[[test.call]]\ncall = \"http.send\"\nanswer = {{}}\n\
             [test.expect]\noutput_has = {{ status = 200 }}\n"
        ),
    );
    let said = cli.run("test --crash").expect(0);
    assert!(
        said.stdout.ends_with("1 test: 1 passed; killed 4 times\n"),
        "{}",
        said.stdout
    );
}

#[test]
fn the_examples_pass_their_tests() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let cli = Cli::new();
    cli.run(&format!("test {examples} --crash")).expect(0);
}

#[test]
fn a_recorded_step_becomes_a_test_that_passes() {
    let cli = Cli::new();
    cli.workflow(
        "w.toml",
        "[[step]]\nid = \"v\"\nuse = \"world/visit\"\nwith = { calls = [{ do = \"memo\", key = \"k\", value = 1 }, \
         { do = \"random\", bytes = 4 }, { do = \"log\", message = \"hush\" }] }\n",
    );
    cli.run("run w.toml --id r").expect(0);
    let made = "test --from-run r --step v -o v.test.toml --redact input.calls.2.message";
    cli.run(made).expect(0);
    let file = cli.folder().join("v.test.toml");
    let text = fs::read_to_string(&file).expect("it is written");
    assert!(text.contains("***") && !text.contains("hush"), "{text}");
    cli.run("test v.test.toml").expect(0);
    // Nothing is overwritten, and what is not there is not left out silently.
    cli.run(made).expect(65);
    assert_eq!(fs::read_to_string(&file).expect("it is there"), text);
    cli.run("test --from-run r --step x -o x.test.toml")
        .expect(65);
    let nothing = cli.run("test --from-run r --step v -o y.test.toml --redact input.nothing");
    assert!(
        nothing
            .expect(65)
            .stderr
            .contains("there is no `input.nothing`")
    );
    cli.run("test --from-run r --step v").expect(64);
    // Another answer of the world, another outcome: the test sees it.
    let other = text.replace("answer = \"fresh\"", "answer = { recorded = 2 }");
    cli.write("v.test.toml", other);
    cli.run("test v.test.toml").expect(1);
}
