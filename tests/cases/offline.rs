//! Replays without a network: what steps did with servers, programs and time is on their tapes, and nothing else is asked.

use std::process::{Command, Stdio};

use milepost_tests::cli::{Cli, Output, component};
use serde_json::json;

use crate::servers::{Reply, Server};

/// How often each run is replayed: `MILEPOST_REPLAYS`, or a few times.
fn replays() -> usize {
    std::env::var("MILEPOST_REPLAYS").map_or(3, |n| n.parse().unwrap())
}

/// The command, in a network namespace of its own, where not even 127.0.0.1 can be reached.
fn cut_off(command: &Command) -> Command {
    let mut cut = Command::new("unshare");
    cut.args(["--map-root-user", "--net", "--"])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(command.get_current_dir().unwrap())
        .env_clear()
        .stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        cut.env(name, value.unwrap());
    }
    cut
}

/// Whether this machine lets a test make such a namespace: some containers and kernels do not.
fn can_be_cut_off() -> bool {
    let mut probe = Command::new("cat");
    probe.arg("/proc/net/dev").current_dir("/");
    match cut_off(&probe).output() {
        Ok(output) if output.status.success() => {
            let devices = String::from_utf8(output.stdout).unwrap();
            let named = devices.lines().filter(|line| line.contains(':'));
            assert!(
                named.clone().all(|line| line.trim().starts_with("lo:")),
                "{devices}"
            );
            true
        }
        _ => {
            println!(
                "no network namespace can be made here: replayed beside the machine's network"
            );
            false
        }
    }
}

/// Replays the run again and again; says the same each time.
fn replay(cli: &Cli, run: &str, attempts: u64) {
    let cut = can_be_cut_off();
    let mut first = None;
    for _ in 0..replays() {
        let command = cli.command(&format!("replay {run} --json"));
        let mut command = if cut { cut_off(&command) } else { command };
        let output = Output::of(command.output().unwrap()).expect(0);
        let document = output.json();
        assert_eq!(document["divergence"], json!(null), "{document:#}");
        assert_eq!(document["not_replayed"], json!([]), "{document:#}");
        assert_eq!(document["attempts"], attempts, "{document:#}");
        assert_eq!(*first.get_or_insert(output.stdout.clone()), output.stdout);
    }
}

#[test]
fn steps_that_asked_servers_replay_without_a_network() {
    let cli = Cli::new();
    let server = Server::start(|seen| match seen.target.as_str() {
        "/items" => Reply::new(200, &[("content-type", "application/json")], b"[1, 2]"),
        target => Reply::new(200, &[("x-target", target)], target.as_bytes()),
    });
    let grant = format!(
        "http = [{{ host = \"127.0.0.1\", ports = [{}], private = true }}]\n",
        server.port()
    );
    let plugin = |name: &str, grants: &str| {
        let source = component(name);
        format!("[plugins.{name}]\nsource = {source:?}\n[plugins.{name}.allow]\n{grants}")
    };
    let url = |path: &str| server.url(path);
    let text = [
        "schema = 1\nname = \"web\"\nflow = \"graph\"\n".to_owned(),
        plugin("fetch", &format!("{grant}artifacts = true\n")),
        plugin("notify", &grant),
        plugin("web", &grant),
        plugin("world", "kv = [\"b\"]\nartifacts = true\n"),
        format!(
            "[[step]]\nid = \"pages\"\nuse = \"fetch/pages\"\nwith = {{ url = \"{}\" }}\n",
            url("/items")
        ),
        format!(
            "[[step]]\nid = \"load\"\nuse = \"fetch/download\"\nwith = {{ url = \"{}\" }}\n",
            url("/file.txt")
        ),
        format!(
            "[[step]]\nid = \"tell\"\nuse = \"notify/webhook\"\nneeds = [\"pages\"]\nwith = {{ url = \"{}\", payload = {{ items = \"${{ steps.pages.output.items }}\" }} }}\n",
            url("/hook")
        ),
        format!(
            "[[step]]\nid = \"ask\"\nuse = \"web/ask\"\nwith = {{ requests = [{{ url = \"{}\" }}, {{ url = \"{}\", method = \"POST\", body = \"b\" }}, {{ url = \"http://127.0.0.1:1/\" }}] }}\n",
            url("/one"),
            url("/two")
        ),
        "[[step]]\nid = \"world\"\nuse = \"world/visit\"\nwith = { calls = [\
            { do = \"once\", key = \"paid\", bucket = \"b\" }, { do = \"now\" }, { do = \"random\", bytes = 9 }, \
            { do = \"write\", name = \"r.txt\", text = \"ab\", times = 9000 }, { do = \"read\", offset = 9000, max = 9000 }] }\n"
            .to_owned(),
    ];
    cli.write("web.toml", text.concat());
    cli.run("run web.toml --id web").expect(0);
    drop(server);
    replay(&cli, "web", 5);
}

#[test]
fn steps_that_ran_programs_replay_without_a_network() {
    let cli = Cli::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/release-notes");
    let repository = cli.folder().join("kettle.git");
    let line = format!(
        "run {example}/workflow.toml --input repository={} --input history=@{example}/data/history.txt --id notes",
        repository.display()
    );
    cli.run(&line).expect(0);
    std::fs::remove_dir_all(&repository).unwrap();
    let steps = cli.report("notes")["steps"].as_array().unwrap().len();
    replay(&cli, "notes", steps as u64);
}
