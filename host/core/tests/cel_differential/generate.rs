//! Random contexts and random expressions over them.

use serde_json::{Value, json};

use crate::sides::World;

/// What the generator remembers of an expression, for the table below.
#[derive(Debug, Clone)]
pub(crate) enum Note {
    /// Any part of it.
    Part(String),
    Index {
        base: String,
        index: String,
    },
    Sum {
        left: String,
        right: String,
    },
    OrValue {
        default: String,
    },
    /// A base read with `.?`.
    Optional {
        base: String,
    },
    /// A member read after a `.?`: the chain before it, with its end.
    Continued {
        chain: String,
    },
}

/// Numbers that decide what is generated; when they run out, everything left is the simplest there is.
pub(crate) struct Choices<'a>(pub(crate) std::slice::Iter<'a, u16>);

impl Choices<'_> {
    fn below(&mut self, n: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0)) % n
    }

    pub(crate) fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

const INTS: [i64; 10] = [
    0,
    1,
    2,
    -1,
    7,
    100,
    -13,
    i64::MAX,
    i64::MIN,
    9_007_199_254_740_993,
];
const UINTS: [u64; 3] = [u64::MAX, u64::MAX - 1, 1 << 63];
const DOUBLES: [f64; 11] = [
    0.0,
    1.0,
    0.5,
    -2.5,
    7.0,
    1e300,
    -1e-7,
    2e15,
    9_007_199_254_740_992.0,
    9_223_372_036_854_775_808.0,
    18_446_744_073_709_551_616.0,
];
const TEXTS: [&str; 9] = ["", "a", "ab", "b", "é😀", "12", "-2.5", "zebra", "A"];
const FIELDS: [&str; 4] = ["a", "b", "k", "z"];

fn random_json(choices: &mut Choices<'_>, depth: usize) -> Value {
    match choices.below(if depth == 0 { 6 } else { 10 }) {
        0 => json!(choices.of(&INTS)),
        5 => json!(choices.of(&UINTS)),
        1 => json!(choices.of(&TEXTS)),
        2 => json!(choices.below(2) == 0),
        3 => json!(choices.of(&DOUBLES)),
        4 => Value::Null,
        6 | 7 => (0..choices.below(4))
            .map(|_| random_json(choices, depth - 1))
            .collect(),
        _ => random_object(choices, depth),
    }
}

fn random_object(choices: &mut Choices<'_>, depth: usize) -> Value {
    let names = &FIELDS[..choices.below(FIELDS.len())];
    let fields = names
        .iter()
        .map(|name| ((*name).to_owned(), random_json(choices, depth - 1)));
    Value::Object(fields.collect())
}

pub(crate) fn random_world(choices: &mut Choices<'_>, typed: bool) -> World {
    let list: Value = (0..choices.below(4))
        .map(|_| random_json(choices, 1))
        .collect();
    let json = json!({
        "inputs": {
            "i": choices.of(&INTS), "j": choices.of(&INTS),
            "d": choices.of(&DOUBLES), "e": choices.of(&DOUBLES),
            "s": choices.of(&TEXTS), "t": choices.of(&TEXTS),
            "b": choices.below(2) == 0, "c": choices.below(2) == 0,
            "l": list,
            "o": random_object(choices, 3),
            "x": random_json(choices, 3), "y": random_json(choices, 3), "w": random_json(choices, 3),
        },
        "steps": {
            "build": { "status": "completed", "output": random_json(choices, 3) },
            "skipped": { "status": "skipped" },
        },
        "item": random_json(choices, 2),
        "item_index": choices.below(3),
        "run": { "id": "r-1", "started_at": "2026-01-01T00:00:00Z" },
    });
    World { json, typed }
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Sort {
    Int,
    Double,
    Text,
    Bool,
    List,
    Any,
}

pub(crate) struct Generator<'a> {
    pub(crate) choices: Choices<'a>,
    /// Off: an operand of another sort may stand anywhere.
    pub(crate) typed: bool,
    pub(crate) notes: Vec<Note>,
}

