//! What a component sees of the world, how its calls are recorded and replayed.

#![expect(clippy::unwrap_used, reason = "a test")]

mod guests;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use guests::{
    Guest, NOW, TestHost, block_on, call, call_to, error, execute, execute_at_now, load, output,
    replay, runs,
};
use milepost_core::ids::StepId;
use milepost_core::outcome::{ErrorClass, Outcome, codes};
use milepost_core::payload::Payload;
use milepost_core::tape::{Tape, TapeEntry};
use milepost_wasm::attempt::{BoxFuture, Call, Callable as _, LogLevel, Progress, TapeDivergence};
use milepost_wasm::clock::{SystemClock, VirtualClock};
use milepost_wasm::{Compiler, Room, WasmEngine};
use serde_json::json;
use tokio::sync::Semaphore;

fn tape(entries: Vec<TapeEntry>) -> Tape {
    Tape {
        entries,
        ..Tape::default()
    }
}

#[test]
fn the_context_is_the_call() {
    let host = Arc::new(TestHost::default());
    host.cancel.raise();
    let mut call = call_to(&host);
    call.deadline = Some(NOW);
    call.resume_state = Some(Arc::new(json!({"page": 4})));
    call.outputs = Arc::new(BTreeMap::from([(
        StepId::new("fetch").unwrap(),
        Payload::new(json!([1, 2])),
    )]));
    call.config = Arc::new(BTreeMap::from([
        ("key".to_owned(), json!("v")),
        ("z".to_owned(), json!(1)),
    ]));

    let text = |interface: &str, name: &str| {
        let import = format!(
            r#"(import "milepost:step/{interface}@0.1.0" "{name}" (func $get (param i32)))"#
        );
        let guest = Guest {
            imports: &import,
            run: "(call $get (i32.const 1200)) (call $ok_string (i32.const 1200))",
            ..Guest::default()
        };
        output(&execute(&load(&guest.build()), call.clone()))
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(text("context", "run-id"), "run-1");
    assert_eq!(text("context", "workflow"), "flow");
    assert_eq!(text("context", "step-id"), "test");
    assert_eq!(text("context", "path"), "fix#2/test");
    assert_eq!(text("context", "idempotency-key"), "run-1/fix#2/test");
    // SHA-256 of `run-1` and of `run-1/fix#2/test#3`.
    assert_eq!(
        text("context", "trace-parent"),
        "00-4e65d3fbe8ad6535681b021b30785b12-0e14ad1b40ad5e6d-01"
    );

    let number = |signature: &str, name: &str, run: &str| {
        let import =
            format!(r#"(import "milepost:step/context@0.1.0" "{name}" (func $get {signature}))"#);
        let guest = Guest {
            imports: &import,
            run,
            data: "fetch",
            ..Guest::default()
        };
        output(&execute(&load(&guest.build()), call.clone())).clone()
    };
    let scalar = "(call $ok_number (i64.extend_i32_u (call $get)))";
    assert_eq!(number("(result i32)", "attempt", scalar), 3);
    assert_eq!(number("(result i32)", "cancel-requested", scalar), 1);
    // An option: whether it is there at 1200, the value after it.
    let option = "(call $get (i32.const 1200))
        (call $ok_number (i64.add
          (i64.mul (i64.load8_u (i32.const 1200)) (i64.const 100)) (i64.load32_u (i32.const 1204))))";
    assert_eq!(number("(param i32)", "loop-iteration", option), 102);
    assert_eq!(number("(param i32)", "item-index", option), 0);
    let deadline = "(call $get (i32.const 1200)) (call $ok_number (i64.load (i32.const 1208)))";
    assert_eq!(number("(param i32)", "deadline", deadline), NOW.as_nanos());
    // The text of an option, as it is: JSON.
    let document = "(call $get (i32.const 1200)) (call $ok (i32.load (i32.const 1204)) (i32.load (i32.const 1208)))";
    assert_eq!(
        number("(param i32)", "resume-state", document),
        json!({"page": 4})
    );
    let of = "(call $get (i32.const 2048) (i32.const 5) (i32.const 1200))
        (call $ok (i32.load (i32.const 1204)) (i32.load (i32.const 1208)))";
    assert_eq!(
        number("(param i32 i32 i32)", "output-of", of),
        json!([1, 2])
    );
    let unknown = "(call $get (i32.const 2048) (i32.const 4) (i32.const 1200))
        (call $ok_number (i64.load8_u (i32.const 1200)))";
    assert_eq!(number("(param i32 i32 i32)", "output-of", unknown), 0);
}

#[test]
fn the_config_is_the_call_too() {
    let mut call = call();
    call.config = Arc::new(BTreeMap::from([
        ("key".to_owned(), json!({"a": 1})),
        ("z".to_owned(), json!(1)),
    ]));
    let guest = Guest {
        imports: r#"(import "milepost:step/config@0.1.0" "get" (func $get (param i32 i32 i32)))"#,
        run: "(call $get (i32.const 2048) (i32.const 3) (i32.const 1200))
              (call $ok (i32.load (i32.const 1204)) (i32.load (i32.const 1208)))",
        data: "key",
        ..Guest::default()
    };
    assert_eq!(
        output(&execute(&load(&guest.build()), call.clone())),
        &json!({"a": 1})
    );
    let guest = Guest {
        imports: r#"(import "milepost:step/config@0.1.0" "keys" (func $keys (param i32)))"#,
        run: "(call $keys (i32.const 1200)) (call $ok_string (i32.load (i32.const 1200)))",
        ..Guest::default()
    };
    assert_eq!(output(&execute(&load(&guest.build()), call)), "key");
}

/// A guest whose output is the difference of two readings, with a sleep of 1.5 s between them, or whether it was cancelled.
fn clock_guest() -> Vec<u8> {
    let guest = Guest {
        imports: r#"
            (import "milepost:step/clock@0.1.0" "now" (func $now (result i64)))
            (import "milepost:step/clock@0.1.0" "sleep" (func $sleep (param i64)))
            (import "milepost:step/context@0.1.0" "cancel-requested" (func $cancelled (result i32)))"#,
        run: "(local $before i64)
            (local.set $before (call $now))
            (call $sleep (i64.const 1500))
            (if (call $cancelled) (then (return (call $ok_number (i64.const 0)))))
            (call $ok_number (i64.sub (call $now) (local.get $before)))",
        ..Guest::default()
    };
    guest.build()
}

#[test]
fn clocks_are_recorded_and_replay_to_the_same_output() {
    let bytes = clock_guest();
    let live = execute_at_now(&bytes, call());
    assert_eq!(output(&live), 1_500_000_000);
    let nanos = NOW.as_nanos();
    assert_eq!(
        live.tape,
        tape(vec![
            TapeEntry::WallClock { nanos },
            TapeEntry::Sleep { millis: 1500 },
            TapeEntry::CancelRequested { requested: false },
            TapeEntry::WallClock {
                nanos: nanos + 1_500_000_000
            },
        ])
    );
    // On the machine's clock, and with a cancellation that was not there before.
    let host = Arc::new(TestHost::default());
    host.cancel.raise();
    let again = Call {
        host,
        ..replay(&live.tape)
    };
    let replayed = execute(&load(&bytes), again);
    assert_eq!(
        (&replayed.outcome, &replayed.tape),
        (&live.outcome, &live.tape)
    );
    assert_eq!(replayed.divergence, None);
}

#[test]
fn a_replay_that_differs_from_its_tape_says_where() {
    let bytes = clock_guest();
    let recorded = execute_at_now(&bytes, call()).tape.entries;
    let edited = |edit: &dyn Fn(&mut Vec<TapeEntry>)| {
        let mut entries = recorded.clone();
        edit(&mut entries);
        execute(&load(&bytes), replay(&tape(entries))).divergence
    };
    let divergence = |index, recorded: Option<&str>, actual: &str| {
        Some(TapeDivergence {
            index,
            recorded: recorded.map(str::to_owned),
            actual: actual.to_owned(),
        })
    };
    assert_eq!(
        edited(&|entries| entries[1] = TapeEntry::Sleep { millis: 1 }),
        divergence(1, Some("sleep 1 ms"), "sleep 1500 ms")
    );
    assert_eq!(
        edited(&|entries| entries.rotate_left(1)),
        divergence(0, Some("sleep 1500 ms"), "wall clock")
    );
    assert_eq!(
        edited(&|entries| entries.truncate(3)),
        divergence(3, None, "wall clock")
    );
    assert_eq!(
        edited(&|entries| entries.push(TapeEntry::Sleep { millis: 2 })),
        divergence(4, Some("sleep 2 ms"), "the attempt ended")
    );
}

#[test]
fn a_tape_that_outgrows_its_bound_ends_neither_the_attempt_nor_silently() {
    let mut small = call();
    small.limits.tape_bytes = 100;
    let result = execute_at_now(&clock_guest(), small);
    assert_eq!(output(&result), 1_500_000_000);
    assert_eq!(
        result.tape.not_replayable.as_deref(),
        Some("the tape exceeded its maximum of 100 bytes")
    );
}

#[test]
fn random_bytes_are_a_function_of_the_seed() {
    let from = |import: &str, run: &str, seed| {
        let guest = Guest {
            imports: import,
            run,
            ..Guest::default()
        };
        output(&execute(&load(&guest.build()), Call { seed, ..call() }))
            .as_u64()
            .unwrap()
    };
    let contract = r#"(import "milepost:step/random@0.1.0" "bytes" (func $bytes (param i32 i32)))"#;
    let draw = "(call $bytes (i32.const 8) (i32.const 1200)) (call $ok_number (i64.load (i32.load (i32.const 1200))))";
    // ChaCha20, computed by an independent implementation.
    assert_eq!(
        from(contract, draw, 0x0102_0304_0506_0708),
        15_534_453_716_293_273_164
    );
    assert_ne!(from(contract, draw, 8), from(contract, draw, 7));
    let wasi = r#"(import "wasi:random/random@0.2.6" "get-random-u64" (func $u64 (result i64)))"#;
    let number = "(call $ok_number (call $u64))";
    assert_eq!(
        from(wasi, number, 7),
        from(contract, draw, 7),
        "one stream for all"
    );
}

#[test]
fn logs_and_progress_are_shown_live_kept_and_silent_in_replay() {
    let guest = Guest {
        imports: r#"
            (import "milepost:step/log@0.1.0" "emit" (func $log (param i32 i32 i32 i32 i32)))
            (import "milepost:step/progress@0.1.0" "report" (func $report (param i64 i32 i64 i32 i32)))"#,
        // Fields: one pair, key `one`, value `two`.
        run: "(i32.store (i32.const 1200) (i32.const 2048)) (i32.store (i32.const 1204) (i32.const 3))
            (i32.store (i32.const 1208) (i32.const 2051)) (i32.store (i32.const 1212) (i32.const 3))
            (call $log (i32.const 3) (i32.const 2054) (i32.const 4) (i32.const 1200) (i32.const 1))
            (call $report (i64.const 1) (i32.const 0) (i64.const 0) (i32.const 2048) (i32.const 0))
            (call $report (i64.const 2) (i32.const 1) (i64.const 9) (i32.const 2048) (i32.const 3))
            (call $ok_number (i64.const 1))",
        data: "onetwotext",
        ..Guest::default()
    };
    let plugin = load(&guest.build());
    let shown = Arc::new(TestHost::default());
    let live = execute(&plugin, call_to(&shown));
    let line = &live.logs[0];
    assert_eq!(
        (line.level, line.message.as_str(), line.fields.as_slice()),
        (
            LogLevel::Warn,
            "text",
            &[("one".to_owned(), "two".to_owned())][..]
        )
    );
    let last = Progress {
        done: 2,
        total: Some(9),
        message: "one".to_owned(),
    };
    assert_eq!(live.progress, Some(last.clone()));
    assert_eq!(*shown.lines.lock().unwrap(), live.logs);
    assert_eq!(shown.progress.lock().unwrap().last(), Some(&last));
    assert_eq!(shown.progress.lock().unwrap().len(), 2);

    let silent = Arc::new(TestHost::default());
    let again = execute(
        &plugin,
        Call {
            host: silent.clone(),
            ..replay(&live.tape)
        },
    );
    assert_eq!(
        (again.outcome, again.progress),
        (live.outcome, live.progress)
    );
    assert!(silent.lines.lock().unwrap().is_empty() && silent.progress.lock().unwrap().is_empty());
}

#[test]
fn b261_a_panic_of_the_host_ends_the_attempt_and_nothing_else() {
    let guest = Guest {
        imports: r#"(import "milepost:step/log@0.1.0" "emit" (func $log (param i32 i32 i32 i32 i32)))"#,
        run: "(call $log (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (unreachable)",
        ..Guest::default()
    };
    // Before it answers, or instead of its answer.
    let at_once: fn() -> BoxFuture<'static, ()> = || panic!("a broken sink");
    let later: fn() -> BoxFuture<'static, ()> = || {
        Box::pin(async {
            tokio::task::yield_now().await;
            panic!("a broken sink")
        })
    };
    for fails in [at_once, later] {
        let host = TestHost::on_line(move |_| fails());
        let result = execute(&load(&guest.build()), call_to(&host));
        guests::assert_failed(&result, ErrorClass::Host, codes::HOST_ERROR);
        assert!(error(&result).message.contains("a broken sink"));
    }
}

/// A host whose lines go through a pipe that is full: every line takes a permit.
fn slow(pipe: &Arc<Semaphore>) -> Arc<TestHost> {
    let pipe = Arc::clone(pipe);
    TestHost::on_line(move |_| {
        let pipe = Arc::clone(&pipe);
        Box::pin(async move { pipe.acquire().await.unwrap().forget() })
    })
}

/// Says `1` and `2` with `log` and `3` on stdout.
fn talker() -> Vec<u8> {
    let guest = Guest {
        imports: r#"(import "milepost:step/log@0.1.0" "emit" (func $log (param i32 i32 i32 i32 i32)))
            (import "wasi:cli/stdout@0.2.6" "get-stdout" (func $out (result i32)))
            (import "wasi:io/streams@0.2.6" "[method]output-stream.blocking-write-and-flush"
                (func $write (param i32 i32 i32 i32)))"#,
        run: "(call $log (i32.const 2) (i32.const 2048) (i32.const 1) (i32.const 0) (i32.const 0))
            (call $log (i32.const 2) (i32.const 2049) (i32.const 1) (i32.const 0) (i32.const 0))
            (call $write (call $out) (i32.const 2050) (i32.const 2) (i32.const 1200))
            (call $ok_number (i64.const 1))",
        data: "123\n",
        ..Guest::default()
    };
    guest.build()
}

#[test]
fn a_host_that_takes_its_time_holds_up_its_own_attempt_and_loses_nothing() {
    let pipe = Arc::new(Semaphore::new(0));
    let (held, free) = (slow(&pipe), Arc::new(TestHost::default()));
    let plugin = load(&talker());
    block_on(async {
        let mut attempt = pin!(plugin.call(call_to(&held)));
        for shown in 0..3 {
            // On one thread: another attempt begins and ends while this one waits for its host, also for that of a stream.
            let other = plugin.call(call_to(&free));
            tokio::select! {
                biased;
                _ = &mut attempt => panic!("it ended with {shown} lines shown"),
                result = other => assert_eq!(output(&result), 1),
            }
            assert_eq!(held.messages().len(), shown);
            pipe.add_permits(1);
        }
        let result = attempt.await;
        assert_eq!(output(&result), 1);
        assert_eq!(held.messages(), ["1", "2", "3"]);
        assert_eq!(*held.lines.lock().unwrap(), result.logs);
    });
}

#[test]
fn an_attempt_whose_host_does_not_answer_ends_in_time_with_what_it_said() {
    let pipe = Arc::new(Semaphore::new(1));
    let held = slow(&pipe);
    let call = || Call {
        timeout: Duration::from_millis(50),
        ..call_to(&held)
    };
    let plugin = load(&talker());
    let result = execute(&plugin, call());
    guests::assert_failed(&result, ErrorClass::Timeout, codes::TIMEOUT);
    let kept: Vec<_> = result.logs.iter().map(|line| &*line.message).collect();
    assert_eq!((kept, held.messages()), (vec!["1", "2"], vec!["1".into()]));

    // Dropped, as it is when its run is stopped, it ends at once, and makes room for the next.
    let room = Room {
        attempts: 1,
        ..Room::default()
    };
    let clock = Arc::new(SystemClock);
    let engine = WasmEngine::within(room, None, clock, Compiler::InProcess).unwrap();
    let plugin = engine.load_bytes(&talker()).unwrap();
    block_on(async {
        let mut attempt = plugin.call(Call {
            timeout: Duration::from_secs(60),
            ..call()
        });
        assert!(futures_util::poll!(&mut attempt).is_pending());
        drop(attempt);
        pipe.add_permits(3);
        assert_eq!(output(&plugin.call(call()).await), 1);
        assert_eq!(pipe.available_permits(), 0);
    });
}

#[test]
fn b359_an_attempt_that_is_silent_for_too_long_ends() {
    let clock = r#"(import "milepost:step/clock@0.1.0" "sleep" (func $sleep (param i64)))"#;
    let forever = |body: &str| {
        let run = format!("(loop $again {body} (br $again)) (unreachable)");
        load(
            &Guest {
                imports: clock,
                run: &run,
                ..Guest::default()
            }
            .build(),
        )
    };
    for (body, timeout, code) in [
        // It works, or sleeps, and says nothing.
        ("", 60_000, codes::IDLE),
        ("(call $sleep (i64.const 30000))", 60_000, codes::IDLE),
        // Every call of the host is a sign.
        ("(call $sleep (i64.const 5))", 600, codes::TIMEOUT),
    ] {
        let call = Call {
            timeout: Duration::from_millis(timeout),
            idle_timeout: Some(Duration::from_millis(200)),
            ..call()
        };
        let result = execute(&forever(body), call);
        guests::assert_failed(&result, ErrorClass::Timeout, code);
    }
}

#[test]
fn every_case_of_the_contracts_error_keeps_its_fields() {
    // Texts: c (code), m (message), p (provider), s (signal), then JSON.
    let ending = |run: &str| {
        let run = format!("(i32.store8 (i32.const 1024) (i32.const 1)) {run} (i32.const 1024)");
        let guest = Guest {
            run: &run,
            data: "cmps{}",
            ..Guest::default()
        };
        serde_json::to_value(execute(&load(&guest.build()), call()).outcome).unwrap()
    };
    let case = |n: u32| format!("(i32.store8 (i32.const 1032) (i32.const {n}))");
    let text = |at: u32, from: u32, n: u32| {
        let next = at + 4;
        format!(
            "(i32.store (i32.const {at}) (i32.const {from})) (i32.store (i32.const {next}) (i32.const {n}))"
        )
    };
    let some = |at: u32| format!("(i32.store8 (i32.const {at}) (i32.const 1))");
    let number = |at: u32, n: u64| format!("(i64.store (i32.const {at}) (i64.const {n}))");
    let head = text(1040, 2048, 1) + &text(1048, 2049, 1);
    let failure = head.clone() + &some(1056) + &text(1060, 2052, 2);
    let retry = some(1072) + &number(1080, 250) + &some(1088) + &text(1092, 2050, 1);
    let pause = some(1056)
        + &text(1060, 2050, 1)
        + &some(1072)
        + &number(1080, 1_000_000_000)
        + &some(1088)
        + &text(1092, 2051, 1)
        + &some(1100)
        + &text(1104, 2052, 2);
    assert_eq!(
        ending(&(case(0) + &failure + &retry)),
        json!({"failed": {"class": "retryable", "code": "c", "message": "m", "detail": {}, "provider": "p", "retry_after_millis": 250}})
    );
    assert_eq!(
        ending(&(case(1) + &failure)),
        json!({"failed": {"class": "failed", "code": "c", "message": "m", "detail": {}}})
    );
    assert_eq!(
        ending(&(case(2) + &head + &pause)),
        json!({"paused": {"code": "c", "reason": "m", "provider": "p", "signal": "s", "state": {},
            "until": "1970-01-01T00:00:01.000000000Z"}})
    );
    assert_eq!(
        ending(&(case(3) + &text(1040, 2049, 1))),
        json!({"cancelled": "m"})
    );
}

#[test]
fn at_least_128_attempts_are_in_flight_at_once() {
    let guest = Guest {
        imports: r#"(import "milepost:step/clock@0.1.0" "sleep" (func $sleep (param i64)))"#,
        run: "(call $sleep (i64.const 1000)) (call $ok_number (i64.const 1))",
        ..Guest::default()
    };
    let clock = VirtualClock::manual(NOW);
    let engine = WasmEngine::new(None, Arc::new(clock.clone())).unwrap();
    let plugin = engine.load_bytes(&guest.build()).unwrap();
    block_on(async {
        let attempts: Vec<_> = (0..128)
            .map(|_| {
                let plugin = plugin.clone();
                async move { plugin.call(call()).await }
            })
            .collect();
        let mut set = tokio::task::JoinSet::new();
        for attempt in attempts {
            set.spawn(attempt);
        }
        // All of them sleep before one of them wakes.
        while clock.waits().len() < 128 {
            tokio::task::yield_now().await;
        }
        clock.advance(std::time::Duration::from_secs(1));
        while let Some(result) = set.join_next().await {
            assert_eq!(result.unwrap().outcome, Outcome::Completed(json!(1)));
        }
    });
}

#[test]
fn b152_a_fresh_instance_serves_every_attempt() {
    // A counter in memory never gets beyond one.
    let plugin = load(&runs(
        "(i32.store (i32.const 1500) (i32.add (i32.load (i32.const 1500)) (i32.const 1)))
         (call $ok_number (i64.load32_u (i32.const 1500)))",
    ));
    for _ in 0..3 {
        assert_eq!(output(&execute(&plugin, call())), 1);
    }
}
