//! `milepost plugin`: from an empty folder to a component that workflows can use.
//!
//! | file | idea |
//! |---|---|
//! | [`new`], [`templates`] | a folder to begin with, from files that the program carries |
//! | [`language`] | which language a folder is written in |
//! | [`tools`] | the programs of others: whether they are there, and what they said |
//! | [`compile`] | from sources to bytes, one language after the other |
//! | [`finish`] | from those bytes to a component with its manifest, checked |
//! | [`build`], [`test`] | both together; only if a source has changed, and then the tests |
//! | [`sources`] | the files that a plugin is made of, for who waits for changes of them |
//! | [`inspect`], [`pack`] | a component as it is |
//! | [`lock`], [`add`] | which components workflows may use |
//! | [`found`] | what those are, also in registries |

mod add;
mod build;
mod compile;
mod finish;
mod found;
pub(super) mod inspect;
pub(super) mod language;
mod lock;
mod new;
pub(super) mod pack;
pub(super) mod sources;
mod templates;
mod test;
mod tools;

use clap::{Args, Subcommand};

use super::context::{Context, Reply};
use super::failure::Failure;

/// Write plugins: begin, build, test, look into one, lock them
///
/// A plugin is a WebAssembly component whose functions workflows use as steps. It can be written in any language that compiles to
/// WebAssembly.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost plugin new words --lang rust
  milepost plugin build                         # the plugin in this folder
  milepost plugin test words --crash
  milepost plugin inspect words/words.wasm
  milepost plugin pack core.wasm -o words.wasm  # of any other build
  milepost plugin lock workflow.toml            # which components it may use")]
pub(crate) struct PluginArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    New(new::NewArgs),
    Build(build::BuildArgs),
    Test(test::TestArgs),
    Inspect(inspect::InspectArgs),
    Pack(pack::PackArgs),
    Add(add::AddArgs),
    Lock(lock::LockArgs),
    Update(lock::UpdateArgs),
}

pub(super) fn run(args: &PluginArgs, cx: &Context) -> Result<Reply, Failure> {
    match &args.what {
        What::New(args) => new::run(args, cx),
        What::Build(args) => build::run(args, cx),
        What::Test(args) => test::run(args, cx),
        What::Inspect(args) => inspect::run(args, cx),
        What::Pack(args) => pack::run(args, cx),
        What::Add(args) => add::run(args, cx),
        What::Lock(args) => lock::lock(args, cx),
        What::Update(args) => lock::update(args, cx),
    }
}
