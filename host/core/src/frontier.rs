//! How far the walk over the steps has come: what is behind it is settled and need not be looked at again.

use std::collections::{BTreeMap, BTreeSet};

use crate::definition::Definition;
use crate::ids::{Epoch, Path};
use crate::open::Open;
use crate::state::{Changed, RunState};
use crate::within::Within;

/// What one decision leaves for the next one of the same run: what is settled is passed, and in graphs and fan-outs what stands
/// still is looked at again when an event was about it, or its time has come. Derived from the state and never stored: a new one
/// gives the same decisions, only slower.
///
/// Under one claim a settled execution stays settled, but where a decision repeats the work. A resume and a change of the
/// definition open some again, too, and after those comes a claim with a new epoch. Both begin afresh here.
#[derive(Debug, Default)]
pub struct Frontier {
    epoch: Epoch,
    /// The last event that the state had taken.
    seq: u64,
    /// Whether anything may stand still.
    rested: bool,
    /// Scopes that have begun and are not over: the top level, and bodies by the path of their loop or item.
    scopes: BTreeMap<Option<Path>, Walked>,
    /// Fan-outs that have begun and are not over.
    fan_outs: BTreeMap<Path, FanOut>,
    /// Whether the run is about to end, and nothing is open any more of what runs before that. What is known is of the end then.
    closed: bool,
}

/// How far the items of a fan-out are.
#[derive(Debug, Default)]
pub(crate) struct FanOut {
    /// The first item that was not looked at.
    pub(crate) next: u32,
    /// Those before it that have not ended.
    pub(crate) open: Open,
    /// How many failed, of those that have ended.
    pub(crate) failed: u32,
    /// The first of them in the list.
    pub(crate) first_failed: Option<u32>,
}

impl FanOut {
    /// An item has ended.
    pub(crate) fn settle(&mut self, index: u32, failed: bool) {
        self.open.end(index);
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
    /// Looks at what has happened to the run: what was seen under another claim, or before work was repeated, is forgotten.
    pub(crate) fn follow(&mut self, definition: &Definition, state: &RunState) {
        let changed = match self.epoch == state.epoch() {
            true => state.changed_since(self.seq),
            false => Changed::Anything,
        };
        match changed {
            Changed::These(paths) => paths.for_each(|path| self.wake(definition, state, path)),
            Changed::Some => self.wake_all(),
            Changed::Anything => {
                *self = Self {
                    epoch: state.epoch(),
                    ..Self::default()
                }
            }
        }
        self.seq = state.seq();
    }

    /// Something happened to an execution: it is looked at, and so is what stands around it.
    fn wake(&mut self, definition: &Definition, state: &RunState, path: &Path) {
        // What was known of its inside is of no use when it has ended.
        let scope = Some(path.clone());
        if self.fan_outs.contains_key(path) || self.scopes.contains_key(&scope) {
            let record = state.executions().at(path);
            if record.is_some_and(|record| record.settled().is_some()) {
                self.fan_outs.remove(path);
                self.scopes.remove(&scope);
            }
        }
        for path in std::iter::successors(scope, Path::around) {
            match path.fan_out() {
                Some((fan_out, item)) => {
                    if let Some(known) = self.fan_outs.get_mut(&fan_out) {
                        known.open.wake(item);
                    }
                }
                None => {
                    if let Some(Walked {
                        progress: Progress::Graph(graph),
                        ..
                    }) = self.scopes.get_mut(&path.parent())
                        && let Some(step) = definition.index_of(path.step())
                    {
                        graph.wake(step);
                    }
                }
            }
        }
    }

    /// All that stands still is looked at.
    pub(crate) fn wake_all(&mut self) {
        for walked in self.scopes.values_mut() {
            if let Progress::Graph(graph) = &mut walked.progress {
                graph.open.wake_all();
            }
        }
        for known in self.fan_outs.values_mut() {
            known.open.wake_all();
        }
        self.rested = false;
    }

    /// Something stands still from now on.
    pub(crate) const fn rest(&mut self) {
        self.rested = true;
    }

    /// Whether all that is open is looked at.
    pub(crate) const fn is_awake(&self) -> bool {
        !self.rested
    }

    /// Nothing is open any more of what runs before the end.
    pub(crate) fn close(&mut self) {
        *self = Self {
            epoch: self.epoch,
            seq: self.seq,
            closed: true,
            ..Self::default()
        };
    }

    /// Whether that is so.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
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

/// What came of a step that another one needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// It completed, or its failure is handled.
    Success,
    Failed,
    Skipped,
}

/// What a member needs: how many of it came out how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Needs {
    unsettled: usize,
    pub(crate) succeeded: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

/// The members of a graph, by their place among the members of its scope.
#[derive(Debug)]
pub(crate) struct Graph {
    /// The steps at these places, ascending.
    members: Box<[usize]>,
    needs: Vec<Needs>,
    /// Which members need each member.
    needed_by: Vec<Vec<u32>>,
    /// Members of which all that they need is settled, and which are not.
    pub(crate) open: Open,
    /// The same, of calls that may begin and have not: they wait until another attempt ends. After a failure that stops the run,
    /// all that has not begun.
    ready: BTreeSet<u32>,
    /// Whether a member failed, and nobody handles that.
    pub(crate) failed: bool,
}

impl Graph {
    /// Of these members, none of which is known to be settled.
    pub(crate) fn new(definition: &Definition, members: &[usize]) -> Self {
        let place = |step: &usize| members.binary_search(step).ok();
        let mut needed_by = vec![Vec::new(); members.len()];
        let mut needs = vec![Needs::default(); members.len()];
        let mut open = Open::default();
        for (at, step) in (0_u32..).zip(members) {
            let needed = definition.steps()[*step].needs.iter().filter_map(place);
            for need in needed {
                needed_by[need].push(at);
                needs[at as usize].unsettled += 1;
            }
            if needs[at as usize].unsettled == 0 {
                open.look_at(at);
            }
        }
        Self {
            members: members.into(),
            needs,
            needed_by,
            open,
            ready: BTreeSet::new(),
            failed: false,
        }
    }

