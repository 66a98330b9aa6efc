//! What a request costs through the sandbox, its grants and its tape, over a bare client with one connection: the same requests to the
//! same server, in turns. Ratios within this one run.
//!
//! Run with `cargo bench --bench http_request`.

#![expect(clippy::disallowed_macros, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark")]

#[path = "../tests/guests/mod.rs"]
mod guests;
#[path = "../tests/servers/mod.rs"]
mod servers;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use guests::{call, engine, output};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use milepost_core::grants::{Grants, HttpGrant};
use milepost_wasm::attempt::{Call, Callable as _};
use serde_json::json;
use servers::{Reply, Server};
use tokio::net::TcpStream;

/// Pairs of rounds, each of so many requests one after the other.
const ROUNDS: usize = 21;
const REQUESTS: usize = 100;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (answers, millis) in [("at once", 0), ("after 1 ms", 1), ("after 5 ms", 5)] {
        let server = Server::start(move |_| {
            std::thread::sleep(Duration::from_millis(millis));
            Reply::ok("{\"rate\": 1.25}")
        });
        runtime.block_on(compare(&server, answers));
    }
}

async fn compare(server: &Server, answers: &str) {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../plugins/prebuilt/web.wasm"
    );
    let plugin = engine().load(path.as_ref(), None).unwrap();
    let (mut bare, mut guest, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut client = connect(server).await;
    // Not counted: the first call of a process.
    drop(plugin.call(asks(server, 1)).await);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..REQUESTS {
            ask(&mut client, server).await;
        }
        let without = begun.elapsed();
        let begun = Instant::now();
        let result = plugin.call(asks(server, REQUESTS)).await;
        let with = begun.elapsed();
        let ends = output(&result)["ends"].as_array().unwrap().clone();
        assert!(ends.len() == REQUESTS && ends.iter().all(|end| end["status"] == 200));
        bare.push(micros(without));
        guest.push(micros(with));
        ratios.push(with.as_secs_f64() / without.as_secs_f64());
    }
    println!(
        "a request that is answered {answers}: bare {:.0} us, by a guest {:.0} us; guest / bare {:.2}",
        median(&mut bare),
        median(&mut guest),
        median(&mut ratios)
    );
}

async fn connect(server: &Server) -> SendRequest<String> {
    let stream = TcpStream::connect(server.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (client, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn ask(client: &mut SendRequest<String>, server: &Server) {
    let request = Request::get("/rates/eur")
        .header("host", format!("127.0.0.1:{}", server.port()))
        .body(String::new())
        .unwrap();
    client.ready().await.unwrap();
    let response: Response<Incoming> = client.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        assert!(frame.unwrap().is_data());
    }
}

/// An attempt that sends so many requests, one after the other.
fn asks(server: &Server, requests: usize) -> Call {
    let request = json!({ "url": server.url("/rates/eur") });
    Call {
        step: "ask".into(),
        input: Arc::new(json!({ "in_turn": true, "requests": vec![request; requests] })),
        grants: Arc::new(Grants {
            plugin: "web".into(),
            http: vec![HttpGrant {
                host: "127.0.0.1".to_owned(),
                ports: vec![server.port()],
                private: true,
                ..HttpGrant::default()
            }],
            ..Grants::default()
        }),
        ..call()
    }
}

fn micros(round: Duration) -> f64 {
    round.as_secs_f64() * 1e6 / REQUESTS as f64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
