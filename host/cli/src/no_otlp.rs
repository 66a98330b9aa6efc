//! `--otlp` in a program that was built without it: it says so, rather than that it does not know the option.

use tracing::Subscriber;
use tracing_subscriber::layer::Layer;

use super::failure::{Code, Failure};

/// There is none.
pub(crate) enum Exporter {}

/// What would hear of spans.
pub(crate) enum Spans {}

impl<S: Subscriber> Layer<S> for Spans {}

impl Exporter {
    /// # Errors
    /// Always.
    pub(crate) fn to(_: &str) -> Result<Self, Failure> {
        let message = "this build of milepost exports no spans: `--otlp` cannot be used";
        Err(Failure::new(Code::Usage, message)
            .help("build it with `cargo build -p milepost-cli --features otlp`"))
    }

    pub(crate) fn layer(&self) -> Spans {
        match *self {}
    }
}
