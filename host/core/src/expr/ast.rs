//! The two trees of an expression: as written, and as checked.

use std::ops::Range;

use serde_json::Value;

/// An expression as written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    pub(super) kind: TreeKind,
    pub(super) range: Range<usize>,
    /// Levels from here down, this one included. Kept so that no tree deeper than the limit is ever built.
    pub(super) depth: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TreeKind {
    /// Null, a bool, a number or a string.
    Literal(Value),
    List(Vec<Tree>),
    Name(String),
    /// `base.field`, or `base.?field`.
    Select {
        base: Box<Tree>,
        field: Word,
        optional: bool,
    },
    Index {
        base: Box<Tree>,
        index: Box<Tree>,
    },
    /// `name(args)`, or `receiver.name(args)`.
    Call {
        receiver: Option<Box<Tree>>,
        name: Word,
        args: Vec<Tree>,
    },
    Not(Box<Tree>),
    Negate(Box<Tree>),
    Binary {
        op: BinaryOp,
        left: Box<Tree>,
        right: Box<Tree>,
    },
    /// `a && b && ..`: one level however many there are, as with `||`.
    All(Vec<Tree>),
    /// `a || b || ..`
    Any(Vec<Tree>),
    Conditional {
        condition: Box<Tree>,
        then: Box<Tree>,
        otherwise: Box<Tree>,
    },
}

/// A name and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) range: Range<usize>,
}

/// The operators that evaluate both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BinaryOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
}

impl BinaryOp {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::In => "in",
        }
    }

    /// `<`, `<=`, `>`, `>=`
    pub(super) fn orders(self) -> bool {
        matches!(
            self,
            Self::Less | Self::LessEqual | Self::Greater | Self::GreaterEqual
        )
    }

    /// Whether it gives a bool.
    pub(super) fn compares(self) -> bool {
        self.orders() || matches!(self, Self::Equal | Self::NotEqual | Self::In)
    }
}

/// An expression as checked: every name is resolved, and types that are known fit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    /// Where it stands, so that an error at run time can quote it.
    pub(super) range: Range<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum NodeKind {
    Literal(Value),
    List(Vec<Node>),
    /// Position in the expression's list of references.
    Reference {
        index: usize,
        optional: bool,
    },
    Select {
        base: Box<Node>,
        field: String,
        access: Access,
    },
    Index {
        base: Box<Node>,
        index: Box<Node>,
        access: Access,
    },
    OrValue {
        chain: Box<Node>,
        default: Box<Node>,
    },
    HasReference {
        index: usize,
    },
    HasField {
        base: Box<Node>,
        field: String,
    },
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary {
        op: BinaryOp,
        left: Box<Node>,
        right: Box<Node>,
    },
    All(Vec<Node>),
    Any(Vec<Node>),
    Conditional {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Box<Node>,
    },
    Call {
        function: Function,
        /// The receiver of a method is the first.
        args: Vec<Node>,
    },
}

/// What reading a member does when there is nothing to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// It is an error.
    Required,
    /// `.?`: the chain has no value, also when its base is of a kind that has no members.
    Optional,
    /// What follows a `.?`: a missing member leaves the chain without a value, a base without members is an error.
    Continued,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    StartsWith,
    EndsWith,
    Contains,
    Int,
    String,
    Double,
}
