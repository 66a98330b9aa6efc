//! A picture: one SVG file without anything outside of it, for light and dark pages, that says in words too what its colours say.

mod path;

use std::fmt::Write as _;

use milepost::core::state::Status;

use super::card::{Look, TEXT};
use super::layout::{Frame, Point, Size};
use super::measure::{Face, Font, wrap};
use super::model::{Drawing, Kind, Run, Scope, Standing};
use super::place::{Arrow, Group, Meaning, Placed};

/// Around everything.
const MARGIN: i32 = 24;
/// Room for the head, at least.
const HEAD: i32 = 440;
const STYLE: &str = include_str!("style.css");

/// What every kind of step has beside its id, in a square of 16.
const ICONS: &str = "\
<symbol id=\"mp-call\" viewBox=\"0 0 16 16\"><path d=\"M8 1.5 13.6 4.7V11.3L8 14.5 2.4 11.3V4.7zM2.6 4.8 8 8 13.4 4.8M8 8V14.3\"/></symbol>\n\
<symbol id=\"mp-each\" viewBox=\"0 0 16 16\"><path d=\"M2 5.5h8v8H2zM4.5 5.5V3h8v8H10\"/></symbol>\n\
<symbol id=\"mp-loop\" viewBox=\"0 0 16 16\"><path d=\"M13.5 8A5.5 5.5 0 1 1 11.6 3.8M12 1V4.2H8.8\"/></symbol>\n\
<symbol id=\"mp-wait\" viewBox=\"0 0 16 16\"><path d=\"M14 8A6 6 0 1 1 2 8 6 6 0 1 1 14 8M8 4.6V8L10.4 9.6\"/></symbol>\n\
<symbol id=\"mp-approval\" viewBox=\"0 0 16 16\"><path d=\"M11 4.8A3 3 0 1 1 5 4.8 3 3 0 1 1 11 4.8M2.2 14.2C2.6 11.4 5 10 8 10S13.4 11.4 13.8 14.2\"/></symbol>\n";

/// The picture.
pub(super) fn draw(drawing: &Drawing) -> String {
    let group = Group::new(&drawing.scope, false);
    let room = group.size.width.max(HEAD);
    let mut head = String::new();
    let below = draw_head(drawing, room, &mut head);
    let at = Point {
        x: MARGIN + (room - group.size.width) / 2,
        y: below,
    };
    let size = Size {
        width: room + 2 * MARGIN,
        height: below + group.size.height + MARGIN,
    };
    let group = group.moved(at);

    let Size { width, height } = size;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"mp\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"mp-title mp-desc\">\n\
         <title id=\"mp-title\">{title}</title>\n<desc id=\"mp-desc\">{about}</desc>\n\
         <style>\n{STYLE}</style>\n<defs>\n{ICONS}</defs>\n\
         <rect class=\"page\" width=\"{width}\" height=\"{height}\" rx=\"12\"/>\n{head}",
        title = escape(&title(drawing)),
        about = escape(&about(drawing)),
    );
    for placed in &group.boxes {
        draw_box(placed, &mut out);
    }
    for arrow in &group.arrows {
        draw_arrow(arrow, &mut out);
    }
    out.push_str("</svg>\n");
    out
}

fn title(drawing: &Drawing) -> String {
    match &drawing.run {
        Some(run) => format!("{}, {}", drawing.name, run_line(run)),
        None => drawing.name.clone(),
    }
}

fn run_line(run: &Run) -> String {
    format!("run {}: {}", run.id, run.status)
}

/// The picture in a sentence.
fn about(drawing: &Drawing) -> String {
    let mut about = format!(
        "The flow of a workflow of {}",
        crate::format::count(drawing.scope.size(), "step")
    );
    if drawing.run.is_some() {
        let mut counts = [0_usize; Standing::ALL.len()];
        count(&drawing.scope, &mut counts);
        let counts = Standing::ALL.iter().zip(counts).rev();
        let counts = counts.filter(|(_, count)| *count > 0);
        let words: Vec<_> = counts
            .map(|(status, count)| format!("{count} {}", status.word()))
            .collect();
        if !words.is_empty() {
            let _ = write!(about, ": {}", words.join(", "));
        }
    }
    about.push('.');
    about
}

fn count(scope: &Scope, counts: &mut [usize; Standing::ALL.len()]) {
    for node in &scope.nodes {
        let standing = node.live.as_ref().map(|live| live.status);
        let all = Standing::ALL.iter().zip(counts.iter_mut());
        for (_, count) in all.filter(|(status, _)| Some(**status) == standing) {
            *count += 1;
        }
        if let Some(body) = &node.body {
            count(&body.scope, counts);
        }
    }
}

