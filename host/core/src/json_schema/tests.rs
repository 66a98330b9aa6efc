#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{JsonSchema, Unfit};

/// What is wrong with a value: `path: expected E, found A`, one a line.
fn wrong(schema: &Value, value: &Value) -> String {
    match JsonSchema::compile(schema).check(value) {
        Ok(()) => String::new(),
        Err(Unfit::TooMuch) => "too much".to_owned(),
        Err(Unfit::Problems(problems)) => {
            let lines = problems.iter().map(|problem| {
                let actual = problem.actual.map_or("-".to_owned(), Value::to_string);
                format!("{}: {}; {actual}", problem.path, problem.expected)
            });
            lines.collect::<Vec<_>>().join("\n")
        }
    }
}

#[test]
fn problems_name_their_place_what_fits_and_what_is_there() {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "minLength": 2 },
            "mode": { "enum": ["fast", "slow"] },
            "parts": { "type": "array", "items": { "$ref": "#/$defs/part" }, "maxItems": 3 },
            "note": { "type": ["string", "null"] },
        },
        "required": ["name"],
        "additionalProperties": false,
        "$defs": { "part": {
            "type": "object",
            "properties": { "count": { "type": "integer", "minimum": 1, "maximum": 255 } },
            "required": ["count"],
        } },
    });
    let good = json!({ "name": "Ada", "mode": "slow", "parts": [{ "count": 2.0 }], "note": null });
    assert_eq!(wrong(&schema, &good), "");
    for (value, expected) in [
        (json!(3), ": an object; 3"),
        (json!({}), "name: a string; -"),
        (
            json!({ "name": "é" }),
            "name: at least 2 characters and not 1; \"é\"",
        ),
        (
            json!({ "name": "Ada", "mode": "quick" }),
            "mode: one of \"fast\", \"slow\"; \"quick\"",
        ),
        (
            json!({ "name": "Ada", "note": 3 }),
            "note: a string or null; 3",
        ),
        (
            json!({ "name": "Ada", "nmae": 1 }),
            "nmae: no property of this name: there are `mode`, `name`, `note`, `parts`; 1",
        ),
        (
            json!({ "name": "Ada", "parts": [{ "count": 1 }, { "count": 300 }, {}] }),
            "parts[1].count: at most 255; 300\nparts[2].count: an integer; -",
        ),
        (
            json!({ "name": "Ada", "parts": [1, 2, 3, 4] }),
            "parts: at most 3 elements and not 4; [1,2,3,4]\nparts[0]: an object; 1\nparts[1]: an object; 2\n\
             parts[2]: an object; 3\nparts[3]: an object; 4",
        ),
    ] {
        assert_eq!(wrong(&schema, &value), expected, "{value}");
    }
}

/// Of alternatives, the one that the value comes nearest to says what is wrong; where none has its type, their types do.
#[test]
fn alternatives_say_what_is_wrong_with_the_nearest() {
    let schema = json!({ "anyOf": [
        { "type": "null" },
        { "type": "object", "properties": { "kind": { "const": "a" }, "size": { "type": "integer" } }, "required": ["kind"] },
    ] });
    assert_eq!(wrong(&schema, &json!(null)), "");
    assert_eq!(wrong(&schema, &json!(3)), ": null or an object; 3");
    assert_eq!(
        wrong(&schema, &json!({ "kind": "a", "size": "x" })),
        "size: an integer; \"x\""
    );
    let one = json!({ "oneOf": [{ "type": "integer" }, { "type": "number" }] });
    assert_eq!(wrong(&one, &json!(1.5)), "");
    assert_eq!(
        wrong(&one, &json!(1)),
        ": a value that fits one alternative of the schema and not 2; 1"
    );
}

