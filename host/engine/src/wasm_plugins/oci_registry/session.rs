//! Requests to one repository of a registry.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use milepost_core::grants::special_address;
use milepost_core::ids::Digest;
use milepost_core::limits::{EXCERPT_BYTES, OCI_ANSWER_BYTES, OCI_JSON_BYTES, OCI_TOKEN_BYTES};
use milepost_core::registry::Reference;
use milepost_core::shown;
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;

use super::super::oci_artifact::{Descriptor, INDEX, MANIFEST, expect, told};
use super::challenge::Challenge;
use super::login::Login;
use super::{Registries, RegistryError};
use crate::wasm::{WebRequest, WebResponse, WebRules};

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access {
    /// To read.
    Pull,
    /// To write, too.
    Push,
}

/// A registry that is asked for one repository.
pub(super) struct Session<'a> {
    of: &'a Registries,
    reference: &'a Reference,
    access: Access,
    base: String,
    rules: Arc<Rules>,
    /// The header `Authorization`, once the registry has asked for one.
    authorization: Option<String>,
}

/// Where requests may go. The registry was named by a person; what it leads to was not.
struct Rules {
    /// Host and port of the registry.
    host: String,
    port: u16,
    plain_http: bool,
    /// Whether the registry is at an address that is not of the public internet: what it leads to may be so, too.
    is_private: AtomicBool,
}

impl WebRules for Rules {
    fn allows(&self, url: &Url) -> Result<bool, String> {
        if url.scheme() != "https" && !self.plain_http {
            let url = shown::excerpt(url.as_str(), EXCERPT_BYTES);
            return Err(format!("`{url}` is not https"));
        }
        let is_registry =
            url.host_str() == Some(&*self.host) && url.port_or_known_default() == Some(self.port);
        Ok(is_registry || self.is_private.load(Ordering::Relaxed))
    }

    fn found(&self, host: &str, address: IpAddr) {
        if host == self.host && special_address(address).is_some() {
            self.is_private.store(true, Ordering::Relaxed);
        }
    }
}

/// One exchange with the registry.
struct Exchange<'a> {
    method: &'static str,
    url: String,
    accept: Option<&'static str>,
    /// Its media type and its bytes.
    body: Option<(&'static str, &'a [u8])>,
    most: usize,
}

impl<'a> Exchange<'a> {
    fn get(url: String, most: usize) -> Self {
        Self {
            method: "GET",
            url,
            accept: None,
            body: None,
            most,
        }
    }

    fn with(method: &'static str, url: String) -> Self {
        Self {
            method,
            ..Self::get(url, OCI_ANSWER_BYTES)
        }
    }

    fn body(self, media_type: &'static str, bytes: &'a [u8]) -> Self {
        Self {
            body: Some((media_type, bytes)),
            ..self
        }
    }
}

impl<'a> Session<'a> {
    pub(super) fn new(of: &'a Registries, reference: &'a Reference, access: Access) -> Self {
        let host = match reference.registry.as_str() {
            // Its name and its address differ, for reasons of history.
            "docker.io" => "registry-1.docker.io",
            other => other,
        };
        let plain_http = of.plain_http || reference.is_local();
        let scheme = if plain_http { "http" } else { "https" };
        let base = format!("{scheme}://{host}/v2/{}", reference.repository);
        // It is one: the reference was read.
        let url = Url::parse(&base).ok();
        let parsed = url.as_ref();
        let rules = Rules {
            host: parsed
                .and_then(Url::host_str)
                .unwrap_or_default()
                .to_owned(),
            port: parsed
                .and_then(Url::port_or_known_default)
                .unwrap_or_default(),
            plain_http,
            is_private: AtomicBool::new(false),
        };
        Self {
            of,
            reference,
            access,
            base,
            rules: Arc::new(rules),
            authorization: None,
        }
    }

