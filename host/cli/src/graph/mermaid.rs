//! A Mermaid flowchart. Loops and fan-outs are boxes around their members; a condition labels the arrow into its step, where there is one; a
//! dotted arrow goes back.

use std::fmt::Write as _;

use milepost::core::shown::is_hostile;

use super::model::{Drawing, Kind, Node, Scope, Standing};

/// The flowchart.
pub(super) fn draw(drawing: &Drawing) -> String {
    let mut out = String::from("flowchart TD\n");
    nodes(&drawing.scope, 1, &mut out);
    arrows(&drawing.scope, &mut out);
    if drawing.run.is_some() {
        colours(&drawing.scope, &mut out);
    }
    out
}

fn nodes(scope: &Scope, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    let arriving = scope.arriving();
    for (node, arriving) in scope.nodes.iter().zip(arriving) {
        let key = node.key;
        // Writing to a String cannot fail.
        let _ = match (&node.body, node.kind) {
            (Some(body), _) => {
                let label = quote(&label(node, ": ", arriving));
                let _ = writeln!(out, "{indent}subgraph s{key}[{label}]");
                nodes(&body.scope, depth + 1, out);
                writeln!(out, "{indent}end")
            }
            (None, Kind::Wait) => {
                let label = quote(&label(node, "\n", arriving));
                writeln!(out, "{indent}s{key}([{label}])")
            }
            (None, Kind::Approval) => {
                let label = quote(&label(node, "\n", arriving));
                writeln!(out, "{indent}s{key}{{{{{label}}}}}")
            }
            (None, Kind::End) => {
                let label = quote(&label(node, "\n", arriving));
                writeln!(out, "{indent}s{key}(({label}))")
            }
            (None, Kind::Child) => {
                let label = quote(&label(node, "\n", arriving));
                writeln!(out, "{indent}s{key}[[{label}]]")
            }
            (None, Kind::Call | Kind::Loop | Kind::ForEach) => {
                let label = quote(&label(node, "\n", arriving));
                writeln!(out, "{indent}s{key}[{label}]")
            }
        };
    }
}

/// A condition that no single arrow can carry stands here.
fn label(node: &Node, between: &str, arriving: usize) -> String {
    let mut label = format!("{}{between}{}", node.id, node.what);
    if let Some(join) = node.join {
        let _ = write!(label, "\njoin {join}");
    }
    if arriving != 1
        && let Some(condition) = &node.condition
    {
        let _ = write!(label, "\nif {condition}");
    }
    if let Some(live) = &node.live {
        let _ = write!(label, "\n{} {}", live.status.symbol(), live.line);
    }
    label
}

fn arrows(scope: &Scope, out: &mut String) {
    let arriving = scope.arriving();
    for edge in &scope.edges {
        let (from, to) = (&scope.nodes[edge.from], &scope.nodes[edge.to]);
        let condition = to.condition.as_ref().filter(|_| arriving[edge.to] == 1);
        let label = condition.map_or_else(String::new, |condition| {
            format!("|{}|", quote(&format!("if {condition}")))
        });
        let _ = writeln!(out, "  s{} -->{label} s{}", from.key, to.key);
    }
    for edge in &scope.reworks {
        let (from, to) = (scope.nodes[edge.from].key, scope.nodes[edge.to].key);
        let _ = writeln!(out, "  s{from} -. \"rejected\" .-> s{to}");
    }
    for body in scope.nodes.iter().filter_map(|node| node.body.as_ref()) {
        arrows(&body.scope, out);
        if let (Some(first), Some(last)) = (body.scope.first(), body.scope.last())
            && body.again
        {
            let again = quote(&body.rule);
            let _ = writeln!(out, "  s{} -. {again} .-> s{}", last.key, first.key);
        }
    }
}

fn colours(scope: &Scope, out: &mut String) {
    for status in Standing::ALL {
        let mut keys = Vec::new();
        standing(scope, status, &mut keys);
        if keys.is_empty() {
            continue;
        }
        let (fill, stroke) = match status {
            Standing::Pending => ("#f6f8fa", "#8c959f"),
            Standing::Running => ("#ddf4ff", "#0969da"),
            Standing::Waiting => ("#fff8c5", "#9a6700"),
            Standing::Paused => ("#fff1e5", "#bc4c00"),
            Standing::Skipped => ("#eaeef2", "#6e7781"),
            Standing::Cancelled => ("#eaeef2", "#6e7781"),
            Standing::Failed => ("#ffebe9", "#cf222e"),
            Standing::Completed => ("#dafbe1", "#1a7f37"),
        };
        let word = status.word();
        let _ = writeln!(
            out,
            "  classDef {word} fill:{fill},stroke:{stroke},color:#1f2328"
        );
        let _ = writeln!(out, "  class {} {word}", keys.join(","));
    }
}

fn standing(scope: &Scope, status: Standing, keys: &mut Vec<String>) {
    for node in &scope.nodes {
        if node.live.as_ref().is_some_and(|live| live.status == status) {
            keys.push(format!("s{}", node.key));
        }
        if let Some(body) = &node.body {
            standing(&body.scope, status, keys);
        }
    }
}

/// A quoted label: Mermaid takes entities, not backslashes.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("#quot;"),
            '#' => quoted.push_str("#35;"),
            '<' => quoted.push_str("#lt;"),
            '>' => quoted.push_str("#gt;"),
            '&' => quoted.push_str("#amp;"),
            '\n' => quoted.push_str("<br>"),
            c if is_hostile(c) => quoted.extend(c.escape_unicode()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
