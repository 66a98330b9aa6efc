//! From a file to a plugin: what is refused and why, what an inspection tells, the manifest inside, and the cache of
//! compiled code.

#![expect(clippy::unwrap_used, reason = "a test")]

mod guests;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use guests::{
    Guest, block_on, call, component_of_other_world, engine, execute, load, output, returns,
};
use milepost_core::ids::Digest;
use milepost_core::limits;
use milepost_wasm::clock::SystemClock;
use milepost_wasm::{
    CodeCache, DescribeError, Inspection, LoadError, Rejection, WasmEngine, embed_manifest,
};
use serde_json::json;

#[test]
fn instances_are_bounded() {
    let many = |n: usize| {
        let instances = "(core instance (instantiate $m))".repeat(n);
        wat::parse_str(format!("(component (core module $m) {instances} (export \"milepost:step/guest@0.1.0\" (instance $i)))").replace(
            "(export",
            "(instance $i) (export",
        ))
        .unwrap()
    };
    let rejection = |n| engine().load_bytes(&many(n)).err();
    assert!(matches!(
        rejection(limits::INSTANCES + 1),
        Some(Rejection::TooDemanding(_))
    ));
    assert!(
        matches!(rejection(limits::INSTANCES), Some(Rejection::OtherType(_))),
        "it exports no functions"
    );
}

