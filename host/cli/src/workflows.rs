//! `milepost workflows`: the workflows that have a name.

use clap::Args;
use milepost::core::shown::Shown;

use super::context::{Context, Reply};
use super::documents::{self, NamedWorkflow};
use super::exit::Exit;
use super::failure::Failure;
use super::named::{self, Named, Source};
use super::table::Table;
use super::text::Text;

/// List the workflows that can be named
///
/// Lists the workflows that every verb takes by name: those in the nearest folder `workflows` at or above the working directory (project),
/// and those in `~/.config/milepost/workflows` (user). NAME is `NAME.toml` there, or the folder `NAME` with a `workflow.toml`.
///
/// What the project has hides what the user has under the same name.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost workflows
  milepost run report --input month=5
  milepost workflows --json | jq -r '.workflows[].name'")]
pub(crate) struct WorkflowsArgs {}

pub(super) fn run(_: &WorkflowsArgs, cx: &Context) -> Result<Reply, Failure> {
    let all = named::all()?;
    let document = || documents::Workflows {
        workflows: all.iter().map(document).collect(),
    };
    Ok(
        cx.reply(Exit::Completed, document, || match all.is_empty() {
            true => nothing().into(),
            false => table(&all),
        }),
    )
}

fn document(workflow: &Named) -> NamedWorkflow {
    NamedWorkflow {
        name: workflow.name.clone(),
        source: workflow.source.word(),
        file: workflow.file.display().to_string(),
        hidden: workflow.hidden,
    }
}

fn table(all: &[Named]) -> Text {
    let mut table = Table::new(["NAME", "SOURCE", "FILE"].map(Into::into));
    for workflow in all {
        let source = match workflow.hidden {
            true => "user, hidden by the project's".to_owned(),
            false => workflow.source.word().to_owned(),
        };
        table.row([
            workflow.name.as_str().into(),
            source.into(),
            workflow.file.display().to_string().into(),
        ]);
    }
    table.render()
}

fn nothing() -> String {
    let folders = named::folders();
    let of = |source| {
        let folder = folders.iter().find(|(of, _)| *of == source);
        folder.map(|(_, folder)| Shown(folder.display()).to_string())
    };
    let project = of(Source::Project).unwrap_or_else(|| named::FOLDER.to_owned());
    let user = of(Source::User).map_or_else(String::new, |user| {
        format!(", or for all projects into {user}")
    });
    format!("no workflows have a name; put definitions into {project}{user}")
}
