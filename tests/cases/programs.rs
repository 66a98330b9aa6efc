//! Programs that steps run, by the real program: what workflows see of them, and what is left of them when it is killed.

#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use milepost_tests::cli::{Cli, Output, Running, component};
use serde_json::json;

/// A workflow whose only step runs `sh -c SCRIPT`.
fn shell(script: &str, more: &str) -> String {
    format!(
        "schema = 1\nname = \"tool\"\n\
         [plugins.command]\nsource = {:?}\n\
         [plugins.command.allow]\nexec = [{{ program = \"sh\", args = [\"-c\", \"**\"], env = [\"PATH=/usr/bin:/bin\", \"HOME\"] }}]\n\
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
    assert_eq!(
        error["detail"],
        json!({
            "exit_code": 1, "timed_out": false, "stdout": "", "stderr": "rate limit exceeded, try again later\n",
        })
    );
    cli.write("tool.toml", shell("exit 4", ""));
    cli.run("run tool.toml --id silent").expect(1);
    let error = &cli.shown("silent")["steps"][0]["error"];
    assert_eq!(error["message"], "exited with code 4");
    cli.run("replay silent").expect(0);
}

#[test]
fn b162_an_error_object_in_what_a_program_writes_decides_nothing() {
    let cli = Cli::new();
    let noise = "warming up; please wait .. {\"error\": {\"type\": \"rate_limit_error\", \"retry_after\": 30, \"inner\": {\"code\": 429}}} .. done";
    for (exit, status) in [(1, 1), (0, 0)] {
        let script = format!("echo '{noise}' >&2; exit {exit}");
        let workflow = shell(&script, "").replace(
            "use = \"command/run\"\n",
            "use = \"command/run\"\nretry = { max_attempts = 3, initial = \"1ms\" }\n",
        );
        cli.write("tool.toml", workflow);
        let run = cli.run(&format!("run tool.toml --id exit-{exit} --json"));
        let step = &run.expect(status).json()["steps"][0];
        assert_eq!(step["attempts"], 1, "{step:#}");
        if exit == 1 {
            assert_eq!(step["error"]["code"], "exit-code", "{step:#}");
        }
    }
}

#[test]
fn b72_what_a_program_that_fails_wrote_and_how_it_ended_is_not_lost() {
    let cli = Cli::new();
    cli.write("tool.toml", shell("echo '3 tests failed'; exit 5", ""));
    cli.run("run tool.toml --id r").expect(1);
    let shown = cli.shown("r");
    let error = &shown["steps"][0]["error"];
    assert_eq!(error["message"], "exited with code 5: 3 tests failed");
    assert_eq!(error["detail"]["stdout"], "3 tests failed\n");
    let told = cli.run("show r").expect(0).stdout;
    assert!(
        told.contains("exited with code 5: 3 tests failed"),
        "{told}"
    );
    assert!(told.contains("; exit 5: exit code 5, "), "{told}");
    cli.write("tool.toml", shell("kill -SEGV $$", ""));
    cli.run("run tool.toml --id killed").expect(1);
    let told = cli.run("show killed").expect(0).stdout;
    assert!(told.contains("kill -SEGV $$: signal 11, "), "{told}");
}

#[test]
fn what_the_program_was_started_with_is_kept_from_what_steps_run() {
    let cli = Cli::new();
    cli.write("private", "of whoever started it");
    let reads = shell("cat <&9; ls /proc/self/fd", "allow_failure = true\n");
    cli.write("tool.toml", reads);
    let output = cli.shell("exec 9<private; milepost run tool.toml --id r");
    let output: serde_json::Value = serde_json::from_str(&output.expect(0).stdout).unwrap();
    assert_eq!(output["stdout"], "0\n1\n2\n3\n", "{output}");
}

#[test]
fn what_is_not_allowed_fails_the_step_with_the_lines_to_add() {
    let cli = Cli::new();
    let denied = shell("echo hello > denied", "")
        .replace("program = \"sh\", args", "program = \"git\", args");
    let denied = denied.replace(
        "echo hello > denied",
        &format!("echo hello > {}/denied", cli.folder().display()),
    );
    cli.write("tool.toml", &denied);
    cli.run("run tool.toml --id r").expect(1);
    let error = &cli.shown("r")["steps"][0]["error"];
    assert_eq!(error["code"], "denied");
    let message = error["message"].as_str().unwrap();
    let script = format!("echo hello > {}/denied", cli.folder().display());
    let item = "{ program = \"sh\", args = [\"-c\", \"SCRIPT\"], env = [\"PATH=/usr/bin:/bin\"] }";
    let item = item.replace("SCRIPT", &script);
    let expected = format!("add to the list `exec` of `[plugins.command.allow]`:\n{item}");
    assert!(message.contains(&expected), "{message}");
    cli.run("replay r").expect(0);
    let next = cli.run("show r").expect(0).stdout;
    assert!(next.contains("resume r --accept-changes"), "{next}");
    // What is told is what has to be done.
    let mended = denied.replace("exec = [", &format!("exec = [{item}, "));
    cli.write("tool.toml", mended);
    cli.run("resume r --accept-changes").expect(0);
    std::fs::remove_file(cli.folder().join("denied")).unwrap();
    // Another variable than those that are allowed, and a folder.
    for (more, lacks) in [
        (
            "",
            "env = [\"PATH=/usr/bin:/bin\", \"HOME\", \"BASH_ENV=/tmp/x\"]",
        ),
        ("working_dir = \"/etc\"\n", "dirs = [\"/etc\"]"),
    ] {
        let mut denied = shell("echo hello > denied", more);
        if more.is_empty() {
            denied = denied.replace("env = { ", "env = { BASH_ENV = \"/tmp/x\", ");
        }
        cli.write("tool.toml", denied);
        let id = if more.is_empty() { "env" } else { "dirs" };
        cli.run(&format!("run tool.toml --id {id}")).expect(1);
        let error = &cli.shown(id)["steps"][0]["error"];
        assert_eq!(error["code"], "denied");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(lacks), "{message}");
    }
    assert!(!cli.folder().join("denied").exists());
}

