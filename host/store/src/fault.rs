//! Named points at which a test can end the process, as a crash would, or hold it up. A release build has none.

/// Ends the process here when `MILEPOST_FAULT=<name>:<n>` names this point and it is reached for the n-th time; with
/// `<name>:<n>:hang` its thread stands still instead, for longer than any test waits.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    struct Asked {
        name: String,
        count: u64,
        hangs: bool,
    }
    static ASKED: OnceLock<Option<Asked>> = OnceLock::new();
    static REACHED: AtomicU64 = AtomicU64::new(0);
    let asked = ASKED.get_or_init(|| {
        let text = std::env::var("MILEPOST_FAULT").ok()?;
        let (name, rest) = text.split_once(':')?;
        let (count, hangs) = match rest.strip_suffix(":hang") {
            Some(count) => (count, true),
            None => (rest, false),
        };
        Some(Asked {
            name: name.to_owned(),
            count: count.parse().ok()?,
            hangs,
        })
    });
    if let Some(asked) = asked
        && asked.name == name
        && REACHED.fetch_add(1, Ordering::Relaxed) + 1 == asked.count
    {
        if !asked.hangs {
            std::process::abort();
        }
        std::thread::sleep(Duration::from_secs(600));
    }
}

/// Nothing: only a debug build can be told to crash.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_name: &str) {}
