//! `--otlp`: the spans of runs for a collector that a person named. Nothing else of this program leaves the machine by itself.
//!
//! # Invariants
//! - Without the option there is no exporter, whatever the environment says: `OTEL_*` variables refine it, and are not read otherwise.
//! - Runs wait for no collector. Spans gather in a bounded queue for a thread of their own; what does not fit is dropped, and the end of
//!   the program waits for the rest for [`LAST_WAIT`] at most.
//! - That a collector cannot be reached is told once.
//! - The span of an attempt has the name that its guest was told ([`milepost::core::trace`]).

mod client;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use milepost::core::shown::Shown;
use milepost::core::trace::{attempt_span, trace_id};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, Key, KeyValue, Value};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, IdGenerator as _, RandomIdGenerator, SpanData, SpanEvents, SpanLinks,
    SpanProcessor as _,
};
use tokio::runtime::{Builder, Runtime};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Subscriber, warn};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use self::client::Client;
use super::drive::started;
use super::failure::{Code, Failure};

/// How long the end of the program waits for the collector.
const LAST_WAIT: Duration = Duration::from_secs(2);
/// Version of the names and meanings of what is exported; every export carries it.
const SCHEMA: i64 = 1;

/// Exports until it is dropped, and then what is left.
pub(crate) struct Exporter {
    processor: Arc<BatchSpanProcessor>,
    told: Arc<Told>,
    /// Where requests are sent. Dropped last.
    runtime: Option<Runtime>,
}

/// Whether it was told that the collector takes nothing.
struct Told {
    place: String,
    once: AtomicBool,
}

impl Told {
    fn tell(&self, why: &dyn fmt::Display) {
        if !self.once.swap(true, Ordering::Relaxed) {
            let why = Shown(why).to_string();
            let place = &self.place;
            warn!("spans cannot be delivered to {place}: {why}; runs go on without");
        }
    }
}

