use serde_json::{Map, Value, json};

use super::{Severity, TYPES, posted};

/// Where the schema is published.
pub const SCHEMA_URL: &str = "https://github.com/adelie-ade/adelie/raw/main/docs/events.schema.json";

/// The JSON Schema (draft 2020-12) of what is posted in the standard format, with the details of every type.
#[must_use]
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let mut bodies = Vec::new();
    for known in TYPES {
        let mut details = apart((known.schema)().to_value(), &mut definitions);
        if let Some(added) = posted::added(known.name, &details) {
            let mut added = apart(added.to_value(), &mut definitions);
            if let (Some(stored), Value::Object(more)) =
                (details["properties"].as_object_mut(), added["properties"].take())
            {
                stored.extend(more);
            }
        }
        definitions.insert(known.name.to_owned(), details);
        bodies.push(json!({
            "description": known.about,
            "properties": {
                "type": { "const": known.name },
                "severity": { "const": known.severity },
                "data": { "$ref": format!("#/$defs/{}", known.name) },
            },
        }));
    }
    let severities = [Severity::Info, Severity::Notice, Severity::Warning, Severity::Error];
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_URL,
        "title": "Webhook of Adelie",
        "type": "object",
        "required": ["id", "type", "timestamp", "severity", "sequence", "data"],
        "properties": {
            "id": { "type": "string", "description": "The event; the same over retries, restarts and replays." },
            "type": { "type": "string", "description": "What kind of event it is." },
            "timestamp": { "type": "string", "format": "date-time", "description": "When it happened." },
            "severity": { "enum": severities, "description": "How serious it is." },
            "sequence": {
                "type": "integer",
                "description": "Grows with every event of a device, so that a receiver can order them. Gaps mean nothing.",
            },
            "mdm_server": {
                "type": ["string", "null"],
                "description": "Our name of the MDM server; null for what concerns none of them.",
            },
            "serial_number": {
                "type": ["string", "null"],
                "description": "The device; null when it is about several, which data names, or about none.",
            },
            "data": { "type": "object", "description": "Details." },
        },
        "oneOf": bodies,
        "$defs": definitions,
    })
}

/// A schema without the definitions of its parts. They are the same for all types, and stand once beside them.
fn apart(mut schema: Value, definitions: &mut Map<String, Value>) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
        if let Some(Value::Object(parts)) = object.remove("$defs") {
            definitions.extend(parts);
        }
    }
    schema
}
