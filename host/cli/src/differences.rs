//! Where two values differ, for people: a place, and both sides of it.

use milepost::core::json::Difference;
use milepost::core::shown::Shown;
use serde_json::Value;

use super::context::compact;
use super::style::Style;
use super::text::Text;

/// Letters of a value that are shown.
const VALUE: usize = 200;

/// One line for the place, one for each side.
pub(crate) fn lines(style: Style, found: &[Difference], names: [&str; 2]) -> Vec<Text> {
    let width = names[0].len().max(names[1].len());
    let each = found.iter().flat_map(|place| {
        let field = match place.field.as_str() {
            "" => "(whole)".to_owned(),
            field => Shown(field).to_string(),
        };
        let side = |name: &str, value: &Option<Value>| {
            format!("      {name:<width$} {}", side(value.as_ref()))
        };
        [
            Text::from(format!("    {field}")),
            style.red(side(names[0], &place.a)),
            style.green(side(names[1], &place.b)),
        ]
    });
    each.collect()
}

fn side(value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "nothing".to_owned();
    };
    let text = compact(value);
    match text.char_indices().nth(VALUE) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text,
    }
}
