//! The real program, killed with SIGKILL at random moments and resumed until it ends: the result is the one of an
//! undisturbed run, no completed step ran twice, in its child runs neither, the store opens clean and the run replays.
//!
//! `MILEPOST_KILLS` sets how often each example is killed (default 12), `MILEPOST_SEED` the moments; both are printed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use milepost_tests::cli::Cli;
use milepost_tests::rng::Rng;
use serde_json::Value;

pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// A workflow that is killed, and what is to be done and looked at meanwhile.
pub(crate) struct Victim<'a> {
    pub(crate) name: &'a str,
    pub(crate) file: PathBuf,
    pub(crate) arguments: String,
    /// A step whose output says in which attempt it came to it.
    pub(crate) counting: Option<&'a str>,
    /// Tidies up before each command what a program of others leaves behind when it is killed.
    pub(crate) tidy: &'a dyn Fn(),
    /// Before a run begins.
    pub(crate) begins: &'a dyn Fn(&Cli),
    /// A run was killed.
    pub(crate) killed: &'a dyn Fn(&Cli, &str),
    /// It came to its end after so many kills.
    pub(crate) ended: &'a dyn Fn(&Cli, &str, u64),
}

impl Victim<'_> {
    /// An example that needs nothing else.
    fn example(name: &str, arguments: impl Into<String>) -> Victim<'_> {
        Victim {
            name,
            file: examples().join(name).join("workflow.toml"),
            arguments: arguments.into(),
            counting: None,
            tidy: &|| {},
            begins: &|_| {},
            killed: &|_, _| {},
            ended: &|_, _, _| {},
        }
    }

    /// What a run leaves that must not depend on where it was disturbed: its output, and ending and output of every step.
    fn essence(&self, report: &Value) -> Value {
        let steps: Vec<Value> = report["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| {
                let counts = step["path"].as_str() == self.counting;
                let output = if counts {
                    &Value::Null
                } else {
                    &step["output"]
                };
                serde_json::json!([step["path"], step["status"], output, step["error"]])
            })
            .collect();
        serde_json::json!([report["status"], report["output"], steps])
    }
}

/// Starts the program and kills it after a while. It may have ended before: then there is nothing to kill.
fn killed_after(cli: &Cli, line: &str, after: Duration) -> ExitStatus {
    let mut child = cli
        .command(line)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap()
}

fn kill_again_and_again(name: &str, arguments: &str) {
    kill(&Victim::example(name, arguments));
}

pub(crate) fn kill(victim: &Victim<'_>) {
    let Victim {
        name,
        file,
        arguments,
        tidy,
        ..
    } = victim;
    let kills = setting("MILEPOST_KILLS", 12);
    let seed = setting("MILEPOST_SEED", 1);
    println!("{name}: {kills} kills, MILEPOST_SEED={seed}");
    let rng = Rng::new(seed);
    let cli = Cli::new();
    let start = |id: &str| format!("run {} {arguments} --id {id} --json", file.display());

    // Once to fill the code cache, once to see how long an undisturbed run takes.
    to_the_end(&cli, "warm", &start("warm"));
    let begun = Instant::now();
    let undisturbed = victim.essence(&to_the_end(&cli, "undisturbed", &start("undisturbed")));
    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap();

    let mut killed = 0;
    let mut run = 0;
    while killed < kills {
        run += 1;
        let id = format!("run-{run}");
        let before = killed;
        (victim.begins)(&cli);
        // Up to three kills of one run: while it starts, works, or is being resumed.
        let mut report = None;
        for _ in 0..=3 {
            let shown = cli.run(&format!("show {id} --json"));
            let exists = shown.status == 0;
            if exists && shown.json()["status"] == "completed" {
                // The kill came between the last commit and the end of the process.
                report = Some(shown.json());
                break;
            }
            // A supervisor would give the same command again; a person would resume. Both go on, but only a person goes on
            // with a run that was given up after two losses in a row, or that has paused.
            if exists && asks(&shown.json()) {
                cli.run(&format!("approve {id}")).expect(0);
            }
            let stands = exists
                && (shown.json()["stop"]["code"] == "process_lost"
                    || shown.json()["status"] == "paused");
            let line = if stands || exists && rng.below(2) == 0 {
                format!("resume {id} --json")
            } else {
                start(&id)
            };
            tidy();
            let ended = killed_after(&cli, &line, Duration::from_micros(rng.below(micros)));
            if ended.success() {
                report = Some(cli.shown(&id));
                break;
            }
            // It came to its question first.
            if ended.code() == Some(2) && asks(&cli.shown(&id)) {
                continue;
            }
            let lost_twice = ended.code() == Some(1)
                && cli.run(&format!("show {id} --json")).json()["stop"]["code"] == "process_lost";
            if lost_twice {
                continue;
            }
            let shown = || cli.run(&format!("show {id}")).stdout;
            let alone = || format!("{id}: it ended by itself: {ended}; {}", shown());
            assert_eq!(ended.signal(), Some(9), "{}", alone());
            // A kill before the first commit is survived too, but it is no kill of a run.
            killed += u64::from(cli.run(&format!("show {id} --json")).status == 0);
            (victim.killed)(&cli, &id);
        }
        let report = report.unwrap_or_else(|| {
            let shown = cli.run(&format!("show {id} --json"));
            let line = match shown.status {
                65 => start(&id),
                _ if shown.json()["status"] == "completed" => format!("show {id} --json"),
                _ => format!("resume {id} --json"),
            };
            tidy();
            to_the_end(&cli, &id, &line)
        });
        assert_eq!(victim.essence(&report), undisturbed, "{id}");
        (victim.ended)(&cli, &id, killed - before);
        let listed = cli.run("ls --flat --json --limit 1000").expect(0).json();
        let family = listed.as_array().unwrap().iter();
        let family = family.filter(|row| row["id"] == *id || row["parent"] == *id);
        for row in family {
            assert_eq!(row["status"], "completed", "{id}");
            assert_every_step_completed_once(&cli, row["id"].as_str().unwrap());
        }
        cli.run(&format!("replay {id}")).expect(0);
    }
    let integrity: String = rusqlite::Connection::open(cli.database())
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(integrity, "ok");
    // No run is lost: every one that was started is listed.
    let listed = cli.run("ls --json").expect(0).json();
    let text = listed.to_string();
    for n in 1..=run {
        assert!(
            text.contains(&format!("\"run-{n}\"")),
            "run-{n} is not listed"
        );
    }
}

