//! JSON values of users and plugins as the record holds them: parsed once, written once, kept aside when large.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::de::Error as _;
use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::ids::Digest;
use crate::limits::INLINE_VALUE_BYTES;

/// A JSON value with its one compact text (object keys sorted). Cheap to clone.
///
/// In the record it reads `{"inline": value}`, or `{"blob": digest, "bytes": n}` when the text is longer than
/// [`INLINE_VALUE_BYTES`] and stands as a blob beside the record.
#[derive(Clone)]
pub struct Payload {
    value: Arc<Value>,
    text: Arc<Text>,
}

struct Text {
    json: Box<RawValue>,
    /// Of a text that is large, once somebody asked.
    digest: OnceLock<Digest>,
}

impl Payload {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: Value) -> Self {
        let text = serde_json::value::to_raw_value(&value)
            .expect("a JSON value with string keys always has a text");
        Self::with_text(value, text)
    }

    fn with_text(value: Value, json: Box<RawValue>) -> Self {
        Self {
            value: Arc::new(value),
            text: Arc::new(Text {
                json,
                digest: OnceLock::new(),
            }),
        }
    }

    /// Reads the text of a blob, and keeps it: written again, the value names the same blob.
    fn of_blob(text: String) -> Result<Self, serde_json::Error> {
        let value = serde_json::from_str(&text)?;
        Ok(Self::with_text(value, RawValue::from_string(text)?))
    }

    /// The parsed value.
    #[must_use]
    pub fn value(&self) -> &Arc<Value> {
        &self.value
    }

    /// The compact text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.json.get()
    }

    /// Digest and bytes of the blob that this value needs beside its record, when it is large.
    #[must_use]
    pub fn blob(&self) -> Option<(Digest, &[u8])> {
        let bytes = self.text().as_bytes();
        (bytes.len() > INLINE_VALUE_BYTES).then(|| {
            let digest = self.text.digest.get_or_init(|| Digest::of(bytes));
            (*digest, bytes)
        })
    }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        Self::new(value)
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.text, &other.text) || self.text() == other.text()
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
            out.serialize_field("inline", &self.text.json)?;
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
#[error("the blob {0} is missing or damaged")]
pub struct MissingBlob(pub String);

/// Reads an optional value, of which null is one: only a field that is not there is none.
pub(crate) fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
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
