//! Checks `with` against the input schema of a step's manifest, as far as it can be known before the run. What cannot
//! be known (a value of any type, a schema keyword beyond these) is left to the step itself.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value};
use toml::de::DeValue;

use super::codes;
use super::nearest::{enough, excerpt, listed, nearest};
use super::shape::{Node, text_of};
use super::toml_values::to_json;
use crate::diagnostic::Diagnostic;
use crate::expr::Template;
use crate::expr::Type;
use crate::grants::toml_text;
use crate::synonyms;

/// Characters of a description that are shown.
const ABOUT: usize = 400;
/// Parts of schemas that are looked at for one step: alternatives inside of alternatives multiply.
const WORK: usize = 20_000;
/// References that are followed one behind the other.
const HOPS: usize = 16;

/// Checks the input of one step. `with` is the value and its compiled form; without it, the input is `{}`.
pub(super) fn check(
    schema: &Value,
    with: Option<(&Node<'_>, &Template)>,
    place: Range<usize>,
    out: &mut Vec<Diagnostic>,
) {
    let contract = Contract {
        root: schema,
        work: Cell::new(WORK),
    };
    match with {
        Some((node, template)) => contract.value("", schema, node, template, place, out),
        None => {
            let schema = contract.resolved(schema).unwrap_or(schema);
            required(schema, "", |_| false, place, out);
        }
    }
}

/// How many entries of a table show that another alternative is meant: their names are not known there, or their value is a tag of
/// another one.
fn strange(schema: &Value, node: &Node<'_>) -> usize {
    let DeValue::Table(table) = node.get_ref() else {
        return 0;
    };
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let entries = table.iter().filter(|(key, value)| {
        let property = schema
            .get("properties")
            .and_then(|known| known.get(&**key.get_ref()));
        match property {
            None => closed,
            Some(property) => property
                .get("const")
                .is_some_and(|tag| *tag != to_json(value.get_ref())),
        }
    });
    entries.count()
}

/// The schema of one step's input.
struct Contract<'a> {
    root: &'a Value,
    /// How much is still looked at.
    work: Cell<usize>,
}

impl<'a> Contract<'a> {
    /// The schema that a local reference leads to; `None` where it leads nowhere that is known.
    fn resolved(&self, mut schema: &'a Value) -> Option<&'a Value> {
        for _ in 0..HOPS {
            let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
                return Some(schema);
            };
            schema = self.root.pointer(reference.strip_prefix('#')?)?;
        }
        None
    }

    fn value(
        &self,
        path: &str,
        schema: &'a Value,
        node: &Node<'_>,
        template: &Template,
        place: Range<usize>,
        out: &mut Vec<Diagnostic>,
    ) {
        self.work.set(self.work.get().saturating_sub(1));
        let Some(schema) = self.resolved(schema).filter(|_| self.work.get() > 0) else {
            return;
        };
        let shown = shown(path);
        let Some(keywords) = schema.as_object() else {
            if schema == &Value::Bool(false) {
                let message = format!("the step allows no value for {shown}");
                out.push(Diagnostic::error(codes::WITH_TYPE, node.span(), message));
            }
            return;
        };
        let kinds = kinds_of(node, template);
        let allowed = allowed(keywords);
        if let (Some(kinds), Some(allowed)) = (&kinds, &allowed)
            && !kinds.iter().any(|kind| allowed.contains(kind))
        {
            out.push(mismatch(&shown, allowed, kinds[0], node, template));
            return;
        }
        if let Template::Expr(expr) = template {
            self.inside(path, keywords, expr.ty().base(), node, out);
        }
        self.alternatives(path, keywords, node, template, &place, out);
        fixed(&shown, keywords, node, template, out);
        if let Template::Literal(_) = template {
            bounds(&shown, keywords, &to_json(node.get_ref()), node, out);
        }
        match (node.get_ref(), template) {
            (DeValue::Table(table), Template::Object(templates)) => {
                required(schema, path, |key| table.contains_key(key), place, out);
                let properties = keywords.get("properties").and_then(Value::as_object);
                for (key, value) in table {
                    let name = &**key.get_ref();
                    let known = properties.and_then(|properties| properties.get(name));
                    let inner = member(path, name);
                    match (
                        known,
                        keywords.get("additionalProperties"),
                        templates.get(name),
                    ) {
                        (Some(schema), _, Some(template))
                        | (None, Some(schema @ Value::Object(_)), Some(template)) => {
                            self.value(&inner, schema, value, template, key.span(), out);
                        }
                        (None, Some(Value::Bool(false)), _)
                            if !keywords.contains_key("patternProperties") =>
                        {
                            let properties = properties.filter(|_| !enough(out));
                            out.push(unknown(&inner, name, key.span(), properties));
                        }
                        (_, _, _) => {}
                    }
                }
            }
            (DeValue::Array(items), Template::List(templates)) => {
                let bound = |key: &str| keywords.get(key).and_then(Value::as_u64);
                let length = items.len() as u64;
                let wanted = match (bound("minItems"), bound("maxItems")) {
                    (Some(least), _) if length < least => Some(format!("at least {least}")),
                    (_, Some(most)) if length > most => Some(format!("at most {most}")),
                    _ => None,
                };
                if let Some(wanted) = wanted {
                    let message = format!("{shown} must have {wanted} elements, not {length}");
                    out.push(Diagnostic::error(codes::WITH_TYPE, node.span(), message));
                }
                let first = keywords.get("prefixItems").and_then(Value::as_array);
                for (index, (item, template)) in items.iter().zip(templates).enumerate() {
                    let own = first.and_then(|first| first.get(index));
                    if let Some(schema) = own.or_else(|| keywords.get("items")) {
                        let inner = format!("{path}[{index}]");
                        self.value(&inner, schema, item, template, item.span(), out);
                    }
                }
            }
            (_, _) => {}
        }
    }

