//! Several real processes at once on one run. Whatever they answer, some order of their commands explains it, and the journal
//! tells the same story.

use std::process::{Child, Stdio};

use milepost_tests::cli::{Cli, Output};
use serde_json::Value;

const ROUNDS: usize = 6;

/// A run that stands at a pause which a resume ends.
const PAUSES: &str = "[[step]]\nid = \"p\"\nuse = \"pausing/once\"\nwith = { state = 5 }\n\
[[step]]\nid = \"b\"\nuse = \"text/count\"\nwith = { n = 1 }\n";

/// The same in a graph, with a fan-out behind the pause.
const GRAPH: &str = "flow = \"graph\"\n[[step]]\nid = \"p\"\nuse = \"pausing/once\"\nwith = { state = 5 }\n\
[[step]]\nid = \"b\"\nneeds = [\"p\"]\nuse = \"text/count\"\nwith = { n = 1 }\n\
[[step]]\nid = \"e\"\nneeds = [\"p\"]\nuse = \"text/count\"\nforeach = { items = \"[1, 2, 3]\", max_parallel = 2 }\nwith = { n = \"${ item }\" }\n";

/// Items that ask.
const ITEMS_ASK: &str = "[[step]]\nid = \"each\"\nforeach = { items = \"[0, 1, 2]\", join = \"all_done\" }\n\
[[step]]\nid = \"g\"\nin = \"each\"\napproval = { message = \"Go on?\", on_reject = \"continue\" }\n\
[[step]]\nid = \"b\"\nin = \"each\"\nuse = \"text/count\"\nwith = { n = 1 }\n";

/// A run that starts others, one of them for each item.
const FAMILY: &str = "flow = \"graph\"\n[[step]]\nid = \"c\"\nworkflow = \"c.toml\"\n\
[[step]]\nid = \"each\"\nworkflow = \"c.toml\"\nforeach = { items = \"[1, 2]\" }\n";

const ASKS: &str = "[[step]]\nid = \"g\"\napproval = { message = \"Go on?\" }\n\
[[step]]\nid = \"b\"\nuse = \"text/count\"\nwith = { n = 1 }\n";

/// A run that goes on for minutes, with answers of the host on its tapes and outputs that are too large for a row.
const MOVES: &str = "[[step]]\nid = \"on\"\nloop = { until = \"steps.draw.status == 'failed'\", max_iterations = 10000 }\n\
[[step]]\nid = \"tell\"\nin = \"on\"\nuse = \"hostile/clock\"\n\
[[step]]\nid = \"draw\"\nin = \"on\"\nuse = \"hostile/random\"\nwith = { n = 9000 }\n\
[[step]]\nid = \"nap\"\nin = \"on\"\nuse = \"hostile/sleep\"\nwith = { ms = 10 }\n";

/// A process that ends with the test at the latest.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        // It has ended already when the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(cli: &Cli, line: &str) -> Child {
    let mut command = cli.command(line);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Starts all commands at once and waits for all answers.
fn at_once(cli: &Cli, lines: &[&str]) -> Vec<Output> {
    let children: Vec<Child> = lines.iter().map(|line| start(cli, line)).collect();
    let outputs = children
        .into_iter()
        .map(|child| child.wait_with_output().unwrap());
    outputs.map(Output::of).collect()
}

fn stopped(steps: &str) -> Cli {
    let cli = Cli::new();
    cli.workflow("w.toml", steps);
    cli.run("run w.toml --id r").expect(2);
    cli
}

/// Names of the journal's events, with the rules that hold for every journal checked on the way.
fn story(cli: &Cli) -> Vec<String> {
    let document = cli.run("events r --json").expect(0).json();
    let entries = document["events"].as_array().unwrap();
    let names: Vec<String> = entries
        .iter()
        .map(|entry| entry["event"]["type"].as_str().unwrap().to_owned())
        .collect();
    let epoch = |entry: &Value| entry["epoch"].as_u64().unwrap();
    for (pair, name) in entries.windows(2).zip(&names[1..]) {
        let claims = u64::from(name == "run_claimed");
        assert_eq!(
            epoch(&pair[1]),
            epoch(&pair[0]) + claims,
            "only claims raise the epoch"
        );
    }
    if let Some(end) = names
        .iter()
        .position(|name| name == "run_cancelled" || name == "run_completed")
    {
        assert_eq!(end + 1, names.len(), "nothing follows the end: {names:?}");
    }
    cli.run("replay r").expect(0);
    names
}

