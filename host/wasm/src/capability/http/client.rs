//! The one client of a process. It knows no guest and no tape: a checked request goes in, a response comes out, and each hop on the
//! way is held to what is granted.

use std::error::Error as _;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Method;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::response::Parts;
use milepost_core::limits;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use url::Url;

use super::connect::{Connector, Resolve, SystemResolver};
use super::errors;
use super::lookup::{self, Lookups};
use super::pool::{Connection, Key, Pool, SWEEP, Whole};
use super::request::Request;
use super::room::Held;
use crate::host_error::HostError;

/// How guests reach the web: one for all of them. A clone is another handle on it. What it does happens on a thread of its own, which
/// starts with the first request.
#[derive(Clone)]
pub struct HttpClient {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    runtime: OnceLock<Runtime>,
    connector: Connector,
    pool: Pool,
}

/// How a client differs from one for every day.
#[derive(Clone, Default)]
pub struct HttpSettings {
    /// Who finds hosts, if not the machine.
    pub resolver: Option<Arc<dyn Resolve>>,
    /// Certificates (DER) of authorities that are trusted beside those of the machine.
    pub roots: Vec<Vec<u8>>,
}

/// What a request is held to, at each of its hops.
pub(crate) trait Policy: Send + Sync + 'static {
    /// Whether such a request is granted, and where its host may be.
    fn allows(&self, method: &Method, url: &Url) -> Result<Reach, HostError>;

    /// Whether a host may be reached at this address, which its name has led to.
    ///
    /// # Errors
    /// `denied` where the operator denies the address.
    fn allows_address(&self, host: &str, address: IpAddr) -> Result<(), HostError>;

    /// The same error of such a request, whose host is at no address that it may go to, with what would let it.
    fn not_public(&self, method: &Method, url: &Url, error: HostError) -> HostError;

    /// The text with its placeholders replaced by the secrets that they stand for; `None` where there is none.
    fn filled(&self, text: &[u8]) -> Option<Vec<u8>>;

    /// On whose behalf it is sent: askers take turns where they wait for the same thing.
    fn asker(&self) -> &Arc<str>;

    /// Whether such a request may carry secrets where others on the way can read them.
    ///
    /// # Errors
    /// `insecure-secret` where it may not.
    fn allows_bare_secrets(&self, method: &Method, url: &Url) -> Result<(), HostError>;
}

/// Where a host may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// On the public internet.
    Public,
    /// Anywhere.
    Anywhere,
}

/// What came back.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// The whole body, or its beginning.
    pub(crate) body: Vec<u8>,
    /// What does not fit into memory.
    pub(crate) rest: Option<Rest>,
    /// What of [`Request::arriving`] the body takes.
    _arriving: Option<Held>,
}

/// The rest of a body, still on its way. Dropped, its connection is closed.
pub(crate) struct Rest {
    host: String,
    incoming: Incoming,
    timeout: Duration,
    _connection: Connection,
}

impl Rest {
    /// Its next piece; `None` at the end. Each may take as long as the request was allowed to.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, HostError> {
        within(Some(self.timeout), next(&self.host, &mut self.incoming)).await
    }
}

impl Default for HttpClient {
    fn default() -> Self {
        Self::new(HttpSettings::default())
    }
}

impl HttpClient {
    /// A client; nothing starts yet.
    #[must_use]
    pub fn new(settings: HttpSettings) -> Self {
        Self {
            inner: Arc::new(Inner {
                runtime: OnceLock::new(),
                connector: Connector {
                    lookups: Lookups::new(
                        settings
                            .resolver
                            .unwrap_or_else(|| Arc::new(SystemResolver)),
                        lookup::PATIENCE,
                    ),
                    roots: settings.roots,
                    tls: OnceCell::new(),
                },
                pool: Pool::default(),
            }),
        }
    }

    /// Sends a request and follows redirects. Dropping the future ends it and closes its connection.
    ///
    /// # Errors
    /// See `errors`.
    pub(crate) async fn send(
        &self,
        request: Request,
        policy: Arc<dyn Policy>,
    ) -> Result<Response, HostError> {
        self.start(request, policy)?.await
    }

    /// Begins to send a request.
    ///
    /// # Errors
    /// When the client cannot be started.
    pub(crate) fn start(
        &self,
        request: Request,
        policy: Arc<dyn Policy>,
    ) -> Result<Sending, HostError> {
        let inner = Arc::clone(&self.inner);
        let exchange =
            async move { within(Some(request.timeout), exchange(&inner, request, &*policy)).await };
        self.begin(exchange)
    }

