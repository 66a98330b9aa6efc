//! Milepost as its users see it.

mod cli;
