//! The tree of steps: which step is what, and which loop or fan-out it is a member of.

use std::collections::BTreeMap;
use std::ops::Range;

use super::codes;
use super::grammar::{COMPENSATE_KEY, FINALLY_KEY, FOREACH_KEY, KINDS};
use super::nearest::nearest;
use super::view::View;
use crate::diagnostic::Diagnostic;
use crate::limits;

/// What a step is, as far as its keys tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Component,
    Loop,
    Wait,
    Approval,
    /// A fan-out with members.
    ForEach,
    End,
    Child,
    /// None, or several; reported.
    Unknown,
}

impl Kind {
    /// What a step of it is called.
    const fn name(self) -> &'static str {
        match self {
            Self::Component | Self::Unknown => "a step",
            Self::Loop => "a loop",
            Self::Wait => "a wait",
            Self::Approval => "an approval",
            Self::ForEach => "a fan-out with members",
            Self::End => "an end",
            Self::Child => "a child run",
        }
    }

    /// What a step with members is called.
    pub(super) const fn with_members(self) -> Option<&'static str> {
        match self {
            Self::Loop => Some("loop"),
            Self::ForEach => Some("fan-out"),
            Self::Component
            | Self::Wait
            | Self::Approval
            | Self::End
            | Self::Child
            | Self::Unknown => None,
        }
    }
}

/// One step of the file.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) view: View<'a>,
    /// Its id; empty when it has none.
    pub(super) name: &'a str,
    /// Its id's place, or its header's.
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
    /// Whether it goes over a list: it is a call or a child run for each item, or a fan-out with members.
    pub(super) fans_out: bool,
    /// The loop or fan-out that it is a member of.
    pub(super) parent: Option<usize>,
    /// `in` could not be resolved, so that nothing is known about what this step may read.
    pub(super) lost: bool,
    /// Whether it runs at the end.
    pub(super) finally: bool,
    /// Direct members, in file order.
    pub(super) members: Vec<usize>,
    /// For an approval: the step from which a rejection goes over the work again.
    pub(super) rework: Option<usize>,
}

/// Every step of the file, in file order.
#[derive(Debug)]
pub(super) struct Outline<'a> {
    pub(super) entries: Vec<Entry<'a>>,
    by_name: BTreeMap<&'a str, usize>,
}

impl<'a> Outline<'a> {
    pub(super) fn build(views: Vec<View<'a>>, out: &mut Vec<Diagnostic>) -> Self {
        let entries = views.into_iter().map(|view| entry(view, out)).collect();
        let mut outline = Self {
            entries,
            by_name: BTreeMap::new(),
        };
        outline.index(out);
        outline.link(out);
        outline.link_rework(out);
        outline.check_nesting(out);
        outline.mark_finally(out);
        outline
    }

