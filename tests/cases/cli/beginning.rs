//! `new`: a folder with a workflow that runs at once.

use milepost_tests::cli::Cli;

#[test]
fn a_new_workflow_is_valid_runs_and_passes_its_tests() {
    let cli = Cli::new();
    let made = cli.run("new flows/greetings").expect(0).stdout;
    assert!(
        made.ends_with("next: milepost run flows/greetings/workflow.toml\n"),
        "{made}"
    );
    let checked = cli.run("validate flows/greetings").expect(0);
    assert!(!checked.stdout.contains("warning"), "{checked:?}");
    let run = cli.run("run flows/greetings/workflow.toml").expect(0);
    assert_eq!(run.stdout, "Hello, world!\n");
    let loud = cli.run("run flows/greetings/workflow.toml -i loud=true -i name=Ada");
    assert_eq!(loud.expect(0).stdout, "HELLO, ADA!\n");
    let tests = cli.run("test flows/greetings").expect(0).stdout;
    assert!(tests.ends_with("2 tests: 2 passed\n"), "{tests}");
    let runs = cli.run("ls --json").expect(0).json();
    assert_eq!(runs[0]["workflow"], "greetings");
}

#[test]
fn nothing_that_is_there_is_changed() {
    let cli = Cli::new();
    cli.write("there/workflow.toml", "mine");
    cli.write("file", "mine");
    for name in ["there", "file"] {
        let told = cli.run(&format!("new {name}")).expect(65);
        assert!(told.stderr.contains("is there already"), "{told:?}");
    }
    let left = std::fs::read_to_string(cli.folder().join("there/workflow.toml"));
    assert_eq!(left.unwrap(), "mine");
    cli.run("new 2nd").expect(64);
    let told = cli.run("new a --example nothing").expect(64);
    assert!(told.stderr.contains("table-report"), "{told:?}");
    assert!(!cli.folder().join("a").exists());
}

#[test]
fn the_command_that_is_told_runs_a_copy_of_each_example() {
    let cli = Cli::new();
    let help = cli.run("new a --example nothing").expect(64).stderr;
    let names = help.split_once("possible values: ").unwrap().1;
    let names = names.split_once(']').unwrap().0;
    let mut all = 0;
    for name in names.split(", ") {
        // Executed by the tests of the examples, in more than a second each.
        let long = ["word-count", "sign-off"].contains(&name);
        let made = cli.run(&format!("new my-{name} --example {name} --json"));
        let made = made.expect(0).json();
        assert_eq!(made["example"], name);
        let files = made["files"].as_array().unwrap();
        for file in files {
            let file = cli
                .folder()
                .join(format!("my-{name}/{}", file.as_str().unwrap()));
            assert!(file.is_file(), "{}", file.display());
        }
        cli.run(&format!("validate my-{name}")).expect(0);
        if !long {
            let ran = cli.shell(made["run"].as_str().unwrap());
            let expected = match name {
                "saga" => 1,
                "release-train" | "table-checks" => 2,
                _ => 0,
            };
            assert_eq!(ran.status, expected, "{name}: {ran:?}");
        }
        all += 1;
    }
    assert!(all >= 9, "{names}");
}
