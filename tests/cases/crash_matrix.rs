//! The real program, aborted at every named fault point of its debug build, at the first, second, .. time it gets there, and
//! started again. Whatever was acknowledged is there, and the run ends as an undisturbed one.
//!
//! `MILEPOST_FAULT=<point>:<n>` aborts at the n-th time; a case counts n up until the command survives.

use std::cell::RefCell;
use std::process::Stdio;

use milepost_tests::cli::{Cli, Output};

use crate::servers::{Reply, Server};
use crate::web;

/// Exit code of a process that aborted: 128 and SIGABRT.
const ABORTED: i32 = 134;

/// Every point that a write of a run passes.
const WRITE: [&str; 9] = [
    "before_commit",
    "row_written",
    "journal_written",
    "checkpoint_written",
    "logs_and_blobs_written",
    "before_sync",
    "after_sync",
    "after_commit",
    "migration",
];

/// Those of them between which something else is on the disk.
const COMMIT: [&str; 3] = ["before_commit", "before_sync", "after_commit"];

/// The points of a call, in addition.
const CALL: [&str; 4] = ["after_claim", "before_call", "after_call", "output_held"];

const STEPS: &str = "\
[[step]]\nid = \"a\"\nuse = \"text/count\"\nwith = { n = 1 }\n\
[[step]]\nid = \"l\"\nloop = { until = \"loop.iteration >= 2\" }\n\
[[step]]\nid = \"x\"\nin = \"l\"\nuse = \"text/count\"\nwith = { n = \"${ loop.iteration }\" }\n\
[[step]]\nid = \"f\"\nuse = \"flaky/fail_until\"\nwith = { succeed_on = 2 }\nretry = { initial = \"1ms\" }\n";

const WAITS: &str = "\
[[step]]\nid = \"a\"\nuse = \"text/count\"\nwith = { n = 1 }\n\
[[step]]\nid = \"w\"\nwait = { signal = \"go\" }\n\
[[step]]\nid = \"b\"\nuse = \"text/echo\"\nwith = { got = \"${ steps.w.output.data }\" }\n";

const ASKS: &str = "\
[[step]]\nid = \"g\"\napproval = { message = \"Go on?\" }\n\
[[step]]\nid = \"b\"\nuse = \"text/echo\"\nwith = { got = \"${ steps.g.output.decision }\" }\n";

const SHORT_WAIT: &str = "[[step]]\nid = \"t\"\nwait = { for = \"300ms\" }\n\
[[step]]\nid = \"b\"\nuse = \"text/count\"\nwith = { n = 1 }\n";

const LONG_WAIT: &str = "[[step]]\nid = \"t\"\nwait = { for = \"12s\" }\n\
[[step]]\nid = \"b\"\nuse = \"text/count\"\nwith = { n = 1 }\n";

/// Several steps in flight at once, and one that needs them.
const GRAPH: &str = "flow = \"graph\"\n\
[[step]]\nid = \"a\"\nuse = \"text/count\"\nwith = { n = 1 }\n\
[[step]]\nid = \"b\"\nuse = \"text/count\"\nwith = { n = 2 }\n\
[[step]]\nid = \"t\"\nwait = { for = \"1ms\" }\n\
[[step]]\nid = \"c\"\nneeds = [\"a\", \"t\"]\nuse = \"flaky/fail_until\"\nwith = { succeed_on = 2 }\nretry = { initial = \"1ms\" }\n\
[[step]]\nid = \"d\"\nneeds = [\"b\", \"c\"]\nuse = \"text/count\"\nwith = { n = 3 }\n";

