//! Paths of requests, and the patterns that grants have for them.
//!
//! A server may read a path otherwise than it is written: `%2F` as a separator or not, `//` as one `/` or not. A path is granted
//! only when every such reading of it is.

use std::borrow::Cow;

/// Why a text is no pattern of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// No `/` at the beginning.
    #[error("it does not begin with `/`")]
    NotAbsolute,
    /// A query or a fragment.
    #[error("a path has no `?` and no `#`")]
    Query,
    /// `**` in the middle.
    #[error("`**` can only be the last segment")]
    RestInTheMiddle,
    /// `*` beside other characters.
    #[error("`*` stands for a whole segment")]
    PartOfASegment,
    /// `.` or `..`.
    #[error("`.` and `..` are taken out of a path before it is compared")]
    Dots,
    /// Nothing between two `/`.
    #[error("it has an empty segment")]
    Empty,
    /// `%` without two digits, or one that stands for a separator or a control character.
    #[error("it has a `%` that stands for no character of a segment")]
    Percent,
}

/// Whether a text is a pattern of a path.
///
/// # Errors
/// [`InvalidPath`].
pub fn check_path(pattern: &str) -> Result<(), InvalidPath> {
    let Some(rest) = pattern.strip_prefix('/') else {
        return Err(InvalidPath::NotAbsolute);
    };
    if pattern.contains(['?', '#']) {
        return Err(InvalidPath::Query);
    }
    let segments: Vec<&str> = rest.split('/').collect();
    for (index, segment) in segments.iter().enumerate() {
        let last = index + 1 == segments.len();
        match *segment {
            "**" if !last => return Err(InvalidPath::RestInTheMiddle),
            "*" | "**" => {}
            "" if !last => return Err(InvalidPath::Empty),
            _ => {
                let text = decoded(segment).ok_or(InvalidPath::Percent)?;
                if segment.contains('*') {
                    return Err(InvalidPath::PartOfASegment);
                }
                if matches!(&*text, "." | "..") {
                    return Err(InvalidPath::Dots);
                }
                if text.contains(is_separator) || text.contains(char::is_control) {
                    return Err(InvalidPath::Percent);
                }
            }
        }
    }
    Ok(())
}

/// Whether the path fits one of the patterns, however it is read.
pub(super) fn fits(patterns: &[String], path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = if path.is_empty() { "/" } else { path };
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    // Each reading may fit another pattern.
    [(false, false), (false, true), (true, false), (true, true)]
        .into_iter()
        .all(|(split, merge)| {
            let segments = segments(rest, split, merge);
            segments.is_some_and(|segments| {
                patterns
                    .iter()
                    .any(|pattern| pattern_fits(pattern, &segments))
            })
        })
}

/// The pattern for this very path; `None` where there is none, because servers read it in several ways, or none does.
pub(super) fn as_pattern(path: &str) -> Option<String> {
    let path = if path.is_empty() { "/" } else { path };
    let rest = path.strip_prefix('/')?;
    let segments = segments(rest, false, false)?;
    let encoded: Vec<String> = segments.iter().map(|segment| encoded(segment)).collect();
    let pattern = format!("/{}", encoded.join("/"));
    let is_pattern = check_path(&pattern).is_ok();
    (is_pattern && fits(std::slice::from_ref(&pattern), path)).then_some(pattern)
}

/// A segment in a pattern, which stands for nothing but itself.
fn encoded(segment: &str) -> String {
    let mut text = String::with_capacity(segment.len());
    for c in segment.chars() {
        match c {
            '*' | '%' | '?' | '#' => {
                // They are of one byte.
                text.push_str(&format!("%{:02X}", u32::from(c)));
            }
            _ => text.push(c),
        }
    }
    text
}

fn pattern_fits(pattern: &str, segments: &[String]) -> bool {
    let mut rest = segments.iter();
    for wanted in pattern.strip_prefix('/').unwrap_or(pattern).split('/') {
        if wanted == "**" {
            return true;
        }
        let Some(segment) = rest.next() else {
            return false;
        };
        let fits = match wanted {
            "*" => !segment.is_empty(),
            _ => decoded(wanted).is_some_and(|wanted| wanted == *segment),
        };
        if !fits {
            return false;
        }
    }
    rest.next().is_none()
}

/// The segments of a path, decoded and without dots. With `split`, also what is encoded separates; with `merge`, nothing between
/// two separators is no segment. `None`: nobody can say what a server makes of it.
fn segments(path: &str, split: bool, merge: bool) -> Option<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    let mut ends_in_folder = false;
    for raw in path.split('/') {
        let text = decoded(raw)?;
        if text.contains(char::is_control) {
            return None;
        }
        let separators = |c: char| split && is_separator(c);
        for segment in text.split(separators) {
            // Some servers drop parameters before they look for dots.
            if let Some(("." | "..", _)) = segment.split_once(';') {
                return None;
            }
            ends_in_folder = true;
            match segment {
                "." => {}
                ".." => drop(found.pop()),
                "" if merge => {}
                _ => {
                    found.push(segment.to_owned());
                    ends_in_folder = false;
                }
            }
        }
    }
    if ends_in_folder {
        found.push(String::new());
    }
    Some(found)
}

fn is_separator(c: char) -> bool {
    matches!(c, '/' | '\\')
}

/// The text that a segment stands for; `None` where its percent-encoding is broken or no text.
fn decoded(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(Cow::Borrowed(segment));
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let value = digit(*high)? * 16 + digit(*low)?;
                bytes.push(u8::try_from(value).ok()?);
                tail
            }
            (b'%', _) => return None,
            (byte, tail) => {
                bytes.push(*byte);
                tail
            }
        };
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}
