//! Graphs, drawn in every format, and how a run of one is told. The pictures are in `drawn/`: look at them when they change.

use std::fmt::Write as _;
use std::path::Path;

use expect_test::{expect, expect_file};
use milepost_tests::cli::Cli;
use regex::Regex;

/// A loop whose body is a graph with a loop in it, beside other steps of a graph; the file order is not that of the needs.
const NESTED: &str = r#"schema = 1
name = "nested"
description = "A loop whose body is a graph, in a graph"
flow = "graph"

[plugins.p]
source = "p.wasm"

[[step]]
id = "publish"
use = "p/publish"
needs = ["gate"]

[[step]]
id = "plan"
use = "p/plan"

[[step]]
id = "docs"
use = "p/docs"
needs = ["plan"]
continue_on_error = true

[[step]]
id = "fix"
needs = ["plan"]
deadline = "2d"
loop = { until = "steps.verify.output.ok == true", max_iterations = 5 }

[[step]]
id = "patch"
in = "fix"
use = "p/patch"

[[step]]
id = "unit"
in = "fix"
needs = ["patch"]
use = "p/test"
deadline = "1h"

[[step]]
id = "browser"
in = "fix"
needs = ["patch"]
if = "loop.iteration > 1"
use = "p/test"

[[step]]
id = "soak"
in = "fix"
flow = "sequence"
needs = ["patch"]
loop = { until = "loop.iteration == 2" }

[[step]]
id = "load"
in = "soak"
use = "p/load"

[[step]]
id = "watch"
in = "soak"
wait = { for = "10s" }

[[step]]
id = "verify"
in = "fix"
needs = ["unit", "browser", "soak"]
join = "all_done"
use = "p/verify"

[[step]]
id = "gate"
needs = ["fix", "docs"]
join = "one_success"
approval = { message = "Publish?", rework = { from = "fix" } }
"#;

/// A file of a graph of calls.
fn graph(name: &str, steps: impl IntoIterator<Item = (String, Vec<String>)>) -> String {
    let mut text = format!(
        "schema = 1\nname = \"{name}\"\nflow = \"graph\"\n[plugins.p]\nsource = \"p.wasm\"\n"
    );
    for (id, needs) in steps {
        let _ = write!(
            text,
            "[[step]]\nid = \"{id}\"\nuse = \"p/s\"\nneeds = {needs:?}\n"
        );
    }
    text
}

/// One step, twelve that need it, one that needs those.
fn wide() -> String {
    let checks: Vec<String> = (1..=12).map(|n| format!("check-{n}")).collect();
    let middle = checks
        .iter()
        .map(|check| (check.clone(), vec!["fetch".to_owned()]));
    let first = ("fetch".to_owned(), Vec::new());
    let last = ("report".to_owned(), checks.clone());
    graph("wide", [first].into_iter().chain(middle).chain([last]))
}

/// Sixty steps that each need up to three of those before them.
fn sixty() -> String {
    let needs = |step: usize| {
        let mut needs: Vec<usize> = (0..step % 4)
            .map(|nth| step.saturating_sub(3 + nth * nth * 2 + step % 5))
            .filter(|need| step > 4 && *need < step)
            .collect();
        needs.sort_unstable();
        needs.dedup();
        needs.iter().map(|need| format!("s{need}")).collect()
    };
    graph(
        "sixty",
        (0..60).map(|step| (format!("s{step}"), needs(step))),
    )
}

