//! Random definitions: graphs and sequences inside each other, of everything that a member can be.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::chance::Chance;

/// A definition, as text and as what the reference reads.
pub(super) struct Made {
    pub(super) members: Vec<Member>,
    pub(super) graph: bool,
    /// `on_failure = "stop"`.
    pub(super) stops: bool,
    pub(super) parallel: usize,
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
    /// What a call reads in its `with`.
    reads: Option<usize>,
    /// Where it stands among the others in a graph: it needs only members with a lower rank.
    rank: u64,
}

pub(super) enum Kind {
    Call {
        /// It pauses the run when its attempts are used up.
        pauses: bool,
    },
    Loop {
        graph: bool,
        until: Until,
        max: u32,
        /// What is left of it when `until` never holds.
        fails: bool,
    },
    Nap {
        seconds: u64,
    },
    Signal {
        times_out: bool,
        fails: bool,
    },
    Gate {
        times_out: bool,
    },
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
}

pub(super) enum Until {
    Iteration(u32),
    /// The output of a call in its body.
    Even(usize),
}

/// How deep loops stand in each other at most.
const DEPTH: usize = 3;

impl Made {
    /// At most so many members.
    pub(super) fn draw(chance: &mut Chance, size: usize) -> Self {
        let mut made = Self {
            members: Vec::new(),
            graph: !chance.once_in(8),
            stops: chance.once_in(4),
            parallel: 1 + chance.below(8),
        };
        for index in 0..size {
            let parent = made.draw_parent(chance);
            let deep = made.loops_around(parent) >= DEPTH;
            let kind = match chance.below(12) {
                0 | 1 if !deep && index + 1 < size => Kind::Loop {
                    graph: !chance.once_in(3),
                    until: Until::Iteration(1 + u32::try_from(chance.below(3)).unwrap()),
                    max: 1 + u32::try_from(chance.below(3)).unwrap(),
                    fails: chance.once_in(3),
                },
                2 => Kind::Nap {
                    seconds: [20, 200][chance.below(2)],
                },
                3 => Kind::Signal {
                    times_out: chance.once_in(2),
                    fails: chance.once_in(2),
                },
                4 => Kind::Gate {
                    times_out: chance.once_in(2),
                },
                _ => Kind::Call {
                    pauses: chance.once_in(2),
                },
            };
            made.members.push(Member {
                // Another order than that of the file, for whatever goes by names.
                id: format!(
                    "{}{index}",
                    char::from(b'a' + u8::try_from(chance.below(26)).unwrap())
                ),
                parent,
                // A question has no failure.
                handled: chance.once_in(4) && !matches!(kind, Kind::Gate { .. }),
                kind,
                needs: Vec::new(),
                join: Join::AllSuccess,
                condition: None,
                reads: None,
                rank: chance.next(),
            });
        }
        made.fill_loops();
        made.draw_needs(chance);
        for index in 0..size {
            made.draw_expressions(index, chance);
        }
        made
    }

    /// The members of the top level, or of a loop, in file order.
    pub(super) fn scope(&self, parent: Option<usize>) -> impl Iterator<Item = usize> {
        let members = self.members.iter().enumerate();
        members.filter_map(move |(index, member)| (member.parent == parent).then_some(index))
    }

    pub(super) fn is_graph(&self, parent: Option<usize>) -> bool {
        match parent.map(|parent| &self.members[parent].kind) {
            Some(Kind::Loop { graph, .. }) => *graph,
            _ => self.graph,
        }
    }

    fn draw_parent(&self, chance: &mut Chance) -> Option<usize> {
        let loops = self.members.iter().enumerate();
        let loops = loops.filter(|(_, member)| matches!(member.kind, Kind::Loop { .. }));
        let loops: Vec<usize> = loops.map(|(index, _)| index).collect();
        match chance.once_in(3) {
            true => None,
            false => chance.one_of(&loops).copied(),
        }
    }

    fn loops_around(&self, parent: Option<usize>) -> usize {
        std::iter::successors(parent, |at| self.members[*at].parent).count()
    }

