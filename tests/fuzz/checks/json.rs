//! Any text as JSON from outside: refused, or a value that is what the text says, and comes back equal.

use milepost_core::json::{differences, parse};
use milepost_core::payload::Payload;
use serde_json::Value;

pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let value = match parse(text) {
        Ok(value) => value,
        Err(refused) => {
            let _ = refused.to_string();
            return;
        }
    };
    // A parser that keeps `-0` as a double, and is of one mind otherwise.
    let plain: Value = serde_json::from_str(text).expect("it is JSON");
    assert!(text.contains("-0") || plain == value, "{plain} is {value}");
    let written = value.to_string();
    assert_eq!(parse(&written).as_ref(), Ok(&value));
    assert_eq!(differences(&value, &value, 9), []);
    let payload = Payload::new(value.clone());
    assert_eq!(*payload.value(), value);
    assert_eq!(payload.text(), written);
}
