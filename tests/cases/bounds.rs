//! What comes from outside is read only as far as it may go: a device has no end that could be asked for.

use milepost_tests::cli::Cli;

#[test]
fn a_definition_without_an_end_is_refused() {
    let cli = Cli::new();
    let output = cli.run("validate /dev/zero");
    assert_eq!(output.status, 65, "{output:#?}");
    let text = format!("{}{}", output.stdout, output.stderr);
    assert!(text.contains("larger than 1MiB"), "{text}");
}

#[test]
fn inputs_are_bounded_one_by_one_and_together() {
    let cli = Cli::new();
    cli.workflow(
        "bounds.toml",
        r#"
inputs.a = { type = "string" }
inputs.b = { type = "string", default = "" }
[[step]]
id = "echo"
use = "text/echo"
with = { n = 1 }
"#,
    );
    let endless = cli.run("run bounds.toml --input a=@/dev/zero").expect(65);
    assert!(
        endless.stderr.contains("larger than 8MiB"),
        "{}",
        endless.stderr
    );

    cli.write("half.txt", "x".repeat(5 * 1024 * 1024));
    let both = cli
        .run("run bounds.toml --input a=@half.txt --input b=@half.txt")
        .expect(65);
    assert!(
        both.stderr.contains("more than the maximum of 8388608"),
        "{}",
        both.stderr
    );
    assert!(!cli.database().exists() || cli.run("ls --json").stdout.trim() == "[]");
    cli.run("run bounds.toml --input a=@half.txt").expect(0);
}
