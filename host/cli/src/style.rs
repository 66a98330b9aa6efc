//! Colours, or none.

use milepost::core::state::Status;

use super::text::Text;

/// Puts texts in colour when its stream shows colours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    on: bool,
}

impl Style {
    /// `on`: whether there are colours at all.
    pub(crate) fn new(on: bool) -> Self {
        Self { on }
    }

    /// Whether there are colours.
    pub(crate) fn is_on(self) -> bool {
        self.on
    }

    fn paint(self, colour: &'static str, text: impl Into<Text>) -> Text {
        let text = text.into();
        if self.on { text.painted(colour) } else { text }
    }

    /// For what matters most.
    pub(crate) fn bold(self, text: impl Into<Text>) -> Text {
        self.paint("1", text)
    }

    /// For what matters least.
    pub(crate) fn dim(self, text: impl Into<Text>) -> Text {
        self.paint("2", text)
    }

    /// For failures.
    pub(crate) fn red(self, text: impl Into<Text>) -> Text {
        self.paint("1;31", text)
    }

    /// For successes.
    pub(crate) fn green(self, text: impl Into<Text>) -> Text {
        self.paint("32", text)
    }

    /// For warnings and pauses.
    pub(crate) fn yellow(self, text: impl Into<Text>) -> Text {
        self.paint("33", text)
    }

    /// A text in the colour of a run's status.
    pub(crate) fn status(self, status: Status, text: impl Into<Text>) -> Text {
        match status {
            Status::Completed => self.green(text),
            Status::Failed => self.red(text),
            Status::Paused => self.yellow(text),
            Status::Cancelled => self.dim(text),
            Status::Pending | Status::Running => self.bold(text),
        }
    }
}