    /// A member is settled. Those that needed nothing else are to be looked at from now on: they are returned.
    pub(crate) fn settle(&mut self, member: u32, came: Came) -> Vec<u32> {
        self.open.end(member);
        self.ready.remove(&member);
        if came == Came::Failed && !self.failed {
            self.failed = true;
            // What has not begun may not begin any more.
            self.open.wake_all();
        }
        let mut opened = std::mem::take(&mut self.needed_by[member as usize]);
        opened.retain(|later| {
            let needs = &mut self.needs[*later as usize];
            match came {
                Came::Success => needs.succeeded += 1,
                Came::Failed => needs.failed += 1,
                Came::Skipped => needs.skipped += 1,
            }
            needs.unsettled -= 1;
            needs.unsettled == 0
        });
        for later in &opened {
            self.open.look_at(*later);
        }
        opened
    }

    /// What came of all that a member needs.
    pub(crate) fn needs(&self, member: u32) -> Needs {
        self.needs[member as usize]
    }

    /// A member has not begun, and does not before there is room, if it does at all.
    pub(crate) fn put_off(&mut self, member: u32) {
        self.open.end(member);
        self.ready.insert(member);
    }

    /// A member that moves is looked at.
    pub(crate) fn look_at(&mut self, member: u32) {
        self.ready.remove(&member);
        self.open.look_at(member);
    }

    /// The first member from a place on that is to be looked at; where there is `room`, those that wait for it, too. What has not
    /// begun is left out where the graph has `stopped`.
    pub(crate) fn next(&self, from: u32, room: bool, stopped: bool) -> Option<u32> {
        let ready = self.ready.range(from..).next();
        let ready = ready.filter(|_| room && !stopped).copied();
        self.open.next(from, room).into_iter().chain(ready).min()
    }

    /// Whether a call has not begun for want of room.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether this member is one.
    pub(crate) fn is_ready(&self, member: u32) -> bool {
        self.ready.contains(&member)
    }

    /// Something happened to a member, or inside of it.
    fn wake(&mut self, step: usize) {
        if let Some(place) = self.members.binary_search(&step).ok()
            && let Ok(place) = u32::try_from(place)
            && (self.open.wake(place) || self.ready.contains(&place))
        {
            self.look_at(place);
        }
    }
}
