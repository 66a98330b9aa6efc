//! JSON values of users and plugins as the record holds them: written once, kept aside when large, and text until somebody
//! reads them. A parsed value takes up to a hundred times its text, and most of a run's outputs are never read again.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use serde::de::Error as _;
use serde::ser::{Error as _, SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::ids::Digest;
use crate::json::takes_at_most;
use crate::limits::{INLINE_VALUE_BYTES, PARSED_VALUE_BYTES};

/// A JSON value as its one compact text (object keys sorted). Cheap to clone.
///
/// What it takes parsed stays in memory only where it is small (see [`PARSED_VALUE_BYTES`]) or everybody reads it.
///
/// In the record it reads `{"inline": value}`, or `{"blob": digest, "bytes": n}` when the text is longer than
/// [`INLINE_VALUE_BYTES`] and stands as a blob beside the record.
#[derive(Clone)]
pub struct Payload {
    text: Arc<Text>,
    /// Where it stands in that text, when it is an element of a list that is kept as a whole.
    part: Option<(u32, u32)>,
}

struct Text {
    json: Box<RawValue>,
    /// Where it stays.
    parsed: Option<Arc<Value>>,
    /// Of a text that is large, once somebody asked.
    digest: OnceLock<Digest>,
}

impl Payload {
    /// Takes a value.
    #[must_use]
    pub fn new(value: Value) -> Self {
        let text = text_of(&value);
        Self::with_text(value, text)
    }

    /// Takes a value that everybody reads: it stays parsed, however large it is.
    #[must_use]
    pub fn kept(value: Value) -> Self {
        let text = text_of(&value);
        Self::of(text, Some(Arc::new(value)))
    }

    fn with_text(value: Value, json: Box<RawValue>) -> Self {
        // What a parser would refuse to read again stays, too.
        let stays =
            takes_at_most(json.get(), PARSED_VALUE_BYTES) || !within_depth(&value, READABLE_DEPTH);
        let parsed = stays.then(|| Arc::new(value));
        Self::of(json, parsed)
    }

    fn of(json: Box<RawValue>, parsed: Option<Arc<Value>>) -> Self {
        Self {
            text: Arc::new(Text {
                json,
                parsed,
                digest: OnceLock::new(),
            }),
            part: None,
        }
    }

    /// What stands at this place of the text, an element of a list or a value inside of one, without a text of its own.
    pub(crate) fn part(&self, place: Range<usize>) -> Option<Self> {
        self.text().get(place.clone())?;
        let before = self.part.map_or(0, |(start, _)| start);
        let at = |at: usize| Some(before + u32::try_from(at).ok()?);
        Some(Self {
            text: Arc::clone(&self.text),
            part: Some((at(place.start)?, at(place.end)?)),
        })
    }

    /// Reads the text of a blob, and keeps it: written again, the value names the same blob.
    fn of_blob(text: String) -> Result<Self, serde_json::Error> {
        let value = serde_json::from_str(&text)?;
        Ok(Self::with_text(value, RawValue::from_string(text)?))
    }

    /// The value. One that does not stay parsed is read from its text, each time anew.
    #[must_use]
    pub fn value(&self) -> Arc<Value> {
        self.parsed().map_or_else(
            || {
                let value = serde_json::from_str(self.text());
                Arc::new(value.expect("the text was written from a value, or was read before"))
            },
            Arc::clone,
        )
    }

    /// The value, where it stays parsed.
    pub(crate) fn parsed(&self) -> Option<&Arc<Value>> {
        self.text.parsed.as_ref().filter(|_| self.part.is_none())
    }

    /// Whether this is the same copy of a value.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.text, &other.text) && self.part == other.part
    }

    /// The list of values with these texts, each as a payload has it.
    #[must_use]
    pub fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        let mut list = "[".to_owned();
        for text in texts {
            if list.len() > 1 {
                list.push(',');
            }
            list.push_str(text.as_ref());
        }
        list.push(']');
        let json = RawValue::from_string(list);
        Self::of(json.expect("a list of JSON texts is one"), None)
    }

    /// Where in the text the elements stand; `None` of what is no list.
    #[must_use]
    pub fn elements(&self) -> Option<Vec<Range<usize>>> {
        let text = self.text();
        let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        let place = |element: &&RawValue| {
            let element = element.get();
            let start = element.as_ptr().addr() - text.as_ptr().addr();
            start..start + element.len()
        };
        Some(elements.iter().map(place).collect())
    }

    /// The compact text.
    #[must_use]
    pub fn text(&self) -> &str {
        let text = self.text.json.get();
        match self.part {
            Some((start, end)) => &text[start as usize..end as usize],
            None => text,
        }
    }

    /// Digest and bytes of the blob that this value needs beside its record, when it is large.
    #[must_use]
    pub fn blob(&self) -> Option<(Digest, &[u8])> {
        let bytes = self.text().as_bytes();
        (bytes.len() > INLINE_VALUE_BYTES).then(|| {
            let digest = match self.part {
                Some(_) => Digest::of(bytes),
                None => *self.text.digest.get_or_init(|| Digest::of(bytes)),
            };
            (digest, bytes)
        })
    }
}

/// Levels of arrays and objects that a parser surely reads.
const READABLE_DEPTH: usize = 120;