/// Whether a person has to decide before the run goes on.
fn asks(shown: &Value) -> bool {
    shown["status"] == "paused" && shown["stop"]["code"] == "waiting_for_approval"
}

/// Gives the command, approves what the run asks, and resumes it until it has ended.
fn to_the_end(cli: &Cli, id: &str, line: &str) -> Value {
    let mut shown = cli.run(line);
    while shown.status == 2 && asks(&shown.json()) {
        cli.run(&format!("approve {id}")).expect(0);
        shown = cli.run(&format!("resume {id} --json"));
    }
    shown.expect(0).json()
}

/// Counts in the journal: each execution is completed exactly once and never started afterwards.
fn assert_every_step_completed_once(cli: &Cli, id: &str) {
    let document = cli.run(&format!("events {id} --json")).expect(0).json();
    let mut completed: BTreeMap<String, u64> = BTreeMap::new();
    for entry in document["events"].as_array().unwrap() {
        let event = &entry["event"];
        let path = event["path"].as_str().unwrap_or_default().to_owned();
        match event["type"].as_str().unwrap() {
            "step_started" => assert!(
                !completed.contains_key(&path),
                "{id}: {path} was completed and started again"
            ),
            "step_completed" | "loop_completed" | "item_completed" | "fan_out_completed"
            | "child_ended" | "approval_decided" => {
                let count = completed.entry(path.clone()).or_default();
                *count += 1;
                assert_eq!(*count, 1, "{id}: {path} was completed twice");
            }
            _ => {}
        }
    }
    assert!(!completed.is_empty());
}

#[test]
fn b106_table_report_survives_kills_at_random_moments() {
    let data = examples().join("table-report/data/orders.csv");
    kill_again_and_again("table-report", &format!("--input csv=@{}", data.display()));
}

#[test]
fn b106_word_count_survives_kills_at_random_moments() {
    let data = examples().join("word-count/data/handbook.txt");
    kill_again_and_again("word-count", &format!("--input text=@{}", data.display()));
}

#[test]
fn b106_release_notes_survive_kills_at_random_moments() {
    let folder = tempfile::tempdir().unwrap();
    let data = examples().join("release-notes/data/history.txt");
    let arguments = format!(
        "--input repository={} --input history=@{}",
        folder.path().join("kettle.git").display(),
        data.display()
    );
    // A Git that is killed while it writes a reference leaves its lock, and asks for somebody to remove it.
    let refs = folder.path().join("kettle.git/refs");
    let unlock = || {
        for kind in ["heads", "tags"] {
            let locks = fs::read_dir(refs.join(kind)).into_iter().flatten();
            for lock in locks.map(|lock| lock.unwrap().path()) {
                if lock
                    .extension()
                    .is_some_and(|extension| extension == "lock")
                {
                    // The one that wrote it is dead by now, or about to be.
                    let _ = fs::remove_file(lock);
                }
            }
        }
        for file in ["HEAD.lock", "config.lock", "packed-refs.lock"] {
            let _ = fs::remove_file(folder.path().join("kettle.git").join(file));
        }
    };
    kill(&Victim {
        tidy: &unlock,
        ..Victim::example("release-notes", arguments)
    });
}

#[test]
fn b106_nested_loops_survive_kills_at_random_moments() {
    kill_again_and_again("nested-loops", "");
}

#[test]
fn b106_release_train_and_its_child_runs_survive_kills_at_random_moments() {
    let data = examples().join("release-train/data/packages.json");
    let inputs = format!("--input train=2026.11 --input packages=@{}", data.display());
    kill_again_and_again("release-train", &inputs);
}

/// Killed wherever it is, a saga undoes what it did, each part once.
#[test]
fn saga_undoes_each_part_once_however_often_it_is_killed() {
    let cli = Cli::new();
    let file = examples().join("saga/workflow.toml");
    let rng = Rng::new(11);
    for n in 0..12 {
        let id = format!("saga-{n}");
        let mut line = format!("run {} --id {id}", file.display());
        for _ in 0..40 {
            killed_after(&cli, &line, Duration::from_millis(rng.below(400)));
            let shown = cli.run(&format!("show {id} --json"));
            if shown.status != 0 {
                continue;
            }
            let shown = shown.json();
            if shown["stop"]["compensated"] == 4 {
                break;
            }
            // Lost twice in a row, a run fails; what it has begun to undo is undone all the same.
            let given_up = shown["status"] == "failed" && !shown["compensations"].is_null();
            line = match given_up {
                true => format!("compensate {id}"),
                false => format!("resume {id}"),
            };
        }
        let shown = cli.run(&format!("show {id} --json")).expect(0).json();
        assert_eq!(shown["stop"]["compensated"], 4, "{id}: {shown}");
        assert_every_step_completed_once(&cli, &id);
        cli.run(&format!("replay {id}")).expect(0);
    }
}
