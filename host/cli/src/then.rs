//! What a verb that moves a run does afterwards, where a person wants to see what comes of it: drive the run on, or follow it.

use clap::Args;
use milepost::Engine;
use milepost::core::ids::RunId;
use milepost::core::state::Status;
use milepost::engine::{Control, EngineError, OnChange, ResumeOptions};

use super::context::{By, Context, Reply};
use super::drive::{drive, recorded_definition};
use super::failure::Failure;
use super::progress::Limits;
use super::text::Text;
use super::world_args::World;
use super::{ending, follow, place};

/// For verbs after which a run can go on.
#[derive(Debug, Args)]
pub(crate) struct ThenArgs {
    /// Then drive the run on in this process, as `milepost resume` does, with its output and exit code
    #[arg(long, conflicts_with = "follow")]
    resume: bool,
    #[command(flatten)]
    follow: FollowArgs,
}

/// For verbs after which somebody else drives a run.
#[derive(Debug, Args)]
pub(crate) struct FollowArgs {
    /// Then follow the run until it stops, wherever it is driven, with its output and exit code
    #[arg(long, short)]
    follow: bool,
}

impl ThenArgs {
    /// By whom the run goes on then.
    pub(crate) const fn by(&self, worker: bool) -> By {
        match self.resume {
            true => By::Here,
            false => By::worker(worker),
        }
    }

    /// The reply of the verb; or, where the run is to be seen to where it stops, that of the run. Then what the verb has done is a note.
    ///
    /// # Errors
    /// [`Failure`] when the run cannot be driven, or not be followed. What the verb has done stands.
    pub(crate) fn reply(
        &self,
        cx: &Context,
        world: &World,
        run: &RunId,
        (did, reply): (Text, Reply),
    ) -> Result<Reply, Failure> {
        match (self.resume, self.follow.is_wanted()) {
            (true, _) => {
                cx.note(did);
                go_on(cx, world, run)
            }
            (false, true) => self.follow.reply(cx, run, did),
            (false, false) => Ok(reply),
        }
    }
}

impl FollowArgs {
    /// Whether it is.
    pub(crate) const fn is_wanted(&self) -> bool {
        self.follow
    }

    /// The reply of the run where it stops; what the verb has done is a note.
    ///
    /// # Errors
    /// [`Failure`] when the run cannot be followed.
    #[expect(clippy::unused_self, reason = "whoever has it was asked for that")]
    pub(crate) fn reply(&self, cx: &Context, run: &RunId, did: Text) -> Result<Reply, Failure> {
        cx.note(did);
        follow::follow(cx, &cx.engine_to_read()?, run)
    }
}

/// Drives a run on, here, as it was started; where another process does so already, that one is followed.
fn go_on(cx: &Context, world: &World, run: &RunId) -> Result<Reply, Failure> {
    let store = place::open_existing(&cx.store)?;
    let definition = recorded_definition(store.as_ref(), run);
    let limits = definition.as_ref().map(Limits::of).unwrap_or_default();
    if let Some(definition) = &definition {
        world.warn_idle(cx, definition);
    }
    let work = async |engine: Engine, control: Control| {
        let options = ResumeOptions {
            on_change: OnChange::Ask,
            control,
        };
        match engine.resume(run, options).await {
            // A worker was quicker, or it moved all the time.
            Err(EngineError::AlreadyRunning { .. } | EngineError::NotResumable { .. }) => {
                engine.report(run).await
            }
            driven => driven,
        }
    };
    let report = drive(cx, store, cx.plugins(), world, limits, work)?;
    match report.status {
        Status::Pending | Status::Running => follow::follow(cx, &cx.engine_to_read()?, run),
        Status::Paused | Status::Completed | Status::Failed | Status::Cancelled => {
            Ok(ending::reply(cx, &report))
        }
    }
}