#[test]
fn files_that_are_no_plugin_are_refused_with_a_reason() {
    let good = returns("1");
    let core = wat::parse_str("(module)").unwrap();
    let imports = |import: &str, call: &str| {
        let run = format!("{call} (unreachable)");
        let guest = Guest {
            imports: import,
            run: &run,
            ..Guest::default()
        };
        guest.build()
    };
    let other_world = component_of_other_world();
    let newer = imports(
        r#"(import "milepost:step/random@0.1.0" "bytes" (func $r (param i32 i32)))"#,
        "(call $r (i32.const 0) (i32.const 1200))",
    );
    // As if of an interface that comes later.
    let newer = renamed(newer, b"step/random@", b"step/tandem@");
    let wasi_http = imports(
        r#"(import "wasi:http/incoming-handler@0.2.6" "http-error" (func $h (result i32)))"#,
        "(drop (call $h))",
    );
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    let mut garbled = good.clone();
    garbled.truncate(8);
    garbled.extend([0xee; 40]);
    let large = vec![0; limits::COMPONENT_BYTES + 1];
    let cases: [(&str, &[u8], &str); 13] = [
        ("empty", &[], "not WebAssembly"),
        ("text", b"(component)", "not WebAssembly"),
        ("magic", b"\0asm", "unknown binary version"),
        ("core", &core, "core module, not a component"),
        ("cut", &good[..good.len() / 2], "not a valid component"),
        ("cut late", &good[..good.len() - 1], "not a valid component"),
        ("flipped", &flipped, "not a valid component"),
        ("garbled", &garbled, "not a valid component"),
        ("large", &large, "more than the 67108864"),
        ("bare", &good[..8], "it exports nothing"),
        (
            "other world",
            &other_world,
            "nor a function that can be called; it exports `file`, `run`",
        ),
        (
            "newer",
            &newer,
            "it wants `milepost:step/tandem@0.1.0`, and this version of Milepost offers the contract 0.1.0",
        ),
        (
            "wasi:http",
            &wasi_http,
            "imports `wasi:http/incoming-handler@0.2.6`",
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes, says) in cases {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = engine().load(&path, None).err().unwrap();
        assert!(
            matches!(error, LoadError::Rejected { .. }),
            "{name}: {error:?}"
        );
        assert!(error.to_string().contains(says), "{name}: {error}");
        assert!(error.help().is_some(), "{name}");
    }
    let missing = engine()
        .load(&dir.path().join("missing"), None)
        .err()
        .unwrap();
    assert!(matches!(missing, LoadError::Read { .. }));
    assert_eq!(output(&execute(&load(&good), call())), &json!(1));
}

/// What a newer contract has is told as that, with both versions, wherever it shows: nothing of it is called unknown or mistyped.
#[test]
fn a_component_for_a_newer_contract_is_told_so() {
    let random = Guest {
        imports: r#"(import "milepost:step/random@0.1.0" "bytes" (func $r (param i32 i32)))"#,
        run: "(call $r (i32.const 0) (i32.const 1200)) (unreachable)",
        ..Guest::default()
    };
    let random = random.build();
    let says = |bytes: Vec<u8>| {
        let inspection = Inspection::of(&bytes).unwrap();
        inspection.check().unwrap_err().to_string()
    };
    for version in ["0.2.0", "1.0.0"] {
        let wanted = format!("step/random@{version}");
        let minor = renamed(random.clone(), b"step/random@0.1.0", wanted.as_bytes());
        let expected = format!(
            "it wants `milepost:{wanted}`, and this version of Milepost offers the contract 0.1.0"
        );
        assert_eq!(says(minor), expected);
        let wanted = format!("step/guest@{version}");
        let guest = renamed(returns("1"), b"step/guest@0.1.0", wanted.as_bytes());
        assert!(says(guest).starts_with(&format!("it wants `milepost:{wanted}`, and ")));
    }
    // A patch with one function more.
    let more = renamed(random.clone(), b"bytes", b"bites");
    assert!(says(more.clone()).starts_with("it does not fit the contract: "));
    let patch = renamed(more, b"step/random@0.1.0", b"step/random@0.1.7");
    assert!(says(patch).starts_with("it wants `milepost:step/random@0.1.7`, and "));
    // One that changes nothing runs.
    let same = renamed(random.clone(), b"step/random@0.1.0", b"step/random@0.1.7");
    assert!(Inspection::of(&same).unwrap().check().is_ok());
    // What is no version is no newer one.
    let odd = renamed(random, b"step/random@0.1.0", b"step/random@0.x.0");
    assert!(Inspection::of(&odd).map_or(true, |read| read.check().is_err()));
}

#[test]
fn a_right_name_with_another_type_is_refused() {
    let rejection = engine()
        .load_bytes(
            &wat::parse_str(
                r#"(component (instance $i) (export "milepost:step/guest@0.1.0" (instance $i)))"#,
            )
            .unwrap(),
        )
        .err();
    assert!(
        matches!(rejection, Some(Rejection::OtherType(_))),
        "{rejection:?}"
    );
}

/// A component of a world with the contract's names and types of its own. `functions` stand in its core module.
fn of_other_types(wit: &str, functions: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("other.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("x")).unwrap();
    let core = format!(
        r#"(module {functions} (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            (func (export "milepost:step/guest@0.1.0#describe") (result i32) unreachable))"#
    );
    let mut module = wat::parse_str(core).unwrap();
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding).unwrap();
    let encoder = wit_component::ComponentEncoder::default().module(&module);
    encoder.unwrap().encode().unwrap()
}

#[test]
fn other_types_are_found_without_compiling() {
    let guest = |run: &str| {
        format!(
            "package milepost:step@0.1.0;
            interface guest {{ describe: func() -> string; {run}; }}
            world x {{ export guest; }}"
        )
    };
    let log = "package milepost:step@0.1.0;
        interface types {
            record failure { code: string, message: string, detail: option<string> }
            record retry { cause: failure, after: option<u64>, provider: option<string> }
            record pause { code: string, reason: string, provider: option<string>, until: option<u64>, signal: option<string>, state: option<string> }
            variant step-error { retryable(retry), failed(failure), paused(pause), cancelled(string) }
        }
        interface log { emit: func(level: u8, message: string); }
        interface guest {
            use types.{step-error};
            describe: func() -> string;
            run: func(step: string, input: string) -> result<string, step-error>;
        }
        world x { import log; export guest; }";
    let run =
        |ty: &str| format!(r#"(func (export "milepost:step/guest@0.1.0#run") {ty} unreachable)"#);
    let usual = run("(param i32 i32 i32 i32) (result i32)");
    let emit = format!(
        r#"(import "milepost:step/log@0.1.0" "emit" (func $emit (param i32 i32 i32))) {}"#,
        usual.replace(
            "unreachable",
            "(call $emit (i32.const 0) (i32.const 0) (i32.const 0)) unreachable"
        )
    );
    for (wit, functions, says) in [
        (
            guest("run: func(step: string, input: string) -> result<string, string>"),
            usual.clone(),
            "it exports `milepost:step/guest@0.1.0` with another type of `run`: \
             expected `func(step: string, input: string) -> result<string, step-error>`, \
             found `func(step: string, input: string) -> result<string, string>`",
        ),
        (
            guest("run: func(step: string) -> string"),
            run("(param i32 i32) (result i32)"),
            "found `func(step: string) -> string`",
        ),
        (
            guest("go: func()"),
            run("").replace("#run", "#go"),
            "without the function `run`",
        ),
        (
            log.to_owned(),
            emit,
            "it imports `milepost:step/log@0.1.0` with another type of `emit`",
        ),
    ] {
        let bytes = of_other_types(&wit, &functions);
        let told = Inspection::of(&bytes).unwrap().check().unwrap_err();
        assert!(matches!(told, Rejection::OtherType(_)), "{told}");
        assert!(told.to_string().contains(says), "{told}");
        // Found again when its code could be in the cache.
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let cache = Some(CodeCache::open(dir.path()));
            let engine = WasmEngine::new(cache, Arc::new(SystemClock)).unwrap();
            let refused = engine.load_bytes(&bytes).err().unwrap();
            assert_eq!(refused.to_string(), told.to_string());
        }
    }
    let fits = of_other_types(&log.replace("import log; ", ""), &usual);
    assert!(Inspection::of(&fits).unwrap().check().is_ok());
}

#[test]
fn compiled_code_is_found_again_repaired_when_damaged_and_private() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("code");
    let bytes = returns("1");
    // Each time as a new process would.
    let start = || {
        let cache = CodeCache::open(&dir);
        assert!(cache.is_usable());
        let engine = WasmEngine::new(Some(cache), Arc::new(SystemClock)).unwrap();
        let plugin = engine.load_bytes(&bytes).unwrap();
        assert_eq!(output(&execute(&plugin, call())), 1);
        (plugin.from_cache(), engine.compilations())
    };
    assert_eq!(start(), (false, 1));
    assert_eq!(start(), (true, 0));
    let entries: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    let whole = std::fs::read(&entries[0]).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damaged in [&flipped[..], &whole[..whole.len() / 2], &whole[..10], b""] {
        std::fs::write(&entries[0], damaged).unwrap();
        assert_eq!(start(), (false, 1), "{} bytes", damaged.len());
        assert_eq!(start(), (true, 0));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode =
            |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&entries[0])), (0o700, 0o600));
    }
}

