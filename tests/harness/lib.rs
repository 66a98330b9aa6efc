//! What tests of the whole need: the real program in a clean environment.

pub mod cli;
