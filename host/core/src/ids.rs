//! Names and numbers that identify things: runs, steps, executions, content.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};

use crate::limits;
use crate::shown::{self, Shown};

/// A text that is not a valid identifier of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a valid {kind}: {reason}", Shown(.text))]
pub struct InvalidId {
    /// What the text should have been ("run id", "step id", "path", "digest").
    pub kind: &'static str,
    /// The text as given, or the beginning of a long one.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

fn invalid(kind: &'static str, text: &str, reason: &'static str) -> InvalidId {
    InvalidId {
        kind,
        text: shown::excerpt(text, limits::EXCERPT_BYTES),
        reason,
    }
}

/// Letters, digits, `_`, `-`; at most 64 bytes; starts with a letter, a digit or `_`.
fn check_name(kind: &'static str, text: &str, max: usize) -> Result<(), InvalidId> {
    let mut bytes = text.bytes();
    match bytes.next() {
        None => return Err(invalid(kind, text, "it is empty")),
        Some(b) if !(b.is_ascii_alphanumeric() || b == b'_') => {
            return Err(invalid(
                kind,
                text,
                "it must start with a letter, a digit or `_`",
            ));
        }
        Some(_) => {}
    }
    if !bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        return Err(invalid(
            kind,
            text,
            "only letters, digits, `_` and `-` are allowed",
        ));
    }
    if text.len() > max {
        return Err(invalid(kind, text, "it is too long"));
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and wraps a text.
            ///
            /// # Errors
            /// [`InvalidId`] when the text is empty, too long, or holds another character than letters, digits, `_`, `-`.
            pub fn new(text: &str) -> Result<Self, InvalidId> {
                check_name($kind, text, $max)?;
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(&text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }
    };
}

name_type! {
    /// Identifies one run in a store. Chosen by the host, or by the user through `run --id`.
    RunId, "run id", 128
}
name_type! {
    /// Identifies a step; unique over the whole definition, loop bodies included.
    StepId, "step id", 64
}

/// One level of a [`Path`]: a step, and which iteration or item of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    /// The step.
    pub step: StepId,
    /// Pass of the loop that this step is, from 1. `None` on the last segment of a loop's own path.
    pub iteration: Option<u32>,
    /// Item of the fan-out that this step is, from 0.
    pub item: Option<u32>,
    /// Whether it is the compensation of the step; only on the last segment.
    pub compensation: bool,
}

impl Segment {
    const fn of(step: StepId) -> Self {
        Self {
            step,
            iteration: None,
            item: None,
            compensation: false,
        }
    }
}

/// How the path of a compensation ends.
const COMPENSATION: &str = "!compensate";

/// Where a step execution stands: `test`, `fix#2/test` (second iteration of loop `fix`), `notes[3]` (fourth item). Of its
/// compensation, which is a call of its own: `test!compensate`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Arc<[Segment]>);

impl Path {
    /// The path of a top-level step.
    #[must_use]
    pub fn top(step: StepId) -> Self {
        Self(Arc::new([Segment::of(step)]))
    }

    /// The path of `member` in `iteration` of the loop at this path.
    #[must_use]
    pub fn member(&self, iteration: u32, member: StepId) -> Self {
        let mut segments = Vec::with_capacity(self.0.len() + 1);
        segments.extend_from_slice(&self.0);
        if let Some(last) = segments.last_mut() {
            last.iteration = Some(iteration);
        }
        segments.push(Segment::of(member));
        Self(segments.into())
    }

    /// The path of an item of the fan-out at this path.
    #[must_use]
    pub fn item(&self, index: u32) -> Self {
        let mut segments = self.0.to_vec();
        if let Some(last) = segments.last_mut() {
            last.item = Some(index);
        }
        Self(segments.into())
    }

    /// The path of the compensation of this execution.
    #[must_use]
    pub fn compensation(&self) -> Self {
        self.with_compensation(true)
    }

    /// The execution that the compensation at this path undoes; this very path where it is no compensation's.
    #[must_use]
    pub fn compensated(&self) -> Self {
        self.with_compensation(false)
    }

    fn with_compensation(&self, compensation: bool) -> Self {
        let mut segments = self.0.to_vec();
        if let Some(last) = segments.last_mut() {
            last.compensation = compensation;
        }
        Self(segments.into())
    }

    /// Whether this is the path of a compensation.
    #[must_use]
    pub fn is_compensation(&self) -> bool {
        self.0.last().is_some_and(|last| last.compensation)
    }