    /// Index of the step of that name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Every step id.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.by_name.keys().copied()
    }

    /// The loops and fan-outs around a step, outermost first.
    pub(super) fn enclosing(&self, index: usize) -> Vec<usize> {
        let mut around: Vec<_> =
            std::iter::successors(self.entries[index].parent, |at| self.entries[*at].parent)
                .collect();
        around.reverse();
        around
    }

    fn index(&mut self, out: &mut Vec<Diagnostic>) {
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.name.is_empty() {
                continue;
            }
            if let Some(first) = self.by_name.get(entry.name) {
                let message = format!("step id `{}` is given twice", entry.name);
                out.push(
                    Diagnostic::error(codes::DUPLICATE_ID, entry.span.clone(), message)
                        .with_related(self.entries[*first].span.clone(), "first given here"),
                );
            } else {
                self.by_name.insert(entry.name, index);
            }
        }
    }

    /// Resolves every `in`. A parent stands before its members, so that a chain of parents always ends.
    fn link(&mut self, out: &mut Vec<Diagnostic>) {
        let mut meant = Vec::new();
        for index in 0..self.entries.len() {
            let entry = &self.entries[index];
            let (Some(owner), Some(node)) = (entry.view.text("in"), entry.view.node("in")) else {
                self.entries[index].lost = entry.view.node("in").is_some();
                continue;
            };
            match self.owner(index, owner, node.span()) {
                Ok(parent) => {
                    self.entries[index].parent = Some(parent);
                    self.entries[parent].members.push(index);
                }
                Err(problem) => {
                    meant.push(owner.to_owned());
                    meant.extend(
                        problem
                            .iter()
                            .flat_map(|problem| problem.candidates.clone()),
                    );
                    out.extend(problem.map(|problem| *problem));
                    self.entries[index].lost = true;
                }
            }
        }
        for (index, entry) in self.entries.iter().enumerate() {
            // A loop whose only member misspelt its name has one problem, not two; so has the second of two equal ids.
            let expected =
                meant.iter().any(|name| name == entry.name) || self.find(entry.name) != Some(index);
            if let Some(what) = entry.kind.with_members()
                && entry.members.is_empty()
                && !expected
            {
                let message = format!("{what} `{}` has no members", entry.name);
                let mut help = format!("add a step with `in = \"{}\"`", entry.name);
                if entry.kind == Kind::ForEach {
                    help.push_str(", or what it does for each item: `use = \"plugin/step\"`, with `item` in its `with`");
                }
                out.push(
                    Diagnostic::error(codes::EMPTY_LOOP, entry.span.clone(), message)
                        .with_help(help),
                );
            }
        }
    }

    /// The loop or fan-out that `in = "owner"` of the step at `index` names; `Err(None)` when the problem has been reported.
    fn owner(
        &self,
        index: usize,
        owner: &str,
        span: Range<usize>,
    ) -> Result<usize, Option<Box<Diagnostic>>> {
        let Some(parent) = self.find(owner) else {
            if owner.trim().is_empty() {
                return Err(None);
            }
            let owners = self.entries.iter();
            let owners = owners.filter(|entry| entry.kind.with_members().is_some());
            let candidates = nearest(owner, owners.map(|entry| entry.name));
            let message = format!("there is no loop or fan-out `{owner}`");
            return Err(Some(Box::new(
                Diagnostic::error(codes::UNKNOWN_LOOP, span, message).with_candidates(candidates),
            )));
        };
        let place = self.entries[parent].span.clone();
        let what = match self.entries[parent].kind {
            Kind::Unknown => return Err(None),
            kind @ (Kind::Component | Kind::Child) if self.entries[parent].fans_out => {
                let (does, key) = match kind {
                    Kind::Child => ("starts a child run", "workflow"),
                    _ => ("calls a component", "use"),
                };
                let message = format!("`{owner}` {does} for each item; it has no members");
                return Err(Some(Box::new(
                    Diagnostic::error(codes::NOT_A_LOOP, span, message)
                        .with_help(format!("move the `{key}` of `{owner}` to a member of it"))
                        .with_related(place, format!("a step with `{key}`")),
                )));
            }
            Kind::Component | Kind::Wait | Kind::Approval | Kind::End | Kind::Child => {
                let message = format!("`{owner}` is not a loop or a fan-out");
                return Err(Some(Box::new(
                    Diagnostic::error(codes::NOT_A_LOOP, span, message)
                        .with_related(place, "a step of another kind"),
                )));
            }
            kind @ (Kind::Loop | Kind::ForEach) => kind.with_members().unwrap_or_default(),
        };
        if parent == index {
            let message = format!("{what} `{owner}` cannot be a member of itself");
            return Err(Some(Box::new(Diagnostic::error(
                codes::MEMBER_BEFORE_LOOP,
                span,
                message,
            ))));
        }
        if parent > index {
            let message = format!("{what} `{owner}` must come before its members");
            let help = format!(
                "move the {what} above this step; two of them cannot be members of each other"
            );
            let problem = Diagnostic::error(codes::MEMBER_BEFORE_LOOP, span, message);
            return Err(Some(Box::new(
                problem
                    .with_help(help)
                    .with_related(place, format!("the {what}")),
            )));
        }
        Ok(parent)
    }

    /// Resolves every `rework.from`.
    fn link_rework(&mut self, out: &mut Vec<Diagnostic>) {
        for gate in 0..self.entries.len() {
            let entry = &self.entries[gate];
            let rework = entry
                .view
                .record("approval")
                .and_then(|view| view.record("rework"));
            let Some((from, node)) = rework
                .as_ref()
                .and_then(|rework| Some((rework.text("from")?, rework.node("from")?)))
            else {
                continue;
            };
            if entry.kind != Kind::Approval || from.trim().is_empty() || entry.lost {
                continue;
            }
            match self.rework_from(gate, from, node.span()) {
                Ok(from) => self.entries[gate].rework = Some(from),
                Err(problem) => out.extend(problem.map(|problem| *problem)),
            }
        }
    }

    /// Index of the step that `rework.from` of the approval at `gate` names; `Err(None)` when where that step stands is not
    /// known, which has been reported. Whether it comes before the approval is a matter of the order of their scope.
    fn rework_from(
        &self,
        gate: usize,
        from: &str,
        span: Range<usize>,
    ) -> Result<usize, Option<Box<Diagnostic>>> {
        let parent = self.entries[gate].parent;
        let found = self.find(from);
        match found {
            Some(found) if self.entries[found].lost => return Err(None),
            Some(found) if found != gate && self.entries[found].parent == parent => {
                return Ok(found);
            }
            Some(_) | None => {}
        }
        let name = self.entries[gate].name;
        let message = match found {
            None => format!("there is no step `{from}`"),
            Some(found) if found == gate => "an approval cannot repeat itself".to_owned(),
            Some(_) => format!("step `{from}` is not at the same level as `{name}`"),
        };
        Err(Some(Box::new(self.no_rework(gate, from, span, message))))
    }

    /// What is said of a `rework.from` that does not lead to the approval.
    pub(super) fn no_rework(
        &self,
        gate: usize,
        from: &str,
        span: Range<usize>,
        message: String,
    ) -> Diagnostic {
        let Entry { name, parent, .. } = self.entries[gate];
        let before = self.entries[..gate]
            .iter()
            .filter(|entry| entry.parent == parent && !entry.lost);
        let place = match parent {
            Some(parent) => format!("in the body of `{}`", self.entries[parent].name),
            None => "at the top level".to_owned(),
        };
        let problem = Diagnostic::error(codes::REWORK_FROM, span, message)
            .with_help(format!("name a step that comes before `{name}` {place}"))
            .with_candidates(nearest(from, before.map(|entry| entry.name)));
        match self.find(from).filter(|found| *found != gate) {
            Some(found) => problem.with_related(self.entries[found].span.clone(), "this step"),
            None => problem,
        }
    }

    /// Marks what runs at the end: calls and child runs at the top level.
    fn mark_finally(&mut self, out: &mut Vec<Diagnostic>) {
        for index in 0..self.entries.len() {
            let entry = &self.entries[index];
            let Some(span) = entry.view.key_span(FINALLY_KEY) else {
                continue;
            };
            let problem = match (entry.parent, entry.kind) {
                (Some(parent), _) => {
                    let owner = self.entries[parent].name;
                    Some((
                        "`finally` applies to a step at the top level".to_owned(),
                        format!("leave it out, or take the step out of `{owner}`"),
                    ))
                }
                (None, Kind::Component | Kind::Child | Kind::Unknown) => None,
                (None, kind) => {
                    let why = match kind {
                        Kind::Wait | Kind::Approval => {
                            "a run that is about to end waits for nobody; "
                        }
                        _ => "",
                    };
                    Some((
                        format!("`finally` does not apply to {}", kind.name()),
                        format!(
                            "leave it out: {why}only steps with `use` or `workflow` run at the end, also for each item of a list"
                        ),
                    ))
                }
            };
            match problem {
                Some((message, help)) => {
                    out.push(Diagnostic::error(codes::NOT_FOR_KIND, span, message).with_help(help))
                }
                None => {
                    let wanted = entry.view.flag(FINALLY_KEY).unwrap_or(false);
                    if let Some(span) = entry.view.key_span(COMPENSATE_KEY).filter(|_| wanted) {
                        let message = "a step with `finally` runs after all that is undone";
                        let problem = Diagnostic::error(codes::NOT_FOR_KIND, span, message);
                        out.push(problem.with_help("leave out `compensate`, or `finally`"));
                    }
                    self.entries[index].finally = wanted && !entry.lost;
                }
            }
        }
    }

    fn check_nesting(&self, out: &mut Vec<Diagnostic>) {
        let mut depths = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let around = entry.parent.map_or(0, |parent: usize| depths[parent]);
            let nests = entry.kind.with_members().is_some();
            let depth: usize = around + usize::from(nests);
            // Only the first level too many: the levels inside it are no news.
            if depth == limits::NESTING + 1 && nests {
                let message = format!(
                    "loops and fan-outs are nested deeper than {} levels",
                    limits::NESTING
                );
                out.push(Diagnostic::error(
                    codes::NESTING,
                    entry.span.clone(),
                    message,
                ));
            }
            depths.push(depth);
        }
    }
}

