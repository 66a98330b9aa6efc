//! Orders in several currencies become a table in EUR: what the workflow `examples/api-report` needs beside the plugins that any workflow can
//! use, and a start for a plugin of one's own. `rates` keeps what it has asked in a bucket; `table` writes an artifact.

mod money;
mod rates;
mod table;

use milepost_sdk::{Schema, export};
use serde::Deserialize;

/// An order, as the API has it.
#[derive(Deserialize, Schema)]
#[schema(additionalProperties = true)]
struct Order {
    id: String,
    /// `2026-10-31`
    day: String,
    customer: String,
    /// `USD`
    currency: String,
    /// A decimal number: `12.50`.
    amount: String,
}

export! {
    name: "orders",
    version: env!("CARGO_PKG_VERSION"),
    description: "Orders in several currencies, as a table in EUR.",
    buckets: ["rates"],
    steps: [rates::Rates, table::Table],
}
