//! Components that misbehave: each ends its own attempt with a stable code, and nothing else. One test for every limit,
//! which fails when the limit is removed.

#![expect(clippy::unwrap_used, reason = "a test")]

mod guests;

use std::time::Duration;

use guests::{
    Guest, assert_failed, call, component, component_with_resources, engine, error, execute, load,
    output, returns, runs,
};
use milepost_core::limits;
use milepost_core::outcome::{ErrorClass, codes};
use milepost_wasm::Rejection;
use milepost_wasm::attempt::Call;

#[test]
fn an_endless_loop_runs_into_the_timeout_and_leaves_the_thread_to_others() {
    let plugin = load(&runs("(loop $again (br $again)) (unreachable)"));
    let call = Call {
        timeout: Duration::from_millis(100),
        ..call()
    };
    let beside = std::sync::atomic::AtomicBool::new(false);
    // On one thread: the sleep ends only because the loop gives way, long before its time is up.
    let result = guests::block_on(async {
        use milepost_wasm::attempt::Callable as _;
        let (result, ()) = tokio::join!(plugin.call(call), async {
            tokio::task::yield_now().await;
            beside.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        result
    });
    assert!(beside.into_inner());
    assert_failed(&result, ErrorClass::Timeout, codes::TIMEOUT);
}

#[test]
fn a_guest_that_sleeps_too_long_runs_into_the_timeout() {
    let guest = Guest {
        imports: r#"(import "milepost:step/clock@0.1.0" "sleep" (func $sleep (param i64)))"#,
        run: "(call $sleep (i64.const 50000)) (unreachable)",
        ..Guest::default()
    };
    let call = Call {
        timeout: Duration::from_millis(20),
        ..call()
    };
    assert_failed(
        &execute(&load(&guest.build()), call),
        ErrorClass::Timeout,
        codes::TIMEOUT,
    );
}

#[test]
fn memory_cannot_grow_beyond_the_limit() {
    let bomb = load(&runs(
        "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)",
    ));
    assert_failed(
        &execute(&bomb, call()),
        ErrorClass::Trap,
        codes::OUT_OF_MEMORY,
    );

    let polite = load(&runs(
        "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
         (call $ok_number (i64.extend_i32_u (memory.size)))",
    ));
    assert_eq!(
        output(&execute(&polite, call())),
        limits::MEMORY_BYTES / 65_536
    );
    let mut small = call();
    small.limits.memory_bytes = 10 * 65_536;
    assert_eq!(output(&execute(&polite, small)), 10);
}

#[test]
fn memory_at_the_start_counts_too() {
    let guest = |pages| {
        Guest {
            run: "(call $ok_number (i64.const 1))",
            pages,
            ..Guest::default()
        }
        .build()
    };
    let plugin = load(&guest(100));
    assert_eq!(output(&execute(&plugin, call())), 1);
    let mut small = call();
    small.limits.memory_bytes = 99 * 65_536;
    assert_failed(
        &execute(&plugin, small),
        ErrorClass::Trap,
        codes::OUT_OF_MEMORY,
    );

    // What no attempt could have is refused before there is one.
    let rejection = engine().load_bytes(&guest(5_000)).err();
    assert!(
        matches!(rejection, Some(Rejection::TooDemanding(_))),
        "{rejection:?}"
    );
}

#[test]
fn recursion_is_bounded() {
    let guest = Guest {
        items: "(func $deeper (param i32) (result i32)
            (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (local.get 0)))",
        run: "(call $deeper (i32.const 0))",
        ..Guest::default()
    };
    assert_failed(
        &execute(&load(&guest.build()), call()),
        ErrorClass::Trap,
        codes::STACK_OVERFLOW,
    );
}

#[test]
fn traps_have_one_code_and_show_where_they_happened() {
    let cases = [
        ("(unreachable)", "unreachable"),
        (
            "(i32.div_u (i32.const 1) (local.get $zero))",
            "divide by zero",
        ),
        ("(i32.load (i32.const -8))", "out of bounds memory access"),
        (
            "(call_indirect (type $other) (i32.const 1))",
            "indirect call type mismatch",
        ),
        (
            "(call_indirect (type $other) (i32.const 0))",
            "uninitialized element",
        ),
        (
            "(call_indirect (type $other) (i32.const 9))",
            "out of bounds table access",
        ),
        // Not a trap of the machine, but of the contract: a result that is no text.
        (
            "(call $ok (i32.const -100) (i32.const 50))",
            "string pointer/length out of bounds",
        ),
    ];
    for (culprit, says) in cases {
        let items = format!(
            "(type $other (func (result i32)))
             (table 2 2 funcref) (elem (i32.const 1) func $alloc)
             (func $culprit (result i32) (local $zero i32) {culprit})"
        );
        let guest = Guest {
            items: &items,
            run: "(call $culprit)",
            ..Guest::default()
        };
        let result = execute(&load(&guest.build()), call());
        assert_failed(&result, ErrorClass::Trap, codes::TRAP);
        let message = &error(&result).message;
        assert!(message.contains(says), "{culprit}: {message}");
        assert!(
            message.contains("culprit") || says.starts_with("string"),
            "{message}"
        );
    }
}

#[test]
fn a_backtrace_has_few_frames_and_short_names_and_no_debug_information() {
    let items = format!(
        r#"(func $deeper (param i32) (result i32)
             (if (i32.eqz (local.get 0)) (then (unreachable)))
             (i32.add (call $deeper (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
           (func ${} (result i32) (call $deeper (i32.const 3)))
           (@custom ".debug_info" "\ff\ff\ff\ff") (@custom ".debug_str" "secret.rs")"#,
        "n".repeat(100_000)
    );
    let trap = |run: &str| {
        let guest = Guest {
            items: &items,
            run,
            ..Guest::default()
        };
        let result = execute(&load(&guest.build()), call());
        assert_failed(&result, ErrorClass::Trap, codes::TRAP);
        error(&result).message.clone()
    };
    let deep = trap("(call $deeper (i32.const 1000))");
    assert_eq!(
        deep.matches("!deeper (").count(),
        limits::BACKTRACE_FRAMES,
        "{deep}"
    );
    let long = trap(&format!("(call ${})", "n".repeat(100_000)));
    let shown = long.matches('n').count();
    assert!((128..200).contains(&shown) && long.len() < 1_000, "{long}");
    assert!(!long.contains("secret"), "{long}");
}

#[test]
fn small_objects_do_not_multiply_into_memory() {
    let guest = |bytes: usize| {
        // `[{"":0},{"":0},…]`
        let run = format!(
            r#"(local $p i32)
               (i32.store8 (i32.const 16384) (i32.const 91))
               (local.set $p (i32.const 16385))
               (loop $again
                 (i64.store (local.get $p) (i64.const 0x2c7d303a22227b))
                 (local.set $p (i32.add (local.get $p) (i32.const 7)))
                 (br_if $again (i32.lt_u (local.get $p) (i32.const {bytes}))))
               (i32.store8 (i32.sub (local.get $p) (i32.const 1)) (i32.const 93))
               (call $ok (i32.const 16384) (i32.sub (local.get $p) (i32.const 16384)))"#
        );
        let guest = Guest {
            run: &run,
            pages: 100,
            ..Guest::default()
        };
        execute(&load(&guest.build()), call())
    };
    assert!(output(&guest(300_000)).is_array());
    let result = guest(limits::STEP_OUTPUT_BYTES);
    assert_failed(&result, ErrorClass::Trap, codes::OUTPUT_TOO_LARGE);
    assert!(error(&result).message.contains("many small objects"));
}

#[test]
fn b386_outputs_are_bounded_before_they_are_read() {
    // A JSON string of `n` bytes, in memory that is there from the start.
    let long = |n: usize| {
        let run = format!(
            "(memory.fill (i32.const 16384) (i32.const 97) (i32.const {n}))
             (i32.store8 (i32.const 16384) (i32.const 34))
             (i32.store8 (i32.const {}) (i32.const 34))
             (call $ok (i32.const 16384) (i32.const {n}))",
            16_384 + n - 1
        );
        let guest = Guest {
            run: &run,
            pages: 1_000,
            ..Guest::default()
        };
        load(&guest.build())
    };
    let fits = execute(&long(limits::STEP_OUTPUT_BYTES), call());
    assert_eq!(
        output(&fits).as_str().unwrap().len(),
        limits::STEP_OUTPUT_BYTES - 2
    );
    for bytes in [limits::STEP_OUTPUT_BYTES + 1, 50_000_000] {
        let result = execute(&long(bytes), call());
        assert_failed(&result, ErrorClass::Trap, codes::OUTPUT_TOO_LARGE);
    }
    let mut small = call();
    small.limits.output_bytes = 99;
    assert_failed(
        &execute(&long(100), small),
        ErrorClass::Trap,
        codes::OUTPUT_TOO_LARGE,
    );
}

#[test]
fn outputs_are_json_of_bounded_depth() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let result = execute(&load(&returns(&nested(limits::JSON_DEPTH))), call());
    assert!(output(&result).is_array());
    for text in [
        "",
        "{",
        "{\"a\":}",
        "undefined",
        &nested(limits::JSON_DEPTH + 1),
    ] {
        let result = execute(&load(&returns(text)), call());
        assert_failed(&result, ErrorClass::Trap, codes::INVALID_OUTPUT);
    }
}

#[test]
fn texts_inside_errors_and_pauses_are_bounded_and_must_be_json() {
    // `failed` with code, message and detail, and `paused` with code, reason and state, each of them a run of `a`.
    let failed = |detail: &str| {
        format!(
            "(memory.fill (i32.const 16384) (i32.const 97) (i32.const 40000))
             (i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1032) (i32.const 1))
             (i32.store (i32.const 1040) (i32.const 16384)) (i32.store (i32.const 1044) (i32.const 40000))
             (i32.store (i32.const 1048) (i32.const 16384)) (i32.store (i32.const 1052) (i32.const 40000))
             {detail} (i32.const 1024)"
        )
    };
    let plugin = |run: &str| {
        let guest = Guest {
            run,
            ..Guest::default()
        };
        load(&guest.build())
    };
    let result = execute(&plugin(&failed("")), call());
    assert_eq!(error(&result).class, ErrorClass::Failed);
    assert_eq!(error(&result).code, "a".repeat(128));
    assert_eq!(error(&result).message, "a".repeat(16 * 1024));

    let detail = "(i32.store8 (i32.const 1056) (i32.const 1))
        (i32.store (i32.const 1060) (i32.const 16384)) (i32.store (i32.const 1064) (i32.const 3))";
    let result = execute(&plugin(&failed(detail)), call());
    assert_failed(&result, ErrorClass::Trap, codes::INVALID_OUTPUT);

    let paused = "(memory.fill (i32.const 16384) (i32.const 97) (i32.const 40000))
        (i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1032) (i32.const 2))
        (i32.store8 (i32.const 1100) (i32.const 1))
        (i32.store (i32.const 1104) (i32.const 16384)) (i32.store (i32.const 1108) (i32.const 3))
        (i32.const 1024)";
    assert_failed(
        &execute(&plugin(paused), call()),
        ErrorClass::Trap,
        codes::INVALID_OUTPUT,
    );
}

#[test]
fn b250_a_flood_of_log_lines_is_dropped_and_counted() {
    let flood = |length: usize| {
        let run = format!(
            "(local $i i32) (memory.fill (i32.const 16384) (i32.const 97) (i32.const 40000))
             (loop $again
               (call $log (i32.const 2) (i32.const 16384) (i32.const {length}) (i32.const 0) (i32.const 0))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $i) (i32.const 2000))))
             (call $ok_number (i64.const 1))"
        );
        let guest = Guest {
            imports: r#"(import "milepost:step/log@0.1.0" "emit" (func $log (param i32 i32 i32 i32 i32)))"#,
            run: &run,
            ..Guest::default()
        };
        execute(&load(&guest.build()), call())
    };
    let result = flood(1_000);
    assert_eq!(output(&result), 1, "logging too much is no failure");
    let kept: usize = result.logs.iter().map(|line| line.message.len()).sum();
    let gap = result.logs.iter().find(|line| line.dropped.is_some());
    let gap = gap.unwrap().message.len();
    assert!(
        kept <= limits::LOG_BYTES && kept > limits::LOG_BYTES * 9 / 10,
        "{kept}"
    );
    let dropped = result.tape.log_dropped;
    assert_eq!(dropped.bytes, 2_000_000 + gap as u64 - kept as u64);
    assert_eq!(dropped.lines, 2_001 - result.logs.len() as u64);
    let (first, last) = (result.logs.first().unwrap(), result.logs.last().unwrap());
    assert!(
        first.dropped.is_none() && last.dropped.is_none(),
        "beginning and end are kept"
    );

    let result = flood(40_000);
    let mut lines = result.logs.iter().filter(|line| line.dropped.is_none());
    let cut = |message: &str| {
        message.strip_suffix("… (40000 bytes)").map(str::len) == Some(limits::LOG_MESSAGE_BYTES)
    };
    assert!(lines.all(|line| cut(&line.message)));
}

