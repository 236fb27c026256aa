use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// A profile that was defined; it never changes and never goes away (protocol section 3.5).
pub(crate) struct Profile {
    /// `None` for an identifier that only a control command has named.
    pub(crate) server: Option<u16>,
    pub(crate) content: Map<String, Value>,
}

/// All defined profiles by number and by identifier.
#[derive(Default)]
pub(crate) struct Profiles {
    names: Arc<Vec<Box<str>>>,
    content: Vec<Profile>,
    by_name: HashMap<Box<str>, u32>,
}

impl Profiles {
    pub(crate) fn add(&mut self, name: &str, server: Option<u16>, content: Map<String, Value>) -> u32 {
        let number = u32::try_from(self.content.len()).unwrap_or(u32::MAX);
        Arc::make_mut(&mut self.names).push(Box::from(name));
        self.content.push(Profile { server, content });
        self.by_name.insert(Box::from(name), number);
        number
    }

    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn get(&self, name: &str, server: u16) -> Option<(u32, &Profile)> {
        let number = self.number(name)?;
        let profile = self.content.get(number as usize)?;
        (profile.server == Some(server)).then_some((number, profile))
    }

    pub(crate) fn name(&self, number: u32) -> Option<&str> {
        self.names.get(number as usize).map(AsRef::as_ref)
    }

    pub(crate) fn names(&self) -> Arc<Vec<Box<str>>> {
        Arc::clone(&self.names)
    }

    pub(crate) fn len(&self) -> usize {
        self.content.len()
    }
}

/// The code that Apple refuses a profile with, if it does (protocol section 5.3).
pub(crate) fn refusal(profile: &Map<String, Value>) -> Option<&'static str> {
    required(profile, "profile_name", 125, "CONFIG_NAME_REQUIRED", "CONFIG_NAME_INVALID")
        .or_else(|| required(profile, "url", 2000, "CONFIG_URL_REQUIRED", "CONFIG_URL_INVALID"))
        .or_else(|| (!good_url(profile.get("url"))).then_some("CONFIG_URL_INVALID"))
        .or_else(|| wrong_type(profile))
        .or_else(|| {
            let flag = |name: &str| profile.get(name).and_then(Value::as_bool);
            (flag("is_mdm_removable") == Some(false) && flag("is_supervised") != Some(true))
                .then_some("FLAGS_INVALID")
        })
        .or_else(|| optional(profile, "department", 125, "DEPARTMENT_INVALID"))
        .or_else(|| optional(profile, "support_phone_number", 50, "SUPPORT_PHONE_INVALID"))
        .or_else(|| optional(profile, "support_email_address", 250, "SUPPORT_EMAIL_INVALID"))
        .or_else(|| optional(profile, "org_magic", 256, "MAGIC_INVALID"))
        .or_else(|| locale(profile))
}

fn present<'a>(profile: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    profile.get(key).filter(|value| !value.is_null())
}

fn required(
    profile: &Map<String, Value>,
    key: &str,
    limit: usize,
    missing: &'static str,
    invalid: &'static str,
) -> Option<&'static str> {
    if present(profile, key).is_none() { Some(missing) } else { optional(profile, key, limit, invalid) }
}

fn optional(
    profile: &Map<String, Value>,
    key: &str,
    limit: usize,
    invalid: &'static str,
) -> Option<&'static str> {
    match present(profile, key)? {
        Value::String(text) if !text.is_empty() && text.chars().count() <= limit => None,
        _ => Some(invalid),
    }
}

fn good_url(url: Option<&Value>) -> bool {
    url.and_then(Value::as_str)
        .and_then(|url| url::Url::parse(url).ok())
        .is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn wrong_type(profile: &Map<String, Value>) -> Option<&'static str> {
    const FLAGS: [&str; 9] = [
        "allow_pairing",
        "is_supervised",
        "is_multi_user",
        "is_mandatory",
        "await_device_configured",
        "is_mdm_removable",
        "is_return_to_service",
        "do_not_use_profile_from_backup",
        "auto_advance_setup",
    ];
    const LISTS: [&str; 4] = ["anchor_certs", "supervising_host_certs", "skip_setup_items", "devices"];
    let texts = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    let bad = FLAGS.iter().any(|key| present(profile, key).is_some_and(|value| !value.is_boolean()))
        || LISTS.iter().any(|key| present(profile, key).is_some_and(|value| !texts(value)));
    bad.then_some("MALFORMED_REQUEST_BODY")
}

fn locale(profile: &Map<String, Value>) -> Option<&'static str> {
    let language = present(profile, "language").map(|value| value.as_str().unwrap_or_default());
    let region = present(profile, "region").map(|value| value.as_str().unwrap_or_default());
    let good_language = language
        .is_none_or(|text| matches!(text.len(), 2 | 3) && text.bytes().all(|byte| byte.is_ascii_lowercase()));
    let good_region =
        region.is_none_or(|text| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()));
    (!good_language || !good_region).then_some("LOCALE_INVALID")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code(change: Value) -> Option<&'static str> {
        let mut profile = json!({"profile_name": "Macs", "url": "https://mdm.example.org/enroll"});
        if let (Some(profile), Some(change)) = (profile.as_object_mut(), change.as_object()) {
            for (key, value) in change {
                profile.insert(key.clone(), value.clone());
            }
            profile.retain(|_, value| value != "drop me");
        }
        refusal(profile.as_object().expect("an object"))
    }

    #[test]
    fn each_rule_has_its_code() {
        assert_eq!(code(json!({})), None);
        assert_eq!(code(json!({"profile_name": "drop me"})), Some("CONFIG_NAME_REQUIRED"));
        assert_eq!(code(json!({"profile_name": ""})), Some("CONFIG_NAME_INVALID"));
        assert_eq!(code(json!({"profile_name": "x".repeat(126)})), Some("CONFIG_NAME_INVALID"));
        assert_eq!(code(json!({"profile_name": "é".repeat(125)})), None);
        assert_eq!(code(json!({"url": "drop me"})), Some("CONFIG_URL_REQUIRED"));
        assert_eq!(code(json!({"url": "mdm.example.org"})), Some("CONFIG_URL_INVALID"));
        assert_eq!(code(json!({"is_mdm_removable": false})), Some("FLAGS_INVALID"));
        assert_eq!(code(json!({"is_mdm_removable": false, "is_supervised": true})), None);
        assert_eq!(code(json!({"department": ""})), Some("DEPARTMENT_INVALID"));
        assert_eq!(code(json!({"support_phone_number": "5".repeat(51)})), Some("SUPPORT_PHONE_INVALID"));
        assert_eq!(code(json!({"support_email_address": ""})), Some("SUPPORT_EMAIL_INVALID"));
        assert_eq!(code(json!({"org_magic": ""})), Some("MAGIC_INVALID"));
        assert_eq!(code(json!({"language": "de", "region": "de"})), Some("LOCALE_INVALID"));
        assert_eq!(code(json!({"language": "de", "region": "DE"})), None);
        assert_eq!(code(json!({"is_supervised": "yes"})), Some("MALFORMED_REQUEST_BODY"));
        assert_eq!(code(json!({"something_new": {"a": 1}, "skip_setup_items": ["Unheard"]})), None);
    }
}
