//! The static check: every name is resolved, every type that is known must fit, and all problems are reported at once.

use std::ops::Range;

use super::ast::{Access, BinaryOp, Function, Node, NodeKind, Tree, TreeKind, Word};
use super::functions::{function, takes, unknown_function, wrong_count};
use super::impossible::impossible;
use super::problem::{Problem, ProblemKind};
use super::reference::{Env, Reference};
use super::types::Type;

/// An expression without problems.
pub(super) struct Checked {
    pub(super) root: Node,
    pub(super) ty: Type,
    pub(super) references: Vec<Reference>,
}

/// Checks the tree of `text` against `env`.
pub(super) fn check(tree: &Tree, text: &str, env: &dyn Env) -> Result<Checked, Vec<Problem>> {
    let mut checker = Checker {
        text,
        env,
        problems: Vec::new(),
        references: Vec::new(),
    };
    let root = checker.value(tree);
    let Checker {
        mut problems,
        references,
        ..
    } = checker;
    match root {
        Some(Typed { node, ty }) if problems.is_empty() => Ok(Checked {
            root: node,
            ty,
            references,
        }),
        _ => {
            problems.sort_by_key(|problem| (problem.range.start, problem.range.end));
            Err(problems)
        }
    }
}

pub(super) struct Checker<'a> {
    pub(super) text: &'a str,
    pub(super) env: &'a dyn Env,
    pub(super) problems: Vec<Problem>,
    pub(super) references: Vec<Reference>,
}

/// A checked part and its type.
pub(super) struct Typed {
    pub(super) node: Node,
    pub(super) ty: Type,
}

impl Typed {
    pub(super) fn new(kind: NodeKind, range: &Range<usize>, ty: Type) -> Self {
        let range = range.clone();
        Self {
            node: Node { kind, range },
            ty,
        }
    }

    fn boxed(self) -> Box<Node> {
        Box::new(self.node)
    }
}

/// `None` when a problem was reported: what stands around it is checked no further, what stands beside it is.
pub(super) type Outcome = Option<Typed>;

