//! `milepost test --watch`: executes the tests again whenever what they depend on changes.

use std::collections::BTreeSet;
use std::sync::Weak;

use super::{Found, TestArgs, once};
use crate::context::{Context, Reply};
use crate::drive;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::signals::{self, Signals};
use crate::watched::{self, Look};

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
            tokio::select! {
                biased;
                _ = signals.next() => false,
                _ = watched::change(&before, || look(args)) => true,
            }
        });
        if !changed {
            return Ok(Reply::text(exit, ""));
        }
    }
}

/// What the tests depend on: their files, what they test, and what that is made of.
fn look(args: &TestArgs) -> Look {
    let mut files = BTreeSet::new();
    if let Ok(found) = Found::below(&args.paths) {
        files.extend(found.bad.iter().map(|(file, _)| file.clone()));
        for file in &found.files {
            files.insert(file.file.clone());
            for case in &file.cases {
                watched::add(case.tests(), &mut files);
            }
        }
    }
    Look::at(files)
}