#[test]
fn characters_that_are_escaped_do_not_multiply_what_is_stored() {
    let guest = Guest {
        imports: r#"(import "milepost:step/log@0.1.0" "emit" (func $log (param i32 i32 i32 i32 i32)))
                    (import "milepost:step/clock@0.1.0" "now" (func $now (result i64)))"#,
        run: "(local $i i32) (memory.fill (i32.const 16384) (i32.const 1) (i32.const 10000))
             (loop $again
               (call $log (i32.const 2) (i32.const 16384) (i32.const 10000) (i32.const 0) (i32.const 0))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $i) (i32.const 1000))))
             (local.set $i (i32.const 0))
             (loop $again
               (drop (call $now))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $i) (i32.const 99000))))
             (call $ok_number (i64.const 1))",
        ..Guest::default()
    };
    let result = execute(&load(&guest.build()), call());
    assert_eq!(output(&result), 1);
    let stored = |line| serde_json::to_string(line).unwrap().len();
    let lines = result.logs.iter().filter(|line| line.dropped.is_none());
    let log: usize = lines.map(stored).sum();
    assert!(
        log <= limits::LOG_BYTES && log > limits::LOG_BYTES / 2,
        "{log}"
    );
    let tape = serde_json::to_string(&result.tape.entries).unwrap().len();
    assert!(tape <= limits::TAPE_BYTES, "{tape}");
}

