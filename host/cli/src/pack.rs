//! `milepost pack`: asks a component for its manifest, once, and embeds the answer.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use milepost::wasm::{Inspection, embed_manifest};

use super::component;
use super::context::{Context, Reply};
use super::documents::Component;
use super::drive::runtime;
use super::exit::Exit;
use super::failure::{Code, Failure};

/// Embed a component's manifest in it
///
/// Asks a component for its manifest and writes a copy with the manifest inside. Workflows can then be checked against the
/// component's steps before anything runs.
///
/// Only the component's `describe` function is executed, with every capability switched off.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost pack target/wasm32-wasip2/release/git.wasm -o plugins/git.wasm")]
pub(crate) struct PackArgs {
    /// The component
    component: PathBuf,
    /// File to write; may be the same file
    #[arg(long, short, value_name = "OUT")]
    output: PathBuf,
}

pub(super) fn run(args: &PackArgs, cx: &Context) -> Result<Reply, Failure> {
    let bytes = component::read(&args.component)?;
    let plugins = cx.plugins();
    let engine = plugins
        .engine()
        .map_err(|error| Failure::new(Code::EngineUnavailable, error.to_string()))?;
    let manifest = runtime()?.block_on(engine.describe(&bytes))?;
    let packed = embed_manifest(&bytes, &manifest)?;
    let inspection = Inspection::of(&packed)?;
    if let Err(problem) = inspection.check() {
        cx.warn(format!("this version cannot run it: {problem}"));
    }
    replace(&args.output, &packed).map_err(|error| Failure::file("write", &args.output, &error))?;
    let document = || Component::new(&args.output, &inspection);
    Ok(cx.reply(Exit::Completed, document, || {
        component::text(&args.output, &inspection)
    }))
}

/// Whoever reads meanwhile sees the old file or the new one, never a part. The name before the last one is new: a file or a link
/// that somebody else put there is not written to.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let (mut unfinished, path) = create_beside(file)?;
    let written = unfinished
        .write_all(bytes)
        .and_then(|()| fs::rename(&path, file));
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&path);
    }
    written
}

fn create_beside(file: &Path) -> io::Result<(File, PathBuf)> {
    // What a run that was killed left behind must not stand in the way for ever.
    const NAMES: u32 = 100;
    let mut number = 0;
    loop {
        let mut path = file.as_os_str().to_owned();
        path.push(format!(".{}-{number}.tmp", std::process::id()));
        match File::create_new(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < NAMES => {
                number += 1;
            }
            created => return Ok((created?, path.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_link_at_the_name_before_the_last_one_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (out, victim) = (folder.path().join("out.wasm"), folder.path().join("victim"));
        fs::write(&victim, "precious").unwrap();
        let planted = format!("{}.{}-0.tmp", out.display(), std::process::id());
        std::os::unix::fs::symlink(&victim, &planted).unwrap();
        replace(&out, b"new").unwrap();
        assert_eq!(fs::read(&out).unwrap(), b"new");
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }
}