    /// What is known of the elements and fields of an expression's value, which is not written out.
    fn inside(
        &self,
        path: &str,
        keywords: &'a Map<String, Value>,
        ty: &Type,
        node: &Node<'_>,
        out: &mut Vec<Diagnostic>,
    ) {
        match ty {
            Type::List(element) => {
                if let (Some(schema), None) = (keywords.get("items"), keywords.get("prefixItems")) {
                    self.of_type(&format!("{path}[..]"), schema, element.base(), node, out);
                }
            }
            Type::Object { fields, .. } => {
                let properties = keywords.get("properties").and_then(Value::as_object);
                for (name, ty) in fields {
                    if let Some(schema) = properties.and_then(|known| known.get(name)) {
                        self.of_type(&member(path, name), schema, ty.base(), node, out);
                    }
                }
            }
            _ => {}
        }
    }

    /// A value of which only the type is known.
    fn of_type(
        &self,
        path: &str,
        schema: &'a Value,
        ty: &Type,
        node: &Node<'_>,
        out: &mut Vec<Diagnostic>,
    ) {
        self.work.set(self.work.get().saturating_sub(1));
        let schema = self.resolved(schema).filter(|_| self.work.get() > 0);
        let Some(keywords) = schema.and_then(Value::as_object) else {
            return;
        };
        match (kinds(ty), allowed(keywords)) {
            (Some(kinds), Some(allowed)) if !kinds.iter().any(|kind| allowed.contains(kind)) => {
                out.push(wrong_kind(&shown(path), &allowed, kinds[0], node));
            }
            _ => self.inside(path, keywords, ty, node, out),
        }
    }

    /// `allOf`, `anyOf` and `oneOf`. Where no alternative fits, the one that comes nearest says what is wrong.
    fn alternatives(
        &self,
        path: &str,
        keywords: &'a Map<String, Value>,
        node: &Node<'_>,
        template: &Template,
        place: &Range<usize>,
        out: &mut Vec<Diagnostic>,
    ) {
        let list = |key: &str| keywords.get(key).and_then(Value::as_array);
        for schema in list("allOf").into_iter().flatten() {
            self.value(path, schema, node, template, place.clone(), out);
        }
        for schemas in ["anyOf", "oneOf"].into_iter().filter_map(list) {
            let kinds = kinds_of(node, template);
            let mut nearest = None::<(usize, Vec<Diagnostic>)>;
            let mut wanted = Vec::new();
            for schema in schemas {
                let types = self
                    .resolved(schema)
                    .and_then(Value::as_object)
                    .and_then(allowed);
                if let (Some(kinds), Some(types)) = (&kinds, &types)
                    && !kinds.iter().any(|kind| types.contains(kind))
                {
                    wanted.extend(types.iter().copied());
                    continue;
                }
                let mut problems = Vec::new();
                self.value(path, schema, node, template, place.clone(), &mut problems);
                let strange = match problems.is_empty() {
                    true => 0,
                    false => self.resolved(schema).map_or(0, |it| strange(it, node)),
                };
                if nearest
                    .as_ref()
                    .is_none_or(|(most, best)| (strange, problems.len()) < (*most, best.len()))
                {
                    nearest = Some((strange, problems));
                }
            }
            match (nearest, kinds) {
                (Some((_, problems)), _) => out.extend(problems),
                (None, Some(kinds)) if !wanted.is_empty() => {
                    wanted.dedup();
                    out.push(mismatch(&shown(path), &wanted, kinds[0], node, template));
                }
                (None, _) => {}
            }
        }
    }
}

