//! Calls of functions in components written by hand.

use std::sync::{Arc, LazyLock};

use milepost_core::outcome::{ErrorClass, Outcome, StepError};
use serde_json::{Value, json};

use crate::attempt::{Call, Callable, Mode};
use crate::clock::SystemClock;
use crate::describe::nobody;
use crate::{Plugin, Rejection, WasmEngine};

pub(super) fn load(bytes: &[u8]) -> Result<Plugin, Rejection> {
    static ENGINE: LazyLock<WasmEngine> =
        LazyLock::new(|| WasmEngine::new(None, Arc::new(SystemClock)).unwrap());
    ENGINE.load_bytes(bytes)
}

pub(super) fn call(step: &str, input: Value) -> Call {
    Call {
        step: step.into(),
        input: Arc::new(input),
        ..nobody().unwrap()
    }
}

pub(super) fn outcome(plugin: &Plugin, step: &str, input: Value) -> Outcome {
    block_on(plugin, call(step, input)).outcome
}

fn block_on(plugin: &Plugin, call: Call) -> crate::attempt::CallResult {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(plugin.call(call))
}

fn error(plugin: &Plugin, step: &str, input: Value) -> StepError {
    match outcome(plugin, step, input) {
        Outcome::Failed(error) => error,
        other => panic!("{step}: {other:?}"),
    }
}

