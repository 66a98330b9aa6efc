//! 3,000 calls on one instance of each conformance guest: what they take for a call, they give back. An attempt has an instance of its own, so
//! nothing here would notice; whoever keeps one does.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};

use wasmtime::component::{Component, Func, Instance, Linker, Val};
use wasmtime::{Config, Engine, ResourceLimiter, Store, StoreContextMut};

const CALLS: usize = 3_000;
/// Collectors have found their size by then.
const WARM: usize = 500;
/// A guest that kept what passes in a call afterwards would need fifteen times as much.
const SLACK: usize = 4 << 20;

/// What all memories have grown to.
#[derive(Default)]
struct Grown(usize);

impl ResourceLimiter for Grown {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.0 += desired - current;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

fn echo(mut store: StoreContextMut<'_, Grown>, run: Func, input: &str) {
    let arguments = [Val::String("echo".into()), Val::String(input.into())];
    let mut answers = [Val::Bool(false)];
    run.call(&mut store, &arguments, &mut answers).unwrap();
    let [Val::Result(Ok(Some(output)))] = &answers else {
        panic!("{answers:?}");
    };
    let Val::String(output) = &**output else {
        panic!("{output:?}");
    };
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(value(output), value(input));
}

fn run_of(instance: &Instance, store: &mut Store<Grown>) -> Func {
    let guest = instance.get_export_index(&mut *store, None, "milepost:step/guest@0.1.0");
    let run = instance.get_export_index(&mut *store, guest.as_ref(), "run");
    instance.get_func(store, run.unwrap()).unwrap()
}

fn does_not_grow(file: &Path) {
    let mut config = Config::new();
    // Compiled for one test.
    config.cranelift_opt_level(wasmtime::OptLevel::None);
    let engine = Engine::new(&config).unwrap();
    let component = Component::new(&engine, std::fs::read(file).unwrap()).unwrap();
    let mut linker = Linker::new(&engine);
    // An echo asks for nothing, but Go says when a call began.
    let mut clock = linker.instance("milepost:step/clock@0.1.0").unwrap();
    clock.func_wrap("now", |_, ()| Ok((0u64,))).unwrap();
    linker.define_unknown_imports_as_traps(&component).unwrap();
    let mut store = Store::new(&engine, Grown::default());
    store.limiter(|grown| grown);
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let run = run_of(&instance, &mut store);
    let input = format!("{{\"text\":\"{}\"}}", "ü".repeat(10_000));
    let mut warm = 0;
    for call in 0..CALLS {
        if call == WARM {
            warm = store.data().0;
        }
        echo(
            wasmtime::AsContextMut::as_context_mut(&mut store),
            run,
            &input,
        );
    }
    let grown = store.data().0;
    assert!(
        grown <= warm + SLACK,
        "{}: {warm} bytes after {WARM} calls, {grown} after {CALLS}",
        file.display()
    );
}

fn plugins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins")
}

#[test]
fn the_committed_guest_does_not_grow() {
    // The one in Rust does: the allocator of its SDK is for instances that live for one call, and can be switched off.
    does_not_grow(&plugins().join("conformance/prebuilt/c.wasm"));
}

/// As in `tests/cases/conformance.rs`.
#[test]
fn those_that_were_just_built_do_not_grow() {
    let Some(folder) = std::env::var_os("MILEPOST_GUESTS") else {
        return;
    };
    for entry in std::fs::read_dir(folder).unwrap() {
        let guest = entry.unwrap().path();
        if guest.extension().is_some_and(|kind| kind == "wasm") {
            does_not_grow(&guest);
        }
    }
}
