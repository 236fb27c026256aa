use chrono::DateTime;
use serde_json::json;

use super::*;
use crate::{Rule, Severity};

mod anchors;
mod form;
mod round_trip;
mod secrets;

fn now() -> Timestamp {
    DateTime::from_timestamp(1_780_000_000, 0).expect("a moment")
}

fn table(value: Value) -> Map<String, Value> {
    let Value::Object(table) = value else { panic!("a table") };
    table
}

/// The files that documents of the tests may name.
fn file(path: &str) -> Result<Vec<u8>, String> {
    match path {
        "two.pem" => Ok(b"-----BEGIN CERTIFICATE-----\nMAMC\nAQU=\n-----END CERTIFICATE-----\n\
                          -----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
            .to_vec()),
        "key.pem" => Ok(b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n".to_vec()),
        _ => Err("there is no such file".into()),
    }
}

fn check(value: Value) -> Result<CheckedDocument, Findings> {
    ProfileDocument::check(table(value), &Outside { now: now(), file: &file })
}

/// A good document of ours with these keys on top.
fn with(keys: Value) -> Value {
    let mut document = table(json!({"name": "Macs", "url": "https://mdm.example.org/enroll"}));
    document.extend(table(keys));
    document.into()
}

fn good(keys: Value) -> ProfileDocument {
    check(with(keys)).expect("good").document
}

/// What Apple gets beside the two keys that are always there.
fn apple(keys: Value) -> Value {
    let mut apple = good(keys).apple().clone();
    assert_eq!(apple.remove("profile_name"), Some("Macs".into()));
    assert_eq!(apple.remove("url"), Some("https://mdm.example.org/enroll".into()));
    apple.into()
}

fn findings(keys: Value) -> Findings {
    check(with(keys)).map_or_else(|findings| findings, |checked| checked.warnings)
}

/// The findings as `(severity, path, rule)`.
fn found(keys: Value) -> Vec<(Severity, String, Rule)> {
    findings(keys).into_iter().map(|finding| (finding.severity, finding.path, finding.rule)).collect()
}

fn error(path: &str, rule: Rule) -> Vec<(Severity, String, Rule)> {
    vec![(Severity::Error, path.to_owned(), rule)]
}

fn warning(path: &str, rule: Rule) -> Vec<(Severity, String, Rule)> {
    vec![(Severity::Warning, path.to_owned(), rule)]
}
