//! Components in registries: pushed, pulled into a lock, and used without the registry from then on.

mod hostile;
mod signed;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use milepost::core::ids::Digest;
use milepost::core::registry::Reference;
use milepost::wasm::{Inspection, embed_manifest};
use milepost::wasm_plugins::oci_registry::{Logins, Registries};
use milepost_tests::cli::{Cli, code_cache, component};
use milepost_tests::registry::{Answer, Registry};
use serde_json::{Value, json};
use tokio::runtime::Builder;

const WORKFLOW: &str = r#"schema = 1
name = "greeting"
[plugins.text]
source = "SOURCE"
[[step]]
id = "greet"
use = "text/greet"
with = { name = "Ada" }
"#;

fn workflow(source: &str) -> String {
    WORKFLOW.replace("SOURCE", source)
}

/// A component that no other test has, so that nothing of it is on this machine: it asks for secrets of these names.
fn component_of(secrets: &[&str]) -> Vec<u8> {
    let bytes = fs::read(component("text")).unwrap();
    let mut manifest = Inspection::of(&bytes).unwrap().manifest.unwrap();
    manifest.secrets = secrets.iter().map(ToString::to_string).collect();
    embed_manifest(&bytes, &serde_json::to_string(&manifest).unwrap()).unwrap()
}

/// Puts it into the registry as it is, and gives its digest.
fn push(component: &[u8], source: &str) -> Digest {
    let reference = Reference::parse(source).unwrap().unwrap();
    let registries = Registries::new(Logins::default());
    let runtime = Builder::new_current_thread().build().unwrap();
    let pushed = runtime.block_on(registries.push(&reference, component));
    pushed.unwrap();
    let digest = Digest::of(component);
    forget(&digest);
    digest
}

/// Takes it off this machine.
fn forget(digest: &Digest) {
    let _ = fs::remove_file(kept(digest));
}

fn kept(digest: &Digest) -> PathBuf {
    let name = format!("{}.wasm", digest.hex());
    code_cache().join("components").join(name)
}

fn lock(cli: &Cli) -> String {
    fs::read_to_string(cli.folder().join("milepost.lock")).unwrap()
}

