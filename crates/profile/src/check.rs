//! All rules for a profile, over the keys one by one and then over keys together.

use serde_json::{Map, Value};

use crate::keys::{self, Kind};
use crate::{Finding, Findings, Rule, certificates, skip_setup_items, texts};

/// The key under which [account settings](crate::accounts) stand.
const ACCOUNTS: &str = "accounts";

/// Checks a table of Apple's keys. Returns what Apple is to receive, and everything found.
pub(crate) fn check(raw: Map<String, Value>) -> (Map<String, Value>, Findings) {
    let mut findings = Vec::new();
    let mut apple = Map::new();
    for (key, value) in raw {
        match keys::kind_of(&key) {
            Some(Kind::NotInFile) => {
                findings.push(not_in_file(&key, &value));
                continue;
            }
            Some(kind) => check_value(&key, &value, kind, &mut findings),
            None if key == ACCOUNTS => {
                findings.push(accounts_in_file());
                continue;
            }
            None => findings.push(unknown_key(&key)),
        }
        apple.insert(key, value);
    }
    check_required(&apple, &mut findings);
    check_supervision(&apple, &mut findings);
    check_auto_advance(&apple, &mut findings);
    (apple, Findings::new(findings))
}

fn check_value(key: &str, value: &Value, kind: Kind, findings: &mut Vec<Finding>) {
    match (kind, value) {
        (_, Value::Null) => findings.push(Finding::error(
            key,
            Rule::Empty,
            "the value is null, which Apple does not take",
            texts::fix_of_empty(key),
        )),
        (Kind::Flag, Value::Bool(_)) => {}
        (Kind::Text { max }, Value::String(text)) => texts::check_text(key, text, max, findings),
        (Kind::Email { max }, Value::String(text)) => texts::check_email(key, text, max, findings),
        (Kind::EnrollUrl { max }, Value::String(text)) => texts::check_enroll_url(key, text, max, findings),
        (Kind::WebUrl, Value::String(text)) => texts::check_web_url(key, text, findings),
        (Kind::Language, Value::String(text)) => texts::check_language(key, text, findings),
        (Kind::Region, Value::String(text)) => texts::check_region(key, text, findings),
        (Kind::Certificates, Value::Array(items)) => {
            for (path, text) in texts_of(key, items, findings) {
                certificates::check(path, text, findings);
            }
        }
        (Kind::SkipItems, Value::Array(items)) => {
            let items = texts_of(key, items, findings);
            skip_setup_items::check(items, findings);
        }
        (kind, wrong) => findings.push(wrong_type(key, kind, wrong)),
    }
}

/// The texts of a list with the path of each; anything else in the list is an error.
fn texts_of<'a>(key: &str, items: &'a [Value], findings: &mut Vec<Finding>) -> Vec<(String, &'a str)> {
    let mut texts = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        let path = format!("{key}[{at}]");
        match item {
            Value::String(text) => texts.push((path, text.as_str())),
            wrong => findings.push(Finding::error(
                path,
                Rule::Type,
                format!("must be a text, and is {}", type_name(wrong)),
                "put the entry in quotes, or take it out",
            )),
        }
    }
    texts
}

fn wrong_type(key: &str, kind: Kind, wrong: &Value) -> Finding {
    let (expected, fix) = match (kind, wrong) {
        (Kind::Flag, _) => ("true or false", "write true or false, without quotes"),
        (Kind::Certificates | Kind::SkipItems, Value::String(_)) => {
            ("a list of texts", "put the text in [ ]")
        }
        (Kind::Certificates | Kind::SkipItems, _) => ("a list of texts", "write a list of texts in [ ]"),
        (_, Value::Number(_) | Value::Bool(_)) => ("a text", "put the value in quotes"),
        _ => ("a text", "write one text in quotes"),
    };
    Finding::error(key, Rule::Type, format!("must be {expected}, and is {}", type_name(wrong)), fix)
}

pub(crate) fn type_name(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => format!("the flag {flag}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {}", texts::quote(text)),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a table".into(),
    }
}

