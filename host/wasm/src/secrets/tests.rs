#![expect(clippy::unwrap_used, reason = "a test")]

use milepost_core::limits::MESSAGE_BYTES;
use milepost_core::outcome::{ErrorClass, Outcome, StepError};
use serde_json::json;

use super::*;

const TOKEN: &str = "s3cr&t/\"tök+en\\ 42";

fn secrets(values: &[(&str, &str)]) -> Secrets {
    let values = values.iter().map(|(name, value)| {
        let value = SecretValue::new(*value).unwrap();
        (Arc::from(*name), Some(value))
    });
    Secrets::new(7, values.collect())
}

#[test]
fn values_are_masked_in_every_encoding() {
    let secrets = secrets(&[("token", TOKEN), ("pin", "12345678")]);
    for (text, masked) in [
        ("a s3cr&t/\"tök+en\\ 42 b".to_owned(), "a ***token*** b"),
        (json!(TOKEN).to_string(), "\"***token***\""),
        (
            json!(json!(TOKEN).to_string()).to_string(),
            "\"\\\"***token***\\\"\"",
        ),
        (r#"s3cr&t/\"t\u00f6k+en\\ 42"#.to_owned(), "***token***"),
        (r#"s3cr&t\/\"tök+en\\ 42"#.to_owned(), "***token***"),
        (
            "s3cr%26t%2F%22t%C3%B6k%2Ben%5C%2042".to_owned(),
            "***token***",
        ),
        (
            "s3cr%26t%2f%22t%c3%b6k%2ben%5c%2042".to_owned(),
            "***token***",
        ),
        (
            "x=s3cr%26t%2F%22t%C3%B6k%2Ben%5C+42&y".to_owned(),
            "x=***token***&y",
        ),
        (
            "7333637226742f2274c3b66b2b656e5c203432".to_owned(),
            "***token***",
        ),
        (
            "7333637226742F2274C3B66B2B656E5C203432!".to_owned(),
            "***token***!",
        ),
        (
            "two: 12345678, 12345678".to_owned(),
            "two: ***pin***, ***pin***",
        ),
        ("nothing of it: s3cr&t".to_owned(), "nothing of it: s3cr&t"),
    ] {
        assert_eq!(secrets.mask(text.as_str()), masked, "{text}");
    }
    assert!(matches!(secrets.mask("plain"), Cow::Borrowed("plain")));
}

#[test]
fn values_are_masked_in_base64_wherever_they_stand_in_it() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

    let secrets = secrets(&[("token", "hunter2>>??tail")]);
    for before in ["", "u", "us", "use", "user:"] {
        for after in ["", "!", "!!", " and more"] {
            let text = format!("{before}hunter2>>??tail{after}");
            for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
                let encoded = engine.encode(&text);
                let masked = secrets.mask(encoded.as_str());
                assert!(masked.contains("***token***"), "{text}: {masked}");
                // At most the bits that the value shares with its neighbours.
                let plain = STANDARD.encode(before).len() + STANDARD.encode(after).len();
                assert!(masked.len() <= plain + 4 + "***token***".len(), "{masked}");
            }
        }
    }
}

#[test]
fn values_of_several_lines_are_masked_line_by_line() {
    let secrets = secrets(&[(
        "key",
        "-----BEGIN KEY-----\nMIIEvQIBADANBg\nabc\n-----END KEY-----\n",
    )]);
    assert_eq!(secrets.mask("line: MIIEvQIBADANBg"), "line: ***key***");
    assert_eq!(secrets.mask("abc"), "abc");
}

