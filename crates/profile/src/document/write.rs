//! Documents as the text of a file.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value};

use crate::Format;
use crate::form::{self, Form};

/// A value for which a format has no way to write it, like a null in TOML.
#[derive(Debug, thiserror::Error)]
#[error("the profile cannot be written as {format}: {reason}; choose another format")]
pub struct WriteError {
    format: Format,
    reason: String,
}

/// Writes a document in either form: the name comes first, accounts and extra keys last, and reading it again gives
/// the same.
///
/// # Errors
/// When the format has no way to write a value; only keys that we do not know can hold such.
pub fn write(document: &Map<String, Value>, format: Format) -> Result<String, WriteError> {
    let ordered = Ordered { table: document, order: order_of(document) };
    let error = |reason: String| WriteError { format, reason };
    match format {
        Format::Json => {
            serde_json::to_string_pretty(&ordered).map(|text| text + "\n").map_err(|e| error(e.to_string()))
        }
        Format::Toml => toml::to_string_pretty(&ordered).map_err(|e| error(e.to_string())),
        Format::Yaml => yaml_serde::to_string(&ordered).map_err(|e| error(e.to_string())),
    }
}

/// The order in which Apple's keys are pleasant to read; the others follow by their names.
const APPLE: &[&str] = &["profile_name", "url", "configuration_web_url"];

/// The order below the first level.
const NESTED: &[&str] = &[
    "skip",
    "show",
    "skip_all_except",
    "primary",
    "administrator",
    "managed_local_user",
    "create",
    "type",
    "short_name",
    "full_name",
    "account_name",
    "restrict_editing",
    "hidden",
    "password",
];

fn order_of(document: &Map<String, Value>) -> Vec<&'static str> {
    match Form::of(document.keys()) {
        Form::Ours => form::KEYS.iter().map(|key| key.name).collect(),
        Form::Apple => APPLE.to_vec(),
    }
}

/// A table whose keys are written in an order, and those that are not in it afterwards by name. Tables come last on
/// each level, because in TOML all that follows a table's header belongs to it.
struct Ordered<'a> {
    table: &'a Map<String, Value>,
    order: Vec<&'static str>,
}

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries: Vec<_> = self.table.iter().collect();
        entries.sort_by_key(|(key, value)| {
            let rank = self.order.iter().position(|known| known == key).unwrap_or(self.order.len());
            (value.is_object(), rank, *key)
        });
        let mut map = serializer.serialize_map(Some(entries.len()))?;
        for (key, value) in entries {
            match value {
                Value::Object(table) => {
                    map.serialize_entry(key, &Ordered { table, order: NESTED.to_vec() })?;
                }
                other => map.serialize_entry(key, other)?,
            }
        }
        map.end()
    }
}
