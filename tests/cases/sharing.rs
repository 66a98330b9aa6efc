//! One busy or stopped process does not keep the others from the store.
#![cfg(unix)]

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use milepost_tests::cli::Cli;

/// Steps that do nothing, more of them than any test waits for.
const BUSY: &str = r#"
[limits]
loop = 10000
[[step]]
id = "many"
loop = { until = "false", max_iterations = 10000, on_exhausted = "continue" }
[[step]]
id = "l"
in = "many"
loop = { until = "false", max_iterations = 1000, on_exhausted = "continue" }
[[step]]
id = "c"
in = "l"
use = "text/echo"
with = { n = "${ loop.iteration }" }
"#;

/// A disk whose sync takes 8 ms, as that of many does.
const SLOW_SYNC: &str = r"
#define _GNU_SOURCE
#include <unistd.h>
#include <sys/syscall.h>
int fsync(int f) { usleep(8000); return syscall(SYS_fsync, f); }
int fdatasync(int f) { usleep(8000); return syscall(SYS_fdatasync, f); }
";

/// A run in the foreground, in a process group of its own as a shell starts it.
struct Busy {
    cli: Cli,
    child: Child,
}

impl Busy {
    fn start(more: impl FnOnce(&Cli, &mut Command)) -> Self {
        let cli = Cli::new();
        cli.workflow("busy.toml", BUSY);
        let mut command = cli.command("run busy.toml --id busy");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0);
        more(&cli, &mut command);
        let child = command.spawn().unwrap();
        let busy = Self { cli, child };
        while busy.cli.run("show busy").status != 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
        busy
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Its state as the kernel has it: `T` when it is stopped.
    fn state(&self) -> char {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        stat[stat.rfind(')').unwrap() + 2..].chars().next().unwrap()
    }

    fn until(&self, what: impl Fn(&Self) -> bool) {
        for _ in 0..1_000 {
            if what(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it did not come to that; state {}", self.state());
    }

    fn events(&self) -> u64 {
        let db = rusqlite::Connection::open(self.cli.database()).unwrap();
        db.busy_timeout(Duration::from_secs(5)).unwrap();
        let seq: i64 = db
            .query_row("SELECT seq FROM run WHERE id = 'busy'", [], |row| {
                row.get(0)
            })
            .unwrap();
        seq.unsigned_abs()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        // It has ended already when a test went wrong.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn others_get_their_turn_beside_a_busy_run_on_a_slow_disk() {
    let busy = Busy::start(|cli, command| {
        cli.write("slow.c", SLOW_SYNC);
        let (source, library) = (cli.folder().join("slow.c"), cli.folder().join("slow.so"));
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .status();
        assert!(built.unwrap().success());
        command.env("LD_PRELOAD", library);
    });
    let before = busy.events();
    // Three at a time, so that they also queue up behind each other.
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..10 {
                    busy.cli.run("submit busy.toml").expect(0);
                }
            });
        }
    });
    assert!(busy.events() > before, "and the busy run goes on");
    busy.cli.run("cancel busy").expect(0);
}

/// Ctrl-Z at any moment of a run that commits all the time.
#[cfg(target_os = "linux")]
#[test]
fn a_run_that_was_stopped_from_the_terminal_keeps_nobody_from_writing() {
    let busy = Busy::start(|_, _| {});
    for round in 0..10 {
        let before = busy.events();
        busy.until(|busy| busy.events() > before);
        busy.signal("TSTP");
        busy.until(|busy| busy.state() == 'T');
        let stopped_at = busy.events();
        busy.cli
            .run(&format!("submit busy.toml --id r{round}"))
            .expect(0);
        assert_eq!((busy.state(), busy.events()), ('T', stopped_at));
        busy.signal("CONT");
        busy.until(|busy| busy.events() > stopped_at);
    }
    // It still is the owner, and still hears what it is told.
    busy.cli.run("cancel busy").expect(0);
}