/// Items of a component, and items of several steps.
const FAN_OUT: &str = "\
[[step]]\nid = \"e\"\nuse = \"text/count\"\nforeach = { items = \"[1, 2, 3]\", max_parallel = 2 }\nwith = { n = \"${ item }\" }\n\
[[step]]\nid = \"f\"\nforeach = { items = \"['x', 'y']\", max_parallel = 2, join = \"all_done\" }\n\
[[step]]\nid = \"m\"\nin = \"f\"\nuse = \"text/count\"\nwith = { n = 1 }\n\
[[step]]\nid = \"n\"\nin = \"f\"\nuse = \"text/echo\"\nwith = { got = \"${ item }\" }\n";

/// A run that fails, undoes what it did, and tells of it at the end.
const UNDONE: &str = "on_failure = \"compensate\"\n\
[[step]]\nid = \"a\"\nuse = \"text/count\"\nwith = { n = 1 }\ncompensate = { use = \"text/echo\", with = { of = \"${ steps.a.output }\" } }\n\
[[step]]\nid = \"b\"\nuse = \"text/count\"\nwith = { n = 2 }\ncompensate = { use = \"text/echo\" }\n\
[[step]]\nid = \"c\"\nuse = \"flaky/fail_always\"\n\
[[step]]\nid = \"at_last\"\nuse = \"text/echo\"\nfinally = true\nwith = { how = \"${ run.status }\" }\n";

/// A run that starts another one.
const PARENT: &str = "\
[[step]]\nid = \"a\"\nuse = \"text/count\"\nwith = { n = 1 }\n\
[[step]]\nid = \"c\"\nworkflow = \"c.toml\"\n\
[[step]]\nid = \"b\"\nuse = \"text/echo\"\nwith = { got = \"${ steps.c.output.got }\" }\n";

/// A run that starts one for each item, two at a time, and tells of it at the end.
const FAMILY: &str = "\
[[step]]\nid = \"all\"\nworkflow = \"c.toml\"\nforeach = { items = \"[1, 2, 3]\", max_parallel = 2 }\n\
[[step]]\nid = \"at_last\"\nuse = \"text/echo\"\nfinally = true\nwith = { how = \"${ run.status }\" }\n";

/// A run that a step ends, beside one that waits and one whose time is over.
const ENDED: &str = "flow = \"graph\"\n\
[[step]]\nid = \"a\"\nuse = \"text/count\"\nwith = { n = 1 }\n\
[[step]]\nid = \"w\"\nwait = { signal = \"go\" }\n\
[[step]]\nid = \"t\"\nwait = { for = \"1h\" }\ndeadline = \"1ms\"\ncontinue_on_error = true\n\
[[step]]\nid = \"stop\"\nneeds = [\"a\", \"t\"]\nend = { status = \"completed\", output = \"${ steps.a.output }\" }\n";

/// A component that does with the world what it is told.
const WORLD: &str = "[plugins.world.allow]\nkv = [\"b\"]\nartifacts = true\n\
[[step]]\nid = \"a\"\nuse = \"world/visit\"\nwith = { calls = [\
{ do = \"once\", key = \"paid\", bucket = \"b\" }, { do = \"memo\", key = \"k\", value = 1 }, \
{ do = \"write\", name = \"r.txt\", text = \"0123456789\", times = 1000 }, { do = \"read\", offset = 9995, max = 9 }, \
{ do = \"get\", bucket = \"b\", key = \"paid\" } ] }\n\
[[step]]\nid = \"b\"\nuse = \"text/count\"\nwith = { n = 1 }\n";

/// The points of what an attempt brings about before it has an outcome, in addition.
const NOTE: [&str; 5] = [
    "before_note",
    "note_written",
    "after_note",
    "artifact_synced",
    "artifact_named",
];

/// The points of runs that start others, in addition.
const CHILD: [&str; 4] = [
    "child_written",
    "before_child_end",
    "child_goes_on",
    "before_child_stop",
];

/// A parent, whose child has these steps.
fn family(child: &str) -> Cli {
    let cli = cli(PARENT);
    cli.workflow("c.toml", child);
    cli
}