/// Both keys come with profiles that were read back from Apple or taken from another tool, so they are no
/// error: they are left out.
fn not_in_file(key: &str, value: &Value) -> Finding {
    if key == "devices" {
        let serials = value.as_array().map_or(0, Vec::len);
        return Finding::warning(
            key,
            Rule::NotInFile,
            format!(
                "the {serials} serial numbers here are ignored: Adelie assigns devices by defaults and rules"
            ),
            "take the key out and run `adelie server set NAME --default FAMILY=PROFILE`",
        );
    }
    Finding::warning(
        key,
        Rule::NotInFile,
        "ignored: Apple gives a profile its identifier when it is published",
        "take the key out",
    )
}

/// Unknown keys pass through to Apple, and passwords may stand in this one.
fn accounts_in_file() -> Finding {
    Finding::error(
        ACCOUNTS,
        Rule::NotInFile,
        "account settings are no part of a profile at Apple, and Adelie does not keep them yet",
        "take the key out: an MDM server sets accounts up by its AccountConfiguration command",
    )
}

fn unknown_key(key: &str) -> Finding {
    let fix = keys::nearest(key).map_or_else(
        || "check the spelling, or keep it if Apple has added it since".to_owned(),
        |nearest| format!("write `{nearest}` if that was meant; the key is sent as it is"),
    );
    Finding::warning(key, Rule::UnknownKey, "Adelie knows no such key of Apple's; it is sent unchanged", fix)
}

fn check_required(apple: &Map<String, Value>, findings: &mut Vec<Finding>) {
    for (key, code, fix) in [
        ("profile_name", "CONFIG_NAME_REQUIRED", "add a `profile_name` of up to 125 characters"),
        ("url", "CONFIG_URL_REQUIRED", "add the `url` at which your MDM server enrolls devices"),
    ] {
        if !apple.contains_key(key) {
            let message = format!("every profile needs it: Apple would answer {code}");
            findings.push(Finding::error(key, Rule::Required, message, fix));
        }
    }
}

/// A flag's value; `None` when it is of another type, which has its own finding.
fn flag(apple: &Map<String, Value>, key: &str, default: bool) -> Option<bool> {
    apple.get(key).map_or(Some(default), Value::as_bool)
}

fn check_supervision(apple: &Map<String, Value>, findings: &mut Vec<Finding>) {
    if flag(apple, "is_supervised", false) != Some(false) {
        return;
    }
    if flag(apple, "is_mdm_removable", true) == Some(false) {
        findings.push(Finding::error(
            "is_mdm_removable",
            Rule::LockNeedsSupervision,
            "only a supervised device can keep its user from removing the enrollment: Apple would answer FLAGS_INVALID",
            "set `is_supervised` to true as well",
        ));
    }
    if flag(apple, "await_device_configured", false) == Some(true) {
        findings.push(Finding::warning(
            "await_device_configured",
            Rule::AwaitNeedsSupervision,
            "iOS and iPadOS do not await configuration when the profile does not ask for supervision",
            "set `is_supervised` to true as well",
        ));
    }
    if apple.get("supervising_host_certs").and_then(Value::as_array).is_some_and(|certs| !certs.is_empty()) {
        findings.push(Finding::warning(
            "supervising_host_certs",
            Rule::HostCertsNeedSupervision,
            "host certificates have no effect when the profile does not ask for supervision",
            "set `is_supervised` to true as well, or take the certificates out",
        ));
    }
}

fn check_auto_advance(apple: &Map<String, Value>, findings: &mut Vec<Finding>) {
    if flag(apple, "auto_advance_setup", false) != Some(true) {
        return;
    }
    for key in ["language", "region"] {
        if !apple.contains_key(key) {
            findings.push(Finding::warning(
                key,
                Rule::AutoAdvanceLocale,
                format!("Setup Assistant is to advance by itself, and nothing tells it the {key}"),
                format!("set `{key}` as well"),
            ));
        }
    }
}

#[cfg(test)]
mod tests;
