//! Random definitions: graphs and sequences inside each other, of everything that a member can be.

use std::collections::BTreeSet;

use super::chance::Chance;

/// A definition, as what the reference reads; `text` writes it.
pub(super) struct Made {
    pub(super) members: Vec<Member>,
    pub(super) graph: bool,
    /// `on_failure = "stop"`.
    pub(super) stops: bool,
    pub(super) parallel: usize,
    /// How often a person retries a run that failed, at most.
    pub(super) retries: usize,
    /// Whether members may end the run: which of them does is a matter of who is first.
    ends: bool,
}

pub(super) struct Member {
    pub(super) id: String,
    pub(super) parent: Option<usize>,
    pub(super) kind: Kind,
    pub(super) needs: Vec<usize>,
    pub(super) join: Join,
    pub(super) condition: Option<Condition>,
    /// `continue_on_error`.
    pub(super) handled: bool,
    pub(super) finally: bool,
    pub(super) deadline: Option<Deadline>,
    /// What a call reads in its `with`.
    pub(super) reads: Option<usize>,
    /// Where it stands among the others in a graph: it needs only members with a lower rank.
    rank: u64,
    /// Nothing else is drawn into it.
    closed: bool,
}

pub(super) enum Kind {
    Call {
        /// It pauses the run when its attempts are used up.
        pauses: bool,
        /// Its attempts never end by themselves.
        hangs: bool,
    },
    Loop {
        graph: bool,
        until: Until,
        max: u32,
        /// What is left of it when `until` never holds.
        fails: bool,
    },
    Each {
        over: Over,
        items: u32,
        window: usize,
        all_done: bool,
    },
    Nap {
        seconds: u64,
    },
    Signal {
        times_out: bool,
        fails: bool,
        /// Nobody ever sends it.
        mute: bool,
    },
    Gate {
        times_out: bool,
        rework: Option<Rework>,
    },
    End {
        status: &'static str,
    },
}

pub(super) enum Over {
    Call { hangs: bool },
    Body { graph: bool },
}

#[derive(Clone, Copy)]
pub(super) struct Rework {
    pub(super) from: usize,
    pub(super) max: u32,
    /// It is rejected until that cancels the run.
    pub(super) gives_up: bool,
}

/// A deadline is met, or it is not, in whatever order attempts end.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Deadline {
    /// Later than everything else.
    Far,
    /// Before an attempt ends that never does.
    OfHanging,
    /// Before a wait of 20 seconds is over.
    OfNap,
    /// When everything that is answered has been, and all time-outs have passed.
    OfMute,
}

impl Deadline {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Far => "20000d",
            Self::OfHanging => "60s",
            Self::OfNap => "10s",
            Self::OfMute => "200d",
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Join {
    AllSuccess,
    OneSuccess,
    NoneFailedMinOneSuccess,
    AllDone,
}

pub(super) enum Condition {
    Never,
    /// The output of a call.
    Even(usize),
    Completed(usize),
    FirstIteration,
    /// What the run is about to become, at its end.
    RunFailed,
}

pub(super) enum Until {
    Iteration(u32),
    /// The output of a call in its body.
    Even(usize),
}

/// How deep loops and fan-outs stand in each other at most.
const DEPTH: usize = 3;

impl Made {
    /// At most so many members.
    pub(super) fn draw(chance: &mut Chance, size: usize) -> Self {
        let mut made = Self {
            members: Vec::new(),
            graph: !chance.once_in(6),
            stops: chance.once_in(6),
            parallel: 1 + chance.below(8),
            retries: [0, 1, 2, 2][chance.below(4)],
            ends: chance.once_in(3),
        };
        while made.members.len() < size {
            let parent = made.draw_parent(chance);
            match made.members.len() + 3 < size && chance.once_in(14) {
                true => made.draw_doomed(parent, chance),
                false => made.draw_member(parent, size, chance),
            }
        }
        made.fill_bodies();
        made.draw_needs(chance);
        made.draw_reworks(chance);
        for index in 0..size {
            made.draw_expressions(index, chance);
        }
        made
    }

    /// Whether it matters who is first.
    pub(super) fn can_end(&self) -> bool {
        self.members.iter().any(|member| match &member.kind {
            Kind::End { .. } => true,
            Kind::Gate { rework, .. } => rework.is_some_and(|rework| rework.gives_up),
            _ => false,
        })
    }

