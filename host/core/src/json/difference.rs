//! Where two JSON values differ, as a short list of places.

use serde::Serialize;
use serde_json::Value;

/// One place where two values differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Difference {
    /// Where, as a JSON pointer; empty for the whole.
    pub field: String,
    /// What the first value holds there; absent where it holds nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a: Option<Value>,
    /// What the second value holds there; absent where it holds nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b: Option<Value>,
}

/// The first places, in key order, where two values differ: at most `max`. What is nested is compared member by member, so that no
/// place holds another one.
#[must_use]
pub fn differences(a: &Value, b: &Value, max: usize) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(String::new(), Some(a), Some(b), max, &mut found);
    found
}

fn compare(
    field: String,
    a: Option<&Value>,
    b: Option<&Value>,
    max: usize,
    found: &mut Vec<Difference>,
) {
    if a == b || found.len() >= max {
        return;
    }
    match (a, b) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let keys: std::collections::BTreeSet<&String> =
                left.keys().chain(right.keys()).collect();
            for key in keys {
                let place = format!("{field}/{}", escaped(key));
                compare(place, left.get(key), right.get(key), max, found);
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => {
            for index in 0..left.len().max(right.len()) {
                let place = format!("{field}/{index}");
                compare(place, left.get(index), right.get(index), max, found);
            }
        }
        _ => found.push(Difference {
            field,
            a: a.cloned(),
            b: b.cloned(),
        }),
    }
}

/// A key as a JSON pointer writes it.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn places(a: &Value, b: &Value, max: usize) -> Vec<String> {
        let found = differences(a, b, max);
        found.into_iter().map(|place| place.field).collect()
    }

    #[test]
    fn equal_values_do_not_differ() {
        assert_eq!(
            differences(&json!({"a": [1, null]}), &json!({"a": [1, null]}), 9),
            []
        );
    }

    #[test]
    fn nested_values_are_compared_member_by_member() {
        let a = json!({"same": 1, "list": [1, 2, 3], "o": {"x": 1}, "kind": 1});
        let b = json!({"same": 1, "list": [1, 5], "o": {"x": 2}, "kind": [1]});
        assert_eq!(places(&a, &b, 9), ["/kind", "/list/1", "/list/2", "/o/x"]);
        let longer = &differences(&a, &b, 9)[2];
        assert_eq!((&longer.a, &longer.b), (&Some(json!(3)), &None));
    }

    #[test]
    fn a_null_is_not_nothing() {
        let [one] = &differences(&json!({}), &json!({"n": null}), 9)[..] else {
            panic!("one place differs")
        };
        assert_eq!((&one.a, &one.b), (&None, &Some(Value::Null)));
    }

    #[test]
    fn the_list_is_bounded_and_keys_are_escaped() {
        let a: Value = (0..50).collect();
        let b: Value = (1..51).collect();
        assert_eq!(places(&a, &b, 3), ["/0", "/1", "/2"]);
        assert_eq!(places(&json!({"a/b~": 1}), &json!({}), 3), ["/a~1b~0"]);
        assert_eq!(places(&json!(1), &json!(2), 3), [""]);
    }
}
