#![expect(clippy::unwrap_used, reason = "a test")]

use super::*;

pub(super) fn grants() -> Grants {
    Grants {
        plugin: "billing".into(),
        ..Grants::default()
    }
}

fn http(grant: HttpGrant) -> Grants {
    Grants {
        http: vec![grant],
        ..grants()
    }
}

fn host(host: &str) -> HttpGrant {
    HttpGrant {
        host: host.to_owned(),
        ..HttpGrant::default()
    }
}

pub(super) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

pub(super) fn git(args: &[String]) -> ExecCall<'_> {
    program("git", args)
}

fn program<'a>(program: &'a str, args: &'a [String]) -> ExecCall<'a> {
    ExecCall {
        program,
        args,
        env: &[],
        dir: None,
    }
}

pub(super) fn exec(env: &[&str], dirs: &[&str]) -> Grants {
    Grants {
        exec: vec![ExecGrant {
            program: "git".to_owned(),
            args: texts(&["log", "**"]),
            env: texts(env),
            dirs: texts(dirs),
        }],
        ..grants()
    }
}

fn names(names: &[&str]) -> BTreeSet<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

#[test]
fn nothing_is_granted_by_default() {
    let grants = grants();
    assert!(
        grants
            .http("https", "GET", "example.com", 443, "/")
            .is_err()
    );
    assert!(grants.kv("rates").is_err());
    assert!(grants.artifacts().is_err());
    assert!(grants.secret("token").is_err());
    assert!(grants.reveal("token").is_err());
    assert!(grants.exec(&git(&[])).is_err());
}

#[test]
fn hosts_fit_by_name() {
    for (pattern, asked, fits) in [
        ("api.example.com", "api.example.com", true),
        ("api.example.com", "API.Example.com", true),
        ("api.example.com", "api.example.com.", true),
        ("api.example.com", "xapi.example.com", false),
        ("api.example.com", "api.example.com.evil.org", false),
        ("api.example.com", "example.com", false),
        ("*.example.com", "api.example.com", true),
        ("*.example.com", "a.b.c.EXAMPLE.com", true),
        ("*.example.com", "example.com", false),
        ("*.example.com", ".example.com", false),
        ("*.example.com", "evilexample.com", false),
        ("*.example.com", "api.example.com.evil.org", false),
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "127.1", false),
        ("*.0.0.1", "127.0.0.1", true),
        ("::1", "[::1]", true),
        ("[::1]", "0:0:0:0:0:0:0:1", true),
        ("::1", "::2", false),
    ] {
        let granted = http(host(pattern))
            .http("https", "GET", asked, 443, "/")
            .is_ok();
        assert_eq!(granted, fits, "{pattern} {asked}");
    }
}

#[test]
fn ports_methods_and_schemes_fit_as_they_are_written() {
    let plain = host("h.example");
    let only = HttpGrant {
        ports: vec![8443],
        methods: texts(&["GET", "POST"]),
        ..plain.clone()
    };
    for (grant, scheme, method, port, fits) in [
        (&plain, "https", "GET", 443, true),
        (&plain, "http", "DELETE", 80, true),
        (&plain, "HTTPS", "GET", 443, true),
        (&plain, "http", "GET", 443, false),
        (&plain, "https", "GET", 8443, false),
        (&plain, "ftp", "GET", 443, false),
        (&only, "https", "GET", 8443, true),
        (&only, "http", "post", 8443, true),
        (&only, "https", "PUT", 8443, false),
        (&only, "https", "GET", 443, false),
    ] {
        let grants = http(grant.clone());
        let granted = grants.http(scheme, method, "h.example", port, "/").is_ok();
        assert_eq!(granted, fits, "{scheme} {method} {port}");
    }
}

