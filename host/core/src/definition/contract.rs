//! Checks `with` against the input schema of a step's manifest, as far as it can be known before the run. What cannot
//! be known (a value of any type, a schema keyword beyond these) is left to the step itself.

use std::ops::Range;

use serde_json::{Map, Value};
use toml::de::DeValue;

use super::codes;
use super::nearest::{enough, excerpt, listed, nearest};
use super::shape::Node;
use super::toml_values::to_json;
use crate::diagnostic::Diagnostic;
use crate::expr::Template;
use crate::expr::Type;

/// Characters of a description that are shown.
const ABOUT: usize = 400;

/// Checks the input of one step. `with` is the value and its compiled form; without it, the input is `{}`.
pub(super) fn check(
    schema: &Value,
    with: Option<(&Node<'_>, &Template)>,
    place: Range<usize>,
    out: &mut Vec<Diagnostic>,
) {
    match with {
        Some((node, template)) => check_value("with", schema, node, template, place, out),
        None => check_required(schema, |_| false, place, out),
    }
}

fn check_value(
    name: &str,
    schema: &Value,
    node: &Node<'_>,
    template: &Template,
    place: Range<usize>,
    out: &mut Vec<Diagnostic>,
) {
    let Some(keywords) = schema.as_object() else {
        if schema == &Value::Bool(false) {
            out.push(Diagnostic::error(
                codes::WITH_TYPE,
                node.span(),
                format!("the step allows no value for `{name}`"),
            ));
        }
        return;
    };
    let kinds = kinds_of(node, template);
    let allowed = allowed(keywords);
    if let (Some(kinds), Some(allowed)) = (&kinds, &allowed)
        && !kinds.iter().any(|kind| allowed.contains(kind))
    {
        let message = format!(
            "`{name}` must be {}, this is {}",
            allowed.join(" or "),
            kinds[0]
        );
        out.push(Diagnostic::error(codes::WITH_TYPE, node.span(), message));
        return;
    }
    check_fixed(name, keywords, node, template, out);
    match (node.get_ref(), template) {
        (DeValue::Table(table), Template::Object(templates)) => {
            check_required(schema, |key| table.contains_key(key), place, out);
            let properties = keywords.get("properties").and_then(Value::as_object);
            for (key, value) in table {
                let known = properties.and_then(|properties| properties.get(&**key.get_ref()));
                match (
                    known,
                    keywords.get("additionalProperties"),
                    templates.get(&**key.get_ref()),
                ) {
                    (Some(schema), _, Some(template)) => {
                        check_value(key.get_ref(), schema, value, template, key.span(), out)
                    }
                    (None, Some(Value::Bool(false)), _)
                        if !keywords.contains_key("patternProperties") =>
                    {
                        let properties = properties.filter(|_| !enough(out));
                        out.push(unknown(key.get_ref(), key.span(), properties));
                    }
                    (None, Some(schema @ Value::Object(_)), Some(template)) => {
                        check_value(key.get_ref(), schema, value, template, key.span(), out);
                    }
                    (_, _, _) => {}
                }
            }
        }
        (DeValue::Array(items), Template::List(templates)) => {
            if let Some(schema) = keywords.get("items") {
                for (item, template) in items.iter().zip(templates) {
                    check_value(name, schema, item, template, item.span(), out);
                }
            }
        }
        (_, _) => {}
    }
}

fn check_required(
    schema: &Value,
    given: impl Fn(&str) -> bool,
    place: Range<usize>,
    out: &mut Vec<Diagnostic>,
) {
    let required = schema.get("required").and_then(Value::as_array);
    for key in required.into_iter().flatten().filter_map(Value::as_str) {
        if !given(key) {
            let message = format!("the step needs `{key}`");
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

fn unknown(key: &str, span: Range<usize>, properties: Option<&Map<String, Value>>) -> Diagnostic {
    let known = || {
        properties
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
    };
    let problem = Diagnostic::error(
        codes::WITH_UNKNOWN,
        span,
        format!("the step has no input `{key}`"),
    );
    let candidates = nearest(key, known());
    if candidates.is_empty() && known().next().is_some() {
        return problem.with_help(format!("its inputs are {}", listed(known())));
    }
    problem.with_candidates(candidates)
}

/// `enum` and `const`, for values that are written out.
fn check_fixed(
    name: &str,
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
        let value = excerpt(&value.to_string(), ABOUT);
        let message = format!("`{name}` cannot be `{value}`");
        let choices = listed(all.iter().map(String::as_str));
        out.push(
            Diagnostic::error(codes::WITH_TYPE, node.span(), message)
                .with_help(format!("choose one of {choices}")),
        );
    }
}

/// The JSON Schema types that the value can have, the most telling first; `None` when it can be anything.
fn kinds_of(node: &Node<'_>, template: &Template) -> Option<Vec<&'static str>> {
    let kinds: &[&str] = match (node.get_ref(), template) {
        (DeValue::String(_), Template::Expr(expr)) => match expr.ty().base() {
            Type::Null => &["null"],
            Type::Bool => &["boolean"],
            Type::Int => &["integer", "number"],
            Type::Double | Type::Number => &["number", "integer"],
            Type::String => &["string"],
            Type::List(_) => &["array"],
            Type::Object { .. } => &["object"],
            Type::Dyn | Type::Optional(_) | Type::OneOf { .. } => return None,
        },
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

/// The values of the keyword `type`.
fn allowed(keywords: &Map<String, Value>) -> Option<Vec<&str>> {
    match keywords.get("type")? {
        Value::String(kind) => Some(vec![kind]),
        Value::Array(kinds) => Some(kinds.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}
