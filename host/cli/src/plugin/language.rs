//! Which language a plugin is written in, and what it is called.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use milepost::core::shown::Shown;
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::{Code, Failure};

/// A language that plugins are built from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    /// Cargo.toml
    Rust,
    /// go.mod
    Go,
    /// step.ts
    #[value(name = "typescript", alias = "ts")]
    TypeScript,
    /// step.js
    #[value(name = "javascript", alias = "js")]
    JavaScript,
    /// step.py
    Python,
    /// *.c
    C,
    /// *.cpp
    #[value(alias = "c++")]
    Cpp,
    /// *.zig
    Zig,
    /// *.as.ts, or a package.json that names assemblyscript
    #[value(name = "assemblyscript")]
    AssemblyScript,
    /// *.wat
    Wat,
}

impl Language {
    /// As people write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Go => "Go",
            Self::TypeScript => "TypeScript",
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
            Self::C => "C",
            Self::Cpp => "C++",
            Self::Zig => "Zig",
            Self::AssemblyScript => "AssemblyScript",
            Self::Wat => "WAT",
        }
    }

    /// Endings of its sources.
    pub(crate) fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["rs"],
            Self::Go => &["go"],
            Self::TypeScript | Self::AssemblyScript => &["ts"],
            Self::JavaScript => &["js", "mjs"],
            Self::Python => &["py"],
            Self::C => &["c"],
            Self::Cpp => &["cpp", "cc", "cxx"],
            Self::Zig => &["zig"],
            Self::Wat => &["wat"],
        }
    }

    /// What a folder is written in, by the files in it.
    ///
    /// # Errors
    /// [`Failure`] when that cannot be told.
    pub(super) fn of(folder: &Path) -> Result<Self, Failure> {
        if !folder.is_dir() {
            let message = format!("{} is not a folder", Shown(folder.display()));
            return Err(Failure::new(Code::NoPlugin, message));
        }
        let has = |name: &str| folder.join(name).is_file();
        if has("Cargo.toml") {
            return Ok(Self::Rust);
        }
        if has("go.mod") {
            return Ok(Self::Go);
        }
        let npm = fs::read_to_string(folder.join("package.json")).unwrap_or_default();
        if npm.contains("\"assemblyscript\"") {
            return Ok(Self::AssemblyScript);
        }
        let rest = [
            Self::TypeScript,
            Self::JavaScript,
            Self::Python,
            Self::Zig,
            Self::Cpp,
            Self::C,
            Self::Wat,
        ];
        let found = rest
            .into_iter()
            .find(|language| sources(folder, *language).is_ok_and(|sources| !sources.is_empty()));
        found.ok_or_else(|| {
            let message = format!(
                "{} holds no sources of a plugin",
                Shown(folder.display())
            );
            Failure::new(Code::NoPlugin, message).help(
                "name the folder with its Cargo.toml, go.mod, .ts, .js, .py, .zig, .cpp, .c or .wat; what another language \
                 has compiled is taken by `milepost plugin pack`",
            )
        })
    }
}

/// Sources of a language in a folder and in its `src`, in the order of their names. Declarations of types are none.
pub(super) fn sources(folder: &Path, language: Language) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for place in [folder.to_owned(), folder.join("src")] {
        let Ok(entries) = fs::read_dir(&place) else {
            continue;
        };
        for entry in entries {
            let file = entry?.path();
            let name = file.to_string_lossy();
            let ending = file.extension().unwrap_or_default().to_string_lossy();
            let ours = language.endings().contains(&&*ending);
            if ours && file.is_file() && !name.ends_with(".d.ts") && !is_settings(&file) {
                found.push(file);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// `eslint.config.js` and its like.
fn is_settings(file: &Path) -> bool {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    stem.ends_with(".config") || stem.ends_with(".test")
}

/// The source that a plugin begins with, of a language in which others are read from there.
pub(super) fn entry(folder: &Path, language: Language) -> Result<PathBuf, Failure> {
    let found = sources(folder, language).map_err(|error| Failure::file("read", folder, &error))?;
    let named = |stem: &str| {
        let mut files = found.iter();
        files.find(|file| file.file_stem().is_some_and(|name| name == stem))
    };
    let folder_name = name(folder);
    let first = ["step", "index", "main", &folder_name];
    let file = first.into_iter().find_map(named).or(match &found[..] {
        [only] => Some(only),
        _ => None,
    });
    file.cloned().ok_or_else(|| {
        let ending = language.endings()[0];
        let message = format!(
            "it cannot be told which file the plugin in {} begins with",
            Shown(folder.display())
        );
        Failure::new(Code::NoPlugin, message).help(format!("call it `step.{ending}`"))
    })
}

/// What a plugin is called: as its folder is.
pub(super) fn name(folder: &Path) -> String {
    let absolute = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let name = absolute.file_name().unwrap_or_default().to_string_lossy();
    match &*name {
        "" => "plugin".to_owned(),
        name => name.to_owned(),
    }
}