#[test]
fn a_component_is_pushed_locked_and_used_without_the_registry() {
    let (registry, cli) = (Registry::new(), Cli::new());
    let source = registry.source("team/words:1.0");
    let digest = push(&component_of(&["registries_story"]), &source);
    let (manifest, manifest_digest) = registry.manifest("team/words", "1.0");
    assert_eq!(
        manifest["config"]["mediaType"],
        "application/vnd.wasm.config.v0+json"
    );
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["layers"][0]["digest"], json!(digest));
    // What the program pushes is the same artifact; once more, nothing is sent but the manifest.
    let bytes = fs::read(component("text")).unwrap();
    cli.write("text.wasm", &bytes);
    let pack = format!("plugin pack text.wasm -o {}", registry.source("text:1"));
    let pushed = cli.run(&pack).expect(0).stderr;
    let (packed, packed_digest) = registry.manifest("text", "1");
    assert!(
        pushed.contains(&format!("whose manifest is {packed_digest}")),
        "{pushed}"
    );
    assert_eq!(packed["layers"][0]["digest"], json!(Digest::of(&bytes)));
    let _ = registry.asked();
    cli.run(&pack).expect(0);
    let asked = registry.asked();
    let methods: Vec<&str> = asked.iter().map(|asked| asked.method.as_str()).collect();
    assert_eq!(methods, ["HEAD", "HEAD", "PUT"]);

    // Nothing but the verbs of locks asks a registry.
    cli.write("w.toml", workflow(&source));
    for command in ["run w.toml", "submit w.toml", "validate w.toml"] {
        let said = cli.run(command).expect(match command {
            "validate w.toml" => 65,
            _ => 69,
        });
        let said = said.stderr + &said.stdout;
        for part in [
            "nothing says which component oci:127.0.0.1:",
            "`milepost plugin lock w.toml` fetches it",
        ] {
            assert!(said.contains(part), "{command}: {part}: {said}");
        }
    }
    assert_eq!(registry.asked().len(), 0);

    let locked = cli.run("plugin lock w.toml --json").expect(0).json();
    let plugin = &locked["locks"][0]["plugins"][0];
    assert_eq!(plugin["digest"], json!(digest));
    assert_eq!(plugin["manifest"], json!(manifest_digest));
    assert_eq!(plugin["key"], Value::Null);
    for line in [
        format!("source = \"{source}\""),
        format!("digest = \"{digest}\""),
        format!("manifest = \"{manifest_digest}\""),
    ] {
        assert!(
            lock(&cli).lines().any(|found| found == line),
            "{line}: {}",
            lock(&cli)
        );
    }
    let _ = registry.asked();
    let said = cli.run("run w.toml").expect(0).stdout;
    assert!(said.contains("Hello, Ada!"), "{said}");
    cli.run("validate w.toml").expect(0);
    cli.run("plugin lock w.toml").expect(0);
    assert_eq!(registry.asked().len(), 0, "it is on this machine");

    // On another machine, with the lock.
    forget(&digest);
    let refused = cli.run("run w.toml").expect(69).stderr;
    assert!(
        refused.contains(&format!("({digest}) is not on this machine")),
        "{refused}"
    );
    assert!(
        refused.contains("`milepost plugin lock w.toml` fetches it"),
        "{refused}"
    );
    // The tag may have moved by then.
    let other = component_of(&["registries_story_moved"]);
    let moved = push(&other, &source);
    cli.run("plugin lock w.toml").expect(0);
    cli.run("run w.toml").expect(0);
    assert!(lock(&cli).contains(&digest.to_string()));

    // One that was changed there is none.
    fs::write(kept(&digest), &other).unwrap();
    cli.run("run w.toml").expect(69);
    cli.run("plugin lock w.toml").expect(0);
    cli.run("run w.toml").expect(0);

    let stopped = cli.run("plugin update w.toml").expect(65).stderr;
    assert!(
        stopped.contains("secrets registries_story_moved; nothing was written"),
        "{stopped}"
    );
    assert!(lock(&cli).contains(&digest.to_string()));
    cli.run("plugin update w.toml --approve").expect(0);
    assert!(lock(&cli).contains(&moved.to_string()));
    drop(registry);
    cli.run("run w.toml").expect(0);
}

#[test]
fn a_component_that_nobody_uses_leaves_and_one_that_the_lock_names_stays() {
    let (registry, cli) = (Registry::new(), Cli::new());
    let source = registry.source("words:1");
    let digest = push(&component_of(&["registries_stays"]), &source);
    let cache = cli.folder().join("cache");
    let run = |line: &str| {
        let mut command = cli.command(line);
        let status = command.env("MILEPOST_CACHE", &cache).status().unwrap();
        assert!(status.success(), "{line}");
    };
    cli.write("w.toml", workflow(&source));
    run("plugin lock w.toml");
    let file = |digest: Digest| {
        cache
            .join("components")
            .join(format!("{}.wasm", digest.hex()))
    };
    let unused = file(Digest::of(b"unused"));
    fs::write(&unused, b"unused").unwrap();
    for file in [&unused, &file(digest)] {
        let then = SystemTime::now() - Duration::from_secs(40 * 24 * 60 * 60);
        let file = fs::File::options().append(true).open(file).unwrap();
        file.set_modified(then).unwrap();
    }
    let _ = registry.asked();
    // It comes first, by its name, and makes room.
    let other = registry.source("other:1");
    push(&component_of(&["registries_comes"]), &other);
    run(&format!("plugin add w.toml another {other}"));
    assert!(!unused.exists());
    let again = registry.asked();
    let again = again
        .iter()
        .any(|asked| asked.method == "GET" && asked.target.ends_with(&digest.to_string()));
    assert!(!again, "it was not there any more");
    assert!(file(digest).exists());
}

