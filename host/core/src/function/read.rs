//! From JSON to a value of a type: the one reader, for whatever is built of it.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::ty::{Case, Field, Float, Int, Ty};
use crate::definition::nearest;

/// What is built of a value that fits its type.
pub trait Build {
    /// A value.
    type Value;
    /// `true` or `false`.
    fn bool(value: bool) -> Self::Value;
    /// A whole number within the range of its type.
    fn int(ty: Int, value: i128) -> Self::Value;
    /// A number that is exact as `f64`; as `f32` it may be rounded, but is not beyond its range.
    fn float(ty: Float, value: f64) -> Self::Value;
    /// A character.
    fn char(value: char) -> Self::Value;
    /// A text.
    fn string(value: &str) -> Self::Value;
    /// Of `list<u8>`.
    fn bytes(value: Vec<u8>) -> Self::Value;
    /// Of any other list.
    fn list(items: Vec<Self::Value>) -> Self::Value;
    /// All fields, in the order of the type.
    fn record(fields: &[Field], values: Vec<Self::Value>) -> Self::Value;
    /// As many as the type has.
    fn tuple(items: Vec<Self::Value>) -> Self::Value;
    /// A case, with its value.
    fn variant(case: &str, value: Option<Self::Value>) -> Self::Value;
    /// A case.
    fn enumeration(case: &str) -> Self::Value;
    /// Those that are set, in the order of the type.
    fn flags(set: Vec<&str>) -> Self::Value;
    /// A value or none.
    fn option(value: Option<Self::Value>) -> Self::Value;
    /// A success or a failure.
    fn result(value: Result<Option<Self::Value>, Option<Self::Value>>) -> Self::Value;
}

/// Builds nothing: values are only checked.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

impl Build for Nothing {
    type Value = ();
    fn bool(_: bool) {}
    fn int(_: Int, _: i128) {}
    fn float(_: Float, _: f64) {}
    fn char(_: char) {}
    fn string(_: &str) {}
    fn bytes(_: Vec<u8>) {}
    fn list(_: Vec<()>) {}
    fn record(_: &[Field], _: Vec<()>) {}
    fn tuple(_: Vec<()>) {}
    fn variant(_: &str, _: Option<()>) {}
    fn enumeration(_: &str) {}
    fn flags(_: Vec<&str>) {}
    fn option(_: Option<()>) {}
    fn result(_: Result<Option<()>, Option<()>>) {}
}

/// A JSON value does not fit a type: `parts[1].name: expected u8, found 300`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mismatch {
    /// The way to the place, from the innermost part on.
    steps: Vec<Step>,
    /// What would fit there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(Arc<str>),
    Index(usize),
}

