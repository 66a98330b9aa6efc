//! A small HTTP API on 127.0.0.1 that behaves as large ones do: it answers page by page, refuses every so many requests with `retry-after`,
//! and says afterwards what it was asked. Enough of HTTP/1.1 for that, and no more.

mod data;

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use data::{PAGES, foreign};

/// Most of a head and of a body that is read.
const MOST: u64 = 256 * 1024;
/// How long a client may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// How the API behaves.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The port; any that is free for 0.
    pub port: u16,
    /// Every so many requests one is refused, in turn as too many (429) and as unavailable (503); never for 0.
    pub refuses_every: u64,
    /// What a refusal asks for: seconds until the next try.
    pub retry_after: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 8271,
            refuses_every: 3,
            retry_after: 1,
        }
    }
}

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Method and target: `GET /orders?page=2`.
    pub request: String,
    /// Its `idempotency-key`.
    pub key: Option<String>,
    /// The answer.
    pub status: u16,
}

#[derive(Default)]
struct Shared {
    answered: Mutex<Vec<Answered>>,
    ends: AtomicBool,
}

/// The API while it runs; it ends with the value.
pub struct Api {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Api {
    /// Starts it.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let accepting = thread::Builder::new()
            .name("orders-api".to_owned())
            .spawn(move || {
                for stream in listener.incoming() {
                    if of_thread.ends.load(Ordering::SeqCst) {
                        return;
                    }
                    let shared = Arc::clone(&of_thread);
                    // A client that went away, or that there is no thread for, is no matter of the others.
                    if let Ok(stream) = stream {
                        drop(
                            thread::Builder::new()
                                .spawn(move || drop(serve(stream, &shared, settings))),
                        );
                    }
                }
            })?;
        Ok(Self {
            address,
            shared,
            accepting: Some(accepting),
        })
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it was asked, in order.
    #[must_use]
    pub fn answered(&self) -> Vec<Answered> {
        self.shared.answered().clone()
    }

    /// The same for people: how often each request was answered, and how.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut lines = String::new();
        for (request, statuses) in counted(&self.shared.answered()) {
            let counts: Vec<String> = statuses
                .iter()
                .map(|(status, count)| format!("{count} x {status}"))
                .collect();
            lines.push_str(&format!("{request:<30} {}\n", counts.join(", ")));
        }
        lines
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        // Whoever waits for a connection sees it when there is one.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

impl Shared {
    fn answered(&self) -> std::sync::MutexGuard<'_, Vec<Answered>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often each request was answered, by status; in the order in which they were asked first.
fn counted(answered: &[Answered]) -> Vec<(&str, BTreeMap<u16, u64>)> {
    let mut counts: Vec<(&str, BTreeMap<u16, u64>)> = Vec::new();
    for one in answered {
        let at = counts
            .iter()
            .position(|(request, _)| *request == one.request);
        let at = at.unwrap_or_else(|| {
            counts.push((&one.request, BTreeMap::new()));
            counts.len() - 1
        });
        *counts[at].1.entry(one.status).or_default() += 1;
    }
    counts
}

struct Request {
    method: String,
    target: String,
    key: Option<String>,
}

fn serve(stream: TcpStream, shared: &Shared, settings: Settings) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let Some(request) = read(&stream)? else {
        return Ok(());
    };
    let (status, body) = answer(&request, shared, settings);
    let reason = match status {
        200 => "OK",
        202 => "Accepted",
        404 => "Not Found",
        429 => "Too Many Requests",
        _ => "Service Unavailable",
    };
    let retry = match status {
        429 | 503 => format!("retry-after: {}\r\n", settings.retry_after),
        _ => String::new(),
    };
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{retry}connection: close\r\n\r\n",
        body.len()
    );
    (&stream).write_all(format!("{head}{body}").as_bytes())
}

/// `None` when the client has gone, or says no HTTP.
fn read(stream: &TcpStream) -> io::Result<Option<Request>> {
    let mut reader = BufReader::new(stream.take(MOST));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let (mut key, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "idempotency-key" => key = Some(value.trim().to_owned()),
            "content-length" => length = value.trim().parse().unwrap_or(0),
            _ => {}
        }
    }
    io::copy(&mut reader.take(length), &mut io::sink())?;
    Ok(Some(Request {
        method,
        target,
        key,
    }))
}

fn answer(request: &Request, shared: &Shared, settings: Settings) -> (u16, String) {
    let Request {
        method,
        target,
        key,
    } = request;
    let mut answered = shared.answered();
    if target == "/log" {
        let counts = counted(&answered).into_iter().map(|(request, statuses)| {
            let statuses: Vec<String> = statuses
                .iter()
                .map(|(status, count)| format!("\"{status}\":{count}"))
                .collect();
            format!("{request:?}:{{{}}}", statuses.join(","))
        });
        return (
            200,
            format!("{{{}}}\n", counts.collect::<Vec<_>>().join(",\n ")),
        );
    }
    let number = answered.len() as u64 + 1;
    let (status, body) = match settings.refuses_every {
        every if every > 0 && number.is_multiple_of(every) => {
            match (number / every).is_multiple_of(2) {
                false => (429, error("slow down")),
                true => (503, error("not now")),
            }
        }
        _ => found(method, target),
    };
    answered.push(Answered {
        request: format!("{method} {target}"),
        key: key.clone(),
        status,
    });
    (status, body)
}

fn found(method: &str, target: &str) -> (u16, String) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let asked = |name: &str| {
        query
            .split('&')
            .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    };
    let document = match (method, path) {
        ("GET", "/orders") => data::page(
            asked("page")
                .map_or(Some(1), |page| page.parse().ok())
                .unwrap_or(0),
        ),
        ("POST", "/reports") => return (202, "{}".to_owned()),
        ("GET", path) => path
            .strip_prefix("/rates/")
            .and_then(|currency| data::rate(currency, asked("day")?)),
        _ => None,
    };
    document.map_or_else(
        || (404, error("there is no such thing")),
        |document| (200, document),
    )
}

fn error(message: &str) -> String {
    format!("{{\"error\":\"{message}\"}}")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn ask(api: &Api, line: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(api.address).unwrap();
        write!(
            stream,
            "{line} HTTP/1.1\r\nIdempotency-Key: k\r\ncontent-length: 2\r\n\r\n{{}}"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        (status, text)
    }

    #[test]
    fn it_has_pages_rates_and_refusals_and_says_what_it_was_asked() {
        let api = Api::start(Settings {
            port: 0,
            refuses_every: 3,
            retry_after: 7,
        })
        .unwrap();
        for (line, status, part) in [
            ("GET /orders", 200, "\"next\":\"/orders?page=2\""),
            ("GET /orders?page=12", 200, "\"next\":null"),
            ("GET /orders?page=13", 429, "retry-after: 7"),
            ("GET /orders?page=13", 404, "no such thing"),
            ("GET /rates/USD?day=2026-10-31", 200, "\"eur\":\"0.923447\""),
            ("POST /reports", 503, "retry-after: 7"),
            ("POST /reports", 202, "{}"),
            (
                "GET /log",
                200,
                "\"GET /orders?page=13\":{\"404\":1,\"429\":1}",
            ),
        ] {
            let (found, text) = ask(&api, line);
            assert_eq!(found, status, "{line}: {text}");
            assert!(text.contains(part), "{line}: {text}");
        }
        let answered = api.answered();
        assert_eq!(answered.len(), 7);
        assert_eq!(answered[6].key.as_deref(), Some("k"));
        assert!(
            api.summary()
                .contains("POST /reports                  1 x 202, 1 x 503\n")
        );
    }
}
