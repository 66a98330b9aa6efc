//! What good definitions turn into.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use milepost_core::definition::{
    ApprovalStep, ComponentStep, Definition, InputType, LoopStep, OnApprovalTimeout, OnExhausted,
    OnReject, OnWaitTimeout, Rework, Step, StepKind, TimeoutSource, WaitStep,
};
use milepost_core::grants::ExecCall;
use milepost_core::limits::CallLimits;
use milepost_core::outcome::ErrorClass;
use milepost_core::retry::{RetryPolicy, WhenExhausted};
use serde_json::json;

use crate::{codes, good, load, manifests, sample};

fn step<'a>(definition: &'a Definition, id: &str) -> &'a Step {
    definition.step(&id.parse().unwrap()).unwrap()
}

fn component<'a>(definition: &'a Definition, id: &str) -> &'a ComponentStep {
    match &step(definition, id).kind {
        StepKind::Component(component) => component,
        other => panic!("{id}: {other:?}"),
    }
}

fn repeat<'a>(definition: &'a Definition, id: &str) -> &'a LoopStep {
    match &step(definition, id).kind {
        StepKind::Loop(repeat) => repeat,
        other => panic!("{id}: {other:?}"),
    }
}

fn wait<'a>(definition: &'a Definition, id: &str) -> &'a WaitStep {
    match &step(definition, id).kind {
        StepKind::Wait(wait) => wait,
        other => panic!("{id}: {other:?}"),
    }
}

fn approval<'a>(definition: &'a Definition, id: &str) -> &'a ApprovalStep {
    match &step(definition, id).kind {
        StepKind::Approval(approval) => approval,
        other => panic!("{id}: {other:?}"),
    }
}

fn reads(definition: &Definition, id: &str) -> Vec<String> {
    let reads = step(definition, id).reads.iter();
    reads.map(ToString::to_string).collect()
}

#[test]
fn b2_the_smallest_definition_has_empty_rest() {
    let text = "schema = 1\nname = \"n\"\n[plugins.p]\nsource = \"p.wasm\"\n[[step]]\nid = \"a\"\nuse = \"p/x\"\n";
    let definition = good(text);
    assert_eq!(&*definition.name, "n");
    assert_eq!((definition.version, definition.description), (None, None));
    assert!(definition.inputs.is_empty() && definition.returns.is_none());
    assert_eq!(definition.call_limits, CallLimits::default());
    assert_eq!(&*definition.source.text, text);
    assert_eq!(definition.source.file, "workflow.toml");
}

#[test]
fn b3_syntax_and_meaning_are_told_apart() {
    assert_eq!(codes("name = "), ["MP0001"]);
    assert_eq!(
        codes("schema = 1\nname = 3\nstep = []"),
        ["MP0103", "MP0201"]
    );
}

#[test]
fn b4_every_problem_has_a_line_and_a_column() {
    let problems = crate::bad(&sample(
        "[[step]]\nid = \"a\"\nuse = \"p/x\"\nif = \"steps.zz.status == 'completed'\"\n",
    ));
    let json = serde_json::to_value(problems.report()).unwrap();
    assert_eq!(
        (
            &json["diagnostics"][0]["line"],
            &json["diagnostics"][0]["column"]
        ),
        (&json!(8), &json!(13))
    );
}

#[test]
fn b11_every_kind_of_step_takes_a_condition() {
    let definition = good(&sample(
        "[[step]]\nid = \"l\"\nif = \"true\"\nloop = { until = \"true\" }\n[[step]]\nid = \"m\"\nin = \"l\"\nif = \"loop.iteration > 1\"\nuse = \"p/x\"\n",
    ));
    assert_eq!(
        step(&definition, "l").condition.as_ref().map(|c| c.text()),
        Some("true")
    );
    assert_eq!(
        step(&definition, "m").condition.as_ref().map(|c| c.text()),
        Some("loop.iteration > 1")
    );
}

