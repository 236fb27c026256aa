use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::json;

use super::*;
use crate::{Format, Outside, ProfileDocument, parse};

fn validator() -> Validator {
    jsonschema::validator_for(&schema()).expect("a JSON Schema")
}

fn document(keys: Value) -> Value {
    let (mut base, Value::Object(keys)) = (json!({"name": "Macs", "url": "https://m.example/"}), keys) else {
        panic!("a table")
    };
    base.as_object_mut().expect("a table").extend(keys);
    base
}

/// What the schema takes and what reading takes must not differ, as far as a schema can tell.
fn both_say(keys: Value, good: bool) {
    let document = document(keys);
    let Value::Object(raw) = document.clone() else { panic!("a table") };
    let now = chrono::DateTime::from_timestamp(1_780_000_000, 0).expect("a moment");
    let outside = Outside { now, file: &|_| Ok(vec![0x30, 3, 2, 1, 5]) };
    let read = ProfileDocument::check(raw, &outside);
    assert_eq!(read.is_ok(), good, "{document}: {:?}", read.err());
    assert_eq!(validator().is_valid(&document), good, "{document}");
}

#[test]
fn the_schema_takes_what_can_be_read() {
    for keys in [
        json!({}),
        json!({
            "$schema": SCHEMA_URL, "description": "x", "platforms": ["macos 26.1", "iPadOS"], "user_affinity": "web",
            "web_url": "https://w.example/", "await_device_configured": true, "supervised": true, "locked": true,
            "mandatory": true, "multi_user": false, "return_to_service": false, "auto_advance": true, "language": "haw",
            "region": "US", "do_not_use_profile_from_backup": true, "allow_pairing": false, "department": "IT",
            "support_phone_number": "1", "support_email_address": "a@b.example", "org_magic": "m",
            "anchor_certs": ["MAMCAQU=", {"file": "roots.pem"}], "supervising_host_certs": [],
            "panes": {"skip": ["Siri", "FutureKey"], "show": ["TOS"]}, "extra": {"future": [1]},
            "accounts": {
                "primary": {"create": true, "type": "standard", "full_name": "{{username}}", "restrict_editing": false},
                "administrator": {"short_name": "localadmin", "hidden": true, "password": "generated"},
                "managed_local_user": "localadmin",
            },
        }),
        json!({"platforms": ["macOS"], "panes": {"skip_all_except": ["Siri"]}}),
        json!({"accounts": {"administrator": {"short_name": "a", "password": {"given": "x"}}}}),
        json!({"accounts": {"administrator": {"short_name": "a", "password": "stored"}}}),
        // Good for a file, though Apple refuses it in that form.
        json!({"panes": {}, "accounts": {}}),
    ] {
        both_say(keys, true);
    }
}

#[test]
fn the_schema_refuses_what_cannot_be_read() {
    for keys in [
        json!({"colour": "blue"}),
        json!({"name": ""}),
        json!({"locked": "yes"}),
        json!({"user_affinity": "modern"}),
        json!({"platforms": ["Windows"]}),
        json!({"platforms": ["macOS 26.1.1.1"]}),
        json!({"web_url": "http://w.example/"}),
        json!({"language": "EN"}),
        json!({"department": "x".repeat(126)}),
        json!({"panes": {"skip": "Siri"}}),
        json!({"panes": {"hide": []}}),
        json!({"platforms": ["macOS"], "panes": {"skip_all_except": ["Sirri"]}}),
        json!({"platforms": ["macOS"], "panes": {"skip_all_except": ["Siri"], "skip": []}}),
        json!({"anchor_certs": [{"path": "x"}]}),
        json!({"anchor_certs": {"file": "x"}}),
        json!({"accounts": {"admin": {}}}),
        json!({"accounts": {"primary": {"type": "guest"}}}),
        json!({"accounts": {"administrator": {"short_name": "a"}}}),
        json!({"accounts": {"administrator": {"short_name": "a", "password": "hunter2"}}}),
        json!({"extra": []}),
    ] {
        both_say(keys, false);
    }
}

/// An editor shows what a key is for.
#[test]
fn every_key_has_a_description() {
    fn missing(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}/{key}");
            if property.get("description").is_none() {
                found.insert(path.clone());
            }
            missing(property, &path, found);
        }
    }
    let mut found = BTreeSet::new();
    missing(&schema(), "", &mut found);
    assert!(found.is_empty(), "{found:?}");
}

/// What is published is what is made.
#[test]
fn the_published_schema_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/profile.schema.json");
    let published = std::fs::read_to_string(path).expect("docs/profile.schema.json");
    let published = parse(&published, Format::Json).expect("JSON");
    let hint = "docs/profile.schema.json is stale: run `adelie profile schema > docs/profile.schema.json`";
    assert_eq!(Value::from(published), schema(), "{hint}");
}
