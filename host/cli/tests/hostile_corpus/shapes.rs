//! Components that attack whoever loads them: reads, counts, compiles, links or starts them.

use milepost_core::limits;

use super::guests::{Guest, component_of_other_world, returns};
use super::{Ends, Hostile, append_section};

/// All of them.
pub(crate) fn all() -> Vec<Hostile> {
    let mut all = Vec::new();
    files(&mut all);
    towers(&mut all);
    masses(&mut all);
    features(&mut all);
    demands(&mut all);
    contracts(&mut all);
    all
}

type Corpus = Vec<Hostile>;

fn add(all: &mut Corpus, name: &'static str, bytes: Vec<u8>, ends: Ends) {
    all.push(Hostile { name, bytes, ends });
}

/// A component in the text format that exports something of the name of the contract's interface.
fn text(all: &mut Corpus, name: &'static str, body: &str, ends: Ends) {
    let text = format!(
        r#"(component {body} (instance $guest) (export "milepost:step/guest@0.1.0" (instance $guest)))"#
    );
    let bytes = wat::parse_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    add(all, name, bytes, ends);
}

/// One with a core module in it.
fn module(all: &mut Corpus, name: &'static str, body: &str, ends: Ends) {
    text(all, name, &format!("(core module $m {body})"), ends);
}