    /// Begins to do what takes a connection.
    ///
    /// # Errors
    /// When the client cannot be started.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        exchange: impl Future<Output = Result<T, HostError>> + Send + 'static,
    ) -> Result<Sending<T>, HostError> {
        Ok(Sending(self.runtime()?.spawn(exchange)))
    }

    fn runtime(&self) -> Result<&Runtime, HostError> {
        if let Some(runtime) = self.inner.runtime.get() {
            return Ok(runtime);
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            // Look-ups of names, and one that reads certificates.
            .max_blocking_threads(lookup::OF_ALL + 1)
            .thread_name("http")
            .enable_all()
            .build()
            .map_err(|error| {
                HostError::transient("connect", format!("the client cannot be started: {error}"))
            })?;
        if let Err(late) = self.inner.runtime.set(runtime) {
            late.shutdown_background();
        }
        Ok(self.inner.runtime.get().expect("it was set above"))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The last handle may be dropped in a place that must not wait.
            runtime.shutdown_background();
        }
    }
}

/// A request on its way. Dropped, it ends, and its connection is closed.
pub(crate) struct Sending<T = Response>(JoinHandle<Result<T, HostError>>);

impl<T> Future for Sending<T> {
    type Output = Result<T, HostError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|done| match done {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(HostError::transient("connect", "the client was shut down")),
            },
        })
    }
}

impl<T> Drop for Sending<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What comes in that time.
pub(super) async fn within<T>(
    time: Option<Duration>,
    done: impl Future<Output = Result<T, HostError>>,
) -> Result<T, HostError> {
    match time {
        None => done.await,
        Some(time) => tokio::time::timeout(time, done)
            .await
            .unwrap_or_else(|_| Err(errors::timeout(time))),
    }
}

pub(super) async fn exchange(
    inner: &Arc<Inner>,
    mut request: Request,
    policy: &dyn Policy,
) -> Result<Response, HostError> {
    let mut redirects = 0;
    loop {
        let (key, connection, response) = hop(inner, &request, policy).await?;
        let (head, body) = response.into_parts();
        let secret = |text: &[u8]| policy.filled(text).is_some();
        let Some(next) = request.redirected(head.status, &head.headers, secret)? else {
            return finish(inner, key, connection, head, body, &request).await;
        };
        redirects += 1;
        if redirects > limits::HTTP_REDIRECTS {
            return Err(errors::too_many_redirects());
        }
        request = next;
    }
}

/// One request to one place, on a connection that is at hand or a new one.
async fn hop(
    inner: &Arc<Inner>,
    request: &Request,
    policy: &dyn Policy,
) -> Result<(Key, Connection, hyper::Response<Incoming>), HostError> {
    let reach = policy.allows(&request.method, &request.url)?;
    let key = Key {
        origin: request.origin()?,
        private: reach == Reach::Anywhere,
    };
    let host = key.origin.host.to_string();
    if let Some(mut connection) = inner.pool.take(&key) {
        policy.allows_address(&host, connection.address)?;
        let sent =
            connection
                .sender
                .try_send_request(message(request, policy, connection.guarded)?);
        match within(request.times.first_byte, async { Ok(sent.await) }).await? {
            Ok(response) => return Ok((key, connection, response)),
            Err(mut failed) => {
                // The server may have closed it in this moment. What was not sent, or may be sent twice, goes another way.
                let unsent = failed.take_message().is_some();
                let error = failed.into_error();
                let stale = error.is_incomplete_message()
                    || error.is_canceled()
                    || error.is_closed()
                    || error.source().is_some_and(|cause| cause.is::<io::Error>());
                if !(unsent || stale && request.method.is_idempotent()) {
                    return Err(errors::exchange(&host, &error));
                }
            }
        }
    }
    let connecting = inner.connector.connect(&key, policy);
    let connected = within(request.times.connect, connecting).await;
    let mut connection = connected.map_err(|error| match &*error.code {
        errors::PRIVATE_ADDRESS => policy.not_public(&request.method, &request.url, error),
        _ => error,
    })?;
    let message = message(request, policy, connection.guarded)?;
    let sent = connection.sender.send_request(message);
    let response = within(request.times.first_byte, async {
        sent.await.map_err(|error| errors::exchange(&host, &error))
    });
    let response = response.await?;
    Ok((key, connection, response))
}

