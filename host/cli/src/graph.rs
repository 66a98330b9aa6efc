//! `milepost graph`: the flow of a workflow, drawn.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use milepost::core::definition::{Definition, graph};
use milepost::workflow::read_definition;

use super::context::{Context, Reply};
use super::documents::Drawing;
use super::exit::Exit;
use super::failure::Failure;

/// Draw a workflow as an outline or a diagram
///
/// Draws a workflow. It needs no components.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost graph workflow.toml
  milepost graph workflow.toml --format mermaid > flow.mmd")]
pub(crate) struct GraphArgs {
    /// The definition
    file: PathBuf,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// An indented outline
    Text,
    /// A Mermaid flowchart
    Mermaid,
}

pub(super) fn run(args: &GraphArgs, cx: &Context) -> Result<Reply, Failure> {
    let text = read_definition(&args.file)?;
    let parsed = Definition::parse(&args.file.display().to_string(), &text)?;
    let (name, drawn) = match args.format {
        Format::Text => ("text", graph::text(&parsed.definition)),
        Format::Mermaid => ("mermaid", graph::mermaid(&parsed.definition)),
    };
    let document = || Drawing {
        workflow: parsed.definition.name.to_string(),
        format: name,
        graph: drawn.clone(),
    };
    Ok(cx.reply(Exit::Completed, document, || drawn.clone()))
}