#[test]
fn paths_fit_by_segments_however_a_server_reads_them() {
    for (pattern, path, fits) in [
        ("/v1/rates", "/v1/rates", true),
        ("/v1/rates", "/v1/rates?x=/../..", true),
        ("/v1/rates", "/v1/Rates", false),
        ("/v1/rates", "/v1/rates/", false),
        ("/v1/r%61tes", "/v1/%72ates", true),
        ("/v1/*", "/v1/a", true),
        ("/v1/*", "/v1/a%20b", true),
        ("/v1/*", "/v1/", false),
        ("/v1/*", "/v1/a/b", false),
        ("/v1/*/x", "/v1/a/x", true),
        ("/v1/**", "/v1", true),
        ("/v1/**", "/v1/", true),
        ("/v1/**", "/v1/a/b?c", true),
        ("/v1/**", "/v2/a", false),
        ("/v1/**", "/v1x/a", false),
        ("/**", "/", true),
        ("/", "/", true),
        ("/", "", true),
        ("/", "/a", false),
        // Dots.
        ("/v1/**", "/v1/./a", true),
        ("/v1/**", "/v1/a/../b", true),
        ("/v1/**", "/v1/../v1/b", true),
        ("/v1/**", "/v1/../admin", false),
        ("/v1/**", "/v1/%2e%2E/admin", false),
        ("/v1/**", "/v1/.%2e/admin", false),
        ("/v1/**", "/../../v1/a", true),
        ("/v1/**", "/v1/..", false),
        ("/v1/**", "/v1/..;/admin", false),
        ("/v1/**", "/v1/..;x=1/admin", false),
        // Separators that are encoded.
        ("/v1/**", "/v1/a%2Fb", true),
        ("/v1/*", "/v1/a%2Fb", false),
        ("/v1/*/*", "/v1/a%2Fb", false),
        ("/v1/**", "/v1/a%2F..%2F..%2Fadmin", false),
        ("/v1/**", "/admin/..%2Fv1", false),
        ("/v1/**", "/v1/..%5Cadmin", false),
        ("/v1/**", "/v1/..\\admin", false),
        ("/v1/**", "/v1%2Fa", false),
        // Nothing between two separators.
        ("/v1/**", "/v1//a", true),
        ("/v1/**", "/v1//../admin", false),
        ("/v1/**", "//v1/a", false),
        // Nobody knows what these are.
        ("/v1/**", "/v1/%zz", false),
        ("/v1/**", "/v1/%", false),
        ("/v1/**", "/v1/%ff", false),
        ("/v1/**", "/v1/a%00", false),
        ("/v1/**", "/v1/a%0d%0aHost: x", false),
        ("/v1/**", "v1/a", false),
        ("/v1/**", "*", false),
    ] {
        let grant = HttpGrant {
            paths: texts(&["/else", pattern]),
            ..host("h.example")
        };
        let granted = http(grant)
            .http("https", "GET", "h.example", 443, path)
            .is_ok();
        assert_eq!(granted, fits, "{pattern} {path}");
    }
}

#[test]
fn the_grant_that_allows_a_private_address_is_found_behind_one_that_does_not() {
    let grants = Grants {
        http: vec![
            host("*.lan.example"),
            HttpGrant {
                private: true,
                ..host("db.lan.example")
            },
        ],
        ..grants()
    };
    let private = |name| grants.http("http", "GET", name, 80, "/").unwrap().private;
    assert!(private("db.lan.example"));
    assert!(!private("www.lan.example"));
}

#[test]
fn secrets_go_over_http_only_where_a_grant_of_the_request_says_so() {
    let mut grants = http(host("a.example"));
    grants.http.push(HttpGrant {
        secrets_over_http: true,
        paths: texts(&["/open/**"]),
        ..host("*.example")
    });
    let asked = |path| grants.http_secrets("http", "GET", "A.example", 80, path);
    assert!(asked("/open/x").is_ok());
    let denied = asked("/closed").unwrap_err();
    let grant = "{ host = \"a.example\", secrets-over-http = true }";
    assert_eq!(denied.toml(), Some(grant));
    // What the grant says otherwise stays.
    let narrow = http(HttpGrant {
        ports: vec![8080],
        methods: texts(&["GET"]),
        paths: texts(&["/v1/**"]),
        private: true,
        ..host("a.example")
    });
    let denied = narrow
        .http_secrets("http", "GET", "a.example", 8080, "/v1/x")
        .unwrap_err();
    assert_eq!(
        denied.toml(),
        Some(
            "{ host = \"a.example\", ports = [8080], methods = [\"GET\"], paths = [\"/v1/**\"], private = true, secrets-over-http = true }"
        )
    );
}

