//! The steps together, as a workflow puts them together.

#![expect(clippy::unwrap_used, reason = "a test")]

use milepost_sdk::Context;
use serde_json::{Value, json};

use crate::PLUGIN;

fn run_in(step: &str, input: Value, ctx: &Context) -> Result<Value, String> {
    let output = PLUGIN.run(step, &input.to_string(), ctx);
    let output = output.map_err(|error| error.to_string())?;
    Ok(serde_json::from_str(&output).unwrap())
}

fn run(step: &str, input: Value) -> Value {
    run_in(step, input, &Context::fake()).unwrap()
}

fn parse(csv: &str) -> Value {
    run("parse", json!({"csv": csv}))
}

fn rules() -> Value {
    json!([
        {"column": "id", "required": true},
        {"column": "day", "type": "date"},
        {"column": "kind", "allowed": ["Books", "Toys"]},
        {"column": "amount", "required": true, "type": "float", "min": 0},
    ])
}

fn validate(table: &Value) -> Value {
    run(
        "validate",
        json!({"table": table, "rules": rules(), "key": ["id"]}),
    )
}

const MESSY: &str = "\
id,day,kind,amount
1,2026-01-31,Books,10.00
2, 31.01.2026,BOOKS,\" 1,50 €\"
3,2026-02-30,Toys,5
1,31 Jan 2026 ,books,\"10,00\"
4,,Food,-1
2,2026-01-31,Books,1.50
5,2026-03-01,Toys,20
5,2026-03-01,Toys,21
";

/// Repairs until nothing is left to repair; the table, its problems then, and after how many passes.
fn clean_up(csv: &str) -> (Value, Value, usize) {
    let mut table = parse(csv);
    for pass in 1..10 {
        let found = validate(&table);
        if found["fixable"] == 0 {
            return (table, found, pass);
        }
        let problems = &found["problems"];
        table = run("clean", json!({"table": table, "problems": problems}))["table"].take();
    }
    panic!("cleaning up does not end");
}

