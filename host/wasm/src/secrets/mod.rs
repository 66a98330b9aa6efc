//! The secrets of one attempt: stand-ins that the guest gets, values that go into requests at the last moment, and the mask that is
//! put over values wherever they turn up.

mod forms;
mod found;
mod outcome;
#[cfg(test)]
mod tests;

pub(crate) use found::Found;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Shortest value of a secret, bytes. A shorter one could not be masked without masking half of all text.
pub const SHORTEST: usize = 4;
/// Longest value of a secret, bytes.
pub const LONGEST: usize = 16 * 1024;

/// The value of a secret. It shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Arc<str>);

/// Why a text cannot be the value of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableSecret {
    /// It could not be masked.
    #[error(
        "its value is shorter than {SHORTEST} bytes, so that it could not be kept out of logs and outputs"
    )]
    TooShort,
    /// It is no secret of a person or a program.
    #[error("its value is longer than {LONGEST} bytes")]
    TooLong,
}

impl SecretValue {
    /// Takes a value.
    ///
    /// # Errors
    /// [`UnusableSecret`].
    pub fn new(value: impl Into<Arc<str>>) -> Result<Self, UnusableSecret> {
        let value = value.into();
        match value.len() {
            ..SHORTEST => Err(UnusableSecret::TooShort),
            SHORTEST..=LONGEST => Ok(Self(value)),
            _ => Err(UnusableSecret::TooLong),
        }
    }

    /// The value itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The secrets of one attempt, those that its step names. In replay a secret may have no value.
#[derive(Clone, Default)]
pub struct Secrets(Option<Arc<Inner>>);

struct Inner {
    /// By name.
    secrets: BTreeMap<Arc<str>, One>,
    /// Finds all stand-ins of secrets that have a value.
    stand_ins: AhoCorasick,
    /// Whose they are, in their order.
    stand_in_of: Vec<Arc<str>>,
    /// Finds all forms of all values.
    forms: AhoCorasick,
    /// Whose they are, and the forms themselves, in their order.
    form_of: Vec<(Arc<str>, Vec<u8>)>,
}

struct One {
    stand_in: String,
    value: Option<SecretValue>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// Those of an attempt with this seed. Its stand-ins are the same whenever it is executed again.
    #[must_use]
    pub fn new(seed: u64, values: BTreeMap<Arc<str>, Option<SecretValue>>) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let secrets: BTreeMap<Arc<str>, One> = values
            .into_iter()
            .map(|(name, value)| {
                let stand_in = stand_in(seed, &name);
                (name, One { stand_in, value })
            })
            .collect();
        let known = || {
            secrets
                .iter()
                .filter_map(|(name, one)| Some((name, one, one.value.as_ref()?)))
        };
        let stand_ins = known().map(|(_, one, _)| one.stand_in.as_bytes());
        let stand_ins = searcher(stand_ins);
        let stand_in_of = known().map(|(name, ..)| Arc::clone(name)).collect();
        let forms: Vec<(Arc<str>, Vec<u8>)> = known()
            .flat_map(|(name, _, value)| {
                let forms = forms::of(value.expose()).into_iter();
                forms.map(|form| (Arc::clone(name), form))
            })
            .collect();
        Self(Some(Arc::new(Inner {
            forms: searcher(forms.iter().map(|(_, form)| form.as_slice())),
            form_of: forms,
            stand_ins,
            stand_in_of,
            secrets,
        })))
    }