#[test]
fn a_text_that_is_cut_within_a_value_loses_the_part() {
    let secrets = secrets(&[("token", "abcdefgh")]);
    for (text, masked) in [
        ("say abcdefgh", "say ***token***"),
        ("say abcdefg", "say "),
        ("say a", "say "),
        ("say 6162636", "say "),
        ("say b", "say b"),
        ("abcdefgh abc", "***token*** "),
    ] {
        assert_eq!(secrets.mask_beginning(text), masked, "{text}");
    }
    // As the classifier cuts messages.
    let mut message = "x".repeat(MESSAGE_BYTES - 5) + "abcdefgh";
    message.truncate(MESSAGE_BYTES);
    let error = StepError::new(ErrorClass::Failed, "c", message);
    let (Outcome::Failed(error), _) = secrets.mask_outcome(Outcome::Failed(error)) else {
        panic!("an error stays one");
    };
    assert!(!error.message.contains("abc"));
}

#[test]
fn outcomes_are_masked_as_values_keys_and_numbers() {
    let secrets = secrets(&[
        ("token", "abcdefgh"),
        ("pin", "12345678"),
        ("unused", "zzzzzzzz"),
    ]);
    let output = json!({
        "text": "abcdefgh", "abcdefgh": [1, 12345678, 1.5, true, null], "nested": {"json": "[\"abcdefgh\"]"},
    });
    let (masked, found) = secrets.mask_outcome(Outcome::Completed(output));
    let expected = json!({
        "text": "***token***", "***token***": [1, "***pin***", 1.5, true, null],
        "nested": {"json": "[\"***token***\"]"},
    });
    assert_eq!(masked, Outcome::Completed(expected));
    assert_eq!(found, ["pin", "token"].map(Arc::from).into());
}

#[test]
fn stand_ins_are_of_the_attempt_and_filled_in_where_they_are_sent() {
    let ours = secrets(&[("token", "abcdefgh"), ("other", "ijklmnop")]);
    let stand_in = ours.stand_in("token").unwrap().to_owned();
    assert!(!stand_in.contains("abcdefgh"));
    assert_eq!(
        secrets(&[("token", "changed since")]).stand_in("token"),
        Some(&*stand_in)
    );
    let elsewhere = Secrets::new(8, BTreeMap::from([("token".into(), None)]));
    assert_ne!(elsewhere.stand_in("token"), Some(&*stand_in));
    let other = ours.stand_in("other").unwrap();
    let text = format!("Bearer {stand_in}, {other}");
    assert_eq!(
        ours.filled(text.as_bytes()),
        Some(b"Bearer abcdefgh, ijklmnop".to_vec())
    );
    assert_eq!(ours.filled(b"nothing"), None);
    assert_eq!(elsewhere.filled(text.as_bytes()), None);
    assert_eq!(ours.stand_in("third"), None);
    // What is filled in is not looked at again.
    let inner = Secrets::new(
        7,
        BTreeMap::from([
            ("token".into(), Some(SecretValue::new(other).unwrap())),
            ("other".into(), Some(SecretValue::new("ijklmnop").unwrap())),
        ]),
    );
    assert_eq!(
        inner.filled(stand_in.as_bytes()),
        Some(other.as_bytes().to_vec())
    );
}

#[test]
fn nothing_shows_a_value() {
    let value = SecretValue::new("abcdefgh").unwrap();
    let all = secrets(&[("token", "abcdefgh")]);
    assert_eq!(format!("{value:?} {all:?}"), "*** Secrets(..)");
    assert_eq!(SecretValue::new("abc"), Err(UnusableSecret::TooShort));
    assert_eq!(
        SecretValue::new("x".repeat(LONGEST + 1)),
        Err(UnusableSecret::TooLong)
    );
}

#[test]
fn what_is_kept_of_json_stays_json() {
    let secrets = secrets(&[("token", "abc\"defgh"), ("pin", "12345678")]);
    let text = json!({"a": "abc\"defgh", "b": [12345678, 1]}).to_string();
    let kept = secrets.kept_json(text, &mut |_| {});
    assert_eq!(kept, r#"{"a":"***token***","b":["***pin***",1]}"#);
    assert_eq!(
        secrets.kept_json("[1, 2]".to_owned(), &mut |_| {}),
        "[1, 2]"
    );
    assert_eq!(
        secrets.kept_json("{abc\"defgh".to_owned(), &mut |_| {}),
        "{***token***"
    );
}