#[test]
fn host_calls_are_counted() {
    let calls = |n: u64, then: &str| {
        let run = format!(
            "(local $i i64)
             (loop $again
               (drop (call $attempt))
               (local.set $i (i64.add (local.get $i) (i64.const 1)))
               (br_if $again (i64.lt_u (local.get $i) (i64.const {n}))))
             {then}"
        );
        let guest = Guest {
            imports: r#"(import "milepost:step/context@0.1.0" "attempt" (func $attempt (result i32)))"#,
            run: &run,
            ..Guest::default()
        };
        execute(&load(&guest.build()), call())
    };
    let done = "(call $ok_number (i64.const 1))";
    assert_eq!(output(&calls(limits::HOST_CALLS, done)), 1);
    // It ends at the call, before the guest can do anything else.
    assert_failed(
        &calls(limits::HOST_CALLS + 1, "(unreachable)"),
        ErrorClass::Trap,
        codes::LIMIT_EXCEEDED,
    );
}

#[test]
fn calls_of_wasi_are_counted_too() {
    // Endless: it ends because the host notices, not because the guest does.
    let endless = Guest {
        imports: r#"(import "wasi:cli/environment@0.2.6" "get-environment" (func $environment (param i32)))"#,
        run: "(loop $again (call $environment (i32.const 1200)) (br $again)) (unreachable)",
        ..Guest::default()
    };
    assert_failed(
        &execute(&load(&endless.build()), call()),
        ErrorClass::Trap,
        codes::LIMIT_EXCEEDED,
    );

    // Over before anybody looked: the answer must not depend on how fast the machine is.
    let brief = Guest {
        run: "(call $environment (i32.const 1200)) (call $environment (i32.const 1200)) (call $ok_number (i64.const 1))",
        ..endless
    };
    let plugin = load(&brief.build());
    let mut few = call();
    few.limits.host_calls = 2;
    assert_eq!(output(&execute(&plugin, few.clone())), 1);
    few.limits.host_calls = 1;
    assert_failed(
        &execute(&plugin, few),
        ErrorClass::Trap,
        codes::LIMIT_EXCEEDED,
    );
}

