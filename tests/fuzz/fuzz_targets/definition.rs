//! `cargo fuzz run definition`: see `checks/definition.rs`.
#![no_main]

#[path = "../checks/definition.rs"]
mod definition;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| definition::check(bytes));
