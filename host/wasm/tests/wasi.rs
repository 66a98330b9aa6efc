//! What a component sees through WASI: nothing of the machine, and time as the tape has it.

#![expect(clippy::unwrap_used, reason = "a test")]

mod guests;

use std::sync::Arc;

use guests::{
    Guest, NOW, TestHost, block_on, call, call_to, execute, execute_at_now, load, output, replay,
};
use milepost_core::tape::TapeEntry;
use milepost_wasm::WasmEngine;
use milepost_wasm::attempt::{Callable as _, LogLevel};
use milepost_wasm::clock::VirtualClock;

#[test]
fn wasi_output_becomes_log_lines() {
    let write = |stream: &str, from: u32, n: u32| {
        format!(
            "(call $write (call ${stream}) (i32.const {from}) (i32.const {n}) (i32.const 1200))"
        )
    };
    let run = write("out", 2048, 5)
        + &write("err", 2053, 5)
        + &write("out", 2058, 3)
        + "(call $ok_number (i64.const 1))";
    let guest = Guest {
        imports: r#"
            (import "wasi:cli/stdout@0.2.6" "get-stdout" (func $out (result i32)))
            (import "wasi:cli/stderr@0.2.6" "get-stderr" (func $err (result i32)))
            (import "wasi:io/streams@0.2.6" "[method]output-stream.blocking-write-and-flush"
                (func $write (param i32 i32 i32 i32)))"#,
        run: &run,
        data: "one\ntoops\nwo.",
        ..Guest::default()
    };
    let result = execute(&load(&guest.build()), call());
    let lines: Vec<_> = result
        .logs
        .iter()
        .map(|line| (line.level, line.message.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            (LogLevel::Info, "one"),
            (LogLevel::Warn, "oops"),
            (LogLevel::Info, "two.")
        ]
    );
}

#[test]
fn wasi_shows_nothing_of_the_machine() {
    // Number of environment variables, arguments and open directories.
    let guest = Guest {
        imports: r#"
            (import "wasi:cli/environment@0.2.6" "get-environment" (func $environment (param i32)))
            (import "wasi:cli/environment@0.2.6" "get-arguments" (func $arguments (param i32)))
            (import "wasi:filesystem/preopens@0.2.6" "get-directories" (func $directories (param i32)))"#,
        run: "(call $environment (i32.const 1200)) (call $arguments (i32.const 1208)) (call $directories (i32.const 1216))
            (call $ok_number (i64.extend_i32_u (i32.add (i32.load (i32.const 1204))
              (i32.add (i32.load (i32.const 1212)) (i32.load (i32.const 1220))))))",
        ..Guest::default()
    };
    assert_eq!(output(&execute(&load(&guest.build()), call())), 0);
}

#[test]
fn wasi_opens_no_sockets() {
    for kind in ["tcp", "udp"] {
        let import = format!(
            r#"(import "wasi:sockets/{kind}-create-socket@0.2.6" "create-{kind}-socket" (func $create (param i32 i32)))"#
        );
        let guest = Guest {
            imports: &import,
            // Whether it failed, and the number of the error.
            run: "(call $create (i32.const 0) (i32.const 1200))
                (call $ok_number (i64.extend_i32_u (i32.add
                  (i32.mul (i32.load8_u (i32.const 1200)) (i32.const 100)) (i32.load8_u (i32.const 1204)))))",
            ..Guest::default()
        };
        assert_eq!(
            output(&execute(&load(&guest.build()), call())),
            101,
            "access denied"
        );
    }
}

#[test]
fn wasi_clocks_are_on_the_tape() {
    let guest = Guest {
        imports: r#"
            (import "wasi:clocks/wall-clock@0.2.6" "now" (func $wall (param i32)))
            (import "wasi:clocks/monotonic-clock@0.2.6" "now" (func $monotonic (result i64)))"#,
        run: "(call $wall (i32.const 1200))
            (call $ok_number (i64.add (i64.load (i32.const 1200)) (call $monotonic)))",
        ..Guest::default()
    };
    let bytes = guest.build();
    let live = execute_at_now(&bytes, call());
    assert_eq!(output(&live), 1_700_000_000);
    assert_eq!(
        live.tape.entries,
        [
            TapeEntry::WallClock {
                nanos: NOW.as_nanos()
            },
            TapeEntry::MonotonicClock { nanos: 0 }
        ]
    );
    let replayed = execute(&load(&bytes), replay(&live.tape));
    assert_eq!(
        (replayed.outcome, replayed.divergence),
        (live.outcome, None)
    );
}

