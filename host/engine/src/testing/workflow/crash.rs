//! A workflow whose engine is killed at every point: another process goes on from what is durable, and it has to come to the same.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use milepost_core::ids::{Path, RunId};

use super::stage::Called;
use super::{Played, TestError, WorkflowTest};
use crate::plugin::PluginSource;
use crate::testing::CrashReport;
use crate::testing::compare::{Finding, diff};
use crate::testing::crash::repeated;
use crate::workflow::Workflow;

impl WorkflowTest {
    /// Plays the run once for each point of the usual one.
    pub(crate) fn killed(
        &self,
        workflow: &Workflow,
        source: &Arc<dyn PluginSource>,
        usual: &Played,
        whole: &Range<usize>,
    ) -> Result<CrashReport, TestError> {
        let mut report = CrashReport::default();
        let mut told = BTreeSet::new();
        for point in 1..=usual.points {
            let again = self.played(workflow, source, Some(point))?;
            report.kills += 1;
            let after = format!("killed after {}", again.died_after);
            for finding in self.differs(usual, &again, whole) {
                if told.insert(finding.message.clone()) {
                    let message = format!("{after}: {}", finding.message);
                    let found = Finding::new(message, finding.place).with(finding.detail);
                    report.findings.push(found);
                }
            }
        }
        Ok(report)
    }

    fn differs(&self, usual: &Played, again: &Played, whole: &Range<usize>) -> Vec<Finding> {
        let mut findings = self.judge(again, whole, true);
        let (expected, actual) = (usual.happened.members(), again.happened.members());
        if findings.is_empty() && expected["status"] != actual["status"] {
            let message = format!(
                "the run is {}, and not {}",
                again.run.status, usual.run.status
            );
            let detail = diff(&expected.into(), &actual.into());
            findings.push(Finding::new(message, whole.clone()).with(detail));
        }
        let said = repeated_effects(&usual.calls, &again.calls).into_iter();
        findings.extend(said.map(|said| Finding::new(said, whole.clone())));
        findings
    }
}

type Calls<'a> = BTreeMap<(&'a RunId, &'a Path), Vec<&'a Called>>;

fn by_execution(calls: &[Called]) -> Calls<'_> {
    let mut all = Calls::new();
    for call in calls {
        all.entry((&call.run, &call.path)).or_default().push(call);
    }
    all
}

/// What was done more often than without a crash, in sentences.
fn repeated_effects(usual: &[Called], again: &[Called]) -> Vec<String> {
    let usual = by_execution(usual);
    let mut sentences = Vec::new();
    for (key, calls) in by_execution(again) {
        let before = usual.get(&key).map_or(&[][..], Vec::as_slice);
        let lost = calls.iter().filter(|call| call.lost).count();
        let name = &calls[0].name.full;
        if calls.len() - lost > before.len() {
            sentences.push(format!("`{name}` had ended and was called again"));
        }
        for (at, pair) in calls.windows(2).enumerate() {
            let [first, next] = pair else { continue };
            if first.lost
                && let Some(usual) = before.get(at)
            {
                let repeated = repeated(&usual.seen, &first.seen, &next.seen);
                sentences.extend(repeated.into_iter().map(|said| format!("`{name}`: {said}")));
            }
        }
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_in_flight_may_be_called_again() {
        let once = [Called::of("a", false), Called::of("fix#1/b", false)];
        assert_eq!(repeated_effects(&once, &once), [] as [String; 0]);
        let lost = [
            Called::of("a", false),
            Called::of("fix#1/b", true),
            Called::of("fix#1/b", false),
        ];
        assert_eq!(repeated_effects(&once, &lost), [] as [String; 0]);
        let again = [
            Called::of("a", false),
            Called::of("fix#1/b", true),
            Called::of("a", false),
            Called::of("fix#1/b", false),
        ];
        assert_eq!(
            repeated_effects(&once, &again),
            ["`a` had ended and was called again"]
        );
    }
}