/// The request as it is sent: here, and nowhere before, secrets take the place of their placeholders. `guarded` tells whether nobody on the
/// way can read it.
pub(super) fn message(
    request: &Request,
    policy: &dyn Policy,
    guarded: bool,
) -> Result<hyper::Request<Whole>, HostError> {
    let filled = policy.filled(&request.body);
    let mut secret = filled.is_some();
    let body = filled.map_or_else(|| request.body.clone(), Bytes::from);
    let url = &request.url;
    let mut message = hyper::Request::new(Whole((!body.is_empty()).then_some(body)));
    *message.method_mut() = request.method.clone();
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    *message.uri_mut() = target
        .parse()
        .map_err(|error| errors::invalid(format!("the URL cannot be sent: {error}")))?;
    let host = match (url.host_str().unwrap_or_default(), url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    let value = |name: &HeaderName, text: &[u8]| {
        HeaderValue::from_bytes(text).map_err(|_| {
            errors::invalid(format!(
                "a secret in the header `{name}` has control characters in it, such as a line end"
            ))
        })
    };
    let headers = message.headers_mut();
    headers.insert(header::HOST, value(&header::HOST, host.as_bytes())?);
    for (name, text) in &request.headers {
        let text = match policy.filled(text.as_bytes()) {
            Some(filled) => {
                let mut text = value(name, &filled)?;
                text.set_sensitive(true);
                secret = true;
                text
            }
            None => text.clone(),
        };
        headers.append(name, text);
    }
    let agent = HeaderValue::from_static(concat!("milepost/", env!("CARGO_PKG_VERSION")));
    headers.entry(header::USER_AGENT).or_insert(agent);
    // Who asks for no encoding expects none; a server may choose one where nothing is said.
    let identity = HeaderValue::from_static("identity");
    headers
        .entry(header::ACCEPT_ENCODING)
        .or_insert_with(|| identity.clone());
    if secret {
        if !guarded {
            policy.allows_bare_secrets(&request.method, &request.url)?;
        }
        // What the server repeats of a secret can only be masked where it can be read.
        headers.insert(header::ACCEPT_ENCODING, identity);
    }
    Ok(message)
}

/// Takes the body in, as far as it may go, and keeps the connection when it has come to its end.
async fn finish(
    inner: &Arc<Inner>,
    key: Key,
    mut connection: Connection,
    head: Parts,
    mut incoming: Incoming,
    request: &Request,
) -> Result<Response, HostError> {
    let host = key.origin.host.to_string();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    let mut arriving = request.arriving.as_ref().map(|room| room.hold(0));
    let told = usize::try_from(incoming.size_hint().lower()).unwrap_or(usize::MAX);
    let mut body = Vec::with_capacity(told.min(limits::HTTP_BODY_BYTES));
    let whole = told <= limits::HTTP_BODY_BYTES
        && loop {
            let piece = next(&host, &mut incoming);
            let Some(piece) = within(request.times.between_bytes, piece).await? else {
                break true;
            };
            if arriving
                .as_mut()
                .is_some_and(|held| !held.grow(piece.len()))
            {
                return Err(errors::too_large(
                    "what is on its way to the step",
                    limits::HTTP_HELD_BYTES,
                ));
            }
            body.extend_from_slice(&piece);
            if body.len() > limits::HTTP_BODY_BYTES {
                break false;
            }
        };
    let rest = if whole {
        // At once, unless the server has more to say than it announced.
        let ready = tokio::time::timeout(Duration::from_millis(100), connection.sender.ready());
        if matches!(ready.await, Ok(Ok(()))) {
            keep(inner, key, connection);
        }
        None
    } else {
        Some(Rest {
            host,
            incoming,
            timeout: request.timeout,
            _connection: connection,
        })
    };
    Ok(Response {
        status: head.status.as_u16(),
        headers,
        body,
        rest,
        _arriving: arriving,
    })
}

/// Keeps a connection for the next request, for a while.
fn keep(inner: &Arc<Inner>, key: Key, connection: Connection) {
    if inner.pool.put(key, connection) {
        let inner = Arc::downgrade(inner);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                match inner.upgrade() {
                    Some(inner) if inner.pool.sweep() => {}
                    _ => break,
                }
            }
        });
    }
}

/// The next piece of a body. Trailers are passed over.
async fn next(host: &str, incoming: &mut Incoming) -> Result<Option<Bytes>, HostError> {
    loop {
        match poll_fn(|cx| Pin::new(&mut *incoming).poll_frame(cx)).await {
            None => return Ok(None),
            Some(Err(error)) => return Err(errors::exchange(host, &error)),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
