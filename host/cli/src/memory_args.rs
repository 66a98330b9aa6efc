//! `--memory`: what the steps of a process may take together.

use clap::Args;
use milepost::core::definition::parse_size;
use milepost::wasm::MemoryBudget;

/// For verbs that drive runs.
#[derive(Debug, Args)]
pub(crate) struct MemoryArgs {
    /// Memory that all steps in flight may take together, such as `2GiB`; by default three quarters of the memory of the
    /// machine or control group. A step counts with its maximum, and waits until there is room
    #[arg(long, value_name = "SIZE", value_parser = budget)]
    memory: Option<MemoryBudget>,
}

impl MemoryArgs {
    /// What was given, or what suits this machine.
    pub(crate) fn budget(&self) -> MemoryBudget {
        self.memory.unwrap_or_else(MemoryBudget::of_this_machine)
    }
}

fn budget(text: &str) -> Result<MemoryBudget, String> {
    let bytes = parse_size(text).map_err(|error| error.to_string())?;
    MemoryBudget::new(bytes).map_err(|error| error.to_string())
}
