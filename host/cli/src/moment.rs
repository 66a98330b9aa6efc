//! Options that name a point in the history of a run.

use clap::Args;
use milepost::core::ids::Path;
use milepost::core::shown::Shown;
use milepost::history::{Moment, Past};

use super::failure::{Code, Failure};
use super::format;

/// Up to where the history of a run counts.
#[derive(Debug, Args)]
pub(crate) struct MomentArgs {
    /// As the run was right after this event of its journal
    #[arg(long, value_name = "SEQ", conflicts_with = "at_step")]
    at: Option<u64>,
    /// As the run was when this step execution last began, such as fix#2/test
    #[arg(long, value_name = "PATH")]
    at_step: Option<String>,
}

impl MomentArgs {
    /// The point that is meant; `None`: now.
    ///
    /// # Errors
    /// [`Failure`] when the path is none.
    pub(crate) fn read(&self) -> Result<Option<Moment>, Failure> {
        let step = self.at_step.as_deref().map(path).transpose()?;
        Ok(self.at.map(Moment::Event).or(step.map(Moment::Step)))
    }

    /// The step execution that was typed.
    pub(crate) fn step(&self) -> Option<&str> {
        self.at_step.as_deref()
    }
}

/// A path as a person typed it.
///
/// # Errors
/// [`Failure`] when it is none.
pub(crate) fn path(typed: &str) -> Result<Path, Failure> {
    typed.parse().map_err(|error| {
        Failure::new(
            Code::Usage,
            format!("`{}` is no path: {error}", Shown(typed)),
        )
        .help("a path is written as in the journal, such as `test`, `fix#2/test` or `notes[3]`")
    })
}

/// `event 12, step_started of fix#2/test, at 10:00:00`.
pub(crate) fn told(past: &Past) -> String {
    let path = past.path.as_ref();
    let path = path.map_or_else(String::new, |path| format!(" of {}", Shown(path)));
    let at = format::instant(past.at);
    format!("event {}, {}{path}, at {at}", past.event, past.name)
}
