//! Programs that steps run, by the real program: what workflows see of them, and what is left of them when it is killed.

#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use milepost_tests::cli::{Cli, Running, component};
use serde_json::json;

/// A workflow whose only step runs `sh -c SCRIPT`.
fn shell(script: &str, more: &str) -> String {
    format!(
        "schema = 1\nname = \"tool\"\n\
         [plugins.command]\nsource = {:?}\n\
         [plugins.command.allow]\nexec = [{{ program = \"sh\", args = [\"-c\", \"**\"] }}]\n\
         [[step]]\nid = \"tool\"\nuse = \"command/run\"\n\
         [step.with]\nprogram = \"sh\"\nenv = {{ PATH = \"/usr/bin:/bin\" }}\nargs = [\"-c\", {script:?}]\n{more}",
        component("command"),
    )
}

#[test]
fn b72_b79_a_program_that_may_fail_is_an_output() {
    let cli = Cli::new();
    cli.write(
        "tool.toml",
        shell("echo out; echo err >&2; exit 3", "allow_failure = true\n"),
    );
    let output = cli.run("run tool.toml --id r").expect(0).stdout;
    let expected = json!({
        "exit_code": 3, "success": false, "timed_out": false, "stdout": "out\n", "stderr": "err\n",
    });
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&output).unwrap(),
        expected
    );
    cli.run("replay r").expect(0);
}

#[test]
fn b73_b80_a_program_that_fails_fails_its_step_and_never_pauses_the_run() {
    let cli = Cli::new();
    let script = "echo 'rate limit exceeded, try again later' >&2; exit 1";
    cli.write("tool.toml", shell(script, ""));
    cli.run("run tool.toml --id r").expect(1);
    let error = &cli.shown("r")["steps"][0]["error"];
    assert_eq!(error["code"], "exit-code");
    assert_eq!(error["message"], "rate limit exceeded, try again later");
    assert_eq!(error["detail"], json!({"exit_code": 1}));
    cli.write("tool.toml", shell("exit 4", ""));
    cli.run("run tool.toml --id silent").expect(1);
    let error = &cli.shown("silent")["steps"][0]["error"];
    assert_eq!(error["message"], "exited with code 4");
    cli.run("replay silent").expect(0);
}

#[test]
fn what_is_not_allowed_fails_the_step_with_the_lines_to_add() {
    let cli = Cli::new();
    let denied = shell("echo hello > denied", "")
        .replace("program = \"sh\", args", "program = \"git\", args");
    cli.write("tool.toml", denied);
    cli.run("run tool.toml --id r").expect(1);
    let error = &cli.shown("r")["steps"][0]["error"];
    assert_eq!(error["code"], "denied");
    let message = error["message"].as_str().unwrap();
    for part in [
        "[plugins.command.allow]",
        "exec = [{ program = \"sh\", args = [\"-c\", ",
    ] {
        assert!(message.contains(part), "{message}");
    }
    cli.run("replay r").expect(0);
}

/// A run whose step has started processes that end by nothing but force, and their ids.
fn busy(cli: &Cli) -> (Running, Vec<u32>) {
    // The second time it is done at once.
    let script = "cd \"$HOME\"; if [ -e ids ]; then echo done; exit; fi; trap '' TERM; sleep 1000 & echo $$ $! > new; mv new ids; sleep 1000";
    let workflow = shell(script, "");
    let home = format!("env = {{ HOME = {:?}, ", cli.folder());
    cli.write("tool.toml", workflow.replace("env = { ", &home));
    let running = cli.start("run tool.toml --id r");
    let ids = cli.folder().join("ids");
    let text = eventually("its processes", || std::fs::read_to_string(&ids).ok());
    let ids: Vec<u32> = text
        .split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.iter().all(|id| lives(*id)));
    (running, ids)
}

fn eventually<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// State and process group.
fn stat(id: u32) -> Option<(String, u32)> {
    let stat = std::fs::read_to_string(PathBuf::from(format!("/proc/{id}/stat"))).ok()?;
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    let state = fields.next()?.to_owned();
    Some((state, fields.nth(1)?.parse().ok()?))
}

/// One that nobody has waited for has ended all the same.
fn lives(id: u32) -> bool {
    stat(id).is_some_and(|(state, _)| state != "Z")
}

fn all_end(ids: &[u32]) {
    for id in ids {
        eventually("the end of a process", || (!lives(*id)).then_some(()));
    }
}

#[test]
fn b400_what_a_step_started_ends_with_the_program_that_is_killed() {
    let cli = Cli::new();
    let (running, ids) = busy(&cli);
    running.signal("KILL");
    assert_eq!(running.wait().status, 137);
    // Nobody looks after the run: what holds the group has seen its parent die.
    all_end(&ids);
    let resumed = cli.run("resume r").expect(0);
    assert!(resumed.stdout.contains("done"), "{resumed:?}");
}

/// The same where what holds the group is killed as well.
fn orphaned(cli: &Cli) -> Vec<u32> {
    let (running, ids) = busy(cli);
    let (_, holder) = stat(ids[0]).unwrap();
    assert_ne!(holder, ids[0], "it is held by another process");
    let killed = std::process::Command::new("kill")
        .args(["-KILL", &holder.to_string()])
        .status();
    assert!(killed.unwrap().success());
    running.signal("KILL");
    assert_eq!(running.wait().status, 137);
    std::thread::sleep(Duration::from_millis(300));
    assert!(ids.iter().all(|id| lives(*id)), "somebody else ended them");
    ids
}

#[test]
fn b400_whoever_takes_a_lost_run_over_kills_what_its_step_started() {
    let cli = Cli::new();
    let ids = orphaned(&cli);
    let resumed = cli.run("resume r").expect(0);
    assert!(resumed.stdout.contains("done"), "{resumed:?}");
    let said = "killed what a step had started and a lost process had left running";
    assert!(resumed.stderr.contains(said), "{resumed:?}");
    all_end(&ids);
    cli.run("replay r").expect(0);
    cli.run("doctor").expect(0);
}

#[test]
fn b400_a_worker_kills_what_the_step_of_a_lost_run_started() {
    let cli = Cli::new();
    let ids = orphaned(&cli);
    let worker = cli.start("work");
    all_end(&ids);
    eventually("its end", || {
        (cli.shown("r")["status"] == "completed").then_some(())
    });
    worker.signal("TERM");
    worker.wait();
}

#[test]
fn b400_a_lost_run_that_is_cancelled_leaves_nothing_running() {
    let cli = Cli::new();
    let ids = orphaned(&cli);
    cli.run("cancel r").expect(0);
    all_end(&ids);
    assert_eq!(cli.shown("r")["status"], "cancelled");
}

#[test]
fn a_run_that_is_cancelled_ends_its_program() {
    let cli = Cli::new();
    let (running, ids) = busy(&cli);
    cli.run("cancel r").expect(0);
    assert_eq!(running.wait().status, 3);
    all_end(&ids);
}

#[test]
fn a_run_that_is_interrupted_ends_its_program_and_goes_on() {
    let cli = Cli::new();
    let (running, ids) = busy(&cli);
    running.signal("INT");
    assert_eq!(running.wait().status, 2);
    all_end(&ids);
    cli.run("resume r").expect(0);
}