    /// Whether this is the path of an item of a fan-out.
    #[must_use]
    pub fn is_item(&self) -> bool {
        let item = |last: &Segment| last.item.is_some() && !last.compensation;
        self.0.last().is_some_and(item)
    }

    /// The fan-out of which this is an item, and which one it is.
    #[must_use]
    pub fn fan_out(&self) -> Option<(Self, u32)> {
        let index = self.0.last()?.item.filter(|_| !self.is_compensation())?;
        let mut segments = self.0.to_vec();
        segments.last_mut()?.item = None;
        Some((Self(segments.into()), index))
    }

    /// The innermost item that this path is, or stands inside of.
    #[must_use]
    pub fn innermost_item(&self) -> Option<Self> {
        let last = self.0.iter().rposition(|segment| segment.item.is_some())?;
        let mut segments = self.0[..=last].to_vec();
        segments.last_mut()?.iteration = None;
        Some(Self(segments.into()))
    }

    /// The innermost loop in an iteration of which this path stands.
    #[must_use]
    pub fn innermost_loop(&self) -> Option<Self> {
        let last = self
            .0
            .iter()
            .rposition(|segment| segment.iteration.is_some())?;
        let mut segments = self.0[..=last].to_vec();
        segments.last_mut()?.iteration = None;
        Some(Self(segments.into()))
    }

    /// In which item of the fan-out at `fan_out` this path stands, at any depth, or which one it is.
    #[must_use]
    pub fn item_of(&self, fan_out: &Self) -> Option<u32> {
        let last = fan_out.0.len() - 1;
        let own = self.0.get(last)?;
        let same = self.0[..last] == fan_out.0[..last] && own.step == fan_out.0[last].step;
        own.item.filter(|_| same)
    }

    /// Whether `other` stands inside the item of a fan-out that this path is, directly or deeper.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        other.0.len() > self.0.len() && other.0[..self.0.len()] == *self.0
    }

    /// The path of `member` in the item of a fan-out that this path is.
    #[must_use]
    pub fn member_of_item(&self, member: StepId) -> Self {
        let own = Segment::of(member);
        Self(self.0.iter().cloned().chain([own]).collect())
    }

    /// The path of the loop whose body this path stands in, directly, or of the item of a fan-out.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let mut segments = self.0[..self.0.len() - 1].to_vec();
        segments.last_mut()?.iteration = None;
        Some(Self(segments.into()))
    }

    /// The step that this path leads to.
    #[must_use]
    pub fn step(&self) -> &StepId {
        &self.0[self.0.len() - 1].step
    }

    /// All levels, outermost first; never empty.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Pass of the innermost enclosing loop, from 1.
    #[must_use]
    pub fn loop_iteration(&self) -> Option<u32> {
        self.0.iter().rev().find_map(|s| s.iteration)
    }

    /// Position in the innermost enclosing fan-out, from 0.
    #[must_use]
    pub fn item_index(&self) -> Option<u32> {
        self.0.iter().rev().find_map(|s| s.item)
    }

    /// What stands around this path, directly: of an item its fan-out, else the loop or the item of a fan-out.
    #[must_use]
    pub fn around(&self) -> Option<Self> {
        match self.fan_out() {
            Some((fan_out, _)) => Some(fan_out),
            None => self.parent(),
        }
    }

    /// Whether this path stands inside the step at `outer`, in any of its iterations or items, directly or deeper, or is one of its
    /// items.
    #[must_use]
    pub fn is_within(&self, outer: &Path) -> bool {
        let depth = outer.0.len();
        let is_item = self.0.len() == depth && self.is_item() && !outer.is_item();
        let inside =
            (self.0.len() > depth || is_item) && self.0[..depth - 1] == outer.0[..depth - 1];
        inside && {
            let (own, outer) = (&self.0[depth - 1], &outer.0[depth - 1]);
            own.step == outer.step && (outer.item.is_none() || own.item == outer.item)
        }
    }

    /// Whether this path stands inside `iteration` of the loop at `outer`, directly or deeper.
    #[must_use]
    pub fn is_inside(&self, outer: &Path, iteration: u32) -> bool {
        let depth = outer.0.len();
        self.0.len() > depth
            && self.0[..depth - 1] == outer.0[..depth - 1]
            && self.0[depth - 1].step == outer.0[depth - 1].step
            && self.0[depth - 1].item == outer.0[depth - 1].item
            && self.0[depth - 1].iteration == Some(iteration)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("/")?;
            }
            f.write_str(segment.step.as_str())?;
            if let Some(item) = segment.item {
                write!(f, "[{item}]")?;
            }
            if let Some(iteration) = segment.iteration {
                write!(f, "#{iteration}")?;
            }
            if segment.compensation {
                f.write_str(COMPENSATION)?;
            }
        }
        Ok(())
    }
}

