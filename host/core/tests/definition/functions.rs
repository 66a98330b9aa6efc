//! Steps with `call`: names of functions, their arguments, and what is known of their outputs.

use std::sync::Arc;

use milepost_core::definition::{Definition, Manifests, Offer, StepKind};
use milepost_core::function::{Case, Field, Float, Function, Functions, Int, NotCallable, Ty};

fn fields(fields: &[(&str, Ty)]) -> Arc<[Field]> {
    let field = |(name, ty): &(&str, Ty)| Field {
        name: (*name).into(),
        ty: ty.clone(),
    };
    fields.iter().map(field).collect()
}

fn function(
    interface: Option<&str>,
    name: &str,
    params: &[(&str, Ty)],
    result: Option<Ty>,
) -> Arc<Function> {
    Arc::new(Function {
        interface: interface.map(Arc::from),
        name: name.into(),
        params: fields(params),
        result,
    })
}

fn manifests() -> Manifests {
    let u8 = || Ty::Int(Int::U8);
    let point = Ty::Record(fields(&[
        ("x", u8()),
        ("first-name", Ty::Option(Ty::String.into())),
    ]));
    let case = |name: &str, ty| Case {
        name: name.into(),
        ty,
    };
    let shape = Ty::Variant(
        [
            case("dot", None),
            case("circle", Some(Ty::Float(Float::F64))),
        ]
        .into(),
    );
    let all = [
        ("a", Ty::List(point.clone().into())),
        (
            "colour",
            Ty::Option(Arc::new(Ty::Enum(["red".into(), "green".into()].into()))),
        ),
        ("shape", Ty::Option(shape.into())),
        (
            "pair",
            Ty::Option(Arc::new(Ty::Tuple([u8(), Ty::Bool].into()))),
        ),
        ("data", Ty::Option(Arc::new(Ty::List(u8().into())))),
        (
            "rights",
            Ty::Option(Arc::new(Ty::Flags(["read".into()].into()))),
        ),
        ("deep", Ty::Option(Arc::new(Ty::Option(u8().into())))),
    ];
    let result = Ty::Result {
        ok: Some(point.into()),
        err: Some(Ty::String.into()),
    };
    let calc = Functions {
        callable: vec![
            function(
                Some("e:m/ops@1.0.0"),
                "add",
                &[("a", u8()), ("b", u8())],
                Some(u8()),
            ),
            function(None, "all", &all, Some(result)),
        ],
        not_callable: vec![NotCallable {
            name: "e:m/ops@1.0.0#open".to_owned(),
            reason: "its result has a resource in it".to_owned(),
        }],
        alone: true,
    };
    let calc = Offer {
        manifest: None,
        functions: Arc::new(calc),
    };
    Manifests::from([
        ("calc".to_owned(), calc),
        ("steps".to_owned(), Offer::default()),
    ])
}

fn text(step: &str, more: &str) -> String {
    format!(
        "schema = 1\nname = \"n\"\n{more}\n[plugins.calc]\nsource = \"c.wasm\"\n[plugins.steps]\nsource = \"s.wasm\"\n\
         [inputs.n]\ntype = \"int\"\n[inputs.s]\ntype = \"string\"\n[inputs.j]\ntype = \"json\"\n\
         [[step]]\nid = \"other\"\nuse = \"steps/x\"\n[[step]]\nid = \"s\"\n{step}\n"
    )
}

/// What is wrong with a step: code, message, what it points at, help.
fn problems(step: &str, more: &str) -> Vec<String> {
    let text = text(step, more);
    let found = match Definition::parse_against("w.toml", &text, &manifests()) {
        Ok(parsed) => parsed.warnings,
        Err(problems) => problems.items,
    };
    let told = found.iter().map(|found| {
        let help = found.help.as_deref().map(|help| format!(" ({help})"));
        let near = match &found.candidates[..] {
            [] => String::new(),
            near => format!(" [{}]", near.join(", ")),
        };
        let at = &text[found.span.clone()];
        format!(
            "{} {} at {at}{}{near}",
            found.code,
            found.message,
            help.unwrap_or_default()
        )
    });
    told.collect()
}

const ALL: &str = "use = \"calc\"\ncall = \"all\"\n";