#[test]
fn b17_loops_nest_and_are_found_by_id() {
    let definition = good(&sample(
        "[[step]]\nid = \"a\"\nloop = { until = \"true\" }\n[[step]]\nid = \"b\"\nin = \"a\"\nloop = { until = \"true\" }\n\
         [[step]]\nid = \"z\"\nuse = \"p/x\"\n[[step]]\nid = \"c\"\nin = \"b\"\nuse = \"p/x\"\n[[step]]\nid = \"d\"\nin = \"a\"\nuse = \"p/x\"\n",
    ));
    // Members may stand apart from their loop, as long as they come after it.
    assert_eq!(definition.top(), [0, 2]);
    assert_eq!(repeat(&definition, "a").body, [1, 4]);
    assert_eq!(repeat(&definition, "b").body, [3]);
    assert_eq!(step(&definition, "c").parent, Some(1));
    assert_eq!(definition.outermost(3), 0);
    assert_eq!(definition.index_of(&"d".parse().unwrap()), Some(4));
}

#[test]
fn b22_b23_the_effective_limit_is_the_smallest() {
    for (own, limit, effective) in [
        ("", "", 3),
        ("", "loop = 2", 2),
        ("", "loop = 9", 3),
        (", max_iterations = 5", "", 5),
        (", maxIterations = 5", "", 5),
        (", max_iterations = 5", "loop = 4", 4),
        (", max_iterations = 10000", "", 10_000),
        (", max_iterations = 1", "loop = 0", 0),
    ] {
        let definition = good(&sample(&format!(
            "[limits]\n{limit}\n[[step]]\nid = \"l\"\nloop = {{ until = \"true\"{own} }}\n[[step]]\nid = \"m\"\nin = \"l\"\nuse = \"p/x\"\n",
        )));
        let found = repeat(&definition, "l");
        assert_eq!(found.max_iterations, effective, "{own} {limit}");
        assert_eq!(found.on_exhausted, OnExhausted::Fail);
    }
}

#[test]
fn b13_b24_the_nearest_timeout_wins() {
    for (own, defaults, seconds, source) in [
        (
            "timeout = \"30s\"",
            "timeout = \"5m\"",
            30,
            TimeoutSource::Step,
        ),
        ("", "timeout = \"5m\"", 300, TimeoutSource::Defaults),
        ("", "", 1_800, TimeoutSource::Engine),
    ] {
        let definition = good(&sample(&format!(
            "[defaults]\n{defaults}\n[[step]]\nid = \"a\"\nuse = \"p/x\"\n{own}\n"
        )));
        let found = component(&definition, "a");
        assert_eq!(
            (found.timeout, found.timeout_source),
            (Duration::from_secs(seconds), source)
        );
    }
}

#[test]
fn b13_b25_retry_is_merged_key_by_key() {
    let definition = good(&sample(
        "[defaults.retry]\nmax_attempts = 5\nfactor = 3\nmax = \"10m\"\non = [\"timeout\"]\n\
         [[step]]\nid = \"a\"\nuse = \"p/x\"\n[[step]]\nid = \"b\"\nuse = \"p/x\"\n\
         retry = { max_attempts = 2, initial = \"2m\", jitter = 0.25, on = [\"trap\", \"failed\"], codes = [\"busy\"], then = \"fail\" }\n",
    ));
    let defaults = RetryPolicy {
        max_attempts: 5,
        factor: 3.0,
        max: Duration::from_secs(600),
        on: BTreeSet::from([ErrorClass::Timeout]),
        ..RetryPolicy::default()
    };
    assert_eq!(component(&definition, "a").retry, defaults);
    assert_eq!(
        component(&definition, "b").retry,
        RetryPolicy {
            max_attempts: 2,
            initial: Duration::from_secs(120),
            jitter: 0.25,
            on: BTreeSet::from([ErrorClass::Trap, ErrorClass::Failed]),
            codes: BTreeSet::from(["busy".to_owned()]),
            then: WhenExhausted::Fail,
            ..defaults
        },
    );
}

