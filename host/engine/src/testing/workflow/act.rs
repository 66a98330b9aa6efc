//! What people and other systems do to a run while it is tested: signals, decisions, requests.

use std::ops::Range;
use std::time::Duration;

use milepost_core::wait::Verdict;
use serde_json::Value;

/// Something that comes to a run from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    pub(crate) what: What,
    /// How long after the start; where it is absent, as soon as the run waits for it.
    pub(crate) at: Option<Duration>,
    pub(crate) place: Range<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    Signal {
        name: String,
        payload: Value,
        /// The step that started the child run it goes to.
        to: Option<String>,
    },
    Decision {
        step: Option<String>,
        verdict: Verdict,
        comment: Option<String>,
        by: Option<String>,
    },
    Request {
        what: Ask,
        step: Option<String>,
        by: String,
    },
}

/// What is asked of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Resume,
    Retry,
    Pause,
    Cancel,
    Compensate,
}

impl Ask {
    pub(crate) const ALL: [(&'static str, Self); 5] = [
        ("resume", Self::Resume),
        ("retry", Self::Retry),
        ("pause", Self::Pause),
        ("cancel", Self::Cancel),
        ("compensate", Self::Compensate),
    ];

    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, ask)| *ask == self);
        found.map_or("", |(name, _)| name)
    }
}

impl Act {
    fn new(what: What) -> Self {
        Self {
            what,
            at: None,
            place: 0..0,
        }
    }

    pub(crate) fn of(what: What, at: Option<Duration>, place: Range<usize>) -> Self {
        Self { what, at, place }
    }

    /// A signal, which comes when the run waits for it.
    #[must_use]
    pub fn signal(name: &str, payload: Value) -> Self {
        Self::new(What::Signal {
            name: name.to_owned(),
            payload,
            to: None,
        })
    }

    /// Somebody approves at this step, when the run asks there.
    #[must_use]
    pub fn approve(step: &str) -> Self {
        Self::decision(step, Verdict::Approved)
    }

    /// Somebody rejects at this step, when the run asks there.
    #[must_use]
    pub fn reject(step: &str) -> Self {
        Self::decision(step, Verdict::Rejected)
    }

    fn decision(step: &str, verdict: Verdict) -> Self {
        Self::new(What::Decision {
            step: Some(step.to_owned()),
            verdict,
            comment: None,
            by: None,
        })
    }

    /// Somebody resumes the run, when it stands still.
    #[must_use]
    pub fn resume() -> Self {
        Self::request(Ask::Resume)
    }

    /// Somebody retries the run, when it stands still.
    #[must_use]
    pub fn retry() -> Self {
        Self::request(Ask::Retry)
    }

    /// Somebody cancels the run, when it stands still.
    #[must_use]
    pub fn cancel() -> Self {
        Self::request(Ask::Cancel)
    }

    fn request(what: Ask) -> Self {
        Self::new(What::Request {
            what,
            step: None,
            by: "a test".to_owned(),
        })
    }

    /// So long after the start of the run.
    #[must_use]
    pub fn at(mut self, at: Duration) -> Self {
        self.at = Some(at);
        self
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        match &self.what {
            What::Signal { name, .. } => format!("the signal `{name}`"),
            What::Decision {
                step: Some(step), ..
            } => format!("the decision at `{step}`"),
            What::Decision { step: None, .. } => "the decision".to_owned(),
            What::Request { what, .. } => format!("the request to {}", what.name()),
        }
    }
}
