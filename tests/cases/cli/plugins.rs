//! Plugins from an empty folder. The text format needs no tool, so that its walk is the one here; `.ci/plugins` walks with the others.

use std::fs;
use std::time::{Duration, SystemTime};

use expect_test::expect;
use milepost::core::definition::Manifest;
use milepost::wasm::Inspection;
use milepost_tests::cli::{Cli, component};
use serde_json::json;

#[test]
fn two_commands_lead_to_a_green_test() {
    let cli = Cli::new();
    let begun = std::time::Instant::now();
    let made = cli.run("plugin new plugins/words --lang wat").expect(0);
    assert!(
        made.stdout
            .starts_with("made plugins/words, a plugin in WAT\n"),
        "{made:?}"
    );
    assert!(
        made.stdout
            .ends_with("next:  milepost plugin test plugins/words\n"),
        "{made:?}"
    );
    let tested = cli.run("plugin test plugins/words").expect(0);
    assert!(tested.stdout.ends_with("5 tests: 5 passed\n"), "{tested:?}");
    assert!(
        tested
            .stderr
            .contains("built plugins/words/words.wasm (WAT, "),
        "{tested:?}"
    );
    println!("two commands took {:?}", begun.elapsed());

    // Nothing has changed: nothing is built.
    let again = cli.run("plugin test plugins/words --crash").expect(0);
    assert!(!again.stderr.contains("built"), "{again:?}");
    assert!(again.stdout.contains("5 passed; killed"), "{again:?}");
    let tests = cli
        .run("plugin test plugins/words --json --filter asks")
        .expect(0)
        .json();
    assert_eq!(tests["passed"], 1);

    // A later change is built, before the tests.
    let source = cli.folder().join("plugins/words/step.wat");
    let text = fs::read_to_string(&source).unwrap();
    fs::write(&source, text.replace("Hello, ", "Hallo, ")).unwrap();
    let later = SystemTime::now() + Duration::from_secs(2);
    fs::File::open(&source)
        .unwrap()
        .set_modified(later)
        .unwrap();
    let changed = cli.run("plugin test plugins/words").expect(1);
    assert!(
        changed.stdout.contains("5 tests: 3 passed, 2 failed"),
        "{changed:?}"
    );
    assert!(
        changed.stderr.contains("built plugins/words/words.wasm"),
        "{changed:?}"
    );
}

#[test]
fn the_workflow_of_a_new_plugin_runs_pauses_and_goes_on() {
    let cli = Cli::new();
    cli.run("plugin new words --lang wat").expect(0);
    let built = cli.run("plugin build words --json").expect(0).json();
    assert_eq!(built["component"]["ok"], true);
    assert_eq!(built["component"]["capabilities"], json!(["context"]));
    assert_eq!(built["change"], json!(null));
    cli.run("validate words/workflow.toml").expect(0);
    cli.run("run words/workflow.toml --id r --input name=Ada")
        .expect(2);
    cli.run("signal r answer --data \"fine\"").expect(0);
    let ended = cli.run("resume r --json").expect(0).json();
    assert_eq!(
        ended["output"],
        json!({ "question": "Hello, Ada! How are you?", "answer": "fine" })
    );
    cli.run("replay r").expect(0);
}

