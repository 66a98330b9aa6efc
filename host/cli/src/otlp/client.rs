//! Requests to a collector, each over a connection of its own: there is one every few seconds. Certificates are always verified,
//! redirects are not followed, and there is no proxy.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use hyper::Uri;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::Told;

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read: it says little more than that it came.
const ANSWER: usize = 64 * 1024;

/// Sends requests in a runtime of their own: the thread that exports has none.
pub(super) struct Client {
    collector: Arc<Collector>,
    runtime: tokio::runtime::Handle,
    told: Arc<Told>,
}

/// Where a collector is.
struct Collector {
    host: Host<String>,
    port: u16,
    /// What its `Host` header says.
    authority: HeaderValue,
    tls: Option<TlsConnector>,
}

impl Client {
    /// # Errors
    /// Why no connection can be made to such an address.
    pub(super) fn new(
        url: &Url,
        runtime: tokio::runtime::Handle,
        told: Arc<Told>,
    ) -> Result<Self, HttpError> {
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err("the URL names no host".into());
        };
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        let collector = Collector {
            host: host.to_owned(),
            port,
            authority: HeaderValue::try_from(authority)?,
            tls: match url.scheme() {
                "https" => Some(verified()?),
                _ => None,
            },
        };
        Ok(Self {
            collector: Arc::new(collector),
            runtime,
            told,
        })
    }
}

/// TLS with the certificates that the machine trusts.
fn verified() -> Result<TlsConnector, HttpError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let collector = Arc::clone(&self.collector);
        let sending = self.runtime.spawn(async move {
            let sending = tokio::time::timeout(REQUEST, collector.send(request));
            sending
                .await
                .unwrap_or_else(|_| Err("it does not answer".into()))
        });
        let answer = match sending.await {
            Ok(answer) => answer,
            Err(error) => Err(error.into()),
        };
        match &answer {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => self.told.tell(&format!("it answers {}", answer.status())),
            Err(error) => self.told.tell(&causes(error.as_ref())),
        }
        answer
    }
}

/// An error with what is behind it: the outermost says least.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl Collector {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (mut parts, body) = request.into_parts();
        let target = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = target.parse::<Uri>()?;
        parts.headers.insert(HOST, self.authority.clone());
        let request = Request::from_parts(parts, Whole(Some(body)));
        let stream = match &self.host {
            Host::Domain(name) => TcpStream::connect((name.as_str(), self.port)).await?,
            Host::Ipv4(address) => TcpStream::connect((*address, self.port)).await?,
            Host::Ipv6(address) => TcpStream::connect((*address, self.port)).await?,
        };
        match &self.tls {
            None => exchange(stream, request).await,
            Some(tls) => {
                let name = match &self.host {
                    Host::Domain(name) => ServerName::try_from(name.clone())?,
                    Host::Ipv4(address) => ServerName::from(std::net::IpAddr::from(*address)),
                    Host::Ipv6(address) => ServerName::from(std::net::IpAddr::from(*address)),
                };
                exchange(tls.connect(name, stream).await?, request).await
            }
        }
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Whole>,
) -> Result<Response<Bytes>, HttpError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchanging = async {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = read(body).await?;
        Ok(Response::from_parts(parts, body))
    };
    // The connection moves as long as it is polled, and ends with the answer.
    tokio::pin!(connection);
    tokio::select! {
        answer = exchanging => answer,
        ended = &mut connection => {
            ended?;
            Err("it closed the connection".into())
        }
    }
}

async fn read(mut body: Incoming) -> Result<Bytes, HttpError> {
    let mut read = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame?.into_data() {
            read.extend_from_slice(&data);
        }
        if read.len() > ANSWER {
            return Err("its answer is too long".into());
        }
    }
    Ok(read.into())
}

/// A body that is there.
struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|body| Ok(Frame::data(body))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |body| body.len() as u64))
    }
}
