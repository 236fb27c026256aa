//! All rules for what Apple gets, over the keys one by one and then over keys together.

use serde_json::{Map, Value};

use crate::form::Form;
use crate::keys::{self, Kind};
use crate::{Finding, Findings, Rule, certificates, skip_setup_items, texts};

pub(crate) mod anchors;
pub(crate) mod platforms;
mod together;

/// The key under which [account settings](crate::accounts) stand.
pub(crate) const ACCOUNTS: &str = "accounts";

/// What the file under check calls Apple's keys, so that findings speak of what its author wrote.
#[derive(Clone, Copy)]
pub(crate) struct Names {
    pub(crate) form: Form,
    /// Where `configuration_web_url` comes from.
    pub(crate) web_url: &'static str,
}

impl Names {
    pub(crate) const APPLE: Self = Self { form: Form::Apple, web_url: "configuration_web_url" };

    pub(crate) fn of(self, apple: &'static str) -> &'static str {
        if apple == "configuration_web_url" { self.web_url } else { self.form.word(apple) }
    }
}

/// Checks a table of Apple's keys. Returns what Apple is to receive, and everything found.
pub(crate) fn check(raw: Map<String, Value>) -> (Map<String, Value>, Findings) {
    let mut findings = Vec::new();
    let mut apple = without_foreign(raw.clone(), &mut findings);
    if apple.remove(ACCOUNTS).is_some() {
        findings.push(accounts_in_file());
    }
    content(&apple, Names::APPLE, &mut findings);
    crate::finding::value::add(&mut findings, &raw);
    (apple, Findings::new(findings))
}

/// Checks what Apple is to receive.
pub(crate) fn content(apple: &Map<String, Value>, names: Names, findings: &mut Vec<Finding>) {
    for (key, value) in apple {
        match keys::find(key) {
            Some((key, kind)) => check_value(names, key, value, kind, findings),
            // In our form they stand in a table of their own, so nobody takes them for ours.
            None if names.form == Form::Ours => {}
            None => findings.push(unknown_key(key)),
        }
    }
    together::check(apple, names, findings);
}

/// Takes out the keys that come with profiles which were read back from Apple or taken from another tool. They are
/// no error.
pub(crate) fn without_foreign(
    mut raw: Map<String, Value>,
    findings: &mut Vec<Finding>,
) -> Map<String, Value> {
    for (key, _) in keys::all().filter(|(_, kind)| *kind == Kind::NotInFile) {
        if let Some(value) = raw.remove(key) {
            findings.push(not_in_file(key, &value));
        }
    }
    raw
}

fn check_value(names: Names, apple: &'static str, value: &Value, kind: Kind, findings: &mut Vec<Finding>) {
    let key = names.of(apple);
    match (kind, value) {
        (_, Value::Null) => findings.push(null(key)),
        (Kind::Flag, Value::Bool(_)) => {}
        (Kind::Text { max }, Value::String(text)) => texts::check_text(key, text, max, findings),
        (Kind::Email { max }, Value::String(text)) => texts::check_email(key, text, max, findings),
        (Kind::EnrollUrl { max }, Value::String(text)) => texts::check_enroll_url(key, text, max, findings),
        (Kind::WebUrl, Value::String(text)) => texts::check_web_url(key, text, findings),
        (Kind::Language, Value::String(text)) => texts::check_language(key, text, findings),
        (Kind::Region, Value::String(text)) => texts::check_region(key, text, findings),
        // Our form has other places for these two, and checks them there.
        (Kind::Certificates | Kind::SkipItems, _) if names.form == Form::Ours => {}
        (Kind::Certificates, Value::Array(items)) => {
            for (path, text) in texts_of(key, items, findings) {
                certificates::check(path, text, findings);
            }
        }
        (Kind::SkipItems, Value::Array(items)) => {
            let items = texts_of(key, items, findings);
            skip_setup_items::check(items, &[], findings);
        }
        (kind, wrong) => findings.push(wrong_type(key, kind, wrong)),
    }
}

/// The finding about a null.
pub(crate) fn null(key: &str) -> Finding {
    Finding::error(key, Rule::Empty, "the value is null, which Apple does not take", texts::fix_of_empty(key))
}

/// The texts of a list with the path of each; anything else in the list is an error.
pub(crate) fn texts_of<'a>(
    key: &str,
    items: &'a [Value],
    findings: &mut Vec<Finding>,
) -> Vec<(String, &'a str)> {
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

pub(crate) fn wrong_type(key: &str, kind: Kind, wrong: &Value) -> Finding {
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

/// The finding about something that stands in the place of one text.
pub(crate) fn not_a_text(key: &str, wrong: &Value) -> Finding {
    wrong_type(key, Kind::WebUrl, wrong)
}

/// The finding about something that stands in the place of a list.
pub(crate) fn not_a_list(key: &str, wrong: &Value) -> Finding {
    wrong_type(key, Kind::SkipItems, wrong)
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
        "account settings are no part of what Apple gets",
        "take the key out, or read the profile as a document",
    )
}

pub(crate) fn unknown_key(key: &str) -> Finding {
    let fix = keys::nearest(key).map_or_else(
        || "check the spelling, or keep it if Apple has added it since".to_owned(),
        |nearest| format!("write `{nearest}` if that was meant; the key is sent as it is"),
    );
    Finding::warning(key, Rule::UnknownKey, "Adelie knows no such key of Apple's; it is sent unchanged", fix)
}

#[cfg(test)]
mod tests;
