//! What others ask of a run, or send it, while somebody else drives it.

use futures_util::future::BoxFuture;
use milepost_core::ids::RunId;
use milepost_core::state::Status;

use crate::{Inbox, KnownToken, NewSignal, Sent, StopRequest, StoreError, StoredSignal};

/// Requests and signals: they need no epoch and change no state.
pub trait Mailbox: Send + Sync {
    /// Asks the owner of a running run, in whatever process, to stop it. Needs no epoch and changes no state: the owner
    /// decides. Returns the run's status; the request is kept only when that is `running`, and replaces a weaker one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`].
    fn request_stop<'a>(
        &'a self,
        run: &'a RunId,
        request: StopRequest,
    ) -> BoxFuture<'a, Result<Status, StoreError>>;

    /// Takes back a pause that was asked of a run and that nobody has met. Returns whether there was one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`].
    fn withdraw_pause<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Keeps a signal for a run that is not over and whose inbox has room for it; of several with one token, the first. Needs no epoch and changes no state: [`Write::consumed`](crate::Write::consumed) takes it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`].
    fn send_signal<'a>(
        &'a self,
        run: &'a RunId,
        signal: NewSignal,
    ) -> BoxFuture<'a, Result<Sent, StoreError>>;

    /// The signal that was sent to a run with that token.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn known_token<'a>(
        &'a self,
        run: &'a RunId,
        token: &'a str,
    ) -> BoxFuture<'a, Result<Option<KnownToken>, StoreError>>;

    /// Signals that wait for a run, the oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn inbox<'a>(
        &'a self,
        run: &'a RunId,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredSignal>, StoreError>>;

    /// How many signals wait for a run, and how large they are.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn inbox_size<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Inbox, StoreError>>;
}
