//! Programs are not run on this system.

use milepost_core::effect::ProcessGroup;

use super::command::{Command, Finished};
use crate::compile::ChildProgram;
use crate::host_error::HostError;

/// A folder that a program starts in.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: String,
}

impl Folder {
    pub(super) fn open(_: &str) -> Result<Self, HostError> {
        Err(not_here())
    }
}

/// The names of a program that was found.
pub(super) fn names(_: &str) -> Result<Vec<std::path::PathBuf>, HostError> {
    Err(not_here())
}

pub(crate) fn plain_holder() -> ChildProgram {
    ChildProgram {
        program: "cat".into(),
        arguments: Vec::new(),
    }
}

fn not_here() -> HostError {
    HostError::new("unavailable", "programs can be run on Unix systems only")
}

impl Command {
    pub(super) async fn run_in(
        self,
        _: Option<Folder>,
        _: &ChildProgram,
        _: Option<&ChildProgram>,
        _: impl AsyncFnOnce(&ProcessGroup) -> Result<(), HostError>,
    ) -> Result<Finished, HostError> {
        Err(not_here())
    }
}
