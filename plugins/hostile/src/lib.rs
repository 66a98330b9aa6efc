//! Everything that a host must survive, contain or refuse. Nothing here is of use to a workflow.

mod escape;
mod exhaust;
mod observe;

use milepost_sdk::export;

export! {
    name: "hostile",
    version: env!("CARGO_PKG_VERSION"),
    description: "What a host must survive, contain or refuse.",
    steps: [
        exhaust::Trap,
        exhaust::Panic,
        exhaust::Spin,
        exhaust::Allocate,
        exhaust::Recurse,
        exhaust::BigOutput,
        exhaust::DeepOutput,
        exhaust::LogFlood,
        exhaust::HostCalls,
        exhaust::Sleep,
        escape::Exit,
        escape::Print,
        escape::Environment,
        escape::Files,
        escape::Sockets,
        observe::Echo,
        observe::Clock,
        observe::Random,
        observe::Scribble,
    ],
}
