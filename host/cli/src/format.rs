//! Times, errors and foreign texts for people.

use std::time::Duration;

use milepost::core::limits::EXCERPT_BYTES;
use milepost::core::outcome::{ErrorClass, StepError};
use milepost::core::shown::{self, Shown, ShownLines};
use milepost::core::stop::StopCode;
use milepost::core::time::Timestamp;
use milepost::report::ItemsReport;

use super::backtrace;

/// A value in one line: the beginning and the size of a long one.
pub(crate) fn excerpt(value: &serde_json::Value) -> String {
    Shown(shown::excerpt(&value.to_string(), EXCERPT_BYTES)).to_string()
}

/// A length of time in at most two units: `12 ms`, `3.4 s`, `2m 05s`, `3h 20m`, `5d 4h`.
pub(crate) fn length(of: Duration) -> String {
    let (seconds, millis) = (of.as_secs(), of.as_millis());
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{}.{} s", seconds, millis % 1000 / 100),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// How long ago something was: `just now`, `4m ago`, `2d ago`.
pub(crate) fn ago(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.since(then).as_secs();
    match seconds {
        0..5 => "just now".to_owned(),
        5..60 => format!("{seconds}s ago"),
        60..3_600 => format!("{}m ago", seconds / 60),
        3_600..86_400 => format!("{}h ago", seconds / 3_600),
        _ => format!("{}d ago", seconds / 86_400),
    }
}

/// `1 step`, `2 steps`.
pub(crate) fn count(of: impl TryInto<u64>, what: &str) -> String {
    match of.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list(items: &[impl AsRef<str>]) -> String {
    let mut text = String::new();
    for (at, item) in items.iter().enumerate() {
        text.push_str(match (at, items.len() - at) {
            (0, _) => "",
            (_, 1) => " and ",
            _ => ", ",
        });
        text.push_str(item.as_ref());
    }
    text
}

/// `once`, `2 times`.
pub(crate) fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

/// How far ahead something is, in at most two units: `now`, `in 45s`, `in 1m 05s`, `in 2h`, `in 1d 12h`; the last one rounded up, so
/// that nobody comes too early.
pub(crate) fn ahead(now: Timestamp, then: Timestamp) -> String {
    let left = then.since(now);
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    let (minutes, hours) = (seconds.div_ceil(60), seconds.div_ceil(3_600));
    match (seconds, minutes) {
        (0, _) => "now".to_owned(),
        (..60, _) => format!("in {seconds}s"),
        (..3_600, _) if !seconds.is_multiple_of(60) => {
            format!("in {}m {:02}s", seconds / 60, seconds % 60)
        }
        (_, ..60) => format!("in {minutes}m"),
        (_, ..1_440) if !minutes.is_multiple_of(60) => {
            format!("in {}h {:02}m", minutes / 60, minutes % 60)
        }
        (_, ..1_440) => format!("in {}h", minutes / 60),
        _ if !hours.is_multiple_of(24) => format!("in {}d {}h", hours / 24, hours % 24),
        _ => format!("in {}d", hours / 24),
    }
}

/// What happens at the due time of a stop: `continues at ..`, `times out at ..`.
pub(crate) fn due(code: StopCode, at: Timestamp) -> String {
    let what = if code.times_out() {
        "times out"
    } else {
        "continues"
    };
    format!("{what} at {}", instant(at))
}

/// An instant to the second, UTC: `2026-03-01 14:05:09Z`.
pub(crate) fn instant(at: Timestamp) -> String {
    at.to_the_second()
}

/// `197 of 200 items, 3 failed, 1 waiting`: how the items of a fan-out stand.
pub(crate) fn items(items: &ItemsReport) -> String {
    let mut text = match items.pending() + items.running + items.waiting + items.paused {
        0 => count(items.total, "item"),
        _ => format!("{} of {}", items.settled(), count(items.total, "item")),
    };
    let counts = [
        (items.failed, "failed"),
        (items.cancelled, "cancelled"),
        (items.skipped, "skipped"),
        (items.running, "running"),
        (items.waiting, "waiting"),
        (items.paused, "paused"),
    ];
    for (number, word) in counts {
        if number > 0 {
            text.push_str(&format!(", {number} {word}"));
        }
    }
    text
}

/// Kind, code and message of an error: `retryable busy: the server is busy [acme]`. The usual kind goes without saying. Of a trap, the
/// backtrace only where `verbose`.
pub(crate) fn error(error: &StepError, verbose: bool) -> String {
    match error.class {
        ErrorClass::Trap if verbose => told(error, &backtrace::folded(&error.message)),
        ErrorClass::Trap => match backtrace::cut(&error.message) {
            (message, 0) => told(error, &message),
            (message, _) => told(error, &(message + "\n(`--verbose` shows the backtrace)")),
        },
        _ => told(error, &error.message),
    }
}

/// The same, without any backtrace.
pub(crate) fn error_alone(error: &StepError) -> String {
    match error.class {
        ErrorClass::Trap => told(error, &backtrace::cut(&error.message).0),
        _ => told(error, &error.message),
    }
}

fn told(error: &StepError, message: &str) -> String {
    let kind = match error.class {
        ErrorClass::Failed => "",
        ErrorClass::Retryable => "retryable ",
        ErrorClass::Trap => "trap ",
        ErrorClass::Timeout => "timeout ",
        ErrorClass::Host => "host ",
        ErrorClass::Definition => "definition ",
        ErrorClass::Cancelled => "",
    };
    let provider = error
        .provider
        .as_ref()
        .map(|name| format!(" [{}]", Shown(name)))
        .unwrap_or_default();
    // Most of them have the code of their kind.
    let kind = if kind.trim_end() == error.code {
        ""
    } else {
        kind
    };
    let code = Shown(&error.code);
    format!("{kind}{code}: {}{provider}", ShownLines(message))
}

/// The same, cut to one line: a trap brings a whole backtrace.
pub(crate) fn brief_error(of: &StepError) -> String {
    let told = told(of, &of.message);
    told.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_at_most_two_units() {
        for (millis, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1.0 s"),
            (59_960, "59.9 s"),
            (65_000, "1m 05s"),
            (3_600_000, "1h 00m"),
            (90_000_000, "1d 1h"),
        ] {
            assert_eq!(length(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn errors_name_their_kind_and_who_is_to_blame() {
        let mut error = StepError::new(ErrorClass::Retryable, "busy", "come back\nlater");
        error.provider = Some("acme".into());
        assert_eq!(
            super::error(&error, false),
            "retryable busy: come back\nlater [acme]"
        );
        assert_eq!(brief_error(&error), "retryable busy: come back");
        assert_eq!(
            brief_error(&StepError::new(ErrorClass::Failed, "broken", "")),
            "broken: "
        );
        let late = StepError::new(ErrorClass::Timeout, "timeout", "too slow");
        assert_eq!(brief_error(&late), "timeout: too slow");
    }

    #[test]
    fn instants_are_short_and_relative_ones_never_negative() {
        let at = Timestamp::from_nanos(1_700_000_000_123_000_000);
        assert_eq!(instant(at), "2023-11-14 22:13:20Z");
        assert_eq!(ago(at, at.after(Duration::from_secs(60))), "just now");
        assert_eq!(ago(at.after(Duration::from_secs(7_200)), at), "2h ago");
        for (millis, text) in [
            (0, "now"),
            (1, "in 1s"),
            (59_000, "in 59s"),
            (60_000, "in 1m"),
            (61_000, "in 1m 01s"),
            (3_599_001, "in 1h"),
            (3_600_000, "in 1h"),
            (3_601_000, "in 1h 01m"),
            (86_399_000, "in 1d"),
            (90_000_000, "in 1d 1h"),
            (172_799_999, "in 2d"),
        ] {
            let then = at.after(Duration::from_millis(millis));
            assert_eq!(ahead(at, then), text, "{millis}");
        }
        assert_eq!(ahead(at.after(Duration::from_secs(1)), at), "now");
    }
}
