//! Which context reference a path means.

use std::ops::Range;

use serde_json::Value;

use super::ast::{NodeKind, Tree, TreeKind, Word};
use super::check::{Checker, Outcome, Typed};
use super::foreign;
use super::problem::{Problem, ProblemKind};
use super::reference::{Reference, StepField, StepProblem};
use super::types::Type;
use crate::ids::StepId;

/// Words that values of the context begin with.
pub(super) const ROOTS: [&str; 6] = ["inputs", "steps", "loop", "item", "item_index", "run"];

/// Every status that a run is about to get.
const ENDS: &[&str] = &["completed", "failed", "cancelled"];

/// Those of them that only a fan-out has.
pub(super) const OF_FOREACH: [&str; 2] = ["item", "item_index"];

/// A root of the context and the names behind it, no more than make one reference.
struct RootPath<'t> {
    root: &'t str,
    /// Where the root's name stands.
    at: &'t Range<usize>,
    keys: Vec<Key>,
    /// One of the keys follows a `.?`.
    optional: bool,
}

/// A name behind a root; `None` when it is computed.
struct Key {
    name: Option<String>,
    range: Range<usize>,
}

impl Checker<'_> {
    /// The reference that `tree` is; `None` when it is a member of a value, or no path at all.
    pub(super) fn rooted(&mut self, tree: &Tree) -> Option<Outcome> {
        let path = root_path(tree)?;
        Some(self.resolve(tree, &path))
    }

    fn resolve(&mut self, tree: &Tree, path: &RootPath<'_>) -> Outcome {
        let mut names = Vec::new();
        for key in &path.keys {
            match &key.name {
                Some(name) => names.push(name.as_str()),
                None => {
                    let problem = Problem::new(
                        ProblemKind::UnsupportedFeature,
                        key.range.clone(),
                        format!("a name after `{}` cannot be computed", path.root),
                    );
                    return self.report(
                        problem.help(format!("name it: `{}.x`, or `{0}['x']`", path.root)),
                    );
                }
            }
        }
        let (reference, ty) = match (path.root, names.as_slice()) {
            ("inputs", [name]) => self.input(name, &path.keys[0].range),
            ("steps", [id, field]) => self.step(id, field, path),
            ("steps", _) => self.unnamed_field(tree, path),
            ("inputs", _) => self.incomplete(tree, "name an input: `inputs.x`"),
            ("loop", [field]) => self.loop_field(field, path),
            ("loop", _) => self.incomplete(tree, "name a field: `loop.iteration`, `loop.previous`"),
            ("run", [field]) => self.run_field(field, path),
            ("run", _) => self.incomplete(
                tree,
                "name a field: `run.id`, `run.started_at`, `run.status`",
            ),
            ("item", _) => self.in_foreach(path, Reference::Item, Type::Dyn),
            ("item_index", _) => self.in_foreach(path, Reference::ItemIndex, Type::Int),
            (unknown, _) => self.unknown_root(unknown, path.at),
        }?;
        let index = self.index_of(reference);
        let optional = path.optional;
        let ty = if optional {
            Type::Optional(Box::new(ty))
        } else {
            ty
        };
        Some(Typed::new(
            NodeKind::Reference { index, optional },
            &tree.range,
            ty,
        ))
    }

    fn index_of(&mut self, reference: Reference) -> usize {
        match self.references.iter().position(|known| *known == reference) {
            Some(index) => index,
            None => {
                self.references.push(reference);
                self.references.len() - 1
            }
        }
    }

    fn refuse(&mut self, problem: Problem) -> Option<(Reference, Type)> {
        self.report(problem);
        None
    }

    fn incomplete(&mut self, tree: &Tree, help: &str) -> Option<(Reference, Type)> {
        let written = &self.text[tree.range.clone()];
        let problem = Problem::new(
            ProblemKind::UnknownName,
            tree.range.clone(),
            format!("`{written}` is not a value"),
        );
        self.refuse(problem.help(help))
    }

    fn input(&mut self, name: &str, range: &Range<usize>) -> Option<(Reference, Type)> {
        match self.env.input(name) {
            Some(ty) => Some((Reference::Input(name.to_owned()), ty)),
            None => {
                let known = self.env.input_names();
                self.refuse(Problem::unknown("input", name, range.clone(), known))
            }
        }
    }

    /// `steps` or `steps.x`: an unknown `x` is the more useful thing to say.
    fn unnamed_field(&mut self, tree: &Tree, path: &RootPath<'_>) -> Option<(Reference, Type)> {
        let step = path
            .keys
            .first()
            .and_then(|key| Some((key.name.as_ref()?, key)));
        if let Some((id, key)) = step
            && self.env.step(id, StepField::Output) == Err(StepProblem::Unknown)
        {
            return self.unknown_step(id, &key.range);
        }
        let path = step.map_or("steps.x", |_| &self.text[tree.range.clone()]);
        let help = format!("name a field: `{path}.output`");
        self.incomplete(tree, &help)
    }

    fn unknown_step(&mut self, id: &str, range: &Range<usize>) -> Option<(Reference, Type)> {
        let known = self.env.step_names();
        self.refuse(Problem::unknown("step", id, range.clone(), known))
    }

    fn step(&mut self, id: &str, field: &str, path: &RootPath<'_>) -> Option<(Reference, Type)> {
        let [id_key, field_key] = path.keys.as_slice() else {
            return None;
        };
        let Some(known) = StepField::ALL.into_iter().find(|f| f.name() == field) else {
            // An unknown step is reported too: the two mistakes are independent.
            if self.env.step(id, StepField::Output) == Err(StepProblem::Unknown) {
                self.unknown_step(id, &id_key.range);
            }
            let names = StepField::ALL.map(|f| f.name().to_owned());
            let range = field_key.range.clone();
            let mut problem = Problem::unknown("field of a step", field, range, names);
            if problem.candidates.is_empty() {
                problem = problem.help(foreign::field(id, field).unwrap_or_else(|| {
                    format!("what a step returned is below `output`: `steps.{id}.output.{field}`")
                }));
            }
            return self.refuse(problem);
        };
        match (self.env.step(id, known), StepId::new(id)) {
            (Ok(ty), Ok(id)) => Some((Reference::Step { id, field: known }, ty)),
            (Err(StepProblem::Unknown), _) | (Ok(_), Err(_)) => {
                self.unknown_step(id, &id_key.range)
            }
            (Err(StepProblem::NotReadable(reason, help)), _) => {
                let range = path.at.start..field_key.range.end;
                let mut problem = Problem::new(ProblemKind::NotReadable, range, reason);
                problem.help = help;
                self.refuse(problem)
            }
        }
    }

    fn loop_field(&mut self, field: &str, path: &RootPath<'_>) -> Option<(Reference, Type)> {
        let found = match field {
            "iteration" => (Reference::LoopIteration, Type::Int),
            "previous" => (Reference::LoopPrevious, self.env.previous()),
            _ => return self.unknown_field("loop", field, path, &["iteration", "previous"]),
        };
        if self.env.in_loop() {
            return Some(found);
        }
        let problem = Problem::new(
            ProblemKind::NotReadable,
            path.at.clone(),
            "`loop` has a value only inside a loop",
        );
        self.refuse(problem.help("it is read by members of a loop and by its `until`"))
    }

    fn run_field(&mut self, field: &str, path: &RootPath<'_>) -> Option<(Reference, Type)> {
        match field {
            "id" => Some((Reference::RunId, Type::String)),
            "started_at" => Some((Reference::RunStartedAt, Type::String)),
            "status" if self.env.at_the_end() => Some((Reference::RunStatus, Type::one_of(ENDS))),
            "status" => {
                let problem = Problem::new(
                    ProblemKind::NotReadable,
                    path.at.clone(),
                    "`run.status` has a value only at the end of the run",
                );
                self.refuse(problem.help("it is read by steps with `finally`"))
            }
            _ => self.unknown_field("run", field, path, &["id", "started_at", "status"]),
        }
    }

    fn unknown_field(
        &mut self,
        root: &str,
        field: &str,
        path: &RootPath<'_>,
        known: &[&str],
    ) -> Option<(Reference, Type)> {
        let what = format!("field of `{root}`");
        let known = known.iter().map(|name| (*name).to_owned());
        let range = path.keys[0].range.clone();
        self.refuse(Problem::unknown(&what, field, range, known))
    }

    fn in_foreach(
        &mut self,
        path: &RootPath<'_>,
        reference: Reference,
        ty: Type,
    ) -> Option<(Reference, Type)> {
        if self.env.in_foreach() {
            return Some((reference, ty));
        }
        let problem = Problem::new(
            ProblemKind::NotReadable,
            path.at.clone(),
            format!("`{reference}` has a value only in a step with `foreach`"),
        );
        self.refuse(problem)
    }

    fn unknown_root(&mut self, name: &str, at: &Range<usize>) -> Option<(Reference, Type)> {
        let words = ROOTS.iter().chain(&["true", "false", "null"]);
        let known = words
            .filter(|word| self.env.in_foreach() || !OF_FOREACH.contains(word))
            .map(|word| (*word).to_owned());
        let mut problem = Problem::unknown("name", name, at.clone(), known);
        if self.env.step(name, StepField::Output) != Err(StepProblem::Unknown) {
            problem = problem.help(format!("a step is read as `steps.{name}.output`"));
        } else if self.env.input(name).is_some() {
            problem = problem.help(format!("an input is read as `inputs.{name}`"));
        } else if let Some(help) = foreign::root(name).filter(|_| problem.candidates.is_empty()) {
            problem = problem.help(help);
        }
        self.refuse(problem)
    }

    /// `a.b-c`, meant as one name: a hyphen there is a minus. Told apart by what would be unknown otherwise.
    pub(super) fn hyphen(&self, left: &Tree, right: &Tree) -> Option<Problem> {
        let (first, after) = leftmost_operands(left, right);
        let TreeKind::Select { base, field, .. } = &first.kind else {
            return None;
        };
        let unknown_head = match &base.kind {
            TreeKind::Name(root) if root == "steps" => {
                self.env.step(&field.text, StepField::Output) == Err(StepProblem::Unknown)
            }
            TreeKind::Name(root) if root == "inputs" => self.env.input(&field.text).is_none(),
            _ => false,
        };
        let unknown_tail = leftmost_name(after).is_some_and(|root| !ROOTS.contains(&root));
        let adjacent = self.text[field.range.end..].starts_with('-')
            && after.range.start == field.range.end + 1;
        if !adjacent || !(unknown_head || unknown_tail) {
            return None;
        }
        let name: String = self.text[field.range.start..]
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
            .collect();
        let range = field.range.start..field.range.start + name.len();
        let path = &self.text[base.range.clone()];
        let problem = Problem::new(
            ProblemKind::UnknownName,
            range,
            format!("`{name}` is read as a subtraction"),
        );
        Some(problem.help(format!("write `{path}['{name}']`")))
    }
}