impl Generator<'_> {
    pub(crate) fn term(&mut self, sort: Sort, depth: usize) -> String {
        // One mistake makes an interesting expression; a mistake in every part only makes an early error.
        let mistake = !self.typed && self.choices.below(10) == 9;
        let sort = if mistake { Sort::Any } else { sort };
        let text = if depth == 0 || self.choices.below(5) == 0 {
            self.leaf(sort)
        } else {
            let text = self.operation(sort, depth - 1);
            // Behind a list of two sorts the check at load knows nothing, so the mistakes are left to evaluation.
            match self.typed || self.choices.below(3) == 0 {
                true => text,
                false => format!("[{text}, item_index, 'a'][0]"),
            }
        };
        self.notes.push(Note::Part(text.clone()));
        text
    }

    fn leaf(&mut self, sort: Sort) -> String {
        let list: &[&str] = match sort {
            Sort::Int => &[
                "inputs.i",
                "1",
                "inputs.j",
                "item_index",
                "-3",
                "size(inputs.l)",
                "0",
            ],
            Sort::Double => &["inputs.d", "1.5", "inputs.e", "2.0", "-1e3"],
            Sort::Text => &[
                "inputs.s",
                "'a'",
                "inputs.t",
                "run.id",
                "steps.build.status",
                "\"\\u00e9\"",
            ],
            Sort::Bool => &[
                "inputs.b",
                "true",
                "inputs.c",
                "false",
                "has(inputs.z)",
                "has(inputs.o.a)",
            ],
            Sort::List => &[
                "inputs.l",
                "[]",
                "[1, 'a']",
                "[inputs.i]",
                "[inputs.l, null]",
            ],
            Sort::Any => &[
                "inputs.x",
                "inputs.y",
                "inputs.w",
                "item",
                "steps.build.output",
                "inputs.o",
                "inputs.l",
                "inputs.i",
                "inputs.d",
                "inputs.s",
                "inputs.b",
                "inputs.z",
                "steps.skipped.output",
                "inputs['x']",
                "steps['build'].output",
                "null",
                "1",
                "'a'",
                "2.5",
                "true",
                "[]",
            ],
        };
        self.choices.of(list).to_owned()
    }

    fn operation(&mut self, sort: Sort, depth: usize) -> String {
        match sort {
            Sort::Int => match self.choices.below(8) {
                0..=4 => self.infix(Sort::Int, &["+", "-", "*", "/", "%"], depth),
                5 => format!("(-{})", self.term(Sort::Int, depth)),
                6 => format!("size({})", self.term(Sort::Text, depth)),
                _ => format!("int({})", self.term(Sort::Double, depth)),
            },
            Sort::Double => match self.choices.below(6) {
                0..=3 => self.infix(Sort::Double, &["+", "-", "*", "/"], depth),
                4 => format!("(-{})", self.term(Sort::Double, depth)),
                _ => format!("double({})", self.term(Sort::Int, depth)),
            },
            Sort::Text => match self.choices.below(6) {
                0..=2 => self.infix(Sort::Text, &["+"], depth),
                3 => format!("string({})", self.term(Sort::Int, depth)),
                4 => format!("string({})", self.term(Sort::Double, depth)),
                _ => self.choice(Sort::Text, depth),
            },
            Sort::Bool => self.condition(depth),
            Sort::List => match self.choices.below(4) {
                0 | 1 => self.infix(Sort::List, &["+"], depth),
                2 => self.choice(Sort::List, depth),
                _ => {
                    let items: Vec<String> = (0..self.choices.below(4))
                        .map(|_| self.term(Sort::Any, depth))
                        .collect();
                    format!("[{}]", items.join(", "))
                }
            },
            Sort::Any => match self.choices.below(12) {
                0..=2 => self.member(depth),
                3 | 4 => self.optional(depth),
                5 | 6 => self.condition(depth),
                7 => self.choice(Sort::Any, depth),
                8 => self.operation(Sort::List, depth),
                9 => self.operation(Sort::Int, depth),
                10 => self.operation(Sort::Double, depth),
                _ => self.operation(Sort::Text, depth),
            },
        }
    }

    fn infix(&mut self, sort: Sort, ops: &[&str], depth: usize) -> String {
        let (left, op, right) = (
            self.term(sort, depth),
            self.choices.of(ops),
            self.term(sort, depth),
        );
        let text = format!("({left} {op} {right})");
        if op == "+" {
            self.notes.push(Note::Sum { left, right });
        }
        text
    }

    fn choice(&mut self, sort: Sort, depth: usize) -> String {
        let condition = self.term(Sort::Bool, depth);
        let (then, otherwise) = (self.term(sort, depth), self.term(sort, depth));
        format!("({condition} ? {then} : {otherwise})")
    }

    fn condition(&mut self, depth: usize) -> String {
        const ALIKE: [Sort; 5] = [Sort::Int, Sort::Double, Sort::Text, Sort::Bool, Sort::List];
        match self.choices.below(9) {
            0 => {
                let sort = self.choices.of(&ALIKE);
                self.infix(sort, &["==", "!="], depth)
            }
            1 => {
                let sort = self.choices.of(&ALIKE[..4]);
                self.infix(sort, &["<", "<=", ">", ">="], depth)
            }
            2 => {
                let (left, right) = (self.term(Sort::Int, depth), self.term(Sort::Double, depth));
                let op = self.choices.of(&["==", "!=", "<", "<=", ">", ">="]);
                format!("({left} {op} {right})")
            }
            3 | 4 => self.infix(Sort::Bool, &["&&", "||"], depth),
            5 => format!("(!{})", self.term(Sort::Bool, depth)),
            6 => {
                let (left, right) = (self.term(Sort::Any, depth), self.term(Sort::List, depth));
                format!("({left} in {right})")
            }
            7 => {
                let method = self.choices.of(&["startsWith", "endsWith", "contains"]);
                let (text, part) = (self.term(Sort::Text, depth), self.term(Sort::Text, depth));
                format!("{text}.{method}({part})")
            }
            _ => {
                let base = self.term(Sort::Any, depth);
                format!("has({base}.{})", self.choices.of(&FIELDS))
            }
        }
    }

    /// What follows a base to read a member of it.
    fn step_inside(&mut self, base: &str, depth: usize) -> String {
        match self.choices.below(4) {
            0 | 1 => format!(".{}", self.choices.of(&FIELDS)),
            2 => format!("['{}']", self.choices.of(&FIELDS)),
            _ => {
                let index = self.term(Sort::Int, depth.min(1));
                self.notes.push(Note::Index {
                    base: base.to_owned(),
                    index: index.clone(),
                });
                format!("[{index}]")
            }
        }
    }

    fn member(&mut self, depth: usize) -> String {
        let base = self.term(Sort::Any, depth);
        let step = self.step_inside(&base, depth);
        format!("{base}{step}")
    }

    fn optional(&mut self, depth: usize) -> String {
        let base = self.term(Sort::Any, depth);
        let mut chain = format!("{base}.?{}", self.choices.of(&FIELDS));
        self.notes.push(Note::Optional { base });
        for _ in 0..self.choices.below(3) {
            let before = format!("{chain}.orValue({{}})");
            let step = self.step_inside(&before, 0);
            self.notes.push(Note::Continued { chain: before });
            chain.push_str(&step);
        }
        let default = self.term(Sort::Any, depth);
        let text = format!("{chain}.orValue({default})");
        self.notes.push(Note::OrValue { default });
        text
    }
}
