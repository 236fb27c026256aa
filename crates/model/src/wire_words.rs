//! Words that come from Apple and go back to Apple unchanged.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A device's serial number, exactly as Apple writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SerialNumber(String);

/// Why a text is no serial number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no serial number: it must have 1 to 64 printable characters without spaces")]
pub struct SerialError(pub String);

impl SerialNumber {
    /// Takes what Apple sent, without a check: Apple is the authority on its serial numbers.
    #[must_use]
    pub fn from_apple(text: String) -> Self {
        Self(text)
    }

    /// The serial number as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SerialNumber {
    type Err = SerialError;

    /// Reads a serial number typed by a person: white space around it is dropped and letters are
    /// upper-cased, because Apple prints serial numbers in capitals only.
    fn from_str(text: &str) -> Result<Self, SerialError> {
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.len() > 64 || !trimmed.chars().all(|c| c.is_ascii_graphic()) {
            return Err(SerialError(text.to_owned()));
        }
        Ok(Self(trimmed.to_ascii_uppercase()))
    }
}

impl std::fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

macro_rules! opaque {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The text as Apple sent it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

opaque!(
    /// A position in Apple's device list: opaque, up to 1000 characters (protocol section 4.2).
    Cursor
);
opaque!(
    /// Apple's name of a published profile. Sent back verbatim, never parsed (protocol section 3.5).
    ProfileUuid
);

/// An open set of words: the known ones by name, any other kept as text.
macro_rules! open_words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A word that Apple has added since, kept as it is.
            Other(String),
        }

        impl $name {
            /// The word as Apple writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                $(if text.eq_ignore_ascii_case($text) {
                    return Self::$variant;
                })+
                Self::Other(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> String {
                word.as_str().to_owned()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use open_words;

open_words!(
    /// What Apple says of the profile of a device (protocol section 4.6).
    ProfileStatus {
        /// No profile.
        Empty = "empty",
        /// A profile waits for the device.
        Assigned = "assigned",
        /// The device has fetched its profile.
        Pushed = "pushed",
        /// A profile was taken away; the device needs one (field lesson L5).
        Removed = "removed",
    }
);

open_words!(
    /// What happened to a device, in a sync page (protocol section 4.3).
    OpType {
        /// Assigned to this MDM server.
        Added = "added",
        /// Something about it changed; also how a moved device may arrive (field lesson L6).
        Modified = "modified",
        /// No longer at this MDM server.
        Deleted = "deleted",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_survive_a_round_trip_and_known_ones_ignore_case() {
        let status: ProfileStatus = serde_json::from_str("\"Pushed\"").expect("a string");
        assert_eq!(status, ProfileStatus::Pushed);
        let unknown: OpType = serde_json::from_str("\"teleported\"").expect("a string");
        assert_eq!(serde_json::to_string(&unknown).expect("serializable"), "\"teleported\"");
    }

    #[test]
    fn a_typed_serial_is_trimmed_and_upper_cased() {
        assert_eq!(" c02example01\n".parse::<SerialNumber>().expect("good").as_str(), "C02EXAMPLE01");
        assert!("C02 EX".parse::<SerialNumber>().is_err());
        assert!("".parse::<SerialNumber>().is_err());
    }
}
