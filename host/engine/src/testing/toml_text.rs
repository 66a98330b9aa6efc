//! JSON values as TOML, in one line.

use serde_json::Value;

/// A value. What TOML cannot hold stands as `{ "$json" = ".." }`, which test files read back.
pub(crate) fn inline(value: &Value) -> String {
    match value {
        Value::Null => escaped(value),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) if number.is_u64() && number.as_i64().is_none() => escaped(value),
        Value::Number(number) => {
            let text = number.to_string();
            match number.is_f64() && !text.contains(['.', 'e']) {
                true => format!("{text}.0"),
                false => text,
            }
        }
        Value::String(text) => string(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("{} = {}", key(name), inline(value)))
                .collect();
            format!("{{ {} }}", members.join(", "))
        }
    }
}

fn escaped(value: &Value) -> String {
    format!("{{ \"$json\" = {} }}", string(&value.to_string()))
}

/// A basic string.
pub(crate) fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A key, bare where it can be.
pub(crate) fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(bare) {
        true => name.to_owned(),
        false => string(name),
    }
}
