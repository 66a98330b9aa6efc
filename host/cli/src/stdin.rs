//! What is read from stdin, whole and bounded.

use std::io::{self, Read as _};

/// All text on stdin; none where it is longer than `most` bytes.
///
/// # Errors
/// When it cannot be read, or is not UTF-8.
pub(crate) fn read(most: usize) -> io::Result<Option<String>> {
    let mut text = String::new();
    let bound = most as u64 + 1;
    io::stdin().take(bound).read_to_string(&mut text)?;
    Ok((text.len() <= most).then_some(text))
}