#[test]
fn what_is_denied_is_denied_also_before_the_end_of_a_run_that_is_cancelled_and_a_slip_is_told() {
    let cli = Cli::new();
    let last = "[[step]]\nid = \"last\"\nfinally = true\nuse = \"command/run\"\nwith = { program = \"sh\", args = [\"-c\", \"exit 0\"] }\n";
    let flow = shell("exit 0", last);
    cli.write("tool.toml", &flow);
    let ran = cli
        .run("run tool.toml --id slip --deny exec=hs --deny exec=/bin/sh")
        .expect(1);
    let told = "`--deny exec=hs` denies nothing that the workflow allows; it allows sh";
    assert_eq!(ran.stderr.matches("denies nothing").count(), 1, "{ran:?}");
    assert!(ran.stderr.contains(told), "{ran:?}");
    assert_eq!(cli.shown("slip")["steps"][0]["error"]["code"], "denied");
    // A place at which the name is not found.
    let ran = cli.run("run tool.toml --id elsewhere --deny exec=/opt/none/sh");
    let ran = ran.expect(0);
    let told = "`--deny exec=/opt/none/sh` does not deny `sh`, which is at ";
    assert!(ran.stderr.contains(told), "{ran:?}");
    for word in ["http=https://a.example", "exec=bin/sh", "exec=*"] {
        cli.run(&format!("run tool.toml --deny {word}")).expect(64);
    }
    let wait = "[[step]]\nid = \"wait\"\nwait = { signal = \"go\" }\n";
    cli.write(
        "wait.toml",
        flow.replace(
            "[[step]]\nid = \"last\"",
            &format!("{wait}[[step]]\nid = \"last\""),
        ),
    );
    for (id, deny, status) in [
        ("as-is", "", "completed"),
        ("denied", " --deny exec=sh", "failed"),
    ] {
        cli.run(&format!("run wait.toml --id {id}")).expect(2);
        cli.run(&format!("cancel {id}{deny}")).expect(0);
        let shown = cli.shown(id);
        assert_eq!(shown["status"], "cancelled", "{shown:#}");
        let steps = shown["steps"].as_array().unwrap();
        let last = steps.iter().find(|step| step["path"] == "last").unwrap();
        assert_eq!(last["status"], status, "{shown:#}");
        assert_eq!(
            last["error"]["code"] == "denied",
            status == "failed",
            "{shown:#}"
        );
    }
}

