//! Reads JSON with its names looked at: an object that gives one twice means two things, and the parser would keep the last.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Characters of a name that are shown.
const SHOWN: usize = 64;

/// Why a text was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// It is no JSON.
    #[error(transparent)]
    Syntax(#[from] serde_json::Error),
    /// This name stands twice in one object; cut when it is long.
    #[error("the name `{0}` is given twice in one object")]
    Twice(String),
}

/// Reads one document.
pub(crate) fn read(text: &str) -> Result<Value, Refusal> {
    let twice = RefCell::new(None);
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Reader(&twice)
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))?;
    match twice.take() {
        Some(name) => Err(Refusal::Twice(name)),
        None => Ok(read),
    }
}

/// Remembers the first name that was given twice: the parser's errors carry words only.
#[derive(Clone, Copy)]
struct Reader<'s>(&'s RefCell<Option<String>>);

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if object.contains_key(&name) {
                let shown = || name.chars().take(SHOWN).collect();
                self.0.borrow_mut().get_or_insert_with(shown);
            }
            object.insert(name, entries.next_value_seed(self)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_parser() {
        for text in [
            "null",
            "true",
            "-1",
            "18446744073709551615",
            "0.1",
            "1e300",
            "-0.0",
            r#""é\u00e9\n""#,
            r#"[1, [2.5, "a"], {}, {"b": [null], "a": {"b": 1}}]"#,
            " [ ] ",
        ] {
            let expected: Value = serde_json::from_str(text).expect(text);
            assert_eq!(read(text).ok(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_name_that_is_given_twice_is_refused_wherever_it_stands() {
        for text in [
            r#"{"a": 1, "a": 1}"#,
            r#"[{"b": {"a": 1, "c": 2, "a": 2}}]"#,
            r#"{"a": 1, "\u0061": 2}"#,
        ] {
            let refused = read(text);
            assert!(
                matches!(&refused, Err(Refusal::Twice(name)) if name == "a"),
                "{text}: {refused:?}"
            );
        }
        assert!(read(r#"{"a": {"a": {"a": 1}}, "b": [{"a": 1}, {"a": 2}]}"#).is_ok());
    }

    #[test]
    fn other_texts_are_no_json() {
        for text in [
            "",
            "{",
            "[1,]",
            "1 2",
            "nul",
            "1e999",
            r#"{"a" 1}"#,
            r#"{"a": 1, "a": 2} x"#,
        ] {
            assert!(matches!(read(text), Err(Refusal::Syntax(_))), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert!(matches!(read(&deep), Err(Refusal::Syntax(_))));
    }
}