/// The only child of `r`.
fn child(cli: &Cli) -> String {
    let runs = cli.run("ls --json").expect(0).json();
    let mut ids = runs.as_array().unwrap().iter().map(|run| &run["id"]);
    let found = ids.clone().find(|id| *id != "r").expect("a child");
    assert_eq!(ids.by_ref().count(), 2, "{runs}");
    found.as_str().unwrap().to_owned()
}

fn cli(steps: &str) -> Cli {
    let cli = Cli::new();
    cli.workflow("w.toml", steps);
    cli
}

/// Runs a command that aborts at the n-th time at a point.
fn faulty(cli: &Cli, line: &str, point: &str, n: u64) -> Output {
    let mut command = cli.command(line);
    command.env("MILEPOST_FAULT", format!("{point}:{n}"));
    let output = command.stdin(Stdio::null()).output().unwrap();
    Output::of(output)
}

/// Aborts `line` at every point and every time it gets there; each time in a world of its own that `prepare` made, and then
/// `check`ed. Returns how often it aborted.
fn at_every_point(
    points: &[&str],
    prepare: impl Fn() -> Cli,
    line: &str,
    check: impl Fn(&Cli, bool),
) -> u64 {
    let mut aborted = 0;
    for point in points {
        for n in 1.. {
            let cli = prepare();
            let output = faulty(&cli, line, point, n);
            let survived = output.status != ABORTED;
            if survived {
                assert!(
                    [0, 1, 2, 3].contains(&output.status),
                    "{point}:{n}: {output:?}"
                );
            }
            check(&cli, survived);
            sound(&cli, &format!("{point}:{n}"));
            if survived {
                break;
            }
            aborted += 1;
        }
    }
    aborted
}

/// The store is whole, and every run replays.
fn sound(cli: &Cli, case: &str) {
    // An abort while the store was made leaves one that only a writer brings to its version.
    let doctor = cli.run("doctor --migrate --json");
    assert_eq!(doctor.status, 0, "{case}: {doctor:?}");
    for run in cli.run("ls --json").expect(0).json().as_array().unwrap() {
        let id = run["id"].as_str().unwrap();
        let replayed = cli.run(&format!("replay {id}"));
        assert_eq!(replayed.status, 0, "{case}: {replayed:?}");
    }
}

fn work(cli: &Cli) {
    cli.run("work --until-idle").expect(0);
}

fn count(cli: &Cli, run: &str, event: &str) -> usize {
    let document = cli.run(&format!("events {run} --json")).expect(0).json();
    let events = document["events"].as_array().unwrap();
    events
        .iter()
        .filter(|entry| entry["event"]["type"] == event)
        .count()
}

#[test]
fn a_run_survives_an_abort_at_every_point_of_every_commit() {
    let points = [&WRITE[..], &CALL[..]].concat();
    let aborted = at_every_point(
        &points,
        || cli(STEPS),
        "run w.toml --id r",
        |cli, _| {
            // A worker takes over what exists; what does not was not acknowledged and is started again.
            if cli.database().exists() {
                work(cli);
            }
            let run = cli.run("run w.toml --id r --json").expect(0).json();
            assert_eq!(run["status"], "completed", "{run}");
            // An attempt in flight was lost with its process, and counts.
            assert!(run["output"]["attempt"].as_u64().unwrap() >= 2, "{run}");
            // One completion per step, and one per pass of the loop.
            assert_eq!(count(cli, "r", "step_completed"), 4);
        },
    );
    println!("{aborted} aborts");
    assert!(aborted > 60, "{aborted}");
}

/// Aborts an undisturbed run of these steps at every point; it comes to its end, and every call completes once.
fn completes_once_each(steps: &'static str, calls: usize) -> u64 {
    let points = [&WRITE[..], &CALL[..]].concat();
    at_every_point(
        &points,
        || cli(steps),
        "run w.toml --id r",
        |cli, _| {
            if cli.database().exists() {
                work(cli);
            }
            let run = cli.run("run w.toml --id r --json").expect(0).json();
            assert_eq!(run["status"], "completed", "{run}");
            assert_eq!(count(cli, "r", "step_completed"), calls);
        },
    )
}