#[test]
fn repairing_uncovers_the_next_problem_until_none_is_left() {
    let (table, found, passes) = clean_up(MESSY);
    assert_eq!(table["lines"], json!([2, 3, 4, 6, 8, 9]));
    assert_eq!(
        table["rows"][1],
        json!({"id": "2", "day": "2026-01-31", "kind": "Books", "amount": "1.50"})
    );
    let kinds: Vec<(u64, &str)> = found["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| (p["line"].as_u64().unwrap(), p["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(
        kinds,
        [
            (4, "not_a_date"),
            (6, "not_allowed"),
            (6, "out_of_range"),
            (9, "conflict"),
        ]
    );
    assert_eq!(found["unresolved"], 4);
    assert_eq!(
        passes, 4,
        "space, then format, then duplicate, then a last look"
    );
}

#[test]
fn a_cell_that_changed_since_it_was_checked_is_left_alone() {
    let mut table = parse("id,day,kind,amount\n1,,, 2\n");
    let found = validate(&table);
    table["rows"][0]["amount"] = json!("3");
    let cleaned = run(
        "clean",
        json!({"table": table, "problems": found["problems"]}),
    );
    assert_eq!(cleaned["table"]["rows"][0]["amount"], "3");
    assert_eq!(cleaned["repaired"], json!({}));
}

#[test]
fn a_person_is_asked_once() {
    let (_, found, _) = clean_up(MESSY);
    let input = json!({"problems": found["problems"], "default": "keep"});
    let asked = run_in("decide", input.clone(), &Context::fake()).unwrap_err();
    assert!(
        asked.starts_with("paused (needs-decision): 4 problems"),
        "{asked}"
    );
    assert!(
        asked.contains("line 4, day = \"2026-02-30\": there is no such day"),
        "{asked}"
    );
    assert!(
        asked.contains("Resume the run to keep these rows"),
        "{asked}"
    );

    let resumed = Context::fake().with_resume_state(&json!({"problems": 4}));
    let decided = run_in("decide", input.clone(), &resumed).unwrap();
    assert_eq!(decided, json!({"decision": "keep", "problems": 4}));

    let others = Context::fake().with_resume_state(&json!({"problems": 3}));
    let again = run_in("decide", input, &others).unwrap_err();
    assert!(again.starts_with("paused (needs-decision)"), "{again}");

    let nothing_to_ask = run("decide", json!({"problems": []}));
    assert_eq!(nothing_to_ask, json!({"decision": "drop", "problems": 0}));
}

#[test]
fn a_long_question_is_cut() {
    let rows: String = (1..=15).map(|id| format!("{id},,,no\n")).collect();
    let csv = format!("id,day,kind,amount\n{rows}");
    let problems = validate(&parse(&csv))["problems"].take();
    let asked = run_in("decide", json!({"problems": problems}), &Context::fake()).unwrap_err();
    assert!(asked.contains("\n  and 5 more\n"), "{asked}");
}

#[test]
fn what_was_decided_is_done() {
    let (table, found, _) = clean_up(MESSY);
    for (decision, lines, dropped, kept) in [
        ("drop", json!([2, 3, 8]), 3, 0),
        ("keep", json!([2, 3, 4, 6, 8, 9]), 0, 3),
    ] {
        let settled = run(
            "settle",
            json!({"table": table, "problems": found["problems"], "decision": decision}),
        );
        assert_eq!(settled["table"]["lines"], lines);
        assert_eq!(settled["dropped"], dropped);
        assert_eq!(settled["kept"], kept);
        assert_eq!(
            settled["by_column"],
            json!({"amount": 1, "day": 1, "id": 1, "kind": 1})
        );
    }
}

#[test]
fn groups_and_their_figures() {
    let table =
        parse("day,kind,n\n2026-01-05,b,1\n2026-01-09,a,2.5\n2026-02-01,b,x\n2026-02-02,b,4\n");
    let all = json!([
        {"op": "count", "as": "rows"},
        {"op": "count", "column": "n", "as": "numbers"},
        {"op": "sum", "column": "n", "as": "sum"},
        {"op": "mean", "column": "n", "as": "mean", "decimals": 2},
        {"op": "min", "column": "n", "as": "min", "decimals": 0},
        {"op": "max", "column": "n", "as": "max"},
    ]);
    let one = run("aggregate", json!({"table": table, "measures": all}));
    assert_eq!(
        one["rows"],
        json!([{"rows": 4, "numbers": 3, "sum": 7.5, "mean": 2.5, "min": 1, "max": 4.0}])
    );
    assert_eq!(
        one["skipped"], 5,
        "one cell, which five measures could not use"
    );

    let sum = json!([{"op": "sum", "column": "n", "as": "sum"}]);
    let months = run(
        "aggregate",
        json!({
            "table": table,
            "group_by": [{"column": "day", "prefix": 7, "as": "month"}],
            "measures": sum,
        }),
    );
    assert_eq!(months["columns"], json!(["month", "sum"]));
    assert_eq!(
        months["rows"],
        json!([{"month": "2026-01", "sum": 3.5}, {"month": "2026-02", "sum": 4.0}])
    );

    let kinds = run(
        "aggregate",
        json!({
            "table": table,
            "group_by": [{"column": "kind"}],
            "measures": sum,
            "sort_by": "sum",
            "descending": true,
        }),
    );
    let order: Vec<&Value> = kinds["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["kind"])
        .collect();
    assert_eq!(order, ["b", "a"]);
}

#[test]
fn a_group_without_numbers_has_no_mean() {
    let table = parse("n\nx\n");
    let of = |op: &str| {
        let measures = json!([{"op": op, "column": "n", "as": "v"}]);
        run("aggregate", json!({"table": table, "measures": measures}))["rows"][0]["v"].take()
    };
    assert_eq!(of("mean"), Value::Null);
    assert_eq!(of("max"), Value::Null);
    assert_eq!(of("sum"), json!(0.0));
}

#[test]
fn wishes_that_do_not_fit_the_table_are_refused() {
    let table = parse("a\n1\n");
    let sum = json!([{"op": "sum", "column": "a", "as": "s"}]);
    let cases = [
        (
            "validate",
            json!({"table": table, "rules": [{"column": "b"}]}),
            "missing_column",
        ),
        (
            "validate",
            json!({"table": table, "rules": [], "key": ["b"]}),
            "missing_column",
        ),
        (
            "aggregate",
            json!({"table": table, "measures": [{"op": "sum", "column": "b", "as": "s"}]}),
            "no column `b`",
        ),
        (
            "aggregate",
            json!({"table": table, "measures": [{"op": "sum", "as": "s"}]}),
            "names no column",
        ),
        (
            "aggregate",
            json!({"table": table, "group_by": [{"column": "b"}], "measures": sum}),
            "no column `b`",
        ),
        (
            "aggregate",
            json!({"table": table, "measures": sum, "sort_by": "a"}),
            "`sort_by` names no result column",
        ),
        (
            "parse",
            json!({"csv": "a\n", "delimiter": ";;"}),
            "delimiter",
        ),
    ];
    for (step, input, says) in cases {
        let error = run_in(step, input, &Context::fake()).unwrap_err();
        assert!(error.contains(says), "{step}: {error}");
    }
}
