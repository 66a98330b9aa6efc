//! What to do about a failure: a text with commands in it.

use milepost::core::shown;

/// A text with commands in it, before it is known how a person has to type them.
#[derive(Debug, Clone)]
pub(crate) struct Advice(Vec<Part>);

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Command(String),
}

impl<T: Into<String>> From<T> for Advice {
    fn from(text: T) -> Self {
        Self(vec![Part::Text(text.into())])
    }
}

/// An advice that begins with a command, from its verb on.
pub(crate) fn command(verb: impl Into<String>) -> Advice {
    Advice(vec![Part::Command(verb.into())])
}

impl Advice {
    /// The same, and then this text.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.0.push(Part::Text(text.into()));
        self
    }

    /// The same, and then this command, from its verb on.
    pub(crate) fn command(mut self, verb: impl Into<String>) -> Self {
        self.0.push(Part::Command(verb.into()));
        self
    }

    /// In words, with commands as this makes them of their verbs.
    pub(crate) fn words(&self, command: impl Fn(&str) -> String) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Command(verb) => format!("`{}`", command(verb)),
        });
        shown::message(parts.collect::<String>())
    }
}