#[test]
fn what_a_component_did_with_the_world_survives_an_abort_at_every_point() {
    let points = [&NOTE[..], &COMMIT[..], &CALL[..]].concat();
    let aborted = at_every_point(
        &points,
        || cli(WORLD),
        "run w.toml --id r",
        |cli, survived| {
            if cli.database().exists() {
                work(cli);
            }
            let run = cli.run("run w.toml --id r --json").expect(0).json();
            let answers = &run["steps"][0]["output"];
            let paid = answers[0]["ok"].as_u64().unwrap();
            // It was done twice only where the end came between the work and the word that it was done.
            assert!(
                (1..=if survived { 1 } else { 2 }).contains(&paid),
                "{run:#}"
            );
            assert_eq!(answers[4]["ok"]["value"], paid.to_string(), "{run:#}");
            let settled = &answers[1]["ok"];
            let value = settled["fresh"].as_u64().or(settled["recorded"].as_u64());
            assert_eq!(value, Some(1), "{run:#}");
            assert_eq!(answers[3]["ok"], "56789", "{run:#}");
            cli.run("artifacts r r.txt -o out.txt").expect(0);
            assert_eq!(count(cli, "r", "step_completed"), 2);
        },
    );
    println!("{aborted} aborts");
    assert!(aborted > 15, "{aborted}");
}

/// Pages that a server counts; each is memoised when it came.
#[test]
fn a_request_that_was_settled_is_not_repeated_wherever_the_process_is_cut_off() {
    let server = RefCell::new(None);
    let prepare = || {
        let cli = Cli::new();
        let pages = Server::start(|seen| {
            let page: usize = match seen.target.split_once("page=") {
                Some((_, page)) => page.parse().unwrap(),
                None => 0,
            };
            let next = format!("</items?page={}>; rel=\"next\"", page + 1);
            let kind = ("content-type", "application/json");
            let body = format!("[{page}]");
            match page {
                2 => Reply::new(200, &[kind], body.as_bytes()),
                _ => Reply::new(200, &[kind, ("link", &next)], body.as_bytes()),
            }
        });
        let url = pages.url("/items");
        let steps = format!(
            "[[step]]\nid = \"all\"\nuse = \"fetch/pages\"\nwith = {{ url = \"{url}\" }}\n"
        );
        web::workflow(&cli, &pages, &steps);
        server.replace(Some(pages));
        cli
    };
    let points = [&NOTE[..3], &COMMIT[..], &CALL[..]].concat();
    let aborted = at_every_point(&points, prepare, "run web.toml --id r", |cli, survived| {
        if cli.database().exists() {
            work(cli);
        }
        let run = cli.run("run web.toml --id r --json").expect(0).json();
        let output = &run["steps"][0]["output"];
        assert_eq!(output["items"], serde_json::json!([0, 1, 2]), "{run:#}");
        let server = server.borrow();
        let seen = server.as_ref().unwrap().seen().into_iter();
        let asked: Vec<String> = seen.map(|seen| seen.target).collect();
        // Only the one whose answer nobody had noted yet.
        assert!(asked.len() <= 3 + usize::from(!survived), "{asked:?}");
        let mut each = asked.clone();
        each.dedup();
        assert_eq!(
            each,
            ["/items", "/items?page=1", "/items?page=2"],
            "{asked:?}"
        );
    });
    println!("{aborted} aborts");
    assert!(aborted > 15, "{aborted}");
}

#[test]
fn a_graph_survives_an_abort_at_every_point_of_every_commit() {
    let aborted = completes_once_each(GRAPH, 4);
    println!("{aborted} aborts");
    assert!(aborted > 40, "{aborted}");
}