fn count(story: &[String], name: &str) -> usize {
    story.iter().filter(|event| *event == name).count()
}

#[test]
fn b276_b283_of_many_resumes_one_drives_the_run() {
    for (steps, calls) in [(PAUSES, 2), (GRAPH, 5)].repeat(ROUNDS) {
        let cli = stopped(steps);
        let outputs = at_once(
            &cli,
            &["resume r", "resume r", "resume r", "work --until-idle"],
        );
        for output in &outputs[..3] {
            // It went on, or was refused: somebody has it (75), or had it and it is over (65).
            assert!([0, 65, 75].contains(&output.status), "{output:?}");
        }
        let won = outputs[..3]
            .iter()
            .filter(|output| output.status == 0)
            .count();
        let story = story(&cli);
        assert_eq!(won, 1, "{outputs:?}");
        assert_eq!(count(&story, "run_resumed"), 1, "{story:?}");
        assert_eq!(count(&story, "step_completed"), calls);
        assert_eq!(story.last().unwrap(), "run_completed");
    }
}

#[test]
fn b286_b287_a_cancellation_and_a_resume_agree_about_who_came_first() {
    for steps in [PAUSES, GRAPH].repeat(ROUNDS) {
        let cli = stopped(steps);
        let outputs = at_once(&cli, &["resume r", "cancel r --json", "cancel r --json"]);
        let story = story(&cli);
        let cancelled = count(&story, "run_cancelled");
        let answers: Vec<String> = outputs[1..]
            .iter()
            .map(|output| output.json()["answer"].as_str().unwrap().to_owned())
            .collect();
        let said = |word: &str| answers.iter().filter(|answer| *answer == word).count();
        assert!(said("cancelled") <= 1, "one of them did it: {answers:?}");
        if said("cancelled") == 1 || said("already_cancelled") > 0 {
            assert_eq!(cancelled, 1, "{answers:?} {story:?}");
        }
        if said("already_completed") > 0 {
            assert_eq!(cancelled, 0, "{answers:?} {story:?}");
        }
        // Completed before the request was seen, or cancelled by its owner: both are what `cancelling` may lead to.
        let end = story.last().unwrap();
        assert!(
            end == "run_cancelled" || end == "run_completed",
            "{story:?}"
        );
        let resumed = match end.as_str() {
            "run_completed" => &[0][..],
            // Cancelled before it claimed the run (65), or under it (3).
            _ => &[65, 3],
        };
        assert!(
            resumed.contains(&outputs[0].status),
            "{end}: {:?}",
            outputs[0]
        );
    }
}

#[test]
fn b303_of_an_approval_and_a_rejection_one_decides() {
    for _ in 0..ROUNDS {
        let cli = stopped(ASKS);
        let outputs = at_once(&cli, &["approve r", "reject r", "approve r"]);
        let decided = |n: &usize| {
            let output = &outputs[*n];
            output.status == 0 && !output.stdout.starts_with("nothing to approve")
        };
        let won: Vec<usize> = (0..3).filter(decided).collect();
        assert_eq!(won.len(), 1, "{outputs:?}");
        for (n, output) in outputs.iter().enumerate().filter(|(n, _)| *n != won[0]) {
            // The same decision again is an answer, another one is refused.
            let same = won != [1] && n != 1;
            assert_eq!(output.status, if same { 0 } else { 65 }, "{output:?}");
            let said = if same { &output.stdout } else { &output.stderr };
            assert!(said.contains("the first decision counts"), "{output:?}");
        }
        let story = story(&cli);
        assert_eq!(count(&story, "approval_decided"), 1);
        let rejected = won == [1];
        assert_eq!(count(&story, "run_cancelled"), usize::from(rejected));
        if !rejected {
            cli.run("work --until-idle").expect(0);
            assert_eq!(cli.shown("r")["status"], "completed");
        }
    }
}

