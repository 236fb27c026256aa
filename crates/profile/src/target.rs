use std::fmt;

use crate::skip_keys::Platform;
use crate::{OsVersion, spelling};

/// The names of platforms as a file has them. iPadOS follows iOS in everything that Apple's data tells apart.
const NAMES: &[(&str, Platform)] = &[
    ("iOS", Platform::IOs),
    ("iPadOS", Platform::IOs),
    ("macOS", Platform::MacOs),
    ("tvOS", Platform::TvOs),
    ("visionOS", Platform::VisionOs),
];

/// A platform that a profile is for: `macOS`, or `macOS 26.1` when the version of its devices is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    name: &'static str,
    platform: Platform,
    version: Option<OsVersion>,
}

impl Target {
    /// Reads `macOS` or `macOS 26.1`; upper and lower case do not count.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let mut words = text.split_whitespace();
        let word = words.next().unwrap_or_default();
        let known = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        let Some((name, platform)) = known else {
            let nearest = spelling::nearest(word, NAMES.iter().map(|(name, _)| *name));
            return Err(TargetError::Platform { word: word.to_owned(), nearest });
        };
        let version = match (words.next(), words.next()) {
            (None, _) => None,
            (Some(version), None) => {
                Some(version.parse().map_err(|_| TargetError::Version(version.to_owned()))?)
            }
            (Some(_), Some(_)) => return Err(TargetError::Version(text.trim().to_owned())),
        };
        Ok(Self { name, platform: *platform, version })
    }

    /// The platform, as the catalogue of skip keys has it.
    #[must_use]
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// Apple's name: iOS and iPadOS are told apart.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The version, where one is given.
    #[must_use]
    pub fn version(&self) -> Option<OsVersion> {
        self.version
    }
}

impl fmt::Display for Target {
    /// As a file has it; reading that again gives the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        match self.version {
            Some(version) => write!(f, " {version}"),
            None => Ok(()),
        }
    }
}

/// Why a text is no platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No platform of that name.
    #[error("there is no platform {word:?}")]
    Platform {
        /// What stands there.
        word: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// What follows the name is no version.
    #[error("{0:?} is no version")]
    Version(String),
}

impl TargetError {
    /// What to write instead.
    pub(crate) fn fix(&self) -> String {
        match self {
            Self::Platform { nearest: Some(name), .. } => format!("write `{name}` if that was meant"),
            Self::Platform { nearest: None, .. } => {
                "write iOS, iPadOS, macOS, tvOS or visionOS, with a version after it if you like".to_owned()
            }
            Self::Version(_) => "write one version after the platform, like `macOS 26.1`".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_read_in_any_case_and_written_as_apple_does() {
        for (text, written) in [
            ("macos", "macOS"),
            ("IPADOS 26", "iPadOS 26.0"),
            (" iOS  18.2 ", "iOS 18.2"),
            ("visionOS 26.0.1", "visionOS 26.0.1"),
        ] {
            let target = Target::parse(text).expect(text);
            assert_eq!(target.to_string(), written);
            assert_eq!(Target::parse(written), Ok(target));
        }
        assert_eq!(Target::parse("iPadOS").expect("known").platform(), Platform::IOs);
        for bad in ["", "Windows", "macOS x", "macOS 26 27", "26.1"] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Target::parse("macO").expect_err("misspelt").fix(), "write `macOS` if that was meant");
    }
}
