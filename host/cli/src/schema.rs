//! `milepost schema`: the JSON Schema of definitions, those of files of tests and of manifests, and that of documents.

use clap::Args;
use milepost::core::definition::json_schema;
use milepost::testing;

use super::context::{Context, Reply, pretty};
use super::documents;
use super::exit::Exit;
use super::failure::Failure;

/// Print the JSON Schema of definitions, for editors
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost schema > workflow.schema.json  # named by `#:schema` on line 1
  milepost schema --tests > tests.schema.json    # for *.test.toml
  milepost schema --manifest > manifest.schema.json    # what `describe` returns
  milepost schema --documents | jq .verbs")]
pub(crate) struct SchemaArgs {
    /// Print the schema of the documents that `--json` prints, and which verb prints which one
    #[arg(long)]
    documents: bool,
    /// Print the schema of files of tests (`*.test.toml`)
    #[arg(long, conflicts_with = "documents")]
    tests: bool,
    /// Print the schema of the manifest of a plugin: what its `describe` returns, and what a component carries
    #[arg(long, conflicts_with_all = ["documents", "tests"])]
    manifest: bool,
}

pub(super) fn run(args: &SchemaArgs, cx: &Context) -> Result<Reply, Failure> {
    let schema = match (args.documents, args.tests, args.manifest) {
        (true, _, _) => documents::schema(),
        (_, true, _) => testing::json_schema(),
        (_, _, true) => documents::manifest_schema(),
        (false, false, false) => json_schema(),
    };
    Ok(cx.reply(Exit::Completed, || &schema, || pretty(&schema)))
}