impl Mismatch {
    pub(crate) fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            steps: Vec::new(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// The same, seen from around the value.
    #[must_use]
    pub(crate) fn within(mut self, name: &str) -> Self {
        self.steps.push(Step::Name(name.into()));
        self
    }

    fn at(mut self, index: usize) -> Self {
        self.steps.push(Step::Index(index));
        self
    }

    /// Where the value stands: `parts[1].name`; empty for the whole.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = String::new();
        for step in self.steps.iter().rev() {
            match step {
                Step::Name(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                }
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

/// Characters of a value that a message shows.
const TOLD: usize = 60;

/// A value as a message shows it.
fn told(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => {
            let mut beginning: String = text.chars().take(TOLD).collect();
            if beginning.len() < text.len() {
                beginning.push('…');
            }
            Value::String(beginning).to_string()
        }
        Value::Array(items) if items.len() == 1 => "a list of 1 value".to_owned(),
        Value::Array(items) => format!("a list of {} values", items.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}

impl Ty {
    /// Reads a value in its JSON form.
    ///
    /// # Errors
    /// [`Mismatch`]: the first place that does not fit.
    pub fn read<B: Build>(&self, value: &Value) -> Result<B::Value, Mismatch> {
        let other = || Mismatch::new(self.told(), told(value));
        match (self, value) {
            (Self::Bool, Value::Bool(flag)) => Ok(B::bool(*flag)),
            (Self::Int(int), Value::Number(number)) => {
                let (least, most) = int.range();
                let whole = number
                    .as_i64()
                    .map(i128::from)
                    .or_else(|| number.as_u64().map(i128::from));
                match whole {
                    Some(whole) if (least..=most).contains(&whole) => Ok(B::int(*int, whole)),
                    _ => Err(other()),
                }
            }
            (Self::Float(float), value) => match to_float(*float, value) {
                Some(number) => Ok(B::float(*float, number)),
                None => Err(other()),
            },
            (Self::Char, Value::String(text)) => {
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(only), None) => Ok(B::char(only)),
                    _ => Err(Mismatch::new("char, a text of one character", told(value))),
                }
            }
            (Self::String, Value::String(text)) => Ok(B::string(text)),
            (_, value) if self.is_bytes() => bytes(value).map(B::bytes),
            (Self::List(element), Value::Array(items)) => {
                each::<B>(items.iter().map(|item| (&**element, item))).map(B::list)
            }
            (Self::Tuple(types), Value::Array(items)) if types.len() == items.len() => {
                each::<B>(types.iter().zip(items)).map(B::tuple)
            }
            (Self::Record(fields), value) => {
                let values = self::fields::<B>(fields, "a field", &self.told(), value)?;
                Ok(B::record(fields, values))
            }
            (Self::Variant(cases), value) => {
                variant::<B>(cases, value).unwrap_or_else(|| Err(other()))
            }
            (Self::Enum(names), Value::String(text)) => {
                match names.iter().find(|name| ***name == **text) {
                    Some(name) => Ok(B::enumeration(name)),
                    None => Err(no_name(names, value)),
                }
            }
            (Self::Flags(names), Value::Array(items)) => flags(names, items).map(B::flags),
            (Self::Option(_), Value::Null) => Ok(B::option(None)),
            (Self::Option(some), value) if some.is_option() => match single(value) {
                Some(("some", value)) => {
                    let some = some.read::<B>(value).map_err(|m| m.within("some"))?;
                    Ok(B::option(Some(some)))
                }
                _ => Err(Mismatch::new("null or {\"some\": value}", told(value))),
            },
            (Self::Option(some), value) => some.read::<B>(value).map(|some| B::option(Some(some))),
            (Self::Result { ok, err }, value) => match single(value) {
                Some(("ok", value)) => Ok(B::result(Ok(side::<B>(ok.as_deref(), "ok", value)?))),
                Some(("err", value)) => {
                    Ok(B::result(Err(side::<B>(err.as_deref(), "err", value)?)))
                }
                _ => Err(Mismatch::new(
                    "{\"ok\": value} or {\"err\": value}",
                    told(value),
                )),
            },
            (_, _) => Err(other()),
        }
    }
}

fn each<'v, B: Build>(
    items: impl Iterator<Item = (&'v Ty, &'v Value)>,
) -> Result<Vec<B::Value>, Mismatch> {
    items
        .enumerate()
        .map(|(index, (ty, item))| ty.read::<B>(item).map_err(|m| m.at(index)))
        .collect()
}

/// The fields of a record, or the arguments of a function.
pub(super) fn fields<B: Build>(
    fields: &[Field],
    one: &str,
    expected: &str,
    value: &Value,
) -> Result<Vec<B::Value>, Mismatch> {
    let Value::Object(given) = value else {
        return Err(Mismatch::new(expected, told(value)));
    };
    let known = fields
        .iter()
        .filter(|field| given.contains_key(&*field.name));
    if known.count() < given.len()
        && let Some(unknown) = given
            .keys()
            .find(|key| !fields.iter().any(|field| *field.name == ***key))
    {
        return Err(unknown_field(fields, one, unknown));
    }
    let value = |field: &Field| match (given.get(&*field.name), &field.ty) {
        (Some(value), ty) => ty.read::<B>(value).map_err(|m| m.within(&field.name)),
        (None, Ty::Option(_)) => Ok(B::option(None)),
        (None, ty) => Err(Mismatch::new(ty.told(), "nothing").within(&field.name)),
    };
    fields.iter().map(value).collect()
}

fn unknown_field(fields: &[Field], one: &str, unknown: &str) -> Mismatch {
    let names = || fields.iter().map(|field| &*field.name);
    let near = nearest(unknown, names());
    let expected = match near.first() {
        Some(near) => format!("{one} such as `{near}`"),
        None if fields.is_empty() => "nothing".to_owned(),
        None => {
            let known: Vec<String> = names().take(12).map(|name| format!("`{name}`")).collect();
            format!("{one} of {}", known.join(", "))
        }
    };
    Mismatch::new(expected, told(&Value::String(unknown.to_owned())))
}

/// `None`: it is neither a text nor an object of one key.
fn variant<B: Build>(cases: &[Case], value: &Value) -> Option<Result<B::Value, Mismatch>> {
    let (name, payload) = match value {
        Value::String(name) => (name.as_str(), None),
        other => single(other).map(|(name, value)| (name, Some(value)))?,
    };
    let Some(case) = cases.iter().find(|case| *case.name == *name) else {
        let names: Vec<_> = cases.iter().map(|case| Arc::clone(&case.name)).collect();
        return Some(Err(no_name(&names, &Value::String(name.to_owned()))));
    };
    Some(match (&case.ty, payload) {
        (None, None) => Ok(B::variant(name, None)),
        (Some(ty), Some(value)) => match ty.read::<B>(value) {
            Ok(value) => Ok(B::variant(name, Some(value))),
            Err(mismatch) => Err(mismatch.within(name)),
        },
        (Some(ty), None) => Err(Mismatch::new(
            format!("{{\"{name}\": {}}}", ty.told()),
            told(value),
        )),
        (None, Some(_)) => Err(Mismatch::new(
            format!("\"{name}\", which has no value"),
            told(value),
        )),
    })
}

/// The only entry of an object.
fn single(value: &Value) -> Option<(&str, &Value)> {
    let entries: &Map<String, Value> = value.as_object()?;
    let mut entries = entries.iter();
    match (entries.next(), entries.next()) {
        (Some((name, value)), None) => Some((name, value)),
        (_, _) => None,
    }
}

fn side<B: Build>(
    ty: Option<&Ty>,
    name: &str,
    value: &Value,
) -> Result<Option<B::Value>, Mismatch> {
    match (ty, value) {
        (Some(ty), value) => ty.read::<B>(value).map(Some).map_err(|m| m.within(name)),
        (None, Value::Null) => Ok(None),
        (None, value) => Err(Mismatch::new("null", told(value)).within(name)),
    }
}

fn flags<'n>(names: &'n [Arc<str>], items: &[Value]) -> Result<Vec<&'n str>, Mismatch> {
    let mut set = vec![false; names.len()];
    for (index, item) in items.iter().enumerate() {
        let at = item
            .as_str()
            .and_then(|text| names.iter().position(|name| **name == *text))
            .ok_or_else(|| no_name(names, item).at(index))?;
        if std::mem::replace(&mut set[at], true) {
            let twice = format!("{}, which is there already", told(item));
            return Err(Mismatch::new("each flag once", twice).at(index));
        }
    }
    let all = names.iter().zip(set);
    Ok(all
        .filter(|(_, set)| *set)
        .map(|(name, _)| &**name)
        .collect())
}

