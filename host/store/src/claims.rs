//! Who drives which run, and what waits for somebody to drive it.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::BoxFuture;
use milepost_core::ids::{Epoch, RunId};

use crate::{Attention, Offer, Owner, StopRequest, StoreError};

/// Claims on runs, and what waits for somebody to claim it. A lease is a duration: it begins and ends by the clock of the
/// store, which is the same for everybody who asks it.
pub trait Claims: Send + Sync {
    /// Runs that somebody may take now, for one who has room for them: due ones, then pending ones, those that wait longest
    /// first. An offer is advice, no right: a store that many ask may keep what it offered from being offered again for a moment;
    /// whoever takes a run still claims it in [`Runs::write`](crate::Runs::write). What nobody took is offered again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn offer<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Offer, StoreError>>;

    /// What is new of these claims: one answer for all of them, and nothing about a claim that holds and of which nobody asks
    /// anything. With `renew`, the leases of those that hold last so long from now on.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: nothing is known of any of them.
    fn keep<'a>(
        &'a self,
        held: &'a [Held],
        renew: Option<Duration>,
    ) -> BoxFuture<'a, Result<Vec<News>, StoreError>>;

    /// Gives up claims of which nothing more can be recorded: those that still hold are owned by nobody then, and whoever looks
    /// next finds their runs lost, however long the lease was.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn give_up<'a>(&'a self, held: &'a [Held]) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Marks a run whose owner lives but does not renew its lease, until the owner writes or renews again. Returns whether
    /// this call set the mark: false when it is set, the epoch is not the present one, or the lease has not run out.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`].
    fn mark_detached<'a>(
        &'a self,
        run: &'a RunId,
        epoch: Epoch,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// What somebody has to look after. The cost does not depend on how many runs are over or paused.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn look<'a>(&'a self, look: &'a Look) -> BoxFuture<'a, Result<Attention, StoreError>>;

    /// A worker is there, and is taken to be for so long, unless it says so again. That may be lost with the power of the machine.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn present(&self, worker: Owner, lease: Duration) -> BoxFuture<'_, Result<(), StoreError>>;

    /// A worker takes no more runs.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn absent<'a>(&'a self, worker: &'a Owner) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Workers that are taken to be there, in no order.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn workers(&self) -> BoxFuture<'_, Result<Vec<Owner>, StoreError>>;
}

/// What a worker asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// How many runs it has room for.
    pub room: usize,
    /// Runs that it would not take now.
    pub except: BTreeSet<RunId>,
}

/// What a sweep asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Whose processes the asker can see: of the running runs, those whose lease has run out are listed, and all that are owned
    /// on this host.
    pub host: String,
    /// The maximum number of each kind.
    pub limit: usize,
    /// Where to go on among the running runs ([`Attention::next`]).
    pub after: Option<String>,
}

/// A claim that somebody holds, or thinks to hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// The run.
    pub run: RunId,
    /// Under which epoch.
    pub epoch: Epoch,
}

impl Held {
    /// What is new of it: `None` says that it does not hold, else what is asked of its owner.
    #[must_use]
    pub fn news(&self, holds: Option<Option<StopRequest>>) -> Option<News> {
        let what = match holds {
            None => Claimed::Lost,
            Some(request) => Claimed::Asked(request?),
        };
        Some(News {
            held: self.clone(),
            what,
        })
    }
}

/// What is new of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The claim.
    pub held: Held,
    /// What.
    pub what: Claimed,
}

/// How a claim is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// It holds no longer: the run is somebody else's, was ended, or is gone.
    Lost,
    /// It holds, and this is asked of its owner.
    Asked(StopRequest),
}
