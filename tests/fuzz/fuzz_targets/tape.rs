//! `cargo fuzz run tape`: see `checks/tape.rs`.
#![no_main]

#[path = "../checks/tape.rs"]
mod tape;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tape::check(bytes));