#[test]
fn a_build_tells_what_has_changed() {
    let cli = Cli::new();
    cli.run("plugin new words --lang wat").expect(0);
    let first = cli.run("plugin build words").expect(0).stdout;
    assert!(
        first.contains("\n  steps:        ask, greet\n  capabilities: context\n"),
        "{first}"
    );
    let source = cli.folder().join("words/step.wat");
    let text = fs::read_to_string(&source).unwrap();
    let text = text.replace("\\\"ask\\\":{\\\"desc", "\\\"inquire\\\":{\\\"desc");
    let imports = r#"(module (import "milepost:step/clock@0.1.0" "now" (func (result i64)))"#;
    fs::write(&source, text.replacen("(module", imports, 1)).unwrap();
    let second = cli.run("plugin build words").expect(0).stdout;
    assert!(second.contains(" bytes (+"), "{second}");
    assert!(
        second.contains("steps:        greet, inquire (new: inquire; gone: ask)\n"),
        "{second}"
    );
    assert!(
        second.contains("capabilities: context, clock (new: clock)"),
        "{second}"
    );
    let third = cli
        .run("plugin build words --json -o other.wasm")
        .expect(0)
        .json();
    assert_eq!(third["change"], json!(null), "another file");
    let fourth = cli.run("plugin build words --json").expect(0).json();
    assert_eq!(
        fourth["change"]["steps"],
        json!({ "added": [], "removed": [] })
    );
    assert_eq!(fourth["component"]["digest"], third["component"]["digest"]);

    // What does not build leaves what was built before.
    fs::write(&source, "(module (func)").unwrap();
    let before = fs::read(cli.folder().join("words/words.wasm")).unwrap();
    cli.run("plugin build words").expect(65);
    assert_eq!(
        fs::read(cli.folder().join("words/words.wasm")).unwrap(),
        before
    );
}

#[test]
fn a_plugin_claims_to_be_pure() {
    let cli = Cli::new();
    cli.run("plugin new words --lang wat").expect(0);
    let built = cli.run("plugin build words --pure --json").expect(0).json();
    assert_eq!(built["component"]["manifest"]["pure"], true);
    let told = cli.run("plugin inspect words/words.wasm").expect(0).stdout;
    assert!(
        told.contains("\n  pure:         claims to import nothing of WASI\n"),
        "{told}"
    );
    cli.run("validate words/workflow.toml").expect(0);
}

