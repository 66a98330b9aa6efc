//! Requests and signals.

use futures_util::future::BoxFuture;
use milepost_core::ids::RunId;
use milepost_core::state::Status;

use super::{MemoryStore, Run};
use crate::{Inbox, KnownToken, Mailbox, NewSignal, Sent, StopRequest, StoreError, StoredSignal};

impl Mailbox for MemoryStore {
    fn request_stop<'a>(
        &'a self,
        run: &'a RunId,
        request: StopRequest,
    ) -> BoxFuture<'a, Result<Status, StoreError>> {
        Box::pin(async move {
            let mut state = self.state();
            let row = &mut state.run(run)?.row;
            let weaker = row.request.as_ref().is_none_or(|r| r.kind < request.kind);
            if row.status == Status::Running && weaker {
                row.request = Some(request);
            }
            Ok(row.status)
        })
    }

    fn withdraw_pause<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut state = self.state();
            let request = &mut state.run(run)?.row.request;
            Ok(request.take_if(|request| !request.kind.ends()).is_some())
        })
    }

    fn send_signal<'a>(
        &'a self,
        run: &'a RunId,
        signal: NewSignal,
    ) -> BoxFuture<'a, Result<Sent, StoreError>> {
        Box::pin(async move {
            let mut state = self.state();
            let number = state.last_signal + 1;
            let run = state.run(run)?;
            if let Some(known) = signal
                .token
                .as_ref()
                .and_then(|token| run.tokens.get(token))
            {
                return Ok(known.answer(&signal));
            }
            if run.row.status.is_terminal() {
                return Ok(Sent::Over(run.row.status));
            }
            let inbox = run.inbox_size();
            if !inbox.has_room(&signal) {
                return Ok(Sent::Full(inbox));
            }
            let content = signal.content();
            if let Some(token) = signal.token {
                run.tokens.insert(token, KnownToken { number, content });
            }
            run.inbox.push(StoredSignal {
                number,
                name: signal.name,
                data: signal.data,
                at: signal.at,
            });
            state.last_signal = number;
            drop(state);
            self.hints.give();
            Ok(Sent::Kept(number))
        })
    }

    fn known_token<'a>(
        &'a self,
        run: &'a RunId,
        token: &'a str,
    ) -> BoxFuture<'a, Result<Option<KnownToken>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            Ok(state
                .runs
                .get(run)
                .and_then(|run| run.tokens.get(token).copied()))
        })
    }

    fn inbox<'a>(
        &'a self,
        run: &'a RunId,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredSignal>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let signals = state.runs.get(run).into_iter().flat_map(|run| &run.inbox);
            Ok(signals.take(limit).cloned().collect())
        })
    }

    fn inbox_size<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Inbox, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let run = state.runs.get(run);
            Ok(run.map(Run::inbox_size).unwrap_or_default())
        })
    }
}
