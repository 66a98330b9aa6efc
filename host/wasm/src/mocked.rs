//! A world that a test makes up: it answers the host calls of an attempt in the place of the real one.

use std::sync::Arc;

use serde_json::Value;

use crate::attempt::BoxFuture;
use crate::clock::Clock;

/// What answers the host calls of an attempt that is tested. Whatever it does not answer is performed by the host, with what
/// the [host of the attempt](crate::attempt::AttemptHost) has: no request leaves the machine and no program starts, because
/// those are refused where nobody answers them.
pub trait World: Send + Sync {
    /// Answers a call before anything of it is done. While the future waits, so does the guest.
    fn answer<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Reply>;

    /// What time it is for the attempt, and how it sleeps.
    fn clock(&self) -> Arc<dyn Clock>;
}

/// A host call that is about to be performed.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Interface of the contract: `kv`.
    pub interface: &'static str,
    /// Its function: `get`.
    pub function: &'static str,
    /// For people, in a few words.
    pub about: &'a str,
    /// What was asked, in full and under names.
    pub request: &'a Value,
}

/// What becomes of a host call.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// The host performs it.
    Perform,
    /// It is answered with this, as it would stand on a tape: `{"ok": ..}` or `{"error": {"code": .., "message": ..}}`.
    Answer(Value),
    /// The attempt ends here: the test does not know this call.
    Refuse,
}

/// Whether nothing but an answer of the test may be given to calls of this interface.
pub(crate) fn leaves_the_machine(interface: &str) -> bool {
    matches!(interface, "http" | "wasi:http" | "exec")
}
