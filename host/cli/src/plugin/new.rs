//! `milepost plugin new`: a folder with two steps that work, to be changed into something else.

use std::path::{Path, PathBuf};

use clap::Args;
use milepost::core::shown::Shown;

use super::language::Language;
use super::templates::{COMMON, CONTRACT, Template, template};
use crate::context::{Context, Reply};
use crate::documents::NewPlugin;
use crate::exit::Exit;
use crate::failure::{Code, Failure};
use crate::{shell, whole_folder};

/// Begin a plugin: a folder with two steps, their tests, and a workflow
///
/// Makes a folder with a plugin of two steps, of which one pauses and goes on with what it kept, tests of both, a workflow that
/// uses them, and the contract. Nothing is downloaded, and nothing that is there is changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost plugin new words --lang rust
  milepost plugin new plugins/words --lang c
  milepost plugin test words")]
pub(crate) struct NewArgs {
    /// The folder to make; its last part is the name of the plugin
    #[arg(value_name = "NAME")]
    folder: PathBuf,
    /// What it is to be written in: rust, javascript, typescript, python, go, c, cpp, zig, assemblyscript or wat
    #[arg(long, value_name = "LANGUAGE", value_enum, hide_possible_values = true)]
    lang: Language,
}

/// Names that a package cannot have, in one language or another.
const TAKEN: &[&str] = &[
    "as",
    "async",
    "await",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "main",
    "match",
    "milepost",
    "milepost-sdk",
    "milepost-sdk-derive",
    "mod",
    "move",
    "mut",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "unsafe",
    "use",
    "where",
    "while",
    "yield",
];

pub(super) fn run(args: &NewArgs, cx: &Context) -> Result<Reply, Failure> {
    let name = named(&args.folder)?;
    let template = template(args.lang);
    let files = files(name, args.lang, &template);
    whole_folder::make(&args.folder, &files)?;
    let folder = args.folder.display().to_string();
    let document = || NewPlugin {
        folder: folder.clone(),
        language: args.lang,
        files: files.iter().map(|(file, _)| file.clone()).collect(),
    };
    Ok(cx.reply(Exit::Completed, document, || {
        let test = cx.program(&format!("plugin test {}", shell::word(&folder)));
        let made = format!("made {}, a plugin in {}", Shown(&folder), args.lang.name());
        format!("{made}\nneeds: {}\nnext:  {test}", template.needs)
    }))
}

/// The name of a plugin, which has to be one wherever it is written: as a file, a package, a name in a workflow.
fn named(folder: &Path) -> Result<&str, Failure> {
    const LONGEST: usize = 40;
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(is_plain)
        && !name.ends_with('-')
        && !name.contains("--")
        && name.len() <= LONGEST;
    let failure = |message: String| {
        Failure::new(Code::Usage, message).help(
            "a name begins with a lower-case letter and goes on with at most 39 of those, digits and single hyphens",
        )
    };
    if !is_name {
        let shown = Shown(folder.display());
        return Err(failure(format!(
            "`{shown}` does not end with a name for a plugin"
        )));
    }
    match TAKEN.contains(&name) {
        true => Err(failure(format!(
            "`{name}` means something else in some language"
        ))),
        false => Ok(name),
    }
}

fn files(name: &str, language: Language, template: &Template) -> Vec<(String, String)> {
    let filled = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{language}}", language.name())
            .replace("{{files}}", template.about)
            .replace("{{needs}}", template.needs)
    };
    let own = COMMON.iter().chain(template.files);
    let mut files: Vec<_> = own.map(|(to, text)| (filled(to), filled(text))).collect();
    let as_is = CONTRACT.iter().chain(template.sdk);
    files.extend(as_is.map(|(to, text)| ((*to).to_owned(), (*text).to_owned())));
    files
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn a_name_is_one_everywhere() {
        let good = |name: &str| named(Path::new(name)).is_ok();
        for name in [
            "words",
            "w",
            "words-2",
            "plugins/words",
            "./words",
            "words/",
        ] {
            assert!(good(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "/",
            "Words",
            "2words",
            "my words",
            "w_x",
            "-w",
            "w-",
            "a--b",
            "wörter",
            "test",
            "fn",
            "a.b",
            &"w".repeat(41),
        ] {
            assert!(!good(name), "{name}");
        }
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        for language in Language::value_variants() {
            let template = template(*language);
            for (name, text) in files("words", *language, &template) {
                assert!(!name.contains("{{"), "{name}");
                assert!(
                    name.ends_with(".rs") || !text.contains("{{name"),
                    "{language:?}: {name}"
                );
            }
        }
    }
}