#[test]
fn numbers_compare_exactly() {
    let most = json!({ "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX });
    assert_eq!(wrong(&most, &json!(i64::MAX)), "");
    assert_ne!(wrong(&most, &json!(9_223_372_036_854_775_808_u64)), "");
    let tenths = json!({ "multipleOf": 0.1 });
    assert_eq!(wrong(&tenths, &json!(0.3)), "");
    assert_ne!(wrong(&tenths, &json!(0.35)), "");
}

/// Without its bounds, the first of these does not end, the second overflows the stack, the third takes minutes.
#[test]
fn hostile_schemas_come_to_an_end() {
    let doubling = |levels: usize| {
        let defs = (0..levels).map(|level| {
            let next = json!({ "$ref": format!("#/$defs/{}", level + 1) });
            (level.to_string(), json!({ "anyOf": [next, next] }))
        });
        let mut defs: serde_json::Map<String, Value> = defs.collect();
        defs.insert(levels.to_string(), json!(false));
        json!({ "$ref": "#/$defs/0", "$defs": defs })
    };
    assert_eq!(wrong(&doubling(60), &json!(1)), "too much");
    for endless in [
        json!({ "$ref": "#" }),
        json!({ "allOf": [{ "$ref": "#" }] }),
        json!({ "not": { "$ref": "#" } }),
    ] {
        assert_eq!(wrong(&endless, &json!(1)), "too much");
    }
    let many: Vec<Value> = (0..1_000)
        .map(|last| {
            let mut list = vec![0; 1_000];
            list.push(last);
            json!(list)
        })
        .collect();
    let value = json!(vec![&many[999]; 1_000]);
    let choices = json!({ "items": { "enum": many } });
    assert!(wrong(&choices, &value) == "too much");
    let unique = json!({ "uniqueItems": true });
    let numbers = json!((0..100_000).collect::<Vec<_>>());
    assert_eq!(wrong(&unique, &numbers), "");
}

/// What a schema says that is not known here is left to the step.
#[test]
fn what_is_not_known_says_nothing() {
    for schema in [
        json!(true),
        json!(3),
        json!({ "type": "money" }),
        json!({ "$ref": "https://example.com/schema" }),
        json!({ "pattern": "^a" }),
        json!({ "patternProperties": { "^a": {} }, "additionalProperties": false }),
    ] {
        for value in [json!("b"), json!({ "a": 1 })] {
            assert_eq!(wrong(&schema, &value), "", "{schema}");
        }
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        (-3_i32..4).prop_map(|n| Value::from(f64::from(n) / 2.0)),
        "[ab]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[abc]", inner, 0..3).prop_map(|entries| json!(entries)),
        ]
    })
}

fn schemas() -> impl Strategy<Value = Value> {
    let ty = prop::sample::select(vec![
        "null", "boolean", "integer", "number", "string", "array", "object",
    ]);
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        ty.clone().prop_map(|ty| json!({ "type": ty })),
        prop::collection::vec(ty, 1..3).prop_map(|types| {
            let mut types = types;
            types.sort_unstable();
            types.dedup();
            json!({ "type": types })
        }),
        prop::collection::vec(values(), 1..4).prop_map(|values| json!({ "enum": values })),
        values().prop_map(|value| json!({ "const": value })),
        (-3_i64..4, -3_i64..4).prop_map(|(a, b)| json!({ "minimum": a, "exclusiveMaximum": b })),
        (-3_i64..4, 1_i64..4)
            .prop_map(|(a, b)| json!({ "exclusiveMinimum": a, "multipleOf": b, "maximum": a + 3 })),
        (0_u64..3, 0_u64..4).prop_map(|(a, b)| json!({ "minLength": a, "maxLength": b })),
        (0_u64..3, 0_u64..4)
            .prop_map(|(a, b)| json!({ "minItems": a, "maxItems": b, "uniqueItems": true })),
        (0_u64..3, 0_u64..4).prop_map(|(a, b)| json!({ "minProperties": a, "maxProperties": b })),
        Just(json!({ "required": ["a", "b"] })),
        Just(json!({ "dependentRequired": { "a": ["b"] } })),
        Just(json!({ "propertyNames": { "enum": ["a", "b"] } })),
        Just(json!({ "$ref": "#/$defs/shared" })),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        let list = prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            (prop::collection::btree_map("[abc]", inner.clone(), 0..3), inner.clone())
                .prop_map(|(properties, others)| json!({ "properties": properties, "additionalProperties": others })),
            (list.clone(), inner.clone())
                .prop_map(|(first, items)| json!({ "prefixItems": first, "items": items })),
            list.clone().prop_map(|all| json!({ "allOf": all })),
            list.clone().prop_map(|any| json!({ "anyOf": any })),
            list.prop_map(|one| json!({ "oneOf": one })),
            inner.clone().prop_map(|not| json!({ "not": not })),
            (inner.clone(), 0_u64..3, 1_u64..3)
                .prop_map(|(contains, least, most)| json!({ "contains": contains, "minContains": least, "maxContains": most })),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(condition, then, or)| json!({ "if": condition, "then": then, "else": or })),
            (inner.clone(), inner)
                .prop_map(|(a, schema)| json!({ "dependentSchemas": { "a": a }, "allOf": [schema] })),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// The verdict is that of a library which passes the suite of JSON Schema.
    #[test]
    fn verdicts_are_those_of_json_schema(schema in schemas(), values in prop::collection::vec(values(), 8)) {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "$defs": { "shared": { "type": ["array", "object", "number"] } },
        });
        let ours = JsonSchema::compile(&schema);
        let theirs = jsonschema::validator_for(&schema).unwrap();
        for value in &values {
            prop_assert_eq!(ours.check(value).is_ok(), theirs.is_valid(value), "{} {}", schema, value);
        }
    }
}
