use std::collections::HashSet;

use serde_json::{Map, Value};

use super::Made;
use crate::check::{not_a_list, texts_of, type_name};
use crate::skip_keys::{self, SkipKey};
use crate::{Finding, Rule, Target, skip_setup_items, spelling};

const KEY: &str = "panes";

/// The keys of the table, and what each is for.
pub(crate) const KEYS: &[(&str, &str)] = &[
    ("skip", "These panes are hidden, and all others are shown."),
    (
        "show",
        "These panes are shown. Apple shows them anyway; a report of new panes then knows that it is meant.",
    ),
    (
        "skip_all_except",
        "Everything that the platforms have is hidden, except these panes. What that is, is settled when the profile \
         is stored.",
    ),
];

/// Reads the panes, and resolves them to the list that Apple gets.
pub(super) fn take(value: &Value, made: &mut Made) {
    let Value::Object(table) = value else {
        let message = format!("must be a table, and is {}", type_name(value));
        let fix = "write a table with `skip`, or with `skip_all_except`";
        made.findings.push(Finding::error(KEY, Rule::Type, message, fix));
        return;
    };
    for key in table.keys().filter(|key| !KEYS.iter().any(|(known, _)| known == key)) {
        made.findings.push(unknown(key));
    }
    let (skip, show, except) =
        (list(table, "skip", made), list(table, "show", made), list(table, "skip_all_except", made));
    let targets = made.targets.clone();
    if let Some(show) = &show {
        check_shown(show, &targets, made);
    }
    match (skip, show, except) {
        (None, None, None) => {}
        (None, None, Some(except)) => {
            check_shown(&except, &targets, made);
            let hidden = all_except(&except, &targets, made);
            made.apple.insert("skip_setup_items".to_owned(), hidden.into());
        }
        (_, _, Some(_)) => made.findings.push(Finding::error(
            "panes.skip_all_except",
            Rule::Contradiction,
            "it stands beside another list of panes",
            "write either `skip_all_except` alone, or `skip` and `show`",
        )),
        (skip, show, None) => {
            let skip = skip.unwrap_or_default();
            for (path, word) in show.iter().flatten() {
                if skip.iter().any(|(_, hidden)| hidden == word) {
                    let message = format!("{word} is in `skip` as well");
                    let fix = "take it out of one of the two lists";
                    made.findings.push(Finding::error(path, Rule::Contradiction, message, fix));
                }
            }
            skip_setup_items::check(skip.clone(), &targets, made.findings.list());
            let hidden: Vec<_> = skip.into_iter().map(|(_, word)| Value::from(word)).collect();
            made.apple.insert("skip_setup_items".to_owned(), hidden.into());
        }
    }
}

fn list<'a>(table: &'a Map<String, Value>, key: &str, made: &mut Made) -> Option<Vec<(String, &'a str)>> {
    let path = format!("{KEY}.{key}");
    match table.get(key)? {
        Value::Array(items) => Some(texts_of(&path, items, made.findings.list())),
        wrong => {
            made.findings.push(not_a_list(&path, wrong));
            None
        }
    }
}

/// A word that is no pane would be lost here, and with it the pane that was meant: an error.
fn check_shown(items: &[(String, &str)], targets: &[Target], made: &mut Made) {
    let mut seen = HashSet::new();
    for (path, word) in items {
        let Some(key) = skip_keys::find(word) else {
            let finding = skip_setup_items::unknown(path.clone(), word);
            let message = format!("{word:?} is no skip key that Adelie knows");
            let fix = finding.fix.replace(", or keep it if Apple has added it since", "");
            made.findings.push(Finding::error(path, Rule::UnknownSkipKey, message, fix));
            continue;
        };
        if !seen.insert(word) {
            let message = format!("{word} is there already");
            let fix = "take one of them out";
            made.findings.push(Finding::warning(path, Rule::DuplicateSkipKey, message, fix));
        } else if !targets.is_empty() && !targets.iter().any(|target| key.on(target.platform()).is_some()) {
            let message = format!("no platform of this profile has the pane {word}");
            let fix = "take it out, or add the platform";
            made.findings.push(Finding::warning(path, Rule::SkipKeyNotOnPlatform, message, fix));
        }
    }
}

/// All panes that one of the platforms has, but for these, in the order of the catalogue.
fn all_except(except: &[(String, &str)], targets: &[Target], made: &mut Made) -> Vec<&'static str> {
    if targets.is_empty() {
        // A platform that cannot be read has its own finding.
        if !made.document.contains_key("platforms") {
            made.findings.push(Finding::error(
                "platforms",
                Rule::Required,
                "`skip_all_except` hides what the platforms have, and none is named",
                "add `platforms`, for example [\"macOS 26.1\"]",
            ));
        }
        return Vec::new();
    }
    let has = |key: &SkipKey| {
        targets.iter().any(|target| {
            let version = target.version().unwrap_or_else(|| skip_keys::newest(target.platform()));
            skip_keys::available(target.platform(), version).any(|known| known.key == key.key)
        })
    };
    let hidden: Vec<_> = skip_keys::all()
        .iter()
        .filter(|key| has(key) && !except.iter().any(|(_, word)| *word == key.key))
        .map(|key| key.key)
        .collect();
    if hidden.contains(&"Accessibility") {
        let fix = "add \"Accessibility\" to the list unless you are sure that nobody needs it";
        made.findings.push(skip_setup_items::hides_accessibility("panes.skip_all_except".to_owned(), fix));
    }
    hidden
}

fn unknown(key: &str) -> Finding {
    let fix = spelling::nearest(key, KEYS.iter().map(|(known, _)| *known)).map_or_else(
        || "take it out; `panes` has `skip`, `show` and `skip_all_except`".to_owned(),
        |nearest| format!("write `{nearest}` if that was meant"),
    );
    Finding::error(format!("{KEY}.{key}"), Rule::UnknownKey, "there is no such key about panes", fix)
}
