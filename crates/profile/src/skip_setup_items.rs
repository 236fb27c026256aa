//! Rules for the list of panes that are skipped.

use std::collections::HashSet;

use crate::skip_keys::{self, SkipKey, SkipKeyStatus, State};
use crate::{Finding, Rule, Target, texts};

/// Checks skip keys, each with its path. No entry is an error: Apple takes unknown keys (protocol section 5.3), and a
/// key may be newer than our catalogue. `targets` may be empty, when nobody said which platforms the profile is for.
pub(crate) fn check(items: Vec<(String, &str)>, targets: &[Target], findings: &mut Vec<Finding>) {
    let mut seen = HashSet::with_capacity(items.len());
    for (path, word) in items {
        if !seen.insert(word) {
            let message = format!("{word} is there already");
            findings.push(Finding::warning(path, Rule::DuplicateSkipKey, message, "take one of them out"));
            continue;
        }
        let Some(key) = skip_keys::find(word) else {
            findings.push(unknown(path, word));
            continue;
        };
        match (key.status, targets) {
            (SkipKeyStatus::Current, []) => findings.extend(retired_somewhere(&path, key)),
            (SkipKeyStatus::Current, targets) => findings.extend(retired_on(&path, key, targets)),
            (SkipKeyStatus::Withdrawn, _) => {
                findings.push(gone(&path, key, "was listed by Apple for a while and has been withdrawn"));
            }
            (SkipKeyStatus::Historic, _) => {
                findings.push(gone(&path, key, "is no longer among Apple's skip keys"));
            }
        }
        let here = targets.is_empty() || targets.iter().any(|target| key.on(target.platform()).is_some());
        if here && key.key == "Accessibility" {
            findings.push(hides_accessibility(path, "take it out unless you are sure that nobody needs it"));
        }
    }
}

/// The finding about the pane that people with disabilities need.
pub(crate) fn hides_accessibility(path: String, fix: &str) -> Finding {
    Finding::warning(
        path,
        Rule::HidesAccessibility,
        "users who need VoiceOver or another aid cannot switch it on during setup",
        fix,
    )
}

pub(crate) fn unknown(path: String, word: &str) -> Finding {
    let message = format!("{} is no skip key that Adelie knows; it is sent unchanged", texts::quote(word));
    let fix = skip_keys::nearest(word).map_or_else(
        || "check the spelling, or keep it if Apple has added it since".to_owned(),
        |key| format!("write `{}` if that was meant; upper and lower case count", key.key),
    );
    Finding::warning(path, Rule::UnknownSkipKey, message, fix)
}

fn gone(path: &str, key: &SkipKey, what: &str) -> Finding {
    let fix = "take it out; it has no effect on current systems";
    Finding::warning(path, Rule::RetiredSkipKey, format!("{} {what}", key.key), fix)
}

/// What is to be said without knowing the platforms: where the pane has come to an end.
fn retired_somewhere(path: &str, key: &SkipKey) -> Option<Finding> {
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
    let message = format!("{} was {}", key.key, ends.join(" and "));
    Some(Finding::warning(path, Rule::RetiredSkipKey, message, fix))
}

/// What is to be said for these platforms. One of them that has the pane is enough: the key is there for it.
fn retired_on(path: &str, key: &SkipKey, targets: &[Target]) -> Option<Finding> {
    let mut ends = Vec::new();
    let mut later = Vec::new();
    for target in targets {
        let platform = target.platform();
        let version = target.version().unwrap_or_else(|| skip_keys::newest(platform));
        match key.state(platform, version) {
            State::Known => return None,
            State::Elsewhere => {}
            State::NotYet(since) => later.push(format!("{} {since}", target.name())),
            State::Deprecated(since) => ends.push(format!("deprecated in {} {since}", target.name())),
            State::Removed(since) => ends.push(format!("removed in {} {since}", target.name())),
        }
    }
    if !ends.is_empty() {
        let message = format!("{} was {}", key.key, ends.join(" and "));
        let fix = "take it out, or write in `platforms` the older version that your devices have";
        return Some(Finding::warning(path, Rule::RetiredSkipKey, message, fix));
    }
    let (message, fix) = if later.is_empty() {
        let names: Vec<_> = key.platforms.iter().map(|at| at.platform.to_string()).collect();
        (
            format!(
                "no platform of this profile has the pane {}; it is one of {}",
                key.key,
                names.join(", ")
            ),
            "take it out, or add the platform",
        )
    } else {
        (
            format!("the pane {} comes with {}", key.key, later.join(" and ")),
            "take it out, or keep it for devices that are updated before they are set up",
        )
    };
    Some(Finding::warning(path, Rule::SkipKeyNotOnPlatform, message, fix))
}