    fn push(&mut self, parent: Option<usize>, kind: Kind, chance: &mut Chance) -> &mut Member {
        let letter = char::from(b'a' + u8::try_from(chance.below(26)).unwrap());
        // A question has no failure, and an end is one.
        let fails = !matches!(kind, Kind::Gate { .. } | Kind::End { .. });
        self.members.push(Member {
            // Another order than that of the file, for whatever goes by names.
            id: format!("{letter}{}", self.members.len()),
            parent,
            handled: fails && chance.once_in(4),
            kind,
            needs: Vec::new(),
            join: Join::AllSuccess,
            condition: None,
            finally: false,
            deadline: None,
            reads: None,
            rank: chance.next(),
            closed: false,
        });
        self.members.last_mut().unwrap()
    }

    fn draw_member(&mut self, parent: Option<usize>, size: usize, chance: &mut Chance) {
        let deep = self.depth(parent) >= DEPTH;
        let last = self.members.len() + 1 >= size;
        let far = chance.once_in(8).then_some(Deadline::Far);
        let (kind, deadline) = match chance.below(24) {
            0..3 if !deep && !last => {
                let kind = Kind::Loop {
                    graph: !chance.once_in(3),
                    until: Until::Iteration(1 + u32::try_from(chance.below(3)).unwrap()),
                    max: 1 + u32::try_from(chance.below(3)).unwrap(),
                    fails: chance.once_in(3),
                };
                (kind, far)
            }
            3..5 if !deep && !last => {
                let graph = !chance.once_in(3);
                (Kind::each(Over::Body { graph }, chance), far)
            }
            5 => (Kind::each(Over::Call { hangs: false }, chance), far),
            6 if chance.once_in(2) => (
                Kind::each(Over::Call { hangs: true }, chance),
                Some(Deadline::OfHanging),
            ),
            6..8 => match chance.once_in(3) {
                true => (Kind::Nap { seconds: 20 }, Some(Deadline::OfNap)),
                false => (
                    Kind::Nap {
                        seconds: [20, 200][chance.below(2)],
                    },
                    far,
                ),
            },
            8..10 => {
                let mute = chance.once_in(5);
                let kind = Kind::Signal {
                    times_out: !mute && chance.once_in(2),
                    fails: chance.once_in(2),
                    mute,
                };
                (kind, if mute { Some(Deadline::OfMute) } else { far })
            }
            10..13 => {
                let times_out = chance.once_in(2);
                let rework = None;
                (Kind::Gate { times_out, rework }, far)
            }
            13 if self.ends => {
                let status = ["completed", "failed", "cancelled"][chance.below(3)];
                (Kind::End { status }, None)
            }
            14 => {
                let (pauses, hangs) = (chance.once_in(2), true);
                (Kind::Call { pauses, hangs }, Some(Deadline::OfHanging))
            }
            _ => {
                let (pauses, hangs) = (chance.once_in(2), false);
                (Kind::Call { pauses, hangs }, far)
            }
        };
        let at_the_end = parent.is_none()
            && chance.once_in(4)
            && match &kind {
                Kind::Call { .. } => true,
                Kind::Each { over, .. } => matches!(over, Over::Call { .. }),
                _ => false,
            };
        let member = self.push(parent, kind, chance);
        member.deadline = deadline;
        member.finally = at_the_end;
    }

    /// A loop that is ended by its deadline, whatever happens: what stands in it is closed.
    fn draw_doomed(&mut self, parent: Option<usize>, chance: &mut Chance) {
        let body = Kind::Loop {
            graph: !chance.once_in(3),
            until: Until::Iteration(1),
            max: 2,
            fails: false,
        };
        let hangs = chance.once_in(2);
        let around = self.push(parent, body, chance);
        around.closed = true;
        around.deadline = Some(match hangs {
            true => Deadline::OfHanging,
            false => Deadline::OfMute,
        });
        let parent = Some(self.members.len() - 1);
        let pauses = false;
        if hangs {
            self.push(parent, Kind::Call { pauses, hangs }, chance);
            return;
        }
        self.push(parent, Kind::Call { pauses, hangs }, chance);
        let (times_out, fails, mute) = (false, false, true);
        let signal = Kind::Signal {
            times_out,
            fails,
            mute,
        };
        self.push(parent, signal, chance);
    }

    /// The members of the top level, or of a body, in file order; at the top without those with `finally`.
    pub(super) fn scope(&self, parent: Option<usize>) -> impl Iterator<Item = usize> {
        let members = self.members.iter().enumerate();
        members.filter_map(move |(index, member)| {
            (member.parent == parent && !member.finally).then_some(index)
        })
    }

    /// The members with `finally`.
    pub(super) fn at_the_end(&self) -> impl Iterator<Item = usize> {
        let members = self.members.iter().enumerate();
        members.filter_map(|(index, member)| member.finally.then_some(index))
    }

