use serde_json::{Map, Value};

use super::{Note, NoteKind};

/// What stands in a note where the input has a password.
const HIDDEN: &str = "(hidden)";

/// A table of the input that is used up field by field. What is left in the end is noted.
pub(super) struct Input {
    /// What stands before the names of the fields, like `accountSettings.`.
    prefix: String,
    fields: Map<String, Value>,
    notes: Vec<Note>,
}

impl Input {
    pub(super) fn new(fields: Map<String, Value>) -> Self {
        Self { prefix: String::new(), fields, notes: Vec::new() }
    }

    /// A table below this one. Its notes come back by [`absorb`](Self::absorb).
    pub(super) fn table(&mut self, key: &str) -> Option<Self> {
        match self.take(key)? {
            Value::Object(fields) => {
                Some(Self { prefix: format!("{}{key}.", self.prefix), fields, notes: Vec::new() })
            }
            wrong => {
                self.wrong(key, wrong, "a table");
                None
            }
        }
    }

    /// Takes what a table below has to say.
    pub(super) fn absorb(&mut self, table: Self) {
        self.notes.extend(table.finish());
    }

    pub(super) fn note(&mut self, kind: NoteKind, key: &str, value: Value, reason: &str) {
        let value = without_passwords(key, value);
        self.notes.push(Note {
            kind,
            path: format!("{}{key}", self.prefix),
            value,
            reason: reason.to_owned(),
        });
    }

    /// A key of ours that the source cannot fill.
    pub(super) fn fill_in(&mut self, key: &str, reason: &str) {
        let note = Note {
            kind: NoteKind::FillIn,
            path: key.to_owned(),
            value: Value::Null,
            reason: reason.to_owned(),
        };
        self.notes.push(note);
    }

    /// The value, unless it is null.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.fields.remove(key).filter(|value| !value.is_null())
    }

    /// The value, which stays.
    pub(super) fn peek(&self, key: &str) -> Option<&Value> {
        self.fields.get(key)
    }

    /// A text, unless it is empty: that is how these systems write that there is none.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => (!text.trim().is_empty()).then_some(text),
            wrong => {
                self.wrong(key, wrong, "a text");
                None
            }
        }
    }

    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        match self.take(key)? {
            Value::Bool(flag) => Some(flag),
            wrong => {
                self.wrong(key, wrong, "true or false");
                None
            }
        }
    }

    pub(super) fn list(&mut self, key: &str) -> Vec<Value> {
        match self.take(key) {
            None => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(wrong) => {
                self.wrong(key, wrong, "a list");
                Vec::new()
            }
        }
    }

    /// What cannot be read is said, and not taken over.
    pub(super) fn wrong(&mut self, key: &str, value: Value, expected: &str) {
        let reason = format!("{expected} was expected here, so it is not taken over");
        self.note(NoteKind::Unknown, key, value, &reason);
    }

    /// Fields that only the other system sets, and that say nothing about devices.
    pub(super) fn ignore(&mut self, read_only: &[&str]) {
        for key in read_only {
            self.fields.remove(*key);
        }
    }

    /// Fields that nothing of ours is like, and why. One that is off there is off here, too, and not noted.
    pub(super) fn no_equivalent(&mut self, table: &[(&str, &str)]) {
        for (key, reason) in table {
            if let Some(value) = self.fields.remove(*key).filter(|value| !is_off(value)) {
                self.note(NoteKind::NoEquivalent, key, value, reason);
            }
        }
    }

    /// Notes everything that is left, whatever its value, for one reason.
    pub(super) fn rest_without_effect(&mut self, reason: &str) {
        for (key, value) in std::mem::take(&mut self.fields) {
            if !is_off(&value) {
                self.note(NoteKind::NoEquivalent, &key, value, reason);
            }
        }
    }

    /// The names of the fields that are left.
    pub(super) fn left(&self) -> Vec<String> {
        self.fields.keys().cloned().collect()
    }

    /// All notes, by path; every field that is left has got one.
    pub(super) fn finish(mut self) -> Vec<Note> {
        for (key, value) in std::mem::take(&mut self.fields) {
            let reason = "Adelie does not know this field, so it is not taken over";
            self.note(NoteKind::Unknown, &key, value, reason);
        }
        self.notes.sort_by(|a, b| (&a.path, a.kind).cmp(&(&b.path, b.kind)));
        self.notes
    }
}

/// Whether the value says that something is not used. In references Jamf Pro writes `-1` or `0` for "none", and Graph
/// an identifier of zeros.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => {
            matches!(text.trim(), "" | "-1" | "0" | "00000000-0000-0000-0000-000000000000")
        }
        Value::Array(items) => items.iter().all(is_off),
        Value::Object(fields) => fields.values().all(is_off),
    }
}

/// Takes passwords out of a value, however deep: what is noted is shown.
fn without_passwords(key: &str, value: Value) -> Value {
    hidden(holds_password(key), value)
}

/// `secret` says that a key above is that of a password, so that all texts below may be one.
fn hidden(secret: bool, value: Value) -> Value {
    match value {
        Value::String(text) if secret && !text.is_empty() => HIDDEN.into(),
        Value::Array(items) => items.into_iter().map(|item| hidden(secret, item)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| {
                let value = hidden(secret || holds_password(&key), value);
                (key, value)
            })
            .collect::<Map<_, _>>()
            .into(),
        other => other,
    }
}

fn holds_password(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "passphrase", "passcode", "secret"].iter().any(|word| key.contains(word))
        && !key.ends_with("type")
}