    /// A loop without members does not exist.
    fn fill_loops(&mut self) {
        for index in (0..self.members.len()).rev() {
            let empty = self.scope(Some(index)).next().is_none();
            let member = &mut self.members[index];
            if empty && matches!(member.kind, Kind::Loop { .. }) {
                member.kind = Kind::Call { pauses: false };
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
            let lower: Vec<usize> = self
                .scope(member.parent)
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

    fn draw_expressions(&mut self, index: usize, chance: &mut Chance) {
        let readable = self.readable(index);
        let is_call = |other: &&usize| matches!(self.members[**other].kind, Kind::Call { .. });
        let calls: Vec<usize> = readable.iter().filter(is_call).copied().collect();
        let in_loop = self.members[index].parent.is_some();
        let condition = match chance.below(10) {
            0 => Some(Condition::Never),
            1 => chance.one_of(&calls).copied().map(Condition::Even),
            2 => chance.one_of(&readable).copied().map(Condition::Completed),
            3 if in_loop => Some(Condition::FirstIteration),
            _ => None,
        };
        let own = in_loop && chance.once_in(4);
        let reads = match own {
            true => Some(index),
            false => chance.one_of(&calls).copied(),
        };
        let body: Vec<usize> = self.scope(Some(index)).collect();
        let body: Vec<usize> = body.iter().filter(is_call).copied().collect();
        let until = match chance.once_in(2) {
            true => chance.one_of(&body).copied().map(Until::Even),
            false => None,
        };
        let member = &mut self.members[index];
        member.condition = condition;
        member.reads = reads;
        if let (Kind::Loop { until: drawn, .. }, Some(until)) = (&mut member.kind, until) {
            *drawn = until;
        }
    }

    /// What has ended, or never runs, whenever this member is looked at.
    fn readable(&self, index: usize) -> Vec<usize> {
        let mut found = BTreeSet::new();
        let mut at = Some(index);
        while let Some(member) = at {
            self.before(member, &mut found);
            at = self.members[member].parent;
        }
        found.into_iter().collect()
    }

    fn before(&self, index: usize, found: &mut BTreeSet<usize>) {
        let parent = self.members[index].parent;
        let earlier: Vec<usize> = match self.is_graph(parent) {
            true => self.members[index].needs.clone(),
            false => self.scope(parent).take_while(|at| *at < index).collect(),
        };
        for at in earlier {
            self.with_body(at, found);
            if self.is_graph(parent) {
                self.before(at, found);
            }
        }
    }

    fn with_body(&self, index: usize, found: &mut BTreeSet<usize>) {
        found.insert(index);
        for member in self.scope(Some(index)) {
            self.with_body(member, found);
        }
    }

    /// The definition, with so many attempts at a time.
    pub(super) fn text(&self, parallel: usize) -> String {
        let mut text = String::new();
        let flow = |graph| if graph { "graph" } else { "sequence" };
        writeln!(text, "flow = {:?}", flow(self.graph)).unwrap();
        if self.stops {
            text.push_str("on_failure = \"stop\"\n");
        }
        writeln!(text, "[limits]\nparallel = {parallel}").unwrap();
        for (index, member) in self.members.iter().enumerate() {
            let id = &member.id;
            writeln!(text, "[[step]]\nid = {id:?}").unwrap();
            if let Some(parent) = member.parent {
                writeln!(text, "in = {:?}", self.members[parent].id).unwrap();
            }
            self.write_kind(index, &mut text);
            if !member.needs.is_empty() {
                let needs = member.needs.iter().map(|need| &self.members[*need].id);
                writeln!(text, "needs = {:?}", needs.collect::<Vec<_>>()).unwrap();
                writeln!(text, "join = {:?}", word(member.join)).unwrap();
            }
            if let Some(condition) = &member.condition {
                writeln!(text, "if = {:?}", self.condition(condition)).unwrap();
            }
            if member.handled {
                text.push_str("continue_on_error = true\n");
            }
        }
        text
    }

    fn write_kind(&self, index: usize, text: &mut String) {
        let member = &self.members[index];
        let id = &member.id;
        match &member.kind {
            Kind::Call { pauses } => {
                let then = if *pauses { "pause" } else { "fail" };
                let read = member.reads.map(|read| self.number(read));
                let read = read.unwrap_or_else(|| "0".to_owned());
                let before = match member.parent {
                    Some(_) => "has(loop.previous)",
                    None => "false",
                };
                writeln!(text, "use = \"p/{id}\"").unwrap();
                writeln!(text, "retry = {{ initial = \"3s\", then = {then:?} }}").unwrap();
                writeln!(
                    text,
                    "with = {{ read = \"${{ {read} }}\", before = \"${{ {before} }}\" }}"
                )
                .unwrap();
            }
            Kind::Loop {
                graph,
                until,
                max,
                fails,
            } => {
                let until = match until {
                    Until::Iteration(last) => format!("loop.iteration >= {last}"),
                    Until::Even(member) => format!("{} % 2 == 0", self.number(*member)),
                };
                let exhausted = if *fails { "fail" } else { "continue" };
                writeln!(
                    text,
                    "loop = {{ until = {until:?}, max_iterations = {max}, on_exhausted = {exhausted:?} }}"
                )
                .unwrap();
                if *graph != self.graph {
                    let flow = if *graph { "graph" } else { "sequence" };
                    writeln!(text, "flow = {flow:?}").unwrap();
                }
            }
            Kind::Nap { seconds } => writeln!(text, "wait = {{ for = \"{seconds}s\" }}").unwrap(),
            Kind::Signal { times_out, fails } => {
                let then = if *fails { "fail" } else { "continue" };
                let timeout = match times_out {
                    true => format!(", timeout = \"90d\", on_timeout = {then:?}"),
                    false => String::new(),
                };
                writeln!(text, "wait = {{ signal = \"go\"{timeout} }}").unwrap();
            }
            Kind::Gate { times_out } => {
                let timeout = match times_out {
                    true => ", timeout = \"90d\", on_timeout = \"approve\"",
                    false => "",
                };
                writeln!(
                    text,
                    "approval = {{ message = \"{id}?\", on_reject = \"continue\"{timeout} }}"
                )
                .unwrap();
            }
        }
    }

    fn condition(&self, condition: &Condition) -> String {
        match condition {
            Condition::Never => "false".to_owned(),
            Condition::Even(member) => format!("{} % 2 == 0", self.number(*member)),
            Condition::Completed(member) => {
                format!("steps.{}.status == 'completed'", self.members[*member].id)
            }
            Condition::FirstIteration => "loop.iteration == 1".to_owned(),
        }
    }

    fn number(&self, call: usize) -> String {
        format!("steps.{}.?output.n.orValue(0)", self.members[call].id)
    }
}

fn word(join: Join) -> &'static str {
    match join {
        Join::AllSuccess => "all_success",
        Join::OneSuccess => "one_success",
        Join::NoneFailedMinOneSuccess => "none_failed_min_one_success",
        Join::AllDone => "all_done",
    }
}