    /// A manifest by its tag or its digest, and the digest that it has.
    pub(super) async fn manifest(
        &mut self,
        name: &str,
        wanted: Option<Digest>,
    ) -> Result<(Vec<u8>, Digest), RegistryError> {
        const WHAT: &str = "the manifest";
        let mut exchange = Exchange::get(format!("{}/manifests/{name}", self.base), OCI_JSON_BYTES);
        exchange.accept = Some(MANIFEST);
        let answer = self.exchange(&exchange).await?;
        let answer = match answer.status {
            200 => answer,
            404 => return Err(self.without(&format!("`{name}`"))),
            _ => return Err(refused(WHAT, &answer)),
        };
        // An index, say, of an image for several machines.
        if let Some(found) = answer.header("content-type") {
            let found = found.split(';').next().unwrap_or_default().trim();
            if found == INDEX || found.starts_with("application/vnd.docker.distribution.manifest") {
                expect(WHAT, found, MANIFEST)?;
            }
        }
        let found = Digest::of(&answer.body);
        let said = answer.header("docker-content-digest");
        let said = said.and_then(|said| said.parse::<Digest>().ok());
        for expected in wanted.into_iter().chain(said) {
            if expected != found {
                return Err(RegistryError::Other {
                    what: WHAT,
                    expected,
                    found,
                });
            }
        }
        Ok((answer.body, found))
    }

    /// What a descriptor stands for.
    pub(super) async fn blob(
        &mut self,
        what: &'static str,
        descriptor: &Descriptor,
        most: usize,
    ) -> Result<Vec<u8>, RegistryError> {
        let digest = descriptor.checked(what, most)?;
        // Not more than was announced: `checked` has bounded it.
        let most = usize::try_from(descriptor.size).unwrap_or(most);
        let url = format!("{}/blobs/{digest}", self.base);
        let answer = self.exchange(&Exchange::get(url, most)).await?;
        match answer.status {
            200 => {}
            404 => {
                let what = what.trim_start_matches("the ");
                return Err(self.without(&format!("{what} {digest}")));
            }
            _ => return Err(refused(what, &answer)),
        }
        let found = Digest::of(&answer.body);
        match found == digest {
            true => Ok(answer.body),
            false => Err(RegistryError::Other {
                what,
                expected: digest,
                found,
            }),
        }
    }

    /// The repository has no such thing.
    fn without(&self, what: &str) -> RegistryError {
        let repository = &self.reference.repository;
        RegistryError::NotFound(format!("{what} in `{repository}`"))
    }

    /// Puts a blob, unless it is there.
    pub(super) async fn put_blob(
        &mut self,
        descriptor: &Descriptor,
        bytes: &[u8],
    ) -> Result<(), RegistryError> {
        const WHAT: &str = "the upload";
        let digest = &descriptor.digest;
        let url = format!("{}/blobs/{digest}", self.base);
        if self.exchange(&Exchange::with("HEAD", url)).await?.status == 200 {
            return Ok(());
        }
        let url = format!("{}/blobs/uploads/", self.base);
        let begun = self.exchange(&Exchange::with("POST", url)).await?;
        if begun.status != 202 {
            return Err(refused(WHAT, &begun));
        }
        let location = begun.header("location").unwrap_or_default();
        let mut url = self.upload(location)?;
        url.query_pairs_mut().append_pair("digest", digest);
        let put = Exchange::with("PUT", url.into());
        let put = put.body("application/octet-stream", bytes);
        match self.exchange(&put).await? {
            done if done.status == 201 => Ok(()),
            other => Err(refused(WHAT, &other)),
        }
    }

    /// Where the registry says that a blob is to go: nowhere but to itself, since the login goes along.
    fn upload(&self, location: &str) -> Result<Url, RegistryError> {
        let elsewhere = || RegistryError::Elsewhere(format!("`{}`", told(location)));
        let base = Url::parse(&self.base).map_err(|_| elsewhere())?;
        let url = base.join(location).map_err(|_| elsewhere())?;
        match url.origin() == base.origin() {
            true => Ok(url),
            false => Err(elsewhere()),
        }
    }

    pub(super) async fn put_manifest(
        &mut self,
        tag: &str,
        manifest: &[u8],
    ) -> Result<(), RegistryError> {
        const WHAT: &str = "the manifest";
        let url = format!("{}/manifests/{tag}", self.base);
        let put = Exchange::with("PUT", url).body(MANIFEST, manifest);
        match self.exchange(&put).await? {
            done if done.status == 201 => Ok(()),
            other => Err(refused(WHAT, &other)),
        }
    }

