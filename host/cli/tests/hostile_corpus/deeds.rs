//! Components that load like any other, and misbehave when they are called.

use milepost_core::limits;

use super::guests::{Guest, returns, runs};
use super::{Ends, Hostile, append_section};

/// All of them.
pub(crate) fn all() -> Vec<Hostile> {
    let mut all = Vec::new();
    work(&mut all);
    host_calls(&mut all);
    answers(&mut all);
    debug_data(&mut all);
    all
}

type Corpus = Vec<Hostile>;

fn add(all: &mut Corpus, name: &'static str, bytes: Vec<u8>, ends: Ends) {
    all.push(Hostile { name, bytes, ends });
}

/// Takes what there is.
fn work(all: &mut Corpus) {
    let deeper = Guest {
        items: "(func $deeper (param i32) (result i32)
            (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (local.get 0)))",
        run: "(call $deeper (i32.const 0))",
        ..Guest::default()
    };
    add(
        all,
        "recursion without end",
        deeper.build(),
        Ends::Fails("stack_overflow"),
    );
    for (name, run, code) in [
        (
            "a loop without end",
            "(loop $again (br $again)) (unreachable)",
            "timeout",
        ),
        (
            "all the memory",
            "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)",
            "out_of_memory",
        ),
        ("a trap", "(unreachable)", "trap"),
        (
            "a division by zero",
            "(i32.div_u (i32.const 1) (i32.const 0))",
            "trap",
        ),
        (
            "an access out of bounds",
            "(i32.load (i32.const -4))",
            "trap",
        ),
        (
            "filling memory for ever",
            "(loop $again (memory.fill (i32.const 0) (i32.const 1) (i32.const 60000)) (br $again)) (unreachable)",
            "timeout",
        ),
    ] {
        add(all, name, runs(run), Ends::Fails(code));
    }
    let table = Guest {
        items: "(table $t 1 funcref)",
        run: "(loop $again (br_if $again (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))) (unreachable)",
        ..Guest::default()
    };
    add(
        all,
        "all the table",
        table.build(),
        Ends::Fails("limit_exceeded"),
    );
    let nothing = Guest {
        items: "(table $t 1 funcref) (type $f (func))",
        run: "(call_indirect (type $f) (i32.const 0)) (unreachable)",
        ..Guest::default()
    };
    add(
        all,
        "a call of nothing",
        nothing.build(),
        Ends::Fails("trap"),
    );
}

/// Calls the host in ways that nobody meant.
fn host_calls(all: &mut Corpus) {
    let again = |call: &str, times: u32| {
        format!(
            "(local $i i32) (loop $again {call}
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $again (i32.lt_u (local.get $i) (i32.const {times}))))
             (call $ok_number (i64.const 1))"
        )
    };
    let log =
        r#"(import "milepost:step/log@0.1.0" "emit" (func $log (param i32 i32 i32 i32 i32)))"#;
    let sleep = r#"(import "milepost:step/clock@0.1.0" "sleep" (func $sleep (param i64)))"#;
    let random = r#"(import "milepost:step/random@0.1.0" "bytes" (func $bytes (param i32 i32)))"#;
    let call =
        |message: &str, fields: &str| format!("(call $log (i32.const 2) {message} {fields})");
    let short = "(i32.const 2048) (i32.const 10)";
    let none = "(i32.const 0) (i32.const 0)";
    let calls = limits::HOST_CALLS as u32 + 1;
    for (name, imports, run, ends) in [
        (
            "too many host calls",
            log,
            again(&call(short, none), calls),
            Ends::Fails("limit_exceeded"),
        ),
        (
            "a flood of log lines",
            log,
            again(&call("(i32.const 2048) (i32.const 16000)", none), 200),
            Ends::Harmless,
        ),
        (
            "a log level that does not exist",
            log,
            format!("(call $log (i32.const 9) {short} {none}) (unreachable)"),
            Ends::Fails("trap"),
        ),
        (
            "a message out of bounds",
            log,
            call("(i32.const -8) (i32.const 4)", none) + "(unreachable)",
            Ends::Fails("trap"),
        ),
        (
            "a message of 4 GiB",
            log,
            call("(i32.const 0) (i32.const -1)", none) + "(unreachable)",
            Ends::Fails("trap"),
        ),
        (
            "100 million fields",
            log,
            call(short, "(i32.const 0) (i32.const 100000000)") + "(unreachable)",
            Ends::Fails("trap"),
        ),
        (
            "a sleep of an eternity",
            sleep,
            "(call $sleep (i64.const -1)) (unreachable)".to_owned(),
            Ends::Fails("limit_exceeded"),
        ),
        (
            "short sleeps without end",
            sleep,
            again("(call $sleep (i64.const 1))", 50_000),
            Ends::Fails("timeout"),
        ),
        (
            "4 GiB of random bytes",
            random,
            "(call $bytes (i32.const -1) (i32.const 1024)) (unreachable)".to_owned(),
            Ends::Fails("limit_exceeded"),
        ),
    ] {
        let guest = Guest {
            imports,
            run: &run,
            data: "\u{1b}[2J\u{9b}x\u{202e}",
            pages: 2,
            ..Guest::default()
        };
        add(all, name, guest.build(), ends);
    }
}

