//! `milepost plugin test`: builds what has changed, then executes the tests.

use std::path::PathBuf;

use clap::Args;

use super::build::{HowArgs, build};
use super::sources::is_stale;
use crate::context::{Context, Reply};
use crate::failure::Failure;
use crate::test;

/// Build a plugin if need be, and execute its tests
///
/// Builds the plugin in a folder, unless its component is newer than all files that it could be made of, and executes the tests in
/// the `*.test.toml` files there, as `milepost test` does.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost plugin test
  milepost plugin test words --crash
  milepost plugin test words --filter asks")]
pub(crate) struct TestArgs {
    /// The folder of the plugin
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Only tests whose name, or file, contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Write what happened into the files, in the place of what was expected
    #[arg(long, conflicts_with = "crash")]
    update: bool,
    /// Kill each test after every host call and begin it again
    #[arg(long)]
    crash: bool,
    /// Also write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    how: HowArgs,
}

pub(super) fn run(args: &TestArgs, cx: &Context) -> Result<Reply, Failure> {
    // A mistake in the name of the folder is told before anything is made in it.
    args.how.language(&args.folder)?;
    let output = args.how.output(&args.folder);
    if is_stale(&output, &args.folder) {
        let built = build(&args.folder, &args.how, cx)?;
        if !cx.json {
            cx.note(built.text());
        }
    }
    test::of_folder(
        &args.folder,
        args.filter.clone(),
        args.update,
        args.crash,
        args.junit.clone(),
        cx,
    )
}
