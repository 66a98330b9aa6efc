//! A registry on 127.0.0.1 that keeps what is pushed in memory and gives it back, as far as the distribution specification goes for one
//! layer; what a test wants it to say instead, it says.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use milepost_core::ids::Digest;
use serde_json::{Value, json};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names, in small letters, and values.
    pub headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// What is sent back.
#[derive(Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    then: Then,
}

#[derive(Debug)]
enum Then {
    Close,
    /// Say no more until the client goes.
    Hang,
    /// Say more and more until the client goes.
    Pour,
    /// The same, one byte at a time, with little time in between.
    Drip,
}

impl Answer {
    /// A whole answer.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            then: Then::Close,
        }
    }

    /// The same with a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same, whose body never comes.
    #[must_use]
    pub fn then_hang(self) -> Self {
        let then = Then::Hang;
        Self { then, ..self }
    }

    /// The same, whose body comes byte by byte and never ends.
    #[must_use]
    pub fn then_drip(self) -> Self {
        let then = Then::Drip;
        Self { then, ..self }
    }

    /// The same, whose body never ends.
    #[must_use]
    pub fn then_pour(self) -> Self {
        let then = Then::Pour;
        Self { then, ..self }
    }
}

/// What a test wants to be said instead.
type Instead = dyn Fn(&Asked) -> Option<Answer> + Send + Sync;

#[derive(Default)]
struct State {
    blobs: BTreeMap<String, Vec<u8>>,
    /// By repository and tag or digest.
    manifests: BTreeMap<(String, String), Vec<u8>>,
    asked: Vec<Asked>,
    instead: Option<Arc<Instead>>,
    over: bool,
}

/// A registry. It stops when it is dropped.
pub struct Registry {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// An empty one.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if lock(&shared).over {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let state = Arc::clone(&shared);
                // A client that goes away is none of the server's business.
                thread::spawn(move || drop(converse(&state, stream)));
            }
        });
        Self { address, state }
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// A `source`: `oci:127.0.0.1:PORT/REST`.
    #[must_use]
    pub fn source(&self, rest: &str) -> String {
        format!("oci:{}/{rest}", self.host())
    }

    /// Says something else from now on, where the function says what.
    pub fn instead(&self, answer: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static) {
        lock(&self.state).instead = Some(Arc::new(answer));
    }

    /// What was asked since the last call.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut lock(&self.state).asked)
    }

    /// The manifest of a tag, and its digest.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn manifest(&self, repository: &str, tag: &str) -> (Value, Digest) {
        let state = lock(&self.state);
        let bytes = &state.manifests[&(repository.to_owned(), tag.to_owned())];
        let manifest = serde_json::from_slice(bytes).expect("it is JSON");
        (manifest, Digest::of(bytes))
    }

    /// Puts a manifest under a tag.
    pub fn put_manifest(&self, repository: &str, tag: &str, manifest: &Value) {
        let bytes = manifest.to_string().into_bytes();
        let digest = Digest::of(&bytes).to_string();
        let mut state = lock(&self.state);
        for name in [tag, &digest] {
            let key = (repository.to_owned(), name.to_owned());
            state.manifests.insert(key, bytes.clone());
        }
    }

    /// Puts a blob, and gives its descriptor.
    #[must_use]
    pub fn put_blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        let mut state = lock(&self.state);
        state.blobs.insert(digest.to_string(), bytes.to_owned());
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    /// Forgets what a tag stands for.
    pub fn remove_tag(&self, repository: &str, tag: &str) {
        let key = (repository.to_owned(), tag.to_owned());
        lock(&self.state).manifests.remove(&key);
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        lock(&self.state).over = true;
        // The thread sees it when somebody comes.
        drop(TcpStream::connect(self.address));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn converse(state: &Mutex<State>, mut stream: TcpStream) -> std::io::Result<()> {
    let Some(asked) = read(&stream)? else {
        return Ok(());
    };
    let instead = {
        let mut state = lock(state);
        state.asked.push(asked.clone());
        state.instead.clone()
    };
    let special = instead.and_then(|instead| instead(&asked));
    let answer = special.unwrap_or_else(|| usual(&mut lock(state), &asked));
    let mut head = format!("HTTP/1.1 {} So\r\nconnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if matches!(answer.then, Then::Close) {
        head.push_str(&format!("content-length: {}\r\n", answer.body.len()));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if asked.method != "HEAD" {
        stream.write_all(&answer.body)?;
    }
    match answer.then {
        Then::Close => Ok(()),
        Then::Hang => stream.read(&mut [0]).map(drop),
        Then::Pour => loop {
            stream.write_all(&[b' '; 64 * 1024])?;
        },
        Then::Drip => loop {
            stream.write_all(b" ")?;
            thread::sleep(Duration::from_millis(50));
        },
    }
}

fn read(stream: &TcpStream) -> std::io::Result<Option<Asked>> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|text| text.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    Ok(Some(Asked {
        method,
        target,
        headers,
        body,
    }))
}

/// As any registry answers.
fn usual(state: &mut State, asked: &Asked) -> Answer {
    let path = asked.target.strip_prefix("/v2/").unwrap_or_default();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts = |kind: &str| {
        let (repository, name) = path.rsplit_once(kind)?;
        Some((repository.to_owned(), name.to_owned()))
    };
    let unknown = |code: &str| {
        let body = json!({ "errors": [{ "code": code, "message": "there is none" }] });
        Answer::new(404, body.to_string())
    };
    match (
        asked.method.as_str(),
        parts("/manifests/"),
        parts("/blobs/"),
    ) {
        ("GET", Some(key), _) => match state.manifests.get(&key) {
            Some(bytes) => Answer::new(200, bytes.clone())
                .header("docker-content-digest", Digest::of(bytes).to_string())
                .header("content-type", "application/vnd.oci.image.manifest.v1+json"),
            None => unknown("MANIFEST_UNKNOWN"),
        },
        ("PUT", Some((repository, tag)), _) => {
            let manifest: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
            let layers = manifest["layers"].as_array().into_iter().flatten();
            let mut parts = layers.chain([&manifest["config"]]);
            let is_there = |part: &Value| {
                let digest = part["digest"].as_str().unwrap_or_default();
                state.blobs.contains_key(digest)
            };
            if !parts.all(is_there) {
                return unknown("MANIFEST_BLOB_UNKNOWN");
            }
            let digest = Digest::of(&asked.body).to_string();
            for name in [tag, digest] {
                let key = (repository.clone(), name);
                state.manifests.insert(key, asked.body.clone());
            }
            Answer::new(201, "")
        }
        ("GET" | "HEAD", _, Some((_, digest))) => match state.blobs.get(&digest) {
            Some(bytes) => Answer::new(200, bytes.clone()),
            None => unknown("BLOB_UNKNOWN"),
        },
        ("POST", ..) if path.ends_with("/blobs/uploads/") => {
            let repository = path.trim_end_matches("/blobs/uploads/");
            Answer::new(202, "").header("location", format!("/v2/{repository}/blobs/up?state=x"))
        }
        ("PUT", _, Some(_)) => {
            let digest = query
                .split('&')
                .find_map(|pair| pair.strip_prefix("digest="));
            let digest = digest.unwrap_or_default().replace("%3A", ":");
            if digest != Digest::of(&asked.body).to_string() || !query.contains("state=x") {
                return Answer::new(
                    400,
                    json!({ "errors": [{ "code": "DIGEST_INVALID" }] }).to_string(),
                );
            }
            state.blobs.insert(digest, asked.body.clone());
            Answer::new(201, "")
        }
        _ => Answer::new(405, ""),
    }
}
