//! What `--json` prints is what its published schema says. Every command of the other tests is compared with it as well.

use std::collections::BTreeSet;

use milepost_tests::cli::{Cli, component};
use milepost_tests::documents::{asked, check, verbs};
use serde_json::Value;

use super::{GATE, HELLO, SIGNAL};

#[test]
fn every_verb_prints_a_document_that_fits_its_schema() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.workflow("gate.toml", GATE);
    cli.workflow("signal.toml", SIGNAL);
    cli.workflow(
        "fails.toml",
        "[[step]]\nid = \"a\"\nuse = \"flaky/fail_always\"\nwith = { class = \"failed\" }\n",
    );
    let undone = "[[step]]\nid = \"a\"\nuse = \"text/echo\"\ncompensate = { use = \"text/echo\" }\n[[step]]\nid = \"b\"\nuse = \"flaky/fail_always\"\n";
    cli.workflow("undone.toml", undone);
    let text = component("text").display().to_string();
    let hostile = component("hostile").display().to_string();
    let trap = "[[step]]\nid = \"a\"\nuse = \"hostile/trap\"\n";
    cli.workflow("trap.toml", trap);
    let mut seen = BTreeSet::new();
    let mut run = |line: &str, status: i32| {
        seen.extend(asked(line));
        cli.run(line).expect(status).json()
    };
    run("run hello.toml --input name=a --id done --json", 0);
    run("run fails.toml --id failed --json", 1);
    run("run trap.toml --id trap --json", 1);
    run("run undone.toml --id undone --json", 1);
    run("compensate undone --json", 1);
    run("run gate.toml --id yes --json", 2);
    run("run gate.toml --id no --json", 2);
    run("run signal.toml --id asks --json", 2);
    run("submit hello.toml --input name=b --id later --json", 0);
    run("submit hello.toml --input name=b --id never --json", 0);
    run("signal asks go --data 1 --json", 0);
    run("approve yes --comment fine --json", 0);
    run("reject no --json", 0);
    run("pause asks --json", 0);
    run("cancel never --json", 0);
    run("kill never --json", 0);
    run("work --until-idle --json", 0);
    run("resume asks --json", 0);
    run("retry failed --json", 1);
    run("fork done --from greet --id forked --json", 0);
    run("rerun done --id again --json", 0);
    run("retry trap --json", 1);
    for id in [
        "done", "failed", "trap", "undone", "yes", "no", "asks", "later", "never", "forked",
        "again",
    ] {
        run(&format!("show {id} --json"), 0);
        run(&format!("events {id} --json"), 0);
        run(&format!("logs {id} --json"), 0);
        run(&format!("replay {id} --json"), 0);
    }
    run("show done --at 3 --json", 0);
    run("diff done done --json", 0);
    run("diff done failed --json", 1);
    run("eval done run.id --json", 0);
    run("eval done nothing --json", 65);
    run("dry-run hello.toml --input name=a --json", 1);
    run("replay --all --json", 0);
    run("ls --json", 0);
    run("artifacts done --json", 0);
    run("kv put b k 1 --json", 0);
    run("kv get b k --json", 0);
    run("kv ls --json", 0);
    run("kv ls b --json", 0);
    run("metrics --json", 0);
    run("kv rm b k --json", 0);
    run("workflows --json", 0);
    run("validate hello.toml --json", 0);
    cli.write("bad.toml", "schema = 1\n[[step]]\nid = 1\n");
    run("validate bad.toml nowhere.toml --json", 65);
    run("run bad.toml --json", 65);
    run("run hello.toml --input nmae=a --json", 65);
    run(
        "test --from-run done --step greet -o done.test.toml --json",
        0,
    );
    run("test done.test.toml --crash --json", 0);
    run("test nowhere.test.toml --json", 65);
    run("secrets hello.toml --json", 0);
    run("graph gate.toml --json", 0);
    run(&format!("inspect {text} --json"), 0);
    run(&format!("pack {text} -o packed.wasm --json"), 0);
    run("plugin new words --lang wat --json", 0);
    run("new flow --json", 0);
    run(&format!("call {text} greet --json"), 65);
    run(&format!("call {text} echo --json"), 0);
    run("plugin build words --json", 0);
    run("plugin build words --json", 0);
    run("plugin test words --json", 0);
    run("plugin inspect words/words.wasm --json", 0);
    run(&format!("symbolize {hostile} 0x1 --json"), 0);
    run("export done -o done.mpr --json", 0);
    run("import done.mpr --json", 0);
    run("gc --older-than 0s --dry-run --json", 0);
    run("gc --older-than 0s --json", 0);
    run("doctor --json", 0);
    run("explain MP0101 --json", 0);
    run("completions bash --json", 0);
    run("schema --json", 0);
    let line = "dev hello.toml --input name=a --json";
    let mut dev = cli.start(line);
    dev.until("waiting for changes");
    dev.signal("TERM");
    check(line, &dev.wait().expect(0).stdout);
    seen.extend(asked(line));
    assert_eq!(seen, verbs().into_iter().collect::<BTreeSet<_>>());
}

/// Whoever reads a schema may rely on it: it allows nothing beside what it names.
#[test]
fn documents_have_no_members_that_the_schema_does_not_name() {
    let cli = Cli::new();
    let schema = cli.run("schema --documents --json").expect(0).json();
    let mut open = Vec::new();
    let mut all = vec![&schema];
    while let Some(one) = all.pop() {
        match one {
            Value::Object(members) => {
                let closed = members.get("additionalProperties") == Some(&Value::Bool(false));
                if members.contains_key("properties") && members.contains_key("type") && !closed {
                    open.push(one);
                }
                all.extend(members.values());
            }
            Value::Array(items) => all.extend(items),
            _ => {}
        }
    }
    assert!(open.is_empty(), "{open:#?}");
}
