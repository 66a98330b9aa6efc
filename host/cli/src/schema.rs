//! `milepost schema`: the JSON Schema of definitions.

use milepost::core::definition::json_schema;

use super::context::{Context, Reply, pretty};
use super::exit::Exit;
use super::failure::Failure;

/// What follows the help of `schema`.
pub(super) const EXAMPLES: &str = "\
Examples:
  milepost schema > workflow.schema.json    # first line of a definition: #:schema ./workflow.schema.json";

pub(super) fn run(cx: &Context) -> Result<Reply, Failure> {
    let schema = json_schema();
    Ok(cx.reply(Exit::Completed, &schema, || pretty(&schema)))
}
