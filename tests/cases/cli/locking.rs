//! `milepost.lock`: which components the workflows of a folder may use.

use std::fs;

use milepost::core::ids::Digest;
use milepost::wasm::{Inspection, embed_manifest};
use milepost_tests::cli::{Cli, component};
use serde_json::{Value, json};

const WORKFLOW: &str = r#"schema = 1
name = "greeting"
[plugins.text]
source = "text.wasm"
[[step]]
id = "greet"
use = "text/greet"
with = { name = "Ada" }
"#;

const TEST: &str = r#"schema = 1
workflow = "w.toml"
[[test]]
name = "greets"
[test.expect]
status = "completed"
"#;

/// The component of that name whose manifest asks for these hosts and secrets.
fn wanting(name: &str, hosts: &[&str], secrets: &[&str]) -> Vec<u8> {
    let bytes = fs::read(component(name)).unwrap();
    let mut manifest = Inspection::of(&bytes).unwrap().manifest.unwrap();
    manifest.hosts = hosts.iter().map(ToString::to_string).collect();
    manifest.secrets = secrets.iter().map(ToString::to_string).collect();
    embed_manifest(&bytes, &serde_json::to_string(&manifest).unwrap()).unwrap()
}

/// A folder with a workflow that is locked.
fn locked() -> Cli {
    let cli = Cli::new();
    cli.write("w.toml", WORKFLOW);
    cli.write("text.wasm", wanting("text", &[], &["token"]));
    let told = cli.run("plugin lock w.toml").expect(0).stdout;
    assert!(
        told.starts_with("wrote milepost.lock\n  added      text (text.wasm): wants "),
        "{told}"
    );
    assert!(told.ends_with("secrets token\n"), "{told}");
    cli
}

fn lock(cli: &Cli) -> String {
    fs::read_to_string(cli.folder().join("milepost.lock")).unwrap()
}

fn runs(cli: &Cli) -> usize {
    cli.run("ls --limit 0 -o ids")
        .expect(0)
        .stdout
        .lines()
        .count()
}

