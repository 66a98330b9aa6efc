//! `graph`: definitions and runs, drawn in every format. The pictures are in `drawn/`: look at them when they change.

use std::fmt::Write as _;
use std::path::Path;

use expect_test::{expect, expect_file};
use milepost_tests::cli::Cli;

use super::{HELLO, PAUSING, spinning};

/// Every sort of step, conditions, loops and a rework.
const RELEASE: &str = r#"schema = 1
name = "release-notes"
description = "Collect changes, fix the build, publish"

[plugins.git]
source = "plugins/git.wasm"

[[step]]
id = "collect"
use = "git/list-commits"
continue_on_error = true

[[step]]
id = "fix"
loop = { until = "steps.test.output.exit_code == 0", max_iterations = 5, on_exhausted = "continue" }

[[step]]
id = "patch"
in = "fix"
if = "loop.iteration > 1 && steps.test.output.log != \"\""
use = "git/apply-fix"

[[step]]
id = "test"
in = "fix"
use = "git/test"

[[step]]
id = "again"
if = "steps.fix.output.condition_met"
loop = { until = "true", max_iterations = 2 }

[[step]]
id = "publish"
in = "again"
use = "git/release"

[[step]]
id = "rest"
wait = { for = "10m" }

[[step]]
id = "night"
wait = { until = "steps.fix.output.condition_met ? '2026-01-01T00:00:00Z' : '2026-01-02T00:00:00Z'" }

[[step]]
id = "deployed"
wait = { signal = "deployed", timeout = "2h", on_timeout = "continue" }

[[step]]
id = "say"
if = "steps.deployed.output.timed_out"
approval = { message = "Announce?", timeout = "24h", rework = { from = "rest", max_attempts = 2 } }
"#;

/// Steps that end in every way, and a loop that stops in its second iteration.
const ROUNDS: &str = r#"
[[step]]
id = "first"
use = "text/upper"
with = { text = "a" }
[[step]]
id = "bad"
use = "flaky/fail_always"
with = { code = "too-bad" }
continue_on_error = true
[[step]]
id = "never"
if = "steps.bad.status == 'completed'"
use = "text/upper"
with = { text = "a" }
[[step]]
id = "rounds"
loop = { until = "loop.iteration == 3", max_iterations = 5 }
[[step]]
id = "ask"
in = "rounds"
approval = { message = "Go on?" }
[[step]]
id = "note"
in = "rounds"
use = "text/upper"
with = { text = "a" }
[[step]]
id = "last"
wait = { signal = "go" }
"#;

