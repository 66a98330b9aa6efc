//! Output never stops work: nobody has to read it.

use std::io::{BufRead as _, BufReader, PipeWriter, Read as _, Write as _};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use expect_test::expect;
use milepost_tests::cli::{Cli, Output};

/// A step that logs more than a pipe and the program's memory of it hold, and one behind it.
fn talkative() -> Cli {
    let cli = Cli::new();
    let line = "x".repeat(120);
    let lines = format!("{line}\\n").repeat(5_000);
    cli.workflow(
        "talk.toml",
        &format!(
            "[[step]]\nid = \"say\"\nuse = \"hostile/print\"\nwith = {{ stdout = \"{lines}\" }}\n[[step]]\nid = \"after\"\nuse = \"text/upper\"\nwith = {{ text = \"a\" }}\n"
        ),
    );
    cli
}

fn status(cli: &Cli, run: &str) -> String {
    let shown = cli.run(&format!("show {run} --json"));
    // There may be no store yet, or no run.
    shown.json()["status"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn wait_for(cli: &Cli, run: &str, wanted: &str) {
    // Far longer than it takes: a program that waits for its reader never gets there.
    for _ in 0..600 {
        if status(cli, run) == wanted {
            return;
        }
        sleep(Duration::from_millis(100));
    }
    panic!("{run} is still {}", status(cli, run));
}

fn terminate(child: &Child) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(sent.is_ok_and(|status| status.success()));
}

/// Its exit code; one that does not end is killed, and fails the test.
fn end(mut child: Child) -> i32 {
    for _ in 0..600 {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().expect("it ended by itself");
        }
        sleep(Duration::from_millis(100));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("it does not end");
}

#[test]
fn a_worker_whose_output_nobody_reads_works_and_drains() {
    let cli = talkative();
    for run in ["a", "b"] {
        cli.run(&format!("submit talk.toml --id {run}")).expect(0);
    }
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = cli.command("work --verbose");
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    let worker = command.spawn().unwrap();
    drop(command);
    wait_for(&cli, "a", "completed");
    wait_for(&cli, "b", "completed");
    terminate(&worker);
    assert_eq!(end(worker), 0);
    drop(reader);
}

#[test]
fn what_could_not_be_shown_is_counted_and_told_to_a_reader_that_comes_back() {
    let cli = talkative();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = cli.command("run talk.toml --id r");
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    let child = command.spawn().unwrap();
    drop(command);
    wait_for(&cli, "r", "completed");
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    assert_eq!(end(child), 0);
    // There may be room again for a moment: then it is told more than once.
    let told = said
        .lines()
        .filter(|line| line.ends_with(" could not be shown"));
    let lost: usize = told
        .filter_map(|line| line.split(' ').find_map(|word| word.parse::<usize>().ok()))
        .sum();
    assert!(
        lost > 0,
        "{} bytes, the end: {:?}",
        said.len(),
        said.lines().last()
    );
    let shown = said.lines().filter(|line| line.contains(" | xxx")).count();
    assert!(lost + shown >= 5_000, "{lost} + {shown}");
    assert!(
        said.ends_with("\"A\"}\n") || said.contains("completed: run r"),
        "{}",
        said.len()
    );
}

#[test]
fn a_result_is_written_whole_to_a_reader_that_is_late_and_a_signal_ends_the_wait() {
    let cli = Cli::new();
    let text = "y".repeat(500_000);
    cli.workflow(
        "big.toml",
        &format!("returns = \"${{ inputs.n }}\"\n[inputs.n]\ntype = \"string\"\ndefault = \"{text}\"\n[[step]]\nid = \"a\"\nuse = \"text/upper\"\nwith = {{ text = \"a\" }}\n"),
    );
    for signalled in [false, true] {
        let run = format!("r{signalled}");
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut command = cli.command(&format!("run big.toml --id {run}"));
        let mut child = command.stdout(writer).spawn().unwrap();
        drop(command);
        wait_for(&cli, &run, "completed");
        if signalled {
            // The first may come before the program listens again.
            while child.try_wait().unwrap().is_none() {
                terminate(&child);
                sleep(Duration::from_millis(200));
            }
            assert_eq!(end(child), 0, "the run has completed, whoever reads");
        } else {
            sleep(Duration::from_millis(500));
            let mut whole = String::new();
            reader.read_to_string(&mut whole).unwrap();
            assert_eq!(whole, format!("{text}\n"));
            assert_eq!(end(child), 0);
        }
    }
}

#[test]
fn a_terminal_that_cannot_move_its_cursor_gets_plain_lines() {
    let cli = Cli::new();
    cli.workflow(
        "t.toml",
        "[[step]]\nid = \"w\"\nwait = { for = \"1ms\" }\n[[step]]\nid = \"a\"\nuse = \"hostile/print\"\nwith = { stdout = \"from the plugin\", stderr = \"a warning\" }\n",
    );
    for (n, term) in [None, Some("dumb"), Some("")].into_iter().enumerate() {
        let run = cli.command(&format!("run t.toml --id r{n}"));
        let words = std::iter::once(run.get_program()).chain(run.get_args());
        let words: Vec<_> = words
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let mut script = Command::new("script");
        script
            .args(["-qec", &words.join(" "), "/dev/null"])
            .current_dir(cli.folder())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("SHELL", "/bin/sh")
            .env("HOME", cli.folder());
        script.envs(term.map(|term| ("TERM", term)));
        let said = Output::of(script.output().expect("a terminal"))
            .expect(0)
            .stdout;
        for part in [
            &format!("run r{n}: started"),
            "step w: waits until",
            "a | from the plugin",
            "a | warning: a warning",
            "completed: run",
        ] {
            assert!(said.contains(part), "{term:?}: {part}: {said:?}");
        }
        assert!(!said.contains('\u{1b}'), "{term:?}: {said:?}");
    }
}

#[test]
fn a_panic_is_one_document_and_an_exit_code_of_its_own() {
    let cli = Cli::new();
    let mut session = cli.session();
    session.shell("MILEPOST_PANIC=$'boom\\e[2J' milepost ls");
    session.shell("MILEPOST_PANIC=$'boom\\e[2J' milepost ls --json");
    session.reads(expect![[r#"
        $ MILEPOST_PANIC=$'boom\e[2J' milepost ls
        ! panicked at [place]: boom\u{1b}[2J
        [exit 70]

        $ MILEPOST_PANIC=$'boom\e[2J' milepost ls --json
        ! panicked at [place]: boom\u{1b}[2J
        {
          "error": {
            "code": "internal",
            "message": "panicked at [place]: boom\u001b[2J",
            "help": "this is a defect of milepost; please report it with this text"
          }
        }
        [exit 70]
    "#]]);
}

/// Fills a pipe, and keeps it full, until its reader is gone.
fn fill(mut pipe: PipeWriter) {
    std::thread::spawn(move || while pipe.write_all(&[b'x'; 4096]).is_ok() {});
    sleep(Duration::from_millis(200));
}

/// A second in all, not one for every stream and every text: that would be four.
#[test]
fn a_worker_with_full_pipes_that_nobody_reads_ends_soon_after_its_signals() {
    for signals in [1, 3] {
        let cli = Cli::new();
        let (out, out_end) = std::io::pipe().unwrap();
        let (err, err_end) = std::io::pipe().unwrap();
        fill(out_end.try_clone().unwrap());
        let mut command = cli.command("work");
        command.stdout(out_end).stderr(err_end.try_clone().unwrap());
        let child = command.spawn().unwrap();
        drop(command);
        let mut err = BufReader::new(err);
        let mut said = String::new();
        err.read_line(&mut said).unwrap();
        assert!(said.contains("working on"), "{said}");
        fill(err_end);
        let begun = Instant::now();
        for _ in 0..signals {
            terminate(&child);
        }
        end(child);
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "{:?}",
            begun.elapsed()
        );
        drop((out, err));
    }
}

/// Neither a failed run nor a defect of the program.
#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_told_and_has_a_code_of_its_own() {
    let cli = Cli::new();
    cli.workflow(
        "t.toml",
        "[[step]]\nid = \"a\"\nuse = \"text/upper\"\nwith = { text = \"a\" }\n",
    );
    let mut session = cli.session();
    for line in [
        "run t.toml --id r",
        "run t.toml --id r --json",
        "run none.toml --json",
        "doctor --json",
        "ls",
        "ls --watch",
        "events r",
        "--help",
    ] {
        session.shell(&format!("milepost {line} >/dev/full"));
    }
    session.reads(expect![[r#"
        $ milepost run t.toml --id r >/dev/full
        ! run r: started
        ! step a: started
        ! step a: completed in [elapsed]
        ! completed: run r after [elapsed], 1 of 1 step
        ! error: stdout could not be written: No space left on device (os error 28)
        [exit 69]

        $ milepost run t.toml --id r --json >/dev/full
        ! run r already exists, with the same workflow and inputs
        ! completed: run r after [elapsed], 1 of 1 step
        ! error: stdout could not be written: No space left on device (os error 28)
        [exit 69]

        $ milepost run none.toml --json >/dev/full
        ! error: stdout could not be written: No space left on device (os error 28)
        [exit 69]

        $ milepost doctor --json >/dev/full
        ! error: stdout could not be written: No space left on device (os error 28)
        [exit 69]

        $ milepost ls >/dev/full
        ! error: stdout could not be written: No space left on device (os error 28)
        [exit 69]

        $ milepost ls --watch >/dev/full
        ! error: stdout could not be written: No space left on device (os error 28)
        [exit 69]

        $ milepost events r >/dev/full
        ! error: stdout could not be written: No space left on device (os error 28)
        [exit 69]

        $ milepost --help >/dev/full
        ! error: stdout could not be written: No space left on device (os error 28)
        [exit 69]
    "#]]);
    assert_eq!(status(&cli, "r"), "completed");
}
