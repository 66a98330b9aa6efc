//! RFC 3339 as text, in its full range: years 0 to 9999, any offset, any number of digits, leap seconds.

/// Nanoseconds since the Unix epoch; `None` when the text is no such time.
pub(super) fn nanos(text: &str) -> Option<i128> {
    let mut text = Rest(text.as_bytes());
    let year = text.number(4)?;
    let month = text.after(b"-")?.number(2)?;
    let day = text.after(b"-")?.number(2)?;
    let hour = text.after(b"Tt ")?.number(2)?;
    let minute = text.after(b":")?.number(2)?;
    let second = text.after(b":")?.number(2)?;
    let fraction = text.fraction()?;
    let offset = text.offset()?;
    let exists = (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !exists || !text.0.is_empty() {
        return None;
    }
    let seconds = days_to(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    // Leap seconds stand at the end of a day in UTC; as a count they are the beginning of the next one.
    if second == 60 && seconds % 86_400 != 0 {
        return None;
    }
    Some(i128::from(seconds) * 1_000_000_000 + i128::from(fraction))
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0, |sum, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + i64::from(byte - b'0'))
        })
    }

    /// Past the next byte, which is one of these.
    fn after(&mut self, expected: &[u8]) -> Option<&mut Self> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        expected.contains(first).then_some(self)
    }

    /// Nanoseconds; what is beyond them counts as one more.
    fn fraction(&mut self) -> Option<i64> {
        if self.0.first() != Some(&b'.') {
            return Some(0);
        }
        self.after(b".")?;
        let count = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let nanos = (0..9).fold(0, |sum, place| {
            let digit = digits.get(place).map_or(0, |byte| byte - b'0');
            sum * 10 + i64::from(digit)
        });
        let beyond = digits.iter().skip(9).any(|byte| *byte != b'0');
        (count > 0).then_some(nanos + i64::from(beyond))
    }

    /// Seconds that the written time is ahead of UTC.
    fn offset(&mut self) -> Option<i64> {
        let (sign, rest) = self.0.split_first()?;
        self.0 = rest;
        let sign = match sign {
            b'Z' | b'z' => return Some(0),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hours = self.number(2)?;
        let minutes = self.after(b":")?.number(2)?;
        (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
fn days_to(year: i64, month: i64, day: i64) -> i64 {
    // Years that ended before this one, from year 0, which was a leap year.
    let ended = year - 1;
    let leap_days = match year {
        0 => 0,
        _ => ended / 4 - ended / 100 + ended / 400 + 1,
    };
    let months: i64 = (1..month).map(|month| days_of(year, month)).sum();
    const EPOCH: i64 = 719_528;
    year * 365 + leap_days + months + day - 1 - EPOCH
}