#[test]
fn wasi_timers_answer_as_of_a_recorded_reading_and_never_wait_in_replay() {
    // Two timers, of one hour and of two; the output is how many are ready at first, and which one is.
    let guest = Guest {
        imports: r#"
            (import "wasi:clocks/monotonic-clock@0.2.6" "subscribe-duration" (func $timer (param i64) (result i32)))
            (import "wasi:io/poll@0.2.6" "[method]pollable.ready" (func $ready (param i32) (result i32)))
            (import "wasi:io/poll@0.2.6" "[method]pollable.block" (func $block (param i32)))
            (import "wasi:io/poll@0.2.6" "poll" (func $poll (param i32 i32 i32)))"#,
        run: "(local $early i32)
            (i32.store (i32.const 1200) (call $timer (i64.const 7200000000000)))
            (local.set $early (call $timer (i64.const 3600000000000)))
            (i32.store (i32.const 1204) (local.get $early))
            (if (call $ready (local.get $early)) (then (unreachable)))
            (call $poll (i32.const 1200) (i32.const 2) (i32.const 1208))
            (if (i32.eqz (call $ready (local.get $early))) (then (unreachable)))
            (call $block (i32.load (i32.const 1200)))
            (if (i32.eqz (call $ready (i32.load (i32.const 1200)))) (then (unreachable)))
            (call $ok_number (i64.extend_i32_u (i32.add
              (i32.mul (i32.load (i32.const 1212)) (i32.const 10))
              (i32.load (i32.load (i32.const 1208))))))",
        ..Guest::default()
    };
    let bytes = guest.build();
    let clock = VirtualClock::manual(NOW);
    let manual = WasmEngine::new(None, Arc::new(clock.clone())).unwrap();
    let plugin = manual.load_bytes(&bytes).unwrap();
    let live = block_on(async {
        let hours = async {
            while clock.waits().is_empty() {
                tokio::task::yield_now().await;
            }
            clock.advance(std::time::Duration::from_secs(3600));
            while clock.waits().len() < 3 {
                tokio::task::yield_now().await;
            }
            clock.advance(std::time::Duration::from_secs(3600));
        };
        tokio::join!(plugin.call(call()), hours).0
    });
    assert_eq!(output(&live), 11, "one is ready, the second of the list");
    let hour = 3_600_000_000_000;
    let readings: Vec<u64> = live
        .tape
        .entries
        .iter()
        .map(|entry| match entry {
            TapeEntry::MonotonicClock { nanos } => *nanos,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(readings, [0, 0, 0, hour, hour, 2 * hour]);

    // On a clock that nobody moves.
    let replayed = execute(&plugin, replay(&live.tape));
    assert_eq!(
        (replayed.outcome, replayed.divergence),
        (live.outcome, None)
    );
}

#[test]
fn a_poll_of_streams_answers_alike_however_slow_the_host_is() {
    // A stream with something to show, and a timer that is due: how many of the two are ready.
    let guest = Guest {
        imports: r#"
            (import "wasi:cli/stdout@0.2.6" "get-stdout" (func $out (result i32)))
            (import "wasi:io/streams@0.2.6" "[method]output-stream.write" (func $write (param i32 i32 i32 i32)))
            (import "wasi:io/streams@0.2.6" "[method]output-stream.subscribe" (func $subscribe (param i32) (result i32)))
            (import "wasi:clocks/monotonic-clock@0.2.6" "subscribe-duration" (func $timer (param i64) (result i32)))
            (import "wasi:io/poll@0.2.6" "poll" (func $poll (param i32 i32 i32)))"#,
        run: "(local $out i32)
            (local.set $out (call $out))
            (i32.store (i32.const 1200) (call $subscribe (local.get $out)))
            (i32.store (i32.const 1204) (call $timer (i64.const 0)))
            (call $write (local.get $out) (i32.const 2048) (i32.const 4) (i32.const 1216))
            (call $poll (i32.const 1200) (i32.const 2) (i32.const 1208))
            (call $ok_number (i64.extend_i32_u (i32.load (i32.const 1212))))",
        data: "a\nb\n",
        ..Guest::default()
    };
    let plugin = load(&guest.build());
    let slow =
        TestHost::on_line(|_| Box::pin(tokio::time::sleep(std::time::Duration::from_millis(20))));
    let live = execute(&plugin, call_to(&slow));
    assert_eq!(output(&live), 2);
    assert_eq!(slow.messages(), ["a", "b"]);
    let replayed = execute(&plugin, replay(&live.tape));
    assert_eq!(
        (replayed.outcome, replayed.divergence),
        (live.outcome, None)
    );
}
