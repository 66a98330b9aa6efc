//! What comes from outside is shown and not obeyed, whichever way it gets out; and no message is as large as its cause.

use expect_test::expect;
use milepost_tests::cli::{Cli, Output};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::Value;

/// As a basic string of TOML.
fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        c if c.is_ascii_alphanumeric() || " .,;:-_/#()".contains(c) => c.to_string(),
        c => format!("\\U{:08X}", u32::from(c)),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// One gate in a workflow of this name.
fn named(name: &str) -> Cli {
    let cli = Cli::new();
    let name = quoted(name);
    let input = "[inputs.n]\ntype = \"int\"\ndefault = 1\ndescription = \"\\u001b[2J\"\n";
    cli.write(
        "w.toml",
        format!(
            "schema = 1\nname = {name}\n{input}[[step]]\nid = \"g\"\napproval = {{ message = \"ok?\" }}\n"
        ),
    );
    cli
}

fn is_hostile(c: char) -> bool {
    let bidi = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || bidi.contains(c)
        || "\u{2028}\u{2029}".contains(c)
}

#[test]
fn a_workflows_name_is_one_line_and_controls_no_terminal() {
    let cli = named("\u{1b}[31mred\nsecond line\u{1b}[2K");
    cli.run("run w.toml --id r").expect(2);
    let mut session = cli.session();
    for line in ["ls", "show r", "graph w.toml", "events r"] {
        session.milepost(line);
    }
    session.shell("milepost run w.toml --input n=$'\\e[2J'");
    session.reads(expect![[r#"
        $ milepost ls
        ID  WORKFLOW                             STATUS                         OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        r   \u{1b}[31mred\nsecond line\u{1b}[2K  paused (waiting_for_approval)         [ago]    [elapsed]  [elapsed]  [ago]    approve or reject

        $ milepost show r
        run r of \u{1b}[31mred\nsecond line\u{1b}[2K: paused
          file:   [folder]/w.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          step:   g
          reason: waiting_for_approval: `g` asks: ok?
          next:   `milepost approve r` or `milepost reject r` decides
          waits:  g, for a decision: ok?
          approve: milepost approve r --step g
          reject:  milepost reject r --step g

          n = 1

        STEP  STATUS   ATTEMPTS  ITERATIONS  TOOK  TIMEOUT
        g     waiting  1

        $ milepost graph w.toml
        \u{1b}[31mred\nsecond line\u{1b}[2K
          g: approval

        $ milepost events r
            1 [time] run_created \u{1b}[31mred\nsecond line\u{1b}[2K from [folder]/w.toml
            2 [time] run_claimed by process [pid] on [host]
            3 [time] wait_started g, for a decision: ok?
            4 [time] run_paused g: waiting_for_approval: `g` asks: ok?

        $ milepost run w.toml --input n=$'\e[2J'
        ! error[MP0704]: input `n` must be of type int, `\u{1b}[2J` is not
        [exit 65]
    "#]]);
}

#[test]
fn long_names_are_cut_to_cells_and_wide_ones_shift_no_column() {
    let cli = named(&"日本".repeat(100));
    cli.run("run w.toml --id r").expect(2);
    let listed = cli.run("ls").expect(0).stdout;
    assert!(listed.contains("日…"), "{listed}");
    let widest = listed.lines().map(|line| line.chars().count()).max();
    assert!(widest < Some(200), "{listed}");
}

#[test]
fn suggested_commands_are_quoted_for_the_shell() {
    let cli = Cli::new();
    cli.workflow(
        "ask.toml",
        "[[step]]\nid = \"ask\"\nuse = \"pausing/for_signal\"\nwith = { signal = \"go; touch X #\" }\n",
    );
    let mut session = cli.session();
    session.milepost("run ask.toml --id r");
    session.milepost("show r");
    session.comment("as it stands there");
    session.shell("milepost signal r 'go; touch X #'");
    session.reads(expect![[r#"
        $ milepost run ask.toml --id r
        ! run r: started
        ! step ask: started
        ! step ask: paused: needs-signal: waiting for signal `go; touch X #`
        ! paused: run r after [elapsed], 0 of 1 step
        !   step:   ask
        !   reason: step_paused: `ask` paused (needs-signal): waiting for signal `go; touch X #`
        !   next:   `milepost resume r` continues at `ask`; after `milepost signal r 'go; touch X #'`, a worker does so, too
        !   resume: milepost resume r
        [exit 2]

        $ milepost show r
        run r of ask: paused
          file:   [folder]/ask.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          step:   ask
          reason: step_paused: `ask` paused (needs-signal): waiting for signal `go; touch X #`
          next:   `milepost resume r` continues at `ask`; after `milepost signal r 'go; touch X #'`, a worker does so, too
          send:   milepost signal r 'go; touch X #'

        STEP  STATUS  ATTEMPTS  ITERATIONS  TOOK  TIMEOUT
        ask   paused  1                           30m (engine)

        # as it stands there

        $ milepost signal r 'go; touch X #'
        run r received `go; touch X #`; no worker is running: `milepost resume r` continues it
    "#]]);
    assert!(!cli.folder().join("X").exists());

    // As a person pastes it, also a name that no terminal may have.
    let name = "\u{1b}[2J'\u{202e}\n";
    cli.write(
        "ask.toml",
        format!(
            "schema = 1\nname = \"ask\"\n[plugins.pausing]\nsource = {:?}\n[[step]]\nid = \"ask\"\nuse = \"pausing/for_signal\"\nwith = {{ signal = {} }}\n",
            milepost_tests::cli::component("pausing"),
            quoted(name)
        ),
    );
    cli.run("run ask.toml --id s").expect(2);
    let shown = cli.run("show s").expect(0).stdout;
    let command = shown
        .lines()
        .find_map(|line| line.trim().strip_prefix("send:"));
    let sent = cli.shell(command.unwrap()).expect(0);
    assert!(sent.stdout.starts_with("run s received"), "{sent:#?}");
}

#[test]
fn names_of_imports_are_shown_escaped() {
    // A component that exports nothing and imports, or exports, one instance of a strange name.
    let name = b"evil:x/\x1b]0;pwned\x07\x1b[2J@0.2.0";
    let cli = Cli::new();
    let length = u8::try_from(name.len()).unwrap();
    let import = [&[1, 0, length][..], name, &[5, 0]].concat();
    let kind = [7_u8, 3, 1, 0x42, 0];
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    bytes.extend(kind);
    bytes.push(10);
    bytes.push(u8::try_from(import.len()).unwrap());
    bytes.extend(import);
    cli.write("p.wasm", &bytes);
    cli.write(
        "w.toml",
        "schema = 1\nname = \"w\"\n[plugins.p]\nsource = \"p.wasm\"\n[[step]]\nid = \"a\"\nuse = \"p/a\"\n",
    );
    for line in [
        "run w.toml",
        "validate w.toml",
        "inspect p.wasm",
        "run w.toml --json",
    ] {
        let told = cli.run(line);
        harmless(line, &told).unwrap();
        assert!(!told.stdout.is_empty() || !told.stderr.is_empty(), "{line}");
    }
}

#[test]
fn an_error_repeats_an_excerpt_of_its_cause() {
    let cli = Cli::new();
    let gate = "[[step]]\nid = \"g\"\napproval = { message = \"ok?\" }\n";
    cli.workflow("w.toml", &format!("[inputs.n]\ntype = \"json\"\n{gate}"));
    cli.write("big.txt", "x".repeat(5_000_000));
    let refused = cli.run("run w.toml --input n=@big.txt").expect(65).stderr;
    assert!(refused.len() < 2_000, "{} bytes", refused.len());
    assert!(refused.contains("… (5000000 bytes)"), "{refused}");
    let mut session = cli.session();
    session.milepost("run w.toml --input n=abc");
    session.document(
        "run w.toml --input n=abc",
        &["/error/diagnostics/0/message", "/error/diagnostics/0/help"],
    );
    session.reads(expect![[r#"
        $ milepost run w.toml --input n=abc
        ! error[MP0704]: input `n` must be of type json, `abc` is not: expected value at line 1 column 1
        !   help: texts are written in quotes: '"text"'
        [exit 65]

        $ milepost run w.toml --input n=abc --json
        /error/diagnostics/0/message: "input `n` must be of type json, `abc` is not: expected value at line 1 column 1"
        /error/diagnostics/0/help: "texts are written in quotes: '\"text\"'"
        [exit 65]
    "#]]);
    cli.write("big.toml", format!("a = \"{}", "x".repeat(5_000_000)));
    let refused = cli.run("run w.toml --inputs big.toml").expect(65).stderr;
    assert!(refused.len() < 100_000, "{} bytes", refused.len());
    let refused = cli.run(&format!("show {}", "x".repeat(100_000))).stderr;
    assert!(refused.len() < 100_000, "{} bytes", refused.len());
}

/// Nothing in it controls a terminal. (Replies of `--json` are for programs, and no other.)
fn harmless(line: &str, output: &Output) -> Result<(), TestCaseError> {
    for stream in [&output.stdout, &output.stderr] {
        let found = stream.chars().find(|c| is_hostile(*c));
        prop_assert_eq!(found, None, "{}: {:#?}", line, output);
    }
    Ok(())
}

/// A text with something hostile in it.
fn hostile() -> impl Strategy<Value = String> {
    let c = prop_oneof![
        2 => prop::char::range('\u{1}', '\u{1f}'),
        2 => prop::char::range('\u{7f}', '\u{9f}'),
        2 => prop::char::range('\u{202a}', '\u{202e}'),
        1 => prop::char::range('\u{2066}', '\u{2069}'),
        1 => prop::sample::select(vec!['\u{2028}', '\u{61c}', '\u{200f}', '\u{1b}', '\u{9b}']),
        4 => prop::char::range('!', 'z'),
        1 => any::<char>().prop_filter("no end of a text", |c| *c != '\0'),
    ];
    prop::collection::vec(c, 1..12).prop_map(|mut text| {
        text.push('\u{1b}');
        text.into_iter().collect()
    })
}

/// A workflow in which everything that may be foreign is.
fn strange(text: &str) -> String {
    let plugins = ["flaky", "pausing", "text", "hostile"].map(|name| {
        let source = milepost_tests::cli::component(name);
        format!("[plugins.{name}]\nsource = {source:?}\n")
    });
    let foreign = quoted(text);
    // What an expression may hold between quotes.
    let literal: String = text
        .chars()
        .filter(|c| !"'\\\n\r${}".contains(*c))
        .collect();
    let condition = quoted(&format!("inputs.n == 'no{literal}'"));
    format!(
        r#"
schema = 1
name = {foreign}
description = {foreign}
returns = "${{ inputs.n }}"
[inputs.n]
type = "string"
default = {foreign}
description = {foreign}
{plugins}
[[step]]
id = "skip"
if = {condition}
use = "text/echo"
with = {{ value = {foreign} }}
[[step]]
id = "say"
use = "hostile/print"
with = {{ stdout = {foreign}, stderr = {foreign} }}
[[step]]
id = "handled"
loop = {{ until = "true" }}
[[step]]
id = "fail"
in = "handled"
use = "flaky/fail_always"
with = {{ code = {foreign}, message = {foreign} }}
[[step]]
id = "limit"
use = "pausing/until_attempt"
with = {{ complete_on = 2, provider = {foreign} }}
[[step]]
id = "ask"
use = "pausing/for_signal"
with = {{ signal = {foreign} }}
[[step]]
id = "gate"
approval = {{ message = {foreign} }}
"#,
        plugins = plugins.concat()
    )
}

fn every_surface(text: &str) -> Result<(), TestCaseError> {
    let cli = Cli::new();
    cli.write("w.toml", strange(text));
    cli.write(
        "broken.toml",
        strange(text).replace("complete_on", "complet_on"),
    );
    cli.write(
        "bad.toml",
        format!("schema = 1\nname = \"{}\nx", text.replace('\r', "")),
    );
    let data = Value::from(text).to_string();
    let looks: &[&[&str]] = &[
        &["ls"],
        &["ls", "--json"],
        &["show", "r"],
        &["show", "r", "--json"],
        &["graph", "--run", "r", "--format", "svg"],
        &["events", "r"],
        &["events", "r", "--json"],
        &["logs", "r"],
        &["logs", "r", "--json"],
    ];
    let mut lines: Vec<Vec<&str>> = vec![
        vec!["validate", "w.toml", "broken.toml", "bad.toml"],
        vec!["validate", "w.toml", "broken.toml", "bad.toml", "--json"],
        vec!["graph", "w.toml"],
        vec!["graph", "w.toml", "--format", "mermaid"],
        vec!["graph", "w.toml", "--format", "dot"],
        vec!["graph", "w.toml", "--format", "svg"],
        vec!["run", "broken.toml"],
        vec!["run", "w.toml", "--input", text],
        vec!["run", text],
        vec!["explain", text],
        vec!["show", text],
        vec![text],
        vec!["run", "w.toml", "--id", "r"],
    ];
    lines.extend(looks.iter().map(|line| line.to_vec()));
    lines.push(vec!["resume", "r"]);
    lines.push(vec!["show", "r"]);
    lines.push(vec!["signal", "--data", &data, "--", "r", text]);
    lines.push(vec!["-v", "work", "--until-idle"]);
    lines.extend(looks.iter().map(|line| line.to_vec()));
    lines.push(vec!["approve", "r", "--comment", text, "--by", text]);
    lines.push(vec!["resume", "r"]);
    lines.extend(looks.iter().map(|line| line.to_vec()));
    for verb in ["replay", "resume", "cancel"] {
        lines.push(vec![verb, "r"]);
    }
    lines.push(vec!["doctor"]);
    for line in lines {
        let output = cli.command("").args(&line).output();
        let output = Output::of(output.expect("the program starts"));
        harmless(&line.join(" "), &output)?;
    }
    let end = cli.shown("r");
    prop_assert_eq!(&end["output"], text, "it went all the way: {:#?}", end);
    Ok(())
}

#[test]
fn what_looks_like_an_option_is_a_text_as_well() {
    every_surface("-x --json").unwrap();
}

proptest! {
    // Each starts the program about fifty times.
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(3)
    ))]

    #[test]
    fn no_character_from_outside_controls_a_terminal(text in hostile()) {
        every_surface(&text)?;
    }
}
