//! The handle by which a run in this process is asked to stop.

use std::sync::Arc;

use tokio::sync::watch;

use crate::store::StopKind;

/// How strongly a run is asked to stop: a stronger request replaces a weaker one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    /// Let go of the run where the step in flight has ended; another worker goes on with it.
    Release,
    /// Pause where the step in flight has ended.
    Pause,
    /// Let go of the run at once; the step in flight is interrupted.
    ReleaseNow,
    /// Pause at once; the step in flight is interrupted.
    PauseNow,
    /// End for good: the step in flight may clean up for a moment.
    Cancel,
    /// End for good, at once.
    Kill,
}

impl Demand {
    /// Whether it waits for the step in flight.
    pub(crate) const fn is_patient(self) -> bool {
        matches!(self, Self::Release | Self::Pause)
    }
}

impl From<StopKind> for Demand {
    fn from(kind: StopKind) -> Self {
        match kind {
            StopKind::Pause => Self::Pause,
            StopKind::PauseNow => Self::PauseNow,
            StopKind::Cancel => Self::Cancel,
            StopKind::Kill => Self::Kill,
        }
    }
}

/// What somebody asked of a running run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What.
    pub demand: Demand,
    /// Who, for people ("SIGINT").
    pub by: String,
}

impl Request {
    /// A request of somebody.
    pub fn new(demand: Demand, by: impl Into<String>) -> Self {
        Self {
            demand,
            by: by.into(),
        }
    }
}

/// Asks a run to stop. Clones ask the same run; the strongest request holds.
#[derive(Debug, Clone)]
pub struct Control {
    sender: Arc<watch::Sender<Option<Request>>>,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            sender: Arc::new(watch::Sender::new(None)),
        }
    }
}

impl Control {
    /// Asks. Returns false when the same or more was asked before.
    pub fn ask(&self, request: Request) -> bool {
        self.sender.send_if_modified(|present| {
            let stronger = present
                .as_ref()
                .is_none_or(|present| present.demand < request.demand);
            if stronger {
                *present = Some(request);
            }
            stronger
        })
    }

    /// Takes a request back that nobody has met yet, unless a stronger one has replaced it.
    pub(crate) fn withdraw(&self, request: &Request) {
        self.sender.send_if_modified(|present| {
            let asked = present.as_ref() == Some(request);
            if asked {
                *present = None;
            }
            asked
        });
    }

    /// What was asked so far.
    pub(crate) fn present(&self) -> Option<Request> {
        self.sender.borrow().clone()
    }

    /// Waits for a request that is stronger than the one known.
    pub(crate) async fn asked(&self, known: Option<Demand>) -> Request {
        let mut receiver = self.sender.subscribe();
        let asked = receiver
            .wait_for(|present| present.as_ref().map(|request| request.demand) > known)
            .await
            .map(|request| request.clone());
        match asked {
            Ok(Some(request)) => request,
            // The sender lives in `self`, so the channel cannot close; and `None` is never more than what is known.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}
