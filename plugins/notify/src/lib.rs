//! Tells others by webhook. A message that was taken is not sent again, whatever interrupts the step afterwards; where it is not known
//! whether it was, it is sent again with the same idempotency key.

use std::collections::BTreeMap;
use std::time::Duration;

use milepost_sdk::http::Request;
use milepost_sdk::{Context, Result, Schema, Step, export, memo, secrets};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct WebhookInput {
    url: String,
    /// The message: any JSON, such as `{ text = ".." }`.
    payload: Value,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Name of a secret that is sent as `authorization: Bearer ..`.
    bearer: Option<String>,
    /// Milliseconds that an answer may take: 30,000 when left out.
    timeout_ms: Option<u64>,
}

#[derive(Serialize, Deserialize, Schema)]
struct Delivered {
    status: u16,
    /// The attempt in which it was.
    attempt: u32,
}

struct Webhook;

impl Step for Webhook {
    const NAME: &'static str = "webhook";
    const DESCRIPTION: &'static str = "Posts a message as JSON, and does so once.";
    type Input = WebhookInput;
    type Output = Delivered;

    fn run(input: WebhookInput, ctx: &Context) -> Result<Delivered> {
        memo::once("delivered", || deliver(&input, ctx))
    }
}

fn deliver(input: &WebhookInput, ctx: &Context) -> Result<Delivered> {
    let mut request = Request::post(&input.url).context(ctx).json(&input.payload);
    for (name, value) in &input.headers {
        request = request.header(name, value.as_str());
    }
    if let Some(name) = &input.bearer {
        let stand_in = secrets::placeholder(name)?;
        request = request.header("authorization", format!("Bearer {stand_in}"));
    }
    if let Some(millis) = input.timeout_ms {
        request = request.timeout(Duration::from_millis(millis));
    }
    let response = request.send()?.checked()?;
    Ok(Delivered {
        status: response.status(),
        attempt: ctx.attempt(),
    })
}

export! {
    name: "notify",
    version: env!("CARGO_PKG_VERSION"),
    description: "Tells others by webhook, once.",
    steps: [Webhook],
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::cell::Cell;
    use std::rc::Rc;

    use milepost_sdk::http::{self, Response};

    use super::*;

    #[test]
    fn a_message_that_was_taken_is_not_sent_again() {
        let sent = Rc::new(Cell::new(0));
        let counted = Rc::clone(&sent);
        http::answer(move |request| {
            counted.set(counted.get() + 1);
            assert_eq!(request.bytes(), Some(&br#"{"text":"done"}"#[..]));
            assert!(
                request
                    .headers()
                    .iter()
                    .any(|(name, _)| name == "idempotency-key")
            );
            Ok(Response::new(if counted.get() == 1 { 502 } else { 202 }))
        });
        let input = r#"{"url":"https://hooks.test/1","payload":{"text":"done"}}"#;
        let attempt = |n| PLUGIN.run("webhook", input, &Context::fake().with_attempt(n));
        assert!(
            attempt(1)
                .unwrap_err()
                .to_string()
                .contains("retryable (http-502)")
        );
        assert_eq!(attempt(2).unwrap(), r#"{"status":202,"attempt":2}"#);
        assert_eq!(attempt(3).unwrap(), r#"{"status":202,"attempt":2}"#);
        assert_eq!(sent.get(), 2);
    }
}
