//! How far the step is: shown live; the last report stays with the attempt.

/// Reports that `done` of `total` units are done.
pub fn report(done: u64, total: Option<u64>, message: &str) {
    #[cfg(target_family = "wasm")]
    crate::bindings::milepost::step::progress::report(done, total, message);
    #[cfg(not(target_family = "wasm"))]
    eprintln!("{done}/{total:?} {message}");
}
