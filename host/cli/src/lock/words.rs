//! What there is to say about locks.

use std::path::Path;

use milepost::core::limits::EXCERPT_BYTES;
use milepost::core::lock::{Key, Locked, NotLocked, Wants};
use milepost::core::shown::{self, Shown};
use milepost::plugin::ComponentBytes;

use crate::shell;

/// Why a component is not let in, and how it would be.
pub(super) fn refusal(
    why: &NotLocked<'_>,
    key: &Key,
    definition: &Path,
    lock: &Path,
    component: &ComponentBytes,
    found: Option<&Locked>,
) -> String {
    let (lock, place) = (Shown(lock.display()), Shown(&component.place));
    let workflow = workflow(definition);
    let wants = found.map(|found| format!(" (it wants {})", brief(&found.wants)));
    let wants = wants.unwrap_or_default();
    match why {
        NotLocked::Unknown => format!(
            "{lock} does not hold it; `milepost plugin lock {workflow}` adds the component {place}{wants}"
        ),
        NotLocked::Source(source, locked) => format!(
            "{lock}:{} holds it from `{}`, and the workflow names `{}`; `milepost plugin lock {workflow}` takes that{wants}",
            locked.line,
            Shown(source),
            Shown(&key.source),
        ),
        NotLocked::Digest(locked) => {
            let (change, approve) = match found {
                Some(found) => {
                    let more = found.wants.beyond(&locked.wants);
                    let approve = if more.is_empty() { "" } else { " --approve" };
                    (change(&more, &locked.wants.beyond(&found.wants)), approve)
                }
                None => ("it cannot be used at all".to_owned(), ""),
            };
            let digest = found.map_or(component.digest, |found| found.digest);
            let name = shell::argument(&key.name);
            format!(
                "the component {place} is not the one that {lock}:{} holds: expected {}, found {digest}; {change}; put the expected \
                 one back, or take this one: `milepost plugin update {workflow}{approve} {name}`",
                locked.line, locked.digest
            )
        }
    }
}

/// What fetches a component of a registry.
pub(super) fn fetch(definition: Option<&Path>) -> String {
    let workflow = definition.map_or_else(|| "WORKFLOW".to_owned(), workflow);
    format!("`milepost plugin lock {workflow}` fetches it")
}

/// Why a component is not let in whose signature is not known.
pub(super) fn unsigned(locked: &Locked, definition: &Path, lock: &Path) -> String {
    format!(
        "{}:{} names a key that has to have signed it, and no signature with that key is on this machine; {}",
        Shown(lock.display()),
        locked.line,
        fetch(Some(definition))
    )
}

/// What a component wants more and less than before.
pub(crate) fn change(more: &Wants, less: &Wants) -> String {
    let more = match more.is_empty() {
        true => "it wants nothing more".to_owned(),
        false => format!("it wants more: {}", brief(more)),
    };
    match less.is_empty() {
        true => more,
        false => format!("{more}, and no longer: {}", brief(less)),
    }
}

/// What a component wants, bounded.
pub(crate) fn brief(wants: &Wants) -> String {
    shown::excerpt(&wants.to_string(), EXCERPT_BYTES)
}

/// A definition, in a command.
pub(crate) fn workflow(definition: &Path) -> String {
    shell::word_of_bytes(definition.as_os_str().as_encoded_bytes())
}

/// An entry that nothing uses.
pub(super) fn unused(key: &Key, lock: &Path) -> String {
    format!(
        "{} holds the plugin `{}` from `{}`, which no workflow beside it names; `milepost plugin lock WORKFLOW` drops it",
        Shown(lock.display()),
        Shown(&key.name),
        Shown(&key.source)
    )
}
