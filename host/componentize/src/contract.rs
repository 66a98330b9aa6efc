//! The contract between host and guest, as it is released: a program that was installed alone has no other source of it.

/// The WIT package `milepost:step@0.1.0`.
pub const STEP_WIT: &str = include_str!("../../../wit/v0.1.0/step.wit");

/// The rest of that package: its smaller world. It stands beside the other text, so that both together are a text, too.
pub const CORE_WIT: &str = include_str!("../../../wit/v0.1.0/core.wit");

/// The world that plugins are written for.
pub const WORLD: &str = "step";

/// The part of it that needs no grant.
pub const CORE_WORLD: &str = "step-core";