    /// Their names.
    pub(super) fn ids_at_the_end(&self) -> impl Iterator<Item = &str> {
        self.at_the_end().map(|index| &*self.members[index].id)
    }

    /// Those that stand beside a member, and itself.
    fn beside(&self, index: usize) -> Vec<usize> {
        match self.members[index].finally {
            true => self.at_the_end().collect(),
            false => self.scope(self.members[index].parent).collect(),
        }
    }

    pub(super) fn is_graph(&self, parent: Option<usize>) -> bool {
        match parent.map(|parent| &self.members[parent].kind) {
            Some(
                Kind::Loop { graph, .. }
                | Kind::Each {
                    over: Over::Body { graph },
                    ..
                },
            ) => *graph,
            _ => self.graph,
        }
    }

    pub(super) fn has_body(&self, index: usize) -> bool {
        matches!(
            self.members[index].kind,
            Kind::Loop { .. }
                | Kind::Each {
                    over: Over::Body { .. },
                    ..
                }
        )
    }

    /// How many fan-outs stand around a member.
    pub(super) fn fan_outs_around(&self, index: usize) -> usize {
        let around =
            std::iter::successors(self.members[index].parent, |at| self.members[*at].parent);
        around
            .filter(|at| matches!(self.members[*at].kind, Kind::Each { .. }))
            .count()
    }

    fn draw_parent(&self, chance: &mut Chance) -> Option<usize> {
        let bodies = (0..self.members.len())
            .filter(|index| self.has_body(*index) && !self.members[*index].closed);
        let bodies: Vec<usize> = bodies.collect();
        match chance.once_in(3) {
            true => None,
            false => chance.one_of(&bodies).copied(),
        }
    }

    fn depth(&self, parent: Option<usize>) -> usize {
        std::iter::successors(parent, |at| self.members[*at].parent).count()
    }

    /// A body without members does not exist.
    fn fill_bodies(&mut self) {
        for index in (0..self.members.len()).rev() {
            if self.has_body(index) && self.scope(Some(index)).next().is_none() {
                let (pauses, hangs) = (false, false);
                self.members[index].kind = Kind::Call { pauses, hangs };
            }
        }
    }

    fn draw_needs(&mut self, chance: &mut Chance) {
        for index in 0..self.members.len() {
            let member = &self.members[index];
            if !self.is_graph(member.parent) {
                continue;
            }
            let rank = member.rank;
            let beside = self.beside(index).into_iter();
            let lower: Vec<usize> = beside
                .filter(|other| self.members[*other].rank < rank)
                .collect();
            let wanted = chance.below(4);
            let needs: BTreeSet<usize> = (0..wanted)
                .filter_map(|_| chance.one_of(&lower).copied())
                .collect();
            let member = &mut self.members[index];
            member.needs = needs.into_iter().collect();
            if !member.needs.is_empty() {
                member.join = [
                    Join::AllSuccess,
                    Join::OneSuccess,
                    Join::NoneFailedMinOneSuccess,
                    Join::AllDone,
                ][chance.below(4)];
            }
        }
    }

    /// Whether a member of a graph needs another one, directly or through others.
    pub(super) fn needs(&self, index: usize, other: usize) -> bool {
        let mut needs = self.members[index].needs.iter();
        needs.any(|need| *need == other || self.needs(*need, other))
    }

    /// Some approvals repeat work that leads to them, where nothing else builds upon it.
    fn draw_reworks(&mut self, chance: &mut Chance) {
        for gate in 0..self.members.len() {
            if !matches!(self.members[gate].kind, Kind::Gate { .. }) || chance.once_in(4) {
                continue;
            }
            let beside = self.beside(gate);
            let graph = self.is_graph(self.members[gate].parent);
            let may_repeat = |from: &&usize| {
                let from = **from;
                let strays = |other: &usize| {
                    self.needs(*other, from)
                        && *other != gate
                        && !self.needs(gate, *other)
                        && !self.needs(*other, gate)
                };
                from < gate && (!graph || self.needs(gate, from) && !beside.iter().any(strays))
            };
            let from: Vec<usize> = beside.iter().filter(may_repeat).copied().collect();
            let Some(from) = chance.one_of(&from).copied() else {
                continue;
            };
            let drawn = Rework {
                from,
                max: 2 + u32::try_from(chance.below(2)).unwrap(),
                gives_up: self.ends && chance.once_in(3),
            };
            if let Kind::Gate { rework, .. } = &mut self.members[gate].kind {
                *rework = Some(drawn);
            }
        }
    }

