//! `milepost graph`: the flow of a workflow, drawn, and how far a run has come in it.
//!
//! | file | idea |
//! |---|---|
//! | [`model`] | what a drawing shows: scopes of nodes and edges, in words that are safe to show |
//! | [`described`] | from a definition to that model |
//! | [`progress`] | how each step of a run stands, put into the model |
//! | [`layout`] | where the boxes of one scope are, in layers, and how the edges go |
//! | [`card`], [`measure`] | the lines inside a box, and how much room they take |
//! | [`place`] | boxes inside boxes, with absolute positions |
//! | [`text`], [`mermaid`], [`dot`], [`svg`] | the drawing in each format |
//!
//! # Invariants
//! - The same definition and the same run give the same bytes: there is no clock, no hash order and no floating point here.
//! - Where things are does not depend on how the run stands, so pictures of one run can be laid over each other.
//! - The model holds no control characters ([`shown`](milepost::core::shown)); a writer escapes what its format gives a meaning.

mod card;
mod described;
mod dot;
mod layout;
mod measure;
mod mermaid;
mod model;
mod place;
mod progress;
mod svg;
mod text;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use milepost::core::definition::Definition;
use milepost::engine::EngineError;
use milepost::record;
use milepost::report::RunReport;
use milepost::workflow::read_definition;

use self::model::Drawing;
use super::context::{Context, Reply};
use super::documents;
use super::drive::wait;
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::{ids, named};

/// Draw a workflow, or how far a run has come
///
/// Draws a workflow as an outline, a diagram or a picture. It needs no components.
///
/// With --run, every step shows how it stands in that run. Without a file, the definition that the run carries is drawn.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost graph workflow.toml
  milepost graph workflow.toml --format svg > flow.svg
  milepost graph workflow.toml --format mermaid > flow.mmd
  milepost graph workflow.toml --format dot | dot -Tpdf > flow.pdf
  milepost graph --run 7k3m
  milepost graph --run 7k3m --format svg > run.svg")]
pub(crate) struct GraphArgs {
    /// The definition
    #[arg(required_unless_present = "run")]
    file: Option<PathBuf>,
    /// Show how each step of this run stands: its id, or a unique prefix
    #[arg(long)]
    run: Option<String>,
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
    /// A graph for Graphviz
    Dot,
    /// A picture, for light and dark pages
    Svg,
}

pub(super) fn run(args: &GraphArgs, cx: &Context) -> Result<Reply, Failure> {
    let named = args.file.as_deref();
    let named = named
        .map(|file| read(&named::file(file, cx)?))
        .transpose()?;
    let (definition, report) = match (&args.run, named) {
        (Some(run), named) => {
            let (definition, report) = recorded(cx, run, named)?;
            (definition, Some(report))
        }
        (None, Some(definition)) => (definition, None),
        (None, None) => {
            let message = "there is nothing to draw: name a definition, or a run with `--run`";
            return Err(Failure::new(Code::Usage, message));
        }
    };
    let mut drawing = Drawing::new(&definition);
    if let Some(report) = &report {
        drawing.show(report);
    }
    let (name, drawn) = match args.format {
        Format::Text => ("text", text::plain(&drawing)),
        Format::Mermaid => ("mermaid", mermaid::draw(&drawing)),
        Format::Dot => ("dot", dot::draw(&drawing)),
        Format::Svg => ("svg", svg::draw(&drawing)),
    };
    let document = || documents::Drawing {
        workflow: definition.name.to_string(),
        format: name,
        graph: drawn.clone(),
    };
    Ok(cx.reply(Exit::Completed, document, || match args.format {
        Format::Text => text::painted(&drawing, cx.out),
        Format::Mermaid | Format::Dot | Format::Svg => drawn.as_str().into(),
    }))
}

fn read(file: &Path) -> Result<Definition, Failure> {
    let text = read_definition(file)?;
    let parsed = Definition::parse(&file.display().to_string(), &text)?;
    Ok(parsed.definition)
}

/// The definition to draw, and how the run stands in it.
fn recorded(
    cx: &Context,
    typed: &str,
    named: Option<Definition>,
) -> Result<(Definition, RunReport), Failure> {
    let engine = cx.engine_to_read()?;
    let store = engine.store();
    let run = ids::resolve(store.as_ref(), typed)?;
    let load = async { Ok::<_, EngineError>(record::load(store.as_ref(), &run).await?.state) };
    let state = wait(load)?;
    let definition = match named {
        Some(definition) => {
            if definition.source.digest != state.binding().definition {
                cx.warn(format!(
                    "run {run} carries another version of `{}`: its steps are found by their ids; \
                     without a file, what the run carries is drawn",
                    definition.source.file
                ));
            }
            definition
        }
        None => wait(engine.frozen(&state))?,
    };
    let report = RunReport::new(&definition, &state);
    Ok((definition, report))
}
