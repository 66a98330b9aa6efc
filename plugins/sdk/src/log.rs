//! Lines in the step's log. The host keeps them with the attempt, bounded; a replay does not show them again.

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Finest.
    Trace,
    /// For the plugin's author.
    Debug,
    /// For whoever watches the run.
    Info,
    /// Odd, but the step goes on.
    Warn,
    /// Something went wrong.
    Error,
}

/// Logs a message for the plugin's author.
pub fn debug(message: &str) {
    event(Level::Debug, message, &[]);
}

/// Logs a message for whoever watches the run.
pub fn info(message: &str) {
    event(Level::Info, message, &[]);
}

/// Logs something odd.
pub fn warn(message: &str) {
    event(Level::Warn, message, &[]);
}

/// Logs that something went wrong. This does not fail the step; an [`Error`](crate::Error) does.
pub fn error(message: &str) {
    event(Level::Error, message, &[]);
}

/// Logs a message with fields, kept in the order given.
pub fn event(level: Level, message: &str, fields: &[(&str, &str)]) {
    #[cfg(target_family = "wasm")]
    {
        use crate::bindings::milepost::step::log;
        let level = match level {
            Level::Trace => log::Level::Trace,
            Level::Debug => log::Level::Debug,
            Level::Info => log::Level::Info,
            Level::Warn => log::Level::Warn,
            Level::Error => log::Level::Error,
        };
        let fields: Vec<(String, String)> = fields
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        log::emit(level, message, &fields);
    }
    #[cfg(not(target_family = "wasm"))]
    eprintln!("{level:?} {message} {fields:?}");
}