/// The first operand of a row of subtractions, and the one after it.
fn leftmost_operands<'t>(left: &'t Tree, right: &'t Tree) -> (&'t Tree, &'t Tree) {
    let (mut first, mut after) = (left, right);
    while let TreeKind::Binary { left, right, .. } = &first.kind {
        (first, after) = (left, right);
    }
    (first, after)
}

fn leftmost_name(tree: &Tree) -> Option<&str> {
    match &tree.kind {
        TreeKind::Name(name) => Some(name),
        TreeKind::Select { base, .. } | TreeKind::Index { base, .. } => leftmost_name(base),
        _ => None,
    }
}

fn root_path(tree: &Tree) -> Option<RootPath<'_>> {
    match &tree.kind {
        TreeKind::Name(root) => Some(RootPath {
            root,
            at: &tree.range,
            keys: Vec::new(),
            optional: false,
        }),
        TreeKind::Select {
            base,
            field: Word { text, range },
            optional,
        } => {
            let key = Key {
                name: Some(text.clone()),
                range: range.clone(),
            };
            extended(root_path(base)?, key, *optional)
        }
        TreeKind::Index { base, index } => {
            let name = match &index.kind {
                TreeKind::Literal(Value::String(name)) => Some(name.clone()),
                _ => None,
            };
            let key = Key {
                name,
                range: index.range.clone(),
            };
            extended(root_path(base)?, key, false)
        }
        _ => None,
    }
}

/// The path with one more name, unless it is a whole reference already: then the name is a member of its value.
fn extended(mut path: RootPath<'_>, key: Key, optional: bool) -> Option<RootPath<'_>> {
    let names = match path.root {
        "steps" => 2,
        "inputs" | "loop" | "run" => 1,
        _ => 0,
    };
    if path.keys.len() == names {
        return None;
    }
    path.keys.push(key);
    path.optional |= optional;
    Some(path)
}