#[test]
fn a_lock_says_what_components_are_and_want() {
    let cli = locked();
    let text = lock(&cli);
    let bytes = fs::read(cli.folder().join("text.wasm")).unwrap();
    assert!(
        text.starts_with("# The components that the workflows of this folder may use"),
        "{text}"
    );
    for line in [
        "version = 1".to_owned(),
        "[[plugin]]".to_owned(),
        "name = \"text\"".to_owned(),
        "source = \"text.wasm\"".to_owned(),
        format!("digest = \"{}\"", Digest::of(&bytes)),
        "contract = \"0.1.0\"".to_owned(),
        "secrets = [\"token\"]".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    // The same again is the same, and nothing is written.
    let again = cli.run("plugin lock w.toml --json").expect(0).json();
    assert_eq!(again["locks"][0]["written"], false);
    assert_eq!(again["locks"][0]["plugins"][0]["change"], "unchanged");
    assert_eq!(
        again["locks"][0]["plugins"][0]["wants"]["secrets"],
        json!(["token"])
    );
    cli.run("plugin update w.toml").expect(0);
    assert_eq!(lock(&cli), text);
    cli.run("run w.toml").expect(0);
    cli.run("validate w.toml").expect(0);
}

#[test]
fn another_component_is_refused_until_somebody_takes_it() {
    let cli = locked();
    cli.write("w.test.toml", TEST);
    cli.run("test w.test.toml").expect(0);
    cli.run("run w.toml").expect(0);
    let before = fs::read(cli.folder().join("text.wasm")).unwrap();
    let after = wanting("text", &["evil.example.com"], &[]);
    cli.write("text.wasm", &after);

    for command in ["run w.toml", "submit w.toml", "validate w.toml"] {
        let said = cli.run(command).expect(65);
        let said = said.stderr + &said.stdout;
        for part in [
            "text.wasm is not the one that milepost.lock:",
            &Digest::of(&before).to_string(),
            &Digest::of(&after).to_string(),
            "it wants more: hosts evil.example.com, and no longer: secrets token",
            "`milepost plugin update w.toml --approve text`",
        ] {
            assert!(said.contains(part), "{command}: {part}: {said}");
        }
    }
    let failed = cli.run("run w.toml --json").expect(65).json();
    assert_eq!(failed["error"]["code"], "plugin_not_locked");
    let checked = cli.run("validate w.toml --json").expect(65).json();
    assert_eq!(
        checked["files"][0]["components"][0]["code"],
        "plugin_not_locked"
    );
    let problem = &checked["files"][0]["diagnostics"][0];
    assert_eq!(
        (&problem["code"], &problem["line"]),
        (&json!("MP0607"), &json!(4))
    );
    cli.run("validate w.toml --no-components").expect(0);
    cli.run("test w.test.toml").expect(65);
    assert_eq!(runs(&cli), 1, "nothing of it was recorded");

    // To look again at what there is is not to take it.
    let text = lock(&cli);
    let stopped = cli.run("plugin lock w.toml").expect(65).stderr;
    assert!(
        stopped.contains("`milepost plugin update w.toml`"),
        "{stopped}"
    );
    let stopped = cli.run("plugin update w.toml").expect(65).stderr;
    assert!(
        stopped.contains("wants more than milepost.lock:"),
        "{stopped}"
    );
    assert!(
        stopped.contains("records: hosts evil.example.com; nothing was written"),
        "{stopped}"
    );
    let failed = cli.run("plugin update w.toml --json").expect(65).json();
    assert_eq!(failed["error"]["code"], "wants_more");
    assert_eq!(lock(&cli), text);

    let taken = cli
        .run("plugin update w.toml text --approve --json")
        .expect(0)
        .json();
    let plugin = &taken["locks"][0]["plugins"][0];
    assert_eq!(plugin["change"], "changed");
    assert_eq!(plugin["before"], json!(Digest::of(&before)));
    assert_eq!(plugin["more"]["hosts"], json!(["evil.example.com"]));
    assert_eq!(plugin["less"]["secrets"], json!(["token"]));
    cli.run("run w.toml").expect(0);

    // What wants no more than is recorded needs nobody's word.
    cli.write("text.wasm", wanting("text", &[], &[]));
    let refused = cli.run("run w.toml").expect(65).stderr;
    assert!(refused.contains("it wants nothing more"), "{refused}");
    assert!(
        refused.contains("`milepost plugin update w.toml text`"),
        "{refused}"
    );
    cli.run("plugin update w.toml").expect(0);
    cli.run("run w.toml").expect(0);
    let asked = cli.run("plugin update w.toml txt").expect(65).stderr;
    assert!(asked.contains("did you mean `text`?"), "{asked}");
}

#[test]
fn a_run_goes_on_with_what_it_carries() {
    let cli = Cli::new();
    let workflow = WORKFLOW.replace("text/greet", "text/once");
    let workflow = workflow.replace("name = \"Ada\"", "state = 1");
    cli.write("w.toml", workflow.replace("text", "p"));
    fs::copy(component("pausing"), cli.folder().join("p.wasm")).unwrap();
    cli.run("plugin lock w.toml").expect(0);
    cli.run("run w.toml --id r").expect(2);
    cli.write("p.wasm", wanting("pausing", &["evil.example.com"], &[]));
    // Whoever goes on with the files has to take them into the lock, too.
    let asked = cli.run("resume r").expect(65).stderr;
    assert!(asked.contains("--as-started"), "{asked}");
    let refused = cli
        .run("resume r --accept-changes --json")
        .expect(65)
        .json();
    assert_eq!(refused["error"]["code"], "plugin_not_locked");
    let refused = cli
        .run("rerun r --id r2 --accept-changes --json")
        .expect(65)
        .json();
    assert_eq!(refused["error"]["code"], "plugin_not_locked");
    cli.run("resume r --as-started").expect(0);
}

#[test]
fn what_is_not_in_the_lock_is_refused_and_what_nobody_uses_is_told() {
    let cli = locked();
    let other = WORKFLOW
        .replace("plugins.text", "plugins.words")
        .replace("text/greet", "words/greet");
    cli.write("other.toml", &other);
    let refused = cli.run("run other.toml").expect(65).stderr;
    assert!(
        refused.contains("plugin `words` is refused: milepost.lock does not hold it"),
        "{refused}"
    );
    assert!(
        refused.contains("`milepost plugin lock other.toml` adds"),
        "{refused}"
    );
    // Whoever locks one workflow hears that the other one is not.
    let said = cli.run("plugin lock w.toml").expect(0).stderr;
    assert!(
        said.contains("other.toml names plugins that milepost.lock does not hold"),
        "{said}"
    );
    cli.run("plugin lock other.toml").expect(0);
    cli.run("run other.toml").expect(0);
    cli.run("run w.toml").expect(0);

    // The same plugin from another file.
    cli.write("w.toml", WORKFLOW.replace("text.wasm", "./text.wasm"));
    let refused = cli.run("run w.toml").expect(65).stderr;
    assert!(
        refused.contains("holds it from `text.wasm`, and the workflow names `./text.wasm`"),
        "{refused}"
    );
    let checked = cli.run("validate other.toml").expect(0).stderr;
    assert!(
        checked.contains("milepost.lock holds the plugin `text` from `text.wasm`, which no workflow beside it names"),
        "{checked}"
    );
    let dropped = cli.run("plugin lock w.toml --json").expect(0).json();
    assert_eq!(
        dropped["locks"][0]["dropped"],
        json!([{ "name": "text", "source": "text.wasm" }])
    );
    assert_eq!(cli.run("validate other.toml w.toml").expect(0).stderr, "");
    assert!(
        lock(&cli).contains("name = \"words\""),
        "the other workflow keeps its own"
    );
}

#[test]
fn a_lock_that_cannot_be_read_refuses_everything() {
    let cli = locked();
    let text = lock(&cli);
    for (broken, says) in [
        ("version = ".to_owned(), "milepost.lock:1 cannot be used"),
        (text.replace("version = 1", "version = 2"), "reads up to 1"),
        (
            text.replace("secrets = [\"token\"]", "secrets = [\"token\", \"other\"]"),
            "changed by hand",
        ),
    ] {
        cli.write("milepost.lock", &broken);
        let refused = cli.run("run w.toml").expect(65).stderr;
        assert!(refused.contains(says), "{refused}");
        for command in ["plugin lock w.toml", "plugin update w.toml --approve"] {
            let failed = cli.run(&format!("{command} --json")).expect(65).json();
            assert_eq!(failed["error"]["code"], "lock_invalid", "{command}");
        }
        assert_eq!(lock(&cli), broken, "it is left as it was");
    }
    fs::remove_file(cli.folder().join("milepost.lock")).unwrap();
    let failed = cli.run("plugin update w.toml --json").expect(65).json();
    assert_eq!(failed["error"]["code"], "no_lock");
    fs::create_dir(cli.folder().join("milepost.lock")).unwrap();
    cli.run("run w.toml").expect(65);
}

#[test]
fn a_script_is_locked_by_its_text() {
    let script = "export const steps = { greet() { return 'Hello'; } };\n";
    let cli = Cli::new();
    cli.write(
        "w.toml",
        WORKFLOW
            .replace("text.wasm", "steps.js")
            .replace("with = { name = \"Ada\" }\n", ""),
    );
    cli.write("steps.js", script);
    cli.run("plugin lock w.toml").expect(0);
    // Not by the engine, which comes with the program.
    let digest = Digest::of(script.as_bytes()).to_string();
    assert!(lock(&cli).contains(&digest), "{}", lock(&cli));
    cli.run("run w.toml").expect(0);
    cli.write("steps.js", script.replace("Hello", "Goodbye"));
    let refused = cli.run("run w.toml").expect(65).stderr;
    assert!(refused.contains(&digest), "{refused}");
    cli.run("plugin update w.toml").expect(0);
    assert_eq!(cli.run("run w.toml").expect(0).stdout, "Goodbye\n");
}

#[test]
fn child_workflows_have_the_lock_of_their_folder() {
    let cli = Cli::new();
    cli.write(
        "w.toml",
        "schema = 1\nname = \"parent\"\n[[step]]\nid = \"c\"\nworkflow = \"below/c.toml\"\n",
    );
    cli.write("below/c.toml", WORKFLOW);
    fs::copy(component("text"), cli.folder().join("below/text.wasm")).unwrap();
    let locked = cli.run("plugin lock w.toml --json").expect(0).json();
    let files: Vec<&Value> = locked["locks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lock| &lock["file"])
        .collect();
    assert_eq!(files, [&json!("below/milepost.lock")]);
    assert!(
        !cli.folder().join("milepost.lock").exists(),
        "there is nothing to hold"
    );
    cli.run("run w.toml").expect(0);
    cli.write(
        "below/text.wasm",
        wanting("text", &["evil.example.com"], &[]),
    );
    let refused = cli.run("run w.toml").expect(65).stderr;
    assert!(refused.contains("evil.example.com"), "{refused}");
    assert_eq!(
        runs(&cli),
        2,
        "the parent and its child, of the first start"
    );
}

#[test]
fn an_update_is_of_the_locks_that_there_are() {
    let cli = Cli::new();
    let child = "[[step]]\nid = \"c\"\nworkflow = \"below/c.toml\"\n";
    cli.write("w.toml", format!("{WORKFLOW}{child}"));
    cli.write("text.wasm", wanting("text", &[], &[]));
    let alone = "schema = 1\nname = \"c\"\n[[step]]\nid = \"a\"\napproval = { message = \"?\" }\n";
    cli.write("below/c.toml", alone);
    cli.run("plugin lock w.toml").expect(0);
    // The child workflow had no plugins, and then some that nobody has locked.
    for child in [alone, WORKFLOW] {
        cli.write("below/c.toml", child);
        fs::copy(component("text"), cli.folder().join("below/text.wasm")).unwrap();
        cli.write("text.wasm", wanting("text", &[], &[]));
        cli.run("plugin update w.toml").expect(0);
        assert!(!cli.folder().join("below/milepost.lock").exists());
        cli.run("validate w.toml").expect(0);
    }
    fs::remove_file(cli.folder().join("milepost.lock")).unwrap();
    let none = cli.run("plugin update w.toml").expect(65).stderr;
    assert!(none.contains("there is no"), "{none}");
    // Where only the child workflow has one, that is what is updated.
    cli.run("plugin lock below/c.toml").expect(0);
    cli.write(
        "below/text.wasm",
        wanting("text", &["more.example.com"], &[]),
    );
    let updated = cli
        .run("plugin update w.toml --approve --json")
        .expect(0)
        .json();
    assert_eq!(updated["locks"][0]["file"], "below/milepost.lock");
    assert_eq!(updated["locks"][0]["plugins"][0]["change"], "changed");
    assert!(!cli.folder().join("milepost.lock").exists());
}

#[test]
#[cfg(unix)]
fn a_link_to_a_workflow_has_the_lock_that_it_leads_to() {
    let cli = Cli::new();
    cli.write("release/w.toml", WORKFLOW);
    fs::copy(component("text"), cli.folder().join("release/text.wasm")).unwrap();
    cli.run("plugin lock release/w.toml").expect(0);
    std::os::unix::fs::symlink("release/w.toml", cli.folder().join("w.toml")).unwrap();
    cli.run("run w.toml").expect(0);
    cli.write(
        "release/text.wasm",
        wanting("text", &["evil.example.com"], &[]),
    );
    cli.run("run w.toml").expect(65);
    // Also where the component lies beside the link.
    fs::rename(
        cli.folder().join("release/text.wasm"),
        cli.folder().join("text.wasm"),
    )
    .unwrap();
    cli.run("run w.toml").expect(65);
}

#[test]
fn whoever_develops_a_plugin_is_told_and_goes_on() {
    let cli = locked();
    cli.write("text.wasm", wanting("text", &["evil.example.com"], &[]));
    let mut dev = cli.start("dev w.toml");
    dev.until("`dev` uses it all the same");
    dev.until("waiting for changes");
    dev.signal("INT");
    dev.wait();
    // One call of a component is no use of it by a workflow.
    cli.run("call text.wasm greet --input {\"name\":\"Ada\"}")
        .expect(0);
}

#[test]
fn a_plugin_is_added_to_a_workflow_and_its_lock() {
    let cli = Cli::new();
    let workflow = WORKFLOW.replace("[[step]]", "# The only step.\n[[step]]");
    cli.write("flows/w.toml", &workflow);
    for (from, to) in [("text", "flows/text.wasm"), ("math", "plugins/math.wasm")] {
        cli.write(to, fs::read(component(from)).unwrap());
    }
    let added = cli
        .run("plugin add flows/w.toml math plugins/math.wasm")
        .expect(0);
    assert!(
        added
            .stderr
            .contains("added `[plugins.math]` to flows/w.toml"),
        "{added:?}"
    );
    assert!(
        added
            .stdout
            .contains("added      math (../plugins/math.wasm)"),
        "{added:?}"
    );
    assert!(
        added.stdout.contains("added      text (text.wasm)"),
        "{added:?}"
    );
    let now = fs::read_to_string(cli.folder().join("flows/w.toml")).unwrap();
    let expected = workflow.replace(
        "# The only step.",
        "\n[plugins.math]\nsource = \"../plugins/math.wasm\"\n\n# The only step.",
    );
    assert_eq!(now, expected);
    cli.run("run flows/w.toml").expect(0);

    // What does not work changes nothing.
    let locked = fs::read_to_string(cli.folder().join("flows/milepost.lock")).unwrap();
    for (name, source, code) in [
        ("math", "plugins/math.wasm", "plugin_not_added"),
        ("a.b", "plugins/math.wasm", "plugin_not_added"),
        ("more", "plugins/nowhere.wasm", "plugin_unavailable"),
        ("more", "flows/w.toml", "plugin_incompatible"),
    ] {
        let failed = cli.run(&format!("plugin add flows/w.toml {name} {source} --json"));
        assert_eq!(failed.json()["error"]["code"], code, "{name} {source}");
        assert_eq!(
            fs::read_to_string(cli.folder().join("flows/w.toml")).unwrap(),
            now
        );
    }
    let path = |name: &str| cli.folder().join("flows").join(name);
    assert_eq!(fs::read_to_string(path("milepost.lock")).unwrap(), locked);
}

#[test]
fn a_component_comes_from_an_oci_layout() {
    let cli = Cli::new();
    let pack = |name: &str, tag: &str| {
        let component = component(name);
        let line = format!(
            "plugin pack {} -o oci-layout:dist/p:{tag}",
            component.display()
        );
        cli.run(&line).expect(0)
    };
    pack("text", "1.0");
    pack("flaky", "2.0");
    cli.write(
        "flows/w.toml",
        WORKFLOW.replace("text.wasm", "oci-layout:../dist/p:1.0"),
    );
    cli.run("run flows/w.toml").expect(0);
    let inspected = cli
        .run("plugin inspect oci-layout:dist/p:1.0 --json")
        .expect(0)
        .json();
    assert_eq!(inspected["ok"], true);
    cli.run("plugin lock flows/w.toml").expect(0);
    let lock = fs::read_to_string(cli.folder().join("flows/milepost.lock")).unwrap();
    assert!(
        lock.contains("source = \"oci-layout:../dist/p:1.0\""),
        "{lock}"
    );
    assert!(
        lock.contains(inspected["digest"].as_str().unwrap()),
        "{lock}"
    );
    let added = cli
        .run("plugin add flows/w.toml flaky oci-layout:dist/p:2.0")
        .expect(0);
    assert!(
        added.stdout.contains("flaky (oci-layout:../dist/p:2.0)"),
        "{added:?}"
    );

    // A tag that moves is another component.
    pack("pausing", "1.0");
    let refused = cli.run("run flows/w.toml --json").expect(65).json();
    assert_eq!(refused["error"]["code"], "plugin_not_locked");
    let unknown = cli
        .run("plugin inspect oci-layout:dist/p:3")
        .expect(69)
        .stderr;
    assert!(
        unknown.contains("it has no tag `3`; it has `2.0`, `1.0`"),
        "{unknown}"
    );

    // One whose file was changed is refused, whatever the lock says.
    fs::remove_file(cli.folder().join("flows/milepost.lock")).unwrap();
    let digest = cli
        .run("plugin inspect oci-layout:dist/p:1.0 --json")
        .expect(0)
        .json();
    let hex = digest["digest"]
        .as_str()
        .unwrap()
        .trim_start_matches("sha256:")
        .to_owned();
    cli.write(
        &format!("dist/p/blobs/sha256/{hex}"),
        fs::read(component("text")).unwrap(),
    );
    let refused = cli.run("run flows/w.toml").expect(65).stderr;
    assert!(
        refused.contains("is not what its descriptor says"),
        "{refused}"
    );
}
