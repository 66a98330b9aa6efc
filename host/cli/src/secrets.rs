//! `milepost secrets`: which secrets a workflow needs, and which of them have no value.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use milepost::core::definition::{Around, Definition, Step};
use milepost::workflow::{OpenError, children, read_definition};

use super::context::{Context, Reply};
use super::documents::{self, Needed};
use super::exit::Exit;
use super::failure::Failure;
use super::named;
use super::table::Table;
use super::world_args::{Found, Provided, SecretArgs, advice};

/// Show which secrets a workflow needs
///
/// Shows which secrets the steps of a workflow and of its child workflows need, and where each has its value. Values are never
/// shown. A run whose step needs a secret without a value pauses before that step, with `secret_missing`.
///
/// Exit code 1 means that a value is missing or cannot be used.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost secrets workflow.toml
  milepost secrets workflow.toml --secrets production.toml
  milepost secrets notes.toml --json | jq '.secrets[] | select(.from == null)'")]
pub(crate) struct SecretsArgs {
    /// The definition, or the name of a workflow
    file: PathBuf,
    #[command(flatten)]
    secrets: SecretArgs,
}

/// Who needs a secret.
#[derive(Default)]
struct Need {
    steps: BTreeSet<String>,
    revealed: bool,
}

pub(super) fn run(args: &SecretsArgs, cx: &Context) -> Result<Reply, Failure> {
    let provided = args.secrets.read()?;
    let file = named::file(&args.file, cx)?;
    let text = read_definition(&file)?;
    let children = children(&file, &text, None);
    let around = Around {
        manifests: None,
        children: Some(&children),
    };
    let shown = file.display().to_string();
    let parsed = Definition::parse_with(&shown, &text, around).map_err(OpenError::from)?;
    let mut needs = BTreeMap::new();
    look(&parsed.definition, "", &mut needs);
    for (file, child) in parsed.definition.descendants() {
        look(child, &format!("{file}: "), &mut needs);
    }
    let secrets: Vec<Needed> = needs
        .into_iter()
        .map(|(name, need)| needed(name, need, &provided))
        .collect();
    let ok = secrets.iter().all(|secret| secret.from.is_some());
    let exit = match ok {
        true => Exit::Completed,
        false => Exit::Failed,
    };
    let lines = lines(&secrets);
    let document = || documents::Secrets {
        file: shown,
        ok,
        secrets,
    };
    Ok(cx.reply(exit, document, || lines))
}

fn needed(name: String, need: Need, provided: &Provided) -> Needed {
    let (from, problem) = match provided.find(&name) {
        Ok(Some((Found::File, _))) => (Some("file"), None),
        Ok(Some((Found::Environment, _))) => (Some("environment"), None),
        Ok(None) => (None, None),
        Err(problem) => (None, Some(problem)),
    };
    Needed {
        name,
        steps: need.steps.into_iter().collect(),
        revealed: need.revealed,
        from,
        problem,
    }
}

/// Adds what the steps of a definition need.
fn look(definition: &Definition, place: &str, needs: &mut BTreeMap<String, Need>) {
    let calls = definition
        .steps()
        .iter()
        .filter_map(|step| Some((step, step.call()?)));
    for (step, call) in calls {
        let own = (&call.plugin, &call.secrets, "");
        let undo = call.compensation.as_deref();
        let undo = undo.map(|undo| (&undo.plugin, &undo.secrets, "!compensate"));
        for (plugin, secrets, mark) in [Some(own), undo].into_iter().flatten() {
            let Step { id, .. } = step;
            for name in secrets {
                let need = needs.entry(name.to_string()).or_default();
                need.steps.insert(format!("{place}{id}{mark}"));
                let plugin = definition.plugins.get(plugin);
                need.revealed |=
                    plugin.is_some_and(|plugin| plugin.grants.secrets_reveal.contains(name));
            }
        }
    }
}

fn lines(secrets: &[Needed]) -> String {
    if secrets.is_empty() {
        return "the workflow needs no secrets".to_owned();
    }
    let mut table =
        Table::new(["SECRET", "VALUE", "SHOWN TO THE COMPONENT", "STEPS"].map(Into::into));
    for secret in secrets {
        let value = match (secret.from, &secret.problem) {
            (Some("file"), _) => "in the file",
            (Some(_), _) => "in the environment",
            (None, Some(_)) => "cannot be used",
            (None, None) => "missing",
        };
        let shown = if secret.revealed { "yes" } else { "no" };
        table.row([
            secret.name.as_str().into(),
            value.into(),
            shown.into(),
            secret.steps.join(", ").into(),
        ]);
    }
    let missing = secrets.iter().filter(|secret| secret.from.is_none());
    let help = missing.map(|secret| {
        let why = secret.problem.as_ref();
        let why = why
            .map(|problem| format!("{problem}; "))
            .unwrap_or_default();
        format!("\n{}: {why}{}", secret.name, advice(&secret.name))
    });
    let table = table.render();
    table.for_terminal() + &help.collect::<String>()
}