/// Functions in an interface and outside of it.
fn calculator() -> Vec<u8> {
    let text = r#"(component
        (core module $m
            (memory (export "memory") 1)
            (data (i32.const 328) "wrong")
            (global $calls (mut i32) (i32.const 0))
            (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
            (func (export "count") (result i32)
                (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
                (global.get $calls))
            (func (export "nothing"))
            ;; An ok of 7, or an error: the first case, or the second with the text at 328.
            (func (export "div") (param i32) (result i32)
                (i32.store8 (i32.const 200) (i32.ne (local.get 0) (i32.const 0)))
                (i32.store (i32.const 204) (i32.const 7))
                (if (i32.eq (local.get 0) (i32.const 1)) (then
                    (i32.store8 (i32.const 204) (i32.const 0))))
                (if (i32.eq (local.get 0) (i32.const 2)) (then
                    (i32.store8 (i32.const 204) (i32.const 1))
                    (i32.store (i32.const 208) (i32.const 328))
                    (i32.store (i32.const 212) (i32.const 5))))
                (i32.const 200))
            (func (export "plain") (param i32) (result i32) (local.get 0))
            (func (export "trap") (unreachable))
            (func (export "spin") (loop $l (br $l)))
            (func (export "long") (result i32)
                (i32.store (i32.const 200) (i32.const 0))
                (i32.store (i32.const 204) (i32.const 60000))
                (i32.const 200)))
        (core instance $i (instantiate $m))
        (type $f' (variant (case "by-zero") (case "other" string)))
        (func $add (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
        (func $count (result u32) (canon lift (core func $i "count")))
        (func $nothing (canon lift (core func $i "nothing")))
        (func $trap (canon lift (core func $i "trap")))
        (func $spin (canon lift (core func $i "spin")))
        (func $plain (param "fail" bool) (result (result)) (canon lift (core func $i "plain")))
        (func $long (result (list u8)) (canon lift (core func $i "long") (memory (core memory $i "memory"))))
        (export $f "failure" (type $f'))
        (func $div (param "by" u32) (result (result u32 (error $f)))
            (canon lift (core func $i "div") (memory (core memory $i "memory"))))
        (instance $ops (export "add" (func $add)) (export "count" (func $count)))
        (export "example:math/ops@1.2.0" (instance $ops))
        (export "nothing" (func $nothing))
        (export "div" (func $div))
        (export "plain" (func $plain))
        (export "trap" (func $trap))
        (export "spin" (func $spin))
        (export "long" (func $long)))"#;
    wat::parse_str(text).unwrap()
}

#[test]
fn functions_are_called_by_their_names() {
    let plugin = load(&calculator()).unwrap();
    assert!(plugin.functions().alone);
    let signatures: Vec<String> = plugin
        .functions()
        .callable
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(signatures[0], "add: func(a: u32, b: u32) -> u32");
    assert_eq!(
        signatures[3],
        "div: func(by: u32) -> result<u32, variant { by-zero, other(string) }>"
    );
    let sum = || json!({"a": 2, "b": 3});
    for name in [
        "example:math/ops@1.2.0#add",
        "example:math/ops#add",
        "#add",
        "add",
    ] {
        assert_eq!(
            outcome(&plugin, name, sum()),
            Outcome::Completed(json!(5)),
            "{name}"
        );
    }
    assert_eq!(
        outcome(&plugin, "nothing", json!({})),
        Outcome::Completed(Value::Null)
    );
    // Nothing of one attempt is there in the next.
    for _ in 0..2 {
        assert_eq!(
            outcome(&plugin, "count", json!({})),
            Outcome::Completed(json!(1))
        );
    }
    let missing = error(&plugin, "#sub", sum());
    assert_eq!(
        (missing.class, &*missing.code),
        (ErrorClass::Host, "plugin_incompatible")
    );
}

#[test]
fn an_input_that_does_not_fit_is_a_failure_and_calls_nothing() {
    let plugin = load(&calculator()).unwrap();
    for (input, says) in [
        (json!({"a": 2}), "b: expected u32, found nothing"),
        (json!({"a": 2, "b": -1}), "b: expected u32, found -1"),
        (
            json!({"a": 2, "b": 1, "c": 1}),
            "expected a parameter such as `a`, found \"c\"",
        ),
        (
            json!([2, 1]),
            "expected an object of arguments, found a list of 2 values",
        ),
    ] {
        let error = error(&plugin, "add", input);
        assert_eq!(
            (error.class, &*error.code),
            (ErrorClass::Failed, "invalid_input")
        );
        let told = format!("the input does not fit `example:math/ops@1.2.0#add`: {says}");
        assert_eq!(error.message, told);
    }
}

#[test]
fn a_result_is_an_output_or_a_failure() {
    let plugin = load(&calculator()).unwrap();
    let div = |by: u32| outcome(&plugin, "div", json!({"by": by}));
    assert_eq!(div(0), Outcome::Completed(json!(7)));
    let first = error(&plugin, "div", json!({"by": 1}));
    assert_eq!((first.class, &*first.code), (ErrorClass::Failed, "by-zero"));
    assert_eq!(first.detail, Some(json!("by-zero")));
    let second = error(&plugin, "div", json!({"by": 2}));
    assert_eq!((&*second.code, &*second.message), ("other", "wrong"));
    assert_eq!(second.detail, Some(json!({"other": "wrong"})));
    let ok = outcome(&plugin, "plain", json!({"fail": false}));
    assert_eq!(ok, Outcome::Completed(Value::Null));
    let plain = error(&plugin, "plain", json!({"fail": true}));
    assert_eq!((&*plain.code, plain.detail), ("failed", None));
}

#[test]
fn a_function_has_the_limits_of_a_step() {
    let plugin = load(&calculator()).unwrap();
    let trap = error(&plugin, "trap", json!({}));
    assert_eq!((trap.class, &*trap.code), (ErrorClass::Trap, "trap"));
    let mut spin = call("spin", json!({}));
    spin.timeout = std::time::Duration::from_millis(100);
    let Outcome::Failed(late) = block_on(&plugin, spin).outcome else {
        panic!("it ended");
    };
    assert_eq!(late.class, ErrorClass::Timeout);
    let mut long = call("long", json!({}));
    long.limits.output_bytes = 1_000;
    let Outcome::Failed(large) = block_on(&plugin, long).outcome else {
        panic!("it fits");
    };
    assert_eq!(
        (large.class, &*large.code),
        (ErrorClass::Trap, "output_too_large")
    );
    let Outcome::Completed(bytes) = outcome(&plugin, "long", json!({})) else {
        panic!("it does not fit");
    };
    assert_eq!(bytes["base64"].as_str().map(str::len), Some(80_000));
}

#[test]
fn a_replay_calls_the_function_again() {
    let plugin = load(&calculator()).unwrap();
    let live = block_on(&plugin, call("add", json!({"a": 2, "b": 3})));
    let mut again = call("add", json!({"a": 2, "b": 3}));
    again.mode = Mode::Replay(Arc::new(live.tape));
    let again = block_on(&plugin, again);
    assert_eq!(again.outcome, live.outcome);
    assert_eq!(again.divergence, None);
}

#[test]
fn what_nobody_provides_is_named() {
    let text = r#"(component
        (import "example:host/files@0.1.0" (instance (export "read" (func (result u8)))))
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (export "f" (func $f)))"#;
    let Err(rejection) = load(&wat::parse_str(text).unwrap()) else {
        panic!("it was loaded");
    };
    assert!(
        matches!(rejection, Rejection::UnknownImports { .. }),
        "{rejection}"
    );
    assert!(
        rejection.to_string().contains("`example:host/files@0.1.0`"),
        "{rejection}"
    );
}

#[test]
fn a_component_without_anything_to_call_says_why() {
    let text = r#"(component
        (type $r' (resource (rep i32)))
        (export $r "file" (type $r'))
        (core module $m (func (export "f") (param i32)))
        (core instance $i (instantiate $m))
        (func $f (param "of" (own $r)) (canon lift (core func $i "f")))
        (export "close" (func $f)))"#;
    let Err(rejection) = load(&wat::parse_str(text).unwrap()) else {
        panic!("it was loaded");
    };
    let told = rejection.to_string();
    for says in [
        "it does not export `milepost:step/guest@0.1`, nor a function that can be called",
        "`close` cannot be called: its parameter `of` has a resource in it",
    ] {
        assert!(told.contains(says), "{told}");
    }
}