#[test]
fn a_fan_out_survives_an_abort_at_every_point_of_every_commit() {
    let aborted = completes_once_each(FAN_OUT, 3 + 4);
    println!("{aborted} aborts");
    assert!(aborted > 40, "{aborted}");
}

#[test]
fn what_is_undone_is_undone_once_wherever_the_process_is_cut_off() {
    let points = [&WRITE[..], &CALL[..]].concat();
    let aborted = at_every_point(
        &points,
        || cli(UNDONE),
        "run w.toml --id r",
        |cli, _| {
            if cli.database().exists() {
                work(cli);
            }
            let run = cli.run("run w.toml --id r --json").expect(1).json();
            assert_eq!(run["stop"]["compensated"], 2, "{run}");
            assert_eq!(run["stop"]["code"], "step_failed", "{run}");
            // Two steps, what undoes each of them, and the last one.
            assert_eq!(count(cli, "r", "step_completed"), 5);
            assert_eq!(count(cli, "r", "run_finishing"), 1);
        },
    );
    println!("{aborted} aborts");
    assert!(aborted > 60, "{aborted}");
}

/// A run of which a fork repeats the end. What it keeps is large enough to be a blob that both share.
const FORKED: &str = "[inputs.n]\ntype = \"int\"\ndefault = 1\n\
[[step]]\nid = \"a\"\nuse = \"text/echo\"\nwith = { text = \"LARGE\" }\n\
[[step]]\nid = \"b\"\nuse = \"text/count\"\nwith = { n = \"${ inputs.n }\" }\n\
[[step]]\nid = \"c\"\nuse = \"text/echo\"\nwith = { a = \"${ steps.a.output }\", b = \"${ steps.b.output }\" }\n";

#[test]
fn a_fork_survives_an_abort_at_every_point_of_every_commit() {
    let points = [&WRITE[..], &CALL[..]].concat();
    let prepare = || {
        let cli = cli(&FORKED.replace("LARGE", &"x".repeat(20_000)));
        cli.run("run w.toml --id r").expect(0);
        cli
    };
    let aborted = at_every_point(
        &points,
        prepare,
        "fork r --from b --input n=2 --id f",
        |cli, _| {
            work(cli);
            // What was not acknowledged is forked again; what was is the same run.
            let run = cli.run("fork r --from b --input n=2 --id f --json");
            let run = run.expect(0).json();
            assert_eq!(run["status"], "completed", "{run}");
            assert_eq!(run["output"]["a"], cli.shown("r")["output"]["a"]);
            assert_ne!(run["output"]["b"], cli.shown("r")["output"]["b"]);
            assert_eq!(count(cli, "f", "step_completed"), 2);
            assert_eq!(count(cli, "r", "step_completed"), 3);
        },
    );
    println!("{aborted} aborts");
    assert!(aborted > 25, "{aborted}");
}

#[test]
fn b366_parent_and_child_survive_an_abort_at_every_point_of_every_commit() {
    let points = [&WRITE[..], &CALL[..], &CHILD[..2]].concat();
    let aborted = at_every_point(
        &points,
        || family("[[step]]\nid = \"x\"\nuse = \"text/echo\"\nwith = { got = 7 }\n"),
        "run w.toml --id r",
        |cli, _| {
            if cli.database().exists() {
                work(cli);
            }
            let run = cli.run("run w.toml --id r --json").expect(0).json();
            assert_eq!(run["output"]["got"], 7, "{run}");
            let child = child(cli);
            let completed = [("r", 2), (child.as_str(), 1)];
            for (run, calls) in completed {
                assert_eq!(cli.shown(run)["status"], "completed");
                assert_eq!(count(cli, run, "step_completed"), calls, "{run}");
            }
            assert_eq!(count(cli, "r", "child_ended"), 1);
        },
    );
    println!("{aborted} aborts");
    assert!(aborted > 60, "{aborted}");
}

