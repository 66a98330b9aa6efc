//! Variables that a program may get, and the patterns that grants have for them.

use super::words;

/// Variables, and families of them, by which a loader, a shell, an interpreter or the program itself is made to run something else, or to
/// read settings that say so. No pattern fits one: whoever grants it writes its name.
const RUN_CODE: [&str; 62] = [
    // The loader and the C library.
    "DYLD_*",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "LD_*",
    "LOCPATH",
    "NLSPATH",
    // Shells, and where programs and their settings are looked for.
    "BASH*",
    "CDPATH",
    "ENV",
    "HOME",
    "IFS",
    "PATH",
    "PROMPT_COMMAND",
    "PS4",
    "SHELL*",
    "XDG_*",
    "ZDOTDIR",
    // Programs that programs start.
    "BROWSER",
    "EDITOR",
    "LESS*",
    "MANPAGER",
    "PAGER",
    "SSH_ASKPASS*",
    "SUDO_*",
    "VISUAL",
    // Interpreters.
    "AWK*",
    "BUNDLE_*",
    "CLASSPATH",
    "CORECLR_*",
    "COR_*",
    "DENO_*",
    "DOTNET_*",
    "ERL_*",
    "GEM_*",
    "GUILE_*",
    "JAVA_*",
    "JDK_*",
    "JULIA_*",
    "LUA_*",
    "NODE_*",
    "NPM_*",
    "npm_*",
    "PERL*",
    "PHP*",
    "PYTHON*",
    "RUBY*",
    "R_*",
    "TCL*",
    "_JAVA_OPTIONS",
    // Tools that build.
    "CARGO*",
    "CMAKE_*",
    "GNUMAKEFLAGS",
    "GOFLAGS",
    "MAKE*",
    "RUST*",
    // Others whose settings name programs or libraries.
    "AWS_CONFIG_FILE",
    "CURL_HOME",
    "KUBECONFIG",
    "OPENSSL_*",
    "WGETRC",
    // Git: see below.
    "GIT_ALLOW_PROTOCOL",
    "GIT_ASKPASS",
];

/// The same of Git.
const RUN_CODE_IN_GIT: [&str; 13] = [
    "GIT_COMMON_DIR",
    "GIT_CONFIG*",
    "GIT_DIR",
    "GIT_EDITOR",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER*",
    "GIT_PROXY_COMMAND",
    "GIT_SEQUENCE_EDITOR",
    "GIT_SSH*",
    "GIT_TEMPLATE_DIR",
    // Not code, but files that it writes to.
    "GIT_TRACE*",
    "GIT_REDIRECT*",
];

/// Why a text is no pattern of variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEnv {
    /// Nothing, or nothing before the `=`.
    #[error("it has no name")]
    NoName,
    /// `*` for any variable.
    #[error("`*` alone would be any variable")]
    All,
    /// `*` somewhere else than at the end of the name.
    #[error("in a name, `*` can only be the last character")]
    Star,
    /// Both a pattern of names and a value.
    #[error("a value belongs to one name, without a `*`")]
    ValueOfMany,
    /// A space or a control character in the name.
    #[error("a name has no spaces and no control characters")]
    Characters,
}

/// Whether a text is a pattern of variables: `NAME`, `PREFIX_*`, or `NAME=VALUE`, with `*` for any text in the value.
///
/// # Errors
/// [`InvalidEnv`].
pub fn check_env(pattern: &str) -> Result<(), InvalidEnv> {
    let (name, value) = split(pattern);
    let bare = name.strip_suffix('*').unwrap_or(name);
    if name.is_empty() {
        return Err(InvalidEnv::NoName);
    }
    if bare.is_empty() {
        return Err(InvalidEnv::All);
    }
    if bare.contains('*') {
        return Err(InvalidEnv::Star);
    }
    if bare.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(InvalidEnv::Characters);
    }
    if value.is_some() && bare != name {
        return Err(InvalidEnv::ValueOfMany);
    }
    Ok(())
}

/// Whether the variable fits the pattern.
pub(super) fn fits(pattern: &str, name: &str, value: &str) -> bool {
    match split(pattern) {
        (wanted, Some(pattern)) => wanted == name && words::fits(pattern, value),
        (wanted, None) => match wanted.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix) && !runs_code(name),
            None => wanted == name,
        },
    }
}

/// The narrowest pattern for a variable: by its name, or, where it makes programs run code, with its value. `None` where that would fit others.
pub(super) fn as_pattern(name: &str, value: &str) -> Option<String> {
    let pattern = match runs_code(name) {
        true if value.contains('*') => return None,
        true => format!("{name}={value}"),
        false => name.to_owned(),
    };
    (!name.contains('*') && check_env(&pattern).is_ok()).then_some(pattern)
}

fn split(pattern: &str) -> (&str, Option<&str>) {
    match pattern.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (pattern, None),
    }
}

fn runs_code(name: &str) -> bool {
    let mut known = RUN_CODE.iter().chain(&RUN_CODE_IN_GIT);
    known.any(|known| words::fits(known, name))
}
