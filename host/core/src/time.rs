//! Time as data: instants and durations that come in as arguments, never from a clock.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Nanoseconds since the Unix epoch, UTC. Written as RFC 3339 wherever a person or a program reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This instant plus `by`; stops at the far end of the range.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// This instant minus `by`; stops at the epoch.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// Time from `earlier` to this instant; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = UNIX_EPOCH + Duration::from_nanos(self.0);
        fmt::Display::fmt(&humantime::format_rfc3339_nanos(time), f)
    }
}

/// A text that is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a point in time; write RFC 3339 text such as \"2026-03-01T09:00:00Z\"")]
pub struct InvalidTimestamp(String);

impl std::str::FromStr for Timestamp {
    type Err = InvalidTimestamp;
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        rfc_3339(text).ok_or_else(|| InvalidTimestamp(text.to_owned()))
    }
}

/// Reads a point in time in UTC or with an offset, which the parser of times does not know.
fn rfc_3339(text: &str) -> Option<Timestamp> {
    if let Ok(time) = humantime::parse_rfc3339(text) {
        return Some(time.into());
    }
    let (local, offset) = text.split_at_checked(text.len().checked_sub("+00:00".len())?)?;
    if !local.ends_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let number = |digits: &str, below: u64| -> Option<u64> {
        let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        let number: u64 = plain.then(|| digits.parse().ok()).flatten()?;
        (number < below).then_some(number)
    };
    let offset_by = Duration::from_secs(number(hours, 24)? * 3_600 + number(minutes, 60)? * 60);
    let local = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    match offset.as_bytes()[0] {
        b'+' => local.checked_sub(offset_by),
        b'-' => local.checked_add(offset_by),
        _ => None,
    }
    .map(Timestamp::from)
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text)
            .map(Self::from)
            .map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a duration; write a whole number and one of ms, s, m, h, d, such as \"250ms\", \"30s\" or \"5m\""
)]
pub struct InvalidDuration(String);

/// Parses a duration with its unit: `250ms`, `30s`, `5m`, `24h`, `7d`.
///
/// # Errors
/// [`InvalidDuration`] on a bare number, an unknown unit, a fraction, or a value beyond 1,000 years.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    const LONGEST: Duration = Duration::from_secs(1_000 * 365 * 86_400);
    let bad = || InvalidDuration(text.to_owned());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let amount: u64 = text[..digits].parse().map_err(|_| bad())?;
    let millis_per_unit = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(bad()),
    };
    let millis = amount.checked_mul(millis_per_unit).ok_or_else(bad)?;
    Some(Duration::from_millis(millis))
        .filter(|d| *d <= LONGEST)
        .ok_or_else(bad)
}

/// Writes a duration the way a definition would: the largest unit that divides it (`90s`, `5m`, `250ms`).
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, size) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ] {
        if millis >= size && millis.is_multiple_of(size) {
            return format!("{}{unit}", millis / size);
        }
    }
    format!("{millis}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("24h"), Ok(Duration::from_secs(86_400)));
        for text in [
            "",
            "30",
            "1.5s",
            "-1s",
            "s",
            "5 m",
            "1w",
            "99999999999999999999s",
            "9999999999999h",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        for text in ["250ms", "90s", "5m", "24h", "7d"] {
            let parsed = parse_duration(text).map(format_duration);
            assert!(parsed.is_ok());
        }
        assert_eq!(format_duration(Duration::from_secs(90)), "90s");
        assert_eq!(format_duration(Duration::ZERO), "0ms");
    }

    #[test]
    fn points_in_time_may_have_an_offset() {
        let nanos = |text: &str| text.parse().map(Timestamp::as_nanos);
        let expected = Ok(1_772_352_000_500_000_000);
        for text in [
            "2026-03-01T08:00:00.5Z",
            "2026-03-01T09:30:00.5+01:30",
            "2026-03-01T00:00:00.5-08:00",
            "2026-03-01T08:00:00.5+00:00",
        ] {
            assert_eq!(nanos(text), expected, "{text}");
        }
        for text in [
            "",
            "+01:00",
            "2026-03-01",
            "2026-03-01T08:00:00",
            "2026-03-01T08:00:00+01",
            "2026-03-01T08:00:00+24:00",
            "2026-03-01T08:00:00+01:60",
            "2026-03-01T08:00:00+-1:00",
            "2026-03-01T08:00:00Z+01:00",
            "2026-03-01T08:00:00é1:00",
            "tomorrow",
        ] {
            assert!(nanos(text).is_err(), "{text}");
        }
    }

    #[test]
    fn timestamps_read_as_rfc_3339() -> Result<(), serde_json::Error> {
        let at = Timestamp::from_nanos(1_700_000_000_123_000_000);
        let text = serde_json::to_string(&at)?;
        assert_eq!(text, "\"2023-11-14T22:13:20.123000000Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&text)?, at);
        Ok(())
    }
}
