//! In which order the members of a scope run: file order in a sequence, as their `needs` allow in a graph.
//!
//! A *scope* is a set of members that settle together: the top level, or the body of a loop or a fan-out.

use std::collections::BTreeMap;
use std::ops::Range;

use super::bits::Bits;
use toml::de::DeValue;

use super::codes;
use super::grammar::FOREACH_KEY;
use super::model::Flow;
use super::nearest::{enough, nearest};
use super::outline::{Entry, Kind, Outline};
use super::shape::Node;
use super::view::View;
use crate::diagnostic::Diagnostic;
use crate::grants::toml_text;
use crate::limits;

/// The resolved order of every scope of one file.
#[derive(Debug)]
pub(super) struct Order {
    /// How the members of each scope follow each other: the top level is `None`, a body has the index of its loop or fan-out.
    flows: BTreeMap<Option<usize>, Flow>,
    /// What each step names in `needs`, in file order.
    needs: Vec<Vec<usize>>,
    /// Every member that must be settled before a step starts, over any number of needs; only in graphs.
    before: Vec<Bits>,
}

impl Order {
    pub(super) fn resolve(
        workflow: &View<'_>,
        outline: &Outline<'_>,
        out: &mut Vec<Diagnostic>,
    ) -> Self {
        let top = flow(workflow).unwrap_or(Flow::Sequence);
        let mut flows = BTreeMap::from([(None, top)]);
        for (index, entry) in outline.entries.iter().enumerate() {
            match entry.kind {
                Kind::Loop | Kind::ForEach => {
                    flows.insert(Some(index), flow(&entry.view).unwrap_or(top));
                }
                Kind::Component
                | Kind::Wait
                | Kind::Approval
                | Kind::End
                | Kind::Child
                | Kind::Unknown => {
                    not_a_scope(entry, out);
                }
            }
        }
        let mut order = Self {
            flows,
            needs: vec![Vec::new(); outline.entries.len()],
            before: vec![Bits::default(); outline.entries.len()],
        };
        for index in 0..outline.entries.len() {
            order.needs[index] = order.needs_of(index, outline, out);
        }
        for scope in order.flows.clone().into_keys() {
            order.close(scope, outline, out);
        }
        for (gate, entry) in outline.entries.iter().enumerate() {
            match (entry.rework, order.flow(entry.parent)) {
                (Some(from), Flow::Graph) => order.check_rework(gate, from, outline, out),
                (Some(from), Flow::Sequence) if from > gate => {
                    let (name, from) = (entry.name, outline.entries[from].name);
                    let message = format!("step `{from}` does not come before `{name}`");
                    let span = rework_span(entry);
                    out.push(outline.no_rework(gate, from, span, message));
                }
                (Some(_) | None, _) => {}
            }
        }
        order
    }

    /// How the members of the scope of that parent follow each other.
    pub(super) fn flow(&self, parent: Option<usize>) -> Flow {
        self.flows.get(&parent).copied().unwrap_or(Flow::Sequence)
    }

    /// What the step names in `needs`, in file order.
    pub(super) fn needs(&self, index: usize) -> &[usize] {
        &self.needs[index]
    }

    /// Whether `earlier` is settled whenever `later` starts. Both are members of one graph.
    pub(super) fn is_before(&self, earlier: usize, later: usize) -> bool {
        self.before[later].contains(earlier)
    }

    /// The members of a graph that are settled whenever the step starts.
    pub(super) fn before(&self, index: usize) -> &Bits {
        &self.before[index]
    }

