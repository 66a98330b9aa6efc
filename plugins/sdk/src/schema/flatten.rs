//! Objects that are made of the properties of several types, as `#[serde(flatten)]` makes them. JSON Schema cannot take the
//! properties of one closed schema into another, so they are put together here.

use super::{Property, Role, Schema};

/// A type that is an object, so that its properties can be those of another one. Derived with [`Schema`], but for types that may
/// be something else, too.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be flattened, nor stand beside a tag: it is not known to be an object",
    label = "not known to be an object",
    note = "flatten structs with named fields, enums of such, and maps; or name one that looks the same: `#[schema(with = \"Type\")]`"
)]
pub trait Flatten: Schema {
    /// The objects that it may be.
    fn alternatives(role: Role) -> Vec<Members>;
}

/// The properties of an object.
#[doc(hidden)]
#[derive(Clone)]
pub struct Members {
    /// Name and schema, and whether it has to be there.
    listed: Vec<(&'static str, String, bool)>,
    others: Others,
}

/// Which properties are allowed that are not listed.
#[derive(Clone)]
pub(super) enum Others {
    None,
    Any,
    /// Those with this schema.
    Of(String),
}

impl Members {
    pub(super) fn new(others: Others) -> Self {
        Self {
            listed: Vec::new(),
            others,
        }
    }

    fn with(mut self, other: Self) -> Self {
        self.listed.extend(other.listed);
        self.others = match (self.others, other.others) {
            (Others::None, others) | (others, Others::None) => others,
            (Others::Of(a), Others::Of(b)) if a == b => Others::Of(a),
            _ => Others::Any,
        };
        self
    }

    fn write(&self, out: &mut String) {
        out.push_str("\"type\":\"object\",\"properties\":{");
        let mut separator = "";
        for (name, schema, _) in &self.listed {
            out.push_str(separator);
            out.push_str(name);
            out.push(':');
            out.push_str(schema);
            separator = ",";
        }
        out.push('}');
        let mut separator = ",\"required\":[";
        for (name, ..) in self.listed.iter().filter(|(.., required)| *required) {
            out.push_str(separator);
            out.push_str(name);
            separator = ",";
        }
        if separator == "," {
            out.push(']');
        }
        match &self.others {
            Others::None => out.push_str(",\"additionalProperties\":false"),
            Others::Any => {}
            Others::Of(schema) => {
                out.push_str(",\"additionalProperties\":");
                out.push_str(schema);
            }
        }
    }
}

/// The object with these properties and no others, as a list of one.
#[doc(hidden)]
#[must_use]
pub fn members(
    role: Role,
    properties: &[Property],
    required: &[bool],
    closed: bool,
) -> Vec<Members> {
    let others = if closed { Others::None } else { Others::Any };
    let mut members = Members::new(others);
    for ((name, description, write), required) in properties.iter().zip(required) {
        let mut schema = String::new();
        write(&mut schema, role, description);
        members.listed.push((name, schema, *required));
    }
    vec![members]
}

/// The objects that have the properties of one of each list.
#[doc(hidden)]
#[must_use]
pub fn merged(lists: Vec<Vec<Members>>) -> Vec<Members> {
    let mut all = vec![Members::new(Others::None)];
    for list in lists {
        let mut both = Vec::new();
        for members in &all {
            both.extend(list.iter().map(|other| members.clone().with(other.clone())));
        }
        all = both;
    }
    all
}

/// Appends the members of the schema of what is one of these.
#[doc(hidden)]
pub fn alternatives(out: &mut String, alternatives: Vec<Members>) {
    if let [only] = &*alternatives {
        only.write(out);
        return;
    }
    let mut separator = "\"anyOf\":[{";
    for members in alternatives {
        out.push_str(separator);
        members.write(out);
        separator = "},{";
    }
    out.push_str("}]");
}
