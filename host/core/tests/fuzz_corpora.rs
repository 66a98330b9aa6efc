//! The corpora of the fuzzers of the core, `tests/fuzz`: every input that is kept passes.
#![expect(clippy::unwrap_used, reason = "a test")]
#![expect(clippy::disallowed_methods, reason = "corpora are files")]
#![expect(
    clippy::disallowed_macros,
    reason = "a test says which input it is about"
)]

#[path = "../../../tests/fuzz/checks/definition.rs"]
#[expect(unreachable_pub, reason = "it is shared")]
mod definition;
#[path = "../../../tests/fuzz/checks/expression.rs"]
#[expect(unreachable_pub, reason = "it is shared")]
mod expression;
#[path = "../../../tests/fuzz/checks/journal.rs"]
#[expect(unreachable_pub, reason = "it is shared")]
mod journal;
#[path = "../../../tests/fuzz/checks/json.rs"]
#[expect(unreachable_pub, reason = "it is shared")]
mod json;
#[path = "../../../tests/fuzz/checks/tape.rs"]
#[expect(unreachable_pub, reason = "it is shared")]
mod tape;

use std::path::Path;

/// Every input that is kept.
fn all(corpus: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus");
    let files = std::fs::read_dir(folder.join(corpus)).unwrap();
    let inputs = files.map(|file| file.unwrap().path());
    let mut tried = 0;
    for input in inputs {
        let bytes = std::fs::read(&input).unwrap();
        if let Err(panic) = std::panic::catch_unwind(|| check(&bytes)) {
            eprintln!("in {}", input.display());
            std::panic::resume_unwind(panic);
        }
        tried += 1;
    }
    assert!(tried >= 5, "{corpus} has {tried} inputs");
}

#[test]
fn definitions() {
    all("definition", definition::check);
}

#[test]
fn expressions() {
    all("expression", expression::check);
}

#[test]
fn journals() {
    all("journal", journal::check);
}

#[test]
fn tapes() {
    all("tape", tape::check);
}

#[test]
fn json_from_outside() {
    all("json", json::check);
}
