//! From a core module to a component: what `wasm-tools component embed` and `component new` do, in the program itself.
//!
//! | file | idea |
//! |---|---|
//! | `contract` | the contract as it is released, carried by the program |
//! | `module` | what a core module imports and exports, and what is wrong with it as a plugin |
//! | `strip` | a component without what only debuggers read |
//! | `nowasi.wat` | WASI preview 1 without a host: a module that needs files, clocks or random bytes only to start gets along with it |
//!
//! # Invariants
//! - Nothing is executed, and nothing is read but what is given.
//! - The same bytes and options give the same component.

mod contract;
mod module;
mod strip;

use wasi_preview1_component_adapter_provider as preview1;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

pub use contract::{CORE_WIT, CORE_WORLD, STEP_WIT, WORLD};
pub use strip::{Kept, strip};

use module::Module;

/// How a module becomes a component.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which interfaces the module was written for. A module that says so itself does not need it.
    pub world: World,
    /// How it keeps its strings.
    pub encoding: Encoding,
    /// What its calls of WASI preview 1 lead to.
    pub wasi: Wasi,
}

/// The interfaces that a module was written for.
#[derive(Debug, Clone, Default)]
pub enum World {
    /// The world `step` of the contract.
    #[default]
    Step,
    /// The world `step-core` of the contract: what needs no grant.
    StepCore,
    /// A world of a WIT package in a file or a folder.
    Of {
        /// The file or folder.
        wit: std::path::PathBuf,
        /// Name of the world; may be left out when there is only one.
        world: Option<String>,
    },
}

/// How a module keeps its strings in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// As nearly everything does.
    #[default]
    Utf8,
    /// As AssemblyScript does.
    Utf16,
}

/// What calls of WASI preview 1 lead to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wasi {
    /// Nothing outside of the component: output is dropped, the clock only moves when it is looked at, random bytes are
    /// the same every time, and there are no files.
    None,
    /// WASI 0.2, as a library sees it.
    #[default]
    Reactor,
    /// WASI 0.2 without files, environment and exit.
    Proxy,
}

/// Why bytes do not become a component.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// Neither a module nor a component, nor the text of one.
    #[error("it is not WebAssembly")]
    NotWasm,
    /// The text format has a mistake.
    #[error("its text cannot be assembled: {0}")]
    Text(String),
    /// The module is damaged.
    #[error("it is not a valid module: {0}")]
    Invalid(String),
    /// The module is a program, not a library.
    #[error("it is a program, which starts at `_start`, not a library of functions")]
    Command,
    /// The module needs something that no interface has.
    #[error("it imports `{name}` from `{from}`, which is neither an interface nor WASI preview 1")]
    Import {
        /// The module that it is imported from.
        from: String,
        /// What is imported.
        name: String,
    },
    /// The WIT could not be read, or has no such world.
    #[error("the WIT cannot be used: {0}")]
    Wit(String),
    /// The module does not have what the world wants, or has it with another type.
    #[error("it does not fit the world: {0}")]
    World(String),
}

impl Problem {
    /// What to do about it, when there is something to say.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::NotWasm => Some(
                "give the path of a component, of a core module, or of a module in the text format",
            ),
            Self::Text(_) => None,
            Self::Invalid(_) => Some("the file may be incomplete: build or copy it again"),
            Self::Command => Some(
                "build a library: C and C++ with `-mexec-model=reactor`, Go with `-buildmode=c-shared`, Rust with \
                 `crate-type = [\"cdylib\"]`",
            ),
            Self::Import { from, .. } if from == "env" => {
                Some("a function is declared and nowhere defined: link the library that has it")
            }
            Self::Import { from, .. } if from.starts_with("__wbindgen") => Some(
                "the module was built for JavaScript by wasm-bindgen: leave out the crates that need it",
            ),
            Self::Import { .. } => Some(
                "a plugin calls the interfaces of `milepost:step`, and no functions of a host of its own",
            ),
            Self::Wit(_) => Some("name a WIT file or folder, and one of its worlds"),
            Self::World(_) => Some(
                "the functions and their types stand in the WIT (`plugin new` puts it beside the sources); bindings that were \
                 generated from another version have to be generated again",
            ),
        }
    }
}

/// Whether the bytes are a component already.
#[must_use]
pub fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x0d\0\x01\0")
}

/// Makes a component of a core module. A component stays as it is; either may be given in the text format.
///
/// # Errors
/// [`Problem`] when that cannot be done.
pub fn componentize(bytes: &[u8], options: &Options) -> Result<Vec<u8>, Problem> {
    let binary = module::assembled(bytes)?;
    if is_component(&binary) {
        return Ok(binary.into_owned());
    }
    let found = Module::of(&binary)?;
    found.check()?;
    let mut core = binary.into_owned();
    if !found.names_its_world {
        let (resolve, world) = world(&options.world)?;
        let encoding = match options.encoding {
            Encoding::Utf8 => StringEncoding::UTF8,
            Encoding::Utf16 => StringEncoding::UTF16,
        };
        embed_component_metadata(&mut core, &resolve, world, encoding)
            .map_err(|error| Problem::World(format!("{error:#}")))?;
    }
    let encoder = ComponentEncoder::default()
        .validate(true)
        .module(&core)
        .map_err(|error| Problem::World(format!("{error:#}")))?;
    let adapter = match options.wasi {
        _ if !found.calls_preview1 => None,
        Wasi::None => Some(nowasi()),
        Wasi::Reactor => Some(preview1::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER.to_vec()),
        Wasi::Proxy => Some(preview1::WASI_SNAPSHOT_PREVIEW1_PROXY_ADAPTER.to_vec()),
    };
    let mut encoder = match adapter {
        Some(adapter) => encoder
            .adapter(preview1::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, &adapter)
            .map_err(|error| Problem::World(format!("{error:#}")))?,
        None => encoder,
    };
    encoder
        .encode()
        .map_err(|error| Problem::World(module::words(&error)))
}

fn world(world: &World) -> Result<(Resolve, WorldId), Problem> {
    let mut resolve = Resolve::default();
    let unusable = |error: anyhow::Error| Problem::Wit(format!("{error:#}"));
    let mut contract = || {
        let text = [STEP_WIT, CORE_WIT].concat();
        resolve.push_str("step.wit", &text).map_err(unusable)
    };
    let (package, name) = match world {
        World::Step => (contract()?, Some(WORLD)),
        World::StepCore => (contract()?, Some(CORE_WORLD)),
        World::Of { wit, world } => (
            resolve.push_path(wit).map_err(unusable)?.0,
            world.as_deref(),
        ),
    };
    let world = resolve.select_world(&[package], name).map_err(unusable)?;
    Ok((resolve, world))
}

/// The adapter without WASI, as bytes. Functions that a module does not call are left out of its component.
fn nowasi() -> Vec<u8> {
    wat::parse_str(include_str!("nowasi.wat")).expect("the tests assemble it")
}