#[test]
fn a_folder_that_is_there_is_left_alone() {
    let cli = Cli::new();
    cli.write("words/mine", "mine");
    let mut session = cli.session();
    session.milepost("plugin new words --lang wat");
    session.milepost("plugin new Words --lang wat");
    session.milepost("plugin new a/test --lang wat");
    session.milepost("plugin build nowhere");
    session.milepost("plugin build words");
    session.milepost("plugin test words");
    session.reads(expect![[r#"
        $ milepost plugin new words --lang wat
        ! error: words is there already
        !   help: nothing was changed; choose another name
        [exit 65]

        $ milepost plugin new Words --lang wat
        ! error: `Words` does not end with a name for a plugin
        !   help: a name begins with a lower-case letter and goes on with at most 39 of those, digits and single hyphens
        [exit 64]

        $ milepost plugin new a/test --lang wat
        ! error: `test` means something else in some language
        !   help: a name begins with a lower-case letter and goes on with at most 39 of those, digits and single hyphens
        [exit 64]

        $ milepost plugin build nowhere
        ! error: nowhere is not a folder
        [exit 65]

        $ milepost plugin build words
        ! error: words holds no sources of a plugin
        !   help: name the folder with its Cargo.toml, go.mod, .ts, .js, .py, .zig, .cpp, .c or .wat; what another language has compiled is taken by `milepost plugin pack`
        [exit 65]

        $ milepost plugin test words
        ! error: words holds no sources of a plugin
        !   help: name the folder with its Cargo.toml, go.mod, .ts, .js, .py, .zig, .cpp, .c or .wat; what another language has compiled is taken by `milepost plugin pack`
        [exit 65]
    "#]]);
    let left: Vec<_> = fs::read_dir(cli.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["words"]);
    assert_eq!(fs::read_dir(cli.folder().join("words")).unwrap().count(), 1);
}

/// Nothing is in `PATH` here.
#[test]
fn a_missing_tool_is_named_with_what_installs_it() {
    let cli = Cli::new();
    for (lang, tool) in [
        ("rust", "cargo"),
        ("c", "clang"),
        ("cpp", "clang++"),
        ("zig", "zig"),
        ("assemblyscript", "asc"),
        ("go", "go"),
        ("javascript", "componentize-qjs"),
        ("python", "componentize-py"),
    ] {
        let name = format!("in-{lang}");
        cli.run(&format!("plugin new {name} --lang {lang}"))
            .expect(0);
        let failed = cli
            .run(&format!("plugin test {name} --json"))
            .expect(69)
            .json();
        assert_eq!(failed["error"]["code"], "tool_missing", "{failed}");
        let text = failed["error"].to_string();
        assert!(
            text.contains(tool) && text.contains("install it: `"),
            "{failed}"
        );
        assert!(
            !cli.folder()
                .join(&name)
                .join(format!("{name}.wasm"))
                .exists()
        );
    }
}

#[test]
fn what_any_compiler_made_is_packed() {
    let cli = Cli::new();
    let core = |more: &str| {
        format!(
            r#"(module {more} (memory (export "memory") 1)
            (data (i32.const 0) "{{\"name\":\"w\",\"steps\":{{\"a\":{{}}}}}}")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 512)
            (func (export "milepost:step/guest@0.1.0#describe") (result i32)
              (i32.store (i32.const 256) (i32.const 0)) (i32.store (i32.const 260) (i32.const 29)) (i32.const 256))
            (func (export "milepost:step/guest@0.1.0#run") (param i32 i32 i32 i32) (result i32)
              (i32.store8 (i32.const 256) (i32.const 0))
              (i32.store (i32.const 264) (local.get 2)) (i32.store (i32.const 268) (local.get 3)) (i32.const 256)))"#
        )
    };
    cli.write("core.wat", core(""));
    let packed = cli
        .run("plugin pack core.wat -o words.wasm --json")
        .expect(0)
        .json();
    assert_eq!(packed["ok"], true);
    assert_eq!(packed["manifest"]["name"], "w");
    assert_eq!(
        cli.run("plugin inspect words.wasm --json").expect(0).json()["digest"],
        packed["digest"]
    );
    // The verbs of before go on.
    assert_eq!(
        cli.run("inspect words.wasm --json").expect(0).json()["digest"],
        packed["digest"]
    );
    cli.run("pack words.wasm -o again.wasm").expect(0);
    assert_eq!(
        fs::read(cli.folder().join("again.wasm")).unwrap(),
        fs::read(cli.folder().join("words.wasm")).unwrap()
    );

    cli.write("prints.wat", core(r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#));
    let seen = |line: &str| cli.run(line).expect(0).json()["capabilities"].clone();
    assert_eq!(
        seen("plugin pack prints.wat -o p.wasm --json"),
        json!(["wasi"])
    );
    assert_eq!(
        seen("plugin pack prints.wat -o p.wasm --wasi none --json"),
        json!([])
    );

    // What needs a grant is not in the smaller world.
    let logs =
        core(r#"(import "milepost:step/log@0.1.0" "emit" (func (param i32 i32 i32 i32 i32)))"#);
    let asks =
        core(r#"(import "milepost:step/secrets@0.1.0" "placeholder" (func (param i32 i32 i32)))"#);
    cli.write("logs.wat", &logs);
    cli.write("asks.wat", &asks);
    assert_eq!(
        seen("plugin pack logs.wat -o l.wasm --world step-core --json"),
        json!(["log"])
    );
    assert_eq!(
        seen("plugin pack asks.wat -o a.wasm --world step --json"),
        json!(["secrets"])
    );
    let code = |line: &str, exit: i32| cli.run(line).expect(exit).json()["error"]["code"].clone();
    assert_eq!(
        code(
            "plugin pack asks.wat -o no.wasm --world step-core --json",
            65
        ),
        "plugin_incompatible"
    );
    assert_eq!(
        code("plugin pack asks.wat -o no.wasm --world core --json", 64),
        "usage"
    );

    cli.write("needs.wat", core(r#"(import "env" "sqrtf" (func))"#));
    cli.write("lacks.wat", core("").replace("#run", "#rum"));
    cli.write("program.wat", r#"(module (func (export "_start")))"#);
    cli.write("core.wasm", b"\0asm\x01\0\0\0");
    cli.write("w.toml", "schema = 1\nname = \"w\"\n[plugins.p]\nsource = \"core.wasm\"\n[[step]]\nid = \"a\"\nuse = \"p/s\"\n");
    let mut session = cli.session();
    for name in ["needs.wat", "lacks.wat", "program.wat", "core.wasm"] {
        session.milepost(&format!("plugin pack {name} -o no.wasm"));
    }
    session.milepost("inspect core.wasm");
    session.milepost("validate w.toml");
    session.reads(expect![[r#"
        $ milepost plugin pack needs.wat -o no.wasm
        ! error: cannot make a component of it: it imports `sqrtf` from `env`, which is neither an interface nor WASI preview 1
        !   help: a function is declared and nowhere defined: link the library that has it
        [exit 65]

        $ milepost plugin pack lacks.wat -o no.wasm
        ! error: cannot make a component of it: it does not fit the world: module was not valid: failed to find export of interface `milepost:step/guest@0.1.0` function `run`
        !   help: the functions and their types stand in the WIT (`plugin new` puts it beside the sources); bindings that were generated from another version have to be generated again
        [exit 65]

        $ milepost plugin pack program.wat -o no.wasm
        ! error: cannot make a component of it: it is a program, which starts at `_start`, not a library of functions
        !   help: build a library: C and C++ with `-mexec-model=reactor`, Go with `-buildmode=c-shared`, Rust with `crate-type = ["cdylib"]`
        [exit 65]

        $ milepost plugin pack core.wasm -o no.wasm
        ! error: cannot make a component of it: it does not fit the world: module was not valid: failed to find export of interface `milepost:step/guest@0.1.0` function `describe`
        !   help: the functions and their types stand in the WIT (`plugin new` puts it beside the sources); bindings that were generated from another version have to be generated again
        [exit 65]

        $ milepost inspect core.wasm
        ! error: cannot use the component: it is a core module, not a component
        !   help: `milepost plugin pack CORE.wasm -o PLUGIN.wasm` makes a component of it
        [exit 65]

        $ milepost validate w.toml
        error[MP0607]: plugin `p` does not fit: cannot use the component [folder]/core.wasm: it is a core module, not a component; `plugin pack` makes a component of it, also of one for WASI preview 1, and `plugin build` of its sources
         --> w.toml:4:10
          |
        4 | source = "core.wasm"
          |          ^^^^^^^^^^^
        1 file checked, 1 with errors
        [exit 65]
    "#]]);
    assert!(!cli.folder().join("no.wasm").exists());
    // Nothing that its author left in a component is taken out of it.
    let text = component("text");
    cli.run(&format!("plugin pack {} -o text.wasm", text.display()))
        .expect(0);
    assert_eq!(
        fs::read(&text).unwrap(),
        fs::read(cli.folder().join("text.wasm")).unwrap()
    );
}

#[test]
fn the_schema_of_manifests_is_published_and_every_manifest_fits_it() {
    let printed = Cli::new().run("schema --manifest").expect(0);
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let published = fs::read_to_string(root.join("host/cli/manifest.schema.json"));
    assert!(
        printed.stdout == published.unwrap_or_default(),
        "the schema of manifests has changed: if it should, write `milepost schema --manifest` to host/cli/manifest.schema.json, \
         and say so in CHANGELOG.md"
    );
    let schema = jsonschema::validator_for(&printed.json()).unwrap();
    let mut fit = 0;
    for entry in fs::read_dir(root.join("plugins/prebuilt")).unwrap() {
        let file = entry.unwrap().path();
        let bytes = fs::read(&file).unwrap();
        let Ok(Some(manifest)) = Inspection::of(&bytes).map(|found| found.manifest) else {
            continue;
        };
        let manifest = serde_json::to_value(manifest).unwrap();
        assert!(schema.is_valid(&manifest), "{}", file.display());
        fit += 1;
    }
    assert!(fit > 5, "{fit}");
    // What the reader refuses does not fit either.
    for wrong in [
        json!({ "name": "p", "steps": {} }),
        json!({ "name": "p" }),
        json!({ "name": "p", "steps": { "s": {} }, "hots": [] }),
        json!({ "name": "p", "steps": { "s": { "inputs": true } } }),
    ] {
        assert!(!schema.is_valid(&wrong), "{wrong}");
        assert!(Manifest::parse(&wrong.to_string()).is_err(), "{wrong}");
    }
}
