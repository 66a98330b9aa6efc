//! What good definitions turn into.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use milepost_core::definition::{
    ComponentStep, Definition, InputType, LoopStep, OnExhausted, Step, StepKind, TimeoutSource,
};
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
        StepKind::Loop(_) => panic!("{id} is a loop"),
    }
}

fn repeat<'a>(definition: &'a Definition, id: &str) -> &'a LoopStep {
    match &step(definition, id).kind {
        StepKind::Loop(repeat) => repeat,
        StepKind::Component(_) => panic!("{id} is no loop"),
    }
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
    let json = problems.to_json();
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
fn b13_b24_the_nearest_time_out_wins() {
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
    let reads = |id: &str| {
        step(&definition, id)
            .reads
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(reads("a"), Vec::<String>::new());
    assert_eq!(reads("l"), ["a"]);
    assert_eq!(reads("m"), ["n"]);
    assert_eq!(reads("n"), ["a", "m"]);
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
