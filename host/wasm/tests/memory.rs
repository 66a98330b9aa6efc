//! The account of memory: attempts wait for room before they begin, and for nothing else.
#![expect(clippy::unwrap_used, reason = "a test")]

mod guests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use guests::{Guest, TestHost, block_on, call_to};
use milepost_core::limits::{CallLimits, EXEC_HELD_BYTES};
use milepost_core::outcome::Outcome;
use milepost_wasm::attempt::{Call, Callable as _};
use milepost_wasm::clock::SystemClock;
use milepost_wasm::{Compiler, MemoryBudget, Plugin, Room, WasmEngine};
use serde_json::json;

/// A component that says when it comes and when it goes, and sleeps in between.
fn sleeper(budget: Option<usize>, millis: u64) -> Plugin {
    let room = Room {
        memory: budget.map(|bytes| MemoryBudget::new(bytes).unwrap()),
        ..Room::default()
    };
    sleeper_in(room, millis)
}

fn sleeper_in(room: Room, millis: u64) -> Plugin {
    sleeper_with(room, "", millis)
}

/// The same with more imports.
fn sleeper_with(room: Room, more: &str, millis: u64) -> Plugin {
    let run = format!(
        "(call $log (i32.const 2) (i32.const 2048) (i32.const 2) (i32.const 0) (i32.const 0))
         (call $sleep (i64.const {millis}))
         (call $log (i32.const 2) (i32.const 2050) (i32.const 3) (i32.const 0) (i32.const 0))
         (call $ok_number (i64.const 1))"
    );
    let imports = format!(
        r#"(import "milepost:step/log@0.1.0" "emit" (func $log (param i32 i32 i32 i32 i32)))
            (import "milepost:step/clock@0.1.0" "sleep" (func $sleep (param i64))) {more}"#
    );
    let guest = Guest {
        imports: &imports,
        run: &run,
        data: "inout",
        ..Guest::default()
    };
    let clock = Arc::new(SystemClock);
    let engine = WasmEngine::within(room, None, clock, Compiler::InProcess).unwrap();
    engine.load_bytes(&guest.build()).unwrap()
}

/// How many of eight attempts were in flight at once; each completed.
fn most_of_eight(plugin: &Plugin, limits: &CallLimits) -> usize {
    // Counted by what they log.
    let in_flight = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let seen = Arc::clone(&in_flight);
    let host = TestHost::on_line(move |line| {
        let (now, most) = &*seen;
        if line.message == "in" {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        } else {
            now.fetch_sub(1, Ordering::SeqCst);
        }
        Box::pin(std::future::ready(()))
    });
    let results = block_on(join_all((0..8).map(|_| {
        let call = Call {
            limits: limits.clone(),
            // Shorter than all the waiting: only what an attempt takes itself counts.
            timeout: Duration::from_millis(450),
            ..call_to(&host)
        };
        plugin.call(call)
    })));
    for result in results {
        assert_eq!(result.outcome, Outcome::Completed(json!(1)));
    }
    let (now, most) = &*in_flight;
    assert_eq!(now.load(Ordering::SeqCst), 0);
    most.load(Ordering::SeqCst)
}

#[test]
fn attempts_wait_for_room_and_their_time_does_not_run_meanwhile() {
    const ONE: usize = CallLimits::MOST.worst_case_bytes(0);
    let most = CallLimits::MOST;
    let small = CallLimits {
        memory_bytes: 64 << 20,
        ..CallLimits::MOST
    };
    for (budget, limits, expected) in [
        (Some(2 * ONE), &most, 2),
        (Some(2 * ONE - 1), &most, 1),
        (Some(512 << 20), &most, 1),
        // Less memory, more at once.
        (Some(4 * small.worst_case_bytes(0)), &small, 4),
        (None, &most, 8),
    ] {
        let plugin = sleeper(budget, 100);
        assert_eq!(most_of_eight(&plugin, limits), expected, "{budget:?}");
    }
}

#[test]
fn what_an_attempt_may_hold_of_programs_counts_where_it_can_run_some() {
    let exec = r#"(import "milepost:step/exec@0.1.0" "[constructor]command" (func (param i32 i32) (result i32)))"#;
    let without = CallLimits::MOST.worst_case_bytes(0);
    let with = CallLimits::MOST.worst_case_bytes(EXEC_HELD_BYTES);
    assert_eq!(with - without, EXEC_HELD_BYTES);
    for (budget, imports, expected) in [
        (2 * without, "", 2),
        (2 * without, exec, 1),
        (2 * with - 1, exec, 1),
        (2 * with, exec, 2),
    ] {
        let room = Room {
            memory: Some(MemoryBudget::new(budget).unwrap()),
            ..Room::default()
        };
        let plugin = sleeper_with(room, imports, 100);
        let found = most_of_eight(&plugin, &CallLimits::MOST);
        assert_eq!(found, expected, "{budget} {imports}");
    }
}

#[test]
fn no_more_attempts_are_in_flight_than_there_is_room_for() {
    let room = Room {
        attempts: 3,
        memory: None,
    };
    let plugin = sleeper_in(room, 100);
    assert_eq!(most_of_eight(&plugin, &CallLimits::MOST), 3);
}

#[test]
fn an_attempt_that_waits_can_be_cancelled_or_dropped_and_holds_nobody_up() {
    let plugin = sleeper(Some(MemoryBudget::LEAST), 300);
    block_on(async {
        let start = |host: &Arc<TestHost>| {
            let (call, plugin) = (call_to(host), plugin.clone());
            tokio::spawn(async move { plugin.call(call).await })
        };
        // In the order in which they ask for their turn.
        let (nobody, somebody) = (Arc::default(), Arc::<TestHost>::default());
        let first = start(&nobody);
        tokio::task::yield_now().await;
        let cancelled = start(&somebody);
        let dropped = start(&nobody);
        tokio::task::yield_now().await;
        let last = start(&nobody);
        tokio::task::yield_now().await;
        somebody.cancel.raise();
        dropped.abort();
        let outcome = cancelled.await.unwrap().outcome;
        assert!(matches!(outcome, Outcome::Cancelled(_)), "{outcome:?}");
        assert!(!first.is_finished(), "it was not waited for");
        for attempt in [first, last] {
            let outcome = attempt.await.unwrap().outcome;
            assert_eq!(outcome, Outcome::Completed(json!(1)));
        }
    });
}