#[test]
fn a_call_is_resolved_and_its_output_known() {
    let step = "use = \"calc\"\ncall = \"add\"\nwith = { a = 1, b = \"${ inputs.n }\" }";
    let parsed = Definition::parse_against("w.toml", &text(step, ""), &manifests()).unwrap();
    let step = parsed.definition.step(&"s".parse().unwrap()).unwrap();
    let StepKind::Component(call) = &step.kind else {
        panic!("{:?}", step.kind);
    };
    assert_eq!(call.step.as_deref(), Some("e:m/ops@1.0.0#add"));
    // Without the component, the name is kept as it is.
    let unread = "use = \"calc\"\ncall = \"add\"";
    let parsed = Definition::parse("w.toml", &text(unread, "")).unwrap();
    let step = parsed.definition.step(&"s".parse().unwrap()).unwrap();
    assert_eq!(step.call().unwrap().step.as_deref(), Some("#add"));

    let good = format!("{ALL}with = {{ a = [] }}");
    let read = |place: &str| {
        problems(
            &good,
            &format!("returns = \"${{ steps.s.output{place} }}\""),
        )
    };
    assert_eq!(read(".x"), [""; 0]);
    assert_eq!(read("['first-name']"), [""; 0]);
    assert!(read(".z")[0].contains("`z`"), "{:?}", read(".z"));
}

#[test]
fn what_cannot_be_called_is_a_load_error() {
    for (step, says) in [
        (
            "use = \"calc\"",
            "MP0212 plugin `calc` has no steps, only functions, so `call` must name one at \"calc\" (its functions are `e:m/ops@1.0.0#add`, `all`)",
        ),
        (
            "use = \"calc/add\"",
            "MP0212 plugin `calc` has no steps, only functions, so `call` must name one at \"calc/add\" (its functions are `e:m/ops@1.0.0#add`, `all`)",
        ),
        (
            "use = \"calc/x\"\ncall = \"add\"",
            "MP0214 `use` names the step `x`, and `call` a function: one can be called at \"calc/x\" (write `use = \"calc\"` to call the function)",
        ),
        (
            "use = \"calc\"\ncall = \"ad\"",
            "MP0229 plugin `calc` exports no function `ad` at \"ad\" [add]",
        ),
        (
            "use = \"calc\"\ncall = \"multiply\"",
            "MP0229 plugin `calc` exports no function `multiply` at \"multiply\" (its functions are `e:m/ops@1.0.0#add`, `all`)",
        ),
        (
            "use = \"calc\"\ncall = \"open\"",
            "MP0229 `open` cannot be called: its result has a resource in it at \"open\"",
        ),
        (
            "use = \"steps\"\ncall = \"x\"",
            "MP0229 plugin `steps` exports no function `x` at \"x\" (it exports none that can be called)",
        ),
    ] {
        let told = problems(step, "");
        assert_eq!(told.first().map(String::as_str), Some(says), "{step}");
    }
    let lone = problems("wait = { for = \"1s\" }\ncall = \"add\"", "");
    assert!(
        lone[1].starts_with("MP0210 `call` does not apply to a wait"),
        "{lone:?}"
    );
}

