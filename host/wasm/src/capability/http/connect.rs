//! From the name of a host to a connection with it. The name is looked up once, every address is checked, and the address that was
//! checked is the one that is connected: a name that leads elsewhere a moment later changes nothing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use milepost_core::grants::special_address;
use milepost_core::limits;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use url::Host;

use super::client::Policy;
use super::errors;
use super::lookup::Lookups;
use super::pool::{Connection, Key};
use super::tls_words;
use crate::attempt::BoxFuture;
use crate::host_error::HostError;

/// Addresses of a host that are tried.
const ADDRESSES: usize = 8;
/// How long each may take.
const PER_ADDRESS: Duration = Duration::from_secs(10);

/// Finds the addresses of hosts.
pub trait Resolve: Send + Sync {
    /// All addresses of a host, which is a name and no address.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// As the machine does it.
pub(super) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Makes connections.
pub(super) struct Connector {
    pub(super) lookups: Lookups,
    /// Certificates that are trusted beside those of the machine, as DER.
    pub(super) roots: Vec<Vec<u8>>,
    pub(super) tls: OnceCell<Arc<ClientConfig>>,
}

impl Connector {
    /// A new connection.
    pub(super) async fn connect(
        &self,
        key: &Key,
        policy: &dyn Policy,
    ) -> Result<Connection, HostError> {
        let origin = &key.origin;
        let name = origin.host.to_string();
        let (stream, address) = self.tcp(&name, key, policy).await?;
        // A small request waits for nothing.
        let _ = stream.set_nodelay(true);
        if !origin.secure {
            let local = address.to_canonical().is_loopback();
            return converse(&name, local, address, TokioIo::new(stream)).await;
        }
        let server = match &origin.host {
            Host::Domain(name) => {
                ServerName::try_from(name.clone()).map_err(|error| errors::tls(name, &error))?
            }
            Host::Ipv4(address) => ServerName::IpAddress(IpAddr::V4(*address).into()),
            Host::Ipv6(address) => ServerName::IpAddress(IpAddr::V6(*address).into()),
        };
        let config = self.tls.get_or_try_init(|| self.tls_config(&name)).await?;
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = connector.connect(server, stream).await.map_err(|error| {
            match error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            {
                Some(reason) => errors::tls(&name, &tls_words::of(reason)),
                None => errors::connect(&name, origin.port, &error),
            }
        })?;
        converse(&name, true, address, TokioIo::new(stream)).await
    }

    async fn tcp(
        &self,
        name: &str,
        key: &Key,
        policy: &dyn Policy,
    ) -> Result<(TcpStream, IpAddr), HostError> {
        let addresses = self.addresses(name, key, policy).await?;
        let port = key.origin.port;
        let mut last = None;
        for address in addresses.into_iter().take(ADDRESSES) {
            let connecting = TcpStream::connect(SocketAddr::new(address, port));
            match tokio::time::timeout(PER_ADDRESS, connecting).await {
                Ok(Ok(stream)) => return Ok((stream, address)),
                Ok(Err(error)) => last = Some(errors::connect(name, port, &error)),
                Err(_) => last = Some(errors::connect(name, port, &"no answer")),
            }
        }
        Err(last.unwrap_or_else(|| errors::unknown_host(name, None)))
    }

    /// Where it may be reached.
    async fn addresses(
        &self,
        name: &str,
        key: &Key,
        policy: &dyn Policy,
    ) -> Result<Vec<IpAddr>, HostError> {
        let found = match &key.origin.host {
            Host::Domain(name) => self
                .lookups
                .find(policy.asker(), name)
                .await
                .map_err(|error| errors::unknown_host(name, Some(&error)))?,
            Host::Ipv4(address) => vec![IpAddr::V4(*address)],
            Host::Ipv6(address) => vec![IpAddr::V6(*address)],
        };
        let mut refused = None;
        let mut allowed = Vec::new();
        for address in found {
            // One that is denied denies the name: what it is there for is elsewhere the same.
            policy.allows_address(name, address)?;
            match special_address(address) {
                Some(kind) if !key.private => refused = Some((address, kind)),
                _ if allowed.contains(&address) => {}
                _ => allowed.push(address),
            }
        }
        match refused {
            Some((address, kind)) if allowed.is_empty() => {
                Err(errors::private_address(name, address, kind))
            }
            _ => Ok(allowed),
        }
    }

    /// Read once, when the first secure connection is made.
    async fn tls_config(&self, name: &str) -> Result<Arc<ClientConfig>, HostError> {
        let loaded = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(loaded.map(|loaded| loaded.certs).unwrap_or_default());
        roots.add_parsable_certificates(
            self.roots
                .iter()
                .map(|root| CertificateDer::from(root.clone())),
        );
        if roots.is_empty() {
            return Err(errors::tls(
                name,
                &"this machine has no certificates that it trusts (on Debian: package `ca-certificates`)",
            ));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| errors::tls(name, &error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// HTTP over a stream, driven by a task of its own.
async fn converse(
    name: &str,
    guarded: bool,
    address: IpAddr,
    stream: impl Read + Write + Unpin + Send + 'static,
) -> Result<Connection, HostError> {
    let (sender, connection) = http1::Builder::new()
        .max_headers(limits::HTTP_HEADERS)
        .max_header_size(limits::HTTP_HEADER_BYTES)
        .handshake(stream)
        .await
        .map_err(|error| errors::exchange(name, &error))?;
    // What goes wrong is told to whoever waits for the response.
    let task = tokio::spawn(async move { drop(connection.await) });
    Ok(Connection::new(
        sender,
        guarded,
        address,
        task.abort_handle(),
    ))
}
