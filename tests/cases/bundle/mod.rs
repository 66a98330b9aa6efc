//! Runs as files: what goes out comes in again, on another store, and nothing else does.

mod golden;
mod hostile;
mod program;
mod redacted;
mod still;
mod tamper;
mod whole;

use std::io::Cursor;

use milepost::bundle::{self, BundleError, ExportOptions, Exported, Field, Imported, Standing};
use milepost::store::Store;
use milepost_core::ids::RunId;
use milepost_tests::now::Now as _;
use milepost_tests::rig::START;

/// The run as a file.
fn export_as(
    store: &dyn Store,
    run: &RunId,
    redact: &[&str],
) -> Result<(Exported, Vec<u8>), BundleError> {
    let fields = redact.iter().map(|field| field.parse::<Field>().unwrap());
    let options = ExportOptions {
        redact: fields.collect(),
    };
    bundle::export(store, run, &options, Vec::new(), &mut |_| {}).now()
}

fn export(store: &dyn Store, run: &RunId) -> Vec<u8> {
    export_as(store, run, &[]).unwrap().1
}

/// As the program imports.
fn still() -> Standing {
    Standing::Still {
        by: "import".to_owned(),
        at: START,
    }
}

fn import_as(store: &dyn Store, file: &[u8], standing: &Standing) -> Result<Imported, BundleError> {
    bundle::import(store, &mut Cursor::new(file), standing, &mut |_| {}).now()
}

fn import(store: &dyn Store, file: &[u8]) -> Result<Imported, BundleError> {
    import_as(store, file, &still())
}
