//! From the JSON of a schema to what is checked. References are followed once, here.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Bounds, JsonSchema, Keywords, Kind, Lists, Node, Numbers, Objects};

impl JsonSchema {
    /// Compiles a schema. What is malformed in it says nothing, as an unknown keyword does.
    #[must_use]
    pub fn compile(schema: &Value) -> Self {
        let mut compiler = Compiler {
            document: schema,
            nodes: Vec::new(),
            known: BTreeMap::new(),
        };
        let root = compiler.node(schema);
        Self {
            nodes: compiler.nodes,
            root,
        }
    }
}

struct Compiler<'a> {
    document: &'a Value,
    nodes: Vec<Node>,
    /// Where schemas were put that references lead to, by the address of their JSON: a reference may lead back to where it stands.
    known: BTreeMap<*const Value, usize>,
}

impl<'a> Compiler<'a> {
    fn node(&mut self, schema: &'a Value) -> usize {
        if let Some(at) = self.known.get(&std::ptr::from_ref(schema)) {
            return *at;
        }
        let at = self.nodes.len();
        self.known.insert(std::ptr::from_ref(schema), at);
        self.nodes.push(Node::Anything);
        self.nodes[at] = match schema {
            Value::Bool(false) => Node::Nothing,
            Value::Object(keywords) => self.keywords(keywords),
            _ => Node::Anything,
        };
        at
    }

    fn keywords(&mut self, keywords: &'a Map<String, Value>) -> Node {
        let number = |key: &str| keywords.get(key).and_then(Value::as_number).cloned();
        let mut all = self.nodes_of(keywords.get("allOf"));
        if let Some(reference) = keywords.get("$ref").and_then(Value::as_str)
            && let Some(target) = self.target(reference)
        {
            all.push(self.node(target));
        }
        let condition = keywords.get("if").map(|schema| {
            let [then, or] = ["then", "else"].map(|key| self.optional(keywords.get(key)));
            (self.node(schema), then, or)
        });
        Node::Keywords(Box::new(Keywords {
            types: types(keywords),
            values: match (keywords.get("enum"), keywords.get("const")) {
                (_, Some(value)) => Some(vec![value.clone()]),
                (Some(Value::Array(values)), None) => Some(values.clone()),
                (_, None) => None,
            },
            numbers: Numbers {
                minimum: number("minimum"),
                maximum: number("maximum"),
                more_than: number("exclusiveMinimum"),
                less_than: number("exclusiveMaximum"),
                multiple_of: number("multipleOf"),
            },
            length: bounds(keywords, "minLength", "maxLength"),
            objects: self.objects(keywords),
            lists: self.lists(keywords),
            all,
            any_of: self.nodes_of(keywords.get("anyOf")),
            one_of: self.nodes_of(keywords.get("oneOf")),
            not: self.optional(keywords.get("not")),
            condition,
        }))
    }

    fn objects(&mut self, keywords: &'a Map<String, Value>) -> Objects {
        let matched = keywords.contains_key("patternProperties");
        let others = keywords.get("additionalProperties").filter(|_| !matched);
        let entries = |key: &str| keywords.get(key).and_then(Value::as_object);
        let dependent = entries("dependentRequired").into_iter().flatten();
        let mut named = |key: &str| -> BTreeMap<String, usize> {
            let schemas = entries(key).into_iter().flatten();
            schemas
                .map(|(name, schema)| (name.clone(), self.node(schema)))
                .collect()
        };
        Objects {
            properties: named("properties"),
            with_schema: named("dependentSchemas"),
            required: strings(keywords.get("required")),
            others: self.optional(others),
            names: self.optional(keywords.get("propertyNames")),
            size: bounds(keywords, "minProperties", "maxProperties"),
            with_required: dependent
                .map(|(name, required)| (name.clone(), strings(Some(required))))
                .collect(),
        }
    }

    fn lists(&mut self, keywords: &'a Map<String, Value>) -> Lists {
        // Before 2020-12, the first elements stood in `items`, and the others in `additionalItems`.
        let (first, items) = match keywords.get("items") {
            first @ Some(Value::Array(_)) => (first, keywords.get("additionalItems")),
            items => (keywords.get("prefixItems"), items),
        };
        Lists {
            first: self.nodes_of(first),
            items: self.optional(items),
            contains: self.optional(keywords.get("contains")),
            contained: bounds(keywords, "minContains", "maxContains"),
            size: bounds(keywords, "minItems", "maxItems"),
            unique: keywords.get("uniqueItems") == Some(&Value::Bool(true)),
        }
    }

    fn nodes_of(&mut self, schemas: Option<&'a Value>) -> Vec<usize> {
        let schemas = schemas.and_then(Value::as_array);
        let schemas = schemas.into_iter().flatten();
        schemas.map(|schema| self.node(schema)).collect()
    }

    fn optional(&mut self, schema: Option<&'a Value>) -> Option<usize> {
        schema.map(|schema| self.node(schema))
    }

    /// Where a reference inside the schema leads.
    fn target(&self, reference: &str) -> Option<&'a Value> {
        self.document.pointer(reference.strip_prefix('#')?)
    }
}

fn types(keywords: &Map<String, Value>) -> Option<Vec<Kind>> {
    let names = match keywords.get("type")? {
        Value::String(name) => vec![name.as_str()],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    // A type that is not known may be any.
    names.into_iter().map(Kind::named).collect()
}

fn bounds(keywords: &Map<String, Value>, least: &str, most: &str) -> Bounds {
    let [least, most] = [least, most].map(|key| keywords.get(key).and_then(Value::as_u64));
    Bounds { least, most }
}

fn strings(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array);
    let texts = list.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}
