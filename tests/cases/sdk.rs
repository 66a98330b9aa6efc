//! What plugins say of their steps, and what the host makes of it: schemas that are derived from types accept what serde makes of
//! values of those types, and nothing that serde would not read; and a workflow that gives a step something else is told so.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;

use milepost_core::definition::{Definition, Manifest, Manifests};
use milepost_core::json_schema::JsonSchema;
use milepost_sdk::{Context, Result, Role, Schema, Step, export, schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Everything that a schema is derived for, in one input.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize, Schema)]
struct Order {
    /// Its number.
    #[schema(minimum = 1, maximum = 9999)]
    id: u32,
    #[schema(minLength = 1, maxLength = 20)]
    customer: String,
    #[serde(default)]
    urgent: bool,
    #[schema(minimum = 0.5)]
    weight: Option<f64>,
    address: (String, u16),
    labels: BTreeMap<String, String>,
    stock: HashMap<Size, i8>,
    tags: BTreeSet<char>,
    corners: [u8; 2],
    payment: Payment,
    delivery: Option<Delivery>,
    note: Note,
    mark: Mark,
    percent: Percent,
    #[serde(flatten)]
    audit: Audit,
    #[serde(flatten)]
    source: Source,
}

#[derive(Debug, Default, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
#[serde(rename_all = "kebab-case")]
enum Size {
    #[default]
    ExtraSmall,
    Large,
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize, Schema)]
#[serde(rename_all = "snake_case")]
enum Payment {
    #[default]
    Cash,
    Card(String),
    Split(u8, Box<Percent>),
    Invoice {
        days: u8,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Schema)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
enum Delivery {
    Foot,
    Bike { gears: u8 },
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize, Schema)]
#[serde(untagged)]
enum Note {
    #[default]
    Nothing,
    Text(String),
    Lines(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Schema)]
#[serde(tag = "kind", content = "value")]
enum Mark {
    Star,
    Points(u64),
}

impl Default for Mark {
    fn default() -> Self {
        Self::Points(3)
    }
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize, Schema)]
struct Percent(#[schema(maximum = 100)] u8);

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize, Schema)]
struct Audit {
    #[serde(rename = "createdBy")]
    created_by: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Schema)]
#[serde(tag = "source", rename_all = "lowercase")]
enum Source {
    Web { page: Page },
    Shop(Shop),
}

impl Default for Source {
    fn default() -> Self {
        Self::Web {
            page: Page::default(),
        }
    }
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize, Schema)]
struct Page {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Schema)]
struct Shop {
    till: u8,
}

fn orders() -> Vec<Order> {
    let order = Order {
        id: 1,
        customer: "Ada".to_owned(),
        ..Order::default()
    };
    let full = Order {
        weight: Some(0.5),
        labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        stock: HashMap::from([(Size::Large, -128)]),
        tags: BTreeSet::from(['ü']),
        payment: Payment::Split(255, Box::new(Percent(100))),
        delivery: Some(Delivery::Bike { gears: 0 }),
        note: Note::Lines(vec!["a".to_owned()]),
        mark: Mark::Star,
        source: Source::Shop(Shop { till: 7 }),
        ..order.clone()
    };
    let third = Order {
        payment: Payment::Invoice { days: 30 },
        delivery: Some(Delivery::Foot),
        note: Note::Text(String::new()),
        ..order.clone()
    };
    let card = Payment::Card("x".to_owned());
    let fourth = Order {
        payment: card,
        ..order.clone()
    };
    vec![order, full, third, fourth]
}

/// The same JSON, each time with one change: a value that is another one or not there, one too many, a name that nobody knows.
fn changed(value: &Value) -> Vec<Value> {
    let others = [
        json!(null),
        json!(true),
        json!(-1),
        json!(300),
        json!(1.5),
        json!(""),
        json!("x"),
        json!(["x"]),
        json!({}),
        json!({ "x": 1 }),
    ];
    let mut all: Vec<Value> = others.to_vec();
    match value {
        Value::Object(entries) => {
            let with = |change: &dyn Fn(&mut Map<String, Value>)| {
                let mut entries = entries.clone();
                change(&mut entries);
                Value::Object(entries)
            };
            for (name, entry) in entries {
                all.push(with(&|entries| drop(entries.remove(name))));
                for changed in changed(entry) {
                    all.push(with(&|entries| {
                        entries.insert(name.clone(), changed.clone());
                    }));
                }
            }
            all.push(with(&|entries| {
                entries.insert("unknown".to_owned(), json!("x"));
            }));
        }
        Value::Array(items) => {
            let mut longer = items.clone();
            longer.push(json!("x"));
            all.push(Value::Array(longer));
            all.push(Value::Array(items.iter().skip(1).cloned().collect()));
            for (index, item) in items.iter().enumerate() {
                for changed in changed(item) {
                    let mut items = items.clone();
                    items[index] = changed;
                    all.push(Value::Array(items));
                }
            }
        }
        _ => {}
    }
    all
}