impl Exporter {
    /// Exports to the collector at `url`.
    ///
    /// # Errors
    /// [`Failure`] when that is no URL of one, or `OTEL_*` variables cannot be used.
    pub(crate) fn to(url: &str) -> Result<Self, Failure> {
        let url = endpoint(url)?;
        let unusable = |error: &dyn fmt::Display| {
            let message = format!("spans cannot be exported: {}", Shown(error));
            Failure::new(Code::Usage, message)
                .help("`OTEL_*` variables in the environment count with `--otlp`")
        };
        let mut kind = Builder::new_multi_thread();
        let runtime = started(kind.worker_threads(1).thread_name("otlp"))?;
        let told = Arc::new(Told {
            place: url.origin().ascii_serialization(),
            once: AtomicBool::new(false),
        });
        let client = Client::new(&url, runtime.handle().clone(), Arc::clone(&told));
        let client = client.map_err(|error| unusable(&error))?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url.as_str())
            .with_http_client(client)
            .build()
            .map_err(|error| unusable(&error))?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        processor.set_resource(&resource());
        Ok(Self {
            processor: Arc::new(processor),
            told,
            runtime: Some(runtime),
        })
    }

    /// What hears of spans.
    pub(crate) fn layer(&self) -> Spans {
        let scope = InstrumentationScope::builder("milepost")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        Spans {
            processor: Arc::clone(&self.processor),
            scope,
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        if self.processor.shutdown_with_timeout(LAST_WAIT).is_err() {
            self.told.tell(&"it does not answer");
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The address of spans at a collector: of one that is named without a path, the usual one.
fn endpoint(text: &str) -> Result<Url, Failure> {
    let refused = |why: String| {
        Failure::new(Code::Usage, format!("`--otlp {}`: {why}", Shown(text))).help(
            "name a collector that speaks OTLP over HTTP, such as `--otlp http://127.0.0.1:4318`",
        )
    };
    let mut url = Url::parse(text).map_err(|error| refused(format!("no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refused(
            "it begins with neither http:// nor https://".to_owned(),
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // Not with the text, which holds a password.
        return Err(
            Failure::new(Code::Usage, "`--otlp`: the URL holds a name or a password")
                .help("put what the collector asks for into OTEL_EXPORTER_OTLP_HEADERS"),
        );
    }
    if url.path() == "/" {
        url.set_path("/v1/traces");
    }
    Ok(url)
}

/// Who exports.
fn resource() -> Resource {
    let made = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("milepost.schema_version", SCHEMA));
    let named = made.build();
    let name = named.get(&Key::from_static_str("service.name"));
    match name.map(|name| name.to_string()) {
        Some(name) if !name.starts_with("unknown_service") => named,
        _ => Resource::builder()
            .with_attributes(
                named
                    .iter()
                    .map(|(key, value)| KeyValue::new(key.clone(), value.clone())),
            )
            .with_service_name("milepost")
            .build(),
    }
}

/// Turns the spans of the engine into those of a trace.
pub(crate) struct Spans {
    processor: Arc<BatchSpanProcessor>,
    scope: InstrumentationScope,
}

/// A span that has not ended.
struct Open {
    name: String,
    kind: SpanKind,
    trace: TraceId,
    id: SpanId,
    parent: SpanId,
    began: (SystemTime, Instant),
    fields: Fields,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        let Some(span) = cx.span(id) else {
            return;
        };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let around = span.parent().and_then(|parent| {
            let extensions = parent.extensions();
            extensions.get::<Open>().map(|open| (open.trace, open.id))
        });
        let open = Open::new(attributes.metadata().name(), around, fields);
        if let Some(open) = open {
            span.extensions_mut().insert(open);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        if let Some(span) = cx.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            values.record(&mut open.fields);
        }
    }

    fn on_close(&self, id: Id, cx: Context<'_, S>) {
        let open = cx
            .span(&id)
            .and_then(|span| span.extensions_mut().remove::<Open>());
        if let Some(open) = open {
            self.processor.on_end(open.ended(self.scope.clone()));
        }
    }
}

impl Open {
    /// `None` for what is no part of a run.
    fn new(span: &str, around: Option<(TraceId, SpanId)>, fields: Fields) -> Option<Self> {
        let random = || RandomIdGenerator::default().new_span_id();
        let (run, path) = (fields.text("milepost.run"), fields.text("milepost.path"));
        let step = path.rsplit('/').next().unwrap_or_default();
        let step = step.split(['[', '#', '!']).next().unwrap_or_default();
        let (name, trace, id, parent) = match (span, around) {
            // Each run has a trace of its own, also one that is driven for another one.
            ("run", _) => {
                let trace = TraceId::from_bytes(trace_id(&run));
                let name = format!("run {}", fields.text("milepost.workflow"));
                (name, trace, random(), SpanId::INVALID)
            }
            ("step", Some((trace, parent))) => (format!("step {step}"), trace, random(), parent),
            ("attempt", Some((trace, parent))) => {
                let number = fields.number("milepost.attempt");
                let id = SpanId::from_bytes(attempt_span(&run, &path, number));
                (format!("attempt {step}"), trace, id, parent)
            }
            ("host_call", Some((trace, parent))) => {
                let (interface, function) = (
                    fields.text("milepost.interface"),
                    fields.text("milepost.function"),
                );
                (format!("{interface}.{function}"), trace, random(), parent)
            }
            _ => return None,
        };
        let reaches_out = fields.text("milepost.interface") == "http";
        let mut fields = fields;
        fields
            .0
            .push(KeyValue::new("milepost.span", span.to_owned()));
        Some(Self {
            name,
            kind: match reaches_out {
                true => SpanKind::Client,
                false => SpanKind::Internal,
            },
            trace,
            id,
            parent,
            began: (SystemTime::now(), Instant::now()),
            fields,
        })
    }

    fn ended(self, scope: InstrumentationScope) -> SpanData {
        let (start_time, began) = self.began;
        let status = match self.fields.text("error.type") {
            error if error.is_empty() => Status::Unset,
            error => Status::error(error.into_owned()),
        };
        SpanData {
            span_context: SpanContext::new(
                self.trace,
                self.id,
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            ),
            parent_span_id: self.parent,
            parent_span_is_remote: false,
            span_kind: self.kind,
            name: Cow::Owned(self.name),
            start_time,
            // The wall clock may be set meanwhile.
            end_time: start_time + began.elapsed(),
            attributes: self.fields.0,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: scope,
        }
    }
}

/// Fields of a span, as attributes.
#[derive(Default)]
struct Fields(Vec<KeyValue>);

impl Fields {
    fn find(&self, name: &str) -> Option<&Value> {
        let found = self.0.iter().find(|known| known.key.as_str() == name);
        found.map(|known| &known.value)
    }

    fn text(&self, name: &str) -> Cow<'_, str> {
        self.find(name).map_or(Cow::Borrowed(""), Value::as_str)
    }

    fn number(&self, name: &str) -> u32 {
        match self.find(name) {
            Some(Value::I64(number)) => u32::try_from(*number).unwrap_or_default(),
            _ => 0,
        }
    }

    fn put(&mut self, field: &Field, value: Value) {
        let key = match field.name() {
            "error" => Cow::Borrowed("error.type"),
            name => Cow::Owned(format!("milepost.{name}")),
        };
        self.0.push(KeyValue::new(key, value));
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned().into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, i64::try_from(value).unwrap_or(i64::MAX).into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn a_collector_is_named_by_an_http_url_without_a_password() {
        for (text, url) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            (
                "https://otel.example.com/",
                "https://otel.example.com/v1/traces",
            ),
            ("http://h/otlp/v1/traces", "http://h/otlp/v1/traces"),
        ] {
            assert_eq!(endpoint(text).unwrap().as_str(), url);
        }
        for text in [
            "",
            "127.0.0.1:4318",
            "grpc://h",
            "http://",
            "http://me:secret@h",
        ] {
            let refused = endpoint(text).unwrap_err();
            assert!(!format!("{refused:?}").contains("secret"), "{text}");
        }
    }
}
