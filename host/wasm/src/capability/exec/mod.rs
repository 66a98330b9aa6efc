//! Capability `exec`: programs of the machine, run as the workflow allows.

mod group;
pub(crate) mod process;
pub(crate) mod program;
mod tail;
