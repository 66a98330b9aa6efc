//! `milepost completions`: completion scripts.

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use super::args::Cli;
use super::context::{Context, Reply};
use super::documents::Completions;
use super::exit::Exit;
use super::failure::Failure;

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost completions bash > ~/.local/share/bash-completion/completions/milepost
  milepost completions fish > ~/.config/fish/completions/milepost.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs, cx: &Context) -> Result<Reply, Failure> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "milepost", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let document = || Completions {
        shell: args.shell.to_string(),
        script: script.clone(),
    };
    Ok(cx.reply(Exit::Completed, document, || script.clone()))
}