impl Checker<'_> {
    pub(super) fn report(&mut self, problem: Problem) -> Outcome {
        self.problems.push(problem);
        None
    }

    fn mismatch(&mut self, range: &Range<usize>, message: String, help: Option<String>) -> Outcome {
        let mut problem = Problem::new(ProblemKind::TypeMismatch, range.clone(), message);
        problem.help = help;
        self.report(problem)
    }

    /// A part that must have a value: an optional chain must have ended.
    pub(super) fn value(&mut self, tree: &Tree) -> Outcome {
        let typed = self.part(tree)?;
        if !matches!(typed.ty, Type::Optional(_)) {
            return Some(typed);
        }
        let help = "end it with `.orValue(...)`, the value to use when there is none";
        self.mismatch(
            &tree.range,
            "this value may be missing".to_owned(),
            Some(help.to_owned()),
        )
    }

    /// All of them, checked even when an earlier one has a problem.
    fn values(&mut self, trees: &[Tree]) -> Option<Vec<Typed>> {
        let checked: Vec<Outcome> = trees.iter().map(|tree| self.value(tree)).collect();
        checked.into_iter().collect()
    }

    fn expect(&mut self, tree: &Tree, expected: &Type, what: &str) -> Outcome {
        let typed = self.value(tree)?;
        if typed.ty.fits(expected) {
            return Some(typed);
        }
        let help = (*expected == Type::Bool)
            .then(|| "compare it, as in `x == 1`, `x != ''` or `size(x) > 0`".to_owned());
        let message = format!("{what} is {expected}, and this is {}", typed.ty);
        self.mismatch(&tree.range, message, help)
    }

    pub(super) fn part(&mut self, tree: &Tree) -> Outcome {
        let range = &tree.range;
        match &tree.kind {
            TreeKind::Literal(value) => {
                let kind = NodeKind::Literal(value.clone());
                Some(Typed::new(kind, range, Type::of(value)))
            }
            TreeKind::List(items) => {
                let (items, types): (Vec<Node>, Vec<Type>) = self
                    .values(items)?
                    .into_iter()
                    .map(|item| (item.node, item.ty))
                    .unzip();
                Some(Typed::new(
                    NodeKind::List(items),
                    range,
                    Type::list_of(types),
                ))
            }
            TreeKind::Name(_) | TreeKind::Select { .. } | TreeKind::Index { .. } => {
                match self.rooted(tree) {
                    Some(outcome) => outcome,
                    None => self.member(tree),
                }
            }
            TreeKind::Call {
                receiver,
                name,
                args,
            } => self.call(range, receiver.as_deref(), name, args),
            TreeKind::Not(operand) => {
                let operand = self.expect(operand, &Type::Bool, "the operand of `!`")?;
                Some(Typed::new(
                    NodeKind::Not(operand.boxed()),
                    range,
                    Type::Bool,
                ))
            }
            TreeKind::Negate(operand) => {
                let operand = self.expect(operand, &Type::Number, "the operand of `-`")?;
                let ty = operand.ty.clone();
                Some(Typed::new(NodeKind::Negate(operand.boxed()), range, ty))
            }
            TreeKind::Binary { op, left, right } => self.binary(range, *op, left, right),
            TreeKind::All(items) => {
                let items = self.conditions(items, "a side of `&&`")?;
                Some(Typed::new(NodeKind::All(items), range, Type::Bool))
            }
            TreeKind::Any(items) => {
                let items = self.conditions(items, "a side of `||`")?;
                Some(Typed::new(NodeKind::Any(items), range, Type::Bool))
            }
            TreeKind::Conditional {
                condition,
                then,
                otherwise,
            } => {
                let condition = self.expect(condition, &Type::Bool, "the condition of `?:`");
                let then = self.value(then);
                let otherwise = self.value(otherwise);
                let (condition, then, otherwise) = (condition?, then?, otherwise?);
                let ty = then.ty.join(&otherwise.ty);
                let kind = NodeKind::Conditional {
                    condition: condition.boxed(),
                    then: then.boxed(),
                    otherwise: otherwise.boxed(),
                };
                Some(Typed::new(kind, range, ty))
            }
        }
    }

    fn conditions(&mut self, trees: &[Tree], what: &str) -> Option<Vec<Node>> {
        let checked: Vec<Outcome> = trees
            .iter()
            .map(|tree| self.expect(tree, &Type::Bool, what))
            .collect();
        checked.into_iter().map(|typed| Some(typed?.node)).collect()
    }

    fn binary(&mut self, range: &Range<usize>, op: BinaryOp, left: &Tree, right: &Tree) -> Outcome {
        if op == BinaryOp::Subtract
            && let Some(problem) = self.hyphen(left, right)
        {
            return self.report(problem);
        }
        let advice = self.chained(op, left, right);
        let (left, right) = (self.left_of(op, left, right), self.value(right));
        let (left, right) = (left?, right?);
        match result_of(op, left.ty.base(), right.ty.base()) {
            Ok(ty) => {
                let impossible = impossible(op, &left, &right);
                if !impossible.is_empty() && !self.env.accepted() {
                    let whose = |range: &Range<usize>| self.text[range.clone()].to_owned();
                    let problems = impossible.iter().map(|value| value.problem(whose));
                    self.problems.extend(problems.collect::<Vec<_>>());
                    return None;
                }
                let kind = NodeKind::Binary {
                    op,
                    left: left.boxed(),
                    right: right.boxed(),
                };
                Some(Typed::new(kind, range, ty))
            }
            Err(help) => {
                let message = match op {
                    BinaryOp::Equal | BinaryOp::NotEqual => {
                        format!("{} is never equal to {}", left.ty, right.ty)
                    }
                    _ => format!(
                        "`{}` does not take {} and {}",
                        op.symbol(),
                        left.ty,
                        right.ty
                    ),
                };
                self.mismatch(range, message, advice.or(help.map(str::to_owned)))
            }
        }
    }

    /// `base.field` or `base[index]`, where the base is a value and not a root of the context.
    fn member(&mut self, tree: &Tree) -> Outcome {
        match &tree.kind {
            TreeKind::Select {
                base,
                field,
                optional,
            } => {
                let base = self.part(base)?;
                let (continued, base_ty) = unwrapped(&base.ty);
                let access = match (continued, optional) {
                    (_, true) => Access::Optional,
                    (true, false) => Access::Continued,
                    (false, false) => Access::Required,
                };
                let ty = self.field_type(base_ty, field)?;
                let kind = NodeKind::Select {
                    field: field.text.clone(),
                    access,
                    base: base.boxed(),
                };
                Some(Typed::new(kind, &tree.range, wrapped(access, ty)))
            }
            TreeKind::Index { base, index } => {
                let (base, key) = (self.part(base), self.value(index));
                let (base, key) = (base?, key?);
                let (continued, base_ty) = unwrapped(&base.ty);
                let ty = self.element_type(base_ty, &key, index)?;
                let access = if continued {
                    Access::Continued
                } else {
                    Access::Required
                };
                let kind = NodeKind::Index {
                    base: base.boxed(),
                    index: key.boxed(),
                    access,
                };
                Some(Typed::new(kind, &tree.range, wrapped(access, ty)))
            }
            // `rooted` answers for every bare name.
            _ => None,
        }
    }

    fn field_type(&mut self, base: &Type, field: &Word) -> Option<Type> {
        let known = match base {
            Type::Dyn => return Some(Type::Dyn),
            Type::Object { fields, open } => match fields.get(&field.text) {
                Some(ty) => return Some(ty.clone()),
                None if *open => return Some(Type::Dyn),
                None => fields.keys().cloned(),
            },
            other => {
                let help = matches!(other, Type::List(_))
                    .then(|| "read one element, as in `a[0]`, or ask `size(a)`".to_owned());
                let message = format!("{other} has no fields, so none is called `{}`", field.text);
                self.mismatch(&field.range, message, help);
                return None;
            }
        };
        self.report(Problem::unknown(
            "field",
            &field.text,
            field.range.clone(),
            known,
        ));
        None
    }

    fn element_type(&mut self, base: &Type, key: &Typed, index: &Tree) -> Option<Type> {
        let text = *key.ty.base() == Type::String;
        let number = key.ty.is_number();
        match base {
            Type::Dyn if text || number || key.ty == Type::Dyn => Some(Type::Dyn),
            Type::List(element) if number || key.ty == Type::Dyn => Some((**element).clone()),
            Type::Object { .. } if text || key.ty == Type::Dyn => match &index.kind {
                TreeKind::Literal(serde_json::Value::String(name)) => self.field_type(
                    base,
                    &Word {
                        text: name.clone(),
                        range: index.range.clone(),
                    },
                ),
                _ => Some(Type::Dyn),
            },
            Type::Dyn | Type::List(_) | Type::Object { .. } => {
                let message = format!("{} is not an index of {base}", key.ty);
                self.mismatch(&index.range, message, None);
                None
            }
            other => {
                let message = format!("{other} has no elements");
                self.mismatch(&index.range, message, None);
                None
            }
        }
    }

    fn call(
        &mut self,
        range: &Range<usize>,
        receiver: Option<&Tree>,
        name: &Word,
        args: &[Tree],
    ) -> Outcome {
        match (receiver, name.text.as_str()) {
            (None, "has") => return self.has(range, name, args),
            (Some(receiver), "orValue") => return self.or_value(range, name, receiver, args),
            _ => {}
        }
        let Some((function, signature)) = function(&name.text, receiver.is_some()) else {
            return self.report(unknown_function(name, receiver.is_some()));
        };
        let trees: Vec<&Tree> = receiver.into_iter().chain(args).collect();
        let arity = match function {
            Function::Size | Function::Int | Function::String | Function::Double => 1,
            Function::StartsWith | Function::EndsWith | Function::Contains => 2,
        };
        if trees.len() != arity {
            return self.report(wrong_count(name, signature));
        }
        let checked: Vec<Outcome> = trees.iter().map(|tree| self.value(tree)).collect();
        let typed = checked.into_iter().collect::<Option<Vec<Typed>>>()?;
        for (index, (arg, tree)) in typed.iter().zip(&trees).enumerate() {
            if !takes(function, &arg.ty) {
                let message = format!("`{}` does not take {}", name.text, arg.ty);
                let help = self.call_help(function, signature, index, &typed, &trees);
                return self.mismatch(&tree.range, message, Some(help));
            }
        }
        let ty = match function {
            Function::Size | Function::Int => Type::Int,
            Function::StartsWith | Function::EndsWith | Function::Contains => Type::Bool,
            Function::String => Type::String,
            Function::Double => Type::Double,
        };
        let args = typed.into_iter().map(|arg| arg.node).collect();
        Some(Typed::new(NodeKind::Call { function, args }, range, ty))
    }

    fn has(&mut self, range: &Range<usize>, name: &Word, args: &[Tree]) -> Outcome {
        let [arg] = args else {
            return self.report(wrong_count(name, "has(a.b)"));
        };
        let TreeKind::Select {
            base,
            field,
            optional: false,
        } = &arg.kind
        else {
            let problem = Problem::new(
                ProblemKind::Syntax,
                arg.range.clone(),
                "`has` asks for a field, as in `has(a.b)`",
            );
            let help = self.has_help(arg);
            return self.report(problem.help(help));
        };
        if let Some(rooted) = self.rooted(arg) {
            let typed = rooted?;
            return match typed.node.kind {
                NodeKind::Reference { index, .. } => Some(Typed::new(
                    NodeKind::HasReference { index },
                    range,
                    Type::Bool,
                )),
                _ => None,
            };
        }
        let base = self.value(base)?;
        self.field_type(&base.ty, field)?;
        let kind = NodeKind::HasField {
            base: base.boxed(),
            field: field.text.clone(),
        };
        Some(Typed::new(kind, range, Type::Bool))
    }

    fn or_value(
        &mut self,
        range: &Range<usize>,
        name: &Word,
        receiver: &Tree,
        args: &[Tree],
    ) -> Outcome {
        let [default] = args else {
            return self.report(wrong_count(name, "a.?b.orValue(x)"));
        };
        let (chain, default) = (self.part(receiver), self.value(default));
        let (chain, default) = (chain?, default?);
        let Type::Optional(inner) = &chain.ty else {
            let message = "this value is not optional, so `orValue` would never be used";
            let help = "put `.?` before the field that may be missing: `a.?b.orValue(x)`";
            return self.mismatch(&name.range, message.to_owned(), Some(help.to_owned()));
        };
        let ty = inner.join(&default.ty);
        let kind = NodeKind::OrValue {
            chain: chain.boxed(),
            default: default.boxed(),
        };
        Some(Typed::new(kind, range, ty))
    }
}