#[test]
fn what_the_environment_denies_no_command_line_allows() {
    let cli = Cli::new();
    cli.write("tool.toml", shell("exit 0", ""));
    let run = |id: &str, line: &str, variable: &str| {
        let mut command = cli.command(&format!("run tool.toml --id {id}{line}"));
        command.env("MILEPOST_DENY", variable);
        Output::of(command.output().unwrap())
    };
    for (id, line, variable) in [
        ("all", "", "exec"),
        ("one", "", " http , exec=sh"),
        ("both", " --deny exec=git", "exec=sh"),
    ] {
        let ran = run(id, line, variable).expect(1);
        // What is denied for all workflows is no slip where it does not concern one.
        assert!(!ran.stderr.contains("`--deny http`"), "{ran:?}");
        let error = &cli.shown(id)["steps"][0]["error"];
        assert_eq!(error["code"], "denied", "{error:#}");
    }
    run("none", "", "").expect(0);
    let ran = run("slip", "", "exec,htpp").expect(64);
    assert!(
        ran.stderr.contains("MILEPOST_DENY cannot be used: `htpp`"),
        "{ran:?}"
    );
    assert_ne!(cli.run("show slip").status, 0, "nothing has begun");
}

/// A run whose step has started processes that end by nothing but force, and their ids.
fn busy(cli: &Cli) -> (Running, Vec<u32>) {
    // The second time it is done at once.
    let script = "cd \"$HOME\"; if [ -e ids ]; then echo done; exit; fi; trap '' TERM; sleep 1000 & one=$!; setsid sleep 1000 & echo $$ $one $! > new; mv new ids; sleep 1000";
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
    assert_eq!(ids.len(), 3);
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

/// State, parent and process group.
fn stat(id: u32) -> Option<(String, u32, u32)> {
    let stat = std::fs::read_to_string(PathBuf::from(format!("/proc/{id}/stat"))).ok()?;
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    let state = fields.next()?.to_owned();
    let mut number = || fields.next()?.parse().ok();
    Some((state, number()?, number()?))
}

/// One that nobody has waited for has ended all the same.
fn lives(id: u32) -> bool {
    stat(id).is_some_and(|(state, ..)| state != "Z")
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

/// The same where what holds the group, and what starts the program, are killed as well.
fn orphaned(cli: &Cli) -> Vec<u32> {
    let (running, ids) = busy(cli);
    let (_, supervisor, holder) = stat(ids[0]).unwrap();
    assert_ne!(holder, ids[0], "it is held by another process");
    assert_ne!(
        supervisor,
        running.pid(),
        "it is started by another process"
    );
    // Otherwise it sees to it that what they leave is ended.
    running.signal("STOP");
    let helpers = [holder, supervisor].map(|id| id.to_string());
    let killed = std::process::Command::new("kill")
        .arg("-KILL")
        .args(helpers)
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

/// Processes whose command line has this text in it.
fn running(text: &str) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id: &u32| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    })
    .collect()
}

/// A time to sleep that nobody else sleeps.
fn own_time(number: u32) -> String {
    format!("9{number}.{}", std::process::id())
}