#[test]
fn a_graph_is_drawn_by_what_its_steps_need() {
    let cli = Cli::new();
    cli.write("nested.toml", NESTED);
    let mut session = cli.session();
    session.milepost("graph nested.toml");
    session.milepost("graph nested.toml --format mermaid");
    session.milepost("graph nested.toml --format dot");
    session.reads(expect![[r##"
        $ milepost graph nested.toml
        nested (graph)
          publish: p/publish, needs gate
          plan: p/plan
          docs: p/docs, needs plan, continues after an error
          fix: loop until steps.verify.output.ok == true, at most 5 times, then fail, deadline 2d (graph), needs plan
            patch: p/patch
            unit: p/test, deadline 1h, needs patch
            browser: p/test, needs patch, if loop.iteration > 1
            soak: loop until loop.iteration == 2, at most 3 times, then fail, needs patch
              load: p/load
              watch: wait 10s
            verify: p/verify, needs unit, browser and soak, join all_done
          gate: approval, rework from fix at most 3 times, needs docs and fix, join one_success

        $ milepost graph nested.toml --format mermaid
        flowchart TD
          s0["publish<br>p/publish"]
          s1["plan<br>p/plan"]
          s2["docs<br>p/docs"]
          subgraph s3["fix: loop until steps.verify.output.ok == true, at most 5 times, then fail, deadline 2d"]
            s4["patch<br>p/patch"]
            s5["unit<br>p/test, deadline 1h"]
            s6["browser<br>p/test"]
            subgraph s7["soak: loop until loop.iteration == 2, at most 3 times, then fail"]
              s8["load<br>p/load"]
              s9(["watch<br>wait 10s"])
            end
            s10["verify<br>p/verify<br>join all_done"]
          end
          s11{{"gate<br>approval, rework from fix at most 3 times<br>join one_success"}}
          s11 --> s0
          s1 --> s2
          s1 --> s3
          s2 --> s11
          s3 --> s11
          s11 -. "rejected" .-> s3
          s4 --> s5
          s4 -->|"if loop.iteration #gt; 1"| s6
          s4 --> s7
          s5 --> s10
          s6 --> s10
          s7 --> s10
          s8 --> s9
          s9 -. "until loop.iteration == 2" .-> s8
          s10 -. "until steps.verify.output.ok == true" .-> s4

        $ milepost graph nested.toml --format dot
        digraph "nested" {
          graph [label="nested", labelloc=t, compound=true, fontname="Helvetica"]
          node [shape=box, style="rounded,filled", fillcolor="#ffffff", color="#8c959f", fontname="Helvetica", fontsize=11]
          edge [color="#57606a", fontname="Helvetica", fontsize=10]
          s0 [label="publish\np/publish"]
          s1 [label="plan\np/plan"]
          s2 [label="docs\np/docs\ncontinues after an error"]
          subgraph cluster_s3 {
            graph [label="fix\nuntil steps.verify.output.ok == true\nat most 5 times, then fail, deadline 2d", labeljust=l, style="rounded,dashed"]
            s4 [label="patch\np/patch"]
            s5 [label="unit\np/test, deadline 1h"]
            s6 [label="browser\np/test\nif loop.iteration > 1"]
            subgraph cluster_s7 {
              graph [label="soak\nuntil loop.iteration == 2\nat most 3 times, then fail", labeljust=l, style="rounded,dashed"]
              s8 [label="load\np/load"]
              s9 [label="watch\nwait 10s", shape=oval, style=filled]
            }
            s10 [label="verify\np/verify\njoin all_done"]
          }
          s11 [label="gate\napproval, rework from fix at most 3 times\njoin one_success", shape=hexagon, style=filled]
          s11 -> s0
          s1 -> s2
          s1 -> s4 [lhead=cluster_s3]
          s2 -> s11
          s10 -> s11 [ltail=cluster_s3]
          s4 -> s11 [dir=back, style=dashed, label="rejected", ltail=cluster_s3]
          s4 -> s5
          s4 -> s6
          s4 -> s8 [lhead=cluster_s7]
          s5 -> s10
          s6 -> s10
          s9 -> s10 [ltail=cluster_s7]
          s8 -> s9
          s8 -> s9 [dir=back, style=dashed, label="again"]
          s4 -> s10 [dir=back, style=dashed, label="again"]
        }
    "##]]);
}

#[test]
fn pictures_of_graphs_are_these() {
    let cli = Cli::new();
    let diamond = [
        ("fetch", ""),
        ("lint", "fetch"),
        ("test", "fetch"),
        ("report", "lint test"),
    ];
    let diamond = diamond.map(|(id, needs)| {
        let needs = needs.split_whitespace().map(str::to_owned);
        (id.to_owned(), needs.collect())
    });
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/cli/drawn");
    for (name, text) in [
        ("diamond", graph("diamond", diamond)),
        ("wide", wide()),
        ("nested", NESTED.to_owned()),
        ("sixty", sixty()),
    ] {
        cli.write(&format!("{name}.toml"), text);
        let line = format!("graph {name}.toml --format svg");
        let drawn = cli.run(&line).expect(0).stdout;
        expect_file![folder.join(format!("{name}.svg"))].assert_eq(&drawn);
        assert_eq!(cli.run(&line).expect(0).stdout, drawn, "always the same");
    }
}

/// Two steps fail, one of them handled; what needs the other one is skipped, and what judges by another join runs.
const ENDINGS: &str = r#"flow = "graph"
[[step]]
id = "last"
use = "text/upper"
with = { text = "a" }
needs = ["after", "handled"]
join = "none_failed_min_one_success"
[[step]]
id = "bad"
use = "flaky/fail_always"
with = { code = "too-bad" }
[[step]]
id = "handled"
use = "flaky/fail_always"
continue_on_error = true
needs = ["bad"]
join = "all_done"
[[step]]
id = "after"
use = "text/upper"
with = { text = "a" }
needs = ["bad"]
[[step]]
id = "never"
use = "text/upper"
with = { text = "a" }
needs = ["after", "bad"]
join = "one_success"
[[step]]
id = "closed"
if = "steps.handled.status == 'completed'"
use = "text/upper"
with = { text = "a" }
needs = ["handled"]
[[step]]
id = "worse"
use = "flaky/fail_always"
with = { code = "worse" }
needs = ["last"]
"#;

#[test]
fn a_run_of_a_graph_tells_every_failure_and_why_steps_were_skipped() {
    let cli = Cli::new();
    cli.workflow("endings.toml", ENDINGS);
    let mut session = cli.session();
    session.milepost("run endings.toml --id r");
    session.milepost("show r");
    session.milepost("graph --run r");
    session.shell("milepost events r | grep -E 'skipped|run_failed'");
    session.shell("milepost show r --json | grep -A9 '\"because\"'");
    session.comment("without what came before, the record does not tell what came of it");
    session.shell("milepost events r --after 4 --limit 1 | grep skipped");
    session.milepost("explain skipped");
    session.reads(expect![[r#"
        $ milepost run endings.toml --id r
        ! run r: started
        ! step bad: started
        ! step bad: failed: too-bad: broken
        ! step after: skipped, because `bad` failed (join all_success)
        ! step never: skipped, because `bad` failed and `after` was skipped (join one_success)
        ! step handled: started
        ! step handled: failed: broken: broken
        ! step closed: skipped, because `steps.handled.status == 'completed'` is false
        ! step last: started
        ! step last: completed in [elapsed]
        ! step worse: started
        ! step worse: failed: worse: broken
        ! failed: run r after [elapsed], 7 of 7 steps (3 skipped, 3 failed)
        !   step bad: too-bad: broken
        !   step handled: broken: broken
        !   step worse: worse: broken
        !   next:   nothing by itself; fix the cause, then `milepost resume r` runs the failed steps again
        !   look:   milepost show r
        [exit 1]

        $ milepost show r
        run r of endings: failed
          file:   [folder]/endings.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          next:   nothing by itself; fix the cause, then `milepost resume r` runs the failed steps again

        STEP     STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
        last     completed  1                     [elapsed]  30m (engine)
        bad      failed     1                     [elapsed]  30m (engine)
        handled  failed     1                     [elapsed]  30m (engine)
        after    skipped                          [elapsed]  30m (engine)
        never    skipped                          [elapsed]  30m (engine)
        closed   skipped                          [elapsed]  30m (engine)
        worse    failed     1                     [elapsed]  30m (engine)

        bad: too-bad: broken
        handled: broken: broken
        worse: worse: broken
        after: skipped, because `bad` failed (join all_success)
        never: skipped, because `bad` failed and `after` was skipped (join one_success)
        closed: skipped, because `steps.handled.status == 'completed'` is false

        $ milepost graph --run r
        endings (graph), run r: failed
          ✓ last: text/upper, needs handled and after, join none_failed_min_one_success (completed in [elapsed])
          ✗ bad: flaky/fail_always (failed after [elapsed])
          ✗ handled: flaky/fail_always, needs bad, join all_done, continues after an error (failed after [elapsed])
          – after: text/upper, needs bad (skipped)
          – never: text/upper, needs bad and after, join one_success (skipped)
          – closed: text/upper, needs handled, if steps.handled.status == 'completed' (skipped)
          ✗ worse: flaky/fail_always, needs last (failed after [elapsed])

        $ milepost events r | grep -E 'skipped|run_failed'
            5 [time] step_skipped after, because `bad` failed (join all_success)
            6 [time] step_skipped never, because `bad` failed and `after` was skipped (join one_success)
            9 [time] step_skipped closed, because `steps.handled.status == 'completed'` is false
           14 [time] run_failed bad: step_failed: `bad` failed (too-bad): broken; `worse` failed (worse): broken

        $ milepost show r --json | grep -A9 '"because"'
                "because": "join",
                "join": "all_success",
                "needs": [
                  "bad"
                ]
              }
            },
            {
              "path": "never",
              "status": "skipped",
        --
                "because": "join",
                "join": "one_success",
                "needs": [
                  "bad",
                  "after"
                ]
              }
            },
            {
              "path": "closed",
        --
                "because": "condition",
                "condition": "steps.handled.status == 'completed'"
              }
            },
            {
              "path": "worse",
              "status": "failed",
              "attempts": 1,
              "output": null,
              "error": {

        # without what came before, the record does not tell what came of it

        $ milepost events r --after 4 --limit 1 | grep skipped
            5 [time] step_skipped after, because `bad` did not succeed (join all_success)

        $ milepost explain skipped
        skipped

        The step did not run, which is no failure: its `if` was false, or what it needs did not come out as its `join` asks. With `all_success` (the default) a step is skipped as soon as anything that it needs failed or was skipped, so a skip goes on to what needs the step. `none_failed_min_one_success` lets it run after skips, `one_success` after one success, `all_done` in any case; a failure that `continue_on_error` handles counts as success. `show` and `events` say which steps were the reason.
    "#]]);
}

#[test]
fn several_steps_that_wait_are_shown_with_what_ends_each_wait() {
    let cli = Cli::new();
    cli.workflow(
        "waits.toml",
        r#"flow = "graph"
[[step]]
id = "ask"
approval = { message = "Sure?" }
[[step]]
id = "also"
approval = { message = "Really?" }
[[step]]
id = "deployed"
wait = { signal = "deployed", timeout = "2h" }
[[step]]
id = "stuck"
use = "pausing/until_attempt"
with = { complete_on = 2, provider = "acme" }
[[step]]
id = "after"
needs = ["ask", "deployed"]
use = "text/upper"
with = { text = "a" }
"#,
    );
    let mut session = cli.session();
    session.milepost("run waits.toml --id r");
    session.milepost("show r");
    session.milepost("graph --run r");
    session.milepost("ls");
    session.reads(expect![[r#"
        $ milepost run waits.toml --id r
        ! run r: started
        ! step ask: waits for a decision: Sure?
        ! step also: waits for a decision: Really?
        ! step deployed: waits for the signal `deployed` until [time]
        ! step stuck: started
        ! step stuck: paused: quota-exhausted: attempt 1 of 2 pauses
        ! paused: run r after [elapsed], 0 of 5 steps
        !   step:   ask
        !   reason: waiting_for_approval: `ask` asks: Sure?
        !   next:   `milepost approve r --step ask` or `milepost reject r --step ask` decides; `milepost approve r --step also` or `milepost reject r --step also` decides; after `milepost signal r deployed`, a worker or `milepost resume r` continues the run; `milepost resume r` continues at `stuck`; a worker (`milepost work`) does so when it is due, as automatic resume 1 of 5
        !   due:    `stuck` continues at [time] (in [left])
        !   also:   `also` asks: Really?
        !   also:   `deployed` waits for the signal `deployed`
        !   also:   `stuck` paused
        [exit 2]

        $ milepost show r
        run r of waits: paused
          file:   [folder]/waits.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          step:   ask
          reason: waiting_for_approval: `ask` asks: Sure?
          next:   `milepost approve r --step ask` or `milepost reject r --step ask` decides; `milepost approve r --step also` or `milepost reject r --step also` decides; after `milepost signal r deployed`, a worker or `milepost resume r` continues the run; `milepost resume r` continues at `stuck`; a worker (`milepost work`) does so when it is due, as automatic resume 1 of 5
          due:    `stuck` continues at [time] (in [left])
          also:   `stuck` paused
          waits:  ask, for a decision: Sure?
          approve: milepost approve r --step ask
          reject:  milepost reject r --step ask
          waits:  also, for a decision: Really?
          approve: milepost approve r --step also
          reject:  milepost reject r --step also
          waits:  deployed, for the signal `deployed`, until [time] (in [left])
          send:   milepost signal r deployed

        STEP      STATUS   ATTEMPTS  ITERATIONS  TOOK  TIMEOUT
        ask       waiting  1
        also      waiting  1
        deployed  waiting  1
        stuck     paused   1                           30m (engine)
        after     pending                              30m (engine)

        $ milepost graph --run r
        waits (graph), run r: paused
          ◷ ask: approval (waiting for a decision)
          ◷ also: approval (waiting for a decision)
          ◷ deployed: wait for signal deployed, at most 2h (waiting for the signal deployed)
          ‖ stuck: pausing/until_attempt (paused)
          ○ after: text/upper, needs ask and deployed (pending)

        $ milepost ls
        ! no worker is running: `milepost work` starts one
        ID  WORKFLOW  STATUS                         OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        r   waits     paused (waiting_for_approval)         [ago]    [elapsed]  [elapsed]  [ago]    approve or reject; something else is due in [elapsed]
    "#]]);
}

/// Seven steps at the same time, of which one talks. With fourteen rows all of them have a line, with six only two.
#[test]
fn a_terminal_shows_a_line_for_every_step_in_flight_as_long_as_they_fit() {
    let sleepers = ["g", "f", "e", "d", "c", "b"].map(|id| {
        format!("[[step]]\nid = \"{id}\"\nuse = \"hostile/sleep\"\nwith = {{ ms = 1500 }}\n")
    });
    let talks = "[[step]]\nid = \"a\"\nuse = \"hostile/print\"\nwith = { stdout = \"one\\ntwo\", stderr = \"three\" }\n";
    let text = format!(
        "flow = \"graph\"\nreturns = \"done\"\n{}{talks}",
        sleepers.concat()
    );
    let length = Regex::new(r"\d+(\.\d+)? m?s\b").unwrap();
    let spinner = Regex::new(r"^[^ a-z+] ").unwrap();
    let mut left = Vec::new();
    for (rows, moving) in [
        (14, &["g, T", "f, T", "e, T", "d, T", "c, T", "b, T"][..]),
        (6, &["g, T", "f, T", "+4 more in flight"]),
    ] {
        let cli = Cli::new();
        cli.workflow("busy.toml", &text);
        let terminal = cli.on_terminal("run busy.toml --id r", rows);
        assert_eq!(terminal.status, 0, "{terminal:#?}");
        let steady = |line: &str| length.replace_all(line, "T").into_owned();
        // The moving lines are the last ones, the first of them behind a spinner.
        let shown = terminal.frames.iter().any(|frame| {
            let begin = frame.len().saturating_sub(moving.len());
            let last = frame[begin..]
                .iter()
                .enumerate()
                .map(|(at, line)| match at {
                    0 => steady(&spinner.replace(line, "")),
                    _ => steady(line.trim_start()),
                });
            last.eq(moving.iter().copied())
        });
        assert!(shown, "{moving:?} in {terminal:#?}");
        // In the end nothing moves, and every line stands for itself. Who ends first is left to chance.
        let mut lines: Vec<_> = terminal.left.iter().map(|line| steady(line)).collect();
        lines.sort_unstable();
        left.push(lines.join("\n"));
    }
    assert_eq!(left[0], left[1]);
    expect![[r#"
          a | one
          a | two
          a | warning: three
        completed: run r after T, 7 of 7 steps
        done
        run r: started
        step a: completed in T
        step b: completed in T
        step c: completed in T
        step d: completed in T
        step e: completed in T
        step f: completed in T
        step g: completed in T"#]]
    .assert_eq(&left[0]);
}

/// Every line of a pipe names its step, whoever else is at work.
#[test]
fn lines_of_a_pipe_name_their_step() {
    let cli = Cli::new();
    let steps: String = (1..=6)
        .map(|n| {
            format!(
                "[[step]]\nid = \"s{n}\"\nuse = \"hostile/log_flood\"\nwith = {{ lines = 200, bytes = 10 }}\n"
            )
        })
        .collect();
    cli.workflow("loud.toml", &format!("flow = \"graph\"\n{steps}"));
    let said = cli.run("run loud.toml --id r").expect(0).stderr;
    let named = Regex::new(r"^(run r: started|(  s[1-6] \| .*)|step s[1-6]: (started|completed in .*)|completed: run r .*)$").unwrap();
    let strange: Vec<&str> = said.lines().filter(|line| !named.is_match(line)).collect();
    assert_eq!(strange, [""; 0]);
    assert!(said.lines().count() > 1_000, "{}", said.lines().count());
}
