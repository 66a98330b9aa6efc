//! Requests to stop: when they are due, and what they record.

use milepost_core::decide::interrupt;
use milepost_core::event::{Event, RunEvent, StepEvent};
use milepost_core::limits;
use milepost_core::outcome::Outcome;
use milepost_core::request::stop::{self, Demand};
use milepost_core::time::Timestamp;
use tokio::time::Instant;

use super::{Driver, Halted, InFlight};
use crate::engine::control::{Request, demand_of};
use crate::engine::keeper::Tidings;
use crate::engine::launch::Launch;
use crate::record::{self, Batch};
use crate::store::{StopRequest, StoreError};

impl Driver {
    /// Whether a request is met now: patient ones wait for what is in flight.
    pub(super) fn is_due(&self, request: &Request, in_flight: &InFlight) -> bool {
        !request.demand.is_patient() || in_flight.is_empty()
    }

    /// The patient request that keeps new steps from starting.
    pub(super) async fn held(&mut self) -> Option<Request> {
        let patient = |request: &Request| request.demand.is_patient();
        let request = self.control.present().filter(patient)?;
        match self.is_withdrawn(&request).await {
            true => self.control.present().filter(patient),
            false => Some(request),
        }
    }

    /// Looks, before a request is met, whether it was taken back since it was heard.
    async fn is_withdrawn(&mut self, request: &Request) -> bool {
        if self.control.heard().as_ref() != Some(request) {
            return false;
        }
        // Where the store does not answer, what was heard last holds.
        let row = self.shared.store.row(&self.state.created().run).await;
        if let Ok(Some(row)) = row {
            self.hear(row.request);
        }
        self.control.heard().as_ref() != Some(request)
    }

    pub(super) async fn asked(
        &mut self,
        request: Request,
        in_flight: &mut InFlight,
    ) -> Result<(), Halted> {
        if self.is_due(&request, in_flight) {
            return self.meet(request, in_flight).await;
        }
        self.patient = Some(request.demand);
        Ok(())
    }

    /// Meets a request that is due: the run stops moving under this claim.
    pub(super) async fn meet(
        &mut self,
        mut request: Request,
        in_flight: &mut InFlight,
    ) -> Result<(), Halted> {
        if self.is_withdrawn(&request).await {
            return Ok(());
        }
        if request.demand.ends() && self.has_children_to_end(request.demand) {
            let Request { demand, by } = &request;
            self.end_children_first(*demand, by, in_flight).await?;
            // Somebody may have lost patience meanwhile.
            request = self.control.present().unwrap_or(request);
        }
        let Request { demand, by } = &request;
        let patient = demand.cleans_up();
        if patient
            && let Some(event) = stop::finish(&self.workflow.definition, &self.state, *demand, by)
        {
            return self.finish(event);
        }
        self.wind_up(in_flight, patient).await?;
        if patient {
            // Somebody may have lost patience meanwhile.
            request = self.control.present().unwrap_or(request);
        }
        self.stop(&request)
    }

    /// The run is cancelled, and has something left to do before it is over: it is driven on. The core says what of it ends now.
    fn finish(&mut self, event: Option<Event>) -> Result<(), Halted> {
        let now = self.shared.clock.now();
        if let Some(event) = event {
            self.note(event, now)?;
        }
        let compensates = self.state.compensates() || self.state.finally_since().is_some();
        self.control.cancel_is_met(compensates);
        Ok(())
    }

    /// Records what happens to the run as a whole while it moves. What was not called yet when it is about to end never is.
    pub(super) fn note(&mut self, event: Event, now: Timestamp) -> Result<(), Halted> {
        if let Event::Run(RunEvent::Finishing { .. } | RunEvent::Compensating { .. }) = &event {
            for Launch { path, attempt, .. } in std::mem::take(&mut self.started) {
                let event = StepEvent::Interrupted { attempt }.at(path);
                self.batch.record(&mut self.state, event, now)?;
            }
        }
        self.batch.record(&mut self.state, event, now)?;
        Ok(())
    }

    /// Nothing is in flight any more after this: attempts may clean up before, if somebody has the patience.
    async fn wind_up(&mut self, in_flight: &mut InFlight, patient: bool) -> Result<(), Halted> {
        self.cancel.raise();
        if patient {
            self.let_clean_up(in_flight).await?;
        }
        // Results that arrive from now on do not count (B169).
        in_flight.clear();
        self.started.clear();
        Ok(())
    }

