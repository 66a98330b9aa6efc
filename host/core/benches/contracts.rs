//! What it costs to hold values against what a manifest declares: an ordinary input and output, and the largest.
//!
//! Run with `cargo bench --bench contracts`. The switch is `validate = false` of a plugin.

#![expect(clippy::disallowed_macros, reason = "a benchmark prints its figures")]
#![expect(clippy::disallowed_types, reason = "a benchmark measures time")]

use std::hint::black_box;
use std::time::Instant;

use milepost_core::json_schema::JsonSchema;
use serde_json::{Value, json};

const ROUNDS: usize = 21;

fn main() {
    let order = json!({
        "type": "object",
        "properties": {
            "id": { "type": "string", "minLength": 1 },
            "total": { "type": "number", "minimum": 0 },
            "state": { "enum": ["open", "paid", "sent"] },
            "note": { "anyOf": [{ "type": "string" }, { "type": "null" }] },
            "lines": { "type": "array", "items": { "$ref": "#/$defs/line" } },
        },
        "required": ["id", "total", "lines"],
        "additionalProperties": false,
        "$defs": { "line": {
            "type": "object",
            "properties": { "sku": { "type": "string" }, "count": { "type": "integer", "minimum": 1 } },
            "required": ["sku", "count"],
        } },
    });
    let lines = |count: usize| -> Vec<Value> {
        let line = |at: usize| json!({ "sku": format!("A-{at}"), "count": at + 1 });
        (0..count).map(line).collect()
    };
    let of = |count| json!({ "id": "o-1", "total": 12.5, "state": "paid", "note": null, "lines": lines(count) });
    measure("an order of 5 lines", &order, &of(5), 10_000);
    measure("an order of 1,000 lines", &order, &of(1_000), 100);
    let numbers = json!({ "type": "array", "items": { "type": "integer" } });
    let most = json!((0..500_000).collect::<Vec<_>>());
    measure("500,000 integers", &numbers, &most, 1);
}

fn measure(what: &str, schema: &Value, value: &Value, times: u32) {
    let schema = JsonSchema::compile(schema);
    let mut micros: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..times {
                assert!(schema.check(black_box(value)).is_ok());
            }
            begun.elapsed().as_secs_f64() * 1e6 / f64::from(times)
        })
        .collect();
    micros.sort_by(f64::total_cmp);
    let bytes = value.to_string().len();
    println!(
        "{what} ({bytes} bytes as JSON): {:.2} us",
        micros[ROUNDS / 2]
    );
}
