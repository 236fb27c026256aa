use serde_json::Value;

use super::Made;
use crate::check::{null, type_name};
use crate::{Finding, Rule, form, keys};

/// Takes Apple's keys that our form does not have. One that it has is refused: two places for one thing would hide
/// which of them counts.
pub(super) fn take(value: &Value, made: &mut Made) {
    let Value::Object(table) = value else {
        let message = format!("must be a table, and is {}", type_name(value));
        let fix = "write a table of Apple's keys";
        made.findings.push(Finding::error("extra", Rule::Type, message, fix));
        return;
    };
    for (key, value) in table {
        let path = format!("extra.{key}");
        if value.is_null() {
            made.findings.push(null(&path));
        } else if let Some(ours) = form::ours_of(key) {
            let message = "a profile has a key of its own for this";
            let fix = if ours == key {
                format!("write `{ours}` outside of `extra`; in TOML, above the first line with a table")
            } else {
                format!("write `{ours}` instead, outside of `extra`")
            };
            made.findings.push(Finding::error(path, Rule::UnknownKey, message, fix));
        } else if form::find(key).is_some() {
            let message = format!("`{key}` is a key of the profile and not of Apple's");
            let fix = "write it outside of `extra`; in TOML, above the first line with a table";
            made.findings.push(Finding::error(path, Rule::UnknownKey, message, fix));
        } else if keys::kind_of(key).is_some() {
            let message = "it is not the file's to set";
            made.findings.push(Finding::error(path, Rule::NotInFile, message, "take the key out"));
        } else {
            if let Some(nearest) = keys::nearest(key) {
                let ours = form::ours_of(nearest).unwrap_or(nearest);
                let message = "Adelie knows no such key of Apple's; it is sent unchanged";
                let fix = format!("write `{ours}`, outside of `extra`, if that was meant");
                made.findings.push(Finding::warning(&path, Rule::UnknownKey, message, fix));
            }
            made.apple.insert(key.clone(), value.clone());
        }
    }
}
