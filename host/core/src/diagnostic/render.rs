//! Diagnostics as text: the layout that compiler users know.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::lines::Lines;
use super::{Diagnostic, Diagnostics, Severity};
use crate::shown::Shown;

pub(super) fn render(all: &Diagnostics, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let lines = Lines::new(&all.text);
    let reports = all.items.iter().map(|item| {
        let mut report = renderer.render(&[group(all, item, &lines)]);
        report.push('\n');
        report
    });
    reports.collect::<Vec<_>>().join("\n")
}

fn group<'a>(all: &'a Diagnostics, item: &'a Diagnostic, lines: &Lines<'_>) -> Group<'a> {
    let level = match item.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let primary = visible(&all.text, &item.span);
    let related: Vec<_> = item
        .related
        .iter()
        .map(|(span, label)| (visible(&all.text, span), label))
        .collect();
    // Only the lines between the first and the last place: the renderer reads all that it is given, for each problem.
    let ranges = || std::iter::once(&primary).chain(related.iter().map(|(range, _)| range));
    let first = ranges().map(|range| range.start).min().unwrap_or_default();
    let last = ranges().map(|range| range.end).max().unwrap_or_default();
    let (window, line) = lines.around(&(first..last));
    let inside = |range: &Range<usize>| range.start - window.start..range.end - window.start;

    let mut snippet = Snippet::source(&all.text[window.clone()])
        .line_start(line)
        .path(Shown(&all.file).to_string())
        .annotation(AnnotationKind::Primary.span(inside(&primary)));
    for (range, label) in &related {
        let context = AnnotationKind::Context.span(inside(range));
        snippet = snippet.annotation(context.label(Shown(label).to_string()));
    }
    let mut group = level
        .primary_title(Shown(&item.message).to_string())
        .id(item.code)
        .element(snippet);
    let help = item.help.iter().map(|help| {
        help.lines()
            .map(|line| Shown(line).to_string())
            .collect::<Vec<_>>()
            .join("\n")
    });
    let question = names(&item.candidates).map(|names| format!("did you mean {names}?"));
    for text in help.chain(question) {
        group = group.element(Level::HELP.message(text));
    }
    group
}

fn names(candidates: &[String]) -> Option<String> {
    let quoted: Vec<_> = candidates
        .iter()
        .map(|name| format!("`{}`", Shown(name)))
        .collect();
    (!quoted.is_empty()).then(|| quoted.join(" or "))
}

/// The first line of a range, on character boundaries: a caret under a whole file helps nobody.
fn visible(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
    let line = text[start..end].find('\n').map_or(end, |at| start + at);
    start..line
}
