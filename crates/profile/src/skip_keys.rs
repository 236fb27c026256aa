//! The skip keys: which panes of Setup Assistant a profile can hide, and where (protocol section 9).

use std::fmt;

use serde::Serialize;

use crate::spelling;

mod availability;
mod catalogue;

pub use availability::{State, available, coverage, newest};

/// A key for `skip_setup_items`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SkipKey {
    /// The key as it is sent; upper and lower case count.
    pub key: &'static str,
    /// What the pane is about.
    pub title: &'static str,
    /// Where there is such a pane. Empty when that is not known.
    pub platforms: &'static [Availability],
    /// False when some devices show the pane in spite of the key; `note` says when.
    pub always_skippable: bool,
    /// Whether Apple still lists it.
    pub status: SkipKeyStatus,
    /// What else an administrator should know.
    pub note: Option<&'static str>,
}

/// On which versions of a platform a skip key has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Availability {
    /// The platform.
    pub platform: Platform,
    /// The first version that knows the key.
    pub introduced: &'static str,
    /// The version from which on Apple advises against it.
    pub deprecated: Option<&'static str>,
    /// The first version that no longer knows it.
    pub removed: Option<&'static str>,
}

/// A platform that has a Setup Assistant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Platform {
    /// iOS and iPadOS, which follow each other in this.
    #[serde(rename = "iOS")]
    IOs,
    /// macOS.
    #[serde(rename = "macOS")]
    MacOs,
    /// tvOS.
    #[serde(rename = "tvOS")]
    TvOs,
    /// visionOS.
    #[serde(rename = "visionOS")]
    VisionOs,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::IOs => "iOS",
            Self::MacOs => "macOS",
            Self::TvOs => "tvOS",
            Self::VisionOs => "visionOS",
        })
    }
}

/// Whether Apple still lists a skip key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipKeyStatus {
    /// It does.
    Current,
    /// It did for a while, and took it back.
    Withdrawn,
    /// It did long ago.
    Historic,
}

/// All skip keys that are known, in the order of Apple's data.
#[must_use]
pub fn all() -> &'static [SkipKey] {
    catalogue::CATALOGUE
}

/// The skip key that is written exactly so.
#[must_use]
pub fn find(key: &str) -> Option<&'static SkipKey> {
    all().iter().find(|known| known.key == key)
}

/// The skip key that a misspelt word was probably meant to be.
#[must_use]
pub fn nearest(word: &str) -> Option<&'static SkipKey> {
    spelling::nearest(word, all().iter().map(|known| known.key)).and_then(find)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::{Map, Value, json};

    use super::*;

    #[test]
    fn every_key_is_there_once_and_has_a_title() {
        let mut seen = HashSet::new();
        for key in all() {
            assert!(seen.insert(key.key), "{} is there twice", key.key);
            assert!(!key.title.is_empty(), "{}", key.key);
            assert!(key.always_skippable || key.note.is_some(), "{}: say when it is shown", key.key);
            assert!(!key.platforms.is_empty() || key.status != SkipKeyStatus::Current, "{}", key.key);
        }
    }

    #[test]
    fn the_catalogue_has_the_facts_of_the_reference() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference/skip-keys.json");
        let Ok(text) = std::fs::read_to_string(path) else {
            println!("SKIPPED: ../shared/reference/skip-keys.json is not there");
            return;
        };
        let reference: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        let expected: Vec<Value> = reference
            .iter()
            .map(|key| {
                json!({
                    "key": key["key"], "platforms": key["platforms"], "status": key["status"],
                    "always_skippable": key["always_skippable"], "noted": key["note"].is_string(),
                })
            })
            .collect();
        let ours: Vec<Value> = all()
            .iter()
            .map(|key| {
                json!({
                    "key": key.key, "platforms": platforms(key), "status": key.status,
                    "always_skippable": key.always_skippable, "noted": key.note.is_some(),
                })
            })
            .collect();
        assert_eq!(ours, expected);
    }

    /// The platforms in the reference's form.
    fn platforms(key: &SkipKey) -> Value {
        let mut platforms = Map::new();
        for at in key.platforms {
            let mut versions = Map::new();
            versions.insert("introduced".into(), at.introduced.into());
            for (word, version) in [("deprecated", at.deprecated), ("removed", at.removed)] {
                if let Some(version) = version {
                    versions.insert(word.into(), version.into());
                }
            }
            platforms.insert(at.platform.to_string(), versions.into());
        }
        platforms.into()
    }

    #[test]
    fn a_misspelt_key_finds_its_neighbour() {
        assert_eq!(nearest("ICloudstorage").map(|key| key.key), Some("iCloudStorage"));
        assert_eq!(nearest("AppelID").map(|key| key.key), Some("AppleID"));
        assert_eq!(nearest("Frobnicate").map(|key| key.key), None);
        assert!(find("appleid").is_none(), "case counts");
    }
}
