use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::Findings;
use crate::check::check;

/// A profile that may be used, and what deserves a second look.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The profile.
    pub profile: EnrollmentProfile,
    /// Warnings only; often empty.
    pub warnings: Findings,
}

/// An enrollment profile that has passed every rule of Apple's that we know (protocol section 5).
///
/// As JSON it is what Apple receives.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct EnrollmentProfile(Map<String, Value>);

impl EnrollmentProfile {
    /// Checks a table of Apple's keys against all rules.
    ///
    /// # Errors
    /// All findings at once, warnings included, when one of them is an error.
    pub fn check(raw: Map<String, Value>) -> Result<Checked, Findings> {
        let (apple, findings) = check(raw);
        if findings.has_errors() {
            return Err(findings);
        }
        Ok(Checked { profile: Self(apple), warnings: findings })
    }

    /// Takes a profile back from a store, which has got it from [`check`](Self::check) once. It is not checked
    /// again: a rule that has become stricter since must not take a profile away from devices that use it.
    #[must_use]
    pub fn from_stored(apple: Map<String, Value>) -> Self {
        Self(apple)
    }

    /// What Apple receives: the keys that the file has set, and no other.
    #[must_use]
    pub fn apple_json(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The SHA-256 of the content in lower-case hex. The order of keys and the format of the file make no
    /// difference, so the same hash means the same profile at Apple.
    #[must_use]
    pub fn content_hash(&self) -> String {
        let mut canonical = String::new();
        write_object(&self.0, &mut canonical);
        hex::encode(Sha256::digest(canonical))
    }

    /// The name that the profile has at Apple (`profile_name`), 1 to 125 characters.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("profile_name").unwrap_or_default()
    }

    /// Where devices fetch their MDM enrollment.
    #[must_use]
    pub fn url(&self) -> &str {
        self.text("url").unwrap_or_default()
    }

    /// The page on which the user signs in first, if there is one.
    #[must_use]
    pub fn configuration_web_url(&self) -> Option<&str> {
        self.text("configuration_web_url")
    }

    /// The department that Setup Assistant shows.
    #[must_use]
    pub fn department(&self) -> Option<&str> {
        self.text("department")
    }

    /// Whether the file asks for supervision. iOS 13 and later supervise in any case.
    #[must_use]
    pub fn supervised(&self) -> bool {
        self.flag("is_supervised", false)
    }

    /// Whether Setup Assistant waits until the MDM server has said that the device is configured.
    #[must_use]
    pub fn awaits_configuration(&self) -> bool {
        self.flag("await_device_configured", false)
    }

    /// Whether the user may remove the enrollment; Apple's default is that they may.
    #[must_use]
    pub fn removable(&self) -> bool {
        self.flag("is_mdm_removable", true)
    }

    /// The panes of Setup Assistant that are skipped, as skip keys.
    pub fn skip_setup_items(&self) -> impl Iterator<Item = &str> {
        self.0
            .get("skip_setup_items")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str)
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        self.0.get(key).and_then(Value::as_bool).unwrap_or(default)
    }
}

/// Writes JSON without spaces and with sorted keys. Sorted here, not by the map: another crate of the build
/// may switch on `serde_json`'s `preserve_order`, and that must not change any hash.
fn write_object(object: &Map<String, Value>, out: &mut String) {
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    out.push('{');
    for (at, (key, value)) in entries.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&Value::from(key.as_str()).to_string());
        out.push(':');
        write_value(value, out);
    }
    out.push('}');
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => write_object(object, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, read};

    fn profile(json: &str) -> EnrollmentProfile {
        read(json, Format::Json).expect("a good profile").profile
    }

    /// L31: `false` is sent when set, unset keys are left out, unknown keys pass through.
    #[test]
    fn apple_gets_exactly_what_the_file_says() {
        let json = r#"{"profile_name":"P","url":"https://m.example/","allow_pairing":false,
                       "new_key":{"b":[1,null],"a":"x"},"skip_setup_items":[]}"#;
        let expected: Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(serde_json::to_value(profile(json)).expect("serializable"), expected);
    }

    #[test]
    fn the_hash_depends_on_the_content_only() {
        let one = profile(r#"{"profile_name":"P","url":"https://m.example/","x":{"b":1,"a":[true,null]}}"#);
        let two =
            profile(r#"{ "x":{"a":[true,null],"b":1}, "url":"https://m.example/", "profile_name":"P" }"#);
        let three = profile(r#"{"profile_name":"P","url":"https://m.example/","x":{"b":2,"a":[true,null]}}"#);
        assert_eq!(one.content_hash(), two.content_hash());
        assert_ne!(one.content_hash(), three.content_hash());
        // Computed by another implementation over the canonical text, so that a change of ours shows.
        let canonical = r#"{"profile_name":"P","url":"https://m.example/","x":{"a":[true,null],"b":1}}"#;
        assert_eq!(one.content_hash(), hex::encode(Sha256::digest(canonical)));
        assert_eq!(one.content_hash(), "928b076da5f6ef9d8ce99ff09e8c33ef80f18b0865754465d442383e1fa3e269");
    }

    #[test]
    fn getters_read_the_keys_and_know_apples_defaults() {
        let plain = profile(r#"{"profile_name":"P","url":"https://m.example/"}"#);
        assert_eq!((plain.name(), plain.url()), ("P", "https://m.example/"));
        assert!(!plain.supervised() && !plain.awaits_configuration() && plain.removable());
        assert_eq!(plain.skip_setup_items().count(), 0);
        assert_eq!((plain.configuration_web_url(), plain.department()), (None, None));

        let full = profile(
            r#"{"profile_name":"P","url":"https://m.example/","configuration_web_url":"https://w.example/",
                "is_supervised":true,"is_mdm_removable":false,"await_device_configured":true,
                "department":"IT","skip_setup_items":["Siri","TOS"]}"#,
        );
        assert!(full.supervised() && full.awaits_configuration() && !full.removable());
        assert_eq!(full.skip_setup_items().collect::<Vec<_>>(), ["Siri", "TOS"]);
        assert_eq!(
            (full.configuration_web_url(), full.department()),
            (Some("https://w.example/"), Some("IT"))
        );
        assert_eq!(EnrollmentProfile::from_stored(full.apple_json().clone()), full);
    }
}
