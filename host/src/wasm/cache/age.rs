//! How long compiled code is kept. The modification time of an entry says when it was used last, to the day. What nobody
//! has used for a month is removed when something else is stored, so that finding an entry stays cheap.

use std::fs::{self, File, Metadata};
use std::path::Path;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an entry is kept unused.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Notes that an entry was used. It is not needed: an entry that cannot be noted is compiled again some day.
pub(super) fn used(path: &Path) {
    let read = fs::metadata(path);
    if read.is_ok_and(|found| age(&found) >= DAY)
        && let Ok(file) = File::options().append(true).open(path)
    {
        let _ = file.set_modified(SystemTime::now());
    }
}

/// Removes what is too old. Whoever reads it just now may read on; what cannot be removed is tried again the next time.
pub(super) fn prune(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let most = entry.file_name().to_str().and_then(kept);
        let found = entry.metadata();
        if most.is_some_and(|most| found.is_ok_and(|found| age(&found) > most)) {
            let _ = fs::remove_file(entry.path());
        }
    }
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
        "cwasm" => Some(UNUSED),
        // Its writer died.
        unfinished if unfinished.ends_with(".tmp") => Some(DAY),
        _ => None,
    }
}

/// Nothing is old to a clock that was set back.
fn age(found: &Metadata) -> Duration {
    let modified = found.modified().ok();
    modified
        .and_then(|at| at.elapsed().ok())
        .unwrap_or_default()
}
