//! RFC 3339 as text. Read in its full range: years 0 to 9999, any offset, any number of digits, leap seconds. Written in UTC with all
//! nanoseconds; a record holds several times, so that writing one must not cost much.

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

/// The text of a time since the Unix epoch, in this room.
pub(super) fn text(nanos: u64, text: &mut [u8; 30]) -> &str {
    let (seconds, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let (year, month, day) = date(seconds / 86_400);
    *text = *b"0000-00-00T00:00:00.000000000Z";
    let mut write = |end: usize, mut number: u64| {
        let digits = text[..end].iter_mut().rev();
        for digit in digits.take_while(|byte| byte.is_ascii_digit()) {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    };
    write(4, year);
    write(7, month);
    write(10, day);
    write(13, seconds / 3_600 % 24);
    write(16, seconds / 60 % 60);
    write(19, seconds % 60);
    write(29, fraction);
    std::str::from_utf8(text).expect("digits and punctuation are text")
}

/// The day of the Gregorian calendar so many days after 1970-01-01, as year, month and day.
fn date(days: u64) -> (u64, u64, u64) {
    // Years that begin with March, from the year 0, end with the leap day; 400 of them always have as many days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Their months take turns of 153 days in five.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, begun) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (400 * era + year + begun, month, day)
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