    /// The run is over; what is in flight beside that is asked to stop and given a moment.
    pub(super) async fn end(
        &mut self,
        last: RunEvent,
        in_flight: &mut InFlight,
    ) -> Result<(), Halted> {
        self.wind_up(in_flight, true).await?;
        let now = self.now();
        for event in interrupt(&self.state, last.into()) {
            self.batch.record(&mut self.state, event, now)?;
        }
        Ok(())
    }

    /// Ends the run where it stands, whatever is in flight.
    pub(super) fn fail(&mut self, mut last: Event, in_flight: &mut InFlight) -> Result<(), Halted> {
        self.cancel.raise();
        in_flight.clear();
        self.started.clear();
        if let Event::Run(RunEvent::Failed { stop }) = &mut last {
            stop.path = self.state.at_work().cloned();
        }
        let now = self.shared.clock.now();
        self.batch.stop(&mut self.state, last, now)?;
        Ok(())
    }

    /// Records that the run stops; attempts in flight are interrupted.
    pub(super) fn stop(&mut self, request: &Request) -> Result<(), Halted> {
        let now = self.shared.clock.now();
        for event in stop::meet(&self.state, request.demand, &request.by) {
            self.batch.record(&mut self.state, event, now)?;
        }
        Ok(())
    }

    /// A request that came while the run stopped by itself: its sender was told that the owner sees to it.
    pub(super) async fn meet_late_request(&mut self) -> Result<(), Halted> {
        let Some(request) = self.control.present() else {
            return Ok(());
        };
        if request.demand.ends() {
            let (demand, by) = (request.demand, &request.by);
            let mut none = InFlight::default();
            self.end_children_first(demand, by, &mut none).await?;
        }
        let Some(event) = stop::meet_late(
            &self.workflow.definition,
            &self.state,
            request.demand,
            &request.by,
        ) else {
            return Ok(());
        };
        let now = self.shared.clock.now();
        self.batch.record(&mut self.state, event, now)?;
        let met = self.commit().await;
        if let Err(Halted::NotSaved(_) | Halted::LostClaim) = met {
            // The stop is saved and the request is kept with it: whoever sweeps the store meets it, or has met it already.
            let recorded =
                record::load(self.shared.store.as_ref(), &self.state.created().run).await;
            if let Ok(recorded) = recorded
                && recorded.state.epoch() == self.state.epoch()
            {
                self.batch = Batch::after(recorded.state.seq(), recorded.state.epoch());
                self.state = recorded.state;
                return Ok(());
            }
        }
        met
    }

    /// Tells the attempts in flight that they should stop and gives them a moment; outputs that come in time are kept.
    async fn let_clean_up(&mut self, in_flight: &mut InFlight) -> Result<(), Halted> {
        let control = self.control.clone();
        let killed = control.asked(Some(Demand::Cancel));
        let grace = tokio::time::sleep(limits::CANCEL_GRACE);
        tokio::pin!(grace, killed);
        while !in_flight.is_empty() {
            tokio::select! {
            biased;
            _ = &mut killed => break,
            ended = in_flight.next() => {
            if let Outcome::Completed(_) = ended.result.outcome {
            self.ended(ended)?;
            }
            }
            () = &mut grace => break,
            }
        }
        Ok(())
    }

    /// Shows the keeper that this run does not hang.
    pub(super) fn moves(&self) {
        if let Some(kept) = &self.kept {
            kept.moves();
        }
    }

    /// What the keeper found of the claim.
    pub(super) fn learn(&mut self, tidings: Option<Tidings>) -> Result<(), Halted> {
        match tidings {
            None => Ok(()),
            // A write may have told more since.
            Some(Tidings::Holds(at, None)) if at <= self.heard => Ok(()),
            Some(Tidings::Holds(_, request)) => {
                self.hear(request);
                Ok(())
            }
            Some(Tidings::Mail) => {
                self.mail.look_now();
                // The end of a child run is told the same way.
                self.children.looked = None;
                Ok(())
            }
            Some(Tidings::Lost) => Err(Halted::LostClaim),
            Some(Tidings::Gone(place)) => Err(Halted::Failed(StoreError::Gone(place).into())),
        }
    }

    /// What somebody asked through the store, or does not ask any more.
    pub(super) fn hear(&mut self, request: Option<StopRequest>) {
        self.heard = Instant::now();
        let heard = self.control.heard();
        let Some(StopRequest { kind, by, .. }) = request else {
            // What ends a run is not taken back.
            if heard.is_some_and(|heard| !heard.demand.ends()) {
                self.control.hear(None);
                self.patient = None;
            }
            return;
        };
        if self.control.gives_way_to(demand_of(kind)) {
            self.control.hear(Some(Request::new(demand_of(kind), by)));
        }
    }
}
