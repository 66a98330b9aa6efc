//! What becomes of a guest's WebAssembly: which features it may use, and what its machine code has.

use std::ffi::OsString;
use std::num::NonZeroUsize;

use milepost_core::limits;
use wasmtime::{Config, WasmBacktraceDetails, WasmFeatures};

/// What guests may use of WebAssembly. Everything else is off, also what later versions of wasmtime bring. Several memories
/// are there because the code between two components that are linked into one needs both of theirs.
const FEATURES: WasmFeatures = WasmFeatures::FLOATS
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::COMPONENT_MODEL);
/// Stack of an attempt's fiber: the guest's share and as much again for host functions.
const FIBER_STACK: usize = 2 * limits::STACK_BYTES;

/// Address space that a memory of checked code has beyond what it needs, so that not every growth moves it.
const GROWTH: u64 = 1024 * 1024;

/// What the code of guests has beside what all code of guests has. Both make it slower.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct GuestCode {
    /// It counts its fuel.
    pub(super) metered: bool,
    /// It checks every access to memory by itself, instead of relying on gigabytes of reserved address space behind it.
    pub(super) checked: bool,
}

const METERED: &str = "metered";
const CHECKED: &str = "checked";

impl GuestCode {
    /// Words by which a compiler in another process knows it.
    pub(super) fn words(self) -> Vec<String> {
        let words = [(self.metered, METERED), (self.checked, CHECKED)];
        let said = words.into_iter().filter(|(says, _)| *says);
        said.map(|(_, word)| word.to_owned()).collect()
    }

    /// From those words, among others.
    pub(super) fn of_words(words: impl Iterator<Item = OsString>) -> Self {
        words.fold(Self::default(), |code, word| Self {
            metered: code.metered || word == METERED,
            checked: code.checked || word == CHECKED,
        })
    }

    /// The settings of an engine whose guests are such code.
    pub(super) fn config(self) -> Config {
        let mut config = Config::new();
        // The same input gives the same bytes on every machine.
        config.cranelift_nan_canonicalization(true);
        config.relaxed_simd_deterministic(true);
        config.wasm_features(WasmFeatures::all().difference(FEATURES), false);
        config.wasm_features(FEATURES, true);
        // One guest task at a time: switching this off saves a third of an isolated call.
        config.concurrency_support(false);
        config.epoch_interruption(true);
        config.consume_fuel(self.metered);
        if self.checked {
            config.memory_reservation(0);
            config.memory_reservation_for_growth(GROWTH);
            config.memory_guard_size(0);
        }
        config.max_wasm_stack(limits::STACK_BYTES);
        config.async_stack_size(FIBER_STACK);
        // Whoever made the component wrote its debug information: nothing here reads it, whatever the environment asks for.
        config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
        config.wasm_backtrace_max_frames(NonZeroUsize::new(limits::BACKTRACE_FRAMES));
        config
    }
}
