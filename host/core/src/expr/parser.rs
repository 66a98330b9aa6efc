//! Tokens to a tree.
//!
//! Precedence, from loose to tight: `?:`, `||`, `&&`, comparisons and `in`, `+ -`, `* / %`, `! -`, members. A hostile text
//! costs at most its own length: bytes, levels and nodes are counted while parsing, so neither this parser nor any later
//! walk over the tree can exhaust the stack.

use std::ops::Range;

use serde_json::Value;

use super::ast::{BinaryOp, Tree, TreeKind, Word};
use super::lexer::{Spanned, Token, tokens};
use super::problem::{Problem, ProblemKind};
use crate::limits::{EXPRESSION_BYTES, EXPRESSION_DEPTH, EXPRESSION_NODES};

const ELEMENTS: &str = "there is no `[*]`: a list is read as a whole, such as `steps.<id>.output` of a step with `foreach`; to make something of its elements, use a step, which can be a file of JavaScript (`source = \"steps.js\"`)";
const ROOTS: &str = "a name comes before the dot: an input is read as `inputs.name`, what a step returned as `steps.<id>.output`";
const EXAMPLE: &str = "an expression reads like `steps.test.output.passed == true`";

/// Parses a whole text; the first mistake ends it. Under `accepted`, what earlier versions took is none.
pub(super) fn parse(text: &str, accepted: bool) -> Result<Tree, Problem> {
    if text.len() > EXPRESSION_BYTES {
        return Err(too_large(
            0..text.len(),
            format!(
                "this expression has {} bytes; at most {EXPRESSION_BYTES} are allowed",
                text.len()
            ),
        ));
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        nesting: 0,
        nodes: 0,
        accepted,
    };
    if parser.peek() == &Token::End {
        return Err(Problem::new(
            ProblemKind::Syntax,
            0..text.len(),
            "the expression is empty",
        )
        .help(EXAMPLE));
    }
    let tree = parser.expression()?;
    match parser.peek() {
        Token::End => Ok(tree),
        _ => Err(parser.unexpected_after()),
    }
}

fn too_large(range: Range<usize>, message: String) -> Problem {
    Problem::new(ProblemKind::TooLarge, range, message)
        .help("compute a part of it in a step and read that step's output")
}

struct Parser {
    tokens: Vec<Spanned>,
    next: usize,
    /// Levels of recursion open now. Parentheses make no node, so the depth of trees alone would not bound them.
    nesting: usize,
    nodes: usize,
    /// The text was accepted before.
    accepted: bool,
}

