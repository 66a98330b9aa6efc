//! What a program gets beside its arguments.

#![expect(clippy::unwrap_used, reason = "a test")]

use super::tests::{exec, git, grants, texts};
use super::*;

#[test]
fn b81_variables_fit_by_name_and_those_that_run_code_only_literally() {
    for (pattern, name, value, fits) in [
        ("LANG", "LANG", "C", true),
        ("LANG", "LANGUAGE", "C", false),
        ("LANG", "lang", "C", false),
        ("LC_*", "LC_ALL", "C", true),
        ("LC_*", "LC_", "C", true),
        ("LC_*", "LANG", "C", false),
        ("LANG=C", "LANG", "C", true),
        ("LANG=C", "LANG", "C.UTF-8", false),
        ("LANG=C*", "LANG", "C.UTF-8", true),
        ("A=b=*", "A", "b=c", true),
        ("PATH", "PATH", "/tmp", true),
        ("PATH=/usr/bin:/bin", "PATH", "/usr/bin:/bin", true),
        ("PATH=/usr/bin:/bin", "PATH", "/tmp:/usr/bin:/bin", false),
        ("P*", "PORT", "1", true),
        ("P*", "PATH", "/tmp", false),
        ("P*", "PYTHONSTARTUP", "/tmp/x", false),
        ("L*", "LD_PRELOAD", "/tmp/x.so", false),
        ("LD_*", "LD_PRELOAD", "/tmp/x.so", false),
        ("LD_PRELOAD", "LD_PRELOAD", "/tmp/x.so", true),
        ("D*", "DYLD_INSERT_LIBRARIES", "x", false),
        ("B*", "BASH_ENV", "/tmp/x", false),
        ("BASH_*", "BASH_FUNC_ls%%", "() { x; }", false),
        ("E*", "ENV", "/tmp/x", false),
        ("ENV*", "ENVIRONMENT", "test", true),
        ("N*", "NODE_OPTIONS", "--require=x", false),
        ("R*", "RUBYOPT", "-rx", false),
        ("PERL*", "PERL5OPT", "-Mx", false),
        ("GIT_*", "GIT_TERMINAL_PROMPT", "0", true),
        ("GIT_*", "GIT_SSH_COMMAND", "x", false),
        ("GIT_*", "GIT_CONFIG_COUNT", "1", false),
        ("GIT_*", "GIT_EXTERNAL_DIFF", "x", false),
        (
            "GIT_CONFIG_GLOBAL=/dev/null",
            "GIT_CONFIG_GLOBAL",
            "/dev/null",
            true,
        ),
        (
            "GIT_CONFIG_GLOBAL=/dev/null",
            "GIT_CONFIG_GLOBAL",
            "/tmp/x",
            false,
        ),
    ] {
        let grants = exec(&["OTHER", pattern], &[]);
        let (args, env) = (texts(&["log"]), [(name.to_owned(), value.to_owned())]);
        let call = ExecCall {
            env: &env,
            ..git(&args)
        };
        assert_eq!(grants.exec(&call).is_ok(), fits, "{pattern} {name}={value}");
    }
    for (text, error) in [
        ("", InvalidEnv::NoName),
        ("=x", InvalidEnv::NoName),
        ("*", InvalidEnv::All),
        ("*=x", InvalidEnv::All),
        ("*_X", InvalidEnv::Star),
        ("A*B", InvalidEnv::Star),
        ("A_*=x", InvalidEnv::ValueOfMany),
        ("A B", InvalidEnv::Characters),
        ("A\0", InvalidEnv::Characters),
    ] {
        assert_eq!(check_env(text), Err(error), "{text:?}");
    }
    for text in ["LANG", "LC_*", "A=", "A=b c", "A=*", "BASH_FUNC_ls%%"] {
        assert_eq!(check_env(text), Ok(()), "{text:?}");
    }
}