#[test]
fn a_component_is_not_compiled_again_with_its_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let start = || {
        let cache = CodeCache::open(dir.path());
        WasmEngine::new(Some(cache), Arc::new(SystemClock)).unwrap()
    };
    let manifest = r#"{"name":"p","steps":{"s":{}}}"#;
    let bytes = returns(manifest);
    let engine = start();
    let complete = runtime.block_on(engine.complete(&bytes, false)).unwrap();
    assert_ne!(complete, bytes);
    assert_eq!(engine.compilations(), 1);
    for of in [&bytes, &complete] {
        let plugin = start().load_bytes(of).unwrap();
        assert!(plugin.from_cache());
        assert_eq!(output(&execute(&plugin, call()))["name"], "p");
    }
    let again = runtime.block_on(engine.complete(&complete, false)).unwrap();
    assert_eq!(again, complete);
    assert_eq!(engine.compilations(), 1);
    // A manifest that stands before the code has moved it: that is compiled. It stays where it is, too.
    let manifest = &complete[bytes.len()..];
    let moved = [&bytes[..8], manifest, &bytes[8..]].concat();
    let engine = start();
    let again = runtime.block_on(engine.complete(&moved, false)).unwrap();
    assert_eq!(again, moved);
    assert_eq!(engine.compilations(), 1);
    // Another one is replaced.
    let other = embed_manifest(&bytes, r#"{"name":"q","steps":{"s":{}}}"#).unwrap();
    let replaced = runtime.block_on(engine.complete(&other, false)).unwrap();
    assert_eq!(replaced, complete);
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// As if the file had been written or used that long ago.
fn age(file: &Path, by: Duration) -> SystemTime {
    let then = SystemTime::now() - by;
    let file = File::options().append(true).open(file).unwrap();
    file.set_modified(then).unwrap();
    then
}

#[test]
fn compiled_code_that_nobody_uses_is_removed_when_other_code_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    // Each time as a new process would. Returns the file of the component's code, and whether it was there.
    let load = |output: &str| {
        let before = files(dir.path());
        let cache = CodeCache::open(dir.path());
        let engine = WasmEngine::new(Some(cache), Arc::new(SystemClock)).unwrap();
        let found = engine.load_bytes(&returns(output)).unwrap().from_cache();
        let new = files(dir.path()).difference(&before).next().cloned();
        (new.unwrap_or_default(), found)
    };
    let [unused, idle, used] = ["1", "2", "3"].map(|output| load(output).0);
    let unfinished = ["7-0.tmp", "7-1.tmp"].map(|end| used.with_extension(end));
    let foreign = ["notes.tmp", "other.cwasm"].map(|name| dir.path().join(name));
    for file in unfinished.iter().chain(&foreign) {
        fs::write(file, "").unwrap();
    }
    let [notes, other] = &foreign;
    for (file, days) in [
        (&unused, 31),
        (&idle, 29),
        (&unfinished[0], 2),
        (notes, 99),
        (other, 99),
    ] {
        age(file, days * DAY);
    }

    assert_eq!(load("3"), (PathBuf::new(), true));
    assert!(unused.exists(), "finding code removes nothing");
    let (new, found) = load("4");
    assert!(!found);
    let left = BTreeSet::from([idle, used, new, unfinished[1].clone()]);
    assert_eq!(files(dir.path()), &left | &BTreeSet::from(foreign));
}

