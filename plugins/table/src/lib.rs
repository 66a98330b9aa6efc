//! Tables from CSV text: read, check, repair, let a person decide, compute.
//!
//! The steps are small on purpose, so that a workflow can put them together: a loop of `clean` and `validate` repairs what
//! mending the one problem uncovers of the next, `decide` stops for a person, `settle` does what was decided.

mod aggregate;
mod cell;
mod clean;
mod csv;
mod decide;
mod model;
mod validate;

#[cfg(test)]
mod tests;

use milepost_sdk::export;

use aggregate::Aggregate;
use clean::Clean;
use csv::Parse;
use decide::{Decide, Settle};
use validate::Validate;

export! {
    name: "table",
    version: env!("CARGO_PKG_VERSION"),
    description: "Tables from CSV text: read, check, repair, decide, compute.",
    steps: [Parse, Validate, Clean, Decide, Settle, Aggregate],
}
