//! Folders in which a program may start, and the patterns that grants have for them.

/// Why a text is no pattern of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDir {
    /// No `/` at the beginning.
    #[error("it does not begin with `/`")]
    NotAbsolute,
    /// `**` in the middle.
    #[error("`**` can only be the last part")]
    RestInTheMiddle,
    /// `*` beside other characters.
    #[error("`*` stands for a whole part of a path")]
    PartOfAName,
    /// `.` or `..`, nothing between two `/`, or a `/` at the end.
    #[error(
        "it is not the shortest path of a folder, without `.`, `..`, `//` and a `/` at the end"
    )]
    NotShortest,
    /// A NUL.
    #[error("it has a NUL in it")]
    Nul,
}

/// Whether a text is a pattern of a folder.
///
/// # Errors
/// [`InvalidDir`].
pub fn check_dir(pattern: &str) -> Result<(), InvalidDir> {
    let Some(rest) = pattern.strip_prefix('/') else {
        return Err(InvalidDir::NotAbsolute);
    };
    if pattern.contains('\0') {
        return Err(InvalidDir::Nul);
    }
    if rest.is_empty() {
        return Ok(());
    }
    let mut parts = rest.split('/').peekable();
    while let Some(part) = parts.next() {
        match part {
            "**" if parts.peek().is_some() => return Err(InvalidDir::RestInTheMiddle),
            "*" | "**" => {}
            "" | "." | ".." => return Err(InvalidDir::NotShortest),
            _ if part.contains('*') => return Err(InvalidDir::PartOfAName),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a folder fits the pattern: `*` is one part of its path, `**` at the end any rest, also none. What is not the shortest path of a
/// folder fits none.
pub(super) fn fits(pattern: &str, dir: &str) -> bool {
    if dir.contains('\0') {
        return false;
    }
    let (Some(wanted), Some(given)) = (parts(pattern), parts(dir)) else {
        return false;
    };
    let shortest = |part: &&str| !matches!(*part, "" | "." | "..");
    if !given.iter().all(shortest) {
        return false;
    }
    let (wanted, rest) = match wanted.split_last() {
        Some((&"**", wanted)) => (wanted, true),
        _ => (&wanted[..], false),
    };
    let enough = match rest {
        true => given.len() >= wanted.len(),
        false => given.len() == wanted.len(),
    };
    enough
        && wanted
            .iter()
            .zip(&given)
            .all(|(wanted, part)| *wanted == "*" || wanted == part)
}

/// The parts of an absolute path.
fn parts(path: &str) -> Option<Vec<&str>> {
    let rest = path.strip_prefix('/')?;
    Some(match rest {
        "" => Vec::new(),
        rest => rest.split('/').collect(),
    })
}
