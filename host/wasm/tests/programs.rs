//! The capability `exec` with real programs: grants, the tape, replay, and what a hostile guest can hold.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test")]

mod guests;

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use guests::{Guest, NOW, block_on, call, error, execute, load, output, replay};
use milepost_core::effect::{Applied, Effect, GroupChange};
use milepost_core::grants::{ExecGrant, Grants};
use milepost_core::ids::Digest;
use milepost_core::limits;
use milepost_core::tape::{HostCall, Tape, TapeEntry};
use milepost_core::time::Timestamp;
use milepost_wasm::HostError;
use milepost_wasm::attempt::{
    AttemptHost, BoxFuture, Call, Callable as _, CancelFlag, LogLine, Mode, Progress,
};
use milepost_wasm::process_table::start_time;
use milepost_wasm::secrets::{SecretValue, Secrets};
use serde_json::{Value, json};

const IMPORTS: &str = r#"
  (import "milepost:step/exec@0.1.0" "[constructor]command" (func $command (param i32 i32) (result i32)))
  (import "milepost:step/exec@0.1.0" "[method]command.arg" (func $arg (param i32 i32 i32)))
  (import "milepost:step/exec@0.1.0" "[method]command.env" (func $env (param i32 i32 i32 i32 i32)))
  (import "milepost:step/exec@0.1.0" "[method]command.working-dir" (func $dir (param i32 i32 i32)))
  (import "milepost:step/exec@0.1.0" "[method]command.stdin" (func $stdin (param i32 i32 i32)))
  (import "milepost:step/exec@0.1.0" "[static]command.run" (func $run (param i32 i32)))
  (import "milepost:step/exec@0.1.0" "[method]outcome.stdout" (func $stdout (param i32 i32)))
"#;

/// `$sh` makes a command of the script that stands behind `/bin/sh` and `-c`; `$answer` returns what it wrote, or the code of the
/// error.
const ITEMS: &str = r#"
  (func $sh (result i32) (local $c i32)
    (local.set $c (call $command (i32.const 2048) (i32.const 7)))
    (call $arg (local.get $c) (i32.const 2055) (i32.const 2))
    (call $arg (local.get $c) (i32.const 2057) (i32.sub (global.get $data_n) (i32.const 9)))
    (local.get $c))
  (func $answer (result i32)
    (if (result i32) (i32.load8_u (i32.const 64))
      (then (call $ok_string (i32.const 68)))
      (else
        (call $stdout (i32.load (i32.const 68)) (i32.const 80))
        (call $ok_string (i32.const 80)))))
"#;

/// A guest that runs a script and returns what it wrote, which must be fit for a JSON string.
fn shell(script: &str) -> Vec<u8> {
    guest(
        script,
        "(call $run (call $sh) (i32.const 64)) (call $answer)",
    )
}

fn guest(script: &str, run: &str) -> Vec<u8> {
    Guest {
        imports: IMPORTS,
        items: ITEMS,
        run,
        data: &format!("/bin/sh-c{script}"),
        pages: 2,
    }
    .build()
}

/// A host that keeps what is noted, and does something before.
#[derive(Default)]
struct Store {
    notes: Mutex<Vec<Effect>>,
    refuses: bool,
    cancel: CancelFlag,
}

impl AttemptHost for Store {
    fn log<'a>(&'a self, _: &'a LogLine) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn progress<'a>(&'a self, _: &'a Progress) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn cancel_requested(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { self.cancel.is_raised() })
    }

    fn cancelled(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.cancel.raised())
    }

    fn now(&self) -> Option<Timestamp> {
        Some(NOW)
    }

    fn note(&self, effect: Effect) -> BoxFuture<'_, Result<Applied, HostError>> {
        Box::pin(async {
            if self.refuses {
                return Err(HostError::transient("unavailable", "the disk is full"));
            }
            self.notes.lock().unwrap().push(effect);
            Ok(Applied::Done)
        })
    }

    fn blob<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let notes = self.notes.lock().unwrap();
            let mut blobs = notes.iter().filter_map(|note| note.tape.as_ref());
            let found = blobs.find_map(|part| part.blobs.iter().find(|(name, _)| name == digest));
            found.map(|(_, bytes)| bytes.to_vec())
        })
    }
}

impl Store {
    fn groups(&self) -> Vec<GroupChange> {
        let notes = self.notes.lock().unwrap();
        notes
            .iter()
            .filter_map(|note| note.processes.clone())
            .collect()
    }