#[test]
fn a_definition_is_drawn_without_its_components() {
    let cli = Cli::new();
    cli.write("release.toml", RELEASE);
    let mut session = cli.session();
    session.milepost("graph release.toml");
    session.milepost("graph release.toml --format mermaid");
    session.milepost("graph release.toml --format dot");
    session.document("graph release.toml --format svg", &["/workflow", "/format"]);
    session.reads(expect![[r##"
        $ milepost graph release.toml
        release-notes
          collect: git/list-commits, continues after an error
          fix: loop until steps.test.output.exit_code == 0, at most 5 times, then continue
            patch: git/apply-fix, if loop.iteration > 1 && steps.test.output.log != ""
            test: git/test
          again: loop until true, at most 2 times, then fail, if steps.fix.output.condition_met
            publish: git/release
          rest: wait 10m
          night: wait until steps.fix.output.condition_met ? '[time]' : '[time]'
          deployed: wait for signal deployed, at most 2h
          say: approval, at most 1d, rework from rest at most 2 times, if steps.deployed.output.timed_out

        $ milepost graph release.toml --format mermaid
        flowchart TD
          s0["collect<br>git/list-commits"]
          subgraph s1["fix: loop until steps.test.output.exit_code == 0, at most 5 times, then continue"]
            s2["patch<br>git/apply-fix<br>if loop.iteration #gt; 1 #amp;#amp; steps.test.output.log != #quot;#quot;"]
            s3["test<br>git/test"]
          end
          subgraph s4["again: loop until true, at most 2 times, then fail"]
            s5["publish<br>git/release"]
          end
          s6(["rest<br>wait 10m"])
          s7(["night<br>wait until steps.fix.output.condition_met ? '[time]' : '[time]'"])
          s8(["deployed<br>wait for signal deployed, at most 2h"])
          s9{{"say<br>approval, at most 1d, rework from rest at most 2 times"}}
          s0 --> s1
          s1 -->|"if steps.fix.output.condition_met"| s4
          s4 --> s6
          s6 --> s7
          s7 --> s8
          s8 -->|"if steps.deployed.output.timed_out"| s9
          s9 -. "rejected" .-> s6
          s2 --> s3
          s3 -. "until steps.test.output.exit_code == 0" .-> s2
          s5 -. "until true" .-> s5

        $ milepost graph release.toml --format dot
        digraph "release-notes" {
          graph [label="release-notes", labelloc=t, compound=true, fontname="Helvetica"]
          node [shape=box, style="rounded,filled", fillcolor="#ffffff", color="#8c959f", fontname="Helvetica", fontsize=11]
          edge [color="#57606a", fontname="Helvetica", fontsize=10]
          s0 [label="collect\ngit/list-commits\ncontinues after an error"]
          subgraph cluster_s1 {
            graph [label="fix\nuntil steps.test.output.exit_code == 0\nat most 5 times, then continue", labeljust=l, style="rounded,dashed"]
            s2 [label="patch\ngit/apply-fix\nif loop.iteration > 1 &amp;&amp; steps.test.output.log != \"\""]
            s3 [label="test\ngit/test"]
          }
          subgraph cluster_s4 {
            graph [label="again\nuntil true\nat most 2 times, then fail\nif steps.fix.output.condition_met", labeljust=l, style="rounded,dashed"]
            s5 [label="publish\ngit/release"]
          }
          s6 [label="rest\nwait 10m", shape=oval, style=filled]
          s7 [label="night\nwait until steps.fix.output.condition_met ? '[time]' : '[time]'", shape=oval, style=filled]
          s8 [label="deployed\nwait for signal deployed, at most 2h", shape=oval, style=filled]
          s9 [label="say\napproval, at most 1d, rework from rest at most 2 times\nif steps.deployed.output.timed_out", shape=hexagon, style=filled]
          s0 -> s2 [lhead=cluster_s1]
          s3 -> s5 [ltail=cluster_s1, lhead=cluster_s4]
          s5 -> s6 [ltail=cluster_s4]
          s6 -> s7
          s7 -> s8
          s8 -> s9
          s6 -> s9 [dir=back, style=dashed, label="rejected"]
          s2 -> s3
          s2 -> s3 [dir=back, style=dashed, label="again"]
          s5 -> s5 [dir=back, style=dashed, label="again"]
        }

        $ milepost graph release.toml --format svg --json
        /workflow: "release-notes"
        /format: "svg"
    "##]]);
}

#[test]
fn pictures_of_the_examples_are_these() {
    let cli = Cli::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let drawn = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/cli/drawn");
    for (name, golden) in [
        ("table-report", drawn.join("table-report.svg")),
        ("nested-loops", drawn.join("nested-loops.svg")),
        ("word-count", drawn.join("word-count.svg")),
        ("table-checks", examples.join("table-checks/graph.svg")),
        ("release-train", examples.join("release-train/graph.svg")),
    ] {
        let file = examples.join(name).join("workflow.toml");
        let line = format!("graph {} --format svg", file.display());
        let drawn = cli.run(&line).expect(0).stdout;
        expect_file![golden].assert_eq(&drawn);
        assert_eq!(cli.run(&line).expect(0).stdout, drawn, "always the same");
    }
}

#[test]
fn a_drawing_shows_how_every_step_of_a_run_stands() {
    let cli = Cli::new();
    cli.workflow("rounds.toml", ROUNDS);
    cli.run("run rounds.toml --id r").expect(2);
    cli.run("approve r").expect(0);
    cli.run("resume r").expect(2);
    let mut session = cli.session();
    session.comment("in the second iteration, what ran in the first one is still to come");
    session.milepost("graph --run r");
    session.milepost("graph --run r --format mermaid");
    session.milepost("graph --run r --format dot");
    session.shell(r#"milepost graph --run r --format svg | grep -oE 'class="[a-z ]+" data-step="[a-z]+"|<desc.*desc>|class="(run|standing)".*>'"#);
    session.milepost("--color always graph --run r");
    session.reads(expect![[r##"
        # in the second iteration, what ran in the first one is still to come

        $ milepost graph --run r
        rounds, run r: paused
          ✓ first: text/upper (completed in [elapsed])
          ✗ bad: flaky/fail_always, continues after an error (failed after [elapsed])
          – never: text/upper, if steps.bad.status == 'completed' (skipped)
          ▸ rounds: loop until loop.iteration == 3, at most 5 times, then fail (running, iteration 2)
            ◷ ask: approval (waiting for a decision)
            ○ note: text/upper (pending)
          ○ last: wait for signal go (pending)

        $ milepost graph --run r --format mermaid
        flowchart TD
          s0["first<br>text/upper<br>✓ completed in [elapsed]"]
          s1["bad<br>flaky/fail_always<br>✗ failed after [elapsed]"]
          s2["never<br>text/upper<br>– skipped"]
          subgraph s3["rounds: loop until loop.iteration == 3, at most 5 times, then fail<br>▸ running, iteration 2"]
            s4{{"ask<br>approval<br>◷ waiting for a decision"}}
            s5["note<br>text/upper<br>○ pending"]
          end
          s6(["last<br>wait for signal go<br>○ pending"])
          s0 --> s1
          s1 -->|"if steps.bad.status == 'completed'"| s2
          s2 --> s3
          s3 --> s6
          s4 --> s5
          s5 -. "until loop.iteration == 3" .-> s4
          classDef pending fill:#f6f8fa,stroke:#8c959f,color:#1f2328
          class s5,s6 pending
          classDef running fill:#ddf4ff,stroke:#0969da,color:#1f2328
          class s3 running
          classDef waiting fill:#fff8c5,stroke:#9a6700,color:#1f2328
          class s4 waiting
          classDef skipped fill:#eaeef2,stroke:#6e7781,color:#1f2328
          class s2 skipped
          classDef failed fill:#ffebe9,stroke:#cf222e,color:#1f2328
          class s1 failed
          classDef completed fill:#dafbe1,stroke:#1a7f37,color:#1f2328
          class s0 completed

        $ milepost graph --run r --format dot
        digraph "rounds" {
          graph [label="rounds\nrun r: paused", labelloc=t, compound=true, fontname="Helvetica"]
          node [shape=box, style="rounded,filled", fillcolor="#ffffff", color="#8c959f", fontname="Helvetica", fontsize=11]
          edge [color="#57606a", fontname="Helvetica", fontsize=10]
          s0 [label="first\ntext/upper\n✓ completed in [elapsed]", color="#1a7f37", fillcolor="#dafbe1"]
          s1 [label="bad\nflaky/fail_always\ncontinues after an error\n✗ failed after [elapsed]", color="#cf222e", fillcolor="#ffebe9"]
          s2 [label="never\ntext/upper\nif steps.bad.status == 'completed'\n– skipped", color="#6e7781", fillcolor="#eaeef2"]
          subgraph cluster_s3 {
            graph [label="rounds\nuntil loop.iteration == 3\nat most 5 times, then fail\n▸ running, iteration 2", labeljust=l, style="rounded,dashed", color="#0969da"]
            s4 [label="ask\napproval\n◷ waiting for a decision", shape=hexagon, style=filled, color="#9a6700", fillcolor="#fff8c5"]
            s5 [label="note\ntext/upper\n○ pending"]
          }
          s6 [label="last\nwait for signal go\n○ pending", shape=oval, style=filled]
          s0 -> s1
          s1 -> s2
          s2 -> s4 [lhead=cluster_s3]
          s5 -> s6 [ltail=cluster_s3]
          s4 -> s5
          s4 -> s5 [dir=back, style=dashed, label="again"]
        }

        $ milepost graph --run r --format svg | grep -oE 'class="[a-z ]+" data-step="[a-z]+"|<desc.*desc>|class="(run|standing)".*>'
        <desc id="mp-desc">The flow of a workflow of 7 steps: 1 completed, 1 failed, 1 skipped, 1 waiting, 1 running, 2 pending.</desc>
        class="run" x="50" y="70">run r: paused</text>
        class="call live completed" data-step="first"
        class="standing" x="137" y="158">completed in [elapsed]</text>
        class="call live failed" data-step="bad"
        class="standing" x="137" y="286">failed after [elapsed]</text>
        class="call live skipped" data-step="never"
        class="standing" x="137" y="414">skipped</text>
        class="loop live running" data-step="rounds"
        class="standing" x="91" y="540">running, iteration 2</text>
        class="approval live waiting" data-step="ask"
        class="standing" x="137" y="641">waiting for a decision</text>
        class="call live pending" data-step="note"
        class="standing" x="137" y="754">pending</text>
        class="wait live pending" data-step="last"
        class="standing" x="137" y="897">pending</text>

        $ milepost --color always graph --run r
        rounds, run r: [33mpaused[0m
          [32m✓[0m first: text/upper ([32mcompleted in [elapsed][0m)
          [1;31m✗[0m bad: flaky/fail_always, continues after an error ([1;31mfailed after [elapsed][0m)
          [2m–[0m never: text/upper, if steps.bad.status == 'completed' ([2mskipped[0m)
          [1m▸[0m rounds: loop until loop.iteration == 3, at most 5 times, then fail ([1mrunning, iteration 2[0m)
            [33m◷[0m ask: approval ([33mwaiting for a decision[0m)
            [2m○[0m note: text/upper ([2mpending[0m)
          [2m○[0m last: wait for signal go ([2mpending[0m)
    "##]]);
}

#[test]
fn a_run_can_be_drawn_at_every_time() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.workflow("pausing.toml", PAUSING);
    cli.run("submit hello.toml --input name=x --id later")
        .expect(0);
    cli.run("run pausing.toml --id nap").expect(2);
    let running = spinning(&cli);
    let mut session = cli.session();
    session.milepost("graph --run later");
    session.milepost("graph --run nap");
    session.milepost("graph --run spin");
    session.comment("over, and the file says something else by now");
    cli.run("run hello.toml --input name=x --id done").expect(0);
    cli.workflow(
        "hello.toml",
        &HELLO
            .replace("\"greet\"", "\"hail\"")
            .replace(".greet.", ".hail."),
    );
    session.milepost("graph hello.toml --run done");
    session.milepost("graph --run done");
    session.comment("what cannot be drawn");
    session.milepost("graph --run nobody");
    session.milepost("graph gone.toml");
    session.milepost("graph");
    session.reads(expect![[r#"
        $ milepost graph --run later
        hello, run later: pending
          ○ greet: text/greet (pending)

        $ milepost graph --run nap
        pausing, run nap: paused
          ✓ first: text/upper (completed in [elapsed])
          ‖ ask: pausing/until_attempt (paused)

        $ milepost graph --run spin
        endless, run spin: running
          ✓ first: text/upper (completed in [elapsed])
          ▸ spin: hostile/spin (running)

        # over, and the file says something else by now

        $ milepost graph hello.toml --run done
        ! warning: run done carries another version of `hello.toml`: its steps are found by their ids; without a file, what the run carries is drawn
        hello, run done: completed
          ○ hail: text/greet (pending)

        $ milepost graph --run done
        hello, run done: completed
          ✓ greet: text/greet (completed in [elapsed])

        # what cannot be drawn

        $ milepost graph --run nobody
        ! error: no run begins with `nobody` (store: .milepost)
        !   help: `milepost ls` lists the runs
        [exit 65]

        $ milepost graph gone.toml
        ! error: the definition gone.toml cannot be read: No such file or directory (os error 2)
        [exit 65]

        $ milepost graph
        ! error: the following required arguments were not provided:
        !   <FILE>
        !
        ! Usage: milepost graph <FILE>
        !
        ! For more information, try '--help'.
        [exit 64]
    "#]]);
    drop(running);
}

/// What a status changes is colours and words, never a place: pictures of one run can be laid over each other.
#[test]
fn nothing_moves_when_a_run_moves() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    let frames = || {
        let svg = cli.run("graph --run nap --format svg").expect(0).stdout;
        let frames: Vec<String> = svg
            .lines()
            .filter(|line| line.starts_with("<rect"))
            .map(str::to_owned)
            .collect();
        assert_eq!(frames.len(), 3, "{svg}");
        frames
    };
    cli.run("submit pausing.toml --id nap").expect(0);
    let before = frames();
    cli.run("resume nap").expect(2);
    assert_eq!(frames(), before);
    cli.run("resume nap").expect(0);
    assert_eq!(frames(), before);
}

#[test]
fn foreign_text_is_text_in_every_format() {
    let cli = Cli::new();
    cli.write(
        "w.toml",
        r#"schema = 1
name = "<b>&amp;\"'\\ --> ]]> %% \u001b[31m\u202e\uffff\\"
description = "</desc><script>alert(1)</script>"
[inputs.at]
type = "string"
[[step]]
id = "a"
if = "'</text>\" -->|x| \\\\N ]; &lt; #quot; `\u001b' != '\\n'"
wait = { until = "inputs.at + '</title>{{}}\"]'" }
"#,
    );
    let mut session = cli.session();
    session.milepost("graph w.toml");
    session.milepost("graph w.toml --format mermaid");
    session.milepost("graph w.toml --format dot");
    session.shell("milepost graph w.toml --format svg | grep -E '<(text|title|desc)'");
    session.reads(expect![[r##"
        $ milepost graph w.toml
        <b>&amp;"'\ --> ]]> %% \u{1b}[31m\u{202e}￿\
          a: wait until inputs.at + '</title>{{}}"]', if '</text>" -->|x| \\N ]; &lt; #quot; `\u{1b}' != '\n'

        $ milepost graph w.toml --format mermaid
        flowchart TD
          s0(["a<br>wait until inputs.at + '#lt;/title#gt;{{}}#quot;]'<br>if '#lt;/text#gt;#quot; --#gt;|x| \\N ]; #amp;lt; #35;quot; `\u{1b}' != '\n'"])

        $ milepost graph w.toml --format dot
        digraph "<b>&amp;amp;\"'\\ --> ]]> %% \\u{1b}[31m\\u{202e}￿\\" {
          graph [label="<b>&amp;amp;\"'\\ --> ]]> %% \\u{1b}[31m\\u{202e}￿\\", labelloc=t, compound=true, fontname="Helvetica"]
          node [shape=box, style="rounded,filled", fillcolor="#ffffff", color="#8c959f", fontname="Helvetica", fontsize=11]
          edge [color="#57606a", fontname="Helvetica", fontsize=10]
          s0 [label="a\nwait until inputs.at + '</title>{{}}\"]'\nif '</text>\" -->|x| \\\\N ]; &amp;lt; #quot; `\\u{1b}' != '\\n'", shape=oval, style=filled]
        }

        $ milepost graph w.toml --format svg | grep -E '<(text|title|desc)'
        <title id="mp-title">&lt;b&gt;&amp;amp;&quot;'\ --&gt; ]]&gt; %% \u{1b}[31m\u{202e}\u{ffff}\</title>
        <desc id="mp-desc">The flow of a workflow of 1 step.</desc>
        <text class="name" x="24" y="42">&lt;b&gt;&amp;amp;&quot;'\ --&gt; ]]&gt; %%</text>
        <text class="name" x="24" y="66">\u{1b}[31m\u{202e}\u{ffff}\</text>
        <text class="about" x="24" y="86">&lt;/desc&gt;&lt;script&gt;alert(1)&lt;/script&gt;</text>
        <title>a: wait until inputs.at + '&lt;/title&gt;{{}}&quot;]', if '&lt;/text&gt;&quot; --&gt;|x| \\N ]; &amp;lt; #quot; `\u{1b}' != '\n'</title>
        <text class="title" x="127" y="136">a</text>
        <text class="what" x="127" y="153">wait until inputs.at + '&lt;/title&gt;{{}}&quot;]'</text>
        <text class="code" x="127" y="168">if '&lt;/text&gt;&quot; --&gt;|x| \\N ]; &amp;lt; #quot;</text>
        <text class="code" x="127" y="183">`\u{1b}' != '\n'</text>
    "##]]);
}

#[test]
fn the_largest_definitions_are_drawn_in_every_format() {
    let mut text = String::from("schema = 1\nname = \"large\"\n");
    for level in 0..16 {
        let inside = match level {
            0 => String::new(),
            _ => format!("in = \"l{}\"\n", level - 1),
        };
        write!(
            text,
            "[[step]]\nid = \"l{level}\"\n{inside}loop = {{ until = \"loop.iteration == 2\" }}\n"
        )
        .unwrap();
    }
    for step in 16..1_000 {
        let inside = match step % 17 {
            16 => String::new(),
            level => format!("in = \"l{level}\"\n"),
        };
        write!(
            text,
            "[[step]]\nid = \"s{step}\"\n{inside}wait = {{ for = \"1s\" }}\n"
        )
        .unwrap();
    }
    let cli = Cli::new();
    cli.write("large.toml", text);
    for (format, mark) in [
        ("text", ": "),
        ("mermaid", "[\""),
        ("dot", "[label="),
        ("svg", "data-step="),
    ] {
        let drawn = cli.run(&format!("graph large.toml --format {format}"));
        let drawn = drawn.expect(0).stdout;
        let steps = drawn.lines().filter(|line| line.contains(mark)).count();
        assert!((984..=1_017).contains(&steps), "{format}: {steps}");
    }
}