fn entry<'a>(view: View<'a>, out: &mut Vec<Diagnostic>) -> Entry<'a> {
    let id = view.node("id");
    let name = id
        .and_then(|node| node.get_ref().as_str())
        .unwrap_or_default();
    let span = id.map_or_else(|| view.span.clone(), |node| node.span());
    Entry {
        kind: kind(&view, name, out),
        fans_out: view.node(FOREACH_KEY).is_some(),
        name,
        span,
        view,
        finally: false,
        parent: None,
        lost: false,
        members: Vec::new(),
        rework: None,
    }
}

fn kind(view: &View<'_>, name: &str, out: &mut Vec<Diagnostic>) -> Kind {
    let mut found: Vec<_> = KINDS
        .iter()
        .filter_map(|key| Some((*key, view.key_span(key)?)))
        .collect();
    found.sort_by_key(|(_, span)| span.start);
    let what = if name.is_empty() {
        "the step".to_owned()
    } else {
        format!("step `{name}`")
    };
    let foreach = view.key_span(FOREACH_KEY);
    match &found[..] {
        [] if foreach.is_some() => Kind::ForEach,
        // What it is stands there in other words, which have been reported.
        [] if view
            .meant()
            .any(|key| KINDS.contains(&key) || key == FOREACH_KEY) =>
        {
            Kind::Unknown
        }
        [] => {
            let message = format!("{what} does nothing");
            let help = "add `use = \"plugin/step\"` to call a component, `loop = { until = \"..\" }` to repeat its members, `foreach = { items = \"..\" }` to run them for each item, `wait`, `approval`, `workflow` or `end`";
            out.push(
                Diagnostic::error(codes::STEP_KIND, view.span.clone(), message).with_help(help),
            );
            Kind::Unknown
        }
        [("use", _)] => Kind::Component,
        [("loop", _)] => Kind::Loop,
        [("wait", _)] => Kind::Wait,
        [("approval", _)] => Kind::Approval,
        [("end", _)] => Kind::End,
        [("workflow", _)] => Kind::Child,
        [_] => Kind::Unknown,
        [(first, span), rest @ ..] => {
            let all: Vec<_> = found.iter().map(|(key, _)| format!("`{key}`")).collect();
            let message = format!("{what} is more than one kind: {}", all.join(" and "));
            let (_, second) = &rest[0];
            let help = match found.iter().find(|(key, _)| *key == "loop") {
                Some(_) => {
                    "a loop is a step of its own, and what it repeats are steps with `in`:\n[[step]]\nid = \"again\"\nloop = { until = \"..\" }\n\n[[step]]\nid = \"work\"\nin = \"again\"\nuse = \"plugin/step\""
                }
                None => "split it into several steps",
            };
            out.push(
                Diagnostic::error(codes::STEP_KIND, second.clone(), message)
                    .with_help(help)
                    .with_related(span.clone(), format!("`{first}` makes it one kind already")),
            );
            Kind::Unknown
        }
    }
}