    /// Whether no value is known: then nothing is filled in or masked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|inner| inner.form_of.is_empty())
    }

    /// What a guest gets for a secret.
    #[must_use]
    pub fn stand_in(&self, name: &str) -> Option<&str> {
        let inner = self.0.as_ref()?;
        inner.secrets.get(name).map(|one| one.stand_in.as_str())
    }

    /// The value of a secret.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&SecretValue> {
        self.0.as_ref()?.secrets.get(name)?.value.as_ref()
    }

    /// The text with values in the place of their stand-ins, for whoever sends it away at once; `None` where there is none.
    #[must_use]
    pub fn filled(&self, text: &[u8]) -> Option<Vec<u8>> {
        let inner = self.0.as_ref()?;
        replaced(&inner.stand_ins, text, |pattern, out| {
            let one = &inner.secrets[&inner.stand_in_of[pattern]];
            let value = one.value.as_ref().map_or("", SecretValue::expose);
            out.extend_from_slice(value.as_bytes());
        })
    }

    /// The bytes with `***name***` in the place of values; `None` where there is none.
    #[must_use]
    pub fn masked_bytes(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.masked(bytes, &mut |_| {})
    }

    /// The text with `***name***` in the place of values.
    #[must_use]
    pub fn mask<'a>(&self, text: impl Into<Cow<'a, str>>) -> Cow<'a, str> {
        self.mask_noting(text.into(), &mut |_| {})
    }

    /// The same for the beginning of a longer text, which may end within a value.
    #[must_use]
    pub(crate) fn mask_beginning(&self, text: &str) -> String {
        let masked = self.mask(text);
        self.without_part(&masked).to_owned()
    }

    /// How many bytes more than the wanted ones [`Secrets::mask_beginning`] takes at most, so that no part of a value is left.
    #[must_use]
    pub(crate) fn longest(&self) -> usize {
        let forms = self.0.iter().flat_map(|inner| &inner.form_of);
        forms.map(|(_, form)| form.len()).max().unwrap_or(0)
    }

    /// The text without an end that may be the beginning of a value.
    fn without_part<'a>(&self, text: &'a str) -> &'a str {
        let part = self.part_at_end(text.as_bytes());
        &text[..text.floor_char_boundary(text.len() - part)]
    }

    /// How many bytes at the end may be the beginning of a value.
    pub(crate) fn part_at_end(&self, bytes: &[u8]) -> usize {
        let Some(inner) = &self.0 else {
            return 0;
        };
        let part = |form: &Vec<u8>| {
            let longest = (form.len() - 1).min(bytes.len());
            let mut lengths = (1..=longest).rev();
            lengths.find(|length| bytes.ends_with(&form[..*length]))
        };
        let parts = inner.form_of.iter().filter_map(|(_, form)| part(form));
        parts.max().unwrap_or(0)
    }

    /// A JSON value with `***name***` in the place of values, `note` told of each.
    pub fn mask_json(&self, value: Value, note: &mut dyn FnMut(&Arc<str>)) -> Value {
        match value {
            Value::String(text) => Value::String(self.mask_noting(text.into(), note).into_owned()),
            Value::Number(number) => {
                let text = number.to_string();
                match self.masked(text.as_bytes(), note) {
                    Some(masked) => Value::String(String::from_utf8_lossy(&masked).into_owned()),
                    None => Value::Number(number),
                }
            }
            Value::Array(items) => {
                let items = items.into_iter();
                items.map(|item| self.mask_json(item, note)).collect()
            }
            Value::Object(entries) => {
                let entries = entries.into_iter().map(|(key, value)| {
                    let key = self.mask_noting(key.into(), note).into_owned();
                    (key, self.mask_json(value, note))
                });
                Value::Object(entries.collect())
            }
            Value::Null | Value::Bool(_) => value,
        }
    }

    /// What is kept of a text that a guest gave, `note` told of each value in it.
    pub(crate) fn kept(&self, text: String, note: &mut dyn FnMut(&Arc<str>)) -> String {
        self.mask_noting(text.into(), note).into_owned()
    }

    /// The same of bytes.
    pub(crate) fn kept_bytes(&self, bytes: Vec<u8>, note: &mut dyn FnMut(&Arc<str>)) -> Vec<u8> {
        self.masked(&bytes, note).unwrap_or(bytes)
    }

    /// The same of a JSON text, which stays one.
    pub(crate) fn kept_json(&self, text: String, note: &mut dyn FnMut(&Arc<str>)) -> String {
        let masked = match self.mask_noting(text.as_str().into(), note) {
            Cow::Borrowed(_) => None,
            Cow::Owned(masked) => Some(masked),
        };
        match masked {
            None => text,
            Some(masked) => match serde_json::from_str(&text) {
                Ok(value) => self.mask_json(value, &mut |_| {}).to_string(),
                Err(_) => masked,
            },
        }
    }

    pub(crate) fn mask_noting<'a>(
        &self,
        text: Cow<'a, str>,
        note: &mut dyn FnMut(&Arc<str>),
    ) -> Cow<'a, str> {
        match self.masked(text.as_bytes(), note) {
            // A form is ASCII or the whole of a value: nothing of a character is left.
            Some(masked) => Cow::Owned(String::from_utf8_lossy(&masked).into_owned()),
            None => text,
        }
    }

    fn masked(&self, bytes: &[u8], note: &mut dyn FnMut(&Arc<str>)) -> Option<Vec<u8>> {
        let inner = self.0.as_ref()?;
        replaced(&inner.forms, bytes, |pattern, out| {
            let (name, _) = &inner.form_of[pattern];
            note(name);
            out.extend_from_slice(format!("***{name}***").as_bytes());
        })
    }
}

/// What stands for a secret in an attempt: nobody who does not know the seed can guess it.
fn stand_in(seed: u64, name: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"milepost-secret\0");
    hash.update(seed.to_le_bytes());
    hash.update(name.as_bytes());
    let digest = hash.finalize();
    let digits: String = digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("milepost_secret_{name}_{digits}")
}

fn searcher<'a>(patterns: impl Iterator<Item = &'a [u8]>) -> AhoCorasick {
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .build(patterns)
        .expect("secrets are few and short")
}

fn replaced(
    patterns: &AhoCorasick,
    bytes: &[u8],
    mut replace: impl FnMut(usize, &mut Vec<u8>),
) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut from = 0;
    for found in patterns.find_iter(bytes) {
        out.extend_from_slice(&bytes[from..found.start()]);
        replace(found.pattern().as_usize(), &mut out);
        from = found.end();
    }
    if from == 0 {
        return None;
    }
    out.extend_from_slice(&bytes[from..]);
    Some(out)
}
