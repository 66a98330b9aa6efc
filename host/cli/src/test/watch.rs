//! `milepost test --watch`: executes the tests again whenever what they depend on changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::time::{Duration, SystemTime};

use milepost::core::definition::Definition;

use super::{Found, TestArgs, once};
use crate::context::{Context, Reply};
use crate::drive;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::signals::{self, Signals};

/// How often it is looked for changes.
const LOOKS: Duration = Duration::from_millis(250);

/// Executes the tests until somebody stops it: the exit code is that of the last time.
pub(super) fn run(args: &TestArgs, cx: &Context) -> Result<Reply, Failure> {
    let runtime = drive::runtime()?;
    let mut signals = Signals::listen(Weak::new()).map_err(|error| signals::refused(&error))?;
    loop {
        // From before on: what changes meanwhile is seen.
        let before = look(args);
        let exit: Exit = match once(args, cx) {
            Ok(reply) => reply.print(),
            Err(failure) => cx.fail(&failure),
        };
        cx.note("waiting for changes; Ctrl-C ends this");
        let changed = runtime.block_on(async {
            loop {
                tokio::select! {
                    biased;
                    _ = signals.next() => return false,
                    () = tokio::time::sleep(LOOKS) => {}
                }
                if look(args) != before {
                    return true;
                }
            }
        });
        if !changed {
            return Ok(Reply::text(exit, ""));
        }
    }
}

/// Files and how they were last seen.
type Look = BTreeMap<PathBuf, Option<(SystemTime, u64)>>;

/// What the tests depend on: their files, what they test, and what that is made of.
fn look(args: &TestArgs) -> Look {
    let mut files = BTreeSet::new();
    if let Ok(found) = Found::below(&args.paths) {
        files.extend(found.bad.iter().map(|(file, _)| file.clone()));
        for file in &found.files {
            files.insert(file.file.clone());
            for case in &file.cases {
                add(case.tests(), &mut files);
            }
        }
    }
    let seen = files.into_iter().map(|file| {
        let meta = fs::metadata(&file).ok();
        let seen = meta.and_then(|meta| Some((meta.modified().ok()?, meta.len())));
        (file, seen)
    });
    seen.collect()
}

/// A component, or a workflow with its components and child workflows.
fn add(file: &Path, files: &mut BTreeSet<PathBuf>) {
    if !files.insert(file.to_owned()) || file.extension().is_none_or(|kind| kind != "toml") {
        return;
    }
    let Ok(text) = milepost::workflow::read_definition(file) else {
        return;
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    for (_, spec) in Definition::plugins_of(&text) {
        files.insert(folder.join(&spec.source));
    }
    for child in milepost::workflow::children(file, &text, None).keys() {
        add(&folder.join(child), files);
    }
}
