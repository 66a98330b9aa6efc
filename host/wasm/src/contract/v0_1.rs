//! Version 0.1 of the contract: its Rust types, generated from the WIT, as far as this version of the host provides them.

wasmtime::component::bindgen!({
    inline: "
        package milepost:host;
        world plugin {
            import milepost:step/context@0.1.0;
            import milepost:step/config@0.1.0;
            import milepost:step/log@0.1.0;
            import milepost:step/progress@0.1.0;
            import milepost:step/clock@0.1.0;
            import milepost:step/random@0.1.0;
            import milepost:step/memo@0.1.0;
            import milepost:step/kv@0.1.0;
            import milepost:step/exec@0.1.0;
            import milepost:step/artifacts@0.1.0;
            import milepost:step/http@0.1.0;
            import milepost:step/secrets@0.1.0;
            import milepost:step/secrets-reveal@0.1.0;
            export milepost:step/guest@0.1.0;
        }
    ",
    path: "../../wit/v0.1.0",
    imports: {
        "milepost:step/context.cancel-requested": async | trappable,
        "milepost:step/log.emit": async | trappable,
        "milepost:step/progress.report": async | trappable,
        "milepost:step/clock.sleep": async | trappable,
        "milepost:step/memo.begin": async | trappable,
        "milepost:step/memo.[static]ticket.settle": async | trappable,
        "milepost:step/kv.[static]bucket.open": async | trappable,
        "milepost:step/kv.[method]bucket.get": async | trappable,
        "milepost:step/kv.[method]bucket.put": async | trappable,
        "milepost:step/kv.[method]bucket.replace": async | trappable,
        "milepost:step/kv.[method]bucket.delete": async | trappable,
        "milepost:step/kv.[method]bucket.keys": async | trappable,
        "milepost:step/exec.[static]command.run": async | trappable,
        "milepost:step/artifacts.[static]writer.create": async | trappable,
        "milepost:step/artifacts.[method]writer.write": async | trappable,
        "milepost:step/artifacts.[static]writer.finish": async | trappable,
        "milepost:step/artifacts.[static]reader.open": async | trappable,
        "milepost:step/artifacts.[method]reader.read": async | trappable,
        "milepost:step/http.[static]request.send": async | trappable,
        "milepost:step/http.[method]response.save": async | trappable,
        default: trappable,
    },
    with: {
        "milepost:step/artifacts.writer": crate::capability::artifacts::Writer,
        "milepost:step/artifacts.reader": crate::capability::artifacts::Reader,
        "milepost:step/memo.ticket": crate::capability::memo::Ticket,
        "milepost:step/kv.bucket": crate::capability::kv::Bucket,
        "milepost:step/exec.command": crate::capability::exec::Command,
        "milepost:step/exec.outcome": crate::capability::exec::Outcome,
        "milepost:step/http.request": crate::capability::http::Draft,
        "milepost:step/http.response": crate::capability::http::Received,
    },
    exports: { default: async },
});

/// How interfaces of this version end: a patch changes no type.
pub(super) const VERSION: &str = "0.1.";
/// The version that the host offers.
pub(super) const OFFERED: [u32; 3] = [0, 1, 0];
/// What a plugin exports: functions and their types, as [`super::Functions`] writes them.
pub(super) const GUEST: &[(&str, &str)] = &[
    ("describe", "func() -> string"),
    (
        "run",
        "func(step: string, input: string) -> result<string, step-error>",
    ),
];
/// `step-error`, written out: a name says nothing about a type.
pub(super) const STEP_ERROR: &str = "variant { \
    retryable(record { cause: record { code: string, message: string, detail: option<string> }, after: option<u64>, provider: option<string> }), \
    failed(record { code: string, message: string, detail: option<string> }), \
    paused(record { code: string, reason: string, provider: option<string>, until: option<u64>, signal: option<string>, state: option<string> }), \
    cancelled(string) }";
