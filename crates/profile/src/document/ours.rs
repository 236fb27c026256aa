//! A document in our form, and what Apple gets of it.

use serde_json::{Map, Value};

use super::{Made, Outside, affinity, certificate_list, extra, panes};
use crate::accounts::Context;
use crate::check::{self, Names, texts_of};
use crate::form::{self, Form, Shape};
use crate::keys::{self, Kind};
use crate::{Finding, Rule, Target, spelling};

pub(super) fn make(raw: &Map<String, Value>, outside: &Outside<'_>) -> Made {
    let mut made = Made::default();
    for key in raw.keys().filter(|key| form::find(key).is_none() && *key != form::EDITOR_KEY) {
        made.findings.push(unknown(key));
    }
    // What Apple takes for "no" when a key is left out is on in our form.
    for key in ["await_device_configured", "is_supervised"] {
        made.apple.insert(key.to_owned(), true.into());
    }
    let mut accounts = None;
    for key in form::KEYS {
        let Some(value) = raw.get(key.name) else { continue };
        if value.is_null() {
            made.findings.push(check::null(key.name));
            // It is there, so nobody need be told that it is missing.
            if let Shape::Apple(apple) = key.shape {
                made.apple.insert(apple.to_owned(), Value::Null);
            }
            continue;
        }
        made.document.insert(key.name.to_owned(), value.clone());
        match key.shape {
            Shape::Apple(apple) => {
                made.apple.insert(apple.to_owned(), value.clone());
            }
            Shape::Locked => match value {
                Value::Bool(locked) => {
                    made.apple.insert("is_mdm_removable".to_owned(), (!locked).into());
                }
                wrong => made.findings.push(check::wrong_type(key.name, Kind::Flag, wrong)),
            },
            Shape::Description if !value.is_string() => {
                made.findings.push(check::not_a_text(key.name, value));
            }
            Shape::Platforms => take_platforms(value, &mut made),
            Shape::Certificates(apple) => certificate_list::take(key.name, apple, value, outside, &mut made),
            Shape::Panes => panes::take(value, &mut made),
            Shape::Accounts => accounts = Some(value),
            Shape::Extra => extra::take(value, &mut made),
            // Both need each other.
            Shape::Description | Shape::Affinity | Shape::WebUrl => {}
        }
    }
    let affinity = affinity::take(raw, &mut made);
    if let Some(accounts) = accounts {
        made.document.remove(check::ACCOUNTS);
        let context = Context {
            sign_in: affinity.sign_in,
            awaits_configuration: made.apple.get("await_device_configured") == Some(&Value::Bool(true)),
        };
        made.take_accounts(accounts, &context);
    }
    made.check(Names { form: Form::Ours, web_url: affinity.web_url }, outside);
    made
}

fn take_platforms(value: &Value, made: &mut Made) {
    const KEY: &str = "platforms";
    let Value::Array(items) = value else {
        made.findings.push(check::not_a_list(KEY, value));
        return;
    };
    for (path, text) in texts_of(KEY, items, made.findings.list()) {
        match Target::parse(text) {
            Ok(target) if made.targets.iter().any(|other| other.name() == target.name()) => {
                let message = format!("{} is there already", target.name());
                let fix = "take one of them out; one profile is for one version of each platform";
                made.findings.push(Finding::error(path, Rule::Platform, message, fix));
            }
            Ok(target) => made.targets.push(target),
            Err(error) => {
                let fix = error.fix();
                made.findings.push(Finding::error(path, Rule::Platform, error.to_string(), fix));
            }
        }
    }
    let written: Vec<_> = made.targets.iter().map(|target| Value::from(target.to_string())).collect();
    made.document.insert(KEY.to_owned(), written.into());
}

/// An error, not a warning: nothing of our form passes through to Apple, so a misspelt key would be lost.
fn unknown(key: &str) -> Finding {
    let fix = match key {
        "is_mdm_removable" => "write `locked`, which is its opposite".to_owned(),
        "configuration_web_url" => "write `user_affinity = \"web\"` and the page as `web_url`".to_owned(),
        "skip_setup_items" => "write `panes`, with the list as its `skip`".to_owned(),
        "profile_name" => "take it out: `name` is what Apple gets as `profile_name`".to_owned(),
        "devices" | "profile_uuid" => "take it out: it is not the file's to set".to_owned(),
        _ => match form::ours_of(key) {
            Some(ours) => format!("write `{ours}`, as the key is called in this form"),
            None => {
                let ours = form::KEYS.iter().map(|key| key.name);
                let nearest = spelling::nearest(key, ours.chain(keys::all().map(|(key, _)| key)));
                nearest.map_or_else(
                    || "take it out, or put it under `extra` if it is a new key of Apple's".to_owned(),
                    |nearest| {
                        let nearest = form::ours_of(nearest).unwrap_or(nearest);
                        format!("write `{nearest}` if that was meant")
                    },
                )
            }
        },
    };
    Finding::error(key, Rule::UnknownKey, "there is no such key in a profile", fix)
}
