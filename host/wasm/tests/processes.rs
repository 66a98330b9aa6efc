//! Programs that steps run: real ones, and what is left of them, which is nothing.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use milepost_core::effect::ProcessGroup;
use milepost_core::limits;
use milepost_wasm::exec::{Command, Finished};
use milepost_wasm::process_group::{Orphans, kill_orphans};
use milepost_wasm::process_table::start_time;
use milepost_wasm::{ChildProgram, HostError};

/// One test counts what the process has open, the others open something.
static OPEN: RwLock<()> = RwLock::new(());

fn together() -> RwLockReadGuard<'static, ()> {
    OPEN.read().unwrap_or_else(|broken| broken.into_inner())
}

fn holder() -> ChildProgram {
    ChildProgram {
        program: "/bin/cat".into(),
        arguments: Vec::new(),
    }
}

fn sh(script: &str) -> Command {
    Command {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        ..Command::default()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    // I/O of a runtime is not needed, and its timers only by one test.
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

async fn started(command: Command) -> Result<Finished, HostError> {
    command.run(&holder(), async |_| Ok(())).await
}

fn run(command: Command) -> Finished {
    block_on(started(command)).unwrap()
}

fn refused(command: Command) -> String {
    block_on(started(command)).unwrap_err().code.into_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Waits until something is so.
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Processes whose ids a script wrote, a line each, end.
fn all_end(ids: &str) {
    assert!(!ids.trim().is_empty(), "no ids");
    for id in ids.split_whitespace() {
        let id = id.parse().unwrap();
        eventually("the end of a process", || start_time(id).is_none());
    }
}

#[test]
fn b72_a_program_that_ends_is_an_outcome_whatever_it_says() {
    let _open = together();
    let finished = run(sh("echo out; echo err >&2; exit 3"));
    assert_eq!(finished.exit_code, Some(3));
    assert_eq!((finished.signal, finished.timed_out), (None, false));
    assert_eq!(text(&finished.stdout.bytes), "out\n");
    assert_eq!(text(&finished.stderr.bytes), "err\n");
    assert_eq!(finished.program, Path::new("/bin/sh"));
    assert!(finished.digest.is_some());
    let finished = run(sh("kill -SEGV $$"));
    assert_eq!((finished.exit_code, finished.signal), (None, Some(11)));
}

#[test]
fn b75_b76_every_argument_arrives_as_it_was_given() {
    let _open = together();
    let args = [
        "", "a b", "'", "\"", "$HOME", "`id`", "*", "-n", "é\n", "\\", "; exit 1",
    ];
    let finished = run(Command {
        program: "/usr/bin/printf".into(),
        args: ["[%s]"].into_iter().chain(args).map(Into::into).collect(),
        ..Command::default()
    });
    let expected: String = args.iter().map(|arg| format!("[{arg}]")).collect();
    assert_eq!(text(&finished.stdout.bytes), expected);
}

#[test]
fn b81_a_program_finds_only_what_it_was_given() {
    let _open = together();
    let finished = run(Command {
        program: "env".into(),
        env: [("ONE", "1"), ("TWO", "a=b"), ("ONE", "2")]
            .map(|(name, value)| (name.into(), value.into()))
            .into(),
        ..Command::default()
    });
    let mut lines: Vec<String> = text(&finished.stdout.bytes)
        .lines()
        .map(Into::into)
        .collect();
    lines.sort();
    assert_eq!(lines, ["ONE=2", "TWO=a=b"]);
    assert_eq!(text(&run(sh("pwd; cat")).stdout.bytes), "/\n");
    let folder = tempfile::tempdir().unwrap();
    let place = fs::canonicalize(folder.path()).unwrap();
    let finished = run(Command {
        working_dir: Some(place.to_str().unwrap().into()),
        ..sh("pwd")
    });
    assert_eq!(
        text(&finished.stdout.bytes),
        format!("{}\n", place.display())
    );
}

#[test]
fn a_program_gets_its_standard_input_and_need_not_read_it() {
    let _open = together();
    let input = vec![b'x'; 3 * 1024 * 1024];
    let finished = run(Command {
        stdin: input.clone(),
        ..sh("wc -c")
    });
    assert_eq!(text(&finished.stdout.bytes).trim(), input.len().to_string());
    let finished = run(Command {
        stdin: input.clone(),
        ..sh("exec <&-; exit 5")
    });
    assert_eq!(finished.exit_code, Some(5));
    // What it writes meanwhile fills its pipe: both move at once.
    let finished = run(Command {
        stdin: input.clone(),
        ..sh("cat")
    });
    let kept = finished.stdout.bytes.len() as u64;
    assert_eq!(kept + finished.stdout.dropped, input.len() as u64);
}

#[test]
fn b78_a_program_whose_time_is_over_may_clean_up() {
    let _open = together();
    let finished = run(Command {
        timeout: Some(Duration::from_millis(200)),
        ..sh("trap 'echo cleaned; exit 9' TERM; while :; do sleep 0.01; done")
    });
    assert!(finished.timed_out);
    assert_eq!(finished.exit_code, None, "it did not end by itself");
    assert_eq!(text(&finished.stdout.bytes), "cleaned\n");
}

#[test]
fn b78_descendants_that_ignore_the_end_are_killed_at_the_timeout() {
    let _open = together();
    let begun = Instant::now();
    let finished = run(Command {
        timeout: Some(Duration::from_millis(200)),
        ..sh("trap '' TERM; (trap '' TERM; sleep 1000 & echo $!; wait) & echo $! $$; wait")
    });
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(finished.timed_out);
    assert_eq!((finished.exit_code, finished.signal), (None, Some(9)));
    all_end(&text(&finished.stdout.bytes));
}

#[test]
fn b400_what_a_program_leaves_behind_ends_with_it() {
    let _open = together();
    for script in [
        "sleep 1000 & echo $!",
        "( (sleep 1000 & echo $!) & ); sleep 0.3",
        "(trap '' TERM HUP; exec sleep 1000) & echo $!",
        "nohup sleep 1000 2>/dev/null & echo $!",
    ] {
        let begun = Instant::now();
        let finished = run(sh(script));
        assert!(begun.elapsed() < Duration::from_secs(10), "{script}");
        assert_eq!(finished.exit_code, Some(0), "{script}");
        all_end(&text(&finished.stdout.bytes));
    }
}

#[test]
fn a_program_that_closes_its_streams_is_waited_for() {
    let _open = together();
    let finished = run(sh("echo before; exec >&- 2>&-; sleep 0.3; exit 7"));
    assert_eq!(finished.exit_code, Some(7));
    assert_eq!(text(&finished.stdout.bytes), "before\n");
}

#[test]
fn whoever_leaves_the_group_holds_nothing_up() {
    let _open = together();
    let begun = Instant::now();
    let finished = run(sh("setsid sh -c 'echo $$; exec sleep 1000' & sleep 0.3"));
    assert!(begun.elapsed() < Duration::from_secs(10));
    let id: i32 = text(&finished.stdout.bytes).trim().parse().unwrap();
    // It is out of reach where no supervisor has started its program, so it is ended here.
    let id = rustix::process::Pid::from_raw(id).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn b77_of_a_flood_the_end_is_kept() {
    let _open = together();
    let finished = run(Command {
        timeout: Some(Duration::from_millis(500)),
        ..sh("yes >&2 & exec yes")
    });
    assert!(finished.timed_out);
    for stream in [finished.stdout, finished.stderr] {
        assert_eq!(stream.bytes.len(), limits::EXEC_OUTPUT_CHARACTERS);
        assert!(stream.dropped > 1_000_000, "{}", stream.dropped);
    }
}

#[test]
fn a_program_that_nobody_waits_for_any_more_is_killed() {
    let _open = together();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ids");
    let command = Command {
        args: vec![
            "-c".into(),
            "trap '' TERM; sleep 1000 & echo $! $$ > \"$0\"; wait".into(),
            file.to_str().unwrap().into(),
        ],
        ..sh("")
    };
    block_on(async {
        let mut running = Box::pin(started(command));
        let begun = Instant::now();
        let ids = loop {
            let waited = std::future::poll_fn(|cx| {
                let ended = running.as_mut().poll(cx).is_ready();
                std::task::Poll::Ready(ended)
            });
            assert!(!waited.await, "it ended");
            let ids = fs::read_to_string(&file).unwrap_or_default();
            if ids.ends_with('\n') {
                break ids;
            }
            assert!(begun.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
        };
        drop(running);
        all_end(&ids);
    });
}

#[test]
fn what_is_not_permitted_in_time_is_not_started() {
    let _open = together();
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("started");
    let command = || Command {
        program: "touch".into(),
        args: vec![file.to_str().unwrap().into()],
        ..Command::default()
    };
    let group = std::sync::Mutex::new(None);
    let ended = block_on(command().run(&holder(), async |name| {
        *group.lock().unwrap() = Some(name.clone());
        Err(HostError::transient("unavailable", "the store is gone"))
    }));
    assert_eq!(ended.unwrap_err().code, "unavailable");
    assert!(!file.exists());
    let group: ProcessGroup = group.into_inner().unwrap().unwrap();
    all_end(&group.group.to_string());
    run(command());
    assert!(file.exists());
}

#[test]
fn b400_a_group_is_killed_by_whoever_comes_after_its_owner_and_no_other_is() {
    let _open = together();
    let command = sh("sleep 1000 & wait");
    let finished = block_on(command.run(&holder(), async |name| {
        let name = name.clone();
        std::thread::spawn(move || {
            let later = ProcessGroup {
                started: name.started + 1,
                ..name.clone()
            };
            let rebooted = ProcessGroup {
                boot: "another pid:[1]".into(),
                ..name.clone()
            };
            let contained = ProcessGroup {
                boot: format!("{} pid:[1]", name.boot.split(' ').next().unwrap()),
                ..name.clone()
            };
            let elsewhere = ProcessGroup {
                host: "another".into(),
                ..name.clone()
            };
            assert_eq!(kill_orphans(&later), Orphans::None, "a reused number");
            assert_eq!(kill_orphans(&rebooted), Orphans::None);
            assert_eq!(kill_orphans(&contained), Orphans::OutOfSight);
            assert_eq!(kill_orphans(&elsewhere), Orphans::OutOfSight);
            std::thread::sleep(Duration::from_millis(300));
            // The holder, the shell, what the shell started.
            assert_eq!(kill_orphans(&name), Orphans::Killed(3));
            eventually("nobody left", || kill_orphans(&name) == Orphans::None);
        });
        Ok(())
    }));
    let finished = finished.unwrap();
    assert_eq!((finished.exit_code, finished.signal), (None, Some(9)));
}

#[test]
fn b74_what_cannot_be_started_says_why() {
    let _open = together();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let program = |program: String| Command {
        program,
        ..Command::default()
    };
    let argument = |argument: &str| Command {
        args: vec![argument.into()],
        ..program("true".into())
    };
    let variable = |name: &str, value: &str| Command {
        env: vec![(name.into(), value.into())],
        ..program("true".into())
    };
    let folder = |folder: &str| Command {
        working_dir: Some(folder.into()),
        ..program("true".into())
    };
    let long = "x".repeat(limits::EXEC_ARGUMENT_BYTES);
    for (expected, command) in [
        ("not-found", program("no-such-program".into())),
        (
            "not-found",
            program(file("orphan", "#!/no/such/interpreter\n")),
        ),
        ("not-executable", program("/etc/passwd".into())),
        (
            "not-executable",
            program(file("data", "neither script nor binary")),
        ),
        ("invalid", program("bin/true".into())),
        ("invalid", argument("a\0b")),
        ("invalid", variable("A=B", "c")),
        ("invalid", variable("", "c")),
        ("invalid", variable("A", "\0")),
        ("invalid", folder("tmp")),
        ("not-found", folder("/no/such/folder")),
        ("too-large", argument(&long)),
        ("too-large", variable("A", &long)),
        (
            "too-large",
            Command {
                stdin: vec![0; limits::EXEC_INPUT_BYTES + 1],
                ..program("true".into())
            },
        ),
    ] {
        let shown = format!(
            "{:?} {:?}",
            command.program,
            command.args.first().map(String::len)
        );
        assert_eq!(refused(command), expected, "{shown}");
    }
    assert_eq!(run(argument(&long[1..])).exit_code, Some(0));
}

#[test]
fn a_program_inherits_no_descriptor() {
    let _open = together();
    let listed = |output: &[u8]| -> Vec<String> {
        let mut all: Vec<String> = text(output).split_whitespace().map(Into::into).collect();
        all.sort();
        all
    };
    let _file = fs::File::open("/dev/null").unwrap();
    // As whoever started this process may have left one to it.
    let inherited = fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap();
    let _socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let finished = block_on(async {
        let slow = Box::pin(started(sh("sleep 0.5")));
        let list = Box::pin(started(Command {
            program: "/bin/ls".into(),
            args: vec!["/proc/self/fd".into()],
            ..Command::default()
        }));
        let (_, list) = tokio::join!(slow, list);
        list.unwrap()
    });
    // The streams, and the folder that is listed.
    assert_eq!(listed(&finished.stdout.bytes), ["0", "1", "2", "3"]);
}

#[test]
fn a_thousand_runs_leave_no_process_no_thread_and_no_descriptor() {
    let _alone = OPEN.write().unwrap_or_else(|broken| broken.into_inner());
    let count = |folder: &str| fs::read_dir(folder).unwrap().count();
    let children = || {
        let all = fs::read_dir("/proc").unwrap().flatten();
        let parent = format!("PPid:\t{}", std::process::id());
        all.filter(|entry| {
            let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            status.lines().any(|line| line == parent)
        })
        .count()
    };
    let (descriptors, processes) = (count("/proc/self/fd"), children());
    // Those of the test harness come and go.
    let threads = || {
        let all = fs::read_dir("/proc/self/task").unwrap().flatten();
        let name = |task: PathBuf| fs::read_to_string(task.join("comm"));
        all.filter(|task| name(task.path()).is_ok_and(|name| name == "exec\n"))
            .count()
    };
    block_on(async {
        for round in 0..250 {
            let timeout = Some(Duration::from_millis(round % 8));
            let fast = started(sh("sleep 1000 & exit 1"));
            let timed = started(Command { timeout, ..sh(":") });
            let missing = started(sh("exec /no/such/program"));
            let dropped = Duration::from_millis(round % 7);
            let dropped = tokio::time::timeout(dropped, started(sh("sleep 1000 & wait")));
            let (fast, _, missing, _) = tokio::join!(fast, timed, missing, dropped);
            assert_eq!(fast.unwrap().exit_code, Some(1));
            assert_eq!(missing.unwrap().exit_code, Some(127));
        }
    });
    // Fewer where an earlier test was still being cleaned up after.
    eventually("no descriptor", || count("/proc/self/fd") <= descriptors);
    eventually("no process", || children() <= processes);
    eventually("no thread", || threads() == 0);
}