    /// Every group that began has ended, and nobody is left of any.
    fn assert_ended(&self, groups: usize) {
        let changes = self.groups();
        assert_eq!(changes.len(), 2 * groups, "{changes:?}");
        for pair in changes.chunks(2) {
            let [GroupChange::Began(began), GroupChange::Ended(ended)] = pair else {
                panic!("{pair:?}");
            };
            assert_eq!(began, ended);
            let begun = Instant::now();
            while start_time(began.group).is_some() {
                assert!(begun.elapsed() < Duration::from_secs(20));
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn sh_granted() -> Arc<Grants> {
    Arc::new(Grants {
        plugin: "tools".into(),
        exec: vec![ExecGrant {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), "**".into()],
            ..ExecGrant::default()
        }],
        ..Grants::default()
    })
}

fn call_on(store: &Arc<Store>) -> Call {
    Call {
        host: Arc::clone(store) as _,
        grants: sh_granted(),
        ..call()
    }
}

fn replay_on(store: &Arc<Store>, tape: &Tape) -> Call {
    Call {
        mode: Mode::Replay(Arc::new(tape.clone())),
        ..call_on(store)
    }
}

fn taped(tape: &Tape) -> &HostCall {
    match tape.entries.as_slice() {
        [TapeEntry::Host(call)] => call,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_program_runs_once_and_a_replay_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("times");
    let script = format!("echo again >> {}; printf '%s' done", file.display());
    let plugin = load(&shell(&script));
    let store = Arc::new(Store::default());
    let live = execute(&plugin, call_on(&store));
    assert_eq!(output(&live), "done");
    assert_eq!(fs::read_to_string(&file).unwrap(), "again\n");
    let recorded = taped(&live.tape);
    assert_eq!(
        (recorded.interface.as_str(), recorded.function.as_str()),
        ("exec", "run")
    );
    assert!(
        recorded.about.starts_with("/bin/sh -c echo again"),
        "{}",
        recorded.about
    );
    let sh = Digest::of(&fs::read("/bin/sh").unwrap());
    let answer = json!({"ok": {
        "program": "/bin/sh", "digest": sh, "exit_code": 0, "signal": null, "timed_out": false,
        "stdout": {"text": "done"}, "stderr": {"text": ""}, "stdout_dropped": 0, "stderr_dropped": 0,
    }});
    assert_eq!(recorded.answer, answer);
    store.assert_ended(1);
    for _ in 0..3 {
        let replayed = execute(&plugin, replay_on(&store, &live.tape));
        assert_eq!(output(&replayed), "done");
        assert_eq!((replayed.divergence, &replayed.tape), (None, &live.tape));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "again\n");
    // Where people see only the beginning, what differs is told.
    let long = |end: &str| load(&shell(&format!("exit 0; {} {end}", "x".repeat(400))));
    let live = execute(&long("a"), call_on(&store));
    let other = execute(&long("b"), replay_on(&store, &live.tape));
    let actual = other.divergence.unwrap().actual;
    assert!(actual.ends_with("); what differs: arguments"), "{actual}");
    let other = load(&shell(&script.replace("done", "gone")));
    let divergence = execute(&other, replay_on(&store, &live.tape))
        .divergence
        .unwrap();
    assert!(divergence.actual.contains("gone"), "{divergence:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "again\n");
}

#[test]
fn long_output_is_kept_beside_the_tape() {
    let plugin = load(&shell("head -c 90000 /dev/zero | tr '\\0' x"));
    let store = Arc::new(Store::default());
    let live = execute(&plugin, call_on(&store));
    assert_eq!(output(&live), &Value::from("x".repeat(90_000)));
    assert!(taped(&live.tape).answer["ok"]["stdout"]["blob"].is_string());
    let replayed = execute(&plugin, replay_on(&store, &live.tape));
    assert_eq!(output(&replayed), output(&live));
    assert_eq!(replayed.divergence, None);
}

#[test]
fn the_group_is_durable_before_the_program_starts_and_without_that_nothing_starts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("started");
    let plugin = load(&shell(&format!("echo started > {}", file.display())));
    let refusing = Arc::new(Store {
        refuses: true,
        ..Store::default()
    });
    let live = execute(&plugin, call_on(&refusing));
    assert_eq!(output(&live), "unavailable");
    let nowhere = Call {
        grants: sh_granted(),
        ..call()
    };
    assert_eq!(output(&execute(&plugin, nowhere)), "unavailable");
    assert!(!file.exists());
    let replayed = execute(&plugin, replay(&live.tape));
    assert_eq!(output(&replayed), "unavailable");
    assert_eq!(replayed.divergence, None);
}

#[test]
fn what_is_not_granted_is_denied_with_the_lines_to_add() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("started");
    let plugin = load(&shell(&format!("echo started > {}", file.display())));
    let store = Arc::new(Store::default());
    let grant = |program: &str, args: &[&str]| {
        Arc::new(Grants {
            plugin: "tools".into(),
            exec: vec![ExecGrant {
                program: program.into(),
                args: args.iter().map(|arg| (*arg).to_owned()).collect(),
                ..ExecGrant::default()
            }],
            ..Grants::default()
        })
    };
    for grants in [
        Arc::new(Grants::default()),
        grant("/bin/true", &["**"]),
        grant("sh", &["**"]),
        grant("/bin/sh", &["-c"]),
        grant("/bin/sh", &["-c", "exit*"]),
    ] {
        let live = execute(
            &plugin,
            Call {
                grants,
                ..call_on(&store)
            },
        );
        assert_eq!(output(&live), "denied");
        let message = taped(&live.tape).answer["error"]["message"].to_string();
        assert!(message.contains("{ program = "), "{message}");
        // The tape answers, whatever is granted by now.
        let replayed = execute(&plugin, replay_on(&store, &live.tape));
        assert_eq!(
            (output(&replayed), &replayed.divergence),
            (&"denied".into(), &None)
        );
    }
    assert!(!file.exists());
    assert_eq!(store.groups(), []);
}

#[test]
fn no_secret_gets_to_the_tape_by_a_program() {
    const VALUE: &str = "s3cret-Value-0123456789";
    let store = Arc::new(Store::default());
    let secrets = || {
        let value = SecretValue::new(VALUE).unwrap();
        Secrets::new(7, BTreeMap::from([("token".into(), Some(value))]))
    };
    // In the arguments, on both sides of where they are cut, and in both streams.
    let filler = "x".repeat(265);
    let script = format!("printf %s {VALUE}; echo {VALUE} >&2; : {filler}{VALUE}");
    let plugin = load(&shell(&script));
    for grants in [sh_granted(), Arc::new(Grants::default())] {
        let call = Call {
            grants,
            secrets: secrets(),
            ..call_on(&store)
        };
        let live = execute(&plugin, call);
        let tape = serde_json::to_string(&live.tape).unwrap();
        assert!(!tape.contains("s3cret"), "{tape}");
        assert!(tape.contains("***token***"), "{tape}");
        assert!(["***token***", "denied"].contains(&output(&live).as_str().unwrap()));
    }
}

#[test]
fn a_run_that_is_cancelled_ends_its_program() {
    let store = Arc::new(Store::default());
    let plugin = load(&shell("trap '' TERM; sleep 1000 & wait"));
    let live = block_on(async {
        let attempt = plugin.call(call_on(&store));
        let cancel = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            store.cancel.raise();
        };
        tokio::join!(attempt, cancel).0
    });
    assert_eq!(output(&live), "cancelled");
    store.assert_ended(1);
}

#[test]
fn the_end_of_an_attempt_is_that_of_its_programs() {
    let store = Arc::new(Store::default());
    let plugin = load(&shell("trap '' TERM; sleep 1000 & sleep 1000"));
    let timed = Call {
        timeout: Duration::from_millis(400),
        ..call_on(&store)
    };
    let live = execute(&plugin, timed);
    assert_eq!(error(&live).code, "timeout");
    let [entry] = &*live.tape.entries else {
        panic!("{:?}", live.tape);
    };
    let TapeEntry::Host(call) = entry else {
        panic!("{entry:?}");
    };
    assert_eq!(call.answer["error"]["code"], "unanswered");
    assert!(live.tape.not_replayable.is_some());
    store.assert_ended(1);
}

#[test]
fn a_guest_cannot_make_more_of_a_command_than_it_may() {
    let store = Arc::new(Store::default());
    // An argument of a page, and that again and again.
    let body = "(local $c i32) (local $i i32)
        (local.set $c (call $sh))
        (loop $more
          (call $arg (local.get $c) (i32.const 65536) (i32.const 65536))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $more (i32.lt_u (local.get $i) (i32.const 50))))
        (call $run (local.get $c) (i32.const 64)) (call $answer)";
    let live = execute(&load(&guest("exit 0", body)), call_on(&store));
    assert_eq!(output(&live), "too-large");
    assert_eq!(store.groups(), []);
}