#[test]
fn b28_hundreds_of_steps_and_unicode_load_unchanged() {
    let mut text = sample("");
    for index in 0..1_000 {
        let _ = write!(
            text,
            "[[step]]\nid = \"s{index}\"\nuse = \"p/x\"\nwith = {{ t = \"héllo → 🎉 \\\"q\\\" {index}\" }}\n"
        );
    }
    let definition = good(&text);
    assert_eq!(
        (definition.steps().len(), definition.top().len()),
        (1_000, 1_000)
    );
    assert_eq!(&*definition.source.text, text);
    let with = format!("{:?}", component(&definition, "s999").with);
    assert!(with.contains("héllo → 🎉 \\\"q\\\" 999"), "{with}");
}

#[test]
fn limits_can_be_lowered() {
    let definition = good(&sample(
        "[limits]\nmemory = \"64MiB\"\ntable_elements = 100\nhost_calls = 10\nstep_output = \"1KiB\"\ntape = \"0B\"\nlog = \"2KiB\"\n\
         [[step]]\nid = \"a\"\nuse = \"p/x\"\n",
    ));
    assert_eq!(
        definition.call_limits,
        CallLimits {
            memory_bytes: 64 << 20,
            table_elements: 100,
            host_calls: 10,
            output_bytes: 1_024,
            tape_bytes: 0,
            log_bytes: 2_048,
        },
    );
}

#[test]
fn b6_an_input_has_a_known_type_and_may_have_a_description_and_a_default() {
    for (name, ty, default) in [
        ("string", InputType::String, json!("x")),
        ("int", InputType::Int, json!(1)),
        ("float", InputType::Float, json!(1.5)),
        ("bool", InputType::Bool, json!(true)),
        ("json", InputType::Json, json!([1])),
    ] {
        let bare = good(&sample(&format!("[inputs.i]\ntype = \"{name}\"\n{STEP}")));
        let input = &bare.inputs["i"];
        assert_eq!((input.ty, input.required), (ty, true), "{name}");
        assert_eq!(
            (&input.default, &input.description),
            (&None, &None),
            "{name}"
        );
        let told = good(&sample(&format!(
            "[inputs.i]\ntype = \"{name}\"\ndescription = \"what it is\"\ndefault = {default}\n{STEP}"
        )));
        let input = &told.inputs["i"];
        assert_eq!(input.description.as_deref(), Some("what it is"), "{name}");
        assert_eq!(
            (&input.default, input.required),
            (&Some(default), false),
            "{name}"
        );
    }
    for line in [
        "",
        "type = \"number\"\n",
        "type = \"String\"\n",
        "type = 1\n",
        "type = \"int\"\ndescription = 1\n",
        "type = \"int\"\ndefault = \"1\"\n",
    ] {
        assert!(
            !codes(&sample(&format!("[inputs.i]\n{line}{STEP}"))).is_empty(),
            "{line}"
        );
    }
}

/// Where the input does not matter.
const STEP: &str = "[[step]]\nid = \"a\"\nuse = \"p/x\"\n";

#[test]
fn declarations_are_typed() {
    let digest = "9f2c0000000000000000000000000000000000000000000000000000000000ab";
    let definition = good(&format!(
        "schema = 1\nname = \"n\"\nversion = \"1.2\"\ndescription = \"d\"\nflow = \"sequence\"\n\
         [inputs.ratio]\ntype = \"float\"\ndefault = 2\n[inputs.mode]\ntype = \"string\"\nenum = [\"a\", \"b\"]\ndescription = \"which\"\n\
         [inputs.note]\ntype = \"json\"\nrequired = false\n[inputs.go]\ntype = \"bool\"\ndefault = false\nrequired = true\n\
         [plugins.p]\nsource = \"p.wasm\"\ndigest = \"sha256:{digest}\"\nallow = {{}}\nconfig = {{ api = \"v3\", deep = {{ n = [1, 2.5, true] }} }}\n\
         [[step]]\nid = \"a\"\nuse = \"p/x\"\ncontinue_on_error = true\n",
    ));
    assert_eq!(
        (
            definition.version.as_deref(),
            definition.description.as_deref()
        ),
        (Some("1.2"), Some("d"))
    );
    let input = |name: &str| &definition.inputs[name];
    assert_eq!(
        (input("ratio").default.clone(), input("ratio").required),
        (Some(json!(2.0)), false)
    );
    assert_eq!(
        (input("mode").ty, input("mode").required),
        (InputType::String, true)
    );
    assert_eq!(input("mode").allowed, Some(vec![json!("a"), json!("b")]));
    assert_eq!(
        (input("note").ty, input("note").required),
        (InputType::Json, false)
    );
    // A default counts as a value, so an input may be required and have one.
    assert_eq!(
        (input("go").default.clone(), input("go").required),
        (Some(json!(false)), true)
    );
    let plugin = &definition.plugins["p"];
    assert_eq!(
        plugin.digest.map(|found| found.hex()),
        Some(digest.to_owned())
    );
    assert_eq!(
        json!(*plugin.config),
        json!({ "api": "v3", "deep": { "n": [1, 2.5, true] } })
    );
    assert!(step(&definition, "a").continue_on_error);
}

