//! What is said when the program panics: the same way out as for everything else, and one document under `--json`.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};

use super::failure::Failure;
use super::narration;
use super::text::Text;

static LAST: Mutex<Option<String>> = Mutex::new(None);

/// Panics are told on stderr, escaped and without waiting for it, whichever thread they are in.
pub(super) fn tell() {
    std::panic::set_hook(Box::new(|info| {
        let message = words(info);
        *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(message.clone());
        let mut text = Text::from(message);
        // Only with RUST_BACKTRACE.
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            text = text + format!("\n{trace}");
        }
        narration::say(&text);
    }));
}

/// The failure that the last panic is.
pub(super) fn failure() -> Failure {
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner).take();
    Failure::internal(last.unwrap_or_else(|| "the program panicked".to_owned()))
}

fn words(info: &PanicHookInfo<'_>) -> String {
    let place = info
        .location()
        .map(|at| format!(" at {at}"))
        .unwrap_or_default();
    let payload = info.payload_as_str().unwrap_or("no message");
    format!("panicked{place}: {payload}")
}

/// A panic that a test asks for. A release build has none.
#[cfg(debug_assertions)]
pub(super) fn provoke() {
    if let Some(text) = std::env::var_os("MILEPOST_PANIC") {
        std::panic::panic_any(text.to_string_lossy().into_owned());
    }
}

/// Nothing: only a debug build can be told to panic.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(super) fn provoke() {}
