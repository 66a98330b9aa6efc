//! Amounts as whole numbers: sums of floats depend on their order.

/// Digits behind the decimal point of a rate.
const RATE_DIGITS: u32 = 6;

/// A decimal number with at most so many digits behind the point, in units of the last of them; `None` of any other text.
fn decimal(text: &str, digits: u32) -> Option<i64> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_decimal = is_number(whole.trim_start_matches('-')) && is_number(rest);
    if !is_decimal || whole.is_empty() || rest.len() > digits as usize {
        return None;
    }
    format!("{whole}{rest:0<width$}", width = digits as usize)
        .parse()
        .ok()
}

/// Hundredths of an amount.
pub(crate) fn cents(amount: &str) -> Option<i64> {
    decimal(amount, 2)
}

/// What so many hundredths are at a rate, in hundredths; half a cent counts as one.
pub(crate) fn convert(cents: i64, rate: &str) -> Option<i64> {
    let rate = i128::from(decimal(rate, RATE_DIGITS)?);
    let one = 10_i128.pow(RATE_DIGITS);
    let scaled = i128::from(cents) * rate * 2 + one;
    i64::try_from(scaled.div_euclid(one * 2)).ok()
}

/// As it is written: `1234.50`.
pub(crate) fn text(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

/// As a number, for reports. Exact up to 90 billions.
#[expect(clippy::cast_precision_loss, reason = "reports round anyway")]
pub(crate) fn number(cents: i64) -> f64 {
    cents as f64 / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly_or_not_at_all() {
        for (amount, expected) in [
            ("12.5", Some(1250)),
            ("12.50", Some(1250)),
            ("15400", Some(1_540_000)),
            ("-0.01", Some(-1)),
            ("0", Some(0)),
            ("1.005", None),
            ("1,5", None),
            ("", None),
            (".5", None),
            ("1e3", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(cents(amount), expected, "{amount:?}");
        }
    }

    #[test]
    fn amounts_are_converted_and_rounded_half_up() {
        for (cents, rate, expected) in [
            (1000, "0.923447", Some(923)),
            (1, "0.5", Some(1)),
            (-1, "0.5", Some(0)),
            (1_540_000, "0.006038", Some(9299)),
            (7, "1", Some(7)),
            (7, "1.0000001", None),
        ] {
            assert_eq!(convert(cents, rate), expected, "{cents} at {rate}");
        }
        assert_eq!(
            (text(-5), text(123_450)),
            ("-0.05".into(), "1234.50".into())
        );
    }
}
