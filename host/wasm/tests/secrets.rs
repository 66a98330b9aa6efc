//! What a component gets of secrets, and what is kept of what it does with them.

#![expect(clippy::unwrap_used, reason = "a test")]

mod guests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use guests::{Guest, TestHost, call, call_to, execute, load, output, replay};
use milepost_core::grants::Grants;
use milepost_wasm::attempt::Call;
use milepost_wasm::secrets::{SecretValue, Secrets};
use serde_json::json;

const VALUE: &str = "hunter2-hunter2";

/// Asks for `token`, says whatever it gets in every way that it has, and returns it.
fn says(interface: &str, function: &str) -> Vec<u8> {
    let imports = format!(
        r#"(import "milepost:step/{interface}@0.1.0" "{function}" (func $get (param i32 i32 i32)))
        (import "milepost:step/log@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
        (import "milepost:step/progress@0.1.0" "report" (func $report (param i64 i32 i64 i32 i32)))"#
    );
    Guest {
        imports: &imports,
        data: "token",
        run: "(call $get (i32.const 2048) (global.get $data_n) (i32.const 1200))
            (if (i32.load8_u (i32.const 1200)) (then
                (call $emit (i32.const 2) (i32.load (i32.const 1212)) (i32.load (i32.const 1216)) (i32.const 0) (i32.const 0))
                (return (call $ok_string (i32.const 1204)))))
            (call $emit (i32.const 2) (i32.load (i32.const 1204)) (i32.load (i32.const 1208)) (i32.const 1204) (i32.const 0))
            (call $report (i64.const 1) (i32.const 0) (i64.const 0) (i32.load (i32.const 1204)) (i32.load (i32.const 1208)))
            (call $ok_string (i32.const 1204))",
        ..Guest::default()
    }
    .build()
}

/// A call of a plugin that is granted `token` in both ways.
fn granted(value: Option<&str>, call: Call) -> Call {
    let names: BTreeSet<Arc<str>> = BTreeSet::from(["token".into()]);
    let value = value.map(|value| SecretValue::new(value).unwrap());
    Call {
        grants: Arc::new(Grants {
            plugin: "billing".into(),
            secrets: names.clone(),
            secrets_reveal: names,
            ..Grants::default()
        }),
        secrets: Secrets::new(call.seed, BTreeMap::from([("token".into(), value)])),
        ..call
    }
}

#[test]
fn a_placeholder_is_the_same_whenever_the_attempt_is_executed() {
    let plugin = load(&says("secrets", "placeholder"));
    let live = execute(&plugin, granted(Some(VALUE), call()));
    let text = output(&live).as_str().unwrap();
    assert!(text.starts_with("milepost_secret_token_"), "{text}");
    assert!(live.tape.is_empty(), "{:?}", live.tape);
    let again = execute(&plugin, granted(None, replay(&live.tape)));
    assert_eq!((output(&again), &again.divergence), (output(&live), &None));
    let other = Call { seed: 8, ..call() };
    let other = execute(&plugin, granted(Some(VALUE), other));
    assert_ne!(output(&other), output(&live));
}

#[test]
fn a_value_that_is_revealed_is_masked_in_everything_that_is_said_with_it() {
    let plugin = load(&says("secrets-reveal", "reveal"));
    let host = Arc::new(TestHost::default());
    let live = execute(&plugin, granted(Some(VALUE), call_to(&host)));
    assert_eq!(output(&live), "***token***");
    assert_eq!(live.logs[0].message, "***token***");
    assert_eq!(host.messages(), ["***token***"]);
    assert_eq!(host.progress.lock().unwrap()[0].message, "***token***");
    assert_eq!(live.progress.unwrap().message, "***token***");
    // The value is not on the tape; that it was told is.
    assert_eq!(live.tape.entries, []);
    assert_eq!(live.tape.secrets, BTreeSet::from(["token".to_owned()]));

    let again = execute(&plugin, granted(Some(VALUE), replay(&live.tape)));
    assert_eq!(output(&again), &json!("***token***"));
    assert_eq!(again.divergence, None);
    // Whoever replays without the value is told before (`replay_with`).
    let without = execute(&plugin, granted(None, replay(&live.tape)));
    assert_eq!(output(&without), &json!("not-found"));
}

#[test]
fn a_secret_that_is_not_granted_is_denied_with_what_to_add() {
    for (interface, function, key) in [
        ("secrets", "placeholder", "secrets"),
        ("secrets-reveal", "reveal", "secrets-reveal"),
    ] {
        let plugin = load(&says(interface, function));
        let denied = Call {
            grants: Arc::new(Grants {
                plugin: "billing".into(),
                ..Grants::default()
            }),
            ..granted(Some(VALUE), call())
        };
        let result = execute(&plugin, denied);
        assert_eq!(output(&result), &json!("denied"));
        let message = &result.logs[0].message;
        let lists = format!(
            "the list `{key}` of `[plugins.billing.allow]` and to `secrets` of the step that calls it:\n\"token\""
        );
        assert!(message.contains(&lists), "{message}");
        assert!(result.tape.is_empty());
    }
}
