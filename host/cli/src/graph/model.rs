//! What a drawing shows, whatever draws it.
//!
//! A scope is a graph of its own: a sequence is one in which every node follows the one before. Nothing in the layout counts on
//! sequences.
//!
//! Every text is in one line, and what could control a terminal is shown in it.

use milepost::core::state::Status;

use crate::format;

/// A workflow, and how a run of it stands.
#[derive(Debug, Clone)]
pub(super) struct Drawing {
    /// Name of the workflow.
    pub(super) name: String,
    /// What it is for.
    pub(super) description: Option<String>,
    /// The run that is shown.
    pub(super) run: Option<Run>,
    /// Its top level.
    pub(super) scope: Scope,
}

/// The run that a drawing shows.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// Its id.
    pub(super) id: String,
    /// How it stands.
    pub(super) status: Status,
}

/// Members that settle together.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// Whether `needs` say what follows what.
    pub(super) graph: bool,
    /// The members, in file order; at the top level those with `finally` stand behind the others.
    pub(super) nodes: Vec<Node>,
    /// What follows what, without cycles.
    pub(super) edges: Vec<Edge>,
    /// What runs again after a rejection: from the approval to an earlier member.
    pub(super) reworks: Vec<Edge>,
}

/// An arrow between two members of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge {
    /// Where it begins, as a position in the scope.
    pub(super) from: usize,
    /// Where it ends.
    pub(super) to: usize,
}

/// A step.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Its position in the definition, by which writers name it.
    pub(super) key: usize,
    /// Its id.
    pub(super) id: String,
    /// What sort of step it is.
    pub(super) kind: Kind,
    /// What it does, in short.
    pub(super) what: String,
    /// Ids of the members that it needs, in file order.
    pub(super) needs: Vec<String>,
    /// Which outcomes of those let it run, unless all have to succeed.
    pub(super) join: Option<&'static str>,
    /// When it runs at all.
    pub(super) condition: Option<String>,
    /// Whether its failure is handled.
    pub(super) continues: bool,
    /// What is inside.
    pub(super) body: Option<Body>,
    /// How it stands in the run.
    pub(super) live: Option<Live>,
}

/// The sort of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Calls a component.
    Call,
    /// Repeats its body.
    Loop,
    /// Runs its body for each item of a list.
    ForEach,
    /// Waits for time or a signal.
    Wait,
    /// Asks a person.
    Approval,
    /// Starts a child run.
    Child,
    /// Ends the run.
    End,
}

/// A scope inside a step, which is done again and again.
#[derive(Debug, Clone)]
pub(super) struct Body {
    /// The members.
    pub(super) scope: Scope,
    /// What repeats it: `until x`, or `for each of x`.
    pub(super) rule: String,
    /// How often or how many at most, and what then.
    pub(super) limit: String,
    /// Whether it begins again when it has ended, as that of a loop.
    pub(super) again: bool,
}

/// How a step stands.
#[derive(Debug, Clone)]
pub(super) struct Live {
    /// In one word.
    pub(super) status: Standing,
    /// In a few words, which begin with that one.
    pub(super) line: String,
    /// Why it failed, or why its last attempt did.
    pub(super) error: Option<String>,
}

/// The status of a step, in the order of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    Pending,
    Running,
    Waiting,
    Paused,
    Skipped,
    Cancelled,
    Failed,
    Completed,
}

impl Standing {
    /// All of them.
    pub(super) const ALL: [Self; 8] = [
        Self::Pending,
        Self::Running,
        Self::Waiting,
        Self::Paused,
        Self::Skipped,
        Self::Cancelled,
        Self::Failed,
        Self::Completed,
    ];

    /// The word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Completed => "completed",
        }
    }

    /// A sign for it, for those who do not see colours.
    pub(super) const fn symbol(self) -> &'static str {
        match self {
            Self::Pending => "○",
            Self::Running => "▸",
            Self::Waiting => "◷",
            Self::Paused => "‖",
            Self::Skipped => "–",
            Self::Cancelled => "⊘",
            Self::Failed => "✗",
            Self::Completed => "✓",
        }
    }
}

impl Node {
    /// What it does, when, and what its failure means.
    pub(super) fn sentence(&self) -> String {
        let mut sentence = format!("{}: {}", self.id, self.what);
        if self.body.as_ref().is_some_and(|body| body.scope.graph) {
            sentence.push_str(" (graph)");
        }
        if !self.needs.is_empty() {
            sentence.push_str(&format!(", needs {}", format::list(&self.needs)));
        }
        if let Some(join) = self.join {
            sentence.push_str(&format!(", join {join}"));
        }
        if let Some(condition) = &self.condition {
            sentence.push_str(&format!(", if {condition}"));
        }
        if self.continues {
            sentence.push_str(", continues after an error");
        }
        sentence
    }
}

impl Scope {
    /// How many arrows end at each member.
    pub(super) fn arriving(&self) -> Vec<usize> {
        let mut arriving = vec![0; self.nodes.len()];
        for edge in &self.edges {
            arriving[edge.to] += 1;
        }
        arriving
    }

    /// Where it begins: the first member to which nothing leads.
    pub(super) fn first(&self) -> Option<&Node> {
        let arriving = self.arriving();
        let mut nodes = self.nodes.iter().zip(arriving);
        nodes.find_map(|(node, arriving)| (arriving == 0).then_some(node))
    }

    /// Where it ends: the last member from which nothing leads.
    pub(super) fn last(&self) -> Option<&Node> {
        let mut leads = vec![false; self.nodes.len()];
        for edge in &self.edges {
            leads[edge.from] = true;
        }
        let mut nodes = self.nodes.iter().zip(leads).rev();
        nodes.find_map(|(node, leads)| (!leads).then_some(node))
    }

    /// How many steps it has, those inside of others included.
    pub(super) fn size(&self) -> usize {
        let inside = |node: &Node| node.body.as_ref().map_or(0, |body| body.scope.size());
        self.nodes.iter().map(|node| 1 + inside(node)).sum()
    }
}
