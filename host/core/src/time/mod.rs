//! Time as data: instants and durations that come in as arguments, never from a clock.

mod rfc3339;

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

impl Timestamp {
    /// For people: to the second, UTC, as `2026-03-01 14:05:09Z`.
    #[must_use]
    pub fn to_the_second(self) -> String {
        let mut buffer = [0; 30];
        let seconds = &rfc3339::text(self.0, &mut buffer)[..19];
        format!("{}Z", seconds.replace('T', " "))
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
        f.write_str(rfc3339::text(self.0, &mut [0; 30]))
    }
}

/// Why a text gives no point in time. The text is cut when it is long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTimestamp {
    /// It is not RFC 3339, or names a time that does not exist.
    #[error(
        "`{0}` is not a point in time; it must be RFC 3339 text such as \"2026-03-01T09:00:00Z\""
    )]
    Malformed(String),
    /// It is later than the last time that can be kept.
    #[error("`{0}` is too far away: the last time that can be kept is 2554-07-21T23:34:33Z")]
    TooLate(String),
}

impl std::str::FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Reads RFC 3339 in its full range. A time before 1970 counts as the beginning of 1970; digits beyond nanoseconds count
    /// as one nanosecond more, so that nothing is ever early; a leap second is the beginning of the next one.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        const SHOWN: usize = 64;
        let shown = || text.chars().take(SHOWN).collect();
        match rfc3339::nanos(text) {
            None => Err(InvalidTimestamp::Malformed(shown())),
            Some(nanos) => u64::try_from(nanos.max(0))
                .map(Self)
                .map_err(|_| InvalidTimestamp::TooLate(shown())),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(rfc3339::text(self.0, &mut [0; 30]))
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
    fn every_time_of_rfc_3339_is_read_or_refused() {
        let nanos = |text: &str| text.parse().map(Timestamp::as_nanos);
        let second = |text: &str| nanos(text).map(|nanos| nanos / 1_000_000_000);
        let late = |text: &str| Err(InvalidTimestamp::TooLate(text.to_owned()));
        assert_eq!(nanos("0000-01-01T00:00:00Z"), Ok(0));
        assert_eq!(nanos("1969-12-31T23:59:59.999Z"), Ok(0));
        assert_eq!(nanos("1970-01-01T00:00:00-00:01"), Ok(60_000_000_000));
        assert_eq!(second("2000-02-29T00:00:00Z"), Ok(951_782_400));
        assert_eq!(second("2100-03-01T00:00:00Z"), Ok(4_107_542_400));
        // A leap second is the beginning of the next one, never the one before it.
        assert_eq!(
            second("2016-12-31T23:59:60Z"),
            second("2017-01-01T00:00:00Z")
        );
        assert_eq!(second("2016-12-31T15:59:60-08:00"), Ok(1_483_228_800));
        assert_eq!(
            nanos("2026-03-01T08:00:00.0000000001Z"),
            Ok(1_772_352_000_000_000_001)
        );
        assert_eq!(
            nanos("2026-03-01T08:00:00.999999999999Z"),
            Ok(1_772_352_001_000_000_000)
        );
        assert_eq!(nanos("2554-07-21T23:34:33.709551615Z"), Ok(u64::MAX));
        for text in ["2554-07-21T23:34:33.709551616Z", "9999-12-31T23:59:59Z"] {
            assert_eq!(nanos(text), late(text));
        }
        for text in [
            "10000-01-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T23:60:00Z",
            "2026-01-01T12:00:60Z",
            "2026-01-01T23:59:61Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00,5Z",
            "2026-01-01T00:00:00.5",
            "2026-01-01T00:00Z",
            "-026-01-01T00:00:00Z",
            "2026-01-01T00:00:00Z ",
            "２０２６-01-01T00:00:00Z",
        ] {
            assert!(
                matches!(nanos(text), Err(InvalidTimestamp::Malformed(_))),
                "{text}"
            );
        }
        let long = "x".repeat(1_000_000);
        assert!(nanos(&long).is_err_and(|error| error.to_string().len() < 200));
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
            "2026-03-01t08:00:00.5z",
            "2026-03-01 08:00:00.500000000000Z",
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

    #[test]
    fn every_time_is_written_as_it_reads() {
        let day = 86_400_000_000_000;
        // Every day of the range, and every second and fraction of some.
        let days = (0..u64::MAX / day).flat_map(|days| [days * day, days * day + day - 1]);
        let others = (0..100_000).map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for nanos in days.chain(others).chain([u64::MAX]) {
            let time = UNIX_EPOCH + Duration::from_nanos(nanos);
            let expected = humantime::format_rfc3339_nanos(time).to_string();
            assert_eq!(Timestamp::from_nanos(nanos).to_string(), expected);
        }
    }
}
