//! Programs that a component may run: which ones, with which arguments and variables, and where they may start.

use super::denied::{Denied, toml_text};
use super::{Grants, dir, env, words};

/// A set of calls of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExecGrant {
    /// Its name, or its absolute path.
    pub program: String,
    /// A pattern for each argument: `*` is any text inside of it. `**` as the last pattern is any rest.
    pub args: Vec<String>,
    /// Patterns of the variables that it may get: `NAME`, `PREFIX_*`, or `NAME=VALUE`. Empty: none.
    pub env: Vec<String>,
    /// Patterns of the folders that it may start in: `*` is one part of a path, `**` at the end any rest. Empty: only `/`, where it starts
    /// without one.
    pub dirs: Vec<String>,
}

/// A call of a program, as far as grants decide about it.
#[derive(Debug, Clone, Copy)]
pub struct ExecCall<'a> {
    /// Its name, or its path.
    pub program: &'a str,
    /// Its arguments.
    pub args: &'a [String],
    /// All of its environment.
    pub env: &'a [(String, String)],
    /// The folder that it starts in, without symbolic links on the way to it; `None`: the one that it starts in by itself.
    pub dir: Option<&'a str>,
}

impl Grants {
    /// The grant of a call of a program.
    ///
    /// # Errors
    /// [`Denied`] when none fits.
    pub fn exec(&self, call: &ExecCall<'_>) -> Result<&ExecGrant, Denied> {
        self.narrowing.exec(&self.plugin, call.program)?;
        let called = |grant: &&ExecGrant| grant.fits(call.program, call.args);
        let found = self.exec.iter().filter(called).find(|grant| {
            let lacking = grant.lacks(call);
            lacking.env.is_empty() && lacking.dir.is_none()
        });
        // What comes closest is what has to be changed.
        let closest = self.exec.iter().filter(called);
        let closest = closest.min_by_key(|grant| grant.lacks(call).count());
        found.ok_or_else(|| match closest {
            Some(grant) => self.exec_lacks(grant, call),
            None => self.exec_missing(call),
        })
    }

    /// Whether the operator denies any program by its name.
    #[must_use]
    pub fn denies_programs(&self) -> bool {
        self.narrowing.names("exec")
    }

    /// Whether the operator denies a program of which it is known where it stands: `is` tells whether a name or a path that is denied means it.
    ///
    /// # Errors
    /// [`Denied`] when it is denied.
    pub fn exec_found(&self, program: &str, is: impl Fn(&str) -> bool) -> Result<(), Denied> {
        self.narrowing.found(&self.plugin, program, is)
    }

    /// The denial of a call whose program and arguments are granted.
    fn exec_lacks(&self, grant: &ExecGrant, call: &ExecCall<'_>) -> Denied {
        let Lacking { env, dir } = grant.lacks(call);
        let mut with: Vec<String> = Vec::new();
        if !env.is_empty() {
            let names: Vec<String> = env.iter().map(|(name, _)| toml_text(name)).collect();
            let noun = match names.len() {
                1 => "variable",
                _ => "variables",
            };
            with.push(format!("with the {noun} {}", names.join(", ")));
        }
        with.extend(dir.map(|dir| format!("in the folder {}", toml_text(dir))));
        let what = format!(
            "the program {} {}",
            toml_text(call.program),
            with.join(" and ")
        );
        let mut widened = grant.clone();
        let patterns = env.iter().map(|(name, value)| env::as_pattern(name, value));
        widened.env.extend(patterns);
        widened.dirs.extend(dir.map(str::to_owned));
        Denied::instead(&self.plugin, what, &widened.line())
    }

    /// The denial of any other.
    fn exec_missing(&self, call: &ExecCall<'_>) -> Denied {
        let (program, args) = (call.program, call.args);
        let what = format!(
            "the program {} with {} arguments",
            toml_text(program),
            args.len()
        );
        let env = call.env.iter();
        let wanted = ExecGrant {
            program: program.to_owned(),
            args: args.to_vec(),
            env: env
                .map(|(name, value)| env::as_pattern(name, value))
                .collect(),
            dirs: call.dir.map(str::to_owned).into_iter().collect(),
        };
        Denied::missing(&self.plugin, what, &wanted.line())
    }
}

/// What a grant lacks for a call of its program.
struct Lacking<'a> {
    env: Vec<(&'a str, &'a str)>,
    dir: Option<&'a str>,
}

impl Lacking<'_> {
    fn count(&self) -> usize {
        self.env.len() + usize::from(self.dir.is_some())
    }
}

impl ExecGrant {
    fn fits(&self, program: &str, args: &[String]) -> bool {
        let (patterns, rest) = match self.args.split_last() {
            Some((last, patterns)) if last == "**" => (patterns, true),
            _ => (&self.args[..], false),
        };
        let enough = match rest {
            true => args.len() >= patterns.len(),
            false => args.len() == patterns.len(),
        };
        self.program == program
            && enough
            && patterns
                .iter()
                .zip(args)
                .all(|(pattern, arg)| words::fits(pattern, arg))
    }

    fn lacks<'a>(&self, call: &ExecCall<'a>) -> Lacking<'a> {
        let granted = |name: &str, value: &str| {
            let mut patterns = self.env.iter();
            patterns.any(|pattern| env::fits(pattern, name, value))
        };
        let env = call.env.iter();
        let env = env.map(|(name, value)| (name.as_str(), value.as_str()));
        Lacking {
            env: env.filter(|(name, value)| !granted(name, value)).collect(),
            dir: call.dir.filter(|given| {
                // Where it starts by itself is nobody's choice.
                *given != "/" && !self.dirs.iter().any(|pattern| dir::fits(pattern, given))
            }),
        }
    }

    /// As it stands in a definition.
    fn line(&self) -> String {
        let list = |texts: &[String]| {
            let quoted: Vec<String> = texts.iter().map(|text| toml_text(text)).collect();
            quoted.join(", ")
        };
        let optional = |key: &str, texts: &[String]| match texts {
            [] => String::new(),
            texts => format!(", {key} = [{}]", list(texts)),
        };
        format!(
            "exec = [{{ program = {}, args = [{}]{}{} }}]",
            toml_text(&self.program),
            list(&self.args),
            optional("env", &self.env),
            optional("dirs", &self.dirs),
        )
    }
}
