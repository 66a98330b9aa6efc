//! From what a person typed to a record: a run of the store, or a file that holds one.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use milepost::bundle;
use milepost::core::ids::RunId;
use milepost::store::Store;

use super::context::Context;
use super::drive::wait;
use super::export::telling;
use super::failure::Failure;
use super::progress::Told;
use super::{ids, place};

/// The run that was meant, and where it is recorded. What can be no id is a file: `run.mpr`, `./run`.
///
/// # Errors
/// [`Failure`] when there is no such run or file, or the file is refused.
pub(crate) fn open(cx: &Context, typed: &str) -> Result<(Arc<dyn Store>, RunId), Failure> {
    if !typed.contains(['.', '/', '\\']) {
        let store = place::open_to_read(&cx.store)?;
        let run = ids::resolve(store.as_ref(), typed)?;
        return Ok((store, run));
    }
    let path = Path::new(typed);
    let mut file = File::open(path).map_err(|error| Failure::file("read", path, &error))?;
    let progress = Told::new(cx.lively);
    let unpacked = {
        let mut tell = telling(&progress);
        let unpacked = bundle::unpack(&mut file, &mut tell);
        wait(unpacked)
    };
    progress.finish();
    let (store, run) = unpacked?;
    Ok((Arc::new(store), run))
}