#[test]
fn using_compiled_code_is_noted_once_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let load = || {
        let cache = CodeCache::open(dir.path());
        let engine = WasmEngine::new(Some(cache), Arc::new(SystemClock)).unwrap();
        engine.load_bytes(&returns("1")).unwrap().from_cache()
    };
    assert!(!load());
    let entry = files(dir.path()).pop_first().unwrap();
    let used = || entry.metadata().unwrap().modified().unwrap();
    let this_morning = age(&entry, DAY / 2);
    assert!(load());
    assert_eq!(used(), this_morning);
    let long_ago = age(&entry, 40 * DAY);
    assert!(load());
    assert!(used() > long_ago + 39 * DAY);
}

fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
#[cfg(unix)]
fn a_cache_that_others_may_write_to_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    for mode in [0o770, 0o702, 0o777] {
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        let cache = CodeCache::open(dir.path());
        assert!(!cache.is_usable(), "{mode:o}");
        let engine = WasmEngine::new(Some(cache), Arc::new(SystemClock)).unwrap();
        assert!(!engine.load_bytes(&returns("1")).unwrap().from_cache());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
#[cfg(unix)]
fn compiled_code_that_somebody_else_could_have_put_there_is_not_executed() {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
    let dir = tempfile::tempdir().unwrap();
    let load = || {
        let cache = CodeCache::open(dir.path());
        let engine = WasmEngine::new(Some(cache), Arc::new(SystemClock)).unwrap();
        engine.load_bytes(&returns("1")).unwrap().from_cache()
    };
    assert!(!load());
    let entry = files(dir.path()).pop_first().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let linked = elsewhere.path().join("code");

    fs::rename(&entry, &linked).unwrap();
    symlink(&linked, &entry).unwrap();
    assert!(!load(), "a link was followed");
    assert!(load(), "it was put in order");

    fs::set_permissions(&entry, fs::Permissions::from_mode(0o660)).unwrap();
    assert!(!load(), "others could have written it");
    assert!(load());

    // Only root can give a file away.
    if chown(&entry, Some(1), None).is_ok() {
        assert!(!load(), "it belongs to another user");
        assert!(load());
    }
}

#[test]
#[cfg(unix)]
fn a_cache_below_a_folder_that_others_may_write_to_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let above = tempfile::tempdir().unwrap();
    let dir = above.path().join("code");
    for (mode, usable) in [(0o700, true), (0o770, false), (0o1777, true)] {
        fs::set_permissions(above.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(CodeCache::open(&dir).is_usable(), usable, "{mode:o}");
    }
}

#[test]
fn the_cache_keeps_what_was_used_last_when_it_grows_too_large() {
    let dir = tempfile::tempdir().unwrap();
    let load = |output: &str| {
        let cache = CodeCache::open(dir.path());
        let engine = WasmEngine::new(Some(cache), Arc::new(SystemClock)).unwrap();
        engine.load_bytes(&returns(output)).unwrap();
    };
    load("1");
    let entry = files(dir.path()).pop_first().unwrap();
    let settings = entry.file_name().unwrap().to_str().unwrap()[64..].to_owned();
    // Three entries, each almost half of what is kept, without their data.
    let large = ["a", "b", "c"].map(|letter| dir.path().join(letter.repeat(64) + &settings));
    for (file, days) in large.iter().zip([3, 1, 2]) {
        let size = limits::CODE_CACHE_BYTES as u64 / 2 - 1024 * 1024;
        private(file).set_len(size).unwrap();
        age(file, days * DAY);
    }
    load("2");
    let [first, second, third] = large;
    assert!(!first.exists(), "the least recently used");
    assert!(second.exists() && third.exists() && entry.exists());
}

/// A new file that only its owner may write to.
fn private(path: &Path) -> File {
    let file = File::create_new(path).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::Permissions::from_mode(0o600);
        file.set_permissions(mode).unwrap();
    }
    file
}

const MANIFEST: &str = r#"{"name":"n","version":"1","steps":{"s":{"input":{},"output":true}}}"#;

