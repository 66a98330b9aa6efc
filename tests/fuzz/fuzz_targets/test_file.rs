//! `cargo fuzz run test_file`: see `checks/test_file.rs`.
#![no_main]

#[path = "../checks/test_file.rs"]
mod test_file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| test_file::check(bytes));
