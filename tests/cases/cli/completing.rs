//! What a shell offers while a person types.

use super::{ASKS, GATE, HELLO};
use milepost_tests::cli::{Cli, Output};

/// What bash offers for a line with the cursor at its end, a line each.
#[track_caller]
fn offered(cli: &Cli, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let (last, before) = (words.len() - 1, words[words.len() - 2]);
    let script = format!(
        "source <(milepost completions bash)\n\
         COMP_WORDS=({}) COMP_CWORD={last} COMP_TYPE=9\n\
         $(complete -p milepost | grep -o '_clap[a-z_]*') milepost '{}' '{before}' 2>/dev/null\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words
            .iter()
            .map(|word| format!("'{word}' "))
            .collect::<String>(),
        words[last],
    );
    let output: Output = cli.shell(&script).expect(0);
    assert_eq!(output.stderr, "", "{output:?}");
    output.stdout
}

fn runs(cli: &Cli) {
    cli.workflow("hello.toml", HELLO);
    cli.workflow("gate.toml", GATE);
    cli.workflow("asks.toml", ASKS);
    cli.run("run hello.toml --id done-1 -i name=Ada").expect(0);
    cli.run("run gate.toml --id gate-1").expect(2);
    cli.run("run asks.toml --id asks-1").expect(2);
}

#[test]
fn bash_offers_runs_steps_signals_and_codes() {
    let cli = Cli::new();
    runs(&cli);
    for (line, expected) in [
        ("milepost show ", "asks-1\ngate-1\ndone-1\n"),
        ("milepost show g", "gate-1\n"),
        // Only what waits for somebody.
        ("milepost approve ", "asks-1\ngate-1\n"),
        ("milepost rerun done-1 --from ", "greet\n"),
        ("milepost logs gate-1 --step a", "after\n"),
        ("milepost signal asks-1 ", "go\n"),
        ("milepost explain MP0213", "MP0213\n"),
        ("milepost explain run_n", "run_not_found\n"),
        (
            "milepost new x --example table",
            "table-checks\ntable-report\n",
        ),
    ] {
        let told = offered(&cli, line);
        let values: Vec<&str> = told.lines().filter(|word| !word.starts_with('-')).collect();
        assert_eq!(values.join("\n") + "\n", expected, "{line}");
    }
    cli.write("workflows/nightly.toml", "schema = 1\n");
    cli.write("nights.toml", "schema = 1\n");
    for verb in ["run", "submit", "validate", "graph"] {
        let told = offered(&cli, &format!("milepost {verb} ni"));
        assert_eq!(told, "nightly\nnights.toml\n", "{verb}");
    }
    let verbs = offered(&cli, "milepost re");
    assert!(verbs.lines().any(|verb| verb == "resume"), "{verbs}");
}

#[test]
fn the_store_that_the_line_names_is_asked_and_none_is_made() {
    let cli = Cli::new();
    assert_eq!(offered(&cli, "milepost show x"), "\n");
    assert!(!cli.folder().join(".milepost").exists());
    cli.workflow("gate.toml", GATE);
    cli.run("run gate.toml --id gate-1 --store there").expect(2);
    assert_eq!(offered(&cli, "milepost show gat"), "\n");
    assert_eq!(offered(&cli, "milepost --store there show gat"), "gate-1\n");
    assert_eq!(
        offered(&cli, "milepost --store=there logs gate-1 --step ga"),
        "gate\n"
    );
}

#[test]
fn fish_and_zsh_show_the_workflow_and_the_status() {
    let cli = Cli::new();
    runs(&cli);
    let fish = "MILEPOST_COMPLETE=fish milepost -- milepost approve g";
    assert_eq!(cli.shell(fish).expect(0).stdout, "gate-1\tgate, paused\n");
    let zsh = "MILEPOST_COMPLETE=zsh _CLAP_COMPLETE_INDEX=2 milepost -- milepost approve g";
    assert_eq!(cli.shell(zsh).expect(0).stdout, "gate-1:gate, paused");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = cli.run(&format!("completions {shell}")).expect(0).stdout;
        assert!(script.contains("MILEPOST_COMPLETE"), "{shell}: {script}");
    }
    // Nobody's line is misread because the variable is set.
    let other = cli.shell("MILEPOST_COMPLETE=tcsh milepost -- milepost show ");
    assert_eq!(other.status, 64, "{other:?}");
}