/// Files that are none.
fn files(all: &mut Corpus) {
    let whole = returns("1");
    add(all, "nothing", Vec::new(), Ends::Refused("NotWasm"));
    add(
        all,
        "another file",
        b"#!/bin/sh".to_vec(),
        Ends::Refused("NotWasm"),
    );
    add(
        all,
        "half a file",
        whole[..whole.len() / 2].to_vec(),
        Ends::Refused("Invalid"),
    );
    add(
        all,
        "only a header",
        whole[..8].to_vec(),
        Ends::Refused("WrongWorld"),
    );
    add(
        all,
        "a core module",
        wat::parse_str("(module)").unwrap(),
        Ends::Refused("CoreModule"),
    );
    let mut endless = whole[..8].to_vec();
    endless.extend([0, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    add(all, "a section of 4 GiB", endless, Ends::Refused("Invalid"));
    let mut version = whole.clone();
    version[4] = 0xff;
    add(
        all,
        "a version of the future",
        version,
        Ends::Refused("Invalid"),
    );
    let mut flipped = whole;
    let middle = flipped.len() / 2;
    flipped[middle..middle + 64].fill(0xff);
    add(
        all,
        "garbage in the middle",
        flipped,
        Ends::Refused("Invalid"),
    );
}

/// Little text, much work: instances of instances, components in components, types of types.
fn towers(all: &mut Corpus) {
    let tower = |levels: usize, width: usize, innermost: &str| {
        let mut text = format!("(component $c0 {innermost})");
        for level in 1..levels {
            let below = level - 1;
            text += &format!("(component $c{level} (alias outer 1 $c{below} (component $x))");
            text += &"(instance (instantiate $x))".repeat(width);
            text += ")";
        }
        text + &format!("(instance (instantiate $c{}))", levels - 1)
    };
    let refused = Ends::Refused("TooComplex");
    text(all, "10^8 instances", &tower(9, 10, ""), refused);
    text(
        all,
        "2^29 instances",
        &tower(30, 2, ""),
        Ends::Refused("TooComplex"),
    );
    let inner = "(core module $m) (core instance (instantiate $m))";
    text(all, "10^7 core instances", &tower(8, 10, inner), refused);
    let exports = "(core module $m (func (export \"\"))) (core instance $i (instantiate $m))"
        .to_owned()
        + &"(alias core export $i \"\" (core func))".repeat(20_000);
    text(
        all,
        "a large body, 100 times",
        &tower(3, 10, &exports),
        refused,
    );
    add(all, "900 levels", nested_bytes(900), refused);
    add(all, "100,000 levels", nested_bytes(100_000), refused);
    let many = "(core module $m)".to_owned() + &"(core instance (instantiate $m))".repeat(10_000);
    text(all, "10,000 core instances", &many, refused);
    let mut types = "(type $t0 (tuple u8 u8 u8 u8 u8 u8 u8 u8))".to_owned();
    for level in 1..20 {
        let below = format!("$t{} ", level - 1).repeat(8);
        types += &format!("(type $t{level} (tuple {below}))");
    }
    text(
        all,
        "a tuple of 8^20 numbers",
        &types,
        Ends::Refused("Invalid"),
    );
    let options = "(option ".repeat(90) + "u8" + &")".repeat(90);
    text(
        all,
        "90 options of options",
        &format!("(type (func (param \"p\" {options})))"),
        Ends::Refused("OtherType"),
    );
    for (name, body) in [
        (
            "a component as an argument",
            "(component $c) (component $d (import \"c\" (component))) (instance (instantiate $d (with \"c\" (component $c))))",
        ),
        (
            "a component as an export",
            "(component $d (component $c) (export \"c\" (component $c)))",
        ),
    ] {
        text(all, name, body, Ends::Refused("Unsupported"));
    }
}

/// As deep as no text format reader goes: each level is a section that holds all the others.
fn nested_bytes(levels: usize) -> Vec<u8> {
    const HEADER: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];
    // Built from the inside, backwards, so that nothing is copied.
    let mut reversed: Vec<u8> = HEADER.iter().rev().copied().collect();
    for _ in 1..levels {
        let mut length = reversed.len();
        let mut digits = Vec::new();
        loop {
            let low = (length & 0x7f) as u8;
            length >>= 7;
            digits.push(if length == 0 { low } else { low | 0x80 });
            if length == 0 {
                break;
            }
        }
        reversed.extend(digits.iter().rev());
        reversed.push(4);
        reversed.extend(HEADER.iter().rev());
    }
    // What the contract asks of the outermost one, so that its name is no reason to stop early.
    let mut bytes: Vec<u8> = reversed.into_iter().rev().collect();
    let guest = wat::parse_str(
        r#"(component (instance $guest) (export "milepost:step/guest@0.1.0" (instance $guest)))"#,
    )
    .unwrap();
    bytes.extend(&guest[8..]);
    bytes
}

/// Too much of one thing.
fn masses(all: &mut Corpus) {
    let refused = Ends::Refused("TooComplex");
    let over = |most: usize, body: &str| body.repeat(most + 1);
    module(
        all,
        "many functions",
        &over(limits::COMPONENT_FUNCTIONS, "(func)"),
        refused,
    );
    module(
        all,
        "many types",
        &over(limits::COMPONENT_TYPES, "(type (func))"),
        refused,
    );
    module(
        all,
        "many segments",
        &over(limits::COMPONENT_ITEMS, "(data \"\")"),
        refused,
    );
    let locals = over(limits::COMPONENT_LOCALS, "(local i32)");
    module(all, "many locals", &format!("(func {locals})"), refused);
    let nops = over(limits::COMPONENT_FUNCTION_BYTES, "nop ");
    module(all, "a huge function", &format!("(func {nops})"), refused);
    let long = "a".repeat(limits::COMPONENT_NAME_BYTES + 1);
    text(
        all,
        "a long name",
        &format!("(import \"{long}\" (func))"),
        Ends::Refused("UnknownImports"),
    );
    let blocks = "block ".repeat(10_000) + &"end ".repeat(10_000);
    module(
        all,
        "10,000 blocks in blocks",
        &format!("(func {blocks})"),
        Ends::Refused("OtherType"),
    );
    // Each local depends on all others, in a loop: what register allocation and SSA construction like least.
    let web: String = (0..400)
        .map(|n| {
            format!(
                "(local.set {n} (i32.add (local.get {}) (local.get {})))",
                (n * 7 + 1) % 400,
                (n * 13 + 5) % 400
            )
        })
        .collect();
    let web = format!(
        "(func {} (loop {} (br_if 0 (local.get 3))))",
        "(local i32)".repeat(400),
        web.repeat(20)
    );
    module(all, "a web of locals", &web, Ends::Refused("OtherType"));
    let table = format!(
        "(func (param i32) block (br_table {} (local.get 0)) end)",
        "0 ".repeat(200_000)
    );
    module(
        all,
        "a jump table of 200,000",
        &table,
        Ends::Refused("Invalid"),
    );
}

/// Parts of WebAssembly that are switched off.
fn features(all: &mut Corpus) {
    let off = Ends::Refused("Invalid");
    for (name, body) in [
        ("64-bit memory", "(memory i64 1)"),
        (
            "64-bit memory without end",
            "(memory i64 1 0x1000000000000)",
        ),
        ("64-bit table", "(table i64 1 funcref)"),
        ("shared memory", "(memory 1 1 shared)"),
        (
            "atomic operations",
            "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))",
        ),
        ("garbage collection", "(type (struct (field i32)))"),
        ("exceptions", "(tag (param i32))"),
        ("pages of one byte", "(memory 1 (pagesize 1))"),
        (
            "wide arithmetic",
            "(func (param i64) (result i64 i64) (i64.mul_wide_u (local.get 0) (local.get 0)))",
        ),
    ] {
        module(all, name, body, off);
    }
}

/// More than an attempt may have, from the start.
fn demands(all: &mut Corpus) {
    let started = |body: &str| format!("(core module $m {body}) (core instance (instantiate $m))");
    for (name, body) in [
        ("a memory of 4 GiB", "(memory 65536)".to_owned()),
        ("many memories", "(memory 1)".repeat(90)),
        (
            "a table of 10 million",
            "(table 10000000 funcref)".to_owned(),
        ),
        ("many tables", "(table 1 funcref)".repeat(90)),
    ] {
        text(all, name, &started(&body), Ends::Refused("TooDemanding"));
    }
    let instances = "(core module $m)".to_owned()
        + &"(core instance (instantiate $m))".repeat(limits::INSTANCES + 1);
    text(
        all,
        "more instances than an attempt",
        &instances,
        Ends::Refused("TooDemanding"),
    );
    let start = |body: &str| {
        let items = format!("(func $start {body}) (start $start)");
        let guest = Guest {
            items: &items,
            run: "(call $ok_number (i64.const 1))",
            ..Guest::default()
        };
        guest.build()
    };
    add(
        all,
        "a start that never ends",
        start("(loop $again (br $again))"),
        Ends::Fails("timeout"),
    );
    add(
        all,
        "a start that traps",
        start("(unreachable)"),
        Ends::Fails("trap"),
    );
    add(
        all,
        "a start that takes all memory",
        start(
            "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)",
        ),
        Ends::Fails("out_of_memory"),
    );
}

/// Another contract than ours.
fn contracts(all: &mut Corpus) {
    add(
        all,
        "another world",
        component_of_other_world(),
        Ends::Refused("WrongWorld"),
    );
    text(
        all,
        "an interface without functions",
        "",
        Ends::Refused("OtherType"),
    );
    text(
        all,
        "an import from nowhere",
        "(import \"evil:host/exec\" (instance))",
        Ends::Refused("UnknownImports"),
    );
    text(
        all,
        "http of WASI",
        "(import \"wasi:http/incoming-handler@0.2.6\" (instance))",
        Ends::Refused("UnknownImports"),
    );
    text(
        all,
        "control characters in a name",
        "(import \"\\1b[2J\" (instance))",
        Ends::Refused("UnknownImports"),
    );
    text(
        all,
        "a capability that is not provided",
        "(import \"milepost:step/teleport@0.1.0\" (instance))",
        Ends::Refused("NotProvided"),
    );
    let manifest = |json: &str| {
        let mut bytes = returns("1");
        append_section(&mut bytes, "milepost:manifest", json.as_bytes());
        bytes
    };
    let deep = "[".repeat(1_000_000);
    let wide = format!(
        "{{\"name\":\"n\",\"version\":\"1\",\"x\":[{}0]}}",
        "{\"\":0},".repeat(2_000_000)
    );
    for (name, json) in [
        ("a manifest that is no JSON", "{"),
        ("a manifest without end", &deep),
        ("a manifest of many values", &wide),
    ] {
        add(all, name, manifest(json), Ends::Refused("Manifest"));
    }
}