fn text_of(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("a JSON value with string keys always has a text")
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        Self::new(value)
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.is(other) || self.text() == other.text()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some((digest, bytes)) = self.blob() {
            let mut out = serializer.serialize_struct("Payload", 2)?;
            out.serialize_field("blob", &digest)?;
            out.serialize_field("bytes", &bytes.len())?;
            out.end()
        } else {
            let mut out = serializer.serialize_struct("Payload", 1)?;
            let json: &RawValue = match self.part {
                Some(_) => serde_json::from_str(self.text()).map_err(S::Error::custom)?,
                None => &self.text.json,
            };
            out.serialize_field("inline", json)?;
            out.end()
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Stored {
            Inline(Value),
            OfBlob(String),
        }
        match Stored::deserialize(deserializer)? {
            Stored::Inline(value) => Ok(Self::new(value)),
            Stored::OfBlob(text) => Self::of_blob(text).map_err(D::Error::custom),
        }
    }
}

/// Finds the text of a blob.
pub type FindBlob<'a> = dyn Fn(&Digest) -> Option<Vec<u8>> + 'a;

/// Puts blobs back in place before a record is decoded: at each of `pointers` (JSON pointers), `{"blob": …}` becomes
/// `{"of_blob": text}`. Places that do not exist or stand inline already are left alone.
///
/// # Errors
/// [`MissingBlob`] when a blob does not exist or is not text.
pub fn hydrate(
    body: &mut Value,
    pointers: &[&str],
    find: &FindBlob<'_>,
) -> Result<(), MissingBlob> {
    for pointer in pointers {
        let Some(place) = body.pointer_mut(pointer) else {
            continue;
        };
        let Some(digest) = place.get("blob").and_then(Value::as_str) else {
            continue;
        };
        let missing = || MissingBlob(digest.to_owned());
        let digest: Digest = digest.parse().map_err(|_| missing())?;
        let bytes = find(&digest).ok_or_else(missing)?;
        let text = String::from_utf8(bytes).map_err(|_| missing())?;
        *place = Map::from_iter([("of_blob".to_owned(), Value::String(text))]).into();
    }
    Ok(())
}

/// A record names a blob that the store does not hold, or not as JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the blob {0} is missing or corrupted")]
pub struct MissingBlob(pub String);

/// Reads an optional value, of which null is one: only a field that is not there is none.
pub(crate) fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Reads the inputs of a run, which every step may read.
pub(crate) fn kept<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Payload, D::Error> {
    let payload = Payload::deserialize(deserializer)?;
    Ok(match payload.parsed() {
        Some(_) => payload,
        None => Payload::of(payload.text.json.clone(), Some(payload.value())),
    })
}

/// The same, where there may be none.
pub(crate) fn kept_if_any<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Payload>, D::Error> {
    kept(deserializer).map(Some)
}

/// Whether the value has at most `left` levels of arrays and objects.
#[must_use]
pub fn within_depth(value: &Value, left: usize) -> bool {
    let inner = |value| within_depth(value, left - 1);
    match value {
        Value::Array(items) => left > 0 && items.iter().all(inner),
        Value::Object(entries) => left > 0 && entries.values().all(inner),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]
    use super::*;
    use serde_json::json;

    #[test]
    fn small_values_stand_inline() {
        let payload = Payload::new(json!({"b": 1, "a": [true, null]}));
        let text = serde_json::to_string(&payload).unwrap();
        assert_eq!(text, r#"{"inline":{"a":[true,null],"b":1}}"#);
        assert_eq!(serde_json::from_str::<Payload>(&text).unwrap(), payload);
    }

    #[test]
    fn a_value_that_takes_much_is_text_until_somebody_reads_it() {
        let small = Payload::new(json!({"a": [1, 2.5, "x"]}));
        assert!(small.parsed().is_some());
        for value in [
            json!("x".repeat(PARSED_VALUE_BYTES)),
            // A short text that is a large value.
            Value::Array(vec![json!({"": 0}); PARSED_VALUE_BYTES / 100]),
        ] {
            let payload = Payload::new(value.clone());
            assert!(payload.parsed().is_none());
            assert_eq!(*payload.value(), value);
            let back: Payload =
                serde_json::from_value(json!({ "of_blob": payload.text() })).unwrap();
            assert_eq!(back, payload);
            assert!(back.parsed().is_none());
            // Inputs stay.
            assert!(Payload::kept(value).parsed().is_some());
            let read = kept(json!({ "of_blob": payload.text() })).unwrap();
            assert!(read == payload && read.parsed().is_some());
        }
        let deep = (0..150).fold(json!("x".repeat(PARSED_VALUE_BYTES)), |v, _| json!([v]));
        assert_eq!(*Payload::new(deep.clone()).value(), deep);
    }

    #[test]
    fn large_values_stand_beside_the_record() {
        let payload = Payload::new(json!("x".repeat(INLINE_VALUE_BYTES)));
        let (digest, bytes) = payload.blob().unwrap();
        let mut body = json!({"output": payload, "other": {"blob": "of a user"}});
        assert_eq!(body["output"]["blob"], json!(digest));
        let find = |wanted: &Digest| (*wanted == digest).then(|| bytes.to_vec());
        hydrate(&mut body, &["/output", "/absent"], &find).unwrap();
        assert_eq!(body["other"], json!({"blob": "of a user"}));
        let back: Payload = serde_json::from_value(body["output"].take()).unwrap();
        assert_eq!(back, payload);

        let mut body = json!({"output": payload});
        assert!(hydrate(&mut body, &["/output"], &|_| None).is_err());
    }
}
