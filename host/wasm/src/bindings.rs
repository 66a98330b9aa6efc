//! Rust types of the contract, generated from its WIT: the part of world `milepost:step/step` that this version provides.

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
            export milepost:step/guest@0.1.0;
        }
    ",
    path: "../../wit/v0.1.0",
    imports: {
        "milepost:step/clock.sleep": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});

/// Package of the contract.
pub(super) const PACKAGE: &str = "milepost:step/";
/// The interface that a plugin exports, up to the part of its version that may differ.
pub(super) const GUEST: &str = "milepost:step/guest@0.1.";
/// Interfaces of the contract that this version links.
pub(super) const PROVIDED: [&str; 7] = [
    "types", "context", "config", "log", "progress", "clock", "random",
];
