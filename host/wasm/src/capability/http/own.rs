//! What the program itself asks of the web, beside its guests: the same client, with rules of its own, and one bound for all of an answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use url::Url;

use super::client::{HttpClient, Policy, Reach, exchange, within};
use super::errors;
use super::request::{Request, Times};
use crate::host_error::HostError;

/// A request of the program.
#[derive(Debug)]
pub struct WebRequest {
    /// The method.
    pub method: &'static str,
    /// Where it goes.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Bytes of the answer; one that is longer is an error.
    pub most: usize,
    /// How long the other side may say nothing.
    pub patience: Duration,
    /// How long all of it may take.
    pub timeout: Duration,
    /// Whether redirects are followed. Credentials never follow to another origin.
    pub follow: bool,
}

/// What came back.
#[derive(Debug)]
pub struct WebResponse {
    /// The status.
    pub status: u16,
    /// Names, in small letters, and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// All of the body.
    pub body: Vec<u8>,
}

impl WebResponse {
    /// The first header of that name, as far as it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }
}

/// Where requests of the program may go, at each hop.
pub trait WebRules: Send + Sync + 'static {
    /// Whether a request may go there, and whether also to an address that is not of the public internet.
    ///
    /// # Errors
    /// Why not.
    fn allows(&self, url: &Url) -> Result<bool, String>;

    /// Tells of an address that a host was found at.
    fn found(&self, host: &str, address: IpAddr);
}

impl HttpClient {
    /// Asks, and waits for the whole answer.
    ///
    /// # Errors
    /// As guests are told of them.
    pub async fn ask(
        &self,
        asked: WebRequest,
        rules: Arc<dyn WebRules>,
    ) -> Result<WebResponse, HostError> {
        let headers: Vec<(String, Vec<u8>)> = asked
            .headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into_bytes()))
            .collect();
        let mut request = Request::new(
            asked.method,
            &asked.url,
            &headers,
            asked.body.into(),
            Some(asked.patience),
        )?;
        request.times = Times {
            connect: Some(asked.patience),
            // A large body takes its time to be sent.
            first_byte: request.body.is_empty().then_some(asked.patience),
            between_bytes: Some(asked.patience),
        };
        request.follow = asked.follow;
        let (inner, most) = (Arc::clone(&self.inner), asked.most);
        let whole = async move {
            let policy = Own(rules, "milepost".into());
            let mut response = exchange(&inner, request, &policy).await?;
            let mut body = std::mem::take(&mut response.body);
            let too_large = || errors::too_large("the answer", most);
            if body.len() > most {
                return Err(too_large());
            }
            if let Some(rest) = &mut response.rest {
                while let Some(piece) = rest.chunk().await? {
                    if body.len() + piece.len() > most {
                        return Err(too_large());
                    }
                    body.extend_from_slice(&piece);
                }
            }
            Ok(WebResponse {
                status: response.status,
                headers: response.headers,
                body,
            })
        };
        self.begin(within(Some(asked.timeout), whole))?.await
    }
}

/// Rules of the program as those of a guest that has no secrets.
struct Own(Arc<dyn WebRules>, Arc<str>);

impl Policy for Own {
    fn allows(&self, _: &Method, url: &Url) -> Result<Reach, HostError> {
        match self.0.allows(url) {
            Ok(true) => Ok(Reach::Anywhere),
            Ok(false) => Ok(Reach::Public),
            Err(why) => Err(HostError::new("denied", why)),
        }
    }

    fn allows_address(&self, host: &str, address: IpAddr) -> Result<(), HostError> {
        self.0.found(host, address);
        Ok(())
    }

    fn not_public(&self, _: &Method, url: &Url, error: HostError) -> HostError {
        let host = url.host_str().unwrap_or_default();
        HostError {
            message: format!("it leads to `{host}`, which is no host of the public internet"),
            ..error
        }
    }

    fn filled(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn asker(&self) -> &Arc<str> {
        &self.1
    }

    fn allows_bare_secrets(&self, _: &Method, _: &Url) -> Result<(), HostError> {
        Ok(())
    }
}
