//! What currencies were worth on a day. That does not change any more, so all runs of a store share what one of them has asked.

use std::collections::{BTreeMap, BTreeSet};

use milepost_sdk::http::Request;
use milepost_sdk::kv::Bucket;
use milepost_sdk::{Context, Error, Result, Schema, Step, log};
use serde::{Deserialize, Serialize};

use crate::Order;

/// The bucket, which the workflow has to allow.
const BUCKET: &str = "rates";
/// What all is converted to.
pub(crate) const BASE: &str = "EUR";

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RatesInput {
    /// The rates of their currencies are found.
    orders: Vec<Order>,
    /// Where the API has rates: the rate of USD is at `{url}/USD?day={day}`.
    url: String,
    /// `2026-10-31`
    day: String,
}

#[derive(Serialize, Schema)]
pub(crate) struct RatesOutput {
    /// What one of a currency is worth in EUR: a decimal number.
    rates: BTreeMap<String, String>,
}

/// A rate, as the API has it.
#[derive(Deserialize)]
struct Answer {
    eur: String,
}

pub(crate) struct Rates;

impl Step for Rates {
    const NAME: &'static str = "rates";
    const DESCRIPTION: &'static str = "Finds what currencies are worth in EUR, and keeps that for all runs in the bucket `rates`.";
    type Input = RatesInput;
    type Output = RatesOutput;

    fn run(input: RatesInput, ctx: &Context) -> Result<RatesOutput> {
        let bucket = Bucket::open(BUCKET)?;
        let mut rates = BTreeMap::from([(BASE.to_owned(), "1".to_owned())]);
        let wanted: BTreeSet<&str> = input
            .orders
            .iter()
            .map(|order| order.currency.as_str())
            .collect();
        for currency in wanted.into_iter().filter(|currency| *currency != BASE) {
            let rate = rate(&bucket, &input, currency, ctx)?;
            rates.insert(currency.to_owned(), rate);
        }
        Ok(RatesOutput { rates })
    }
}

fn rate(bucket: &Bucket, input: &RatesInput, currency: &str, ctx: &Context) -> Result<String> {
    let is_code = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
    if !is_code {
        let message = format!("`{currency}` is no currency: it has to be like `USD`");
        return Err(Error::failed("invalid_order", message).into());
    }
    let key = format!("{}/{currency}", input.day);
    if let Some(known) = bucket.get_json(&key)? {
        log::info(&format!("{currency}: known"));
        return Ok(known);
    }
    let url = format!("{}/{currency}?day={}", input.url, input.day);
    let answer: Answer = Request::get(url).context(ctx).send()?.checked()?.json()?;
    // Kept before the next one is asked: an attempt that ends now does not ask for it again.
    bucket.put_json(&key, &answer.eur)?;
    log::info(&format!("{currency}: asked"));
    Ok(answer.eur)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::cell::RefCell;
    use std::rc::Rc;

    use milepost_sdk::http::{self, Response};

    use super::*;
    use crate::PLUGIN;

    #[test]
    fn a_rate_is_asked_for_once_over_attempts_and_runs() {
        let asked = Rc::new(RefCell::new(Vec::new()));
        let noted = Rc::clone(&asked);
        http::answer(move |request| {
            let mut asked = noted.borrow_mut();
            asked.push(request.url().to_owned());
            // The second request is refused.
            Ok(match asked.len() {
                2 => Response::new(429),
                n => Response::new(200).with_body(format!(r#"{{"eur":"0.{n}"}}"#)),
            })
        });
        let order = |currency| {
            format!(
                r#"{{"id":"1","day":"2026-10-01","customer":"c","currency":"{currency}","amount":"1"}}"#
            )
        };
        let orders = ["USD", "EUR", "CHF", "USD"].map(order).join(",");
        let input =
            format!(r#"{{"orders":[{orders}],"url":"https://api.test/rates","day":"2026-10-31"}}"#);
        let attempt = |n| PLUGIN.run("rates", &input, &Context::fake().with_attempt(n));
        let error = attempt(1).unwrap_err().to_string();
        assert!(error.contains("retryable (http-429)"), "{error}");
        let expected = r#"{"rates":{"CHF":"0.1","EUR":"1","USD":"0.3"}}"#;
        assert_eq!(attempt(2).unwrap(), expected);
        assert_eq!(attempt(1).unwrap(), expected);
        let urls = ["CHF", "USD", "USD"]
            .map(|code| format!("https://api.test/rates/{code}?day=2026-10-31"));
        assert_eq!(*asked.borrow(), urls);
    }

    #[test]
    fn what_is_no_currency_is_not_asked_for() {
        let input = r#"{"orders":[{"id":"1","day":"d","customer":"c","currency":"../x","amount":"1"}],"url":"https://api.test","day":"d"}"#;
        let error = PLUGIN
            .run("rates", input, &Context::fake())
            .unwrap_err()
            .to_string();
        assert!(error.contains("invalid_order"), "{error}");
    }
}
