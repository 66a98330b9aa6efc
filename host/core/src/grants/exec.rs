//! Programs that a component may run: which ones, with which arguments and variables, and where they may start.

use super::denied::{Denied, Suggested, toml_list, toml_text, toml_whole};
use super::dir::check_dir;
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
        let widened = widened.widen(&env, dir).map(|()| widened.toml());
        Denied::instead(&self.plugin, what, "exec", widened)
    }

    /// The denial of any other.
    fn exec_missing(&self, call: &ExecCall<'_>) -> Denied {
        let (program, args) = (call.program, call.args);
        let what = match args.len() {
            0 => format!("the program {} without arguments", toml_text(program)),
            1 => format!("the program {} with 1 argument", toml_text(program)),
            count => format!("the program {} with {count} arguments", toml_text(program)),
        };
        let list = ("exec", !self.exec.is_empty());
        Denied::missing(&self.plugin, what, list, wanted(call))
    }
}

/// The grant of this very call.
fn wanted(call: &ExecCall<'_>) -> Suggested {
    if check_program(call.program).is_err() || call.program.is_empty() {
        return Err(
            "no grant can name it: a program is a name, to be found as a shell finds it, or an absolute path",
        );
    }
    if call.args.iter().any(|arg| arg.contains('*')) {
        return Err(
            "no grant is suggested, because an argument has a `*`, which as a pattern would stand for other texts, too; \
             write one that allows no more than you mean",
        );
    }
    let mut grant = ExecGrant {
        program: call.program.to_owned(),
        args: call.args.to_vec(),
        ..ExecGrant::default()
    };
    let lacking = grant.lacks(call);
    let (env, dir) = (lacking.env, lacking.dir);
    grant.widen(&env, dir)?;
    Ok(grant.toml())
}

/// Why a text is no program of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidProgram {
    /// A `*`.
    Star,
    /// A path from the folder that something was started in.
    Relative,
    /// A name with a space.
    Space,
}

/// Whether a grant can name the program.
///
/// # Errors
/// [`InvalidProgram`].
pub fn check_program(program: &str) -> Result<(), InvalidProgram> {
    if program.contains('*') {
        Err(InvalidProgram::Star)
    } else if program.contains('/') && !program.starts_with('/') {
        Err(InvalidProgram::Relative)
    } else if !program.starts_with('/') && program.contains(char::is_whitespace) {
        Err(InvalidProgram::Space)
    } else {
        Ok(())
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

    /// Adds patterns for exactly these variables and this folder.
    fn widen(&mut self, env: &[(&str, &str)], dir: Option<&str>) -> Result<(), &'static str> {
        for (name, value) in env {
            let pattern = env::as_pattern(name, value).ok_or(
                "no grant is suggested, because a variable by which programs are made to run code has a `*`, or a name that is a pattern",
            )?;
            self.env.push(pattern);
        }
        if let Some(dir) = dir {
            if dir.contains('*') || check_dir(dir).is_err() {
                return Err(
                    "no grant is suggested, because none can name just this folder: a `*` would stand for others, too, and a path has to be its shortest",
                );
            }
            self.dirs.push(dir.to_owned());
        }
        Ok(())
    }

    /// As it stands in a definition.
    fn toml(&self) -> String {
        let optional = |key: &str, texts: &[String]| match texts {
            [] => String::new(),
            texts => format!(", {key} = {}", toml_list(texts)),
        };
        format!(
            "{{ program = {}, args = {}{}{} }}",
            toml_whole(&self.program),
            toml_list(&self.args),
            optional("env", &self.env),
            optional("dirs", &self.dirs),
        )
    }
}