#[test]
fn what_is_handed_to_one_host_call_is_bounded() {
    let logs = |bytes: usize| {
        let run = format!(
            "(call $log (i32.const 2) (i32.const 16384) (i32.const {bytes}) (i32.const 0) (i32.const 0))
             (call $ok_number (i64.const 1))"
        );
        let guest = Guest {
            imports: r#"(import "milepost:step/log@0.1.0" "emit" (func $log (param i32 i32 i32 i32 i32)))"#,
            run: &run,
            pages: 200,
            ..Guest::default()
        };
        execute(&load(&guest.build()), call())
    };
    assert_eq!(output(&logs(limits::HOST_CALL_BYTES)), 1);
    let result = logs(limits::HOST_CALL_BYTES + 1);
    assert_failed(&result, ErrorClass::Trap, codes::LIMIT_EXCEEDED);
    let message = &error(&result).message;
    assert!(
        message.starts_with("the component passed more than 8388608 bytes to one host call; "),
        "{message}"
    );
}

#[test]
fn draws_and_sleeps_are_bounded() {
    let guest = |import: &str, run: &str| {
        let guest = Guest {
            imports: import,
            run,
            ..Guest::default()
        };
        execute(&load(&guest.build()), call())
    };
    let random = r#"(import "milepost:step/random@0.1.0" "bytes" (func $bytes (param i32 i32)))"#;
    let draw = |n: u32| {
        let run = format!(
            "(call $bytes (i32.const {n}) (i32.const 1200))
             (call $ok_number (i64.extend_i32_u (i32.load (i32.const 1204))))"
        );
        guest(random, &run)
    };
    assert_eq!(output(&draw(limits::RANDOM_BYTES)), limits::RANDOM_BYTES);
    assert_failed(
        &draw(limits::RANDOM_BYTES + 1),
        ErrorClass::Trap,
        codes::LIMIT_EXCEEDED,
    );

    let wasi =
        r#"(import "wasi:random/random@0.2.6" "get-random-bytes" (func $bytes (param i64 i32)))"#;
    let result = guest(
        wasi,
        "(call $bytes (i64.const -1) (i32.const 1200)) (unreachable)",
    );
    assert_failed(&result, ErrorClass::Trap, codes::LIMIT_EXCEEDED);

    let clock = r#"(import "milepost:step/clock@0.1.0" "sleep" (func $sleep (param i64)))"#;
    let result = guest(clock, "(call $sleep (i64.const 60001)) (unreachable)");
    assert_failed(&result, ErrorClass::Trap, codes::LIMIT_EXCEEDED);
    assert!(error(&result).message.contains("return `paused`"));
}