    /// The members that `needs` of a step names, as far as it can: with each problem told.
    fn needs_of(
        &self,
        index: usize,
        outline: &Outline<'_>,
        out: &mut Vec<Diagnostic>,
    ) -> Vec<usize> {
        let entry = &outline.entries[index];
        let graph = self.flow(entry.parent) == Flow::Graph;
        if !graph && !entry.lost {
            in_a_sequence(index, outline, out);
            return Vec::new();
        }
        let named = entry.view.items("needs").unwrap_or_default();
        let mut first = BTreeMap::<usize, Range<usize>>::new();
        for node in named {
            let Some(name) = node
                .get_ref()
                .as_str()
                .filter(|name| !name.trim().is_empty())
            else {
                continue;
            };
            match member(index, name, node, outline, !enough(out)) {
                Ok(found) if outline.entries[found].finally != entry.finally => {
                    let message = match entry.finally {
                        true => {
                            format!("step `{name}` has ended before any step with `finally` starts")
                        }
                        false => format!("step `{name}` runs at the end, after this one"),
                    };
                    let place = outline.entries[found].span.clone();
                    out.push(
                        Diagnostic::error(codes::NEEDS, node.span(), message)
                            .with_help("leave it out")
                            .with_related(place, "this step"),
                    );
                }
                Ok(found) => {
                    if let Some(earlier) = first.get(&found) {
                        let message = format!("`{name}` is named twice");
                        out.push(
                            Diagnostic::error(codes::NEEDS, node.span(), message)
                                .with_help("remove one of them")
                                .with_related(earlier.clone(), "first named here"),
                        );
                    } else {
                        first.insert(found, node.span());
                    }
                }
                Err(problem) => out.extend(problem.map(|problem| *problem)),
            }
        }
        if named.is_empty()
            && let Some(span) = entry.view.key_span("join")
        {
            let message = "`join` judges what a step needs, and this one needs nothing";
            let problem = Diagnostic::error(codes::LONE_KEY, span, message);
            out.push(problem.with_help("add `needs = [\"..\"]`, or leave `join` out"));
        }
        first.into_keys().collect()
    }

    /// Finds what comes before each member of a graph, and the cycles among them.
    fn close(&mut self, scope: Option<usize>, outline: &Outline<'_>, out: &mut Vec<Diagnostic>) {
        if self.flow(scope) == Flow::Sequence {
            return;
        }
        let members = outline.entries.iter().enumerate();
        let members: Vec<usize> = members
            .filter(|(_, entry)| entry.parent == scope && !entry.lost)
            .map(|(index, _)| index)
            .collect();
        let mut open: BTreeMap<usize, usize> = members
            .iter()
            .map(|index| (*index, self.needs[*index].len()))
            .collect();
        let mut needed_by = BTreeMap::<usize, Vec<usize>>::new();
        for index in &members {
            for need in &self.needs[*index] {
                needed_by.entry(*need).or_default().push(*index);
            }
        }
        let mut ready: Vec<usize> = members.iter().copied().filter(|m| open[m] == 0).collect();
        while let Some(index) = ready.pop() {
            open.remove(&index);
            let mut before = Bits::default();
            for need in &self.needs[index] {
                before.insert(*need);
                before.insert_all(&self.before[*need]);
            }
            self.before[index] = before;
            for later in needed_by.get(&index).into_iter().flatten() {
                if let Some(count) = open.get_mut(later) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push(*later);
                    }
                }
            }
        }
        self.report_cycles(open.into_keys().collect(), outline, out);
    }

    /// What is left has a cycle, or needs one. One cycle after the other is told, and each step once.
    fn report_cycles(
        &mut self,
        left: Vec<usize>,
        outline: &Outline<'_>,
        out: &mut Vec<Diagnostic>,
    ) {
        let name = |index: usize| outline.entries[index].name;
        let all: Bits = left.iter().copied().collect();
        let mut seen = Bits::default();
        for start in left.iter().copied() {
            let (mut at, mut path) = (start, Vec::new());
            let mut on_path = Bits::default();
            let cycle = loop {
                if seen.contains(at) {
                    break None;
                }
                if on_path.contains(at) {
                    let from = path.iter().position(|step| *step == at);
                    break from.map(|from| path[from..].to_vec());
                }
                on_path.insert(at);
                path.push(at);
                match self.needs[at].iter().find(|need| all.contains(**need)) {
                    Some(next) => at = *next,
                    None => break None,
                }
            };
            path.iter().for_each(|step| seen.insert(*step));
            let Some(mut cycle) = cycle else {
                continue;
            };
            // Told from its first step in the file on.
            let first = (0..cycle.len()).min_by_key(|at| cycle[*at]).unwrap_or(0);
            cycle.rotate_left(first);
            let steps = cycle.iter().chain(cycle.first());
            let steps: Vec<_> = steps.map(|step| format!("`{}`", name(*step))).collect();
            let [from, to] = [cycle[0], *cycle.get(1).unwrap_or(&cycle[0])];
            let entry = &outline.entries[from];
            let node = entry.view.items("needs").unwrap_or_default();
            let node = node
                .iter()
                .find(|node| node.get_ref().as_str() == Some(name(to)));
            let span = node.map_or_else(|| entry.span.clone(), |node| node.span());
            let message = format!("these steps need each other: {}", steps.join(" needs "));
            let mut problem = Diagnostic::error(codes::NEEDS_CYCLE, span, message)
                .with_help("remove one of these `needs`: none of the steps could ever start");
            if to != from {
                let place = outline.entries[to].span.clone();
                problem = problem.with_related(place, "part of the cycle");
            }
            out.push(problem);
            // Whatever is read along a cycle is no news.
            for step in &left {
                self.before[*step].insert_all(&all);
            }
        }
    }
}

