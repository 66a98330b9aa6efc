//! What a paused run rests on.

use crate::ids::Path;
use crate::stop::{Came, Stop, StopCode, Why};
use crate::time::Timestamp;

/// What a paused run rests on, with exactly the data that is legal there. Time, a signal, a decision or a worker moves it on,
/// unless it is held.
#[derive(Debug, Clone, PartialEq)]
pub enum Rest {
    /// It stands still for a reason that something, somebody or time removes.
    Waiting {
        /// The reason.
        reason: Reason,
        /// When something happens by itself.
        due_at: Option<Timestamp>,
    },
    /// What it waited for has come: a worker goes on with it.
    Ready {
        /// What has come, and where.
        reason: Reason,
        /// Since when it is due.
        due_at: Timestamp,
    },
    /// Somebody wants it to stay until a person resumes it, whatever comes: nothing is due.
    Held {
        /// Why it stands still besides.
        reason: Reason,
        /// Who wants it.
        by: String,
    },
    /// An automatic resume could not begin.
    Postponed {
        /// Why it stands still besides.
        reason: Reason,
        /// When the next one is due, if there is one.
        due_at: Option<Timestamp>,
        /// Why it could not begin.
        error: String,
    },
}

/// Why a paused run stands still, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// Why.
    pub why: Why,
    /// The step that stopped it.
    pub path: Option<Path>,
    /// Whose limit was met.
    pub provider: Option<String>,
    /// What it stands at where that is more than one thing: see [`Stop::reasons`].
    pub reasons: Vec<Stop>,
    /// How many of those there are besides.
    pub more: u32,
}

impl Rest {
    /// Why it stands still.
    #[must_use]
    pub const fn reason(&self) -> &Reason {
        match self {
            Self::Waiting { reason, .. }
            | Self::Ready { reason, .. }
            | Self::Held { reason, .. }
            | Self::Postponed { reason, .. } => reason,
        }
    }

    /// When something happens by itself, if anything does.
    #[must_use]
    pub const fn due_at(&self) -> Option<Timestamp> {
        match self {
            Self::Waiting { due_at, .. } | Self::Postponed { due_at, .. } => *due_at,
            Self::Ready { due_at, .. } => Some(*due_at),
            Self::Held { .. } => None,
        }
    }

    /// Its due time, and those of all that it stands at, become others.
    pub(super) fn move_due(&mut self, moved: impl Fn(Timestamp) -> Timestamp) {
        let (Self::Waiting { reason, .. }
        | Self::Ready { reason, .. }
        | Self::Held { reason, .. }
        | Self::Postponed { reason, .. }) = self;
        for reason in &mut reason.reasons {
            reason.due_at = reason.due_at.map(&moved);
        }
        match self {
            Self::Waiting { due_at, .. } | Self::Postponed { due_at, .. } => {
                *due_at = due_at.map(moved);
            }
            Self::Ready { due_at, .. } => *due_at = moved(*due_at),
            Self::Held { .. } => {}
        }
    }

    /// The same, held by somebody.
    pub(super) fn held(&self, by: &str) -> Self {
        Self::Held {
            reason: self.reason().clone(),
            by: by.to_owned(),
        }
    }

    /// The same after what it waited for at `path` has come; it is due then, unless it is held.
    pub(super) fn ready(&self, path: &Path, came: Came, due_at: Timestamp) -> Self {
        let mut reason = self.reason().clone();
        let open = |reason: &Stop| reason.path.as_ref() != Some(path);
        reason.reasons.retain(open);
        // What came first is what it goes on with.
        if reason.why.code() != StopCode::Ready {
            reason.why = Why::Ready(came);
            reason.path = Some(path.clone());
            reason.provider = None;
        }
        match self {
            Self::Held { by, .. } => Self::Held {
                reason,
                by: by.clone(),
            },
            Self::Waiting { .. } | Self::Ready { .. } | Self::Postponed { .. } => {
                Self::Ready { reason, due_at }
            }
        }
    }

    /// The same after an automatic resume that could not begin; `waited` says that what it waited for had come.
    pub(super) fn postponed(&self, error: &str, due_at: Option<Timestamp>, waited: bool) -> Self {
        let mut reason = self.reason().clone();
        if waited {
            reason.why = Why::Ready(Came::End);
        }
        match self {
            Self::Held { by, .. } => Self::Held {
                reason,
                by: by.clone(),
            },
            Self::Waiting { .. } | Self::Ready { .. } | Self::Postponed { .. } => Self::Postponed {
                reason,
                due_at,
                error: error.to_owned(),
            },
        }
    }
}

impl From<Stop> for Rest {
    fn from(stop: Stop) -> Self {
        let ready = stop.code() == StopCode::Ready;
        let reason = Reason {
            why: stop.why,
            path: stop.path,
            provider: stop.provider,
            reasons: stop.reasons,
            more: stop.more,
        };
        match (stop.held_by, stop.postponed, stop.due_at) {
            (Some(by), _, _) => Self::Held { reason, by },
            (None, Some(error), due_at) => Self::Postponed {
                reason,
                due_at,
                error,
            },
            (None, None, Some(due_at)) if ready => Self::Ready { reason, due_at },
            (None, None, due_at) => Self::Waiting { reason, due_at },
        }
    }
}

impl From<&Rest> for Stop {
    fn from(rest: &Rest) -> Self {
        let reason = rest.reason().clone();
        let (held_by, postponed) = match rest {
            Rest::Waiting { .. } | Rest::Ready { .. } => (None, None),
            Rest::Held { by, .. } => (Some(by.clone()), None),
            Rest::Postponed { error, .. } => (None, Some(error.clone())),
        };
        Self {
            why: reason.why,
            path: reason.path,
            due_at: rest.due_at(),
            provider: reason.provider,
            held_by,
            postponed,
            reasons: reason.reasons,
            more: reason.more,
            compensated: None,
            uncompensated: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(held_by: Option<&str>, postponed: Option<&str>, due_at: Option<Timestamp>) -> Stop {
        Stop {
            due_at,
            held_by: held_by.map(str::to_owned),
            postponed: postponed.map(str::to_owned),
            ..Stop::new(Why::Ready(Came::Time))
        }
    }

    #[test]
    fn a_stop_that_is_reported_is_the_rest_that_it_is_of() {
        let at = Some(Timestamp::default());
        for (reported, holds) in [
            (stop(None, None, at), "Ready"),
            (stop(None, None, None), "Waiting"),
            (stop(Some("ann"), None, None), "Held"),
            (stop(None, Some("no luck"), None), "Postponed"),
            (stop(None, Some("no luck"), at), "Postponed"),
        ] {
            let rest = Rest::from(reported.clone());
            assert!(format!("{rest:?}").starts_with(holds), "{rest:?}");
            assert_eq!(Stop::from(&rest), reported);
        }
        let waiting = Rest::from(Stop {
            due_at: at,
            ..Stop::new(Why::WaitingForTime)
        });
        assert!(matches!(waiting, Rest::Waiting { due_at, .. } if due_at == at));
    }

    #[test]
    fn what_is_held_stays_held_whatever_comes() {
        let held = Rest::from(Stop::new(Why::WaitingForTime)).held("ann");
        let at = Timestamp::default();
        let path = "a".parse::<Path>().expect("a path");
        for rest in [
            held.ready(&path, Came::Time, at),
            held.postponed("no luck", Some(at), true),
            held.held("bob"),
        ] {
            assert!(matches!(rest, Rest::Held { .. }), "{rest:?}");
            assert_eq!(rest.due_at(), None);
        }
    }
}