#[test]
fn tables_are_bounded() {
    let guest = |size: usize| {
        let items = format!("(table $t {size} funcref)");
        let guest = Guest {
            items: &items,
            run: "(if (i32.eq (i32.const -1) (table.grow $t (ref.null func) (local.get $in_n))) (then (unreachable)))
                  (call $ok_number (i64.extend_i32_u (table.size $t)))",
            ..Guest::default()
        };
        guest.build()
    };
    // The input `{"n":1}` has seven bytes.
    let most = load(&guest(limits::TABLE_ELEMENTS - 7));
    assert_eq!(output(&execute(&most, call())), limits::TABLE_ELEMENTS);
    let bomb = load(&guest(limits::TABLE_ELEMENTS - 6));
    assert_failed(
        &execute(&bomb, call()),
        ErrorClass::Trap,
        codes::LIMIT_EXCEEDED,
    );
    let mut small = call();
    small.limits.table_elements = 100;
    assert_failed(
        &execute(&most, small),
        ErrorClass::Trap,
        codes::LIMIT_EXCEEDED,
    );
    let rejection = engine()
        .load_bytes(&guest(limits::TABLE_ELEMENTS + 1))
        .err();
    assert!(
        matches!(rejection, Some(Rejection::TooDemanding(_))),
        "{rejection:?}"
    );
}

#[test]
fn attempts_that_take_all_that_they_may_leave_enough_to_others() {
    use milepost_wasm::attempt::Callable as _;
    // One table more is the encoder's own.
    let tables = "(table 1 funcref)".repeat(limits::TABLES - 1);
    let memories = r#"(memory 1)"#.repeat(limits::MEMORIES - 1);
    let greedy = Guest {
        imports: r#"(import "milepost:step/clock@0.1.0" "sleep" (func $sleep (param i64)))"#,
        items: &format!("{tables} {memories}"),
        run: "(call $sleep (i64.const 100)) (call $ok_number (i64.const 1))",
        ..Guest::default()
    };
    let plugin = load(&greedy.build());
    // More than may be in flight at once: the rest waits for its turn, and none fails.
    let results = guests::block_on(async {
        let calls = (0..300).map(|_| plugin.call(call()));
        futures_util::future::join_all(calls).await
    });
    for result in &results {
        assert_eq!(output(result), 1);
    }
    for (what, too_many) in [
        ("tables", "(table 1 funcref)".repeat(limits::TABLES + 1)),
        ("memories", "(memory 1)".repeat(limits::MEMORIES)),
    ] {
        let guest = Guest {
            items: &too_many,
            run: "(unreachable)",
            ..Guest::default()
        };
        let rejection = engine().load_bytes(&guest.build()).err();
        assert!(
            matches!(rejection, Some(Rejection::TooDemanding(_))),
            "{what}: {rejection:?}"
        );
    }
}