impl Order {
    /// What a rejection repeats in a graph: the step `from` and all that needs it, which must lead to the approval or come after
    /// it. Anything else could be at work on what is about to change.
    fn check_rework(
        &self,
        gate: usize,
        from: usize,
        outline: &Outline<'_>,
        out: &mut Vec<Diagnostic>,
    ) {
        let name = |index: usize| outline.entries[index].name;
        let span = rework_span(&outline.entries[gate]);
        if !self.is_before(from, gate) {
            let message = format!(
                "approval `{}` does not need step `{}`",
                name(gate),
                name(from)
            );
            let help = format!(
                "add it to `needs` of `{}`, or name a step that leads to the approval",
                name(gate)
            );
            out.push(Diagnostic::error(codes::REWORK_FROM, span, message).with_help(help));
            return;
        }
        let beside = outline.entries.iter().enumerate().find(|(index, entry)| {
            entry.parent == outline.entries[gate].parent
                && *index != gate
                && self.is_before(from, *index)
                && !self.is_before(*index, gate)
                && !self.is_before(gate, *index)
        });
        if let Some((index, entry)) = beside {
            let message = format!(
                "step `{}` needs `{}`, which is repeated after a rejection, but runs beside the approval",
                name(index),
                name(from)
            );
            let help = format!(
                "let `{}` need `{}`, or the other way round",
                name(index),
                name(gate)
            );
            out.push(
                Diagnostic::error(codes::REWORK_FROM, span, message)
                    .with_help(help)
                    .with_related(entry.span.clone(), "this step"),
            );
        }
    }
}

/// Where an approval says `rework.from`.
fn rework_span(gate: &Entry<'_>) -> Range<usize> {
    let rework = gate.view.record("approval");
    let rework = rework.and_then(|approval| approval.record("rework"));
    let node = rework.as_ref().and_then(|rework| rework.node("from"));
    node.map_or_else(|| gate.span.clone(), |node| node.span())
}

/// The member that `needs` of the step at `index` names; `Err(None)` when where it stands is not known, which was reported.
fn member(
    index: usize,
    name: &str,
    node: &Node<'_>,
    outline: &Outline<'_>,
    suggest: bool,
) -> Result<usize, Option<Box<Diagnostic>>> {
    let entry = &outline.entries[index];
    let found = outline.find(name);
    let problem = |message: String| Diagnostic::error(codes::NEEDS, node.span(), message);
    let related = |problem: Diagnostic, at: usize| {
        problem.with_related(outline.entries[at].span.clone(), "this step")
    };
    match found {
        _ if entry.lost => Err(None),
        Some(found) if outline.entries[found].lost => Err(None),
        Some(found) if found == index => Err(Some(Box::new(problem(format!(
            "step `{name}` cannot need itself"
        ))))),
        Some(found) if outline.entries[found].parent == entry.parent => Ok(found),
        Some(found) => {
            let message = format!("step `{name}` is not at the same level as `{}`", entry.name);
            // Whoever waits for a member waits for what is around it.
            let around = outline.enclosing(found);
            let own = outline.enclosing(index);
            let shared = around.get(own.len()).filter(|_| around.starts_with(&own));
            let help = match shared {
                Some(around) => {
                    let around = &outline.entries[*around];
                    let what = around.kind.with_members().unwrap_or("loop");
                    format!("need the {what}: `{}`", around.name)
                }
                None => {
                    let around = entry.parent.map(|parent| outline.entries[parent].kind);
                    let what = around.and_then(Kind::with_members).unwrap_or("loop");
                    format!("what is settled before the {what} begins is settled for its members")
                }
            };
            Err(Some(Box::new(related(
                problem(message).with_help(help),
                found,
            ))))
        }
        None => {
            let siblings = outline.entries.iter();
            let siblings = siblings
                .filter(|other| other.parent == entry.parent && !other.lost)
                .filter(|other| other.name != entry.name);
            let candidates = match suggest {
                true => nearest(name, siblings.map(|other| other.name)),
                false => Vec::new(),
            };
            let message = format!("there is no step `{name}`");
            Err(Some(Box::new(problem(message).with_candidates(candidates))))
        }
    }
}

