//! JSON Schemas of the types that serialize themselves (feature `schema`); the other ones derive theirs.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::ids::{Digest, Epoch, Path, RunId, StepId};
use crate::labels::Labels;
use crate::payload::Payload;
use crate::rules::Rules;
use crate::time::Timestamp;

macro_rules! described {
    ($($type:ident: $schema:tt)*) => {$(
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

described! {
    RunId: { "type": "string" }
    StepId: { "type": "string" }
    Path: { "type": "string" }
    Digest: { "type": "string", "pattern": "^sha256:[0-9a-f]{64}$" }
    Timestamp: { "type": "string", "format": "date-time" }
    Labels: { "type": "object", "additionalProperties": { "type": "string" } }
    Epoch: { "type": "integer", "minimum": 0 }
    Rules: { "type": "integer", "minimum": 0 }
    // Any value of a user or a plugin.
    Payload: {}
}