#[test]
fn b400_what_leaves_its_group_ends_with_its_program() {
    let cli = Cli::new();
    // Twenty programs at a time leave fifty daemons each, in sessions of their own and without a parent.
    let time = own_time(1);
    let script = format!(
        "i=0; while [ $i -lt 25 ]; do setsid sleep {time} & setsid sh -c 'trap \"\" TERM HUP; sleep {time} & exit' & i=$((i+1)); done; wait $!; echo left"
    );
    let workflow = shell(&script, "").replace(
        "use = \"command/run\"\n",
        "use = \"command/run\"\nforeach = { items = \"inputs.items\", max_parallel = 4 }\n",
    );
    let workflow = workflow.replace(
        "[plugins.command]\n",
        "[inputs.items]\ntype = \"json\"\n[plugins.command]\n",
    );
    cli.write("tool.toml", workflow);
    let items: Vec<u32> = (0..20).collect();
    cli.write("items.json", json!({ "items": items }).to_string());
    let run = cli.run("run tool.toml --inputs items.json --id r");
    let output = run.expect(0).stdout;
    assert_eq!(output.matches("left").count(), 20, "{output}");
    assert_eq!(running(&time), Vec::<u32>::new());
    // One that starts itself again and again, and ends each time, so that it is never there for long.
    cli.write("chase.sh", "setsid sh \"$0\" &\n");
    let chase = cli.folder().join("chase.sh");
    cli.write(
        "tool.toml",
        shell(&format!("sh {} & sleep 0.2", chase.display()), ""),
    );
    cli.run("run tool.toml --id chase").expect(0);
    assert_eq!(running("chase.sh"), Vec::<u32>::new());
    // What a program does to its own group is its own matter.
    let time = own_time(2);
    let script = format!("setsid sleep {time} & sleep 0.2; kill -9 0");
    cli.write("tool.toml", shell(&script, "allow_failure = true\n"));
    let output = cli.run("run tool.toml --id own").expect(0).stdout;
    assert!(output.contains("\"exit_code\": null"), "{output}");
    assert_eq!(running(&time), Vec::<u32>::new());
}

#[test]
fn b400_what_kills_its_own_supervisor_leaves_nothing_and_harms_no_other() {
    let cli = Cli::new();
    let time = own_time(4);
    // In sessions of their own, one without a parent; each starts others while it is looked for.
    let escape = format!(
        "setsid sh -c 'while :; do setsid sleep {time} & sleep 0.01; done' & setsid sleep {time} & sleep 0.2; kill -9 $PPID; sleep {time}"
    );
    let honest = "setsid sleep 0.5; sleep 1; echo honest";
    let beside = "[[step]]\nid = \"honest\"\nuse = \"command/run\"\n[step.with]\nprogram = \"sh\"\nenv = { PATH = \"/usr/bin:/bin\" }\n";
    let beside = format!("allow_failure = true\n{beside}args = [\"-c\", {honest:?}]\n");
    let workflow = shell(&escape, &beside);
    cli.write(
        "tool.toml",
        workflow.replace("schema = 1\n", "schema = 1\nflow = \"graph\"\n"),
    );
    let run = cli.run("run tool.toml --id r --json").expect(0).json();
    let steps = run["steps"].as_array().unwrap();
    let output = |path: &str| &steps.iter().find(|step| step["path"] == path).unwrap()["output"];
    assert!(output("tool")["exit_code"].is_null(), "{run:#}");
    assert_eq!(output("honest")["stdout"], "honest\n", "{run:#}");
    assert_eq!(running(&time), Vec::<u32>::new());
}

