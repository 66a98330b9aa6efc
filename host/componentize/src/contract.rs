//! The contract between host and guest, as it is released: a program that was installed alone has no other source of it.

/// The WIT package `milepost:step@0.1.0`.
pub const STEP_WIT: &str = include_str!("../../../wit/v0.1.0/step.wit");

/// The world that plugins are written for.
pub const WORLD: &str = "step";