    fn draw_expressions(&mut self, index: usize, chance: &mut Chance) {
        let readable = self.readable(index);
        let is_call = |other: &&usize| matches!(self.members[**other].kind, Kind::Call { .. });
        let calls: Vec<usize> = readable.iter().filter(is_call).copied().collect();
        let finally = self.members[index].finally;
        let in_loop = self.in_loop(index);
        let condition = match chance.below(12) {
            0 => Some(Condition::Never),
            1 => chance.one_of(&calls).copied().map(Condition::Even),
            2 => chance.one_of(&readable).copied().map(Condition::Completed),
            3 if in_loop => Some(Condition::FirstIteration),
            3 | 4 if finally => Some(Condition::RunFailed),
            _ => None,
        };
        let own = in_loop && chance.once_in(4);
        let reads = match own {
            true => Some(index),
            false => chance.one_of(&calls).copied(),
        };
        let body: Vec<usize> = self.scope(Some(index)).collect();
        let body: Vec<usize> = body.iter().filter(is_call).copied().collect();
        let until = match chance.once_in(2) && !self.members[index].closed {
            true => chance.one_of(&body).copied().map(Until::Even),
            false => None,
        };
        // What is doomed begins, or there is nothing to see.
        let doomed = self.members[index]
            .parent
            .is_some_and(|at| self.members[at].closed);
        let member = &mut self.members[index];
        member.condition = condition.filter(|_| !doomed);
        member.reads = reads;
        if let (Kind::Loop { until: drawn, .. }, Some(until)) = (&mut member.kind, until) {
            *drawn = until;
        }
    }

    /// Whether a loop stands directly around it.
    pub(super) fn in_loop(&self, index: usize) -> bool {
        let parent = self.members[index].parent;
        parent.is_some_and(|at| matches!(self.members[at].kind, Kind::Loop { .. }))
    }

    /// What has ended, or never runs, whenever this member is looked at.
    fn readable(&self, index: usize) -> Vec<usize> {
        let mut found = BTreeSet::new();
        if self.members[index].finally {
            for main in self.scope(None) {
                self.with_body(main, &mut found);
            }
        }
        let mut at = Some(index);
        while let Some(member) = at {
            self.before(member, &mut found);
            at = self.members[member].parent;
        }
        found.into_iter().collect()
    }

    fn before(&self, index: usize, found: &mut BTreeSet<usize>) {
        let graph = self.is_graph(self.members[index].parent);
        let earlier: Vec<usize> = match graph {
            true => self.members[index].needs.clone(),
            false => {
                let beside = self.beside(index).into_iter();
                beside.take_while(|at| *at < index).collect()
            }
        };
        for at in earlier {
            self.with_body(at, found);
            if graph {
                self.before(at, found);
            }
        }
    }

    /// A member and what stands in it, but inside of items: each of those has its own.
    fn with_body(&self, index: usize, found: &mut BTreeSet<usize>) {
        found.insert(index);
        if let Kind::Loop { .. } = self.members[index].kind {
            for member in self.scope(Some(index)) {
                self.with_body(member, found);
            }
        }
    }

    /// The member of the top level that another one stands in.
    pub(super) fn outermost(&self, index: usize) -> usize {
        match self.members[index].parent {
            Some(parent) => self.outermost(parent),
            None => index,
        }
    }

    /// A member and all that stands in it.
    pub(super) fn subtree(&self, index: usize) -> BTreeSet<usize> {
        let inside = self.scope(Some(index)).flat_map(|at| self.subtree(at));
        inside.chain([index]).collect()
    }

    /// What a member and all that stands in it read.
    pub(super) fn read_by(&self, index: usize) -> BTreeSet<usize> {
        let members = self.subtree(index).into_iter();
        members.flat_map(|at| self.read_at(at)).collect()
    }

    /// What a member itself reads.
    pub(super) fn read_at(&self, index: usize) -> impl Iterator<Item = usize> {
        let member = &self.members[index];
        let call = matches!(member.kind, Kind::Call { .. });
        let condition = match member.condition {
            Some(Condition::Even(read) | Condition::Completed(read)) => Some(read),
            _ => None,
        };
        let until = match member.kind {
            Kind::Loop {
                until: Until::Even(read),
                ..
            } => Some(read),
            _ => None,
        };
        let with = member.reads.filter(|_| call);
        [with, condition, until].into_iter().flatten()
    }
}

impl Kind {
    fn each(over: Over, chance: &mut Chance) -> Self {
        Self::Each {
            over,
            items: u32::try_from(chance.below(4)).unwrap(),
            window: 1 + chance.below(3),
            all_done: chance.once_in(2),
        }
    }
}
