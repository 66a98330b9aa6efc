//! The pure core of Milepost.
//!
//! Everything that *decides* lives here: what a definition means, what an expression evaluates to, how an event changes a
//! run, and what a run does next. There is no clock, no I/O, no random source, no async runtime, no WebAssembly and no
//! database in this package; time and randomness are arguments. The engine, replay and every test drive the same code.
//!
//! Entry points: [`definition::Definition::parse`] turns text into a checked definition, [`state::RunState::apply`] folds
//! one event, [`decide::decide`] says what comes next.

pub mod checkpoint;
pub mod correction;
pub mod decide;
pub mod definition;
#[cfg(feature = "schema")]
mod described;
pub mod diagnostic;
pub mod dry_run;
pub mod effect;
pub mod event;
pub mod expr;
pub mod frontier;
pub mod function;
pub mod grants;
pub mod ids;
pub mod json;
pub mod json_schema;
pub mod labels;
pub mod limits;
pub mod lock;
mod open;
pub mod outcome;
pub mod payload;
pub mod question;
pub mod recovery;
pub mod registry;
pub mod replay;
pub mod request;
pub mod retry;
pub mod rules;
pub mod schedule;
pub mod scope;
pub mod shown;
pub mod state;
pub mod stop;
pub mod stored;
mod strict_json;
mod synonyms;
pub mod tape;
pub mod time;
pub mod trace;
pub mod wait;
pub mod within;