#[test]
fn host_resources_are_bounded() {
    // Output streams that are never dropped.
    let guest = |n: usize| {
        let run = format!(
            "(local $i i32)
             (loop $again
               (drop (call $stdout))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $i) (i32.const {n}))))
             (call $ok_number (i64.const 1))"
        );
        let guest = Guest {
            imports: r#"(import "wasi:cli/stdout@0.2.6" "get-stdout" (func $stdout (result i32)))"#,
            run: &run,
            ..Guest::default()
        };
        execute(&load(&guest.build()), call())
    };
    assert_eq!(output(&guest(limits::HANDLES)), 1);
    assert_failed(
        &guest(limits::HANDLES + 1),
        ErrorClass::Trap,
        codes::LIMIT_EXCEEDED,
    );
}

#[test]
fn a_poll_of_too_many_pollables_is_refused() {
    let poll = |n: usize| {
        let run = format!(
            "(local $timer i32) (local $i i32)
             (local.set $timer (call $timer (i64.const 0)))
             (loop $again
               (i32.store (i32.add (i32.const 16384) (i32.shl (local.get $i) (i32.const 2))) (local.get $timer))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $i) (i32.const {n}))))
             (call $poll (i32.const 16384) (i32.const {n}) (i32.const 1208))
             (call $ok_number (i64.load32_u (i32.const 1212)))"
        );
        let guest = Guest {
            imports: r#"
                (import "wasi:clocks/monotonic-clock@0.2.6" "subscribe-duration" (func $timer (param i64) (result i32)))
                (import "wasi:io/poll@0.2.6" "poll" (func $poll (param i32 i32 i32)))"#,
            run: &run,
            ..Guest::default()
        };
        execute(&load(&guest.build()), call())
    };
    // Each entry is a handle for the time of the call, beside the timer's own.
    assert_eq!(output(&poll(limits::HANDLES - 1)), limits::HANDLES - 1);
    assert_failed(
        &poll(limits::HANDLES),
        ErrorClass::Trap,
        codes::LIMIT_EXCEEDED,
    );
}

#[test]
fn resources_of_the_guest_itself_are_bounded() {
    let guest = |n: usize| {
        let run = format!(
            "(local $i i32)
             (loop $again
               (drop (call $new (i32.const 0)))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $i) (i32.const {n}))))
             (call $ok_number (i64.const 1))"
        );
        let guest = Guest {
            imports: r#"(import "[export]test:guest/things" "[resource-new]thing" (func $new (param i32) (result i32)))"#,
            items: r#"(func (export "test:guest/things#[constructor]thing") (result i32) (unreachable))"#,
            run: &run,
            ..Guest::default()
        };
        execute(&load(&component_with_resources(&guest.core())), call())
    };
    assert_eq!(output(&guest(limits::HANDLES)), 1);
    assert_failed(
        &guest(limits::HANDLES + 1),
        ErrorClass::Trap,
        codes::LIMIT_EXCEEDED,
    );
}

#[test]
fn a_guest_that_exits_is_told_apart_from_a_trap() {
    let guest = Guest {
        imports: r#"(import "wasi:cli/exit@0.2.6" "exit" (func $exit (param i32)))"#,
        run: "(call $exit (i32.const 0)) (unreachable)",
        ..Guest::default()
    };
    assert_failed(
        &execute(&load(&guest.build()), call()),
        ErrorClass::Trap,
        codes::EXITED,
    );
}

#[test]
fn a_trap_while_a_component_starts_is_a_trap() {
    let core = r#"(module (memory (export "memory") 1)
        (func $start (unreachable)) (start $start)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
        (func (export "milepost:step/guest@0.1.0#describe") (result i32) (i32.const 0))
        (func (export "milepost:step/guest@0.1.0#run") (param i32 i32 i32 i32) (result i32) (i32.const 0)))"#;
    // Loading does not execute it.
    let plugin = load(&component(core));
    assert_failed(&execute(&plugin, call()), ErrorClass::Trap, codes::TRAP);
}