#[test]
fn arguments_are_checked_where_they_stand() {
    let add = "use = \"calc\"\ncall = \"add\"\n";
    for (step, says) in [
        (
            format!("{add}with = {{ a = 1 }}"),
            "MP0501 the function needs `b` at with (`b` is of type u8)",
        ),
        (
            format!("{add}with = {{ a = 1, b = 2, bb = 3 }}"),
            "MP0502 the function has no parameter `bb` at bb [b]",
        ),
        (
            format!("{add}with = {{ a = 1, b = 300 }}"),
            "MP0503 `b`: expected u8, found 300 at 300",
        ),
        (
            format!("{add}with = {{ a = 1, b = 2.0 }}"),
            "MP0503 `b`: expected u8, found 2.0 at 2.0",
        ),
        (
            format!("{add}with = {{ a = 1, b = \"${{ inputs.s }}\" }}"),
            "MP0503 `b`: expected u8, found string at \"${ inputs.s }\"",
        ),
        (
            format!("{add}with = {{ a = 1, b = \"x${{ inputs.n }}\" }}"),
            "MP0503 `b`: expected u8, found a text at \"x${ inputs.n }\"",
        ),
        (
            format!("{ALL}with = {{ a = [{{ x = 1 }}, {{ x = 300 }}] }}"),
            "MP0503 `a[1].x`: expected u8, found 300 at 300",
        ),
        (
            format!("{ALL}with = {{ a = [{{ first-name = \"x\" }}] }}"),
            "MP0501 the record needs `a[0].x` at { first-name = \"x\" } (`a[0].x` is of type u8)",
        ),
        (
            format!("{ALL}with = {{ a = [{{ x = 1, first_name = \"x\" }}] }}"),
            "MP0502 the record has no field `a[0].first_name` at first_name [first-name]",
        ),
        (
            format!("{ALL}with = {{ a = [], colour = \"rad\" }}"),
            "MP0503 `colour`: expected one of \"red\", \"green\", found \"rad\" at \"rad\"",
        ),
        (
            format!("{ALL}with = {{ a = [], shape = {{ circl = 1.0 }} }}"),
            "MP0503 `shape`: expected one of the cases `dot`, `circle`, found `circl` at { circl = 1.0 } [circle]",
        ),
        (
            format!("{ALL}with = {{ a = [], shape = {{ circle = true }} }}"),
            "MP0503 `shape.circle`: expected f64, found true at true",
        ),
        (
            format!("{ALL}with = {{ a = [], shape = {{ dot = 1 }} }}"),
            "MP0503 `shape`: expected \"dot\", a case without a value, found an object at { dot = 1 }",
        ),
        (
            format!("{ALL}with = {{ a = [], pair = [1] }}"),
            "MP0503 `pair`: expected tuple<u8, bool>, found a list of 1 at [1]",
        ),
        (
            format!("{ALL}with = {{ a = [], pair = [1, 2] }}"),
            "MP0503 `pair[1]`: expected bool, found 2 at 2",
        ),
        (
            format!("{ALL}with = {{ a = [], data = [1] }}"),
            "MP0503 `data`: expected list<u8>, found a list of 1 at [1]",
        ),
        (
            format!("{ALL}with = {{ a = [], data = {{ base64 = \"a\" }} }}"),
            "MP0503 `data`: expected base64 with padding, found \"a\" at \"a\"",
        ),
        (
            format!("{ALL}with = {{ a = [], rights = [\"run\"] }}"),
            "MP0503 `rights[0]`: expected \"read\", found \"run\" at \"run\"",
        ),
        (
            format!("{ALL}with = {{ a = [], deep = 1 }}"),
            "MP0503 `deep`: expected null or {\"some\": value}, found 1 at 1",
        ),
        (
            format!("{ALL}with = {{ a = \"${{ steps.other.output }}\", deep = {{ some = 300 }} }}"),
            "MP0503 `deep.some`: expected u8, found 300 at 300",
        ),
    ] {
        assert_eq!(problems(&step, ""), [says], "{step}");
    }
    for step in [
        format!("{add}with = {{ a = 1, b = \"${{ inputs.n }}\" }}"),
        format!("{ALL}with = {{ a = [{{ x = 1 }}, {{ x = \"${{ inputs.n }}\", first-name = \"${{ inputs.s }}\" }}], colour = \"red\", shape = \"dot\" }}"),
        format!("{ALL}with = {{ a = \"${{ inputs.j }}\", shape = {{ circle = 2 }}, pair = [1, true], data = {{ text = \"${{ inputs.s }}\" }}, rights = [\"read\"], deep = {{ some = 1 }} }}"),
        format!("{ALL}with = {{ a = [], colour = \"${{ inputs.s }}\", shape = \"${{ {{'circle': 1.5}} }}\", data = {{ base64 = \"AAE=\" }} }}").replace("${ {'circle': 1.5} }", "${ inputs.j }"),
    ] {
        assert_eq!(problems(&step, ""), [""; 0], "{step}");
    }
}

#[test]
fn a_compensation_may_be_a_function() {
    let undo = |with: &str| {
        format!(
            "use = \"steps/x\"\ncompensate = {{ use = \"calc\", call = \"add\", with = {with} }}"
        )
    };
    assert_eq!(problems(&undo("{ a = 1, b = 2 }"), ""), [""; 0]);
    let told = problems(&undo("{ a = 1, b = true }"), "");
    assert_eq!(told, ["MP0503 `b`: expected u8, found true at true"]);
}
