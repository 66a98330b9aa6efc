//! Values at the boundaries of what can be recorded: whatever is drawn must come back from a store as it was.

use milepost_core::limits::INLINE_VALUE_BYTES;
use serde_json::{Value, json};

/// A value that depends on the draw alone, with at most `levels` levels of arrays and objects.
#[must_use]
pub fn value(draw: u64, levels: usize) -> Value {
    const TEXTS: [&str; 6] = [
        "",
        "é😀\u{202e}\u{feff}",
        "\0\u{1b}[31m\u{7f}\u{85}",
        "\"\\/\u{2028}\n",
        "${ inputs.x } $${",
        "{\"blob\":\"sha256:0\"}",
    ];
    const DOUBLES: [f64; 8] = [
        0.369_955_166_548_079_25,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        -0.0,
        1e29,
        9_007_199_254_740_993.0,
        0.1,
    ];
    let mut next = draw;
    let mut number = || {
        next = mixed(next);
        next
    };
    match number() % 24 {
        0 => Value::Null,
        1 => json!(TEXTS[index(number(), TEXTS.len())]),
        2 => json!([[], {}, "", null, false]),
        3 => json!([
            u64::MAX,
            i64::MAX as u64 + 1 + number() % 1_000,
            i64::MIN,
            number()
        ]),
        4 => json!(DOUBLES),
        5 => (0..40).map(|_| json!(double(number()))).collect(),
        6 | 7 => {
            json!({ "": number(), "blob": "sha256:0", "inline": null, "é": [double(number())] })
        }
        8 => {
            let quotes = 2;
            let length = INLINE_VALUE_BYTES - quotes - 1 + index(number(), 3);
            json!("x".repeat(length))
        }
        9 => json!(["é\u{1}".repeat(INLINE_VALUE_BYTES / 4)]),
        10..14 => nested(levels, number()),
        14 => nested(levels.saturating_sub(1), number()),
        _ => json!([double(number()), double(number()), double(number())]),
    }
}

/// Arrays and objects in each other, with a number inside.
fn nested(levels: usize, draw: u64) -> Value {
    (0..levels).fold(json!(double(draw)), |inner, level| match level % 2 {
        0 => json!([inner]),
        _ => json!({ "k": inner }),
    })
}

/// Any finite double, half of them of everyday size.
fn double(draw: u64) -> f64 {
    let any = f64::from_bits(mixed(draw));
    match draw.is_multiple_of(2) && any.is_finite() {
        true => any,
        false => (draw >> 11) as f64 / 9_007_199_254_740_992.0,
    }
}

fn index(draw: u64, below: usize) -> usize {
    usize::try_from(draw % below as u64).unwrap_or_default()
}

/// One step of splitmix64.
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
