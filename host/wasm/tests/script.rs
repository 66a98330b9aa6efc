//! Files of JavaScript as components: what they may say, what becomes of it, and what scripts of the worst kind come to.

#![expect(clippy::unwrap_used, reason = "a test")]

mod guests;

use std::time::Instant;

use guests::{block_on, call, engine, execute, load, output};
use milepost_wasm::Plugin;
use serde_json::json;

fn script(text: &str) -> Plugin {
    load(&block_on(engine().script("steps.js", text.as_bytes())).unwrap())
}

#[test]
fn a_file_is_a_component() {
    let begun = Instant::now();
    let plugin = script(
        "export const steps = { greet: { run({ name }) { console.log('hi', name); return `Hello, ${name}`; } } };",
    );
    eprintln!("read {:?}", begun.elapsed());
    let mut call = call();
    call.step = "greet".into();
    call.input = json!({ "name": "Ada" }).into();
    for _ in 0..5 {
        let begun = Instant::now();
        let result = execute(&plugin, call.clone());
        eprintln!("call {:?} {:?}", begun.elapsed(), result.outcome);
        assert_eq!(*output(&result), json!("Hello, Ada"));
    }
}
