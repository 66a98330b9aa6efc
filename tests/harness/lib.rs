//! What tests of the whole need: the real program in a clean environment, and the engine with scripted steps.

pub mod cli;
pub mod documents;
pub mod faulty;
pub mod now;
pub mod read_back;
pub mod recorder;
pub mod registry;
pub mod rig;
pub mod rng;
pub mod scripted;
pub mod session;
pub mod terminal;
pub mod values;

pub use milepost::store::{decorator, hand_on};
