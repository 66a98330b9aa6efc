//! The handle by which a run in this process is asked to stop.

use std::sync::Arc;

use tokio::sync::watch;

/// What somebody asked of a running run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Stop at once with a checkpoint; the step in flight is interrupted. The text says who asked ("SIGINT").
    Pause(String),
    /// End for good: the step is asked first, then interrupted.
    Cancel(String),
}

/// Asks a run to stop. Clones ask the same run; the first request holds.
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
    /// Asks. Returns false when somebody asked before.
    pub fn ask(&self, request: Request) -> bool {
        self.sender.send_if_modified(|present| {
            let first = present.is_none();
            if first {
                *present = Some(request);
            }
            first
        })
    }

    /// Waits for the request.
    pub(crate) async fn asked(&self) -> Request {
        let mut receiver = self.sender.subscribe();
        loop {
            if let Some(request) = receiver.borrow_and_update().clone() {
                return request;
            }
            // The sender lives in `self`, so the channel cannot close.
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
