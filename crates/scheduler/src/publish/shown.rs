//! Whether Apple shows a profile as it was defined.

use adelie_dep::endpoints::get_profile;
use serde_json::{Map, Value};

/// What Apple shows otherwise than it was sent, for people; `None` when nothing.
///
/// Apple may fill keys in that were left out, and leave out what stands at its default (protocol section 3.6). Panes are
/// a set: their order means nothing.
pub(super) fn difference(sent: &Map<String, Value>, shown: &get_profile::Response) -> Option<String> {
    let differs = |(key, value): &(&String, &Value)| match shown.profile.get(*key) {
        Some(shown) => normal(shown) != normal(value),
        None => !is_default(key, value),
    };
    let keys: Vec<&str> = sent.iter().filter(differs).map(|(key, _)| key.as_str()).collect();
    if keys.is_empty() {
        return None;
    }
    Some(format!("Apple has taken the profile and shows it with another {} than was sent", keys.join(", ")))
}

/// The same for values that mean the same.
fn normal(value: &Value) -> Value {
    let Value::Array(items) = value else { return value.clone() };
    let mut items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.sort_unstable();
    items.dedup();
    items.into()
}

fn is_default(key: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => *flag == matches!(key, "allow_pairing" | "is_mdm_removable"),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(sent: &Value, shown: &Value) -> Option<String> {
        let object = |value: &Value| value.as_object().expect("an object").clone();
        let shown = get_profile::Response { profile_uuid: None, profile: object(shown) };
        difference(&object(sent), &shown)
    }

    #[test]
    fn what_is_filled_in_or_left_at_its_default_is_the_same() {
        let sent = json!({ "profile_name": "P", "is_mdm_removable": true, "skip_setup_items": ["TOS", "Siri"],
            "anchor_certs": [], "await_device_configured": false });
        let shown =
            json!({ "profile_name": "P", "skip_setup_items": ["Siri", "TOS"], "is_mandatory": false });
        assert_eq!(said(&sent, &shown), None);
    }

    #[test]
    fn what_is_otherwise_or_gone_is_named() {
        let sent = json!({ "await_device_configured": true, "department": "IT", "skip_setup_items": ["Siri"],
            "is_mdm_removable": false, "url": "https://m.example" });
        let shown = json!({ "department": "HR", "skip_setup_items": [], "url": "https://m.example" });
        let said = said(&sent, &shown).expect("a difference");
        let keys = "await_device_configured, department, is_mdm_removable, skip_setup_items";
        assert!(said.contains(keys), "{said}");
    }
}