#[test]
fn a_guest_cannot_hold_more_commands_and_outcomes_than_it_may() {
    let store = Arc::new(Store::default());
    // Three commands of 6 MiB each; the last one is one too many.
    let body = format!(
        "(local $c i32) (local $i i32)
        (drop (memory.grow (i32.const 96)))
        (loop $more
          (local.set $c (call $sh))
          (call $stdin (local.get $c) (i32.const 131072) (i32.const {}))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $more (i32.lt_u (local.get $i) (i32.const 3))))
        (call $run (local.get $c) (i32.const 64)) (call $answer)",
        6 * 1024 * 1024
    );
    let live = execute(&load(&guest("exit 0", &body)), call_on(&store));
    assert_eq!(output(&live), "too-large");
    // Outcomes that it never drops.
    let body = "(local $i i64)
        (block $full
          (loop $more
            (call $run (call $sh) (i32.const 64))
            (br_if $full (i32.load8_u (i32.const 64)))
            (local.set $i (i64.add (local.get $i) (i64.const 1)))
            (br $more)))
        (call $ok_number (local.get $i))";
    let script = "head -c 200000 /dev/zero; head -c 200000 /dev/zero >&2";
    let plugin = load(&guest(script, body));
    let live = execute(&plugin, call_on(&store));
    let held = output(&live).as_u64().unwrap() * 2 * limits::EXEC_OUTPUT_CHARACTERS as u64;
    assert!(held <= limits::EXEC_HELD_BYTES as u64, "{held}");
    assert!(held > limits::EXEC_HELD_BYTES as u64 / 2, "{held}");
    let replayed = execute(&plugin, replay_on(&store, &live.tape));
    assert_eq!(
        (output(&replayed), &replayed.divergence),
        (output(&live), &None)
    );
}