#[test]
fn b303_b374_what_is_said_of_items_at_once_is_said_once() {
    for _ in 0..ROUNDS {
        let cli = stopped(ITEMS_ASK);
        let outputs = at_once(
            &cli,
            &[
                "approve r --step each[0]/g",
                "reject r --step each[0]/g",
                "approve r --step each[1]/g",
                "cancel r --step each[2]",
                "work --until-idle",
            ],
        );
        let won = outputs[..2].iter().filter(|output| output.status == 0);
        assert_eq!(won.count(), 1, "{outputs:?}");
        assert!(
            outputs[2..].iter().all(|output| output.status == 0),
            "{outputs:?}"
        );
        cli.run("work --until-idle").expect(0);
        let run = cli.shown("r");
        assert_eq!(run["status"], "completed", "{run}");
        let items = run["output"].as_array().unwrap();
        let statuses: Vec<&Value> = items.iter().map(|item| &item["status"]).collect();
        assert_eq!(statuses, ["completed", "completed", "failed"], "{run}");
        let story = story(&cli);
        assert_eq!(count(&story, "approval_decided"), 2, "{story:?}");
        assert_eq!(count(&story, "item_cancelled"), 1, "{story:?}");
        assert_eq!(count(&story, "step_completed"), 2, "{story:?}");
    }
}

#[test]
fn b369_of_a_family_that_goes_on_and_is_cancelled_at_once_everything_ends() {
    for round in 0..ROUNDS {
        let cli = Cli::new();
        cli.workflow("c.toml", PAUSES);
        cli.workflow("w.toml", FAMILY);
        cli.run("run w.toml --id r").expect(2);
        let runs = || {
            let listed = cli.run("ls --flat --json").expect(0).json();
            listed.as_array().unwrap().clone()
        };
        let children: Vec<String> = runs()
            .iter()
            .filter_map(|run| Some(run["id"].as_str()?.to_owned()))
            .filter(|id| id != "r")
            .collect();
        assert_eq!(children.len(), 3);
        let resume = format!("resume {}", children[0]);
        let cancel = if round % 2 == 0 { "cancel r" } else { "kill r" };
        at_once(&cli, &[&resume, &resume, cancel, "work --until-idle"]);
        cli.run("work --until-idle").expect(0);
        // Whichever child went on and ended before that, nobody is left behind.
        for run in runs() {
            let id = run["id"].as_str().unwrap();
            let ended = match id {
                "r" => run["status"] == "cancelled",
                _ => run["status"] == "cancelled" || run["status"] == "completed",
            };
            assert!(ended, "{run}");
        }
        let replayed = cli.run("replay r --json").expect(0).json();
        assert_eq!(replayed["divergence"], Value::Null);
        cli.run("doctor").expect(0);
    }
}

#[test]
fn a_run_that_moves_is_replayed_up_to_where_it_was_seen() {
    let cli = Cli::new();
    cli.workflow("w.toml", MOVES);
    cli.run("submit w.toml --id r").expect(0);
    let mut worker = cli.command("work --until-idle");
    // Nobody reads what it says: in a full pipe it would stand still.
    worker.stdout(Stdio::null()).stderr(Stdio::null());
    let mut worker = Background(worker.spawn().unwrap());
    let mut seen = vec![0];
    while seen.len() <= ROUNDS {
        assert!(worker.0.try_wait().unwrap().is_none(), "it moves: {seen:?}");
        let replayed = cli.run("replay r --json").expect(0).json();
        assert_eq!(replayed["divergence"], Value::Null);
        seen.push(replayed["events"].as_u64().unwrap());
        seen.dedup();
    }
    cli.run("cancel r").expect(0);
    assert!(worker.0.wait().unwrap().success());
    assert!(seen.is_sorted(), "{seen:?}");
    let story = story(&cli);
    assert!(count(&story, "step_completed") > 3, "{story:?}");
    assert_eq!(story.last().unwrap(), "run_cancelled");
}