/// How many changed values were read.
fn agree<T: Schema + Serialize + DeserializeOwned + PartialEq + Debug>(values: &[T]) -> usize {
    let [input, output] = [Role::Input, Role::Output].map(|role| {
        let schema: Value = serde_json::from_str(&schema::text::<T>(role)).unwrap();
        jsonschema::meta::validate(&schema).unwrap();
        JsonSchema::compile(&schema)
    });
    let mut read = 0;
    for value in values {
        let json = serde_json::to_value(value).unwrap();
        assert_eq!(input.check(&json), Ok(()), "{json}");
        assert_eq!(output.check(&json), Ok(()), "{json}");
        for changed in changed(&json) {
            let fits = input.check(&changed).is_ok();
            match serde_json::from_value::<T>(changed.clone()) {
                Ok(_) if fits => read += 1,
                // Serde reads what a keyword refuses, and overlooks what it does not know.
                Ok(_) => {}
                Err(error) => assert!(!fits, "serde refuses {changed}: {error}"),
            }
        }
    }
    read
}

#[test]
fn schemas_accept_what_serde_makes_and_nothing_that_it_does_not_read() {
    let read = agree(&orders());
    assert!(read > 100, "of the changed values, only {read} fit");
    agree(&[(1_u8, Some('x'), ()), (0, None, ())]);
    agree(&[vec![Percent(0)], vec![]]);
    agree(&[Delivery::Foot, Delivery::Bike { gears: 255 }]);
    agree(&[Note::Nothing, Note::Text("x".to_owned())]);
    agree(&[Mark::Star, Mark::Points(u64::MAX)]);
    agree(&[BTreeMap::from([("x".to_owned(), Some(Size::Large))])]);
}

struct Take;

impl Step for Take {
    const NAME: &'static str = "take";
    const DESCRIPTION: &'static str = "Takes an order.";
    type Input = Order;
    type Output = Order;

    fn run(input: Order, _: &Context) -> Result<Order> {
        Ok(input)
    }
}

export! {
    name: "shop",
    version: "1",
    steps: [Take],
}

/// What the checker says of a step with this input.
fn told(with: &str) -> String {
    let manifest = Manifest::parse(&PLUGIN.manifest()).unwrap();
    let manifests = Manifests::from([("shop".to_owned(), Some(manifest).into())]);
    let text = format!(
        "schema = 1\nname = \"w\"\n[plugins.shop]\nsource = \"shop.wasm\"\n[[step]]\nid = \"s\"\nuse = \"shop/take\"\n\
         with = {with}\n"
    );
    match Definition::parse_against("w.toml", &text, &manifests) {
        Ok(_) => String::new(),
        Err(problems) => {
            let messages = problems.items.iter().map(|problem| {
                let help = problem.help.as_deref().unwrap_or_default();
                format!("{}; {help}", problem.message)
            });
            messages.collect::<Vec<_>>().join("\n")
        }
    }
}

#[test]
fn a_workflow_is_checked_against_what_was_derived() {
    const GOOD: &str = r#"{ id = 1, customer = "Ada", address = ["x", 1], labels = { a = "b" }, stock = { large = 3 }, tags = ["t"],
        corners = [1, 2], payment = { invoice = { days = 30 } }, delivery = { by = "bike", gears = 3 }, note = ["a"],
        mark = { kind = "Points", value = 3 }, percent = 50, createdBy = "me", source = "shop", till = 1 }"#;
    // What TOML does not allow to be written on several lines.
    let good = GOOD.replace("\n       ", "");
    assert_eq!(told(&good), "");
    for (right, wrong, message) in [
        ("id = 1", "id = 0", "`id` must be at least 1"),
        ("customer = \"Ada\"", "customer = \"\"", "`customer`"),
        (
            "corners = [1, 2]",
            "corners = [1]",
            "`corners` must have at least 2 elements",
        ),
        ("[\"x\", 1]", "[\"x\", \"y\"]", "`address[1]`"),
        (
            "large = 3",
            "large = 300",
            "`stock.large` must be at most 127",
        ),
        ("gears = 3", "gaers = 3", "`delivery.gaers`"),
        (
            "{ invoice = { days = 30 } }",
            "{ invoice = { dasy = 30 } }",
            "`payment.invoice.dasy`",
        ),
        (
            "percent = 50",
            "percent = 101",
            "`percent` must be at most 100",
        ),
        ("till = 1", "tlil = 1", "tlil"),
        ("labels = { a = \"b\" }", "labels = { a = 1 }", "`labels.a`"),
    ] {
        assert!(good.contains(right), "{right}");
        let told = told(&good.replace(right, wrong));
        assert!(told.contains(message), "{wrong}: {told}");
    }
}
