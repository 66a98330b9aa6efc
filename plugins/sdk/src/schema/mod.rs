//! JSON Schemas of inputs and outputs. Derive [`Schema`]; the rest of this module is what the derived code calls.

mod flatten;
#[cfg(test)]
mod tests;
mod types;

use flatten::Others;
#[doc(hidden)]
pub use flatten::{Flatten, Members, alternatives, members, merged};

/// Whether a schema is of what a step takes or of what it gives. They differ in which properties must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A property with a default, or of an optional type, may be left out.
    Input,
    /// All properties are there but those with `skip_serializing_if`.
    Output,
}

/// A type that has a JSON Schema (draft 2020-12). Derive it next to serde's traits:
///
/// ```
/// use milepost_sdk::{Role, Schema, schema};
///
/// /// Where to look.
/// #[derive(serde::Deserialize, Schema)]
/// struct Query {
///     /// An address.
///     url: String,
///     #[serde(default)]
///     #[schema(maximum = 10)]
///     depth: u8,
///     proxy: Option<String>,
/// }
///
/// assert_eq!(
///     schema::text::<Query>(Role::Input),
///     concat!(
///         r#"{"type":"object","properties":{"#,
///         r#""url":{"type":"string","description":"An address."},"#,
///         r#""depth":{"type":"integer","minimum":0,"maximum":10},"#,
///         r#""proxy":{"anyOf":[{"type":"string"},{"type":"null"}]}},"#,
///         r#""required":["url"],"additionalProperties":false,"#,
///         r#""description":"Where to look."}"#,
///     ),
/// );
/// ```
///
/// A property that is not listed is refused, because it is a misspelt one most of the time: `#[schema(additionalProperties = true)]` at the
/// type allows it. All attributes are those of the [derive macro](derive@crate::Schema).
///
/// A type that contains itself has no end here: end it with `#[schema(with = "..")]`, or write such an implementation by hand, with
/// less detail.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no JSON Schema",
    label = "no JSON Schema is known of this type",
    note = "write `#[derive(Schema)]` at its definition; for a type of another crate, name one at the field whose JSON looks the same: \
            `#[schema(with = \"String\")]`"
)]
pub trait Schema {
    /// A description as a JSON text with its quotes; empty for none.
    const DESCRIPTION: &'static str = "";

    /// What its values are, as far as keywords have to know.
    #[doc(hidden)]
    const KIND: Kind = Kind::Any;

    /// Whether a field of this type may be left out of an input.
    const OPTIONAL: bool = false;

    /// Appends the members of the schema object, separated by commas, without the braces.
    fn write(out: &mut String, role: Role);

    /// The same with keywords that narrow it further.
    #[doc(hidden)]
    fn restrict(out: &mut String, role: Role, keywords: &[Telling]) {
        let start = out.len();
        Self::write(out, role);
        add(out, start, keywords);
    }
}

/// What values are.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Any,
    Text,
    /// Some texts.
    Choice,
    Number,
    List,
    Object,
}

impl Kind {
    /// Whether values may be of the other kind.
    #[must_use]
    pub const fn may_be(self, other: Self) -> bool {
        matches!(self, Self::Any)
            || self as u8 == other as u8
            || matches!((self, other), (Self::Choice, Self::Text))
    }
}

/// The whole schema of a type.
#[must_use]
pub fn text<T: Schema>(role: Role) -> String {
    let mut out = String::new();
    property::<T>(&mut out, role, "");
    out
}

/// Appends the schema of a type with a description of its own, which may be empty.
#[doc(hidden)]
pub fn property<T: Schema>(out: &mut String, role: Role, description: &str) {
    described(out, role, T::write, [description, T::DESCRIPTION]);
}

/// Once for all types: only the small functions above are made per type.
#[doc(hidden)]
pub fn described(out: &mut String, role: Role, write: fn(&mut String, Role), texts: [&str; 2]) {
    out.push('{');
    let start = out.len();
    write(out, role);
    describe(out, start, texts);
    out.push('}');
}

