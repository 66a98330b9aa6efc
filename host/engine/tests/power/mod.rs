//! A machine whose power can be cut, and runs that live on it.

pub(crate) mod checks;
pub(crate) mod disk;
pub(crate) mod draws;
mod file;
mod handle;
pub(crate) mod history;
mod locks;
pub(crate) mod runs;
pub(crate) mod trouble;
mod vfs;
pub(crate) mod world;