#[test]
fn what_is_pushed_keeps_the_digest_that_is_locked() {
    let (registry, cli) = (Registry::new(), Cli::new());
    // A section behind the manifest, as a tool that signs or packs may leave one.
    let mut bytes = fs::read(component("text")).unwrap();
    bytes.extend_from_slice(b"\0\x02\x01x");
    cli.write("text.wasm", &bytes);
    cli.write("w.toml", workflow("text.wasm"));
    cli.run("plugin lock w.toml").expect(0);
    let digest = Digest::of(&bytes);
    assert!(lock(&cli).contains(&digest.to_string()));
    let source = registry.source("text:1");
    for (from, to) in [
        ("text.wasm", source.as_str()),
        (&source, "copy.wasm"),
        ("copy.wasm", "oci-layout:layout:1"),
    ] {
        let packed = cli.run(&format!("plugin pack {from} -o {to} --json"));
        assert_eq!(packed.expect(0).json()["digest"], json!(digest), "{to}");
    }
    let (manifest, _) = registry.manifest("text", "1");
    assert_eq!(manifest["layers"][0]["digest"], json!(digest));
}

#[test]
fn a_plugin_of_a_registry_is_looked_at_added_and_pulled_into_a_file() {
    let (registry, cli) = (Registry::new(), Cli::new());
    let bytes = component_of(&["registries_added"]);
    let digest = push(&bytes, &registry.source("words:1"));
    let (_, manifest) = registry.manifest("words", "1");
    for source in [
        registry.source("words:1"),
        registry.source(&format!("words@{manifest}")),
        registry.source(&format!("words:other@{manifest}")),
    ] {
        let inspected = cli
            .run(&format!("plugin inspect {source} --json"))
            .expect(0)
            .json();
        assert_eq!(inspected["digest"], json!(digest), "{source}");
    }
    assert!(!kept(&digest).exists(), "to look at it is not to keep it");
    let pack = format!("plugin pack {} -o here.wasm", registry.source("words:1"));
    cli.run(&pack).expect(0);

    cli.write(
        "flows/w.toml",
        workflow("text.wasm").replace("\"text.wasm\"", "\"../here.wasm\""),
    );
    let source = registry.source(&format!("words@{manifest}"));
    let added = cli
        .run(&format!("plugin add flows/w.toml words {source}"))
        .expect(0)
        .stdout;
    assert!(
        added.contains(&format!("added      words ({source})")),
        "{added}"
    );
    let text = fs::read_to_string(cli.folder().join("flows/w.toml")).unwrap();
    assert!(
        text.contains(&format!("[plugins.words]\nsource = \"{source}\"")),
        "{text}"
    );
    cli.run("run flows/w.toml").expect(0);

    // A pin in the workflow counts, too, and needs no lock on a machine that has the component.
    let pinned = format!("{source}\"\ndigest = \"{digest}");
    cli.write("pinned/w.toml", workflow(&pinned));
    cli.run("run pinned/w.toml").expect(0);
    let wrong = Digest::of(b"other");
    cli.write(
        "wrong/w.toml",
        workflow(&format!("{source}\"\ndigest = \"{wrong}")),
    );
    let failed = cli.run("plugin lock wrong/w.toml --json").expect(69).json();
    assert_eq!(failed["error"]["code"], "plugin_unavailable");

    for (line, code, says) in [
        (
            "plugin inspect SOURCE/words:2",
            "registry",
            "has no `2` in `words`",
        ),
        ("plugin inspect oci:words:1", "usage", "is no registry"),
        (
            "plugin pack here.wasm -o SOURCE/words@MANIFEST",
            "usage",
            "pushed to a tag",
        ),
        (
            "plugin add flows/w.toml more SOURCE/nothing:1",
            "registry",
            "has no `1` in `nothing`",
        ),
    ] {
        let host = format!("oci:{}", registry.host());
        let line = line
            .replace("SOURCE", &host)
            .replace("MANIFEST", &manifest.to_string());
        let failed = cli.run(&format!("{line} --json")).json();
        assert_eq!(failed["error"]["code"], code, "{line}");
        let message = failed["error"]["message"].as_str().unwrap();
        assert!(message.contains(says), "{line}: {message}");
    }
}

#[test]
fn a_source_that_is_no_place_in_a_registry_is_told_where_it_stands() {
    let cli = Cli::new();
    cli.write("w.toml", workflow("oci:words:1.0"));
    let said = cli.run("validate w.toml").expect(65);
    let said = said.stderr + &said.stdout;
    assert!(said.contains("MP0115"), "{said}");
    assert!(said.contains("w.toml:4:10"), "{said}");
}