impl FromStr for Path {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let number = |digits: &str| {
            digits
                .parse::<u32>()
                .map_err(|_| invalid("path", text, "an iteration or an item is not a number"))
        };
        let (executions, compensation) = match text.strip_suffix(COMPENSATION) {
            Some(compensated) => (compensated, true),
            None => (text, false),
        };
        let mut segments = Vec::new();
        for part in executions.split('/') {
            let (part, iteration) = match part.split_once('#') {
                Some((rest, digits)) => (rest, Some(number(digits)?)),
                None => (part, None),
            };
            let (name, item) = match part.split_once('[') {
                Some((rest, tail)) => {
                    let digits = tail
                        .strip_suffix(']')
                        .ok_or_else(|| invalid("path", text, "a `[` is not closed"))?;
                    (rest, Some(number(digits)?))
                }
                None => (part, None),
            };
            let step = StepId::new(name)
                .map_err(|_| invalid("path", text, "a part of it is not a step id"))?;
            segments.push(Segment {
                step,
                iteration,
                item,
                compensation: false,
            });
        }
        if let Some(last) = segments.last_mut() {
            last.compensation = compensation;
        }
        Ok(Self(segments.into()))
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Path;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Path, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl Serialize for Path {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The fencing token of a run: raised by every claim, presented by every later write.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// SHA-256 of some bytes, written `sha256:<64 hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// Takes bytes piece by piece, and gives their digest.
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all of them.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl Digest {
    /// Digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The raw 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 lower-case hex digits, without the `sha256:` in front.
    #[must_use]
    pub fn hex(&self) -> String {
        self.behind("")
    }

    /// The hex digits behind a prefix. Tapes are full of digests: this is not left to the formatter, which takes ten times as long.
    fn behind(&self, prefix: &str) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
        let mut text = String::with_capacity(prefix.len() + 64);
        text.push_str(prefix);
        text.extend(self.0.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]));
        text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.behind("sha256:"))
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let hex = text
            .strip_prefix("sha256:")
            .ok_or_else(|| invalid("digest", text, "it must start with `sha256:`"))?;
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(invalid(
                "digest",
                text,
                "`sha256:` must be followed by 64 hex digits",
            ));
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).map_err(|_| {
                invalid(
                    "digest",
                    text,
                    "it contains a character that is not a hex digit",
                )
            })?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.behind("sha256:")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_text() {
        for text in [
            "test",
            "fix#2/test",
            "notes[3]",
            "outer#1/inner#4/check",
            "all[2]#7/x",
            "fix#2/test!compensate",
            "notes[3]!compensate",
        ] {
            assert_eq!(text.parse::<Path>().map(|p| p.to_string()), Ok(text.into()));
        }
        for text in [
            "",
            "a//b",
            "a#x/b",
            "a[1",
            "a b",
            "-a",
            "a!compensate/b",
            "!compensate",
            "a!",
        ] {
            assert!(text.parse::<Path>().is_err(), "{text}");
        }
    }

    #[test]
    fn members_stand_inside_their_pass() -> Result<(), InvalidId> {
        let outer = Path::top(StepId::new("outer")?);
        let inner = outer.member(2, StepId::new("inner")?);
        let leaf = inner.member(3, StepId::new("leaf")?);
        assert_eq!(leaf.to_string(), "outer#2/inner#3/leaf");
        assert!(leaf.is_inside(&outer, 2) && leaf.is_inside(&inner, 3));
        assert!(!leaf.is_inside(&outer, 1) && !inner.is_inside(&inner, 3));
        assert_eq!(leaf.loop_iteration(), Some(3));
        Ok(())
    }

    #[test]
    fn the_compensation_of_an_item_is_no_item() -> Result<(), InvalidId> {
        let item: Path = "notes[3]".parse()?;
        let undone = item.compensation();
        assert!(item.is_item() && !undone.is_item() && undone.is_compensation());
        assert_eq!(undone.fan_out(), None);
        assert_eq!((undone.compensated(), undone.item_index()), (item, Some(3)));
        Ok(())
    }

    #[test]
    fn digests_survive_text() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!("sha256:12".parse::<Digest>().is_err());
    }
}
