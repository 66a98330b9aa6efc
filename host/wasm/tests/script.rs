//! Files of JavaScript as components: what they may say, what becomes of it, and what scripts of the worst kind come to.

#![expect(clippy::unwrap_used, reason = "a test")]

mod guests;

use std::sync::Arc;
use std::time::Duration;

use guests::{
    NOW, TestHost, append_section, block_on, call, call_to, engine, error, execute, execute_at_now,
    load, output, replay,
};
use milepost_core::limits;
use milepost_core::outcome::{ErrorClass, Outcome};
use milepost_wasm::attempt::{Call, CallResult};
use milepost_wasm::clock::SystemClock;
use milepost_wasm::{Inspection, Rejection, ScriptError, WasmEngine};
use serde_json::{Value, json};

fn component(text: &str) -> Vec<u8> {
    block_on(engine().script("steps.js", text.as_bytes())).unwrap()
}

/// A script with one step of that body, which has `x` and `ctx`.
fn with_body(body: &str) -> Vec<u8> {
    component(&format!(
        "import * as mp from 'milepost';\nexport const steps = {{\n  async s(x, ctx) {{\n{body}\n  }},\n}};"
    ))
}

fn step(call: Call) -> Call {
    Call {
        step: "s".into(),
        ..call
    }
}

fn run(body: &str) -> CallResult {
    execute(&load(&with_body(body)), step(call()))
}

#[test]
fn what_a_step_returns_is_its_output() {
    for (body, expected) in [
        ("return x", json!({ "n": 1 })),
        (
            "return { 'ü': [1, 1.5, null, true] }",
            json!({ "ü": [1, 1.5, null, true] }),
        ),
        ("return", Value::Null),
        ("return await Promise.resolve(2)", json!(2)),
        (
            "return [ctx.attempt, ctx.path, ctx.resumeState ?? null]",
            json!([3, "fix#2/test", null]),
        ),
        ("return new Date(0).getTimezoneOffset()", json!(0)),
        (
            "return [typeof setTimeout, typeof fetch, typeof process, typeof performance]",
            json!(vec!["undefined"; 4]),
        ),
        ("Promise.reject(1).catch(() => {}); return 1", json!(1)),
        // What a script does to the objects that all JavaScript shares is its own affair.
        (
            "JSON.stringify = () => 'no'; Array.prototype.map = 1; Promise.prototype.then = 1; Object.prototype.tag = 'failed'; return [1]",
            json!([1]),
        ),
        (
            "Array.prototype[Symbol.iterator] = () => { throw 1 }; Object.prototype.toJSON = undefined; return [1, 2]",
            json!([1, 2]),
        ),
    ] {
        assert_eq!(*output(&run(body)), expected, "{body}");
    }
}

#[test]
fn what_a_step_throws_is_how_it_ends() {
    for (body, expected) in [
        (
            "throw mp.failed('gone', 'it is gone', { at: 1 })",
            ["Failed", "gone", "it is gone"],
        ),
        (
            "throw mp.retryable('busy', 'not now', { after: 1500 })",
            ["Retryable", "busy", "1500"],
        ),
        (
            "throw { tag: 'failed', val: { code: 'c', message: 'm' } }",
            ["Failed", "c", "m"],
        ),
        (
            "throw mp.pause('later', 'asleep', { state: { a: 1 }, until: 5 })",
            ["Paused", "later", "asleep"],
        ),
        (
            "throw mp.cancelled('cleaned up')",
            ["Cancelled", "cleaned up", ""],
        ),
        ("mp.kv.open('b')", ["Failed", "denied", "kv"]),
        (
            "throw new TypeError('no')",
            ["Failed", "exception", "TypeError: no (steps.js:4:11)"],
        ),
        (
            "\n\n  x.a.b()",
            [
                "Failed",
                "exception",
                "cannot read property 'b' of undefined (steps.js:6:3)",
            ],
        ),
        (
            "nothing()",
            [
                "Failed",
                "exception",
                "ReferenceError: nothing is not defined (steps.js:4:1)",
            ],
        ),
    ] {
        let told = format!("{:?}", run(body).outcome);
        for part in expected {
            assert!(told.contains(part), "{body}: {told}");
        }
    }
}