/// Whether the type is that of an optional chain, and the type in it.
fn unwrapped(ty: &Type) -> (bool, &Type) {
    match ty {
        Type::Optional(inner) => (true, inner),
        other => (false, other),
    }
}

fn wrapped(access: Access, ty: Type) -> Type {
    match access {
        Access::Required => ty,
        Access::Optional | Access::Continued => Type::Optional(Box::new(ty)),
    }
}

/// The type of an operation, or the help when the operands do not fit.
fn result_of(op: BinaryOp, left: &Type, right: &Type) -> Result<Type, Option<&'static str>> {
    use BinaryOp as Op;
    let has = "ask for a value that may be missing with `has(a.b)`";
    match op {
        Op::Equal | Op::NotEqual => match left.may_equal(right) {
            true => Ok(Type::Bool),
            false if *left == Type::Null || *right == Type::Null => Err(Some(has)),
            false => Err(conversion(left, right)),
        },
        Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual => match left.may_order(right) {
            true => Ok(Type::Bool),
            false => Err(conversion(left, right)),
        },
        Op::In => match right {
            Type::Dyn => Ok(Type::Bool),
            Type::List(element) if left.may_equal(element) => Ok(Type::Bool),
            Type::Object { .. } if left.fits(&Type::String) => Ok(Type::Bool),
            Type::String => Err(Some("write `text.contains(part)` for a part of a string")),
            _ => Err(None),
        },
        Op::Add => match (left, right) {
            (Type::String, Type::String | Type::Dyn) | (Type::Dyn, Type::String) => {
                Ok(Type::String)
            }
            (Type::List(_), Type::Dyn) | (Type::Dyn, Type::List(_)) => {
                Ok(Type::List(Box::new(Type::Dyn)))
            }
            (Type::List(_), Type::List(_)) => Ok(left.join(right)),
            _ => arithmetic(left, right),
        },
        Op::Subtract | Op::Multiply | Op::Divide => arithmetic(left, right),
        Op::Remainder => {
            let whole = |ty: &Type| ty.fits(&Type::Int);
            match whole(left) && whole(right) {
                true => Ok(Type::Int),
                false => Err(Some("`%` takes two ints: write `int(x)`")),
            }
        }
    }
}

fn arithmetic(left: &Type, right: &Type) -> Result<Type, Option<&'static str>> {
    match (left, right) {
        (Type::Int, Type::Double) | (Type::Double, Type::Int) => {
            Err(Some("write `double(x)` around the int"))
        }
        (Type::Dyn, other) | (other, Type::Dyn) if other.is_number() || *other == Type::Dyn => {
            Ok(other.clone())
        }
        // Both sides must turn out alike, so the side that is known decides.
        (Type::Number, other) | (other, Type::Number) if other.is_number() => Ok(other.clone()),
        (a, b) if a.is_number() && a == b => Ok(a.clone()),
        _ => Err(conversion(left, right)),
    }
}

fn conversion(left: &Type, right: &Type) -> Option<&'static str> {
    match (left, right) {
        (Type::String, other) | (other, Type::String) if other.is_number() => {
            Some("convert one side: `string(x)`, `int(x)` or `double(x)`")
        }
        (Type::String, Type::Bool) | (Type::Bool, Type::String) => {
            Some("a bool is written without quotes: `true`, `false`")
        }
        _ => None,
    }
}
