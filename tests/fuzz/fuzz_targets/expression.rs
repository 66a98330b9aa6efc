//! `cargo fuzz run expression`: see `checks/expression.rs`.
#![no_main]

#[path = "../checks/expression.rs"]
mod expression;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| expression::check(bytes));