#[test]
fn programs_fit_with_all_of_their_arguments() {
    for (patterns, args, fits) in [
        (&[][..], &[][..], true),
        (&[], &["log"], false),
        (&["log"], &["log"], true),
        (&["log"], &["log", "--all"], false),
        (&["log", "**"], &["log"], true),
        (&["log", "**"], &["log", "--all", "-p"], true),
        (&["log", "**"], &["push"], false),
        (&["**"], &[], true),
        (&["log", "--format=*"], &["log", "--format=%h %s"], true),
        (&["log", "--format=*"], &["log", "--format="], true),
        (&["log", "--format=*"], &["log", "-format=x"], false),
        (&["a*b*c"], &["aXbYc"], true),
        (&["a*b*c"], &["abbc"], true),
        (&["a*b*c"], &["acb"], false),
        (&["a*a"], &["a"], false),
        (&["*"], &["x y\n*"], true),
        (&["*"], &["x", "y"], false),
    ] {
        let grants = Grants {
            exec: vec![ExecGrant {
                program: "git".to_owned(),
                args: texts(patterns),
                ..ExecGrant::default()
            }],
            ..grants()
        };
        let args = texts(args);
        let granted = grants.exec(&git(&args)).is_ok();
        assert_eq!(granted, fits, "{patterns:?} {args:?}");
        assert!(grants.exec(&program("/usr/bin/git", &args)).is_err());
    }
}

#[test]
fn a_call_has_the_secrets_that_both_its_plugin_and_its_step_name() {
    let plugin = Grants {
        secrets: names(&["a", "b"]),
        secrets_reveal: names(&["b", "c"]),
        ..grants()
    };
    let call = plugin.with_secrets(&names(&["b", "d"]));
    assert!(call.secret("b").is_ok() && call.reveal("b").is_ok());
    for name in ["a", "c", "d"] {
        assert!(
            call.secret(name).is_err() && call.reveal(name).is_err(),
            "{name}"
        );
    }
}

#[test]
fn a_refusal_says_what_to_add() {
    let none = grants();
    let denied = |grants: &Grants| {
        let asked = grants.http("https", "post", "API.example.com", 8443, "/v1/a?token=x");
        asked.unwrap_err()
    };
    let item =
        "{ host = \"api.example.com\", ports = [8443], methods = [\"POST\"], paths = [\"/v1/a\"] }";
    assert_eq!(
        denied(&none).to_string(),
        format!(
            "the request post https://api.example.com:8443/v1/a is not granted to the plugin `billing`; to grant it, \
             add below `[plugins.billing.allow]` in the workflow:\nhttp = [{item}]"
        )
    );
    // A second `http` in the table would be no TOML.
    assert_eq!(
        denied(&http(host("b.example"))).to_string(),
        format!(
            "the request post https://api.example.com:8443/v1/a is not granted to the plugin `billing`; to grant it, \
             add to the list `http` of `[plugins.billing.allow]`:\n{item}"
        )
    );
    let mut some = exec(&[], &[]);
    assert_eq!(none.kv("a").unwrap_err().toml(), Some("kv = [\"a\"]"));
    some.kv = names(&["b"]);
    let denied = some.kv("a").unwrap_err();
    assert!(
        denied
            .to_string()
            .ends_with("add to the list `kv` of `[plugins.billing.allow]`:\n\"a\"")
    );
    let denied = some.exec(&program("make", &[])).unwrap_err().to_string();
    assert!(
        denied.ends_with(
            "add to the list `exec` of `[plugins.billing.allow]`:\n{ program = \"make\", args = [] }"
        ),
        "{denied}"
    );
    assert!(
        none.reveal("token").unwrap_err().to_string().ends_with(
            "add to the list `secrets-reveal` of `[plugins.billing.allow]` and to `secrets` of the step that calls it:\n\"token\""
        )
    );
    let hostile = none
        .exec(&program("a\"\n\u{1b}[2J", &texts(&["x\ny"])))
        .unwrap_err();
    assert_eq!(hostile.toml(), None, "its name has a space");
    let hostile = none
        .exec(&program("/a\"\n\u{1b}[2J", &texts(&["x\ny"])))
        .unwrap_err();
    let text = hostile.to_string();
    assert!(!text.contains('\u{1b}'), "{text}");
    let line = hostile.toml().unwrap();
    let table: toml::Table = toml::from_str(line).unwrap();
    let exec = &table["exec"][0];
    assert_eq!(exec["program"].as_str(), Some("/a\"\n\u{1b}[2J"));
    let long = none.kv(&"x".repeat(100_000)).unwrap_err().to_string();
    assert!(long.len() < 1_000, "{}", long.len());
}

