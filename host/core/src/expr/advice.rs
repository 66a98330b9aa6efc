//! What to write instead: help for mistakes that are understood by what stands around them.

use serde_json::Value;

use super::ast::{BinaryOp, Function, Tree, TreeKind};
use super::check::{Checker, Outcome, Typed};
use super::problem::ProblemKind;
use super::types::Type;

impl Checker<'_> {
    /// What to write for `1 < n < 5`, which compares the answer of `1 < n`.
    pub(super) fn chained(&self, op: BinaryOp, left: &Tree, right: &Tree) -> Option<String> {
        let TreeKind::Binary {
            op: first,
            left: start,
            right: middle,
        } = &left.kind
        else {
            return None;
        };
        let text = |tree: &Tree| &self.text[tree.range.clone()];
        let bare = left.range.start == start.range.start;
        let (left, middle, right) = (text(left), text(middle), text(right));
        (bare && first.orders() && op.orders()).then(|| {
            let op = op.symbol();
            format!("comparisons do not chain: write `{left} && {middle} {op} {right}`")
        })
    }

    /// The left side of a comparison. `!` in front of it binds tighter than it looks: `!n in [1]`.
    pub(super) fn left_of(&mut self, op: BinaryOp, left: &Tree, right: &Tree) -> Outcome {
        let reported = self.problems.len();
        let typed = self.value(left);
        if typed.is_none()
            && op.compares()
            && self.text[left.range.start..].starts_with('!')
            && let TreeKind::Not(operand) = &left.kind
            && let [.., problem] = &mut self.problems[reported..]
            && problem.kind == ProblemKind::TypeMismatch
            && problem.range == operand.range
        {
            let whole = &self.text[operand.range.start..right.range.end];
            problem.help = Some(format!(
                "`!` binds tighter than `{}`: write `!({whole})`",
                op.symbol()
            ));
        }
        typed
    }

    /// What to write instead of a call that does not take its operand at `index`.
    pub(super) fn call_help(
        &self,
        function: Function,
        signature: &str,
        index: usize,
        operands: &[Typed],
        trees: &[&Tree],
    ) -> String {
        let text = |tree: &Tree| &self.text[tree.range.clone()];
        match (function, &operands[index].ty, trees) {
            (Function::Contains, _, [list, element])
                if matches!(operands[0].ty, Type::List(_) | Type::Dyn) =>
            {
                format!(
                    "for an element of a list write `{} in {}`; a part of a text is a text",
                    text(element),
                    text(list)
                )
            }
            (Function::Int, Type::Bool, [tree]) => format!("write `{} ? 1 : 0`", text(tree)),
            (Function::Double, Type::Bool, [tree]) => format!("write `{} ? 1.0 : 0.0`", text(tree)),
            (Function::String, _, [tree]) => format!(
                "`${{ }}` takes any value, also inside a text: write `${{ {} }}`",
                text(tree)
            ),
            _ => format!("it is called as `{signature}`"),
        }
    }

    /// What to ask instead of `has(x[0])`, `has(x['a'])` and the like.
    pub(super) fn has_help(&self, arg: &Tree) -> String {
        let text = |tree: &Tree| &self.text[tree.range.clone()];
        let TreeKind::Index { base, index } = &arg.kind else {
            return "ask `'b' in a` for a name that is not a plain word".to_owned();
        };
        match (&base.kind, &index.kind) {
            // The roots of the context are no values.
            (TreeKind::Name(root), TreeKind::Literal(Value::String(name))) if root == "inputs" => {
                format!("ask `has(inputs.{name})`")
            }
            (TreeKind::Name(root), _) if root == "steps" => {
                format!("ask `has({}.output)`", text(arg))
            }
            (_, TreeKind::Literal(Value::Number(_))) => {
                format!("ask `size({}) > {}`", text(base), text(index))
            }
            _ => format!("ask `{} in {}`", text(index), text(base)),
        }
    }
}
