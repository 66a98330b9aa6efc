//! `milepost import`: a run from a file into the store.

use std::fs::File;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::Args;
use milepost::bundle::{self, Standing};

use super::context::{Context, Reply};
use super::drive::wait;
use super::exit::Exit;
use super::export::telling;
use super::failure::Failure;
use super::progress::Told;
use super::words::bundle as words;
use super::{documents, place};

/// Put a run from a file into the store
///
/// Reads a file that `export` wrote and puts its runs into the store: all of them, or none. The whole file is checked before
/// anything is written; a file that was cut off or altered is refused.
///
/// Nothing goes on by itself: a run that was pending or running is paused here, one that was due or waits is held. `resume`
/// lets it go on, on this machine. A run that is there already with the same record stays as it is; another one of the same id
/// is not replaced.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost import run.mpr
  milepost import run.mpr --json | jq -r .id
  milepost --store /tmp/elsewhere import run.mpr")]
pub(crate) struct ImportArgs {
    /// File that `export` wrote
    file: PathBuf,
}

pub(super) fn run(args: &ImportArgs, cx: &Context) -> Result<Reply, Failure> {
    let failed = |error| Failure::file("read", &args.file, &error);
    let mut file = File::open(&args.file).map_err(failed)?;
    let standing = Standing::Still {
        by: "import".to_owned(),
        at: SystemTime::now().into(),
    };
    let progress = Told::new(cx.lively);
    let imported = {
        let mut tell = telling(&progress);
        bundle::read(&mut file, &mut tell)
            .map_err(Failure::from)
            .and_then(|read| {
                // A file that is refused makes no store.
                let store = place::open_or_create(&cx.store)?;
                wait(bundle::place(
                    store.as_ref(),
                    &mut file,
                    read,
                    &standing,
                    &mut tell,
                ))
            })
    };
    progress.finish();
    let imported = imported?;
    Ok(cx.reply(
        Exit::Completed,
        || documents::Imported::from(&imported),
        || words::imported(&imported, &cx.command("resume", &imported.run)),
    ))
}