/// What prints where it is, without a line break behind it.
const WHERE: &str = "printf %s \"$(pwd -P)\"";

/// A guest that asks for that in a folder and with a variable.
fn pwd(folder: &str, (name, value): (&str, &str)) -> Vec<u8> {
    let texts = ["/bin/sh", "-c", WHERE, folder, name, value];
    let places = texts.iter().scan(2048, |end, text| {
        let begin = *end;
        *end += text.len();
        Some(format!("(i32.const {begin}) (i32.const {})", text.len()))
    });
    let places: Vec<String> = places.collect();
    let [program, c, script, folder, name, value] = &places[..] else {
        panic!("six texts");
    };
    let run = format!(
        "(local $c i32)
        (local.set $c (call $command {program}))
        (call $arg (local.get $c) {c})
        (call $arg (local.get $c) {script})
        (call $dir (local.get $c) {folder})
        (call $env (local.get $c) {name} {value})
        (call $run (local.get $c) (i32.const 64)) (call $answer)"
    );
    Guest {
        imports: IMPORTS,
        items: ITEMS,
        run: &run,
        data: &texts.concat(),
        pages: 2,
    }
    .build()
}

fn pwd_granted(env: &[&str], dirs: &[String]) -> Arc<Grants> {
    Arc::new(Grants {
        plugin: "tools".into(),
        exec: vec![ExecGrant {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), WHERE.into()],
            env: env.iter().map(|name| (*name).to_owned()).collect(),
            dirs: dirs.to_vec(),
        }],
        ..Grants::default()
    })
}

