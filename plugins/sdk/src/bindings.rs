//! The contract as generated code; the rest of the SDK is the part of it that people should see.

#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    reason = "generated"
)]

wit_bindgen::generate!({
    path: "../../wit/v0.1.0",
    world: "step",
    pub_export_macro: true,
    export_macro_name: "export_guest",
    default_bindings_module: "milepost_sdk::bindings",
    generate_all,
});
