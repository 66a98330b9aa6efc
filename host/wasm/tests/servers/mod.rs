//! Real HTTP servers on 127.0.0.1: a thread for each connection, plain or with TLS. What they answer is up to the test, down to the
//! bytes.

#![expect(clippy::unwrap_used, reason = "test support")]
#![allow(dead_code, reason = "each test file uses its own part")]

use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What is sent back.
pub(crate) struct Reply {
    bytes: Vec<u8>,
    then: Then,
}

enum Then {
    KeepOn,
    Close,
    /// Say no more until the client goes.
    Hang,
    /// So many more bytes.
    Pour(u64),
}

impl Reply {
    /// A response with its length.
    pub(crate) fn new(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut bytes = format!("HTTP/1.1 {status} Something\r\n").into_bytes();
        for (name, value) in headers {
            bytes.extend(format!("{name}: {value}\r\n").bytes());
        }
        bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
        bytes.extend(body);
        Self::raw(bytes)
    }

    pub(crate) fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::new(200, &[], body.as_ref())
    }

    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self::new(status, &[("location", location)], b"elsewhere")
    }

    /// These bytes.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            then: Then::KeepOn,
        }
    }

    pub(crate) fn then_close(self) -> Self {
        Self {
            then: Then::Close,
            ..self
        }
    }

    pub(crate) fn then_hang(self) -> Self {
        Self {
            then: Then::Hang,
            ..self
        }
    }

    pub(crate) fn then_pour(self, bytes: u64) -> Self {
        Self {
            then: Then::Pour(bytes),
            ..self
        }
    }
}

type Answer = dyn Fn(&Seen) -> Reply + Send + Sync;

/// A connection as a conversation is held over it.
pub(crate) trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// What makes a secure connection of a plain one.
pub(crate) type Secure = dyn Fn(TcpStream) -> io::Result<Box<dyn Stream>> + Send + Sync;

/// A server. It stops when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    answer: Box<Answer>,
    secure: Option<Box<Secure>>,
    seen: Mutex<Vec<Seen>>,
    accepted: AtomicUsize,
    open: AtomicUsize,
    over: AtomicBool,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(None, Box::new(answer))
    }

    pub(crate) fn listen(secure: Option<Box<Secure>>, answer: Box<Answer>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            answer,
            secure,
            seen: Mutex::default(),
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.over.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                shared.open.fetch_add(1, Ordering::SeqCst);
                let state = Arc::clone(&shared);
                thread::spawn(move || {
                    // A client that goes away is none of the server's business.
                    let _ = connection(&state, stream);
                    state.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, state }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.state.secure.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://127.0.0.1:{}{path}", self.port())
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }

    /// Connections at this moment.
    pub(crate) fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn connection(state: &State, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream: Box<dyn Stream> = match &state.secure {
        None => Box::new(stream),
        Some(secure) => secure(stream)?,
    };
    converse(state, stream)
}

fn converse(state: &State, stream: impl Read + Write) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream)? {
        state.seen.lock().unwrap().push(request.clone());
        let reply = (state.answer)(&request);
        let out = stream.get_mut();
        out.write_all(&reply.bytes)?;
        out.flush()?;
        match reply.then {
            Then::KeepOn => {}
            Then::Close => break,
            Then::Hang => drop(stream.read(&mut [0])?),
            Then::Pour(mut left) => {
                let piece = vec![b'x'; 64 * 1024];
                while left > 0 {
                    let n = left.min(piece.len() as u64);
                    out.write_all(&piece[..n as usize])?;
                    left -= n;
                }
                out.flush()?;
            }
        }
    }
    Ok(())
}

fn read(stream: &mut impl io::BufRead) -> io::Result<Option<Seen>> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let mut parts = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (parts.next(), parts.next()) else {
        return Ok(None);
    };
    let mut seen = Seen {
        method,
        target,
        headers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let mut line = Vec::new();
        stream.read_until(b'\n', &mut line)?;
        let line = String::from_utf8_lossy(&line);
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        seen.headers
            .push((name.to_owned(), value.trim().to_owned()));
    }
    let length = seen
        .header("content-length")
        .map_or(0, |n| n.parse().unwrap());
    seen.body = vec![0; length];
    stream.read_exact(&mut seen.body)?;
    Ok(Some(seen))
}