/// How a registry asks for a login.
fn ask_for_login(registry: &Registry, challenge: String, authorization: &'static str) {
    registry.instead(move |asked| {
        let given = asked.headers.get("authorization");
        match given.is_some_and(|given| given == authorization) {
            true => None,
            false => Some(Answer::new(401, "").header("www-authenticate", challenge.clone())),
        }
    });
}

#[test]
fn logins_go_to_the_registry_that_asks_for_them_and_are_not_shown() {
    let (registry, cli) = (Registry::new(), Cli::new());
    let bytes = component_of(&["registries_login"]);
    cli.write("text.wasm", fs::read(component("text")).unwrap());
    let source = registry.source("words:1");
    let digest = push(&bytes, &source);
    // `me:s3cret`.
    ask_for_login(
        &registry,
        "Basic realm=\"here\"".to_owned(),
        "Basic bWU6czNjcmV0",
    );
    cli.write("w.toml", workflow(&source));
    let refused = cli.run("plugin lock w.toml").expect(69).stderr;
    assert!(
        refused.contains("it asks for a login; nobody is logged in there"),
        "{refused}"
    );
    assert!(refused.contains("`docker login`"), "{refused}");

    let login = json!({ "auths": { registry.host(): { "auth": "bWU6czNjcmV0" } } });
    cli.write(".docker/config.json", login.to_string());
    let pushed = cli
        .run(&format!(
            "plugin pack text.wasm -o {}",
            registry.source("text:1")
        ))
        .expect(0);
    cli.run("plugin lock w.toml").expect(0);
    // The environment comes first, and a wrong login is told without being shown.
    forget(&digest);
    let mut command = cli.command("plugin lock w.toml --verbose --verbose --verbose");
    let wrong = json!({ "auths": { registry.host(): { "username": "me", "password": "wr0ng" } } });
    let refused = command
        .env("DOCKER_AUTH_CONFIG", wrong.to_string())
        .output()
        .unwrap();
    let refused = String::from_utf8(refused.stderr).unwrap();
    assert!(
        refused.contains("it does not accept the login"),
        "{refused}"
    );
    for said in [refused, pushed.stderr, pushed.stdout] {
        assert!(!said.contains("wr0ng") && !said.contains("bWU6"), "{said}");
    }
    // Nothing is read of what cannot be read.
    cli.write(
        ".docker/config.json",
        r#"{"auths": {"r.example.com": "s3cret"}}"#,
    );
    let refused = cli.run("plugin lock w.toml").expect(65).stderr;
    assert!(
        refused.contains(".docker/config.json cannot be used"),
        "{refused}"
    );
    assert!(!refused.contains("s3cret"), "{refused}");
}

#[test]
fn a_token_is_fetched_for_the_one_repository() {
    let (registry, cli) = (Registry::new(), Cli::new());
    let source = registry.source("team/words:1");
    push(&component_of(&["registries_token"]), &source);
    cli.write("text.wasm", fs::read(component("text")).unwrap());
    let realm = format!("http://{}/token?account=x", registry.host());
    // The scope that it names is wider than what is asked for.
    let challenge =
        format!("Bearer realm=\"{realm}\",service=\"reg\",scope=\"repository:other:*\"");
    registry.instead(move |asked| {
        let given = asked.headers.get("authorization").map(String::as_str);
        if asked.target.starts_with("/token") {
            let is_asked = asked.target
                == "/token?account=x&scope=repository%3Ateam%2Fwords%3Apull&service=reg";
            let status = if is_asked && given == Some("Basic bWU6czNjcmV0") {
                200
            } else {
                403
            };
            return Some(Answer::new(status, r#"{"access_token": "t0ken"}"#));
        }
        match given {
            Some("Bearer t0ken") => None,
            _ => Some(Answer::new(401, "").header("www-authenticate", challenge.clone())),
        }
    });
    let login = json!({ "auths": { registry.host(): { "auth": "bWU6czNjcmV0" } } });
    cli.write(".docker/config.json", login.to_string());
    cli.write("w.toml", workflow(&source));
    cli.run("plugin lock w.toml").expect(0);
    cli.run("run w.toml").expect(0);
    // A token for pushing is another one.
    let refused = cli
        .run(&format!("plugin pack text.wasm -o {source}"))
        .expect(69)
        .stderr;
    assert!(
        refused.contains("its token server gives no token"),
        "{refused}"
    );
}