#[test]
fn b78_b400_what_leaves_its_group_ends_at_the_timeout_and_with_the_program_that_is_killed() {
    let cli = Cli::new();
    let time = own_time(3);
    // Also the program itself has left.
    let script = format!("exec setsid sh -c 'trap \"\" TERM; setsid sleep {time} & sleep {time}'");
    cli.write(
        "tool.toml",
        shell(&script, "timeout_seconds = 1\nallow_failure = true\n"),
    );
    let output = cli.run("run tool.toml --id timed").expect(0).stdout;
    assert!(output.contains("\"timed_out\": true"), "{output}");
    assert_eq!(running(&time), Vec::<u32>::new());
    // It may end by itself when it is asked to.
    let script = format!("exec setsid sh -c 'trap \"echo asked; exit\" TERM; sleep {time} & wait'");
    cli.write(
        "tool.toml",
        shell(&script, "timeout_seconds = 1\nallow_failure = true\n"),
    );
    let output = cli.run("run tool.toml --id asked").expect(0).stdout;
    assert!(output.contains("asked"), "{output}");
    // Its owner is killed; nobody takes over.
    let script = format!("exec setsid sh -c 'setsid sleep {time} & cat'");
    cli.write(
        "tool.toml",
        shell(&script, "stdin = \"x\"\n").replace("& cat", "& sleep 1000"),
    );
    let owner = cli.start("run tool.toml --id killed");
    eventually("both of them", || (running(&time).len() >= 2).then_some(()));
    owner.signal("KILL");
    owner.wait();
    eventually("nobody", || running(&time).is_empty().then_some(()));
}

#[test]
fn a_program_that_is_supervised_gets_its_input_and_ends_as_it_ends() {
    let cli = Cli::new();
    let long = "x".repeat(300_000);
    for (id, script, more, expected) in [
        (
            "input",
            "wc -c",
            format!("stdin = \"{long}\"\n"),
            json!({"exit_code": 0, "stdout": "300000\n"}),
        ),
        (
            "unread",
            "exit 4",
            format!("stdin = \"{long}\"\n"),
            json!({"exit_code": 4}),
        ),
        (
            "signal",
            "kill -SEGV $$",
            String::new(),
            json!({"exit_code": null, "timed_out": false}),
        ),
        (
            "parent",
            "kill -9 $PPID; sleep 0.2; echo on",
            String::new(),
            json!({"exit_code": null}),
        ),
    ] {
        cli.write(
            "tool.toml",
            shell(script, &format!("{more}allow_failure = true\n")),
        );
        let output = cli
            .run(&format!("run tool.toml --id {id}"))
            .expect(0)
            .stdout;
        let output: serde_json::Value = serde_json::from_str(&output).unwrap();
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(output[key], *value, "{id}: {output}");
        }
    }
}

/// A command line, run by a user who is not root: root may read everything.
fn as_nobody(cli: &Cli, line: &str, environment: &[(&str, &str)]) -> String {
    let output = |command: &mut std::process::Command| {
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let own = cli.command(line);
    let root = output(std::process::Command::new("id").arg("-u")).trim() == "0";
    let mut command = match root {
        true => {
            let folder = cli.folder();
            output(
                std::process::Command::new("chown")
                    .args(["-R", "65534"])
                    .arg(folder),
            );
            let mut other = std::process::Command::new("setpriv");
            other
                .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
                .arg(own.get_program())
                .args(own.get_args())
                .current_dir(folder)
                .env_clear()
                .env("HOME", folder)
                .env("MILEPOST_CACHE", folder.join("cache"));
            other
        }
        false => own,
    };
    output(command.envs(environment.iter().copied()))
}

#[test]
fn a_program_cannot_read_a_secret_in_the_environment_of_the_one_that_runs_it() {
    let cli = Cli::new();
    // How many processes show it to the program. One that is no secret they do: the program runs as the same user.
    for (id, variable, shown) in [
        ("plain", "PLAIN_TOKEN", "1\n"),
        ("secret", "MILEPOST_SECRET_TOKEN", "0\n"),
    ] {
        let script = format!(
            "found=0\nfor file in /proc/[0-9]*/environ; do grep -qa {variable}= $file 2>/dev/null && found=$((found+1)); done\necho $found\n"
        );
        cli.write("look.sh", script);
        let look = cli.folder().join("look.sh");
        cli.write("tool.toml", shell(&format!("sh {}", look.display()), ""));
        let line = format!("run tool.toml --id {id}");
        let run = as_nobody(&cli, &line, &[(variable, "hunter2-hunter2")]);
        let output: serde_json::Value = serde_json::from_str(&run).unwrap();
        assert_eq!(output["stdout"], shown, "{output}");
    }
}