/// Each with its code, and what its message says.
#[test]
fn scripts_of_the_worst_kind_fail_with_a_reason() {
    let deep = "Maximum call stack size exceeded";
    let cases = [
        // Memory.
        (
            "const a = []; for (;;) a.push(new Uint8Array(1 << 20))",
            "out_of_memory",
            "out of memory (steps.js:4:51)",
        ),
        (
            "const a = []; for (;;) a.push('x'.repeat(1000) + a.length)",
            "out_of_memory",
            "out of memory",
        ),
        (
            "return 'a'.repeat(1000000).replace(/a/g, 'bb').length",
            "out_of_memory",
            "",
        ),
        (
            "let s = 'x'; for (;;) s += s",
            "exception",
            "string too long",
        ),
        (
            "return new ArrayBuffer(2 ** 31)",
            "exception",
            "invalid array buffer length",
        ),
        (
            "return (2n ** (2n ** 30n)).toString()",
            "exception",
            "BigInt is too large",
        ),
        // Depth, of what the script calls and of what the engine calls for it.
        ("const f = () => f(); f()", "stack_overflow", deep),
        ("const f = () => [1].map(f); f()", "stack_overflow", deep),
        (
            "const f = () => [1, 2].sort(f); f()",
            "stack_overflow",
            deep,
        ),
        (
            "const f = () => 'a'.replace(/a/, f); f()",
            "stack_overflow",
            deep,
        ),
        (
            "const f = () => JSON.stringify([{ toJSON: f }]); f()",
            "stack_overflow",
            deep,
        ),
        (
            "const f = () => JSON.parse('[1]', f); f()",
            "stack_overflow",
            deep,
        ),
        (
            "const f = () => Reflect.apply(f, null, []); f()",
            "stack_overflow",
            deep,
        ),
        (
            "const f = () => f.bind(null)(); f()",
            "stack_overflow",
            deep,
        ),
        (
            "const f = () => new Map([[1, 1]]).forEach(f); f()",
            "stack_overflow",
            deep,
        ),
        ("const f = () => eval('f()'); f()", "stack_overflow", deep),
        (
            "const o = { get a() { return this.a; } }; return o.a",
            "stack_overflow",
            deep,
        ),
        (
            "const o = { toString() { return `${this}`; } }; return `${o}`",
            "stack_overflow",
            deep,
        ),
        (
            "const p = new Proxy({}, { get(t, k, r) { return r[k]; } }); return p.x",
            "stack_overflow",
            deep,
        ),
        (
            "const p = new Proxy(() => {}, { apply: () => p() }); return p()",
            "stack_overflow",
            deep,
        ),
        (
            "class A { constructor() { new A(); } } new A()",
            "stack_overflow",
            deep,
        ),
        (
            "function* g() { yield* g(); } return [...g()]",
            "stack_overflow",
            deep,
        ),
        (
            "async function f() { await f(); } return f()",
            "stack_overflow",
            deep,
        ),
        (
            "return eval('{'.repeat(100000))",
            "stack_overflow",
            "call stack exhausted",
        ),
        (
            "return eval('('.repeat(100000))",
            "stack_overflow",
            "call stack exhausted",
        ),
        (
            "return JSON.parse('['.repeat(100000))",
            "stack_overflow",
            "call stack exhausted",
        ),
        (
            "let a = []; for (let i = 0; i < 100000; i++) a = [a]; return a",
            "stack_overflow",
            "call stack exhausted",
        ),
        (
            "return new RegExp('(?:'.repeat(5000) + ')'.repeat(5000))",
            "exception",
            "SyntaxError: stack overflow",
        ),
        // Outputs that are no JSON.
        (
            "const a = []; a[0] = a; return a",
            "invalid_output",
            "circular reference",
        ),
        ("return 10n", "invalid_output", "BigInt"),
        ("return () => 1", "invalid_output", "a function"),
        ("return Symbol('x')", "invalid_output", "a symbol"),
        (
            "return { toJSON() { throw new Error('no'); } }",
            "invalid_output",
            "Error: no (steps.js:4:",
        ),
        (
            "return { get a() { throw new Error('no'); } }",
            "invalid_output",
            "Error: no (steps.js:4:",
        ),
        ("return '\\ud800'", "invalid_output", "not JSON"),
        (
            "return 'x'.repeat(5_000_000)",
            "output_too_large",
            "5000002 bytes",
        ),
        // What is thrown.
        ("throw 'text'", "exception", "text"),
        ("throw null", "exception", "null"),
        ("throw undefined", "exception", "undefined"),
        ("throw Symbol('s')", "exception", "Symbol(s)"),
        ("throw { a: 1 }", "exception", r#"{"a":1}"#),
        ("throw Object.create(null)", "exception", "{}"),
        (
            "throw { tag: 'nothing', val: null }",
            "exception",
            r#"{"tag":"nothing","val":null}"#,
        ),
        (
            "throw { tag: 'failed', val: null }",
            "exception",
            "cannot read property 'code' of null",
        ),
        (
            "throw { get tag() { throw new Error('tag'); }, val: 1 }",
            "exception",
            "Error: tag (steps.js:4:",
        ),
        (
            "throw new Proxy({}, { get() { throw 1; }, getOwnPropertyDescriptor() { throw 2; }, getPrototypeOf() { throw 3; } })",
            "exception",
            "2",
        ),
        (
            "throw Object.defineProperty(new Error('x'), 'message', { get() { throw 1; } })",
            "exception",
            "cannot be shown",
        ),
        (
            "throw mp.pause('c', 'r', { until: -1 })",
            "exception",
            "`until` is",
        ),
        (
            "throw mp.retryable('c', 'm', { after: 'soon' })",
            "exception",
            "`after` is soon",
        ),
        (
            "throw { tag: 'failed', val: { code: 'c', message: 'm', detail: '{no' } }",
            "invalid_output",
            "not JSON",
        ),
        // Promises.
        (
            "return new Promise(() => {})",
            "never_settled",
            "nothing settles",
        ),
        (
            "return Promise.reject(new Error('mine'))",
            "exception",
            "Error: mine",
        ),
        (
            "Promise.reject(new Error('unseen')); return 1",
            "exception",
            "Error: unseen",
        ),
        ("await import('milepost')", "exception", "not by import()"),
        // What the language takes for its own.
        (
            "Array.prototype[0] = 'x'; Object.prototype.tag = 'paused'; Object.prototype.val = {}; throw new Error('x')",
            "exception",
            "Error: x",
        ),
        (
            "Object.defineProperty(Object.prototype, 'then', { get() { throw new Error('then'); } }); return {}",
            "exception",
            "Error: then",
        ),
        (
            "Object.defineProperty(Promise.prototype, 'constructor', { get() { throw new Error('c'); } })",
            "exception",
            "Error: c",
        ),
        (
            "String.prototype.indexOf = () => { throw 1; }; null.x",
            "exception",
            "of null (steps.js:4:",
        ),
        (
            "Error.prepareStackTrace = () => { throw 1; }; null.x",
            "exception",
            "of null",
        ),
        ("Error.stackTraceLimit = 0; null.x", "exception", "of null"),
    ];
    for (body, code, says) in cases {
        let mut call = step(call());
        call.limits.memory_bytes = 64 << 20;
        let result = execute(&load(&with_body(body)), call);
        let Outcome::Failed(found) = &result.outcome else {
            panic!("{body}: {:?}", result.outcome);
        };
        assert_eq!(found.code, code, "{body}: {}", found.message);
        assert!(found.message.contains(says), "{body}: {}", found.message);
    }
}

#[test]
fn what_never_ends_is_ended() {
    for body in [
        "for (;;) {}",
        "return /(a*)*b/.test('a'.repeat(1000))",
        "for (;;) await null",
    ] {
        let call = Call {
            timeout: Duration::from_millis(300),
            ..step(call())
        };
        let result = execute(&load(&with_body(body)), call);
        assert_eq!(error(&result).code, "timeout", "{body}");
    }
    let read = engine().script("steps.js", b"for (;;) {}");
    let late = block_on(async { tokio::time::timeout(Duration::from_millis(300), read).await });
    assert!(late.is_err(), "and whoever reads it may give up");
}

/// Functions of an ordinary program call each other as deeply.
#[test]
fn a_step_may_recurse() {
    let deep = "const f = (n) => n && 1 + f(n - 1); return f(900)";
    assert_eq!(*output(&run(deep)), json!(900));
    let tree = "let t = []; for (let i = 0; i < 350; i++) t = [t]; const f = (t) => t.map(f); return JSON.stringify(f(t)).length";
    assert_eq!(*output(&run(tree)), json!(702));
}

#[test]
fn time_and_chance_are_those_of_the_world() {
    let body = "return [Date.now(), new Date().toISOString(), mp.clock.now(), Math.random(), Math.random()]";
    let bytes = with_body(body);
    let first = execute_at_now(&bytes, step(call()));
    let values = output(&first).as_array().unwrap();
    assert_eq!(values[0], NOW.as_nanos() / 1_000_000);
    assert_eq!(values[1], "2023-11-14T22:13:20.000Z");
    assert_ne!(values[3], values[4]);
    // Again the same seed, and another one.
    assert_eq!(output(&execute_at_now(&bytes, step(call())))[3], values[3]);
    let other = execute_at_now(
        &bytes,
        Call {
            seed: 8,
            ..step(call())
        },
    );
    assert_ne!(output(&other)[3], values[3]);
    // On the tape: years later it is the same time.
    let again = execute(&load(&bytes), step(replay(&first.tape)));
    assert_eq!(again.outcome, first.outcome);
    assert_eq!(again.divergence, None);
}

#[test]
fn the_console_is_the_log() {
    let body = "console.log('a', 1, { b: [2] }, null, undefined, 10n, Symbol('s'), () => 1);\n\
                console.error(new Error('e')); console.debug(new Proxy({}, { get() { throw 1; } })); console.warn('\\ud800')";
    let host = Arc::<TestHost>::default();
    execute(&load(&with_body(body)), step(call_to(&host)));
    let said = host.messages();
    assert_eq!(
        said[0],
        r#"a 1 {"b":[2]} null undefined 10 Symbol(s) [function without a name]"#
    );
    assert_eq!(
        said[1],
        "Error: e (steps.js:5:19)\n    at s (steps.js:5:19)\n"
    );
    assert_eq!(said[2..], ["[cannot be shown]", "\u{fffd}"]);
}

#[test]
fn a_script_says_what_it_is() {
    let text = "import { kv, failed } from 'milepost';\nconsole.log('not now'); const begun = Date.now(); Math.random();\n\
        export const version = '1.2.0', buckets = ['b'], steps = {\n\
          full: { description: 'all', input: { type: 'object' }, output: { type: 'string' }, run() { return begun; } },\n\
          short() { kv.open('b'); },\n};";
    let inspection = Inspection::of(&component(text)).unwrap();
    inspection.check().unwrap();
    let manifest = inspection.manifest.unwrap();
    assert_eq!(
        (&*manifest.name, manifest.version.as_deref()),
        ("steps", Some("1.2.0"))
    );
    assert_eq!(manifest.steps.keys().collect::<Vec<_>>(), ["full", "short"]);
    assert_eq!(manifest.steps["full"].output, json!({ "type": "string" }));
    assert_eq!(manifest.buckets, ["b"]);
    // Of what the engine imports, what the script can reach.
    let reaches = |text: &str| Inspection::of(&component(text)).unwrap().capabilities;
    let always = ["context", "log", "clock", "random"];
    assert_eq!(
        inspection.capabilities,
        ["context", "log", "kv", "clock", "random"]
    );
    assert_eq!(reaches("export const steps = { s() {} }"), always);
    assert!(
        reaches("import * as all from 'milepost'; export const steps = { s() {} }")
            .contains(&"exec".to_owned())
    );
    assert!(
        reaches("export { request } from 'milepost'; export const steps = { s() {} }")
            .contains(&"http".to_owned())
    );
    let raw = "import { Bucket } from 'milepost:step/kv@0.1.0'; export const steps = { s() {} }";
    assert!(reaches(raw).contains(&"kv".to_owned()));
    // The form of components that are built.
    let built = "import { plugin, step } from './milepost.js'; export const guest = plugin({ name: 'p', steps: { s: step({ run: (x) => x }) } });";
    let bytes = component(built);
    assert_eq!(Inspection::of(&bytes).unwrap().manifest.unwrap().name, "p");
    assert_eq!(
        *output(&execute(&load(&bytes), step(call()))),
        json!({ "n": 1 })
    );
}

#[test]
fn what_is_no_script_is_refused_with_its_place() {
    let refused = |text: &[u8]| match block_on(engine().script("a b.js", text)) {
        Err(error) => error,
        Ok(_) => panic!("{} was taken", String::from_utf8_lossy(text)),
    };
    for (text, says) in [
        (
            "export const x = ;",
            "SyntaxError: unexpected token in expression: ';' (a b.js:1:18)",
        ),
        (
            "\n\n  null.x; export const steps = {}",
            "TypeError: cannot read property 'x' of null (a b.js:3:",
        ),
        (
            "export const step = {}",
            "it exports neither an object `steps` nor a `guest`",
        ),
        ("export const steps = [1]", "it exports neither"),
        (
            "export const steps = { s: 1 }",
            "the step `s` has no function `run`",
        ),
        (
            "export const steps = { s: null }",
            "the step `s` has no function `run`",
        ),
        (
            "import { x } from './other.js'",
            "a b.js cannot import './other.js': a script is one file",
        ),
        ("import fs from 'fs'", "cannot import 'fs'"),
        ("import { nothing } from 'milepost'", "nothing"),
        (
            "import 'milepost:step/teleport@0.1.0'",
            "there is no module 'milepost:step/teleport@0.1.0'",
        ),
        (
            "await new Promise(() => {})",
            "waits for a promise that nothing settles",
        ),
        (
            "import { kv } from 'milepost'; kv.open('b'); export const steps = {}",
            "the world is there for steps",
        ),
        (
            "const f = () => f(); f()",
            "Maximum call stack size exceeded",
        ),
        ("throw { get message() { throw 1 } }", ""),
        (
            "export const steps = { get s() { throw new Error('mine') } }",
            "Error: mine",
        ),
        ("export const name = 1n, steps = {}", "BigInt"),
    ] {
        match refused(text.as_bytes()) {
            ScriptError::Thrown(told) => assert!(told.contains(says), "{text}: {told}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    assert!(matches!(
        refused(b"export const name = 1, steps = {}"),
        ScriptError::Describe(_)
    ));
    assert!(matches!(
        refused(b"let a = '\xff'"),
        ScriptError::NotText(9)
    ));
    let large = vec![b' '; limits::SCRIPT_BYTES + 1];
    assert!(
        matches!(refused(&large), ScriptError::TooLarge { bytes } if bytes == large.len() as u64)
    );
}

#[test]
fn scripts_share_what_is_compiled() {
    let engine = WasmEngine::new(None, Arc::new(SystemClock)).unwrap();
    let script = |text: &str| block_on(engine.script("s.js", text.as_bytes())).unwrap();
    let one = script("export const steps = { s: () => 1 }");
    let two = script("export const steps = { s: () => 2 }");
    assert_eq!(
        one,
        script("export const steps = { s: () => 1 }"),
        "the same bytes again"
    );
    for (bytes, expected) in [(&one, 1), (&two, 2)] {
        let plugin = engine.load_bytes(bytes).unwrap();
        assert_eq!(*output(&execute(&plugin, step(call()))), json!(expected));
    }
    assert_eq!(engine.compilations(), 1);
}

/// A script is what stands behind all code, and there is none for others.
#[test]
fn only_a_component_with_a_script_is_given_one() {
    let bytes = component("export const steps = { s: () => 1 }");
    let engine_alone: &[u8] =
        include_bytes!("../../../plugins/javascript/prebuilt/javascript.wasm");
    assert!(bytes.starts_with(engine_alone));
    assert!(matches!(
        Inspection::of(engine_alone).unwrap().check(),
        Err(Rejection::UnknownImports { .. })
    ));
    let mut damaged = engine_alone.to_vec();
    append_section(&mut damaged, "milepost:script", b"no zero");
    assert!(matches!(
        Inspection::of(&damaged),
        Err(Rejection::Invalid(_))
    ));
    // Before code it is none.
    let mut moved = engine_alone[..8].to_vec();
    append_section(&mut moved, "milepost:script", b"s.js\0\0text");
    moved.extend_from_slice(&engine_alone[8..]);
    let rejection = Inspection::of(&moved).unwrap().check();
    assert!(matches!(rejection, Err(Rejection::UnknownImports { .. })));
    assert_eq!(error(&run("null.x")).class, ErrorClass::Failed);
}