/// The item that a refusal suggests, read as a definition has it.
fn suggested(denied: &Denied) -> Option<toml::Table> {
    let toml = denied.toml()?;
    let item = toml.split_once(" = [").filter(|_| !toml.starts_with('{'));
    let item = item.map_or(toml, |(_, rest)| rest.strip_suffix(']').unwrap());
    let table: toml::Table = toml::from_str(&format!("item = {item}")).unwrap();
    table["item"].as_table().cloned()
}

#[test]
fn what_is_suggested_grants_what_was_asked_for_and_no_more_or_nothing_is() {
    let long = "x".repeat(300);
    let too_long = "x".repeat(3_000);
    for (name, args, expected) in [
        ("git", &["log", &long][..], true),
        ("git", &["log", &too_long], false),
        ("rm", &["-rf", "**"], false),
        ("rm", &["*"], false),
        ("echo", &["a*b"], false),
        ("", &[], false),
        ("../bin/sh", &[], false),
        ("sh*", &[], false),
        ("a b", &[], false),
    ] {
        let args = texts(args);
        let denied = grants().exec(&program(name, &args)).unwrap_err();
        let found = suggested(&denied);
        assert_eq!(found.is_some(), expected, "{denied}");
        let text = denied.to_string();
        assert_eq!(text.contains("to grant it"), expected, "{text}");
        let Some(found) = found else { continue };
        let listed: Vec<&str> = found["args"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(toml::Value::as_str)
            .collect();
        assert_eq!(listed, args);
    }
    for (path, pattern) in [
        ("/v1/a", Some("/v1/a")),
        ("", Some("/")),
        ("/v1/./b/../a", Some("/v1/a")),
        ("/v1/a/", Some("/v1/a/")),
        ("/a%20b", Some("/a b")),
        ("/**", Some("/%2A%2A")),
        ("/v*", Some("/v%2A")),
        ("/100%25", Some("/100%25")),
        ("//ok", None),
        ("/a//b", None),
        ("/a%2Fb", None),
        ("/%zz", None),
    ] {
        let ask = |grants: &Grants| {
            let asked = grants.http("https", "GET", "a.example", 443, path);
            asked.cloned()
        };
        let found = suggested(&ask(&grants()).unwrap_err());
        let found = found.map(|found| found["paths"][0].as_str().unwrap().to_owned());
        assert_eq!(found.as_deref(), pattern, "{path}");
        let Some(pattern) = pattern else { continue };
        let granted = http(HttpGrant {
            paths: texts(&[pattern]),
            ..host("a.example")
        });
        assert_eq!(check_path(pattern), Ok(()), "{pattern}");
        assert!(ask(&granted).is_ok(), "{pattern}");
        let other = granted.http("https", "GET", "a.example", 443, "/other");
        assert!(other.is_err(), "{pattern}");
    }
    // Where it can only be at an address of the machine's own networks, one round is enough.
    for (name, private) in [
        ("127.0.0.1", true),
        ("[::1]", true),
        ("10.1.2.3", true),
        ("localhost", true),
        ("api.localhost", true),
        ("1.1.1.1", false),
        ("a.example", false),
    ] {
        let denied = grants().http("http", "GET", name, 80, "/").unwrap_err();
        let found = suggested(&denied).unwrap();
        let is_private = found.get("private").and_then(toml::Value::as_bool);
        assert_eq!(is_private, private.then_some(true), "{name}");
    }
    let denied = grants()
        .http("http", "GET", "[::1]", 8377, "/")
        .unwrap_err();
    assert!(denied.what().contains("http://[::1]:8377/"), "{denied}");
}

#[test]
fn a_private_address_is_granted_by_the_grant_that_fits() {
    let grants = http(HttpGrant {
        ports: vec![8080],
        ..host("*.lan.example")
    });
    let denied = grants.http_private("http", "GET", "db.lan.example", 8080, "/");
    assert_eq!(
        denied.unwrap().to_string(),
        "HTTP to db.lan.example at an address that is not public is not granted to the plugin `billing`; to grant it, \
         let its grant in the list `http` of `[plugins.billing.allow]` be:\n\
         { host = \"*.lan.example\", ports = [8080], private = true }"
    );
}

#[test]
fn what_is_denied_is_denied_by_whatever_name() {
    let granted = Grants {
        http: vec![host("localhost"), host("127.0.0.1"), host("a.example")],
        ..grants()
    };
    let asked = |word: &str, name: &str, address: &str| {
        let narrowing: Narrowing = word.parse().unwrap();
        assert_eq!(narrowing.idle(&[&granted]), [], "{word}");
        let grants = granted.clone().narrowed(&narrowing);
        grants.http("http", "GET", name, 80, "/").is_ok()
            && grants.http_found(name, address.parse().unwrap()).is_ok()
    };
    for (word, name, address, granted) in [
        ("http=127.0.0.1", "localhost", "127.0.0.1", false),
        ("http=127.0.0.1", "localhost", "::ffff:127.0.0.1", false),
        ("http=127.0.0.1", "a.example", "127.0.0.1", false),
        ("http=127.0.0.1", "a.example", "1.1.1.1", true),
        ("http=localhost", "127.0.0.1", "127.0.0.1", false),
        ("http=localhost", "a.example", "::1", false),
        ("http=localhost", "a.example", "1.1.1.1", true),
        ("http=a.example", "127.0.0.1", "127.0.0.1", true),
    ] {
        assert_eq!(
            asked(word, name, address),
            granted,
            "{word} {name} {address}"
        );
    }
}

#[test]
fn an_operator_takes_away_and_never_adds() {
    let granted = Grants {
        http: vec![host("*.example.com")],
        kv: names(&["rates", "other"]),
        artifacts: true,
        exec: vec![ExecGrant {
            program: "/usr/bin/git".to_owned(),
            args: texts(&["**"]),
            ..ExecGrant::default()
        }],
        ..grants()
    };
    let all = |words: &[&str]| {
        let narrowing: Narrowing = words
            .iter()
            .map(|word| word.parse::<Narrowing>().unwrap())
            .collect();
        let grants = granted.clone().narrowed(&narrowing);
        [
            grants
                .http("https", "GET", "a.example.com", 443, "/")
                .is_ok(),
            grants
                .http("https", "GET", "b.example.com", 443, "/")
                .is_ok(),
            grants.kv("rates").is_ok(),
            grants.kv("other").is_ok(),
            grants.artifacts().is_ok(),
            grants.exec(&program("/usr/bin/git", &[])).is_ok(),
        ]
    };
    assert_eq!(all(&[]), [true; 6]);
    assert_eq!(all(&["http", "kv", "artifacts", "exec"]), [false; 6]);
    assert_eq!(
        all(&["http=A.example.com", "kv=rates", "exec=git"]),
        [false, true, false, true, true, false]
    );
    let narrowing: Narrowing = "exec=git".parse().unwrap();
    let denied = granted
        .narrowed(&narrowing)
        .exec(&program("/usr/bin/git", &[]))
        .unwrap_err();
    assert_eq!(
        denied.to_string(),
        "the program \"/usr/bin/git\" is denied to the plugin `billing` by the operator (`exec=git`)"
    );
    assert_eq!(denied.toml(), None);
    for (word, reason) in [
        ("shell", "`shell` cannot be denied"),
        ("artifacts=x", "only be denied as a whole"),
        ("http=", "names nothing"),
        (
            "http=https://a.example/v1",
            "no host of a grant: it is a URL",
        ),
        ("http=*", "`http` for all of them"),
        ("http=a.example:80", "it has a port"),
        ("exec=bin/git", "no program of a grant"),
        ("exec=*", "`exec` for all of them"),
        ("exec=gi*", "no program of a grant"),
    ] {
        let error = word.parse::<Narrowing>().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn hosts_of_grants_are_names_and_addresses() {
    for (text, canonical) in [
        ("API.example.com", "api.example.com"),
        ("*.Example.com.", "*.example.com"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ] {
        assert_eq!(check_host(text).as_deref(), Ok(canonical));
    }
    let url = |host: &str, port, path: Option<&str>| InvalidHost::Url {
        host: host.to_owned(),
        port,
        path: path.map(str::to_owned),
    };
    for (text, error) in [
        ("https://a.example", url("a.example", None, None)),
        (
            "https://u:p@a.example:8443/v1?x",
            url("a.example", Some(8443), Some("/v1")),
        ),
        ("a.example/v1", url("a.example", None, Some("/v1"))),
        (
            "a.example:8000-9000",
            InvalidHost::Port {
                host: "a.example".to_owned(),
                port: "8000-9000".to_owned(),
            },
        ),
        ("me@a.example", InvalidHost::User),
        ("*", InvalidHost::All),
        ("a.*.example", InvalidHost::Star),
        ("*x.example", InvalidHost::Star),
        ("bücher.example", InvalidHost::NotAscii),
        ("127.1", InvalidHost::Number),
        ("0x7f000001", InvalidHost::Number),
        ("2130706433", InvalidHost::Number),
        ("a..example", InvalidHost::Name),
        ("", InvalidHost::Name),
        ("a b", InvalidHost::Name),
    ] {
        assert_eq!(check_host(text), Err(error), "{text}");
    }
}

#[test]
fn paths_of_grants_are_patterns() {
    for text in ["/", "/**", "/v1/*/x", "/v1/a%20b", "/v1/"] {
        assert_eq!(check_path(text), Ok(()), "{text}");
    }
    for (text, error) in [
        ("v1", InvalidPath::NotAbsolute),
        ("", InvalidPath::NotAbsolute),
        ("/v1?x", InvalidPath::Query),
        ("/**/x", InvalidPath::RestInTheMiddle),
        ("/v*", InvalidPath::PartOfASegment),
        ("/v1/../x", InvalidPath::Dots),
        ("/%2e%2e", InvalidPath::Dots),
        ("//x", InvalidPath::Empty),
        ("/%zz", InvalidPath::Percent),
        ("/a%2fb", InvalidPath::Percent),
    ] {
        assert_eq!(check_path(text), Err(error), "{text}");
    }
}

#[test]
fn what_is_denied_and_granted_nowhere_is_told() {
    let mut granted = exec(&[], &[]);
    granted.kv = names(&["rates"]);
    granted.http = vec![host("*.example.com"), host("b.example")];
    granted.exec.push(ExecGrant {
        program: "/usr/bin/make".to_owned(),
        ..ExecGrant::default()
    });
    let idle = |word: &str| {
        let narrowing: Narrowing = word.parse().unwrap();
        let found = narrowing.idle(&[&grants(), &granted]);
        found.into_iter().next().map(|idle| idle.nearest)
    };
    for word in [
        "http",
        "artifacts",
        "exec",
        "kv=rates",
        "http=b.example",
        "http=api.example.com",
        "http=*.api.example.com",
        "http=*.example",
        "exec=git",
        "exec=/opt/git",
        "exec=make",
        "exec=/usr/bin/make",
    ] {
        assert_eq!(idle(word), None, "{word}");
    }
    for (word, nearest) in [
        ("kv=rate", &["rates"][..]),
        ("http=c.example", &["b.example"]),
        ("http=example.com", &["*.example.com"]),
        ("exec=gti", &["git"]),
        ("exec=mak", &["/usr/bin/make"]),
        ("exec=/bin/make", &["/usr/bin/make"]),
    ] {
        assert_eq!(idle(word), Some(texts(nearest)), "{word}");
    }
}

#[test]
fn a_place_that_is_denied_is_told_beside_the_names_that_may_mean_it() {
    let narrowing: Narrowing = [
        "exec=/opt/bin/git",
        "exec=git",
        "exec=/bin/make",
        "http=git",
    ]
    .iter()
    .map(|word| word.parse::<Narrowing>().unwrap())
    .collect();
    let granted = exec(&[], &[]);
    assert_eq!(
        narrowing.places(&[&grants(), &granted]),
        [("/opt/bin/git", "git")]
    );
    let mut both = exec(&[], &[]);
    both.exec.push(ExecGrant {
        program: "/opt/bin/git".to_owned(),
        ..ExecGrant::default()
    });
    assert_eq!(narrowing.places(&[&both]), []);
}