/// Answers with something that is none.
fn answers(all: &mut Corpus) {
    let nested = "[".repeat(limits::JSON_DEPTH + 1) + &"]".repeat(limits::JSON_DEPTH + 1);
    for (name, text) in [
        ("an empty answer", ""),
        ("half a document", "{\"a\":"),
        ("two documents", "1 2"),
        ("a document too deep", &nested),
        ("a number beyond everything", "1e999"),
        ("a lonely surrogate", "\"\\ud800\""),
    ] {
        add(all, name, returns(text), Ends::Fails("invalid_output"));
    }
    for (name, run, code) in [
        ("an answer that does not exist", "(i32.const 5)", "trap"),
        ("an answer out of bounds", "(i32.const -4)", "trap"),
        (
            "an answer of 4 GiB",
            "(call $ok (i32.const 0) (i32.const -1))",
            "trap",
        ),
        (
            "an answer that is no text",
            "(i32.store8 (i32.const 16384) (i32.const 255)) (call $ok (i32.const 16384) (i32.const 1))",
            "trap",
        ),
    ] {
        add(all, name, runs(run), Ends::Fails(code));
    }
    // `[{"":0},{"":0}, ..]`, 4 MB of it: little text, many values.
    let many = Guest {
        run: "(local $p i32)
            (i32.store8 (i32.const 16384) (i32.const 91))
            (local.set $p (i32.const 16385))
            (loop $again
              (i64.store (local.get $p) (i64.const 0x2c7d303a22227b))
              (local.set $p (i32.add (local.get $p) (i32.const 7)))
              (br_if $again (i32.lt_u (local.get $p) (i32.const 4000000))))
            (i32.store8 (local.get $p) (i32.const 48))
            (i32.store8 (i32.add (local.get $p) (i32.const 1)) (i32.const 93))
            (call $ok (i32.const 16384) (i32.sub (local.get $p) (i32.const 16382)))",
        pages: 80,
        ..Guest::default()
    };
    add(
        all,
        "an answer of many values",
        many.build(),
        Ends::Fails("output_too_large"),
    );
    let large = Guest {
        run: "(memory.fill (i32.const 16384) (i32.const 49) (i32.const 50000000)) (call $ok (i32.const 16384) (i32.const 50000000))",
        pages: 1_000,
        ..Guest::default()
    };
    add(
        all,
        "an answer too large",
        large.build(),
        Ends::Fails("output_too_large"),
    );
}

/// Traps, with debug data and names that are an attack on whoever reads them.
fn debug_data(all: &mut Corpus) {
    let traps = runs("(unreachable)");
    let mut garbage = traps.clone();
    for name in [
        ".debug_info",
        ".debug_abbrev",
        ".debug_line",
        ".debug_str",
        ".debug_ranges",
        "name",
    ] {
        append_section(&mut garbage, name, &[0xff; 4_096]);
    }
    add(all, "debug data of garbage", garbage, Ends::Fails("trap"));
    // A name that doubles with each level when it is demangled: `_ZN` with substitutions.
    let mangled = "_Z1fI".to_owned() + &"1AIS_".repeat(2_000) + &"E".repeat(2_001) + "vv";
    let named = Guest {
        items: &format!("(func ${} (unreachable))", mangled),
        run: &format!("(call ${}) (i32.const 0)", mangled),
        ..Guest::default()
    };
    add(
        all,
        "a name that is a bomb",
        named.build(),
        Ends::Fails("trap"),
    );
    let escapes = Guest {
        items: "(func $\"\\1b[2J\\1b]0;owned\\07\" (unreachable))",
        run: "(call $\"\\1b[2J\\1b]0;owned\\07\") (i32.const 0)",
        ..Guest::default()
    };
    add(
        all,
        "a name that is a command to a terminal",
        escapes.build(),
        Ends::Fails("trap"),
    );
}
