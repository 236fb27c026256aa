use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing but white space.
    #[error("the name is empty: give it at least one letter")]
    Empty,
    /// Longer than the limit.
    #[error("the name has {actual} characters and the limit is {limit}: choose a shorter one")]
    TooLong {
        /// Its length in characters.
        actual: usize,
        /// The longest allowed length in characters.
        limit: usize,
    },
    /// A control character, a slash or a backslash, which would break tables, paths and URLs.
    #[error("the name contains {0:?}: control characters, `/`, `\\` and `=` are not allowed")]
    Character(char),
    /// A leading dash reads as an option on a command line.
    #[error("the name starts with a dash, which reads as an option: start it with another character")]
    LeadingDash,
}

const LIMIT: usize = 100;

fn check(text: &str) -> Result<String, NameError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    let actual = text.chars().count();
    if actual > LIMIT {
        return Err(NameError::TooLong { actual, limit: LIMIT });
    }
    if let Some(bad) = text.chars().find(|c| c.is_control() || matches!(c, '/' | '\\' | '=')) {
        return Err(NameError::Character(bad));
    }
    if text.starts_with('-') {
        return Err(NameError::LeadingDash);
    }
    Ok(text.to_owned())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// Our name of an MDM server: 1 to 100 characters, unique in the database.
    ServerName
);
name!(
    /// Our name of an enrollment profile: 1 to 100 characters, unique in the database.
    ProfileName
);
name!(
    /// Our name of a rule that says which devices get which profile: 1 to 100 characters, unique in the database.
    RuleName
);

name!(
    /// A word of ours for a group of devices, by which rules and lists find them: 1 to 100 characters.
    Tag
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_checked() {
        assert_eq!(" Lab 1 ".parse::<ServerName>().expect("a good name").as_str(), "Lab 1");
        assert_eq!("  ".parse::<ServerName>(), Err(NameError::Empty));
        assert_eq!("a/b".parse::<ServerName>(), Err(NameError::Character('/')));
        assert_eq!("--all".parse::<ServerName>(), Err(NameError::LeadingDash));
        assert!(matches!(
            "x".repeat(101).parse::<ProfileName>(),
            Err(NameError::TooLong { actual: 101, .. })
        ));
        assert!("Äpfel".repeat(20).parse::<ProfileName>().is_ok());
    }
}
