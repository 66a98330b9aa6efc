//! Diagnostics as text: the layout that compiler users know.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::lines::Lines;
use super::{Diagnostic, Diagnostics, Severity};
use crate::shown::Shown;

/// Bytes of a line that is shown as it stands: one expression of any length fits.
const WIDE: usize = 16 * 1024;
/// Bytes of a place that are shown in a longer line.
const SHOWN: usize = 1_000;
/// Bytes that are shown before and after it.
const AROUND: usize = 100;

pub(super) fn render(all: &Diagnostics, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let lines = Lines::new(&all.text);
    let reports = all.shown().iter().map(|item| {
        let mut report = renderer.render(&[group(all, item, &lines)]);
        report.push('\n');
        report
    });
    let mut out = reports.collect::<Vec<_>>().join("\n");
    if all.omitted() > 0 {
        out.push_str(&format!(
            "\n{} more problems are not shown\n",
            all.omitted()
        ));
    }
    out
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
    let wide = ranges().any(|range| lines.around(range).0.len() > WIDE);
    // The renderer reads every character of what it is given, so of a very long line it gets a part.
    let (window, line) = if wide {
        (
            part(&all.text, lines, &primary),
            lines.position(primary.start).line,
        )
    } else {
        (window, line)
    };
    let inside = |range: &Range<usize>| {
        let (start, end) = (range.start, range.end.min(window.end));
        (window.start <= start && start <= end).then(|| start - window.start..end - window.start)
    };

    let mut snippet = Snippet::source(&all.text[window.clone()])
        .line_start(line)
        .annotations(inside(&primary).map(|span| AnnotationKind::Primary.span(span)));
    for (range, label) in &related {
        let context = inside(range).map(|span| AnnotationKind::Context.span(span));
        let label = Shown(label).to_string();
        snippet = snippet.annotations(context.map(|context| context.label(label)));
    }
    let title = level
        .primary_title(Shown(&item.message).to_string())
        .id(item.code);
    let file = Shown(&all.file).to_string();
    let mut group = if wide {
        let at = lines.position(primary.start);
        let origin = Origin::path(file).line(at.line);
        title
            .element(origin.char_column(at.column))
            .element(snippet)
    } else {
        title.element(snippet.path(file))
    };
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

/// Some bytes of the line around a place.
fn part(text: &str, lines: &Lines<'_>, place: &Range<usize>) -> Range<usize> {
    let line = lines.around(&(place.start..place.start)).0;
    let start = place.start.saturating_sub(AROUND).max(line.start);
    let end = (place.end.min(place.start + SHOWN) + AROUND).min(line.end);
    text.floor_char_boundary(start)..text.ceil_char_boundary(end)
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
