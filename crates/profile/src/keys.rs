//! Apple's profile keys and what each may hold (protocol section 5.1).

use crate::spelling;

/// What a key may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A text of one up to so many characters.
    Text { max: usize },
    /// Like `Text`, and an address.
    Email { max: usize },
    /// Where devices enroll, in up to so many URL-encoded characters.
    EnrollUrl { max: usize },
    /// A page that devices open.
    WebUrl,
    /// True or false.
    Flag,
    /// An ISO 639 code.
    Language,
    /// An ISO 3166-1 code.
    Region,
    /// Certificates as base64 of DER.
    Certificates,
    /// Skip keys.
    SkipItems,
    /// Nothing: the key has its place in Apple's JSON, though not in a file of ours.
    NotInFile,
}

const KEYS: &[(&str, Kind)] = &[
    ("allow_pairing", Kind::Flag),
    ("anchor_certs", Kind::Certificates),
    ("auto_advance_setup", Kind::Flag),
    ("await_device_configured", Kind::Flag),
    ("configuration_web_url", Kind::WebUrl),
    ("department", Kind::Text { max: 125 }),
    ("devices", Kind::NotInFile),
    ("do_not_use_profile_from_backup", Kind::Flag),
    ("is_mandatory", Kind::Flag),
    ("is_mdm_removable", Kind::Flag),
    ("is_multi_user", Kind::Flag),
    ("is_return_to_service", Kind::Flag),
    ("is_supervised", Kind::Flag),
    ("language", Kind::Language),
    ("org_magic", Kind::Text { max: 256 }),
    ("profile_name", Kind::Text { max: 125 }),
    ("profile_uuid", Kind::NotInFile),
    ("region", Kind::Region),
    ("skip_setup_items", Kind::SkipItems),
    ("supervising_host_certs", Kind::Certificates),
    ("support_email_address", Kind::Email { max: 250 }),
    ("support_phone_number", Kind::Text { max: 50 }),
    ("url", Kind::EnrollUrl { max: 2000 }),
];

/// All keys of Apple's, and what each may hold.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, Kind)> {
    KEYS.iter().copied()
}

/// The key of that name and what it may hold; `None` for a key that is not Apple's, or not yet.
pub(crate) fn find(key: &str) -> Option<(&'static str, Kind)> {
    all().find(|(known, _)| *known == key)
}

/// What this key may hold.
pub(crate) fn kind_of(key: &str) -> Option<Kind> {
    find(key).map(|(_, kind)| kind)
}

/// The key that was probably meant.
pub(crate) fn nearest(key: &str) -> Option<&'static str> {
    spelling::nearest(key, KEYS.iter().map(|(known, _)| *known))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Apple's published schema says which keys there are and of which type.
    #[test]
    fn the_keys_are_those_of_apples_schema() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference/dep-schemas/Profile.json");
        let Ok(text) = std::fs::read_to_string(path) else {
            println!("SKIPPED: ../shared/reference/dep-schemas is not there");
            return;
        };
        let schema: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let properties = schema["properties"].as_object().expect("properties");
        let mut keys: Vec<_> = properties.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, KEYS.iter().map(|(key, _)| *key).collect::<Vec<_>>());
        for (key, kind) in KEYS {
            let expected = match kind {
                Kind::Flag => "boolean",
                Kind::Certificates | Kind::SkipItems => "array",
                Kind::NotInFile => continue,
                _ => "string",
            };
            assert_eq!(properties[*key]["type"], expected, "{key}");
        }
    }
}