#[test]
fn b370_children_of_items_survive_an_abort_at_every_point_of_every_commit() {
    let points = [&COMMIT[..], &CALL[..], &CHILD[..2]].concat();
    let prepare = || {
        let cli = cli(FAMILY);
        cli.workflow(
            "c.toml",
            "[[step]]\nid = \"x\"\nuse = \"text/count\"\nwith = { n = 1 }\n",
        );
        cli
    };
    let aborted = at_every_point(&points, prepare, "run w.toml --id r", |cli, _| {
        if cli.database().exists() {
            work(cli);
        }
        let run = cli.run("run w.toml --id r --json").expect(0).json();
        assert_eq!(run["status"], "completed", "{run}");
        let listed = cli.run("ls --flat --json").expect(0).json();
        let runs = listed.as_array().unwrap();
        assert_eq!(runs.len(), 4, "{listed}");
        for run in runs {
            assert_eq!(run["status"], "completed", "{run}");
            let id = run["id"].as_str().unwrap();
            assert_eq!(count(cli, id, "step_completed"), 1, "{id}");
        }
        assert_eq!(count(cli, "r", "child_ended"), 3);
        assert_eq!(count(cli, "r", "finally_started"), 1);
    });
    println!("{aborted} aborts");
    assert!(aborted > 40, "{aborted}");
}

#[test]
fn b333_a_run_that_a_step_ends_survives_an_abort_at_every_point_of_every_commit() {
    let points = [&WRITE[..], &CALL[..]].concat();
    let aborted = at_every_point(
        &points,
        || cli(ENDED),
        "run w.toml --id r",
        |cli, _| {
            if cli.database().exists() {
                work(cli);
            }
            let run = cli.run("run w.toml --id r --json").expect(0).json();
            assert_eq!(
                (&run["status"], &run["output"]["n"]),
                (&"completed".into(), &2.into()),
                "{run}"
            );
            assert_eq!(count(cli, "r", "step_completed"), 1);
            assert_eq!(count(cli, "r", "run_ending"), 1);
        },
    );
    println!("{aborted} aborts");
    assert!(aborted > 20, "{aborted}");
}

#[test]
fn b366_a_failed_child_goes_on_once_wherever_the_resume_of_its_parent_is_cut_off() {
    let prepare = || {
        let cli = family(
            "[[step]]\nid = \"x\"\nuse = \"flaky/fail_until\"\nwith = { succeed_on = 2 }\nretry = { max_attempts = 1, then = \"fail\" }\n\
             [[step]]\nid = \"y\"\nuse = \"text/echo\"\nwith = { got = 7 }\n",
        );
        cli.run("run w.toml --id r").expect(1);
        cli
    };
    let points = [&COMMIT[..], &CALL[..], &CHILD[..3]].concat();
    let aborted = at_every_point(&points, prepare, "resume r", |cli, _| {
        work(cli);
        if cli.shown("r")["status"] == "failed" {
            // What was not acknowledged is asked for again.
            cli.run("resume r").expect(0);
        }
        let run = cli.shown("r");
        assert_eq!(
            (&run["status"], &run["output"]["got"]),
            (&"completed".into(), &7.into())
        );
        assert_eq!(count(cli, &child(cli), "run_resumed"), 1);
    });
    assert!(aborted > 20, "{aborted}");
}

#[test]
fn b369_a_family_that_is_cancelled_ends_wherever_the_command_is_cut_off() {
    let prepare = || {
        let cli = family(ASKS);
        cli.run("run w.toml --id r").expect(2);
        cli
    };
    let points = [&["before_stop"], &WRITE[..], &CHILD[3..]].concat();
    let aborted = at_every_point(&points, prepare, "cancel r", |cli, _| {
        cli.run("cancel r").expect(0);
        for run in ["r", &child(cli)] {
            assert_eq!(cli.shown(run)["status"], "cancelled", "{run}");
            assert_eq!(count(cli, run, "run_cancelled"), 1, "{run}");
        }
    });
    assert!(aborted > 15, "{aborted}");
}