/// The `flow` of a file or of a step.
fn flow(view: &View<'_>) -> Option<Flow> {
    match view.text("flow")? {
        "graph" => Some(Flow::Graph),
        "sequence" => Some(Flow::Sequence),
        _ => None,
    }
}

fn in_a_sequence(index: usize, outline: &Outline<'_>, out: &mut Vec<Diagnostic>) {
    let entry = &outline.entries[index];
    let graph = match entry.parent {
        None => "set `flow = \"graph\"` at the top of the file",
        Some(_) => {
            "set `flow = \"graph\"` at the top of the file, or on the step whose member this is"
        }
    };
    for key in ["needs", "join"] {
        let (Some(span), Some(node)) = (entry.view.key_span(key), entry.view.node(key)) else {
            continue;
        };
        let names = names_of(node.get_ref());
        let earlier = |name: &&str| outline.find(name).is_some_and(|named| named < index);
        let all_earlier = !names.is_empty() && names.iter().all(earlier);
        let help = match key {
            "join" if all_earlier => {
                // Whatever else is wrong with the value is because it is no such word.
                out.retain(|problem| problem.span != node.span());
                let outputs: Vec<_> = names
                    .iter()
                    .map(|name| format!("`steps.{name}.output`"))
                    .collect();
                format!(
                    "leave it out: steps run in file order, and this one can read {}",
                    outputs.join(", ")
                )
            }
            "join" if entry.fans_out => {
                let items = entry.view.record(FOREACH_KEY);
                let items = items.and_then(|fan_out| fan_out.owned("items"));
                let items = toml_text(&items.unwrap_or_else(|| "..".to_owned()));
                let join = match names.first() {
                    Some(&"all_success") => "all_success",
                    _ => "all_done",
                };
                format!(
                    "what becomes of failed items is said in `foreach`\nforeach = {{ items = {items}, join = \"{join}\" }}"
                )
            }
            "needs" if all_earlier => {
                format!("leave it out, because what it names runs before this step; or {graph}")
            }
            _ => graph.to_owned(),
        };
        let message =
            format!("`{key}` has no meaning in a sequence, whose steps run in file order");
        out.push(Diagnostic::error(codes::NEEDS_IN_SEQUENCE, span, message).with_help(help));
    }
}

/// The texts of a value that is one, or a list of some.
fn names_of<'a>(value: &'a DeValue<'_>) -> Vec<&'a str> {
    match value {
        DeValue::String(text) => vec![text],
        DeValue::Array(items) => {
            let texts = items.iter().filter_map(|item| item.get_ref().as_str());
            texts.take(limits::STEPS).collect()
        }
        _ => Vec::new(),
    }
}

fn not_a_scope(entry: &Entry<'_>, out: &mut Vec<Diagnostic>) {
    if entry.kind != Kind::Unknown
        && let Some(span) = entry.view.key_span("flow")
    {
        let message =
            "`flow` says in which order the members of a loop or fan-out run; this step has none";
        let help = "set it at the top of the file, or on a step with members";
        out.push(Diagnostic::error(codes::NOT_FOR_KIND, span, message).with_help(help));
    }
}