/// Name, description and run; the answer is where the flow begins.
fn draw_head(drawing: &Drawing, room: i32, out: &mut String) -> i32 {
    let bold = Font {
        size: 18,
        face: Face::Bold,
    };
    let sans = Font {
        size: 12,
        face: Face::Sans,
    };
    let mut y = MARGIN;
    for line in wrap(&drawing.name, bold, room, 2) {
        y += 24;
        draw_text("name", MARGIN, y - 6, &line, out);
    }
    let description = drawing.description.as_deref().unwrap_or_default();
    for line in wrap(description, sans, room, 3) {
        if line.is_empty() {
            continue;
        }
        y += 18;
        draw_text("about", MARGIN, y - 4, &line, out);
    }
    if let Some(run) = &drawing.run {
        y += 28;
        let standing = standing_of(run.status);
        // Writing to a String cannot fail.
        let _ = writeln!(out, "<g class=\"{}\">", run.status);
        let at = Point {
            x: MARGIN + 9,
            y: y - 10,
        };
        draw_badge(standing, at, out);
        draw_text("run", MARGIN + 26, y - 6, &run_line(run), out);
        out.push_str("</g>\n");
    }
    y + 22
}

/// What a run's status looks like.
fn standing_of(status: Status) -> Standing {
    match status {
        Status::Pending => Standing::Pending,
        Status::Running => Standing::Running,
        Status::Paused => Standing::Paused,
        Status::Completed => Standing::Completed,
        Status::Failed => Standing::Failed,
        // A bar: what is left does not happen.
        Status::Cancelled => Standing::Cancelled,
    }
}

fn draw_box(placed: &Placed<'_>, out: &mut String) {
    let Placed { node, card, frame } = placed;
    let (kind, radius) = match node.kind {
        Kind::Call => ("call", 8),
        Kind::Loop => ("loop", 12),
        Kind::ForEach => ("each", 12),
        Kind::Wait => ("wait", 8),
        Kind::Approval => ("approval", 8),
        Kind::Child => ("child", 8),
        Kind::End => ("end", 16),
    };
    let Frame {
        x,
        y,
        width,
        height,
    } = *frame;
    let mut tooltip = node.sentence();
    let mut class = kind.to_owned();
    if let Some(live) = &node.live {
        let _ = write!(class, " live {}", live.status.word());
        let _ = write!(tooltip, "\n{}", live.line);
        if let Some(error) = &live.error {
            let _ = write!(tooltip, "\n{error}");
        }
    }
    let id = escape(&node.id);
    let _ = writeln!(
        out,
        "<g class=\"{class}\" data-step=\"{id}\">\n<title>{}</title>\n\
         <rect class=\"card\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\"/>\n\
         <use class=\"icon\" href=\"#mp-{kind}\" x=\"{}\" y=\"{}\" width=\"16\" height=\"16\"/>",
        escape(&tooltip),
        x + 13,
        y + 12,
    );
    for line in &card.lines {
        let class = match line.look {
            Look::Title => "title",
            Look::What => "what",
            Look::Code => "code",
            Look::Note => "note",
            Look::Standing => "standing",
        };
        draw_text(class, x + TEXT, y + line.baseline, &line.text, out);
    }
    if let Some(live) = &node.live {
        let at = Point {
            x: x + width - 20,
            y: y + 20,
        };
        draw_badge(live.status, at, out);
    }
    out.push_str("</g>\n");
}

fn draw_badge(status: Standing, at: Point, out: &mut String) {
    let Point { x, y } = at;
    let radius = if status == Standing::Pending { 7 } else { 9 };
    let _ = writeln!(
        out,
        "<circle class=\"badge\" cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"/>"
    );
    let sign = match status {
        Standing::Pending => return,
        Standing::Running => "m-2-4 6 4-6 4z",
        Standing::Waiting => "m0-5v5h4",
        Standing::Paused => "m-3-4v8m6-8v8",
        Standing::Skipped => "m-4 0h8",
        Standing::Cancelled => "m-3 3 6-6",
        Standing::Failed => "m-3-3 6 6m0-6-6 6",
        Standing::Completed => "m-4 0 3 3 5-6",
    };
    let _ = writeln!(out, "<path class=\"sign\" d=\"M{x} {y}{sign}\"/>");
}

fn draw_text(class: &str, x: i32, y: i32, text: &str, out: &mut String) {
    let text = escape(text);
    let _ = writeln!(
        out,
        "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>"
    );
}

fn draw_arrow(arrow: &Arrow, out: &mut String) {
    let (class, way) = match arrow.meaning {
        Meaning::Next => (None, path::route(&arrow.points)),
        Meaning::Again => (Some("again"), path::corners(&arrow.points)),
        Meaning::Rejected => (Some("rejected"), path::corners(&arrow.points)),
    };
    let class = class.or(arrow.standing.map(Standing::word));
    let class = class.map_or_else(String::new, |class| format!(" {class}"));
    let Some(end) = arrow.points.last() else {
        return;
    };
    let _ = writeln!(
        out,
        "<g class=\"arrow{class}\"><path class=\"way\" d=\"{way}\"/><path class=\"head\" d=\"M{} {}l-4-8h8z\"/></g>",
        end.x, end.y
    );
}

/// A text as XML has it. What is no character of XML is shown by its number.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => escaped.extend(c.escape_unicode()),
            c => escaped.push(c),
        }
    }
    escaped
}