#[test]
fn b368_a_decision_at_a_child_moves_its_parent_wherever_it_is_cut_off() {
    let points = [&COMMIT[..], &CALL[..], &CHILD[..2]].concat();
    let decided = || {
        let cli = family(ASKS);
        cli.run("run w.toml --id r").expect(2);
        cli.run(&format!("approve {}", child(&cli))).expect(0);
        cli
    };
    let aborted = at_every_point(&points, decided, "work --until-idle", |cli, _| {
        work(cli);
        let run = cli.shown("r");
        assert_eq!(run["output"]["got"], "approved", "{run}");
        assert_eq!(count(cli, "r", "child_ended"), 1);
    });
    assert!(aborted > 15, "{aborted}");
}

#[test]
fn a_submitted_run_is_there_or_was_not_acknowledged() {
    at_every_point(
        &WRITE,
        || cli(STEPS),
        "submit w.toml --id r",
        |cli, survived| {
            let there = cli.database().exists() && cli.run("show r").status == 0;
            assert!(there || !survived);
            if there {
                work(cli);
                assert_eq!(cli.shown("r")["status"], "completed");
            }
        },
    );
}

#[test]
fn a_worker_survives_an_abort_at_every_point() {
    let prepare = || {
        let cli = cli(SHORT_WAIT);
        cli.run("submit w.toml --id r").expect(0);
        cli
    };
    let points = [&WRITE[..], &CALL[..]].concat();
    let aborted = at_every_point(&points, prepare, "work --until-idle", |cli, _| {
        work(cli);
        assert_eq!(cli.shown("r")["status"], "completed");
        assert_eq!(count(cli, "r", "step_completed"), 1);
    });
    assert!(aborted > 15, "{aborted}");
}

fn waiting(steps: &'static str) -> impl Fn() -> Cli {
    move || {
        let cli = cli(steps);
        cli.run("run w.toml --id r").expect(2);
        cli
    }
}

#[test]
fn a_signal_is_kept_or_was_not_acknowledged_and_is_taken_once() {
    let points = [
        &[
            "before_signal_insert",
            "after_signal_insert",
            "before_signal_consume",
        ],
        &WRITE[..],
    ]
    .concat();
    at_every_point(
        &points,
        waiting(WAITS),
        "signal r go --data 7",
        |cli, survived| {
            work(cli);
            let run = cli.shown("r");
            if survived || run["status"] == "completed" {
                assert_eq!(run["output"]["got"], 7, "{run}");
            } else {
                // Nobody was told that it arrived: sent again, it does.
                cli.run("signal r go --data 7").expect(0);
                work(cli);
                assert_eq!(cli.shown("r")["output"]["got"], 7);
            }
            assert_eq!(count(cli, "r", "signal_received"), 1);
        },
    );
}

#[test]
fn b304_a_decision_is_recorded_or_can_be_made_again() {
    let points = [&["before_decision"], &WRITE[..]].concat();
    at_every_point(&points, waiting(ASKS), "approve r", |cli, survived| {
        // Made already, the second one is told so.
        let recorded = count(cli, "r", "approval_decided") == 1;
        assert!(recorded || !survived, "what was answered is recorded");
        let again = cli.run("approve r").expect(0);
        let repeated = again.stdout.starts_with("nothing to approve");
        assert_eq!(repeated, recorded, "{again:?}");
        work(cli);
        let run = cli.shown("r");
        assert_eq!(run["output"]["got"], "approved", "{run}");
        assert_eq!(count(cli, "r", "approval_decided"), 1);
    });
}