#[test]
fn a_component_describes_itself_and_carries_the_answer() {
    let bytes = returns(MANIFEST);
    assert_eq!(Inspection::of(&bytes).unwrap().manifest, None);
    let text = block_on(engine().describe(&bytes)).unwrap();
    assert_eq!(text, MANIFEST);
    let packed = embed_manifest(&bytes, &text).unwrap();
    let twice = embed_manifest(&packed, &MANIFEST.replace("\"n\"", "\"renamed\"")).unwrap();
    assert_eq!(load(&packed).manifest().unwrap().name, "n");
    assert_eq!(load(&twice).manifest().unwrap().name, "renamed");
    assert_eq!(
        twice.len(),
        packed.len() + "renamed".len() - 1,
        "the old one is gone"
    );
    assert!(matches!(
        embed_manifest(&bytes, "{}"),
        Err(Rejection::Manifest(_))
    ));
    assert!(matches!(
        embed_manifest(b"", MANIFEST),
        Err(Rejection::NotWasm)
    ));
}

#[test]
fn describing_has_no_capabilities() {
    // The same function serves `describe` here: it asks for the run's id first.
    let core = r#"(module
        (import "milepost:step/context@0.1.0" "run-id" (func $id (param i32)))
        (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
        (func (export "milepost:step/guest@0.1.0#describe") (result i32) (call $id (i32.const 0)) (i32.const 0))
        (func (export "milepost:step/guest@0.1.0#run") (param i32 i32 i32 i32) (result i32) (unreachable)))"#;
    let result = block_on(engine().describe(&guests::component(core)));
    assert!(
        matches!(result, Err(DescribeError::Stopped(_))),
        "{result:?}"
    );
}

#[test]
fn a_claim_to_be_pure_is_checked() {
    let manifest = r#"{"name":"p","steps":{"s":{}}}"#;
    let complete = |bytes: &[u8], pure| block_on(engine().complete(bytes, pure)).map_err(Box::new);
    let pure = complete(&returns(manifest), true).unwrap();
    assert!(engine().load_bytes(&pure).unwrap().manifest().unwrap().pure);
    // It is not lost when it is completed again.
    assert_eq!(complete(&pure, false).unwrap(), pure);
    assert_eq!(complete(&pure, true).unwrap(), pure);
    let wasi = Guest {
        imports: r#"(import "wasi:random/random@0.2.6" "get-random-u64" (func $u64 (result i64)))"#,
        run: "(drop (call $u64)) (unreachable)",
        data: manifest,
        ..Guest::default()
    };
    let bytes = wasi.build();
    let told = complete(&bytes, true).unwrap_err().to_string();
    let says = "it claims to be pure, and imports `wasi:random/random@0.2.6`";
    assert!(told.ends_with(says), "{told}");
    // Whoever embedded it: it is refused when it is loaded.
    assert!(
        engine()
            .load_bytes(&complete(&bytes, false).unwrap())
            .is_ok()
    );
    let claims = manifest.replacen('{', r#"{"pure":true,"#, 1);
    let claims = embed_manifest(&bytes, &claims).unwrap();
    let refused = engine().load_bytes(&claims).err().unwrap();
    assert!(matches!(refused, Rejection::NotPure { .. }), "{refused}");
}

#[test]
fn an_inspection_tells_what_a_component_needs() {
    let guest = Guest {
        imports: r#"
            (import "milepost:step/context@0.1.0" "attempt" (func $attempt (result i32)))
            (import "wasi:random/random@0.2.6" "get-random-u64" (func $u64 (result i64)))"#,
        run: "(drop (call $attempt)) (drop (call $u64)) (unreachable)",
        ..Guest::default()
    };
    let bytes = guest.build();
    let inspection = Inspection::of(&bytes).unwrap();
    assert_eq!(inspection.digest, Digest::of(&bytes));
    assert_eq!(inspection.bytes, bytes.len());
    assert_eq!(inspection.capabilities, ["context", "wasi"]);
    assert!(
        inspection
            .imports
            .contains(&"wasi:random/random@0.2.6".to_owned())
    );
    assert_eq!(inspection.exports, ["milepost:step/guest@0.1.0"]);
}

#[test]
fn a_component_that_changed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plugin.wasm");
    let bytes = returns("1");
    std::fs::write(&path, &bytes).unwrap();
    let right = Digest::of(&bytes);
    assert_eq!(engine().load(&path, Some(right)).unwrap().digest(), right);
    let refused = engine()
        .load(&path, Some(Digest::of(b"another")))
        .err()
        .unwrap();
    assert!(matches!(refused, LoadError::OtherDigest { found, .. } if found == right));
}

/// The bytes with another text of the same length in every place of one.
fn renamed(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    for at in 0..=bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
    bytes
}
