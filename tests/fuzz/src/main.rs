//! Writes components that chance made: `components FOLDER COUNT` gives COUNT files, and the same COUNT the same bytes.
//!
//! A third are components of every shape that the component model has, a third are steps whose code is made of random valid
//! instructions over all host functions, and a third carry such a module or component beside an honest step.

#[path = "../../../host/engine/tests/power/draws.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod draws;

use std::error::Error;
use std::path::Path;

use arbitrary::Unstructured;
use draws::Draws;
use wasm_smith::{Component, Config, Module};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve, WorldId};

/// The part of the contract that the host provides, and what a step has to export.
const WORLD: &str = "
package milepost:fuzz;
world step {
    import milepost:step/context@0.1.0;
    import milepost:step/config@0.1.0;
    import milepost:step/log@0.1.0;
    import milepost:step/progress@0.1.0;
    import milepost:step/clock@0.1.0;
    import milepost:step/random@0.1.0;
    export milepost:step/guest@0.1.0;
}
";
/// Bytes of chance that one of them is made of.
const CHANCE: usize = 4096;
/// The first bytes of a core module and of a component; what follows are sections.
const MODULE: u8 = 1;
const COMPONENT: u8 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, count] = arguments.as_slice() else {
        return Err("components FOLDER COUNT".into());
    };
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder)?;
    let world = World::new()?;
    for seed in 0..count.parse()? {
        let (kind, bytes) = world.component(seed)?;
        std::fs::write(folder.join(format!("{seed:06}-{kind}.wasm")), bytes)?;
    }
    Ok(())
}

/// What a step may import and must export.
struct World {
    resolve: Resolve,
    id: WorldId,
    /// A core module with exactly those imports and exports.
    shape: Vec<u8>,
    /// A step that traps when it is called.
    honest: Vec<u8>,
}

impl World {
    fn new() -> Result<Self, Box<dyn Error>> {
        let mut resolve = Resolve::default();
        let contract = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/v0.1.0");
        resolve.push_path(contract)?;
        let package = resolve.push_str("fuzz.wit", WORLD)?;
        let id = resolve.select_world(&[package], Some("step"))?;
        let shape = dummy_module(
            &resolve,
            id,
            ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync),
        );
        let mut world = Self {
            resolve,
            id,
            honest: Vec::new(),
            shape,
        };
        world.honest = world.encode(world.shape.clone())?;
        Ok(world)
    }

    fn encode(&self, mut module: Vec<u8>) -> Result<Vec<u8>, Box<dyn Error>> {
        embed_component_metadata(&mut module, &self.resolve, self.id, StringEncoding::UTF8)?;
        Ok(ComponentEncoder::default().module(&module)?.encode()?)
    }

    /// The component of a seed, and the word for its kind.
    fn component(&self, seed: u64) -> Result<(&'static str, Vec<u8>), Box<dyn Error>> {
        let mut draws = Draws(seed);
        let chance: Vec<u8> = (0..CHANCE).map(|_| draws.next() as u8).collect();
        let mut chance = Unstructured::new(&chance);
        Ok(match seed % 3 {
            0 => ("any", Component::new(config(), &mut chance)?.to_bytes()),
            1 => {
                let module = Module::new(self.step(), &mut chance)?.to_bytes();
                ("step", self.encode(module)?)
            }
            _ => {
                let (id, content) = if draws.chance(50) {
                    (MODULE, Module::new(config(), &mut chance)?.to_bytes())
                } else {
                    (COMPONENT, Component::new(config(), &mut chance)?.to_bytes())
                };
                ("beside", with_section(&self.honest, id, &content))
            }
        })
    }

    /// Modules that are a step of the contract.
    fn step(&self) -> Config {
        Config {
            available_imports: Some(self.shape.clone()),
            exports: Some(self.shape.clone()),
            max_instructions: 400,
            min_funcs: 4,
            ..config()
        }
    }
}

/// The features that the host has on; those that it has off are refused by the first check and try nothing behind it.
fn config() -> Config {
    Config {
        custom_page_sizes_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        generate_custom_sections: true,
        max_memories: 4,
        max_tables: 8,
        memory64_enabled: false,
        // They would bring references to host objects, which need a garbage collector.
        reference_types_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    }
}

/// The same component with one more section.
fn with_section(component: &[u8], id: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = component.to_vec();
    bytes.push(id);
    let mut length = content.len();
    while length > 0x7f {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(content);
    bytes
}