fn no_name(names: &[Arc<str>], value: &Value) -> Mismatch {
    let known: Vec<String> = names
        .iter()
        .take(12)
        .map(|name| format!("\"{name}\""))
        .collect();
    let more = match names.len().saturating_sub(known.len()) {
        0 => String::new(),
        more => format!(" or {more} more"),
    };
    let expected = match &known[..] {
        [one] => one.clone(),
        all => format!("one of {}{more}", all.join(", ")),
    };
    Mismatch::new(expected, told(value))
}

/// Of `list<u8>`.
fn bytes(value: &Value) -> Result<Vec<u8>, Mismatch> {
    let expected = "list<u8>, as {\"base64\": \"..\"} or {\"text\": \"..\"}";
    match single(value) {
        Some(("base64", Value::String(text))) => STANDARD.decode(text).map_err(|_| {
            Mismatch::new("base64 with padding", told(&value["base64"])).within("base64")
        }),
        Some(("text", Value::String(text))) => Ok(text.clone().into_bytes()),
        _ => Err(Mismatch::new(expected, told(value))),
    }
}

/// The number, where the type holds it: an integer exactly, a fraction as near as it can.
fn to_float(float: Float, value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => {
            let whole = number
                .as_i64()
                .map(i128::from)
                .or_else(|| number.as_u64().map(i128::from));
            let double = number.as_f64()?;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "what does not come back equal is refused"
            )]
            let single = double as f32;
            let fits = match (float, whole) {
                (Float::F64, None) => true,
                (Float::F32, None) => single.is_finite(),
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "what does not come back equal is refused"
                )]
                (Float::F64, Some(whole)) => double as i128 == whole,
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "what does not come back equal is refused"
                )]
                (Float::F32, Some(whole)) => single as i128 == whole,
            };
            fits.then_some(double)
        }
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}
