//! Rules for the list of panes that are skipped.

use std::collections::HashSet;

use crate::skip_keys::{self, SkipKey, SkipKeyStatus};
use crate::{Finding, Rule, texts};

/// Checks the entries of `skip_setup_items`. No entry is an error: Apple takes unknown keys (protocol section
/// 5.3), and a key may be newer than our catalogue.
pub(crate) fn check(items: Vec<(String, &str)>, findings: &mut Vec<Finding>) {
    let mut seen = HashSet::with_capacity(items.len());
    for (path, word) in items {
        if !seen.insert(word) {
            let message = format!("{word} is there already");
            findings.push(Finding::warning(path, Rule::DuplicateSkipKey, message, "take one of them out"));
            continue;
        }
        match skip_keys::find(word) {
            None => findings.push(unknown(path, word)),
            Some(key) => {
                findings.extend(retired(&path, key));
                if key.key == "Accessibility" {
                    findings.push(Finding::warning(
                        path,
                        Rule::HidesAccessibility,
                        "users who need VoiceOver or another aid cannot switch it on during setup",
                        "take it out unless you are sure that nobody needs it",
                    ));
                }
            }
        }
    }
}

fn unknown(path: String, word: &str) -> Finding {
    let message = format!("{} is no skip key that Adelie knows; it is sent unchanged", texts::quote(word));
    let fix = skip_keys::nearest(word).map_or_else(
        || "check the spelling, or keep it if Apple has added it since".to_owned(),
        |key| format!("write `{}` if that was meant; upper and lower case count", key.key),
    );
    Finding::warning(path, Rule::UnknownSkipKey, message, fix)
}

fn retired(path: &str, key: &SkipKey) -> Option<Finding> {
    let (what, fix) = match key.status {
        SkipKeyStatus::Withdrawn => {
            ("was listed by Apple for a while and has been withdrawn".to_owned(), None)
        }
        SkipKeyStatus::Historic => ("is no longer among Apple's skip keys".to_owned(), None),
        SkipKeyStatus::Current => {
            let mut ends = Vec::new();
            let mut before = Vec::new();
            for platform in key.platforms {
                for (word, version) in [("deprecated", platform.deprecated), ("removed", platform.removed)] {
                    if let Some(version) = version {
                        ends.push(format!("{word} in {} {version}", platform.platform));
                        before.push(format!("{} before {version}", platform.platform));
                    }
                }
            }
            if ends.is_empty() {
                return None;
            }
            let others = key.platforms.len() > before.len();
            let fix = format!(
                "keep it only if devices with {}{} use this profile",
                before.join(" or "),
                if others { ", or other systems that still know it," } else { "" }
            );
            (format!("was {}", ends.join(" and ")), Some(fix))
        }
    };
    let fix = fix.unwrap_or_else(|| "take it out; it has no effect on current systems".to_owned());
    Some(Finding::warning(path, Rule::RetiredSkipKey, format!("{} {what}", key.key), fix))
}
