//! What is otherwise between two profiles, for people.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

/// A key with another value than before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyChange {
    /// Where it stands, like `accounts.primary.type`.
    pub path: String,
    /// What it was; `None` when it was not there.
    pub before: Option<Value>,
    /// What it is; `None` when it is not there any more.
    pub after: Option<Value>,
}

/// The keys that are otherwise, in their order, tables looked into. Give it two documents, or what Apple gets of them.
#[must_use]
pub fn difference(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<KeyChange> {
    let mut changes = Vec::new();
    compare("", before, after, &mut changes);
    changes
}

fn compare(
    prefix: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    changes: &mut Vec<KeyChange>,
) {
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let path = format!("{prefix}{key}");
        match (before.get(key), after.get(key)) {
            (Some(Value::Object(before)), Some(Value::Object(after))) => {
                compare(&format!("{path}."), before, after, changes);
            }
            (before, after) if before != after => {
                changes.push(KeyChange { path, before: before.cloned(), after: after.cloned() });
            }
            _ => {}
        }
    }
}

impl fmt::Display for KeyChange {
    /// `department: "IT" -> "Library"`, and for lists what came and went: `skip_setup_items: +Siri -TOS`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path)?;
        if let (Some(Value::Array(before)), Some(Value::Array(after))) = (&self.before, &self.after) {
            let came =
                after.iter().filter(|item| !before.contains(item)).map(|item| format!("+{}", brief(item)));
            let went =
                before.iter().filter(|item| !after.contains(item)).map(|item| format!("-{}", brief(item)));
            let moves: Vec<String> = came.chain(went).collect();
            return match moves.is_empty() {
                true => f.write_str("the same in another order"),
                false => f.write_str(&moves.join(" ")),
            };
        }
        let word = |value: &Option<Value>| value.as_ref().map_or_else(|| "not set".to_owned(), full);
        write!(f, "{} -> {}", word(&self.before), word(&self.after))
    }
}

/// An item of a list; a text without its quotes.
fn brief(item: &Value) -> String {
    short(item.as_str().map_or_else(|| item.to_string(), str::to_owned))
}

fn full(value: &Value) -> String {
    short(value.to_string())
}

/// Certificates are long and say nothing to people.
fn short(text: String) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_otherwise_is_told_key_by_key() {
        let before = json!({ "department": "IT", "locked": true, "skip_setup_items": ["TOS", "Siri"], "same": [1],
            "accounts": { "primary": { "type": "standard" } }, "extra": {} });
        let after = json!({ "department": "Library", "skip_setup_items": ["Siri", "Payment"], "same": [1],
            "accounts": { "primary": { "type": "administrator" } }, "anchor_certs": ["x".repeat(100)], "extra": {} });
        let object = |value: &Value| value.as_object().expect("an object").clone();
        let lines: Vec<String> =
            difference(&object(&before), &object(&after)).iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "accounts.primary.type: \"standard\" -> \"administrator\"".to_owned(),
                format!("anchor_certs: not set -> [\"{}…", "x".repeat(58)),
                "department: \"IT\" -> \"Library\"".to_owned(),
                "locked: true -> not set".to_owned(),
                "skip_setup_items: +Payment -TOS".to_owned(),
            ]
        );
        assert_eq!(difference(&object(&after), &object(&after)), []);
    }
}