#[test]
fn b81_folders_fit_by_the_parts_of_their_path() {
    for (pattern, dir, fits) in [
        ("/srv/repos", "/srv/repos", true),
        ("/srv/repos", "/srv/repos/a", false),
        ("/srv/repos", "/srv", false),
        ("/srv/*", "/srv/a", true),
        ("/srv/*", "/srv", false),
        ("/srv/*", "/srv/a/b", false),
        ("/srv/*/x", "/srv/a/x", true),
        ("/srv/**", "/srv", true),
        ("/srv/**", "/srv/a/b", true),
        ("/srv/**", "/srvx/a", false),
        ("/srv/**", "/etc", false),
        ("/srv/**", "/srv/../etc", false),
        ("/srv/**", "/srv/./a", false),
        ("/srv/**", "/srv//a", false),
        ("/srv/**", "/srv/a/", false),
        ("/srv/**", "srv/a", false),
        ("/srv/**", "/srv/a\0", false),
        ("/**", "/etc", true),
        // Where it starts without one.
        ("/srv/**", "/", true),
    ] {
        let grants = exec(&[], &["/else", pattern]);
        let args = texts(&["log"]);
        let call = ExecCall {
            dir: Some(dir),
            ..git(&args)
        };
        assert_eq!(grants.exec(&call).is_ok(), fits, "{pattern} {dir}");
    }
    for (text, error) in [
        ("srv", InvalidDir::NotAbsolute),
        ("", InvalidDir::NotAbsolute),
        ("/**/x", InvalidDir::RestInTheMiddle),
        ("/srv/x*", InvalidDir::PartOfAName),
        ("/srv/", InvalidDir::NotShortest),
        ("/srv//x", InvalidDir::NotShortest),
        ("/srv/../x", InvalidDir::NotShortest),
        ("/srv/\0", InvalidDir::Nul),
    ] {
        assert_eq!(check_dir(text), Err(error), "{text:?}");
    }
    for text in ["/", "/**", "/srv", "/srv/*/x", "/srv/a b/**"] {
        assert_eq!(check_dir(text), Ok(()), "{text:?}");
    }
}

#[test]
fn b81_a_refusal_of_variables_and_folders_says_what_the_grant_lacks() {
    let args = texts(&["log", "-p"]);
    let env = [("LC_ALL", "C"), ("LANG", "C"), ("PATH", "/bin")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let call = ExecCall {
        env: &env,
        dir: Some("/srv/a"),
        ..git(&args)
    };
    let denied = exec(&["LANG"], &[]).exec(&call).unwrap_err();
    assert_eq!(
        denied.to_string(),
        "the program \"git\" with the variables \"LC_ALL\", \"PATH\" and in the folder \"/srv/a\" is not granted to the plugin `billing`; \
         to grant it, let its grant in the list `exec` of `[plugins.billing.allow]` be:\n\
         { program = \"git\", args = [\"log\", \"**\"], env = [\"LANG\", \"LC_ALL\", \"PATH=/bin\"], dirs = [\"/srv/a\"] }"
    );
    let denied = grants().exec(&call).unwrap_err();
    let line = "exec = [{ program = \"git\", args = [\"log\", \"-p\"], env = [\"LC_ALL\", \"LANG\", \"PATH=/bin\"], dirs = [\"/srv/a\"] }]";
    assert!(denied.toml().unwrap().ends_with(line), "{denied}");
    // One grant has to fit all of it: what two allow apart is not allowed together.
    let mut apart = exec(&["LC_*", "PATH", "LANG"], &[]);
    apart.exec.extend(exec(&[], &["/srv/**"]).exec);
    assert!(apart.exec(&call).is_err());
    apart.exec[0].dirs = texts(&["/srv/*"]);
    assert!(apart.exec(&call).is_ok());
}

#[test]
fn b81_no_pattern_is_suggested_that_stands_for_more_than_was_asked_for() {
    let args = texts(&["log"]);
    let asked = |env: &[(&str, &str)], dir| {
        let env: Vec<_> = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let call = ExecCall {
            env: &env,
            dir,
            ..git(&args)
        };
        // Of a grant that lacks it, and of none.
        let found = [exec(&["LANG"], &["/srv"]), grants()].map(|grants| {
            let denied = grants.exec(&call).unwrap_err();
            denied.toml().map(str::to_owned)
        });
        assert_eq!(found[0].is_some(), found[1].is_some(), "{found:?}");
        found[1].clone()
    };
    assert_eq!(asked(&[("PATH", "/tmp/*")], None), None);
    assert_eq!(asked(&[("A*", "x")], None), None);
    assert_eq!(asked(&[("", "x")], None), None);
    for dir in ["/srv/*", "/**", "/srv/../etc", "tmp"] {
        assert_eq!(asked(&[], Some(dir)), None, "{dir}");
    }
    let free = asked(&[("A", "*")], Some("/tmp")).unwrap();
    assert!(free.contains("env = [\"A\"], dirs = [\"/tmp\"]"), "{free}");
    // Where every program may start needs no folder.
    let call = ExecCall {
        dir: Some("/"),
        ..git(&args)
    };
    let denied = grants().exec(&call).unwrap_err();
    let line = "exec = [{ program = \"git\", args = [\"log\"] }]";
    assert_eq!(denied.toml(), Some(line));
}
