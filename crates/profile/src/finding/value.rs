//! What stood at the place of a finding, for those who read findings with a program.

use serde_json::{Map, Value};

use crate::{Finding, texts};

/// What is known to hold no secret among account settings.
const SHOWN_OF_ACCOUNTS: &[&str] = &[
    "create",
    "type",
    "full_name",
    "account_name",
    "restrict_editing",
    "short_name",
    "hidden",
    "managed_local_user",
];

/// Adds to each finding what stands at its path: texts, numbers and flags, and never what may be a secret.
pub(crate) fn add(findings: &mut [Finding], raw: &Map<String, Value>) {
    for finding in findings.iter_mut().filter(|finding| finding.value.is_none()) {
        if may_be_shown(&finding.path) {
            finding.value = at(raw, &finding.path).and_then(short);
        }
    }
}

fn may_be_shown(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    if ["password", "passphrase", "passcode", "secret"].iter().any(|word| lower.contains(word)) {
        return false;
    }
    match path.strip_prefix("accounts") {
        // A misspelt key may be that of a password.
        Some(rest) => rest.rsplit('.').next().is_some_and(|key| SHOWN_OF_ACCOUNTS.contains(&key)),
        None => true,
    }
}

fn at<'a>(raw: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    // A key that nobody knows may have dots in it.
    if let Some(value) = raw.get(path) {
        return Some(value);
    }
    let mut steps = path.split(['.', '[']).map(|step| step.trim_end_matches(']'));
    let first = raw.get(steps.next()?)?;
    steps.try_fold(first, |value, step| match value {
        Value::Object(table) => table.get(step),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

fn short(value: &Value) -> Option<Value> {
    match value {
        Value::Array(_) | Value::Object(_) => None,
        Value::String(text) => Some(texts::cut(text).into()),
        scalar => Some(scalar.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Rule;

    #[test]
    fn the_value_is_that_of_the_path_and_no_secret() {
        let Value::Object(raw) = json!({
            "name": 4, "a.b": "dotted", "panes": {"skip": ["Siri", "Sirri"]}, "deep": {"x": [{"y": true}]},
            "admin_password": "hunter2",
            "accounts": {"administrator": {"short_name": "Root", "pasword": "hunter2", "password": "hunter2"}},
        }) else {
            panic!("a table")
        };
        for (path, value) in [
            ("name", Some(json!(4))),
            ("a.b", Some(json!("dotted"))),
            ("panes.skip[1]", Some(json!("Sirri"))),
            ("deep.x[0].y", Some(json!(true))),
            ("panes", None),
            ("panes.skip[7]", None),
            ("gone", None),
            ("", None),
            ("admin_password", None),
            ("accounts.administrator.short_name", Some(json!("Root"))),
            ("accounts.administrator.pasword", None),
            ("accounts.administrator.password", None),
        ] {
            let mut findings = [Finding::error(path, Rule::Type, "m", "f")];
            add(&mut findings, &raw);
            assert_eq!(findings[0].value, value, "{path}");
        }
    }
}
