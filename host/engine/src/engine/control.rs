//! The handle by which a run in this process is asked to stop.

use std::sync::Arc;

use milepost_core::request::stop::Demand;
use tokio::sync::watch;

use crate::store::StopKind;

/// What a request through the store demands.
pub(super) const fn demand_of(kind: StopKind) -> Demand {
    match kind {
        StopKind::Pause => Demand::Pause,
        StopKind::PauseNow => Demand::PauseNow,
        StopKind::Compensate => Demand::Compensate,
        StopKind::Cancel => Demand::Cancel,
        StopKind::Kill => Demand::Kill,
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
    sender: Arc<watch::Sender<Asked>>,
}

/// Kept apart, because what was heard through the store can be taken back there, and what it outweighed holds again then.
#[derive(Debug, Default)]
struct Asked {
    here: Option<Request>,
    in_store: Option<Request>,
    /// A cancellation was met, and the run goes on to its end: what is weaker counts again.
    cancelled: bool,
    /// Whether it is too late by now to undo what was done, or that is what happens.
    compensates: bool,
}

impl Asked {
    fn is_met(&self, request: &Request) -> bool {
        match request.demand {
            Demand::Compensate => self.cancelled && self.compensates,
            demand => self.cancelled && demand.cleans_up(),
        }
    }

    fn strongest(&self) -> Option<&Request> {
        let both = [&self.here, &self.in_store];
        both.into_iter()
            .flatten()
            .filter(|request| !self.is_met(request))
            .max_by_key(|request| request.demand)
    }
}

impl Default for Control {
    fn default() -> Self {
        Self {
            sender: Arc::new(watch::Sender::new(Asked::default())),
        }
    }
}

impl Control {
    /// Asks. Returns false when the same or more was asked here before.
    pub fn ask(&self, request: Request) -> bool {
        self.sender.send_if_modified(|asked| {
            let before = asked.here.as_ref().filter(|before| !asked.is_met(before));
            let stronger = before.is_none_or(|before| before.demand < request.demand)
                && !asked.is_met(&request);
            if stronger {
                asked.here = Some(request);
            }
            stronger
        })
    }

    /// What is asked through the store now; whatever was heard there before holds no longer.
    pub(crate) fn hear(&self, request: Option<Request>) {
        self.sender.send_modify(|asked| asked.in_store = request);
    }

    /// A cancellation was met, and the run goes on to its end; `compensates` says that what it has done is undone first, or that
    /// it is too late for that.
    pub(crate) fn cancel_is_met(&self, compensates: bool) {
        self.sender.send_modify(|asked| {
            asked.cancelled = true;
            asked.compensates |= compensates;
        });
    }

    /// Whether what was heard through the store gives way to this: it is weaker, or was met.
    pub(crate) fn gives_way_to(&self, demand: Demand) -> bool {
        let asked = self.sender.borrow();
        let heard = asked.in_store.as_ref();
        heard.is_none_or(|heard| heard.demand < demand || asked.is_met(heard))
    }

    /// What was heard through the store.
    pub(crate) fn heard(&self) -> Option<Request> {
        self.sender.borrow().in_store.clone()
    }

    /// The strongest request so far.
    pub(crate) fn present(&self) -> Option<Request> {
        self.sender.borrow().strongest().cloned()
    }

    /// Waits for a request of this process that is stronger than the one known.
    pub(crate) async fn asked_here(&self, known: Option<Demand>) -> Request {
        let mut receiver = self.sender.subscribe();
        let asked = receiver
            .wait_for(|asked| asked.here.as_ref().map(|request| request.demand) > known)
            .await
            .map(|asked| asked.here.clone());
        match asked {
            Ok(Some(request)) => request,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Waits for a request that is stronger than the one known.
    pub(crate) async fn asked(&self, known: Option<Demand>) -> Request {
        let mut receiver = self.sender.subscribe();
        let asked = receiver
            .wait_for(|asked| asked.strongest().map(|request| request.demand) > known)
            .await
            .map(|asked| asked.strongest().cloned());
        match asked {
            Ok(Some(request)) => request,
            // The sender lives in `self`, so the channel cannot close; and `None` is never more than what is known.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}