#[test]
fn reads_are_what_a_step_depends_on() {
    let definition = good(&sample(
        "[[step]]\nid = \"a\"\nuse = \"p/x\"\n[[step]]\nid = \"l\"\nif = \"steps.a.status == 'completed'\"\nloop = { until = \"steps.m.output.ok\" }\n\
         [[step]]\nid = \"m\"\nin = \"l\"\nuse = \"p/x\"\nif = \"loop.iteration == 1 || steps.n.output.again || has(steps.m.output)\"\n\
         [[step]]\nid = \"n\"\nin = \"l\"\nuse = \"p/x\"\nwith = { a = [\"${ steps.a.output }\", { b = \"x${ steps.m.output.y }\" }] }\n",
    ));
    let reads = |id: &str| reads(&definition, id);
    assert_eq!(reads("a"), Vec::<String>::new());
    assert_eq!(reads("l"), ["a"]);
    assert_eq!(reads("m"), ["n"]);
    assert_eq!(reads("n"), ["a", "m"]);
}

#[test]
fn a_wait_is_for_time_or_for_a_signal() {
    let definition = good(&sample(
        "[inputs.at]\ntype = \"string\"\n[inputs.any]\ntype = \"json\"\n\
         [[step]]\nid = \"a\"\nuse = \"p/x\"\n\
         [[step]]\nid = \"for\"\nwait = { for = \"10m\" }\n\
         [[step]]\nid = \"text\"\nwait = { until = \"inputs.at\" }\n\
         [[step]]\nid = \"any\"\nwait = { until = \"steps.a.output.at\" }\n\
         [[step]]\nid = \"json\"\nwait = { until = \"inputs.any\" }\n\
         [[step]]\nid = \"patient\"\nwait = { signal = \"Deploy-1_x.done\" }\n\
         [[step]]\nid = \"timed\"\nwait = { signal = \"s\", timeout = \"2h\" }\ncontinue_on_error = true\n\
         [[step]]\nid = \"goes_on\"\nif = \"true\"\nwait = { signal = \"s\", timeout = \"2h\", on_timeout = \"continue\" }\n",
    ));
    assert!(matches!(wait(&definition, "for"), WaitStep::For(time) if time.as_secs() == 600));
    for (id, text) in [
        ("text", "inputs.at"),
        ("any", "steps.a.output.at"),
        ("json", "inputs.any"),
    ] {
        match wait(&definition, id) {
            WaitStep::Until(until) => assert_eq!(until.text(), text),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(reads(&definition, "any"), ["a"]);
    let signal = |id: &str| match wait(&definition, id) {
        WaitStep::Signal {
            name,
            timeout,
            on_timeout,
        } => (
            name.clone(),
            timeout.map(|time| time.as_secs()),
            *on_timeout,
        ),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        signal("patient"),
        ("Deploy-1_x.done".to_owned(), None, OnWaitTimeout::Fail)
    );
    assert_eq!(
        signal("timed"),
        ("s".to_owned(), Some(7_200), OnWaitTimeout::Fail)
    );
    assert_eq!(
        signal("goes_on"),
        ("s".to_owned(), Some(7_200), OnWaitTimeout::Continue)
    );
    assert!(step(&definition, "timed").continue_on_error);
    assert!(step(&definition, "goes_on").condition.is_some());
}

#[test]
fn b307_b310_b315_an_approval_has_a_message_and_defaults() {
    let definition = good(&sample(
        "[[step]]\nid = \"a\"\nuse = \"p/x\"\n\
         [[step]]\nid = \"plain\"\napproval = { message = \"Publish ${ steps.a.output.title }?\" }\n\
         [[step]]\nid = \"full\"\napproval = { message = \"?\", timeout = \"24h\", on_timeout = \"stay\", on_reject = \"continue\" }\n\
         [[step]]\nid = \"again\"\napproval = { message = \"?\", timeout = \"1d\", on_timeout = \"approve\", on_reject = \"cancel\", rework = { from = \"a\" } }\n\
         [[step]]\nid = \"once\"\napproval = { message = \"?\", timeout = \"1d\", on_timeout = \"reject\", rework = { from = \"plain\", max_attempts = 1 } }\n",
    ));
    let plain = approval(&definition, "plain");
    assert_eq!(
        (plain.timeout, plain.on_timeout, plain.on_reject),
        (None, OnApprovalTimeout::Reject, OnReject::Cancel)
    );
    assert_eq!(plain.rework, None);
    assert_eq!(reads(&definition, "plain"), ["a"]);
    let full = approval(&definition, "full");
    assert_eq!(
        (full.timeout, full.on_timeout, full.on_reject),
        (
            Some(Duration::from_secs(86_400)),
            OnApprovalTimeout::Stay,
            OnReject::Continue
        )
    );
    let again = approval(&definition, "again");
    assert_eq!(
        (again.on_timeout, again.on_reject),
        (OnApprovalTimeout::Approve, OnReject::Cancel)
    );
    let rework = |from: &str, max_attempts| {
        Some(Rework {
            from: from.parse().unwrap(),
            max_attempts,
        })
    };
    assert_eq!(again.rework, rework("a", 3));
    assert_eq!(approval(&definition, "once").rework, rework("plain", 1));
}

// The steps that run again may say why: what the person said is theirs to read, the first time with a default.
#[test]
fn b307_the_steps_that_go_over_the_work_read_what_was_said() {
    let read = "${ steps.gate.?output.comment.orValue('') }";
    let definition = good(&sample(&format!(
        "[[step]]\nid = \"draft\"\nuse = \"p/x\"\nwith = {{ why = \"{read}\" }}\n\
         [[step]]\nid = \"l\"\nif = \"!has(steps.gate.output) || steps.gate.status == 'completed'\"\nloop = {{ until = \"steps.gate.?output.timed_out.orValue(true)\" }}\n\
         [[step]]\nid = \"m\"\nin = \"l\"\nuse = \"p/x\"\nwith = {{ by = \"${{ steps.gate.?output.by.orValue(null) }}\" }}\n\
         [[step]]\nid = \"gate\"\napproval = {{ message = \"{read}?\", rework = {{ from = \"draft\" }} }}\n"
    )));
    for id in ["draft", "l", "m"] {
        assert_eq!(reads(&definition, id), ["gate"], "{id}");
    }
    assert_eq!(reads(&definition, "gate"), Vec::<String>::new());
    // A member of a loop reads the approvals of its body anyway, and the ones around it when it is gone over.
    good(&sample(
        "[[step]]\nid = \"l\"\nloop = { until = \"true\" }\n\
         [[step]]\nid = \"m\"\nin = \"l\"\nuse = \"p/x\"\nif = \"steps.inner.?output.comment.orValue('') == ''\"\n\
         [[step]]\nid = \"inner\"\nin = \"l\"\napproval = { message = \"?\", rework = { from = \"m\" } }\n",
    ));
}

/// In a graph `needs` say what comes before an approval, wherever that stands in the file.
#[test]
fn the_work_of_a_rework_may_stand_below_its_approval_in_a_graph() {
    let text = |flow: &str| {
        let body = "[[step]]\nid = \"gate\"\nneeds = [\"draft\"]\n\
             approval = { message = \"?\", rework = { from = \"draft\" } }\n\
             [[step]]\nid = \"draft\"\nuse = \"p/x\"\nwith = { why = \"${ steps.gate.?output.comment.orValue('') }\" }\n";
        match flow {
            "graph" => format!("flow = \"graph\"\n{}", sample(body)),
            _ => sample(&body.replace("needs = [\"draft\"]\n", "")),
        }
    };
    let definition = good(&text("graph"));
    let from = approval(&definition, "gate").rework.as_ref();
    assert_eq!(from.unwrap().from.as_str(), "draft");
    assert_eq!(codes(&text("sequence"))[..1], ["MP0218"]);
}

#[test]
fn outputs_of_waits_and_approvals_are_typed() {
    let read = |expression: &str| {
        sample(&format!(
            "[inputs.at]\ntype = \"string\"\n[[step]]\nid = \"time\"\nwait = {{ until = \"inputs.at\" }}\n\
             [[step]]\nid = \"signal\"\nwait = {{ signal = \"s\" }}\n\
             [[step]]\nid = \"gate\"\napproval = {{ message = \"?\" }}\n\
             [[step]]\nid = \"a\"\nuse = \"p/x\"\nif = \"{expression}\"\n"
        ))
    };
    for expression in [
        "steps.time.output.until != ''",
        "steps.signal.output.timed_out || steps.signal.output.signal == 's'",
        "steps.signal.output.data.deep.n > 1",
        "steps.gate.output.decision == 'approved' && !steps.gate.output.timed_out",
        "steps.gate.output.comment == '' || steps.gate.output.by == null",
        "steps.gate.status == 'waiting'",
    ] {
        good(&read(expression));
    }
    for (expression, code) in [
        ("steps.time.output.timed_out", "MP0303"),
        ("steps.time.output.until > 1", "MP0305"),
        ("steps.signal.output.until == ''", "MP0303"),
        ("steps.signal.output.timed_out == 'yes'", "MP0305"),
        ("steps.gate.output.approved", "MP0303"),
        ("steps.gate.output.decision", "MP0305"),
        ("steps.gate.iterations == 1", "MP0304"),
        ("steps.time.iterations == 1", "MP0304"),
        ("steps.gate.status == 'approved'", "MP0308"),
        // A rejection cancels the run.
        ("steps.gate.output.decision == 'rejected'", "MP0308"),
    ] {
        assert_eq!(codes(&read(expression)), [code], "{expression}");
    }
    let goes_on = read("steps.gate.output.decision == 'rejected'");
    for rejection in ["on_reject = \"continue\"", "rework = { from = \"signal\" }"] {
        good(&goes_on.replace("\"?\"", &format!("\"?\", {rejection}")));
    }
}

#[test]
fn a_manifest_with_one_step_completes_use() {
    let text = "schema = 1\nname = \"n\"\n[plugins.ci]\nsource = \"ci.wasm\"\n[[step]]\nid = \"a\"\nuse = \"ci\"\n";
    let parsed = Definition::parse("w.toml", text).unwrap();
    assert_eq!(component(&parsed.definition, "a").step, None);
    let checked = Definition::parse_against("w.toml", text, &manifests()).unwrap();
    assert_eq!(
        component(&checked.definition, "a").step.as_deref(),
        Some("run")
    );
    // A component that was not read is not judged.
    let unread = Definition::parse_against("w.toml", text, &Default::default()).unwrap();
    assert_eq!(component(&unread.definition, "a").step, None);
}

#[test]
fn a_warning_does_not_stop_a_definition() {
    let parsed = load("unused_plugin").unwrap();
    assert_eq!(parsed.warnings.len(), 1);
    assert_eq!(parsed.definition.plugins.len(), 2);
}

#[test]
fn grants_are_typed_and_each_call_has_its_own_secrets() {
    let definition = good(&sample(
        "[plugins.p.allow]\nkv = [\"rates\"]\nartifacts = true\nsecrets = [\"token\", \"other\"]\nsecrets-reveal = [\"key\"]\n\
         exec = [{ program = \"git\", args = [\"log\", \"**\"], env = [\"LC_*\"], dirs = [\"/srv/**\"] }]\n\
         [[plugins.p.allow.http]]\nhost = \"API.example.com\"\nmethods = [\"GET\"]\n\
         [[plugins.p.allow.http]]\nhost = \"::1\"\nports = [8080]\nprivate = true\n\
         [plugins.q]\nsource = \"q.wasm\"\nallow = { secrets = [\"undo\"] }\n\
         [[step]]\nid = \"a\"\nuse = \"p/x\"\nsecrets = [\"token\", \"key\"]\ncompensate = { use = \"q/y\", secrets = [\"undo\"] }\n\
         [[step]]\nid = \"b\"\nuse = \"p/x\"\n",
    ));
    let grants = &definition.plugins["p"].grants;
    assert!(
        grants
            .http("https", "GET", "api.example.com", 443, "/")
            .is_ok()
    );
    assert!(
        grants
            .http("http", "POST", "[::1]", 8080, "/x")
            .unwrap()
            .private
    );
    assert!(grants.kv("rates").is_ok() && grants.artifacts().is_ok());
    let args = ["log".to_owned()];
    let env = [("LC_ALL".to_owned(), "C".to_owned())];
    let call = ExecCall {
        program: "git",
        args: &args,
        env: &env,
        dir: Some("/srv/a"),
    };
    assert!(grants.exec(&call).is_ok());
    let denied = grants.kv("other").unwrap_err();
    assert_eq!(
        denied.toml(),
        Some("\"other\""),
        "for the list that is there"
    );
    let secrets = |id: &str, path: &str| {
        let step = step(&definition, id);
        let callee = step.callee(&path.parse().unwrap()).unwrap();
        let grants = definition.plugins[callee.plugin]
            .grants
            .with_secrets(callee.secrets);
        (grants.secrets, grants.secrets_reveal)
    };
    let set = |names: &[&str]| {
        names
            .iter()
            .map(|name| std::sync::Arc::from(*name))
            .collect()
    };
    assert_eq!(secrets("a", "a"), (set(&["token"]), set(&["key"])));
    assert_eq!(secrets("a", "a!compensate"), (set(&["undo"]), set(&[])));
    assert_eq!(secrets("b", "b"), (set(&[]), set(&[])));
}

#[test]
fn a_grant_that_cannot_work_and_a_secret_that_nobody_names_are_told() {
    let warned = |allow: &str, step: &str| -> Vec<String> {
        let text = sample(&format!(
            "[plugins.p.allow]\n{allow}\n[[step]]\nid = \"a\"\nuse = \"p/x\"\n{step}\n"
        ));
        let parsed = Definition::parse("w.toml", &text).unwrap();
        let warnings = parsed.warnings.iter();
        warnings.map(|one| one.code.to_string()).collect()
    };
    for (host, codes) in [
        ("127.0.0.1", &["MP0605"][..]),
        ("::1", &["MP0605"]),
        ("10.1.2.3", &["MP0605"]),
        ("localhost", &["MP0605"]),
        ("1.1.1.1", &[]),
        ("a.example", &[]),
    ] {
        let grant = format!("http = [{{ host = \"{host}\" }}]");
        assert_eq!(warned(&grant, ""), codes, "{host}");
        let private = format!("http = [{{ host = \"{host}\", private = true }}]");
        assert_eq!(warned(&private, ""), [""; 0], "{host}");
    }
    let allow = "secrets = [\"token\"]\nsecrets-reveal = [\"key\"]";
    assert_eq!(warned(allow, ""), ["MP0604", "MP0604"]);
    assert_eq!(warned(allow, "secrets = [\"token\"]"), ["MP0604"]);
    assert_eq!(warned(allow, "secrets = [\"key\", \"token\"]"), [""; 0]);
}
