//! How much compiled code is kept, and for how long. The modification time of an entry says when it was used last, to the day.
//! When something else is stored, what nobody has used for a month goes, and as much of the rest as is too much, the least
//! recently used first: so finding an entry stays cheap.

use std::fs::File;
use std::time::{Duration, SystemTime};

use milepost_core::limits;

use super::folder::{Folder, Listed};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Notes that an entry was used.
pub(super) fn used(file: &File) {
    let modified = file.metadata().and_then(|found| found.modified());
    if modified.is_ok_and(|modified| age(modified) >= DAY) {
        Folder::touch(file);
    }
}

/// Makes room for `bytes`. Whoever reads a removed entry just now may read on; what cannot be removed is tried again the next
/// time. Returns whether there is room.
pub(super) fn make_room(folder: &Folder, bytes: u64) -> bool {
    let most = limits::CODE_CACHE_BYTES as u64;
    if bytes > most {
        return false;
    }
    let mut ours: Vec<(Listed, Duration)> = folder
        .list()
        .unwrap_or_default()
        .into_iter()
        .filter_map(|listed| Some((kept(&listed.name)?, listed)))
        .map(|(kept, listed)| (listed, kept))
        .collect();
    // The most recently used first: they stay as long as there is room.
    ours.sort_by_key(|(listed, _)| age(listed.modified));
    let mut total = bytes;
    for (listed, kept) in ours {
        let with = total.saturating_add(listed.bytes);
        if age(listed.modified) > kept || with > most {
            let _ = folder.remove(&listed.name);
        } else {
            total = with;
        }
    }
    true
}

/// How long a file of that name is kept; `None` when it is none of the cache's, whose folder a person may choose.
fn kept(name: &str) -> Option<Duration> {
    let (stem, kind) = name.split_once('.')?;
    let (digest, settings) = stem.split_once('-')?;
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digest.len() != 64 || settings.len() != 16 || !hex(digest) || !hex(settings) {
        return None;
    }
    match kind {
        "cwasm" => Some(limits::UNUSED_KEPT),
        // Its writer died.
        unfinished if unfinished.ends_with(".tmp") => Some(DAY),
        _ => None,
    }
}

/// Nothing is old to a clock that was set back.
fn age(modified: SystemTime) -> Duration {
    modified.elapsed().unwrap_or_default()
}
