//! The client against real servers on 127.0.0.1, and against URLs, names and answers that want to lead it astray.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use milepost_core::limits;
use url::Url;

use super::client::{self, Policy, Reach, Response};
use super::request::Request;
use super::{HttpClient, HttpSettings, Resolve};
use crate::attempt::BoxFuture;
use crate::host_error::HostError;
use servers::{Reply, Seen, Server};
use tls::Authority;

#[path = "../../../tests/servers/mod.rs"]
mod servers;
#[path = "../../../tests/servers/tls.rs"]
mod tls;

/// Names that a test made up. Each look-up takes the next answer; the last one stays.
#[derive(Default)]
struct Names {
    known: Mutex<Vec<(String, VecDeque<Vec<IpAddr>>)>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    fn new(known: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let parsed = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        let known = known
            .iter()
            .map(|(name, answers)| ((*name).to_owned(), answers.iter().map(parsed).collect()))
            .collect();
        Arc::new(Self {
            known: Mutex::new(known),
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.asked.lock().unwrap().push(host.to_owned());
        let mut known = self.known.lock().unwrap();
        let found = known
            .iter_mut()
            .find(|(name, _)| name == host)
            .map(|(_, answers)| {
                if answers.len() > 1 {
                    answers.pop_front().unwrap()
                } else {
                    answers[0].clone()
                }
            });
        Box::pin(async move { found.ok_or_else(|| io::Error::other("no such name")) })
    }
}

/// What is allowed, and one secret.
struct Rules<F> {
    allows: F,
    secret: (&'static str, &'static str),
    asker: Arc<str>,
}

impl<F> Policy for Rules<F>
where
    F: Fn(&Method, &Url) -> Result<Reach, HostError> + Send + Sync + 'static,
{
    fn allows(&self, method: &Method, url: &Url) -> Result<Reach, HostError> {
        (self.allows)(method, url)
    }

    fn allows_address(&self, _: &str, address: IpAddr) -> Result<(), HostError> {
        match address.to_canonical() == IpAddr::from([127, 0, 0, 66]) {
            true => Err(HostError::new("denied", "by the operator")),
            false => Ok(()),
        }
    }

    fn not_public(&self, _: &Method, _: &Url, error: HostError) -> HostError {
        error
    }

    fn filled(&self, text: &[u8]) -> Option<Vec<u8>> {
        let text = std::str::from_utf8(text).ok()?;
        let (placeholder, value) = self.secret;
        text.contains(placeholder)
            .then(|| text.replace(placeholder, value).into_bytes())
    }

    fn asker(&self) -> &Arc<str> {
        &self.asker
    }

    fn allows_bare_secrets(&self, _: &Method, url: &Url) -> Result<(), HostError> {
        match url.path() {
            "/bare" => Ok(()),
            _ => Err(HostError::new("insecure-secret", "not there")),
        }
    }
}

fn rules(
    allows: impl Fn(&Method, &Url) -> Result<Reach, HostError> + Send + Sync + 'static,
) -> Arc<dyn Policy> {
    Arc::new(Rules {
        allows,
        secret: ("{{token}}", "s3cret"),
        asker: "run".into(),
    })
}

fn anywhere() -> Arc<dyn Policy> {
    rules(|_, _| Ok(Reach::Anywhere))
}

fn public() -> Arc<dyn Policy> {
    rules(|_, _| Ok(Reach::Public))
}

fn client(names: &Arc<Names>) -> HttpClient {
    HttpClient::new(HttpSettings {
        resolver: Some(Arc::clone(names) as _),
        roots: Vec::new(),
    })
}

fn no_names() -> Arc<Names> {
    Names::new(&[])
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

type Headers<'a> = &'a [(&'a str, &'a str)];

fn request(
    method: &str,
    url: &str,
    headers: Headers<'_>,
    body: &str,
) -> Result<Request, HostError> {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    Request::new(method, url, &headers, Bytes::from(body.to_owned()), None)
}

fn send(
    client: &HttpClient,
    policy: Arc<dyn Policy>,
    request: Request,
) -> Result<Response, HostError> {
    block_on(client.send(request, policy))
}

fn get(client: &HttpClient, policy: Arc<dyn Policy>, url: &str) -> Result<Response, HostError> {
    send(client, policy, request("GET", url, &[], "")?)
}

/// The code of an error, and whether it may be over later.
fn code(result: Result<impl Sized, HostError>) -> (String, bool) {
    match result {
        Ok(_) => ("no error".to_owned(), false),
        Err(error) => (error.code.into_owned(), error.transient),
    }
}

fn eventually(what: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if what() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it did not come to that");
}

#[test]
fn a_request_and_its_response_arrive_whole() {
    let server = Server::start(|_| {
        Reply::new(
            404,
            &[
                ("X-Twice", "a"),
                ("x-twice", "b"),
                ("content-encoding", "gzip"),
            ],
            &[0, 159, 146, 150],
        )
    });
    let url = server.url("/a%20b/../c?q=1&r=%0a#part");
    let headers: Headers<'_> = &[
        ("X-Twice", "1"),
        ("x-twice", "2"),
        ("content-type", "text/plain"),
        ("content-length", "5"),
    ];
    let names = no_names();
    let response = send(
        &client(&names),
        anywhere(),
        request("post", &url, headers, "héll").unwrap(),
    )
    .unwrap();
    assert_eq!(response.status, 404);
    assert_eq!(&*response.body, [0, 159, 146, 150]);
    assert!(response.rest.is_none());
    let twice: Vec<_> = response
        .headers
        .iter()
        .filter(|(name, _)| name == "x-twice")
        .collect();
    assert_eq!(twice.len(), 2);

    let seen = &server.seen()[0];
    // Never the absolute form: no server takes it for a request to a proxy.
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("POST", "/c?q=1&r=%0a")
    );
    let host = format!("127.0.0.1:{}", server.port());
    assert_eq!(seen.header("host"), Some(host.as_str()));
    assert_eq!(seen.header("content-length"), Some("5"));
    assert_eq!(
        seen.header("user-agent"),
        Some(concat!("milepost/", env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    let twice: Vec<_> = seen
        .headers
        .iter()
        .filter(|(name, _)| name == "x-twice")
        .collect();
    assert_eq!(twice.len(), 2);
    assert_eq!(seen.body, "héll".as_bytes());
    assert_eq!(names.asked(), [""; 0], "an address is not looked up");
}

#[test]
fn no_header_asks_for_another_method_than_the_one_that_is_granted() {
    for name in [
        "X-HTTP-Method-Override",
        "x-http-method",
        "X-Method-Override",
    ] {
        let refused = request("POST", "https://api.test/", &[(name, "DELETE")], "").unwrap_err();
        assert_eq!(refused.code, "invalid-request", "{name}");
        assert!(refused.message.contains("another method"), "{refused:?}");
    }
}

#[test]
fn connections_are_kept_and_a_stale_one_is_not_the_guests_problem() {
    let server = Server::start(|seen| match seen.target.as_str() {
        "/last" => Reply::ok("bye").then_close(),
        _ => Reply::ok("hello"),
    });
    let client = client(&no_names());
    for _ in 0..3 {
        assert_eq!(
            get(&client, anywhere(), &server.url("/")).unwrap().status,
            200
        );
    }
    assert_eq!(server.accepted(), 1);
    get(&client, anywhere(), &server.url("/last")).unwrap();
    for _ in 0..3 {
        assert_eq!(
            get(&client, anywhere(), &server.url("/")).unwrap().status,
            200
        );
    }
    assert_eq!(server.accepted(), 2);
    // Nobody comes for it: it is closed.
    eventually(|| server.open() == 0);
}

#[test]
fn a_connection_to_a_private_address_serves_no_request_that_may_not_go_there() {
    let server = Server::start(|_| Reply::ok("inside"));
    let names = Names::new(&[("api.test", &[&["127.0.0.1"]])]);
    let client = client(&names);
    let url = format!("http://api.test:{}/", server.port());
    get(&client, anywhere(), &url).unwrap();
    assert_eq!(
        code(get(&client, public(), &url)),
        ("private-address".into(), false)
    );
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn an_address_that_is_denied_is_denied_by_whatever_name() {
    let names = Names::new(&[
        ("a.test", &[&["127.0.0.66"]]),
        ("b.test", &[&["127.0.0.1", "::ffff:127.0.0.66"]]),
    ]);
    let client = client(&names);
    for host in ["127.0.0.66", "a.test", "b.test", "[::ffff:127.0.0.66]"] {
        let got = get(&client, anywhere(), &format!("http://{host}:1/"));
        assert_eq!(code(got), ("denied".into(), false), "{host}");
    }
}

#[test]
fn no_spelling_of_an_address_leads_inside() {
    let server = Server::start(|_| Reply::ok("inside"));
    let port = server.port();
    let names = Names::new(&[
        ("localhost", &[&["127.0.0.1", "::1"]]),
        ("inside.test", &[&["10.1.2.3"]]),
        ("both.test", &[&["192.168.0.1", "::ffff:127.0.0.1"]]),
        ("metadata.test", &[&["169.254.169.254"]]),
        ("none.test", &[&[]]),
    ]);
    let client = client(&names);
    let hosts = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0177.0.0.1",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "0",
        "0.0.0.0",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "100.100.100.200",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "localhost",
        "LOCALHOST",
        "ⓛocalhost",
        "inside.test",
        "both.test",
        "metadata.test",
    ];
    for host in hosts {
        let url = format!("http://{host}:{port}/latest/meta-data");
        assert_eq!(
            code(get(&client, public(), &url)),
            ("private-address".into(), false),
            "{host}"
        );
    }
    let unknown = [
        ("none.test", "unknown-host"),
        ("missing.test", "unknown-host"),
    ];
    for (host, expected) in unknown {
        let url = format!("http://{host}:{port}/");
        assert_eq!(
            code(get(&client, public(), &url)),
            (expected.into(), true),
            "{host}"
        );
    }
    assert_eq!(server.accepted(), 0);
}

#[test]
fn what_is_granted_is_what_is_connected() {
    // How grants see a URL that is written to be read in two ways.
    let cases = [
        ("http://good.test\\@bad.test/", "good.test"),
        ("http://good.test/@bad.test", "good.test"),
        ("http://good.test?@bad.test/", "good.test"),
        ("http://good.test#@bad.test/", "good.test"),
        ("http://bad.test%2egood.test/", "bad.test.good.test"),
        ("http:good.test/", "good.test"),
        ("http:\\\\good.test/", "good.test"),
        ("HTTP://GOOD.TEST:080/", "good.test"),
        ("http://gööd.test/", "xn--gd-fkaa.test"),
    ];
    for (text, host) in cases {
        let client = client(&no_names());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let policy = rules(move |_, url| {
            noted
                .lock()
                .unwrap()
                .push(url.host_str().unwrap().to_owned());
            Err(HostError::new("denied", "not granted"))
        });
        assert_eq!(
            code(get(&client, policy, text)),
            ("denied".into(), false),
            "{text}"
        );
        assert_eq!(*asked.lock().unwrap(), [host], "{text}");
    }
}

#[test]
fn a_name_is_looked_up_once_for_a_connection() {
    let server = Server::start(|_| Reply::ok("here"));
    let names = Names::new(&[
        ("rebinds.test", &[&["10.0.0.7"], &["127.0.0.1"]]),
        ("moves.test", &[&["127.0.0.1"], &["127.9.9.9"]]),
    ]);
    let client = client(&names);
    let at = |host: &str| format!("http://{host}:{}/", server.port());
    // Refused for what it was at the look-up, whatever it would be a moment later.
    assert_eq!(
        code(get(&client, public(), &at("rebinds.test"))),
        ("private-address".into(), false)
    );
    assert_eq!(names.asked(), ["rebinds.test"]);
    assert_eq!(server.accepted(), 0);
    // Connected to what it was at the look-up.
    assert_eq!(
        get(&client, anywhere(), &at("moves.test")).unwrap().status,
        200
    );
    assert_eq!(names.asked(), ["rebinds.test", "moves.test"]);
}

#[test]
fn what_cannot_be_sent_as_it_is_is_refused() {
    let urls = [
        "",
        "/path",
        "//host/path",
        "host/path",
        "http://",
        "http:///",
        "ftp://api.test/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:70/_",
        "data:text/plain,x",
        "javascript:1",
        "http://user@api.test/",
        "http://user:word@api.test/",
        "http://:word@api.test/",
        "http://api.test@127.0.0.1/",
        "http://api.test./",
        "http://api.test:0/",
        "http://api.test:65536/",
        "http://api.test:http/",
        "http://api.test/a b",
        "http://api.test/\r\nX-Injected: yes",
        "http://api.test/%0d%0a\nX: y",
        "http://api.test\r\n/",
        "http://api.test/\tx",
        " http://api.test/",
        "http://api.test/\u{0}",
        "http://ap\u{7f}i.test/",
        "http://ex ample/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://256.1.1.1/",
        "http://1.2.3.4.5/",
        "http://api.test/v1/..%2fadmin",
        "http://api.test/v1/%2e%2e%2Fadmin",
        "http://api.test/v1/..%5cadmin",
        "http://api.test/v1/..;/admin",
        "http://api.test/v1%2f..%2fadmin",
    ];
    for url in urls {
        assert_eq!(
            code(request("GET", url, &[], "")),
            ("invalid-request".into(), false),
            "{url:?}"
        );
    }
    for method in [
        "",
        "CONNECT",
        "connect",
        "TRACE",
        "GET /x HTTP/1.1\r\nX: y",
        "G T",
        "GÉT",
    ] {
        assert_eq!(
            code(request(method, "http://api.test/", &[], "")),
            ("invalid-request".into(), false),
            "{method:?}"
        );
    }
    let headers = [
        ("", "x"),
        ("a b", "x"),
        ("a:b", "x"),
        ("a\r\nb", "x"),
        ("x", "a\r\nInjected: yes"),
        ("x", "a\nb"),
        ("x", "a\0b"),
        ("Host", "other.test"),
        ("host", "api.test"),
        ("Content-Length", "7"),
        ("content-length", "+0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Connection", "x-secret"),
        ("Upgrade", "h2c"),
        ("TE", "trailers"),
        ("Trailer", "x"),
        ("Expect", "100-continue"),
        ("Keep-Alive", "timeout=1000"),
        ("Proxy-Authorization", "x"),
        ("Proxy-Connection", "x"),
    ];
    for (name, value) in headers {
        assert_eq!(
            code(request("GET", "http://api.test/", &[(name, value)], "")),
            ("invalid-request".into(), false),
            "{name:?}: {value:?}"
        );
    }
    for fine in [
        "http://api.test/..a/b..%2fc",
        "http://api.test/group%2Fproject",
        "http://api.test/a;b=c",
    ] {
        assert!(request("GET", fine, &[("x", "é")], "").is_ok(), "{fine}");
    }
}

#[test]
fn requests_have_limits() {
    let large = |n| format!("http://api.test/{}", "x".repeat(n));
    let prefix = large(0).len();
    assert!(request("GET", &large(limits::HTTP_URL_BYTES - prefix), &[], "").is_ok());
    let over = request("GET", &large(limits::HTTP_URL_BYTES - prefix + 1), &[], "");
    assert_eq!(code(over), ("too-large".into(), false));

    let many = vec![("x", "y"); limits::HTTP_HEADERS + 1];
    assert!(request("GET", "http://api.test/", &many[1..], "").is_ok());
    assert_eq!(
        code(request("GET", "http://api.test/", &many, "")),
        ("too-large".into(), false)
    );
    let long = "y".repeat(limits::HTTP_HEADER_BYTES);
    assert!(request("GET", "http://api.test/", &[("x", &long[1..])], "").is_ok());
    assert_eq!(
        code(request("GET", "http://api.test/", &[("x", &long)], "")),
        ("too-large".into(), false)
    );
}

/// Answers `/N` with a redirect to `/N-1`, and `/0` with a page.
fn countdown(seen: &Seen) -> Reply {
    match seen.target[1..].parse::<u32>().unwrap() {
        0 => Reply::ok("there"),
        n => Reply::redirect(302, &format!("/{}", n - 1)),
    }
}

#[test]
fn redirects_are_followed_as_far_as_that() {
    let server = Server::start(countdown);
    let client = client(&no_names());
    let most = limits::HTTP_REDIRECTS;
    let response = get(&client, anywhere(), &server.url(&format!("/{most}"))).unwrap();
    assert_eq!(&*response.body, b"there");
    let over = get(&client, anywhere(), &server.url(&format!("/{}", most + 1)));
    assert_eq!(code(over), ("too-many-redirects".into(), false));
}

#[test]
fn every_hop_is_checked_anew() {
    let inside = Server::start(|_| Reply::ok("inside"));
    let port = inside.port();
    let outside = Server::start(move |seen| {
        Reply::redirect(307, &seen.target[1..].replace("PORT", &port.to_string()))
    });
    let names = Names::new(&[("inside.test", &[&["127.0.0.1"]])]);
    let client = client(&names);
    let first = outside.port();
    // Only the first server may be at a private address, and one path of one method is not granted anywhere.
    let policy = || {
        rules(move |method, url| match url.port() {
            _ if url.path() == "/secret" => Err(HostError::new("denied", "the path")),
            _ if method == Method::DELETE => Err(HostError::new("denied", "the method")),
            Some(port) if port == first => Ok(Reach::Anywhere),
            _ => Ok(Reach::Public),
        })
    };
    let cases = [
        ("http://127.0.0.1:PORT/", "private-address"),
        ("//127.0.0.1:PORT/", "private-address"),
        ("http://2130706433:PORT/", "private-address"),
        ("http://[::ffff:127.0.0.1]:PORT/", "private-address"),
        ("http://inside.test:PORT/", "private-address"),
        ("/secret", "denied"),
        ("http://user@127.0.0.1:PORT/", "invalid-request"),
        ("file:///etc/passwd", "invalid-request"),
        ("gopher://127.0.0.1:PORT/", "invalid-request"),
        ("http://127.0.0.1:99999/", "invalid-request"),
        ("http://127.0.0.1:PORT/\u{1}", "invalid-request"),
    ];
    for (location, expected) in cases {
        let result = get(
            &client,
            policy(),
            &outside.url(&format!("/{}", location.replace('\u{1}', "%09"))),
        );
        if location.contains('\u{1}') {
            // What arrives encoded stays encoded: no control character comes out of it.
            assert_eq!(code(result).0, "private-address", "{location}");
        } else {
            assert_eq!(code(result).0, expected, "{location}");
        }
    }
    assert_eq!(inside.accepted(), 0);
}

#[test]
fn a_location_with_control_characters_is_refused() {
    let server = Server::start(|_| Reply::redirect(302, "/a\tb"));
    let result = get(&client(&no_names()), anywhere(), &server.url("/"));
    assert_eq!(code(result), ("invalid-request".into(), false));
}

#[test]
fn a_redirect_changes_the_method_as_browsers_do() {
    let cases = [
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("PUT", 301, "PUT"),
        ("PUT", 302, "PUT"),
        ("PUT", 303, "GET"),
        ("HEAD", 303, "HEAD"),
        ("GET", 302, "GET"),
        ("DELETE", 303, "GET"),
    ];
    for (method, status, then) in cases {
        let server = Server::start(move |seen| match seen.target.as_str() {
            "/" => Reply::redirect(status, "/there").then_close(),
            _ => Reply::ok(""),
        });
        let headers = [("content-type", "text/plain"), ("x", "y")];
        let request = request(method, &server.url("/"), &headers, "data").unwrap();
        send(&client(&no_names()), anywhere(), request).unwrap();
        let seen = &server.seen()[1];
        let context = format!("{method} {status}");
        assert_eq!(seen.method, then, "{context}");
        let with_body = then != "GET" || method == "GET";
        assert_eq!(seen.body.is_empty(), !with_body, "{context}");
        assert_eq!(
            seen.header("content-type").is_some(),
            with_body,
            "{context}"
        );
        assert_eq!(seen.header("x"), Some("y"), "{context}");
    }
    // Without a place to go to, and with other statuses, it is a response like any other.
    for reply in [(302, false), (300, true), (304, true), (201, true)] {
        let server = Server::start(move |_| match reply {
            (status, true) => Reply::new(status, &[("location", "/there")], b""),
            (status, false) => Reply::new(status, &[], b""),
        });
        let response = get(&client(&no_names()), anywhere(), &server.url("/")).unwrap();
        assert_eq!((response.status, server.seen().len()), (reply.0, 1));
    }
}

#[test]
fn secrets_are_filled_in_last_and_do_not_go_to_another_origin() {
    let other = Server::start(|_| Reply::ok("other"));
    let to = other.url("/");
    let server = Server::start(move |seen| match seen.target.as_str() {
        "/same" => Reply::redirect(307, "/here"),
        "/other" => Reply::redirect(307, &to),
        _ => Reply::ok("here"),
    });
    let client = client(&no_names());
    let headers = [
        ("authorization", "Bearer {{token}}"),
        ("cookie", "session=1"),
        ("x-key", "{{token}}"),
        ("x-plain", "plain"),
        ("accept-encoding", "gzip"),
    ];
    let ask = |path: &str, body: &str| {
        let request = request("POST", &server.url(path), &headers, body).unwrap();
        assert!(!format!("{request:?}").contains("s3cret"));
        send(&client, anywhere(), request)
    };
    ask("/same", "key={{token}}").unwrap();
    for seen in server.seen() {
        assert_eq!(seen.header("authorization"), Some("Bearer s3cret"));
        assert_eq!(seen.header("x-key"), Some("s3cret"));
        assert_eq!(seen.header("content-length"), Some("10"));
        assert_eq!(seen.header("accept-encoding"), Some("identity"));
        assert_eq!(seen.body, b"key=s3cret");
    }
    ask("/other", "nothing").unwrap();
    let seen = &other.seen()[0];
    assert_eq!(seen.body, b"nothing");
    let sent = ["authorization", "cookie", "x-key", "x-plain"].map(|name| seen.header(name));
    assert_eq!(sent, [None, None, None, Some("plain")]);
    assert_eq!(
        code(ask("/other", "key={{token}}")),
        ("denied".into(), false)
    );
    assert_eq!(other.seen().len(), 1);
}

#[test]
fn no_secret_goes_where_others_can_read_it_unless_the_grant_says_so() {
    let policy = anywhere();
    for (url, text, guarded, sent) in [
        ("http://api.test/", "{{token}}", false, false),
        ("http://api.test/bare", "{{token}}", false, true),
        ("http://api.test/", "{{token}}", true, true),
        ("http://api.test/", "nothing", false, true),
    ] {
        for in_body in [true, false] {
            let body = if in_body { text } else { "" };
            let headers = [("x-key", if in_body { "" } else { text })];
            let request = request("POST", url, &headers, body).unwrap();
            let made = client::message(&request, policy.as_ref(), guarded);
            let refused = made.err().map(|error| error.code.into_owned());
            let expected = (!sent).then(|| "insecure-secret".to_owned());
            assert_eq!(refused, expected, "{url} {text} {guarded} {in_body}");
        }
    }
    // A server of this machine, and one that proves who it is.
    let server = Server::start(|_| Reply::ok("here"));
    let ask = |client: &HttpClient, url: &str| {
        let headers = [("authorization", "Bearer {{token}}")];
        send(
            client,
            anywhere(),
            request("GET", url, &headers, "").unwrap(),
        )
        .unwrap();
    };
    ask(&client(&no_names()), &server.url("/"));
    let authority = Authority::new();
    let secure = authority.server(&["127.0.0.1"], 2999, |_| Reply::ok("secure"));
    let trusting = HttpClient::new(HttpSettings {
        resolver: Some(no_names() as _),
        roots: vec![authority.root.clone()],
    });
    ask(&trusting, &format!("https://127.0.0.1:{}/", secure.port()));
    for seen in [server.seen(), secure.seen()] {
        assert_eq!(seen[0].header("authorization"), Some("Bearer s3cret"));
    }
}

#[test]
fn servers_have_to_prove_who_they_are() {
    let authority = Authority::new();
    let names = Names::new(&[
        ("api.test", &[&["127.0.0.1"]]),
        ("other.test", &[&["127.0.0.1"]]),
    ]);
    let trusting = HttpClient::new(HttpSettings {
        resolver: Some(Arc::clone(&names) as _),
        roots: vec![authority.root.clone()],
    });
    let served = ["api.test", "127.0.0.1"];
    let good = authority.server(&served, 2999, |_| Reply::ok("secure"));
    let at = |host: &str, server: &Server| format!("https://{host}:{}/", server.port());
    for host in served {
        for _ in 0..2 {
            let response = get(&trusting, anywhere(), &at(host, &good)).unwrap();
            assert_eq!(&*response.body, b"secure");
        }
    }
    assert_eq!(good.accepted(), 2, "secure connections are kept, too");

    let expired = authority.server(&served, 2021, |_| Reply::ok("late"));
    let stranger = Authority::new().server(&served, 2999, |_| Reply::ok("who"));
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain_url = format!("https://{}/", plain.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = plain.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        let _ = stream.read(&mut [0; 4096]);
    });
    let cases = [
        (at("other.test", &good), "another name"),
        (at("api.test", &expired), "expired"),
        (at("api.test", &stranger), "an unknown authority"),
        (plain_url, "no TLS"),
    ];
    for (url, what) in &cases {
        assert_eq!(
            code(get(&trusting, anywhere(), url)),
            ("tls".into(), false),
            "{what}"
        );
    }
    assert_eq!(expired.seen().len() + stranger.seen().len(), 0);
    let distrusting = client(&names);
    assert_eq!(
        code(get(&distrusting, anywhere(), &at("api.test", &good))).0,
        "tls"
    );
}

#[test]
fn a_redirect_never_leaves_tls() {
    let authority = Authority::new();
    let plain = Server::start(|_| Reply::ok("plain"));
    let to = plain.url("/");
    let secure = authority.server(&["127.0.0.1"], 2999, move |_| Reply::redirect(302, &to));
    let client = HttpClient::new(HttpSettings {
        resolver: None,
        roots: vec![authority.root],
    });
    let result = get(&client, anywhere(), &secure.url("/"));
    assert_eq!(code(result), ("insecure-redirect".into(), false));
    assert_eq!(plain.accepted(), 0);
}

#[test]
fn a_server_that_is_slow_or_breaks_off_is_an_error_that_may_be_over_later() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345";
    let server = Server::start(move |seen| match seen.target.as_str() {
        "/silent" => Reply::raw("").then_hang(),
        "/slow" => Reply::raw(head).then_hang(),
        "/short" => Reply::raw(head).then_close(),
        _ => Reply::raw("").then_close(),
    });
    let client = client(&no_names());
    for (path, expected) in [
        ("/silent", "timeout"),
        ("/slow", "timeout"),
        ("/short", "connection-lost"),
        ("/gone", "connection-lost"),
    ] {
        let timeout = Some(Duration::from_millis(300));
        let request = Request::new("GET", &server.url(path), &[], Bytes::new(), timeout).unwrap();
        assert_eq!(
            code(send(&client, anywhere(), request)),
            (expected.into(), true),
            "{path}"
        );
    }
    eventually(|| server.open() == 0);
    let gone = server.url("/");
    drop(server);
    eventually(|| code(get(&client, anywhere(), &gone)) == ("connect".into(), true));
}

#[test]
fn a_request_that_nobody_waits_for_any_more_holds_no_connection() {
    let server = Server::start(|_| Reply::raw("").then_hang());
    let client = client(&no_names());
    block_on(async {
        let request = request("GET", &server.url("/"), &[], "").unwrap();
        let sending = client.send(request, anywhere());
        assert!(
            tokio::time::timeout(Duration::from_millis(300), sending)
                .await
                .is_err()
        );
    });
    assert_eq!(server.seen().len(), 1);
    eventually(|| server.open() == 0);
}

#[test]
fn a_large_body_comes_in_pieces() {
    const LENGTH: u64 = 3 * limits::HTTP_BODY_BYTES as u64;
    let server = Server::start(|seen| match seen.target.as_str() {
        "/fits" => Reply::ok(vec![b'x'; limits::HTTP_BODY_BYTES]),
        "/told" => Reply::raw(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n"
        ))
        .then_pour(LENGTH),
        // Without its length, and without an end.
        _ => Reply::raw("HTTP/1.1 200 OK\r\n\r\n").then_pour(u64::MAX),
    });
    let client = client(&no_names());
    let fits = get(&client, anywhere(), &server.url("/fits")).unwrap();
    assert_eq!(fits.body.len(), limits::HTTP_BODY_BYTES);
    assert!(fits.rest.is_none());

    let told = get(&client, anywhere(), &server.url("/told")).unwrap();
    let mut length = told.body.len() as u64;
    assert_eq!(length, 0, "nothing is read before somebody wants it");
    let mut rest = told.rest.unwrap();
    block_on(async {
        while let Some(chunk) = rest.chunk().await.unwrap() {
            assert!(chunk.len() <= 1024 * 1024);
            length += chunk.len() as u64;
        }
    });
    assert_eq!(length, LENGTH);

    let endless = get(&client, anywhere(), &server.url("/endless")).unwrap();
    assert!(endless.body.len() <= limits::HTTP_BODY_BYTES + 1024 * 1024);
    drop((endless, rest));
    eventually(|| server.open() <= 1);
}

#[test]
fn what_is_not_http_or_has_too_large_a_head_is_refused() {
    let many: String = (0..=limits::HTTP_HEADERS)
        .map(|n| format!("x-{n}: y\r\n"))
        .collect();
    let long = format!("x: {}\r\n", "y".repeat(limits::HTTP_HEADER_BYTES));
    let answers = [
        "garbage\r\n\r\n".to_owned(),
        "HTTP/1.1 20 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\na\u{0}: b\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n12345".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        format!("HTTP/1.1 200 OK\r\n{long}\r\n"),
    ];
    for answer in answers {
        let shown = answer[..answer.len().min(60)].to_owned();
        let server = Server::start(move |_| Reply::raw(answer.clone()).then_close());
        let result = get(&client(&no_names()), anywhere(), &server.url("/"));
        assert_eq!(code(result), ("invalid-response".into(), false), "{shown}");
    }
}

#[test]
fn an_answer_that_nobody_asked_for_is_not_taken_for_the_next_one() {
    let server = Server::start(|seen| match seen.target.as_str() {
        "/first" => Reply::raw(
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged",
        ),
        _ => Reply::ok("real"),
    });
    let client = client(&no_names());
    assert_eq!(
        &*get(&client, anywhere(), &server.url("/first"))
            .unwrap()
            .body,
        b"1"
    );
    assert_eq!(
        &*get(&client, anywhere(), &server.url("/second"))
            .unwrap()
            .body,
        b"real"
    );
}
