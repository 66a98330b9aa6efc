//! A machine that gives a process little.

use milepost_tests::cli::Cli;

use super::HELLO;

/// As clusters limit what is started on them: a guest's memory is then only what it needs, and its code checks that it stays within.
#[cfg(target_os = "linux")]
#[test]
fn components_run_with_little_address_space() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.workflow(
        "beyond.toml",
        "[limits]\nmemory = \"16MiB\"\n[[step]]\nid = \"takes\"\nuse = \"hostile/allocate\"\nwith = { mib = 20 }\n",
    );
    let ran = cli.shell("ulimit -v 4000000; milepost run hello.toml --input name=x --id r");
    assert_eq!(ran.status, 0, "{ran:?}");
    let beyond = cli.shell("ulimit -v 4000000; milepost run beyond.toml --id beyond --json");
    assert_eq!(beyond.status, 1, "{beyond:?}");
    assert!(beyond.stdout.contains("\"out_of_memory\""), "{beyond:?}");
    // What ran with checks replays without them.
    cli.run("replay r").expect(0);
}

#[test]
fn what_the_system_refuses_is_no_defect_of_the_program() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    let ran = cli.shell("ulimit -n 12; milepost run hello.toml --input name=x");
    assert_eq!(ran.status, 69, "{ran:?}");
    assert!(ran.stderr.contains("Too many open files"), "{ran:?}");
    assert!(!ran.stderr.contains("defect"), "{ran:?}");
}