    /// Asks the registry; once more with what it wants to know, where it wants to know who asks.
    async fn exchange(&mut self, exchange: &Exchange<'_>) -> Result<WebResponse, RegistryError> {
        let answer = self.send(exchange).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        if self.authorization.is_some() {
            return Err(self.denied(&answer, "what it gave a token for, it does not allow"));
        }
        self.authorization = Some(self.authorize(&answer).await?);
        let answer = self.send(exchange).await?;
        match answer.status {
            401 => Err(self.denied(&answer, "it does not accept the login")),
            _ => Ok(answer),
        }
    }

    async fn send(&self, exchange: &Exchange<'_>) -> Result<WebResponse, RegistryError> {
        let mut headers = Vec::new();
        if let Some(authorization) = &self.authorization {
            headers.push(("authorization", authorization.clone()));
        }
        if let Some(accept) = exchange.accept {
            headers.push(("accept", accept.to_owned()));
        }
        let mut body = Vec::new();
        if let Some((media_type, bytes)) = exchange.body {
            headers.push(("content-type", media_type.to_owned()));
            body = bytes.to_owned();
        }
        self.ask(WebRequest {
            method: exchange.method,
            url: exchange.url.clone(),
            headers,
            body,
            most: exchange.most,
            patience: self.of.patience,
            timeout: self.of.timeout,
            // What was to be written is written where it was to be, or not at all.
            follow: matches!(exchange.method, "GET" | "HEAD"),
        })
        .await
    }

    async fn ask(&self, request: WebRequest) -> Result<WebResponse, RegistryError> {
        let host = Url::parse(&request.url).ok();
        let host = host.as_ref().and_then(Url::host_str).unwrap_or_default();
        let host = host.to_owned();
        let asked = self.of.client.ask(request, Arc::clone(&self.rules) as _);
        asked.await.map_err(|error| match &*error.code {
            "denied" | "private-address" | "insecure-redirect" | "too-many-redirects" => {
                RegistryError::Elsewhere(error.message)
            }
            _ => RegistryError::Exchange {
                host,
                reason: error.message,
                is_passing: error.transient,
            },
        })
    }

    /// The header that the registry asks for.
    async fn authorize(&self, answer: &WebResponse) -> Result<String, RegistryError> {
        let registry = &self.reference.registry;
        let login = self.of.logins.of(registry);
        let header = answer.header("www-authenticate").unwrap_or_default();
        match (Challenge::parse(header), login) {
            (Some(_), Some(Login::Bearer(token))) => Ok(format!("Bearer {token}")),
            (Some(Challenge::Basic), Some(Login::Basic(basic))) => Ok(format!("Basic {basic}")),
            (Some(Challenge::Basic), _) => Err(self.denied(answer, "it asks for a login")),
            (Some(Challenge::Bearer { realm, service }), login) => {
                let token = self.token(&realm, service.as_deref(), login).await?;
                Ok(format!("Bearer {token}"))
            }
            (None, _) => {
                let header = told(header);
                let why = format!("it asks for what is not known here: `{header}`");
                Err(self.denied(answer, &why))
            }
        }
    }

