//! Milepost as its users see it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod cli;
mod crash;
mod examples;
mod engine;
mod card;
mod hostile;
mod prebuilt;
