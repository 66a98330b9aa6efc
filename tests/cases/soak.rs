//! Hostile attempts beside honest runs in one worker, for a long time: every honest run completes, and what the worker holds of
//! memory, files, threads, processes and disk ends where it began.
//!
//! `MILEPOST_HOSTILE=1000` makes it longer; a plain run makes 120 hostile attempts beside 20 honest runs.
#![cfg(target_os = "linux")]

use std::fs;
use std::time::Duration;

use milepost_tests::cli::{Cli, Running, component};

/// One attempt of every kind in each pass.
const HOSTILE: &str = r#"
[limits]
loop = 1000
memory = "64MiB"
[inputs.passes]
type = "int"
[[step]]
id = "l"
loop = { until = "loop.iteration >= inputs.passes", max_iterations = 1000 }
"#;
/// Each with the input that makes it end soon.
const DEEDS: [(&str, &str); 12] = [
    ("trap", ""),
    ("panic", "message = \"boo\""),
    ("spin", ""),
    ("sleep", "ms = 30000"),
    ("allocate", ""),
    ("recurse", "n = 100000000"),
    ("big_output", "n = 5000000"),
    ("deep_output", "n = 65"),
    ("host_calls", "n = 200000"),
    ("log_flood", "lines = 300, bytes = 4096"),
    ("print", "stdout = \"\\u001b[2J\""),
    ("exit", "code = 3"),
];
/// A program that only force ends, with another one beside it, in an attempt that is over sooner. `TIME` is by what they are found.
const PROGRAMS: &str = r#"
[[step]]
id = "programs"
in = "l"
use = "command/run"
with = { program = "/bin/sh", args = ["-c", "trap '' TERM; /bin/sleep TIME & /bin/sleep TIME"] }
continue_on_error = true
timeout = "50ms"
"#;
const HONEST: &str = r#"
[[step]]
id = "l"
loop = { until = "loop.iteration == 3" }
[[step]]
id = "up"
in = "l"
use = "text/upper"
with = { text = "pass ${ loop.iteration }" }
"#;

/// What a process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    memory: u64,
    files: usize,
    threads: usize,
    children: usize,
}

impl Held {
    fn by(worker: &Running) -> Self {
        let place = format!("/proc/{}", worker.pid());
        let entries = |folder: &str| fs::read_dir(format!("{place}/{folder}")).unwrap().count();
        let status = fs::read_to_string(format!("{place}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u64 = resident
            .and_then(|line| line.split_whitespace().next()?.parse().ok())
            .unwrap();
        let children = fs::read_to_string(format!("{place}/task/{}/children", worker.pid()));
        Self {
            memory: kib * 1024,
            files: entries("fd"),
            threads: entries("task"),
            children: children.unwrap().split_whitespace().count(),
        }
    }

    /// A connection or a thread more or less, and as much memory as an allocator may keep.
    fn is_about(self, before: Self) -> bool {
        self.memory < before.memory + 96 * 1024 * 1024
            && self.files <= before.files + 4
            && self.threads <= before.threads + 4
            && self.children == 0
    }
}

/// Programs of [`PROGRAMS`] that have not ended.
fn programs_left(time: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines
        .filter(|line| line.windows(time.len()).any(|part| part == time.as_bytes()))
        .count()
}

fn attempt(deed: &str, with: &str) -> String {
    format!(
        "[[step]]\nid = \"{deed}\"\nin = \"l\"\nuse = \"hostile/{deed}\"\nwith = {{ {with} }}\ncontinue_on_error = true\ntimeout = \"50ms\"\n"
    )
}

/// Hands in `passes` passes of each hostile deed in 4 runs and `honest` honest runs, and waits until all of them are over.
fn drive(cli: &Cli, passes: u64, honest: u64) {
    let mut hostile = 0;
    for share in (0..4)
        .map(|n| passes / 4 + u64::from(n < passes % 4))
        .filter(|share| *share > 0)
    {
        cli.run(&format!("submit hostile.toml --input passes={share}"))
            .expect(0);
        hostile += 1;
    }
    for _ in 0..honest {
        cli.run("submit honest.toml").expect(0);
    }
    let listed = || cli.run("ls --limit 1000 --json").expect(0).json();
    loop {
        let listed = listed();
        let runs = listed.as_array().unwrap();
        assert_eq!(runs.len() as u64, hostile + honest);
        if runs
            .iter()
            .all(|run| !matches!(run["status"].as_str().unwrap(), "pending" | "running"))
        {
            for run in runs {
                assert_eq!(run["status"], "completed", "{run:#}");
            }
            return;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Removes what is over and says how large the store is then.
fn emptied(cli: &Cli) -> u64 {
    cli.run("gc --older-than 0s").expect(0);
    let folder = cli.database().parent().unwrap().to_owned();
    let files = fs::read_dir(folder).unwrap();
    files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

#[test]
fn hostile_attempts_leave_nothing_behind_and_honest_runs_complete() {
    let attempts =
        std::env::var("MILEPOST_HOSTILE").map_or(120, |text| text.parse::<u64>().unwrap());
    let passes = attempts.div_ceil(DEEDS.len() as u64);
    let cli = Cli::new();
    let deeds: String = DEEDS
        .iter()
        .map(|(deed, with)| attempt(deed, with))
        .collect();
    let time = format!("43210.{}", std::process::id());
    let programs = format!(
        "[plugins.command]\nsource = {:?}\n[plugins.command.allow]\nexec = [{{ program = \"/bin/sh\", args = [\"**\"] }}]\n",
        component("command")
    );
    cli.workflow(
        "hostile.toml",
        &format!(
            "{programs}{HOSTILE}{deeds}{}",
            PROGRAMS.replace("TIME", &time)
        ),
    );
    cli.workflow("honest.toml", HONEST);
    cli.run("run honest.toml").expect(0);
    emptied(&cli);
    let worker = cli.start("work --max-runs 8");
    drive(&cli, 4, 8);
    let (before, room_before) = (Held::by(&worker), emptied(&cli));

    drive(&cli, passes, attempts / 6);

    let mut after = Held::by(&worker);
    for _ in 0..300 {
        if after.is_about(before) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        after = Held::by(&worker);
    }
    assert!(after.is_about(before), "{before:#?} became {after:#?}");
    assert_eq!(programs_left(&time), 0);
    let room = emptied(&cli);
    assert!(
        room < room_before + 8 * 1024 * 1024,
        "{room_before} bytes became {room}"
    );
    println!(
        "{} hostile attempts: {before:?}, then {after:?}; {room_before} bytes, then {room}",
        passes * 12
    );
    worker.signal("TERM");
    worker.wait();
}