/// A place in the input, for messages.
fn shown(path: &str) -> String {
    match path {
        "" => "`with`".to_owned(),
        path => format!("`{}`", excerpt(path, ABOUT)),
    }
}

/// The place of a property.
fn member(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

fn wrong_kind(shown: &str, allowed: &[&str], kind: &str, node: &Node<'_>) -> Diagnostic {
    let message = format!("{shown} must be {}, this is {kind}", allowed.join(" or "));
    Diagnostic::error(codes::WITH_TYPE, node.span(), message)
}

fn mismatch(
    shown: &str,
    allowed: &[&str],
    kind: &str,
    node: &Node<'_>,
    template: &Template,
) -> Diagnostic {
    let problem = wrong_kind(shown, allowed, kind, node);
    match conversion(allowed, node, template) {
        Some(form) => problem.with_help(format!("write `{form}`")),
        None => problem,
    }
}

/// The value as one of the allowed types.
fn conversion(allowed: &[&str], node: &Node<'_>, template: &Template) -> Option<String> {
    let wants = |kind: &str| allowed.contains(&kind);
    if let Template::Expr(expr) = template {
        let ty = expr.ty().base();
        if let Type::Object { fields, .. } = ty {
            return field(expr.text().trim(), fields, wants);
        }
        let function = match ty {
            Type::Int | Type::Double | Type::Number | Type::Bool if wants("string") => "string",
            Type::String | Type::Double if wants("integer") => "int",
            Type::String if wants("number") => "double",
            _ => return None,
        };
        return Some(format!("${{ {function}({}) }}", expr.text().trim()));
    }
    match node.get_ref() {
        DeValue::String(text) if wants("integer") || wants("number") => {
            let number = text.trim().parse::<f64>().ok()?;
            let whole = number.fract() == 0.0;
            (number.is_finite() && (whole || wants("number"))).then(|| text.trim().to_owned())
        }
        DeValue::String(text) if wants("boolean") => {
            matches!(&**text, "true" | "false").then(|| text.to_string())
        }
        DeValue::String(text) if wants("array") => Some(format!("[{}]", toml_text(text))),
        DeValue::Integer(_) | DeValue::Float(_) if wants("string") => {
            Some(format!("\"{}\"", text_of(node.get_ref())))
        }
        DeValue::Boolean(truth) if wants("string") => Some(format!("\"{truth}\"")),
        DeValue::Integer(_) | DeValue::Float(_) if wants("array") => {
            Some(format!("[{}]", text_of(node.get_ref())))
        }
        _ => None,
    }
}

/// The one field of an object that is of a wanted type, where an expression is a path to the object.
fn field(
    path: &str,
    fields: &BTreeMap<String, Type>,
    wants: impl Fn(&str) -> bool,
) -> Option<String> {
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let fits =
        |ty: &Type| kinds(ty.base()).is_some_and(|kinds| kinds.iter().any(|kind| wants(kind)));
    let mut fit = fields.iter().filter(|(_, ty)| fits(ty));
    let (name, _) = fit.next().filter(|(name, _)| name.chars().all(in_name))?;
    let is_path = path.chars().all(|c| in_name(c) || c == '.');
    (is_path && fit.next().is_none()).then(|| format!("${{ {path}.{name} }}"))
}

fn required(
    schema: &Value,
    path: &str,
    given: impl Fn(&str) -> bool,
    place: Range<usize>,
    out: &mut Vec<Diagnostic>,
) {
    let required = schema.get("required").and_then(Value::as_array);
    for key in required.into_iter().flatten().filter_map(Value::as_str) {
        if !given(key) {
            let message = match path {
                "" => format!("the step needs `{key}`"),
                path => format!("the step needs `{key}` in {}", shown(path)),
            };
            let about = schema.pointer(&format!(
                "/properties/{}/description",
                key.replace('~', "~0").replace('/', "~1")
            ));
            let mut problem = Diagnostic::error(codes::WITH_MISSING, place.clone(), message);
            problem.help = about
                .and_then(Value::as_str)
                .map(|text| format!("{key}: {}", excerpt(text, ABOUT)));
            out.push(problem);
        }
    }
}

/// Bounds of numbers, texts and lists that are written out.
fn bounds(
    shown: &str,
    keywords: &Map<String, Value>,
    value: &Value,
    node: &Node<'_>,
    out: &mut Vec<Diagnostic>,
) {
    let bound = |key: &str| keywords.get(key).and_then(Value::as_f64);
    let (what, size) = match value {
        Value::Number(number) => ("", number.as_f64()),
        Value::String(text) => ("Length", Some(text.chars().count() as f64)),
        _ => return,
    };
    let Some(size) = size else { return };
    let (least, most) = match what {
        "" => (bound("minimum"), bound("maximum")),
        what => (bound(&format!("min{what}")), bound(&format!("max{what}"))),
    };
    let unit = if what.is_empty() { "" } else { " characters" };
    let broken = [
        least
            .filter(|least| size < *least)
            .map(|least| format!("at least {least}{unit}")),
        most.filter(|most| size > *most)
            .map(|most| format!("at most {most}{unit}")),
        bound("exclusiveMinimum")
            .filter(|least| what.is_empty() && size <= *least)
            .map(|least| format!("more than {least}")),
        bound("exclusiveMaximum")
            .filter(|most| what.is_empty() && size >= *most)
            .map(|most| format!("less than {most}")),
    ];
    for wanted in broken.into_iter().flatten() {
        let has = if what.is_empty() {
            "must be"
        } else {
            "must have"
        };
        let message = format!("{shown} {has} {wanted}, not {size}");
        out.push(Diagnostic::error(codes::WITH_TYPE, node.span(), message));
    }
}

fn unknown(
    path: &str,
    key: &str,
    span: Range<usize>,
    properties: Option<&Map<String, Value>>,
) -> Diagnostic {
    let known = || {
        properties
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
    };
    let problem = Diagnostic::error(
        codes::WITH_UNKNOWN,
        span,
        format!("the step has no input {}", shown(path)),
    );
    let candidates = nearest(key, known());
    if candidates.is_empty() && known().next().is_some() {
        return problem.with_help(format!("its inputs are {}", listed(known())));
    }
    problem.with_candidates(candidates)
}

/// `enum` and `const`, for values that are written out.
fn fixed(
    shown: &str,
    keywords: &Map<String, Value>,
    node: &Node<'_>,
    template: &Template,
    out: &mut Vec<Diagnostic>,
) {
    let Template::Literal(_) = template else {
        return;
    };
    let value = to_json(node.get_ref());
    let fixed = match (keywords.get("enum"), keywords.get("const")) {
        (Some(Value::Array(values)), _) => values.as_slice(),
        (_, Some(value)) => std::slice::from_ref(value),
        (_, None) => return,
    };
    if !fixed.contains(&value) {
        let all: Vec<_> = fixed.iter().map(Value::to_string).collect();
        let value_text = value.as_str().map(str::to_owned);
        let value = excerpt(&value.to_string(), ABOUT);
        let message = format!("{shown} cannot be `{value}`");
        let choices = listed(all.iter().map(String::as_str));
        let words: Vec<&str> = fixed.iter().filter_map(Value::as_str).collect();
        let near = match value_text {
            Some(word) => synonyms::choice(&word, &words)
                .map(str::to_owned)
                .map_or_else(|| nearest(&word, words.iter().copied()), |same| vec![same]),
            None => Vec::new(),
        };
        out.push(
            Diagnostic::error(codes::WITH_TYPE, node.span(), message)
                .with_help(format!("choose one of {choices}"))
                .with_candidates(near),
        );
    }
}

/// The JSON Schema types that the value can have, the most telling first; `None` when it can be anything.
fn kinds_of(node: &Node<'_>, template: &Template) -> Option<Vec<&'static str>> {
    let kinds: &[&str] = match (node.get_ref(), template) {
        (DeValue::String(_), Template::Expr(expr)) => {
            return Some(kinds(expr.ty().base())?.to_vec());
        }
        (DeValue::String(_) | DeValue::Datetime(_), _) => &["string"],
        (DeValue::Integer(_), _) => &["integer", "number"],
        (DeValue::Float(float), _) => {
            // JSON Schema counts 2.0 as an integer.
            let whole = float
                .as_str()
                .parse::<f64>()
                .is_ok_and(|number| number.fract() == 0.0);
            if whole {
                &["number", "integer"]
            } else {
                &["number"]
            }
        }
        (DeValue::Boolean(_), _) => &["boolean"],
        (DeValue::Array(_), _) => &["array"],
        (DeValue::Table(_), _) => &["object"],
    };
    Some(kinds.to_vec())
}

/// What a value of a type can be, in the words of JSON Schema; `None` where nothing is known.
fn kinds(ty: &Type) -> Option<&'static [&'static str]> {
    Some(match ty {
        Type::Null => &["null"],
        Type::Bool => &["boolean"],
        Type::Int => &["integer", "number"],
        Type::Double | Type::Number => &["number", "integer"],
        Type::String => &["string"],
        Type::List(_) => &["array"],
        Type::Object { .. } => &["object"],
        Type::Dyn | Type::Optional(_) | Type::OneOf { .. } => return None,
    })
}

/// The values of the keyword `type`.
fn allowed(keywords: &Map<String, Value>) -> Option<Vec<&str>> {
    match keywords.get("type")? {
        Value::String(kind) => Some(vec![kind]),
        Value::Array(kinds) => Some(kinds.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}
