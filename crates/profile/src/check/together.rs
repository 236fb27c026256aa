//! Rules for keys together.

use serde_json::{Map, Value};

use super::Names;
use crate::{Finding, Rule};

pub(super) fn check(apple: &Map<String, Value>, names: Names, findings: &mut Vec<Finding>) {
    check_required(apple, names, findings);
    check_supervision(apple, names, findings);
    check_auto_advance(apple, names, findings);
    check_mandatory(apple, names, findings);
}

fn check_required(apple: &Map<String, Value>, names: Names, findings: &mut Vec<Finding>) {
    let name = names.of("profile_name");
    for (key, path, code, fix) in [
        ("profile_name", name, "CONFIG_NAME_REQUIRED", format!("add a `{name}` of up to 125 characters")),
        (
            "url",
            "url",
            "CONFIG_URL_REQUIRED",
            "add the `url` at which your MDM server enrolls devices".to_owned(),
        ),
    ] {
        if !apple.contains_key(key) {
            let message = format!("every profile needs it: Apple would answer {code}");
            findings.push(Finding::error(path, Rule::Required, message, fix));
        }
    }
}

/// A flag's value; `None` when it is of another type, which has its own finding.
fn flag(apple: &Map<String, Value>, key: &str, default: bool) -> Option<bool> {
    apple.get(key).map_or(Some(default), Value::as_bool)
}

fn check_supervision(apple: &Map<String, Value>, names: Names, findings: &mut Vec<Finding>) {
    if flag(apple, "is_supervised", false) != Some(false) {
        return;
    }
    let fix = format!("set `{}` to true as well", names.of("is_supervised"));
    if flag(apple, "is_mdm_removable", true) == Some(false) {
        findings.push(Finding::error(
            names.of("is_mdm_removable"),
            Rule::LockNeedsSupervision,
            "only a supervised device can keep its user from removing the enrollment: Apple would answer FLAGS_INVALID",
            fix.as_str(),
        ));
    }
    if flag(apple, "await_device_configured", false) == Some(true) {
        findings.push(Finding::warning(
            names.of("await_device_configured"),
            Rule::AwaitNeedsSupervision,
            "iOS and iPadOS do not await configuration when the profile does not ask for supervision",
            fix.as_str(),
        ));
    }
    if apple.get("supervising_host_certs").and_then(Value::as_array).is_some_and(|certs| !certs.is_empty()) {
        findings.push(Finding::warning(
            names.of("supervising_host_certs"),
            Rule::HostCertsNeedSupervision,
            "host certificates have no effect when the profile does not ask for supervision",
            format!("{fix}, or take the certificates out"),
        ));
    }
}

fn check_auto_advance(apple: &Map<String, Value>, names: Names, findings: &mut Vec<Finding>) {
    if flag(apple, "auto_advance_setup", false) != Some(true) {
        return;
    }
    for key in ["language", "region"] {
        if !apple.contains_key(key) {
            findings.push(Finding::warning(
                names.of(key),
                Rule::AutoAdvanceLocale,
                format!("Setup Assistant is to advance by itself, and nothing tells it the {key}"),
                format!("set `{key}` as well"),
            ));
        }
    }
}

/// Both keys must be there: what is left out is nobody's decision.
fn check_mandatory(apple: &Map<String, Value>, names: Names, findings: &mut Vec<Finding>) {
    let value = |key: &str| apple.get(key).and_then(Value::as_bool);
    let (mandatory, removable) = (names.of("is_mandatory"), names.of("is_mdm_removable"));
    let (path, message, fix) = match (value("is_mandatory"), value("is_mdm_removable")) {
        (Some(false), Some(false)) => (
            mandatory,
            "users may pass over an enrollment that nobody could remove afterwards",
            format!("set `{mandatory}` to true, or take one of the two keys out"),
        ),
        (Some(true), Some(true)) => (
            removable,
            "users cannot pass over the enrollment, and may remove it a minute later",
            format!("lock the enrollment, or take `{removable}` out if that is meant"),
        ),
        _ => return,
    };
    findings.push(Finding::warning(path, Rule::MandatoryRemovable, message, fix));
}
