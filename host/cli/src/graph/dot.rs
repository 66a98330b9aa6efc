//! A graph in the language of Graphviz. Loops and fan-outs are clusters around their members. An arrow to or from a loop goes to its first or
//! from its last step, and is cut at the border of the cluster.

use std::fmt::Write as _;

use super::model::{Drawing, Kind, Node, Scope, Standing};

/// The graph.
pub(super) fn draw(drawing: &Drawing) -> String {
    let mut title = drawing.name.clone();
    if let Some(run) = &drawing.run {
        // Writing to a String cannot fail.
        let _ = write!(title, "\nrun {}: {}", run.id, run.status);
    }
    let mut out = format!(
        "digraph {name} {{\n  graph [label={title}, labelloc=t, compound=true, fontname=\"Helvetica\"]\n  \
         node [shape=box, style=\"rounded,filled\", fillcolor=\"#ffffff\", color=\"#8c959f\", fontname=\"Helvetica\", fontsize=11]\n  \
         edge [color=\"#57606a\", fontname=\"Helvetica\", fontsize=10]\n",
        name = quote(&drawing.name),
        title = quote(&title),
    );
    nodes(&drawing.scope, 1, &mut out);
    arrows(&drawing.scope, &mut out);
    out.push_str("}\n");
    out
}

fn nodes(scope: &Scope, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    for node in &scope.nodes {
        let key = node.key;
        let colours = colours(node);
        if let Some(body) = &node.body {
            let label = quote(&label(node, &format!("{}\n{}", body.rule, body.limit)));
            let _ = writeln!(out, "{indent}subgraph cluster_s{key} {{");
            let _ = writeln!(
                out,
                "{indent}  graph [label={label}, labeljust=l, style=\"rounded,dashed\"{colours}]"
            );
            nodes(&body.scope, depth + 1, out);
            let _ = writeln!(out, "{indent}}}");
        } else {
            let label = quote(&label(node, &node.what));
            let shape = match node.kind {
                Kind::Call | Kind::Loop | Kind::ForEach => "",
                Kind::Wait => ", shape=oval, style=filled",
                Kind::Approval => ", shape=hexagon, style=filled",
                Kind::Child => ", shape=box3d, style=filled",
                Kind::End => ", shape=octagon, style=filled",
            };
            let _ = writeln!(out, "{indent}s{key} [label={label}{shape}{colours}]");
        }
    }
}

fn label(node: &Node, what: &str) -> String {
    let mut label = format!("{}\n{what}", node.id);
    if let Some(join) = node.join {
        let _ = write!(label, "\njoin {join}");
    }
    if let Some(condition) = &node.condition {
        let _ = write!(label, "\nif {condition}");
    }
    if node.continues {
        label.push_str("\ncontinues after an error");
    }
    if let Some(live) = &node.live {
        let _ = write!(label, "\n{} {}", live.status.symbol(), live.line);
    }
    label
}

fn colours(node: &Node) -> String {
    let Some(live) = &node.live else {
        return String::new();
    };
    let (line, fill) = match live.status {
        Standing::Pending => return String::new(),
        Standing::Running => ("#0969da", "#ddf4ff"),
        Standing::Waiting => ("#9a6700", "#fff8c5"),
        Standing::Paused => ("#bc4c00", "#fff1e5"),
        Standing::Skipped => ("#6e7781", "#eaeef2"),
        Standing::Cancelled => ("#6e7781", "#eaeef2"),
        Standing::Failed => ("#cf222e", "#ffebe9"),
        Standing::Completed => ("#1a7f37", "#dafbe1"),
    };
    match node.body {
        Some(_) => format!(", color=\"{line}\""),
        None => format!(", color=\"{line}\", fillcolor=\"{fill}\""),
    }
}

fn arrows(scope: &Scope, out: &mut String) {
    for edge in &scope.edges {
        let (from, to) = (&scope.nodes[edge.from], &scope.nodes[edge.to]);
        arrow((from, last(from)), (to, first(to)), String::new(), out);
    }
    // What goes back is written as what comes from there: all arrows go down, and Graphviz puts everything below each other.
    let back = |from, to, label: &str, out: &mut String| {
        let attributes = format!("dir=back, style=dashed, label=\"{label}\"");
        arrow((to, first(to)), (from, last(from)), attributes, out);
    };
    for edge in &scope.reworks {
        back(
            &scope.nodes[edge.from],
            &scope.nodes[edge.to],
            "rejected",
            out,
        );
    }
    for body in scope.nodes.iter().filter_map(|node| node.body.as_ref()) {
        arrows(&body.scope, out);
        if let (Some(first), Some(last)) = (body.scope.first(), body.scope.last())
            && body.again
        {
            back(last, first, "again", out);
        }
    }
}

/// An arrow between two nodes, each with the step inside of it that the arrow touches.
fn arrow(from: (&Node, &Node), to: (&Node, &Node), mut attributes: String, out: &mut String) {
    if from.0.key != to.0.key {
        for (node, end) in [(from.0, "ltail"), (to.0, "lhead")] {
            if node.body.is_some() {
                let comma = if attributes.is_empty() { "" } else { ", " };
                let _ = write!(attributes, "{comma}{end}=cluster_s{}", node.key);
            }
        }
    }
    let attributes = match attributes.as_str() {
        "" => String::new(),
        attributes => format!(" [{attributes}]"),
    };
    let _ = writeln!(out, "  s{} -> s{}{attributes}", from.1.key, to.1.key);
}

/// The step with which a node begins.
fn first(node: &Node) -> &Node {
    let inside = node.body.as_ref().and_then(|body| body.scope.first());
    inside.map_or(node, first)
}

/// The one with which it ends.
fn last(node: &Node) -> &Node {
    let inside = node.body.as_ref().and_then(|body| body.scope.last());
    inside.map_or(node, last)
}

/// A quoted text, in which nothing is an escape or an entity.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '&' => quoted.push_str("&amp;"),
            '\n' => quoted.push_str("\\n"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
