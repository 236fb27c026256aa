//! Which panes a version of a platform has.

use super::{Availability, Platform, SkipKey, SkipKeyStatus, all};
use crate::{OsVersion, ProfileDocument};

/// How a skip key stands on one version of a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The platform has no such pane, in no version.
    Elsewhere,
    /// A later version will know it.
    NotYet(OsVersion),
    /// It is known.
    Known,
    /// It is known, and Apple has advised against it since that version.
    Deprecated(OsVersion),
    /// It is not known any more since that version.
    Removed(OsVersion),
}

/// The skip keys that this version of a platform knows, in the order of Apple's data. Those that Apple advises
/// against are among them; those that it has withdrawn are not.
pub fn available(platform: Platform, version: OsVersion) -> impl Iterator<Item = &'static SkipKey> {
    all().iter().filter(move |key| {
        key.status == SkipKeyStatus::Current
            && matches!(key.state(platform, version), State::Known | State::Deprecated(_))
    })
}

/// The newest version of the platform that the catalogue knows of.
#[must_use]
pub fn newest(platform: Platform) -> OsVersion {
    all()
        .iter()
        .filter(|key| key.status == SkipKeyStatus::Current)
        .filter_map(|key| key.on(platform))
        .flat_map(|at| [Some(at.introduced), at.deprecated, at.removed])
        .flatten()
        .map(version)
        .max()
        .unwrap_or_default()
}

/// The panes of this version of a platform about which the profile says nothing: it neither hides them nor says that
/// they are to be shown. What a new version of an operating system adds turns up here.
#[must_use]
pub fn coverage(profile: &ProfileDocument, platform: Platform, version: OsVersion) -> Vec<&'static SkipKey> {
    available(platform, version)
        .filter(|key| {
            !profile.profile().skip_setup_items().any(|hidden| hidden == key.key)
                && !profile.shown_panes().any(|shown| shown == key.key)
        })
        .collect()
}

impl SkipKey {
    /// Where the key stands on this version of the platform.
    #[must_use]
    pub fn state(&self, platform: Platform, at: OsVersion) -> State {
        let Some(availability) = self.on(platform) else { return State::Elsewhere };
        if version(availability.introduced) > at {
            return State::NotYet(version(availability.introduced));
        }
        if let Some(removed) = availability.removed.map(version).filter(|removed| *removed <= at) {
            return State::Removed(removed);
        }
        match availability.deprecated.map(version).filter(|deprecated| *deprecated <= at) {
            Some(deprecated) => State::Deprecated(deprecated),
            None => State::Known,
        }
    }

    /// On which versions of the platform the key has an effect.
    #[must_use]
    pub fn on(&self, platform: Platform) -> Option<&'static Availability> {
        self.platforms.iter().find(|at| at.platform == platform)
    }
}

/// A version of the catalogue; a test reads them all.
fn version(text: &str) -> OsVersion {
    text.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLATFORMS: [Platform; 4] = [Platform::IOs, Platform::MacOs, Platform::TvOs, Platform::VisionOs];

    fn keys(platform: Platform, version: &str) -> Vec<&'static str> {
        available(platform, version.parse().expect(version)).map(|key| key.key).collect()
    }

    #[test]
    fn every_version_of_the_catalogue_is_one() {
        for at in all().iter().flat_map(|key| key.platforms) {
            for text in [Some(at.introduced), at.deprecated, at.removed].into_iter().flatten() {
                assert!(text.parse::<OsVersion>().is_ok(), "{text}");
            }
        }
        for platform in PLATFORMS {
            assert!(newest(platform) > OsVersion::default(), "{platform}");
        }
    }

    #[test]
    fn a_version_has_its_panes_and_no_others() {
        let mac = keys(Platform::MacOs, "15.3");
        assert!(mac.contains(&"Wallpaper") && mac.contains(&"FileVault") && mac.contains(&"DisplayTone"));
        assert!(!mac.contains(&"SoftwareUpdate") && !mac.contains(&"ActionButton"));
        let newer = keys(Platform::MacOs, "26.1");
        assert!(!newer.contains(&"Wallpaper") && newer.contains(&"OSShowcase"));
        assert!(!newer.contains(&"AdditionalPrivacySettings"), "withdrawn");
        assert!(keys(Platform::VisionOs, "2.0").is_empty());
        assert_eq!(keys(Platform::TvOs, "11.0").last(), Some(&"TVProviderSignIn"));
    }

    #[test]
    fn a_key_has_a_state_on_each_platform() {
        let state = |key: &str, platform, version: &str| {
            super::super::find(key).expect(key).state(platform, version.parse().expect(version))
        };
        let v = |text: &str| text.parse().expect(text);
        assert_eq!(state("Zoom", Platform::IOs, "16.4"), State::Known);
        assert_eq!(state("Zoom", Platform::IOs, "17"), State::Deprecated(v("17.0")));
        assert_eq!(state("Zoom", Platform::MacOs, "26"), State::Elsewhere);
        assert_eq!(state("Wallpaper", Platform::MacOs, "14.0"), State::NotYet(v("14.1")));
        assert_eq!(state("Wallpaper", Platform::MacOs, "26"), State::Removed(v("26.0")));
    }
}