#[test]
fn b81_a_program_starts_only_in_a_folder_that_is_granted_by_what_it_is() {
    let around = tempfile::tempdir().unwrap();
    let around = fs::canonicalize(around.path()).unwrap();
    let path = |name: &str| around.join(name).to_str().unwrap().to_owned();
    for name in ["open", "open/inside", "closed"] {
        fs::create_dir(path(name)).unwrap();
    }
    std::os::unix::fs::symlink(path("closed"), path("open/out")).unwrap();
    std::os::unix::fs::symlink(path("open/inside"), path("in")).unwrap();
    let granted = pwd_granted(&["LANG"], &[path("open/**")]);
    let store = Arc::new(Store::default());
    let live = |folder: &str, grants: &Arc<Grants>| {
        let call = Call {
            grants: Arc::clone(grants),
            ..call_on(&store)
        };
        execute(&load(&pwd(folder, ("LANG", "C"))), call)
    };
    for (folder, really) in [
        (path("open"), path("open")),
        (path("open/inside"), path("open/inside")),
        (path("in"), path("open/inside")),
        (path("closed/../open/./inside/"), path("open/inside")),
        ("/".into(), "/".into()),
    ] {
        let live = live(&folder, &granted);
        assert_eq!(output(&live), &Value::from(really), "{folder}");
    }
    for (folder, really) in [
        (path("closed"), path("closed")),
        (path("open/out"), path("closed")),
        (path("open/../closed"), path("closed")),
        // What is not there is not told to whoever has no business there.
        (path("nothing"), path("nothing")),
    ] {
        let live = live(&folder, &granted);
        assert_eq!(output(&live), "denied", "{folder}");
        let message = taped(&live.tape).answer["error"]["message"].to_string();
        let line = format!("dirs = [\\\"{}\\\", \\\"{really}\\\"]", path("open/**"));
        assert!(message.contains(&line), "{folder}: {message}");
    }
    // No pattern names a path that is not its shortest.
    let roundabout = live(&path("open/../nothing"), &granted);
    assert_eq!(output(&roundabout), "denied");
    let message = taped(&roundabout.tape).answer["error"]["message"].to_string();
    assert!(message.contains("no grant is suggested"), "{message}");
    assert_eq!(output(&live(&path("open/nothing"), &granted)), "not-found");
    assert_eq!(
        output(&live(&path("open"), &pwd_granted(&["LANG"], &[]))),
        "denied"
    );
    assert_eq!(output(&live("open", &granted)), "invalid");
}

#[test]
fn b81_a_program_gets_only_variables_that_are_granted() {
    let store = Arc::new(Store::default());
    let answer = |variable: (&str, &str), env: &[&str]| {
        let call = Call {
            grants: pwd_granted(env, &[]),
            ..call_on(&store)
        };
        output(&execute(&load(&pwd("/", variable)), call)).clone()
    };
    for (variable, env, runs) in [
        (("LANG", "C"), &["LANG"][..], true),
        (("LANG", "C"), &["LANG=C"], true),
        (("LANG", "C"), &["L*"], true),
        (("LANG", "C"), &[], false),
        (("LANG", "C"), &["LC_*", "LANG=D"], false),
        (("LD_PRELOAD", ""), &["L*"], false),
        (("LD_PRELOAD", ""), &["LD_PRELOAD"], true),
    ] {
        let expected = if runs { "/" } else { "denied" };
        assert_eq!(answer(variable, env), expected, "{variable:?} {env:?}");
    }
}

#[test]
fn what_an_operator_denies_is_the_program_by_whatever_name_it_is_granted() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("tool");
    std::os::unix::fs::symlink("/bin/true", &link).unwrap();
    let link = link.to_str().unwrap().to_owned();
    let real = fs::canonicalize("/bin/true").unwrap();
    let real = real.to_str().unwrap();
    let plain = |program: &str| {
        Guest {
            imports: IMPORTS,
            items: ITEMS,
            run: &format!(
                "(call $run (call $command (i32.const 2048) (i32.const {})) (i32.const 64)) (call $answer)",
                program.len()
            ),
            data: program,
            pages: 2,
        }
        .build()
    };
    for (program, denied, runs) in [
        ("true", "exec=true", false),
        ("true", "exec=/bin/true", false),
        ("true", "exec=/usr/bin/true", false),
        ("/bin/true", "exec=true", false),
        ("/bin/true", &format!("exec={real}"), false),
        (link.as_str(), "exec=/bin/true", false),
        (link.as_str(), "exec=true", false),
        (link.as_str(), "exec=tool", false),
        ("true", "exec=tool", true),
        ("true", "exec=/opt/true", true),
        ("true", "exec=/bin/sh", true),
    ] {
        let store = Arc::new(Store::default());
        let grants = Grants {
            plugin: "tools".into(),
            exec: vec![ExecGrant {
                program: program.into(),
                ..ExecGrant::default()
            }],
            ..Grants::default()
        };
        let call = Call {
            grants: Arc::new(grants.narrowed(&denied.parse().unwrap())),
            ..call_on(&store)
        };
        let live = execute(&load(&plain(program)), call);
        let expected = if runs { "" } else { "denied" };
        assert_eq!(output(&live), expected, "{program} {denied}");
    }
}