#[test]
fn a_resume_goes_on_whenever_it_is_cut_off() {
    let steps = "[[step]]\nid = \"p\"\nuse = \"pausing/once\"\nwith = { state = 5 }\n";
    let points = [&WRITE[..], &CALL[..]].concat();
    at_every_point(&points, waiting(steps), "resume r", |cli, _| {
        work(cli);
        if cli.shown("r")["status"] == "paused" {
            cli.run("resume r").expect(0);
        }
        let run = cli.shown("r");
        assert_eq!(run["status"], "completed", "{run}");
        assert_eq!(run["output"]["state"], 5);
    });
}

#[test]
fn b285_a_cancellation_can_be_asked_for_again() {
    let points = [&["before_stop"], &WRITE[..]].concat();
    at_every_point(&points, waiting(WAITS), "cancel r", |cli, survived| {
        let again = cli.run("cancel r --json").expect(0).json();
        if survived {
            assert_eq!(again["answer"], "already_cancelled");
        }
        assert_eq!(cli.shown("r")["status"], "cancelled");
        assert_eq!(count(cli, "r", "run_cancelled"), 1);
    });
}

#[test]
fn b398_b399_a_run_that_kills_its_host_is_given_up_after_one_recovery() {
    let prepare = || {
        let cli = cli(STEPS);
        // It dies twice where nothing is recorded in between.
        assert_eq!(
            faulty(&cli, "run w.toml --id r", "after_claim", 1).status,
            ABORTED
        );
        assert_eq!(
            faulty(&cli, "work --until-idle", "after_claim", 1).status,
            ABORTED
        );
        cli
    };
    at_every_point(&["sweep"], prepare, "work --until-idle", |cli, _| {
        work(cli);
        let run = cli.shown("r");
        assert_eq!(run["status"], "failed");
        assert_eq!(run["stop"]["code"], "process_lost");
        assert_eq!(run["recoveries"], 1);
        // A person may try all the same.
        cli.run("resume r").expect(0);
    });
}

#[test]
fn an_abort_around_a_renewal_loses_nothing() {
    for point in ["before_renewal", "after_renewal"] {
        let cli = cli(LONG_WAIT);
        assert_eq!(faulty(&cli, "run w.toml --id r", point, 1).status, ABORTED);
        work(&cli);
        assert_eq!(cli.shown("r")["status"], "completed");
        sound(&cli, point);
    }
}

#[test]
fn an_abort_in_a_drain_leaves_runs_to_the_next_worker() {
    let cli = cli(LONG_WAIT);
    cli.run("submit w.toml --id r").expect(0);
    let mut worker = cli.start_with("work --verbose", &[("MILEPOST_FAULT", "drain:1")]);
    worker.until("waits");
    worker.signal("TERM");
    worker.wait().expect(ABORTED);
    work(&cli);
    assert_eq!(cli.shown("r")["status"], "completed");
    sound(&cli, "drain");
}

#[test]
fn an_abort_while_runs_are_removed_leaves_whole_runs() {
    let prepare = || {
        let cli = cli(STEPS);
        for id in ["r1", "r2", "r3"] {
            cli.run(&format!("run w.toml --id {id}")).expect(0);
        }
        cli
    };
    let points = ["gc", "before_sync", "after_sync"];
    at_every_point(&points, prepare, "gc --older-than 0s", |cli, _| {
        sound(cli, "half removed");
        cli.run("gc --older-than 0s").expect(0);
        assert_eq!(cli.run("ls --json").expect(0).json(), serde_json::json!([]));
    });
}

#[test]
fn a_request_to_a_running_run_reaches_it_or_was_not_acknowledged() {
    for (point, acknowledged) in [
        ("before_request", false),
        ("before_sync", false),
        ("after_sync", true),
    ] {
        let cli = cli(LONG_WAIT);
        let mut running = cli.start("run w.toml --id r");
        running.until("waits");
        assert_eq!(faulty(&cli, "cancel r", point, 1).status, ABORTED);
        if !acknowledged {
            cli.run("cancel r").expect(0);
        }
        running.wait().expect(3);
        assert_eq!(cli.shown("r")["status"], "cancelled");
        sound(&cli, point);
    }
}
