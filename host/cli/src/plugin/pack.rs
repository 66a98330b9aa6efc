//! `milepost plugin pack`: makes a component of what any compiler wrote, asks it for its manifest, once, and embeds the answer.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use milepost::core::shown::Shown;
use milepost::wasm::Inspection;
use milepost::wasm_plugins::is_script;
use milepost::wasm_plugins::oci_layout::{self, Reference};
use milepost_componentize::{CORE_WORLD, Encoding, Kept, Options, WORLD, Wasi, World};

use super::finish::{Finished, finish};
use crate::component;
use crate::context::{Context, Reply};
use crate::documents::Component;
use crate::exit::Exit;
use crate::failure::{Code, Failure};
use crate::registry::{self, RegistryArgs};
use milepost::whole_file;

/// Make a component complete: of a core module, with its manifest
///
/// Makes a component of what any compiler wrote, unless it is one, asks it for its manifest and writes it with the manifest
/// inside. Workflows can then be checked against the component's steps before anything runs.
///
/// Only the component's `describe` function is executed, with every capability switched off.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost plugin pack target/wasm32-wasip2/release/git.wasm -o plugins/git.wasm
  milepost plugin pack core.wasm -o words.wasm                 # a core module
  milepost plugin pack words.wat -o words.wasm             # in the text format
  milepost plugin pack words.js -o words.wasm                   # of a script
  milepost plugin pack as.wasm -o words.wasm --encoding utf16 # AssemblyScript
  milepost plugin pack words.wasm -o oci-layout:dist/words:1.0.0
  milepost plugin pack words.wasm -o oci:example.com/team/words:1.0.0   # push
  milepost plugin pack oci:example.com/team/words:1.0.0 -o words.wasm   # pull")]
pub(crate) struct PackArgs {
    /// The component, the core module, a script, `oci-layout:FOLDER[:TAG]`, or `oci:REGISTRY/REPOSITORY:TAG`
    component: PathBuf,
    /// File to write, which may be the same one; `oci-layout:FOLDER[:TAG]`, an OCI image layout; or `oci:REGISTRY/REPOSITORY:TAG`, to push it to a registry
    #[arg(long, short, value_name = "OUT")]
    output: PathBuf,
    #[command(flatten)]
    module: ModuleArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// How a core module becomes a component.
#[derive(Debug, Default, Args)]
pub(super) struct ModuleArgs {
    /// WIT that a core module was written for, when it does not say so itself [default: the contract's]
    #[arg(long, value_name = "FILE|DIR")]
    wit: Option<PathBuf>,
    /// World of `--wit`; without it of the contract: `step`, or `step-core`, which has what needs no grant [default: step]
    #[arg(long, value_name = "NAME")]
    world: Option<String>,
    /// How a core module keeps its strings
    #[arg(long, value_enum, default_value_t = StringsIn::Utf8)]
    encoding: StringsIn,
    /// What calls of WASI preview 1 lead to
    #[arg(long, value_enum, value_name = "WHERE")]
    wasi: Option<Preview1>,
    /// Claim in the manifest that the component imports nothing of WASI; refused where it does, now and whenever it is loaded
    #[arg(long)]
    pub(super) pure: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum StringsIn {
    /// As nearly every language does
    #[default]
    Utf8,
    /// As AssemblyScript does
    Utf16,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Preview1 {
    /// Nowhere: output is dropped, the clock does not go, random bytes are the same every time
    None,
    /// To WASI 0.2: output becomes lines of the log, clock and random bytes are recorded
    Reactor,
    /// To WASI 0.2, without files and environment
    Proxy,
}

impl ModuleArgs {
    /// The world that was named.
    ///
    /// # Errors
    /// [`Failure`] when the contract has no such world.
    pub(super) fn world(&self) -> Result<World, Failure> {
        match (&self.wit, self.world.as_deref()) {
            (Some(wit), _) => Ok(World::Of {
                // Compilers run in the folder of the plugin.
                wit: std::path::absolute(wit).unwrap_or_else(|_| wit.clone()),
                world: self.world.clone(),
            }),
            (None, None | Some(WORLD)) => Ok(World::Step),
            (None, Some(CORE_WORLD)) => Ok(World::StepCore),
            (None, Some(other)) => {
                let message = format!("the contract has no world `{}`", Shown(other));
                Err(Failure::new(Code::Usage, message).help(format!(
                    "it has `{WORLD}` and `{CORE_WORLD}`; worlds of others are named together with `--wit`"
                )))
            }
        }
    }

    /// The options, with what a language needs where nothing was said.
    ///
    /// # Errors
    /// [`Failure`] as for the [world](Self::world).
    pub(super) fn options(&self, wasi: Wasi, encoding: Encoding) -> Result<Options, Failure> {
        Ok(Options {
            world: self.world()?,
            encoding: match self.encoding {
                StringsIn::Utf8 => encoding,
                StringsIn::Utf16 => Encoding::Utf16,
            },
            wasi: match self.wasi {
                Some(Preview1::None) => Wasi::None,
                Some(Preview1::Reactor) => Wasi::Reactor,
                Some(Preview1::Proxy) => Wasi::Proxy,
                None => wasi,
            },
        })
    }
}

pub(crate) fn run(args: &PackArgs, cx: &Context) -> Result<Reply, Failure> {
    let pushed_to = registry::reference(&args.output)?;
    let bytes = component::read_or_make(&args.component, args.registry, cx)?;
    let finished = if is_script(&args.component) {
        let inspection = Inspection::of(&bytes)?;
        Finished { bytes, inspection }
    } else {
        let options = args.module.options(Wasi::Reactor, Encoding::Utf8)?;
        // It is its author's: nothing that was left in it is taken out.
        finish(&bytes, &options, Kept::Debug, args.module.pure, cx)?
    };
    match args.output.to_str().and_then(Reference::parse) {
        _ if pushed_to.is_some() => {}
        Some(reference) => oci_layout::write(&reference, &finished.bytes).map_err(|error| {
            let output = Shown(args.output.display());
            Failure::new(Code::File, format!("cannot write {output}: {error}"))
        })?,
        None => whole_file::replace(&args.output, &finished.bytes)
            .map_err(|error| Failure::file("write", &args.output, &error))?,
    }
    if let Some(reference) = &pushed_to {
        let manifest = args.registry.asked().push(reference, &finished.bytes)?;
        cx.note(format!(
            "pushed {}, whose manifest is {manifest}",
            Shown(reference)
        ));
    }
    let inspection = finished.inspection;
    let document = || Component::new(&args.output, &inspection);
    Ok(cx.reply(Exit::Completed, document, || {
        component::text(&args.output, &inspection)
    }))
}
