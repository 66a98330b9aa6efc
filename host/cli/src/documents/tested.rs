//! What came of tests.

use schemars::JsonSchema;
use serde::Serialize;

use super::definition::Checked;

/// What came of tests.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Tested {
    /// Whether all of them passed.
    pub(crate) ok: bool,
    /// How many passed.
    pub(crate) passed: usize,
    /// How many did not.
    pub(crate) failed: usize,
    /// How often one was killed and begun again.
    pub(crate) kills: usize,
    /// Each of them, in the order of the files.
    pub(crate) tests: Vec<Test>,
    /// Files that cannot be used; then no test was executed.
    pub(crate) files: Vec<Checked>,
    /// Files that were brought up to date.
    pub(crate) updated: Vec<String>,
}

/// One test.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Test {
    /// Its file.
    pub(crate) file: String,
    /// Where it begins.
    pub(crate) line: usize,
    /// Its name.
    pub(crate) name: String,
    /// Whether it passed.
    pub(crate) ok: bool,
    /// How long it took, milliseconds.
    pub(crate) took_millis: u64,
    /// Why it could not be executed.
    pub(crate) error: Option<String>,
    /// What was expected and did not happen.
    pub(crate) differences: Vec<Unmet>,
}

/// An expectation that was not met.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Unmet {
    /// Where it stands: the line.
    pub(crate) line: usize,
    /// The column.
    pub(crate) column: usize,
    /// What is wrong.
    pub(crate) message: String,
    /// Expected (`-`) and actual (`+`), a line each, or what to add to the file.
    pub(crate) detail: String,
}
