//! An indented outline: one line per step, with what it does and when, and how it stands in the run.

use super::model::{Drawing, Live, Scope, Standing};
use crate::style::Style;
use crate::text::Text;

/// The outline.
pub(super) fn plain(drawing: &Drawing) -> String {
    let mut out = head(drawing);
    if let Some(run) = &drawing.run {
        out.push_str(run.status.as_str());
    }
    out.push('\n');
    for line in lines(drawing) {
        out.push_str(&line.indent);
        match line.live {
            Some(live) => {
                out.push_str(&format!(
                    "{} {} ({})\n",
                    live.status.symbol(),
                    line.text,
                    live.line
                ));
            }
            None => out.push_str(&format!("{}\n", line.text)),
        }
    }
    out
}

/// The same for a terminal.
pub(super) fn painted(drawing: &Drawing, style: Style) -> Text {
    let mut out = Text::from(head(drawing));
    if let Some(run) = &drawing.run {
        out = out + style.status(run.status, run.status.as_str());
    }
    for line in lines(drawing) {
        out = out + "\n" + line.indent;
        out = match line.live {
            Some(live) => {
                let symbol = paint(style, live.status, live.status.symbol());
                let stands = paint(style, live.status, &live.line);
                out + symbol + " " + line.text + " (" + stands + ")"
            }
            None => out + line.text,
        };
    }
    out
}

fn paint(style: Style, status: Standing, text: &str) -> Text {
    match status {
        Standing::Completed => style.green(text),
        Standing::Failed => style.red(text),
        Standing::Waiting | Standing::Paused => style.yellow(text),
        Standing::Running => style.bold(text),
        Standing::Pending | Standing::Skipped | Standing::Cancelled => style.dim(text),
    }
}

fn head(drawing: &Drawing) -> String {
    let graph = if drawing.scope.graph { " (graph)" } else { "" };
    match &drawing.run {
        Some(run) => format!("{}{graph}, run {}: ", drawing.name, run.id),
        None => format!("{}{graph}", drawing.name),
    }
}

struct Line<'a> {
    indent: String,
    text: String,
    live: Option<&'a Live>,
}

fn lines(drawing: &Drawing) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    outline(&drawing.scope, 1, &mut lines);
    lines
}

fn outline<'a>(scope: &'a Scope, depth: usize, lines: &mut Vec<Line<'a>>) {
    for node in &scope.nodes {
        lines.push(Line {
            indent: "  ".repeat(depth),
            text: node.sentence(),
            live: node.live.as_ref(),
        });
        if let Some(body) = &node.body {
            outline(&body.scope, depth + 1, lines);
        }
    }
}