    /// A token of the server that the registry names.
    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        login: Option<&Login>,
    ) -> Result<String, RegistryError> {
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }

        let elsewhere = |why: &str| RegistryError::Elsewhere(format!("`{}`{why}", told(realm)));
        let mut url = Url::parse(realm).map_err(|_| elsewhere(" is no URL of a token server"))?;
        let repository = &self.reference.repository;
        let actions = match self.access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        let scope = format!("repository:{repository}:{actions}");
        let mut fields = vec![("scope", scope.as_str())];
        fields.extend(service.map(|service| ("service", service)));
        let mut request = WebRequest {
            method: "GET",
            url: String::new(),
            headers: Vec::new(),
            body: Vec::new(),
            most: OCI_ANSWER_BYTES,
            patience: self.of.patience,
            timeout: self.of.patience,
            follow: login.is_none(),
        };
        match login {
            Some(Login::Identity(identity)) => {
                fields.push(("grant_type", "refresh_token"));
                fields.push(("refresh_token", identity));
                fields.push(("client_id", "milepost"));
                let form = Serializer::new(String::new()).extend_pairs(fields).finish();
                request.method = "POST";
                request.body = form.into_bytes();
                let media_type = "application/x-www-form-urlencoded".to_owned();
                request.headers.push(("content-type", media_type));
            }
            login => {
                url.query_pairs_mut().extend_pairs(fields);
                if let Some(Login::Basic(basic)) = login {
                    request
                        .headers
                        .push(("authorization", format!("Basic {basic}")));
                }
            }
        }
        request.url = url.into();
        let answer = self.ask(request).await?;
        match answer.status {
            200 => {}
            400..=403 => return Err(self.denied(&answer, "its token server gives no token")),
            _ => return Err(refused("the request for a token", &answer)),
        }
        let token: Option<Token> = serde_json::from_slice(&answer.body).ok();
        let token = token.and_then(|answer| answer.token.or(answer.access_token));
        let is_visible = |token: &String| {
            (1..=OCI_TOKEN_BYTES).contains(&token.len())
                && token.bytes().all(|b| b.is_ascii_graphic())
        };
        token
            .filter(is_visible)
            .ok_or_else(|| self.denied(&answer, "its token server answers without a token"))
    }

    fn denied(&self, answer: &WebResponse, why: &str) -> RegistryError {
        let registry = self.reference.registry.clone();
        let logins = &self.of.logins;
        let mut reason = why.to_owned();
        if let Some(said) = said(answer) {
            reason.push_str(&format!(" ({said})"));
        }
        match (logins.of(&registry), logins.helper(&registry)) {
            (Some(_), _) => {}
            (None, Some(helper)) => {
                let helper = told(helper);
                reason.push_str(&format!(
                    "; the login is kept by the program `docker-credential-{helper}`, which is not started: put it into `auths`"
                ));
            }
            (None, None) => reason.push_str("; nobody is logged in there"),
        }
        RegistryError::Access { registry, reason }
    }
}

/// What a registry says of an error, for people.
fn said(answer: &WebResponse) -> Option<String> {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Problem>,
    }
    #[derive(Deserialize)]
    struct Problem {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }

    let errors: Errors = serde_json::from_slice(&answer.body).ok()?;
    let first = errors.errors.first()?;
    let said = match first.message.is_empty() {
        true => first.code.clone(),
        false => format!("{}: {}", first.code, first.message),
    };
    Some(shown::excerpt(&said, EXCERPT_BYTES))
}

fn refused(what: &'static str, answer: &WebResponse) -> RegistryError {
    RegistryError::Status {
        what,
        status: answer.status,
        reason: said(answer),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::super::Logins;
    use super::*;

    /// The rules for a registry.
    fn rules(source: &str, plain_http: bool) -> Arc<Rules> {
        let registries = Registries::new(Logins::default()).plain_http(plain_http);
        let reference = Reference::parse(source).unwrap().unwrap();
        Session::new(&registries, &reference, Access::Pull).rules
    }

    #[test]
    fn a_registry_of_the_public_internet_leads_to_no_other_place() {
        let allows = |rules: &Rules, url: &str| rules.allows(&Url::parse(url).unwrap());
        let public = rules("oci:registry.example.com/w:1", false);
        public.found("registry.example.com", "1.1.1.1".parse().unwrap());
        // What it leads to does not make it another one.
        public.found("auth.example.com", "10.0.0.1".parse().unwrap());
        for (url, expected) in [
            ("https://registry.example.com/v2/", Ok(true)),
            ("https://registry.example.com:443/v2/", Ok(true)),
            ("https://registry.example.com:5000/v2/", Ok(false)),
            ("https://auth.example.com/token", Ok(false)),
            ("https://169.254.169.254/latest", Ok(false)),
            ("http://registry.example.com/v2/", Err(())),
            ("http://127.0.0.1/", Err(())),
        ] {
            assert_eq!(allows(&public, url).map_err(drop), expected, "{url}");
        }
        // One of a company may have its token server there, too.
        let private = rules("oci:registry.example.com/w:1", false);
        private.found("registry.example.com", "10.0.0.1".parse().unwrap());
        assert_eq!(allows(&private, "https://auth.example.com/token"), Ok(true));
        assert!(allows(&private, "http://auth.example.com/token").is_err());

        let plain = rules("oci:registry.example.com/w:1", true);
        assert_eq!(allows(&plain, "http://registry.example.com/v2/"), Ok(true));
        let local = rules("oci:localhost:5000/w:1", false);
        assert_eq!(allows(&local, "http://localhost:5000/v2/"), Ok(true));
        let hub = rules("oci:docker.io/me/w:1", false);
        assert_eq!(allows(&hub, "https://registry-1.docker.io/v2/"), Ok(true));
    }
}
