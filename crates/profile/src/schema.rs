//! The JSON Schema of our form, for editors. Made of the tables that files are read with.

use serde_json::{Map, Value, json};

use crate::accounts::{ENTROPY_BYTES, SALT_BYTES};
use crate::document::{AFFINITY_WORDS, PANE_KEYS};
use crate::form::{EDITOR_KEY, KEYS, Key, Shape};
use crate::keys::{self, Kind};
use crate::skip_keys;

/// Where the schema is published.
pub const SCHEMA_URL: &str = "https://github.com/adelie-ade/adelie/raw/main/docs/profile.schema.json";

/// The schema (JSON Schema, draft 2020-12). It tells a misspelt key or a wrong type while the file is written; what
/// keys mean together only checking the file can tell.
#[must_use]
pub fn schema() -> Value {
    let mut properties: Map<String, Value> =
        KEYS.iter().map(|key| (key.name.to_owned(), described(property(key), key.about))).collect();
    let about = "Where an editor finds this schema; Adelie passes over it.";
    properties.insert(EDITOR_KEY.to_owned(), described(json!({ "type": "string" }), about));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_URL,
        "title": "Enrollment profile of Adelie",
        "description": "What a device gets when it is set up. Files in TOML, YAML and JSON have the same keys.",
        "type": "object",
        "required": ["name", "url"],
        "additionalProperties": false,
        "properties": properties,
    })
}

fn property(key: &Key) -> Value {
    match key.shape {
        Shape::Apple(apple) => of_kind(keys::kind_of(apple)),
        Shape::Locked => json!({ "type": "boolean" }),
        Shape::Affinity => {
            let words: Vec<_> = AFFINITY_WORDS.iter().map(|(word, _)| *word).collect();
            json!({ "enum": words })
        }
        Shape::WebUrl => json!({ "type": "string", "pattern": "^https://" }),
        Shape::Description => json!({ "type": "string" }),
        Shape::Platforms => json!({
            "type": "array",
            "uniqueItems": true,
            "items": {
                "type": "string",
                "pattern": "^\\s*([iI][oO][sS]|[iI][pP][aA][dD][oO][sS]|[mM][aA][cC][oO][sS]|[tT][vV][oO][sS]|\
                            [vV][iI][sS][iI][oO][nN][oO][sS])(\\s+[0-9]+(\\.[0-9]+){0,2})?\\s*$",
                "examples": ["macOS", "macOS 26.1", "iOS 26.1", "iPadOS 26.1", "tvOS", "visionOS 26.0"],
            },
        }),
        Shape::Certificates(_) => certificates(),
        Shape::Panes => panes(),
        Shape::Accounts => accounts(),
        Shape::Extra => json!({ "type": "object" }),
    }
}

fn of_kind(kind: Option<Kind>) -> Value {
    match kind {
        Some(Kind::Text { max } | Kind::Email { max } | Kind::EnrollUrl { max }) => {
            json!({ "type": "string", "minLength": 1, "maxLength": max })
        }
        Some(Kind::WebUrl) => json!({ "type": "string", "pattern": "^https://" }),
        Some(Kind::Flag) => json!({ "type": "boolean" }),
        Some(Kind::Language) => json!({ "type": "string", "pattern": "^[a-z]{2,3}$" }),
        Some(Kind::Region) => json!({ "type": "string", "pattern": "^[A-Z]{2}$" }),
        Some(Kind::Certificates | Kind::SkipItems | Kind::NotInFile) | None => json!({}),
    }
}

fn certificates() -> Value {
    json!({
        "type": "array",
        "items": {
            "anyOf": [
                { "type": "string", "minLength": 1 },
                table(&["file"], json!({
                    "file": described(
                        json!({ "type": "string", "minLength": 1 }),
                        "A file with certificates in PEM or DER; its path is relative to this file.",
                    ),
                })),
            ],
        },
    })
}

fn panes() -> Value {
    let known: Vec<_> =
        skip_keys::all().iter().map(|key| json!({ "const": key.key, "title": key.title })).collect();
    // Apple may add a key at any time, and an unknown one in `skip` is only a warning.
    let any = json!({ "type": "array", "items": { "anyOf": [{ "oneOf": known }, { "type": "string" }] } });
    let one_of_ours = json!({ "type": "array", "items": { "oneOf": known } });
    let properties: Map<String, Value> = PANE_KEYS
        .iter()
        .map(|(key, about)| {
            let list = if *key == "skip" { any.clone() } else { one_of_ours.clone() };
            ((*key).to_owned(), described(list, about))
        })
        .collect();
    let mut schema = table(&[], properties.into());
    schema["not"] = json!({
        "required": ["skip_all_except"],
        "anyOf": [{ "required": ["skip"] }, { "required": ["show"] }],
    });
    schema
}

fn accounts() -> Value {
    let name = json!({ "type": "string", "minLength": 1 });
    let with_variables = "may contain {{partialupn}}, {{username}}, {{serial_number}} and {{device_name}}.";
    let flag = json!({ "type": "boolean" });
    let primary = json!({
        "create": described(flag.clone(), "False leaves the account out. It needs an administrator."),
        "type": described(json!({ "enum": ["standard", "administrator"] }), "What the user may do on the Mac."),
        "full_name": described(name.clone(), &format!("Filled in as the full name; {with_variables}")),
        "account_name": described(name.clone(), &format!("Filled in as the account name; {with_variables}")),
        "restrict_editing": described(flag.clone(), "Whether the user is kept from changing the names. On by itself."),
    });
    let administrator = json!({
        "short_name": described(name.clone(), &format!("The account name; {with_variables}")),
        "full_name": described(name.clone(), &format!("The name for people; {with_variables}")),
        "hidden": described(flag, "Whether the login window leaves the account out."),
        "password": described(password(), "Best `generated`: a new password for each Mac."),
    });
    table(
        &[],
        json!({
            "primary": described(table(&[], primary), "The account that Setup Assistant makes for the user."),
            "administrator": described(
                table(&["short_name", "password"], administrator),
                "An administrator whom the MDM server makes before any user is there.",
            ),
            "managed_local_user": described(
                name,
                "The short name of the account that the MDM server manages (macOS 11).",
            ),
        }),
    )
}

fn password() -> Value {
    let bytes = |count: usize| json!({ "type": "string", "contentEncoding": "base64", "description": format!("{count} bytes in base64.") });
    let hash = table(
        &["entropy", "salt", "iterations"],
        json!({
            "entropy": bytes(ENTROPY_BYTES),
            "salt": bytes(SALT_BYTES),
            "iterations": { "type": "integer", "minimum": 1, "maximum": u32::MAX },
        }),
    );
    json!({
        "anyOf": [
            { "const": "generated", "description": "A new password for each Mac." },
            { "const": "stored", "description": "The password that the profile has where it is stored." },
            table(&["given"], json!({ "given": { "type": "string", "minLength": 1 } })),
            table(&["hashed"], json!({ "hashed": hash })),
        ],
    })
}

/// A table with these properties and no others.
fn table(required: &[&str], properties: Value) -> Value {
    let mut table = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        table["required"] = required.into();
    }
    table
}

fn described(mut schema: Value, about: &str) -> Value {
    schema["description"] = about.into();
    schema
}

#[cfg(test)]
mod tests;
