//! A step that is killed after each of its host calls and begins again, as after a crash of the host: it has to come to what
//! is expected of it, and must not do twice what does harm.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::Value;

use super::compare::Finding;
use super::step::StepTest;
use super::world::{Order, Seen};
use super::{Component, TestError};

/// What crashes showed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CrashReport {
    /// How often the test was killed and begun again.
    pub kills: usize,
    /// Where it is not safe.
    pub findings: Vec<Finding>,
}

impl StepTest {
    /// Calls the step once for each of its host calls, ends it there, and calls it again with what is durable by then.
    ///
    /// # Errors
    /// [`TestError`] when it cannot be called.
    pub fn crash(&self, component: &Component) -> Result<CrashReport, TestError> {
        super::block_on(self.killed(component, &(0..0)))
    }

    pub(crate) async fn killed(
        &self,
        component: &Component,
        whole: &Range<usize>,
    ) -> Result<CrashReport, TestError> {
        let usual = self.call(component).await?;
        let mut report = CrashReport::default();
        let mut told = BTreeSet::new();
        for kill in 1..=usual.calls.len() + 1 {
            let (kept, first) = self.first(component, kill).await?;
            let world = self.world(component, Order::Any, kept, None, 1)?;
            let result = component.callable().call(self.prepared(&world, 1)?).await;
            report.kills += 1;
            let after = match kill.checked_sub(2).and_then(|at| usual.calls.get(at)) {
                None => "killed before its first host call".to_owned(),
                Some(call) => format!("killed after call {} ({})", kill - 1, shown(call)),
            };
            let mut again = self.ran(&world, result);
            if !again.refused {
                // What was done before is not asked for again.
                again.findings.clear();
            }
            for finding in self.judge(&again, whole) {
                if told.insert(finding.message.clone()) {
                    let message = format!("{after}, the next attempt: {}", finding.message);
                    let found = Finding::new(message, finding.place).with(finding.detail);
                    report.findings.push(found);
                }
            }
            for repeated in repeated(&usual.calls, &first, &again.calls) {
                if told.insert(repeated.clone()) {
                    let message = format!("{after}: {repeated}");
                    report.findings.push(Finding::new(message, whole.clone()));
                }
            }
        }
        Ok(report)
    }

    /// The attempt that is killed: what it leaves, and what it has done.
    async fn first(
        &self,
        component: &Component,
        kill: usize,
    ) -> Result<(super::world::Kept, Vec<Seen>), TestError> {
        let order = match self.any_order {
            true => Order::Any,
            false => Order::Strict,
        };
        let world = self.world(component, order, self.kept.clone(), Some(kill), 0)?;
        let called = component.callable().call(self.prepared(&world, 0)?);
        tokio::select! {
            biased;
            // Its outcome is lost where it comes to one.
            _ = called => {}
            () = world.died() => {}
        }
        Ok((world.kept(), world.seen()))
    }
}

/// A call for a person.
pub(crate) fn shown(call: &Seen) -> String {
    format!("`{}` {}", call.call, call.about)
}

/// What of a call makes it the same one; headers may change from attempt to attempt.
fn identity(call: &Seen) -> String {
    let mut request = call.request.clone();
    if let Some(members) = request.as_object_mut() {
        members.remove("headers");
    }
    format!("{} {request}", call.call)
}

/// What was done more often than without a crash, in sentences.
pub(crate) fn repeated(usual: &[Seen], first: &[Seen], again: &[Seen]) -> Vec<String> {
    let mut done: BTreeMap<String, (usize, Vec<&Seen>, String)> = BTreeMap::new();
    let mut memo = String::new();
    for call in first.iter().chain(again) {
        if call.call == "memo.begin" {
            memo = format!(" after `memo.begin` of `{}`", call.about);
        }
        if call.harmless {
            continue;
        }
        let entry = done.entry(identity(call)).or_default();
        entry.0 += 1;
        entry.1.push(call);
        entry.2.clone_from(&memo);
    }
    let mut sentences = Vec::new();
    for (which, (times, calls, memo)) in done {
        let before = usual
            .iter()
            .filter(|call| !call.harmless && identity(call) == which);
        if times <= before.count() {
            continue;
        }
        let keys: BTreeSet<Option<&str>> = calls.iter().map(|call| key_of(&call.request)).collect();
        let verb = if calls[0].call == "exec.run" {
            "run"
        } else {
            "sent"
        };
        let often = match times {
            2 => "twice".to_owned(),
            more => format!("{more} times"),
        };
        let about = &calls[0].about;
        match keys.into_iter().collect::<Vec<_>>()[..] {
            // Whoever gets it knows that it is the same.
            [Some(_)] => {}
            [None] => sentences.push(format!("{about}{memo} was {verb} {often}")),
            _ => sentences.push(format!(
                "{about}{memo} was {verb} {often}, with different idempotency keys"
            )),
        }
    }
    sentences
}

fn key_of(request: &Value) -> Option<&str> {
    request["headers"]["idempotency-key"].as_str()
}
