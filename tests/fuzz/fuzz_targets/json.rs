//! `cargo fuzz run json`: see `checks/json.rs`.
#![no_main]

#[path = "../checks/json.rs"]
mod json;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| json::check(bytes));