/// Appends the first text that there is as the description; the other members begin at `start`.
fn describe(out: &mut String, start: usize, texts: [&str; 2]) {
    if let Some(text) = texts.iter().find(|text| !text.is_empty()) {
        if out.len() > start {
            out.push(',');
        }
        out.push_str("\"description\":");
        out.push_str(text);
    }
}

/// A keyword with its quotes and the colon, and its value.
#[doc(hidden)]
pub type Telling = (&'static str, &'static str);

/// Appends the schema of a type with keywords that narrow it, others that only tell of it, and a description, which may be empty.
#[doc(hidden)]
pub fn narrowed<T: Schema>(
    out: &mut String,
    role: Role,
    description: &str,
    keywords: &[Telling],
    telling: &str,
) {
    out.push('{');
    let start = out.len();
    narrow::<T>(out, role, keywords, telling);
    describe(out, start, [description, T::DESCRIPTION]);
    out.push('}');
}

/// The same without braces and description.
#[doc(hidden)]
pub fn narrow<T: Schema>(out: &mut String, role: Role, keywords: &[Telling], telling: &str) {
    let start = out.len();
    T::restrict(out, role, keywords);
    if !telling.is_empty() {
        if out.len() > start {
            out.push(',');
        }
        out.push_str(telling);
    }
}

/// Appends keywords to members that begin at `start`. A bound that the type has of itself is replaced.
fn add(out: &mut String, start: usize, keywords: &[Telling]) {
    for (name, value) in keywords {
        let numeric = value.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        let own = out[start..].find(name).filter(|_| numeric);
        // Bounds of what is inside, as of the elements of a list, are none of this.
        if let Some(own) = own.filter(|own| !out[start..start + own].contains('{')) {
            let value_at = start + own + name.len();
            let end = out[value_at..].find([',', '}']);
            let end = end.map_or(out.len(), |length| value_at + length);
            out.replace_range(value_at..end, value);
            continue;
        }
        if out.len() > start {
            out.push(',');
        }
        out.push_str(name);
        out.push_str(value);
    }
}

/// Appends a whole schema, which is the text.
#[doc(hidden)]
pub fn literal(out: &mut String, _: Role, text: &str) {
    out.push_str(text);
}

/// A description, which may be empty, and what appends a schema.
#[doc(hidden)]
pub type Choice = (&'static str, fn(&mut String, Role, &str));

/// Appends what [`Schema::write`] says of a value that is one of these.
#[doc(hidden)]
pub fn any_of(out: &mut String, role: Role, choices: &[Choice]) {
    out.push_str("\"anyOf\":");
    list(out, role, choices);
}

/// Appends what [`Schema::write`] says of a list with these elements.
#[doc(hidden)]
pub fn tuple(out: &mut String, role: Role, items: &[Choice]) {
    let length = items.len();
    out.push_str("\"type\":\"array\",\"prefixItems\":");
    list(out, role, items);
    out.push_str(&format!(
        ",\"items\":false,\"minItems\":{length},\"maxItems\":{length}"
    ));
}

fn list(out: &mut String, role: Role, schemas: &[Choice]) {
    out.push('[');
    let mut separator = "";
    for (description, write) in schemas {
        out.push_str(separator);
        write(out, role, description);
        separator = ",";
    }
    out.push(']');
}

/// Name and description as JSON texts, and what appends the schema.
#[doc(hidden)]
pub type Property = (&'static str, &'static str, fn(&mut String, Role, &str));

/// Appends what [`Schema::write`] says of an object with these properties.
#[doc(hidden)]
pub fn object(
    out: &mut String,
    role: Role,
    properties: &[Property],
    required: &[bool],
    closed: bool,
) {
    out.push_str("\"type\":\"object\",\"properties\":{");
    let mut separator = "";
    for (name, description, write) in properties {
        out.push_str(separator);
        out.push_str(name);
        out.push(':');
        write(out, role, description);
        separator = ",";
    }
    out.push('}');
    if required.contains(&true) {
        let mut separator = ",\"required\":[";
        for ((name, ..), _) in properties.iter().zip(required).filter(|(_, is)| **is) {
            out.push_str(separator);
            out.push_str(name);
            separator = ",";
        }
        out.push(']');
    }
    if closed {
        out.push_str(",\"additionalProperties\":false");
    }
}
