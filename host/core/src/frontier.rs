//! How far the walk over the steps has come: what is behind it is settled and need not be looked at again.

use std::collections::{BTreeMap, BTreeSet};

use crate::definition::Definition;
use crate::ids::{Epoch, Path};
use crate::state::RunState;
use crate::within::Within;

/// What one decision leaves for the next one of the same run. Derived from the state and never stored: a new one gives the
/// same decisions, only slower.
///
/// Under one claim a settled execution stays settled, but where a decision repeats the work. A resume and a change of the
/// definition open some again, too, and after those comes a claim with a new epoch. Both begin afresh here.
#[derive(Debug, Default)]
pub struct Frontier {
    /// Under which claim, and after how many repetitions.
    of: (Epoch, u32),
    /// Scopes that have begun and are not over: the top level, and bodies by the path of their loop or item.
    scopes: BTreeMap<Option<Path>, Walked>,
    /// Fan-outs that have begun and are not over.
    fan_outs: BTreeMap<Path, FanOut>,
}

/// How far the items of a fan-out are.
#[derive(Debug, Default)]
pub(crate) struct FanOut {
    /// The first item that was not looked at.
    pub(crate) next: u32,
    /// Those before it that have not ended, with their paths.
    pub(crate) begun: BTreeMap<u32, Path>,
    /// How many failed, of those that have ended.
    pub(crate) failed: u32,
    /// The first of them in the list.
    pub(crate) first_failed: Option<u32>,
}

impl FanOut {
    /// An item has ended.
    pub(crate) fn settle(&mut self, index: u32, failed: bool) {
        if failed {
            self.failed += 1;
            self.first_failed = Some(self.first_failed.map_or(index, |first| first.min(index)));
        }
    }
}

/// How far one scope is.
#[derive(Debug)]
pub(crate) struct Walked {
    /// Iteration of the loop whose body this is; 0 of any other scope.
    iteration: u32,
    pub(crate) progress: Progress,
}

/// What is known of the members of a scope.
#[derive(Debug)]
pub(crate) enum Progress {
    /// So many of the first members are settled, and none of them ends the scope.
    Sequence(usize),
    /// See [`Graph`].
    Graph(Graph),
}

impl Frontier {
    /// Forgets what was seen under another claim, or before work was repeated.
    pub(crate) fn under(&mut self, state: &RunState) {
        let of = (state.epoch(), state.reopened());
        if self.of != of {
            self.of = of;
            self.scopes.clear();
            self.fan_outs.clear();
        }
    }

    /// Takes what is known of a scope, for as long as it is walked over.
    pub(crate) fn enter(&mut self, scope: Within<'_>, new: impl FnOnce() -> Progress) -> Walked {
        let iteration = iteration_of(scope);
        // The top level, which nearly every decision begins with, is found without a copy of a path.
        let known = match scope.around() {
            None => self.scopes.remove(&None),
            Some(path) => self.scopes.remove(&Some(path.clone())),
        };
        match known {
            Some(walked) if walked.iteration == iteration => walked,
            Some(_) | None => Walked {
                iteration,
                progress: new(),
            },
        }
    }

    /// Takes what is known of a fan-out, for as long as its items are walked over.
    pub(crate) fn enter_fan_out(&mut self, path: &Path) -> FanOut {
        self.fan_outs.remove(path).unwrap_or_default()
    }

    /// Puts it back.
    pub(crate) fn leave_fan_out(&mut self, path: &Path, known: FanOut) {
        self.fan_outs.insert(path.clone(), known);
    }

    /// Puts it back.
    pub(crate) fn leave(&mut self, scope: Within<'_>, walked: Walked) {
        self.scopes.insert(scope.around().cloned(), walked);
    }
}

const fn iteration_of(scope: Within<'_>) -> u32 {
    match scope {
        Within::Iteration(_, iteration) => iteration,
        Within::Top | Within::Item(_) => 0,
    }
}

/// The members of a graph, by their place among the members of its scope.
#[derive(Debug)]
pub(crate) struct Graph {
    /// How many of what each member needs is not settled.
    unsettled_needs: Vec<u32>,
    /// Which members need each member.
    needed_by: Vec<Vec<u32>>,
    /// Members that have begun, or are to be looked at: all that they need is settled, and they are not.
    pub(crate) begun: BTreeSet<u32>,
    /// The same, of calls that may begin and have not: they wait until another attempt ends.
    pub(crate) ready: BTreeSet<u32>,
    /// Whether a member failed, and nobody handles that.
    pub(crate) failed: bool,
}

impl Graph {
    /// Of these members, none of which is known to be settled.
    pub(crate) fn new(definition: &Definition, members: &[usize]) -> Self {
        let place = |step: &usize| members.binary_search(step).ok();
        let mut needed_by = vec![Vec::new(); members.len()];
        let mut unsettled_needs = vec![0; members.len()];
        let mut begun = BTreeSet::new();
        for (at, step) in (0_u32..).zip(members) {
            let needs = definition.steps()[*step].needs.iter().filter_map(place);
            for need in needs {
                needed_by[need].push(at);
                unsettled_needs[at as usize] += 1;
            }
            if unsettled_needs[at as usize] == 0 {
                begun.insert(at);
            }
        }
        Self {
            unsettled_needs,
            needed_by,
            begun,
            ready: BTreeSet::new(),
            failed: false,
        }
    }

    /// A member is settled. Those that needed nothing else are to be looked at from now on: they are returned.
    pub(crate) fn settle(&mut self, member: u32, failed: bool) -> Vec<u32> {
        self.begun.remove(&member);
        self.ready.remove(&member);
        self.failed |= failed;
        let mut opened = std::mem::take(&mut self.needed_by[member as usize]);
        opened.retain(|later| {
            let left = &mut self.unsettled_needs[*later as usize];
            *left -= 1;
            *left == 0
        });
        self.begun.extend(&opened);
        opened
    }
}