type Parsed = Result<Tree, Problem>;

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next].token
    }

    fn range(&self) -> Range<usize> {
        self.tokens[self.next].range.clone()
    }

    /// Takes the next token; the end is never passed.
    fn take(&mut self) -> Spanned {
        let spanned = self.tokens[self.next].clone();
        if spanned.token != Token::End {
            self.next += 1;
        }
        spanned
    }

    fn accept(&mut self, token: &Token) -> bool {
        let found = self.peek() == token && *token != Token::End;
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, token: &Token, message: &str) -> Result<Range<usize>, Problem> {
        if self.peek() == token {
            return Ok(self.take().range);
        }
        let slip = self.unexpected_after();
        Err(match slip.help {
            // The slip explains itself better than what was expected here does.
            Some(_) => slip,
            None => Problem::new(ProblemKind::Syntax, self.range(), message),
        })
    }

    /// The token after a complete operand is not one that may follow.
    fn unexpected_after(&self) -> Problem {
        let problem = |message: String| Problem::new(ProblemKind::Syntax, self.range(), message);
        match self.peek() {
            Token::Name(name) => {
                let found = problem(format!("unexpected `{name}` after an operand"));
                match name.to_ascii_lowercase().as_str() {
                    "and" => found.help("write `&&`"),
                    "or" => found.help("write `||`"),
                    "is" | "eq" => found.help("compare with `==`"),
                    "not" => found.help("write `!(a in b)` for \"not in\""),
                    _ => found,
                }
            }
            token @ Token::Text(_) if self.follows_a_text() => {
                problem(format!("unexpected {} after an operand", describe(token)))
                    .help("a quote inside a string is written `\\'`; or put the string in `\"…\"`")
            }
            token => problem(format!("unexpected {} after an operand", describe(token))),
        }
    }

    /// `'it''s'`: two strings without anything between them.
    fn follows_a_text(&self) -> bool {
        self.next.checked_sub(1).is_some_and(|before| {
            let before = &self.tokens[before];
            matches!(before.token, Token::Text(_)) && before.range.end == self.range().start
        })
    }

    fn tree(&mut self, kind: TreeKind, range: Range<usize>) -> Parsed {
        self.nodes += 1;
        let depth = 1 + deepest(&kind);
        if self.nodes > EXPRESSION_NODES {
            return Err(too_large(
                range,
                format!("this expression has more than {EXPRESSION_NODES} parts"),
            ));
        }
        if depth > EXPRESSION_DEPTH {
            return Err(Self::too_deep(range));
        }
        Ok(Tree { kind, range, depth })
    }

    fn too_deep(range: Range<usize>) -> Problem {
        too_large(
            range,
            format!("this expression is nested more than {EXPRESSION_DEPTH} levels deep"),
        )
    }

    fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        // The expression itself is no nesting.
        if self.nesting > EXPRESSION_DEPTH {
            return Err(Self::too_deep(self.range()));
        }
        self.nesting += 1;
        let tree = parse(self);
        self.nesting -= 1;
        tree
    }

    fn expression(&mut self) -> Parsed {
        self.nested(|parser| {
            let condition = parser.binary(0)?;
            if !parser.accept(&Token::Question) {
                return Ok(condition);
            }
            let then = parser.binary(0)?;
            if parser.peek() == &Token::Question {
                return Err(Problem::new(
                    ProblemKind::Syntax,
                    parser.range(),
                    "a choice inside the first branch of a choice is ambiguous",
                )
                .help("put it in parentheses: `a ? (b ? c : d) : e`"));
            }
            parser.expect(&Token::Colon, "expected `:` and the second branch")?;
            let otherwise = parser.expression()?;
            let range = condition.range.start..otherwise.range.end;
            parser.tree(
                TreeKind::Conditional {
                    condition: Box::new(condition),
                    then: Box::new(then),
                    otherwise: Box::new(otherwise),
                },
                range,
            )
        })
    }

    /// Operators of at least precedence `least`, all left-associative.
    fn binary(&mut self, least: u8) -> Parsed {
        let mut left = self.unary()?;
        while let Some((level, joint)) = infix(self.peek()).filter(|(level, _)| *level >= least) {
            self.take();
            let right = self.binary(level + 1)?;
            let range = left.range.start..right.range.end;
            let kind = match joint {
                Joint::All => TreeKind::All(chained(left, right, |kind| match kind {
                    TreeKind::All(list) => Ok(list),
                    other => Err(other),
                })),
                Joint::Any => TreeKind::Any(chained(left, right, |kind| match kind {
                    TreeKind::Any(list) => Ok(list),
                    other => Err(other),
                })),
                Joint::Binary(op) => TreeKind::Binary {
                    op,
                    left: Box::new(left),
                    right: Box::new(right),
                },
            };
            left = self.tree(kind, range)?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed {
        let start = self.range().start;
        if self.accept(&Token::Not) {
            self.refuse_mixed_signs(
                "!",
                "-",
                self.peek() == &Token::Minus && !self.signs_digits(),
            )?;
            let operand = self.nested(Self::unary)?;
            let range = start..operand.range.end;
            return self.tree(TreeKind::Not(Box::new(operand)), range);
        }
        if self.peek() == &Token::Minus {
            // The sign belongs to the digits: the smallest integer can be written no other way.
            if self.signs_digits() {
                return self.member();
            }
            self.take();
            self.refuse_mixed_signs("-", "!", self.peek() == &Token::Not)?;
            let operand = self.nested(Self::unary)?;
            let range = start..operand.range.end;
            return self.tree(TreeKind::Negate(Box::new(operand)), range);
        }
        self.member()
    }

    /// Whether the minus that comes next belongs to digits.
    fn signs_digits(&self) -> bool {
        matches!(
            self.tokens[self.next + 1].token,
            Token::Int(_) | Token::Double(_)
        )
    }

    /// CEL has rows of `!` and rows of `-`, and none of both.
    fn refuse_mixed_signs(&self, first: &str, second: &str, mixed: bool) -> Result<(), Problem> {
        if !mixed || self.accepted {
            return Ok(());
        }
        let message = format!("`{first}` does not come before `{second}`");
        let help = match first {
            "!" => "`!` takes a bool, such as a comparison: `!(-a > b)`",
            _ => "`-` takes a number, and `!` gives a bool",
        };
        Err(Problem::new(ProblemKind::Syntax, self.range(), message).help(help))
    }

    fn member(&mut self) -> Parsed {
        let mut base = self.primary()?;
        loop {
            let start = base.range.start;
            let optional = self.peek() == &Token::OptionalDot;
            if self.accept(&Token::Dot) || self.accept(&Token::OptionalDot) {
                let field = self.field_name()?;
                if self.peek() == &Token::OpenParen {
                    if optional {
                        return Err(Problem::new(
                            ProblemKind::Syntax,
                            field.range,
                            "`.?` reads a field; it cannot call a method",
                        )
                        .help("end the chain with `.orValue(...)` before calling a method"));
                    }
                    let (args, end) = self.arguments()?;
                    base = self.tree(
                        TreeKind::Call {
                            receiver: Some(Box::new(base)),
                            name: field,
                            args,
                        },
                        start..end,
                    )?;
                } else {
                    let end = field.range.end;
                    base = self.tree(
                        TreeKind::Select {
                            base: Box::new(base),
                            field,
                            optional,
                        },
                        start..end,
                    )?;
                }
            } else if self.accept(&Token::OpenBracket) {
                if self.peek() == &Token::Question {
                    return Err(Problem::new(
                        ProblemKind::UnsupportedFeature,
                        self.range(),
                        "`[?..]` is not supported",
                    )
                    .help("ask with `'key' in a`, or read a field with `.?`"));
                }
                let index = self.expression()?;
                let end = self.expect(&Token::CloseBracket, "expected `]`")?.end;
                base = self.tree(
                    TreeKind::Index {
                        base: Box::new(base),
                        index: Box::new(index),
                    },
                    start..end,
                )?;
            } else {
                return Ok(base);
            }
        }
    }

    fn field_name(&mut self) -> Result<Word, Problem> {
        let Spanned { token, range } = self.take();
        let text = match token {
            Token::Name(text) => return Ok(Word { text, range }),
            Token::True => "true",
            Token::False => "false",
            Token::Null => "null",
            Token::In => "in",
            other => {
                let message = format!("expected a field name, found {}", describe(&other));
                return Err(Problem::new(ProblemKind::Syntax, range, message));
            }
        };
        Err(Problem::new(
            ProblemKind::Syntax,
            range,
            format!("`{text}` is a word of the language, not a field name"),
        )
        .help(format!("write `a['{text}']`")))
    }

    fn primary(&mut self) -> Parsed {
        let Spanned { token, range } = self.take();
        let literal = match token {
            Token::Int(digits) => match i64::try_from(digits) {
                Ok(number) => Value::from(number),
                Err(_) => {
                    let problem = out_of_range(range);
                    return Err(problem.help(format!(
                        "write `{digits}u`: a `u` follows an integer above {}",
                        i64::MAX
                    )));
                }
            },
            Token::Uint(number) => Value::from(number),
            Token::Double(number) => Value::from(number),
            Token::Minus => return self.negative(range.start),
            Token::Text(text) => Value::String(text),
            Token::True => Value::Bool(true),
            Token::False => Value::Bool(false),
            Token::Null => Value::Null,
            Token::Name(text) => return self.name(Word { text, range }),
            Token::OpenParen => {
                let mut inner = self.expression()?;
                let end = self.expect(&Token::CloseParen, "expected `)`")?.end;
                inner.range = range.start..end;
                return Ok(inner);
            }
            Token::OpenBracket => return self.list(range.start),
            Token::End => {
                return Err(Problem::new(
                    ProblemKind::Syntax,
                    range,
                    "the expression ends too early",
                )
                .help(EXAMPLE));
            }
            other => {
                let message = format!("expected a value, found {}", describe(&other));
                let help = match other {
                    Token::Star => ELEMENTS,
                    Token::Dot => ROOTS,
                    _ => EXAMPLE,
                };
                return Err(Problem::new(ProblemKind::Syntax, range, message).help(help));
            }
        };
        self.tree(TreeKind::Literal(literal), range)
    }

    /// The digits after a sign that was just taken.
    fn negative(&mut self, start: usize) -> Parsed {
        let Spanned { token, range } = self.take();
        let range = start..range.end;
        let literal = match token {
            Token::Int(digits) => match 0_i64.checked_sub_unsigned(digits) {
                Some(number) => Value::from(number),
                None => {
                    let problem = out_of_range(range);
                    return Err(problem.help(format!(
                        "the smallest integer is {}; write a smaller number as a double (`-1e20`)",
                        i64::MIN
                    )));
                }
            },
            Token::Double(number) => Value::from(-number),
            other => {
                let message = format!("expected a number, found {}", describe(&other));
                return Err(Problem::new(ProblemKind::Syntax, range, message));
            }
        };
        self.tree(TreeKind::Literal(literal), range)
    }

    fn name(&mut self, name: Word) -> Parsed {
        let operand_follows = matches!(
            self.peek(),
            Token::Name(_) | Token::True | Token::False | Token::OpenParen
        );
        if name.text == "not" && operand_follows {
            return Err(
                Problem::new(ProblemKind::Syntax, name.range, "`not` is not an operator")
                    .help("write `!`"),
            );
        }
        let start = name.range.start;
        if self.peek() == &Token::OpenParen {
            let (args, end) = self.arguments()?;
            return self.tree(
                TreeKind::Call {
                    receiver: None,
                    name,
                    args,
                },
                start..end,
            );
        }
        self.tree(TreeKind::Name(name.text), name.range)
    }

    fn arguments(&mut self) -> Result<(Vec<Tree>, usize), Problem> {
        self.take();
        let mut args = Vec::new();
        if self.peek() == &Token::CloseParen {
            return Ok((args, self.take().range.end));
        }
        loop {
            args.push(self.expression()?);
            if !self.accept(&Token::Comma) {
                let close = self.expect(&Token::CloseParen, "expected `,` or `)`")?;
                return Ok((args, close.end));
            }
        }
    }

    fn list(&mut self, start: usize) -> Parsed {
        let mut items = Vec::new();
        while self.peek() != &Token::CloseBracket {
            items.push(self.expression()?);
            if !self.accept(&Token::Comma) {
                break;
            }
        }
        let end = self
            .expect(&Token::CloseBracket, "expected `,` or `]`")?
            .end;
        self.tree(TreeKind::List(items), start..end)
    }
}

/// What an infix operator makes of its sides.
enum Joint {
    All,
    Any,
    Binary(BinaryOp),
}

fn infix(token: &Token) -> Option<(u8, Joint)> {
    let (level, op) = match token {
        Token::Or => return Some((0, Joint::Any)),
        Token::And => return Some((1, Joint::All)),
        Token::Equal => (2, BinaryOp::Equal),
        Token::NotEqual => (2, BinaryOp::NotEqual),
        Token::Less => (2, BinaryOp::Less),
        Token::LessEqual => (2, BinaryOp::LessEqual),
        Token::Greater => (2, BinaryOp::Greater),
        Token::GreaterEqual => (2, BinaryOp::GreaterEqual),
        Token::In => (2, BinaryOp::In),
        Token::Plus => (3, BinaryOp::Add),
        Token::Minus => (3, BinaryOp::Subtract),
        Token::Star => (4, BinaryOp::Multiply),
        Token::Slash => (4, BinaryOp::Divide),
        Token::Percent => (4, BinaryOp::Remainder),
        _ => return None,
    };
    Some((level, Joint::Binary(op)))
}

/// Adds `right` to the chain that `left` is, or starts one. `&&` and `||` are associative, so a chain is one level.
fn chained(
    left: Tree,
    right: Tree,
    list: impl FnOnce(TreeKind) -> Result<Vec<Tree>, TreeKind>,
) -> Vec<Tree> {
    let Tree { kind, range, depth } = left;
    let mut items = list(kind).unwrap_or_else(|kind| vec![Tree { kind, range, depth }]);
    items.push(right);
    items
}

fn deepest(kind: &TreeKind) -> usize {
    let of = |trees: &[Tree]| trees.iter().map(|t| t.depth).max().unwrap_or(0);
    match kind {
        TreeKind::Literal(_) | TreeKind::Name(_) => 0,
        TreeKind::List(items) | TreeKind::All(items) | TreeKind::Any(items) => of(items),
        TreeKind::Select { base, .. } => base.depth,
        TreeKind::Index { base, index } => base.depth.max(index.depth),
        TreeKind::Call { receiver, args, .. } => {
            of(args).max(receiver.as_ref().map_or(0, |r| r.depth))
        }
        TreeKind::Not(operand) | TreeKind::Negate(operand) => operand.depth,
        TreeKind::Binary { left, right, .. } => left.depth.max(right.depth),
        TreeKind::Conditional {
            condition,
            then,
            otherwise,
        } => condition.depth.max(then.depth).max(otherwise.depth),
    }
}

fn out_of_range(range: Range<usize>) -> Problem {
    Problem::new(
        ProblemKind::Syntax,
        range,
        "this integer does not fit in 64 bits with a sign",
    )
}

fn describe(token: &Token) -> String {
    let symbol = match token {
        Token::Int(n) => return format!("the number `{n}`"),
        Token::Uint(n) => return format!("the number `{n}u`"),
        Token::Double(n) => return format!("the number `{n}`"),
        Token::Text(_) => return "a string".to_owned(),
        Token::Name(name) => return format!("`{name}`"),
        Token::End => return "the end".to_owned(),
        Token::True => "true",
        Token::False => "false",
        Token::Null => "null",
        Token::In => "in",
        Token::Dot => ".",
        Token::OptionalDot => ".?",
        Token::Comma => ",",
        Token::Question => "?",
        Token::Colon => ":",
        Token::OpenParen => "(",
        Token::CloseParen => ")",
        Token::OpenBracket => "[",
        Token::CloseBracket => "]",
        Token::Not => "!",
        Token::Minus => "-",
        Token::Plus => "+",
        Token::Star => "*",
        Token::Slash => "/",
        Token::Percent => "%",
        Token::Equal => "==",
        Token::NotEqual => "!=",
        Token::Less => "<",
        Token::LessEqual => "<=",
        Token::Greater => ">",
        Token::GreaterEqual => ">=",
        Token::And => "&&",
        Token::Or => "||",
    };
    format!("`{symbol}`")
}
