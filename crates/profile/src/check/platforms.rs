//! Keys that the chosen platforms pass over (protocol section 5.1).

use serde_json::{Map, Value};

use super::Names;
use crate::skip_keys::Platform::{self, IOs, MacOs, TvOs, VisionOs};
use crate::{Finding, OsVersion, Rule, Target};

/// When a key has an effect.
struct Effect {
    /// Apple's key.
    key: &'static str,
    /// Only with this value; any when absent.
    value: Option<bool>,
    /// Where, and from and before which version.
    on: &'static [(Platform, &'static str, &'static str)],
    /// What else is to be said.
    why: &'static str,
}

/// As versions these stand for "from the first" and "until the last".
const FIRST: &str = "0";
const LAST: &str = "9999";

/// Everywhere but on iOS from 13 on.
const BEFORE_IOS_13: &[(Platform, &str, &str)] =
    &[(IOs, FIRST, "13"), (MacOs, FIRST, LAST), (TvOs, FIRST, LAST), (VisionOs, FIRST, LAST)];
const AUTO_ADVANCE: &[(Platform, &str, &str)] = &[(TvOs, FIRST, LAST), (MacOs, "11", LAST)];
const SINCE_26: &[(Platform, &str, &str)] = &[(IOs, "26", LAST), (VisionOs, "26", LAST)];

const EFFECTS: &[Effect] = &[
    Effect {
        key: "is_supervised",
        value: Some(false),
        on: BEFORE_IOS_13,
        why: "from iOS 13 on a device that enrolls this way is supervised in any case",
    },
    Effect {
        key: "is_mandatory",
        value: Some(false),
        on: BEFORE_IOS_13,
        why: "from iOS 13 on the enrollment is mandatory in any case",
    },
    Effect {
        key: "is_multi_user",
        value: Some(true),
        on: &[(IOs, FIRST, LAST)],
        why: "there are Shared iPads only",
    },
    Effect {
        key: "auto_advance_setup",
        value: Some(true),
        on: AUTO_ADVANCE,
        why: "tvOS and macOS 11 have it",
    },
    Effect { key: "language", value: None, on: AUTO_ADVANCE, why: "tvOS and macOS 11 have it" },
    Effect { key: "region", value: None, on: AUTO_ADVANCE, why: "tvOS and macOS 11 have it" },
    Effect {
        key: "is_return_to_service",
        value: Some(true),
        on: SINCE_26,
        why: "iOS 26 and visionOS 26 have it",
    },
    Effect {
        key: "do_not_use_profile_from_backup",
        value: Some(true),
        on: SINCE_26,
        why: "iOS 26 and visionOS 26 have it",
    },
    Effect {
        key: "allow_pairing",
        value: None,
        on: &[(IOs, FIRST, "13")],
        why: "Apple has it for iOS, and advises against it from iOS 13 on",
    },
    Effect {
        key: "configuration_web_url",
        value: None,
        on: &[(IOs, "13", LAST), (MacOs, "10.15", LAST)],
        why: "iOS 13 and macOS 10.15 have it",
    },
];

/// Warns of keys that none of the platforms heeds. Nothing is said without platforms.
pub(crate) fn check(
    apple: &Map<String, Value>,
    targets: &[Target],
    names: Names,
    findings: &mut Vec<Finding>,
) {
    if targets.is_empty() {
        return;
    }
    for effect in EFFECTS {
        let Some(value) = apple.get(effect.key) else { continue };
        let asked = effect.value.is_none_or(|wanted| value.as_bool() == Some(wanted));
        if asked && !targets.iter().any(|target| effect.reaches(target)) {
            let listed: Vec<_> = targets.iter().map(ToString::to_string).collect();
            findings.push(Finding::warning(
                names.of(effect.key),
                Rule::IgnoredByPlatform,
                format!("it is of no use on {}: {}", listed.join(", "), effect.why),
                "take the key out, or add the platform that it is for",
            ));
        }
    }
}

/// Warns of account settings that no platform of the profile knows.
pub(crate) fn check_accounts(targets: &[Target], findings: &mut Vec<Finding>) {
    if !targets.is_empty() && !targets.iter().any(|target| target.platform() == MacOs) {
        findings.push(Finding::warning(
            super::ACCOUNTS,
            Rule::IgnoredByPlatform,
            "only Macs have local accounts, and this profile is for no Macs",
            "take the account settings out, or add macOS to `platforms`",
        ));
    }
}

impl Effect {
    /// Whether a device of this kind heeds the key; the newest is meant where no version is given.
    fn reaches(&self, target: &Target) -> bool {
        let number = |text: &str| text.parse::<OsVersion>().unwrap_or_default();
        self.on.iter().filter(|(platform, ..)| *platform == target.platform()).any(|(_, from, before)| {
            match target.version() {
                Some(version) => version >= number(from) && version < number(before),
                None => *before == LAST,
            }
        })
    }
}
