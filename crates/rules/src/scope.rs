use std::fmt;
use std::str::FromStr;

use adelie_model::DeviceFamily;
use serde::{Deserialize, Serialize};

/// What a default is for. Written as one word on the command line, in JSON and in stores:
/// `mac`, `iphone`, `ipad`, `ipod`, `appletv`, `vision` or `any`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// Devices of one family. A family that Adelie does not know has no word: it is covered by [`Scope::Any`].
    Family(DeviceFamily),
    /// Every device whose family has no default of its own.
    Any,
}

impl Scope {
    /// All that have a word, in the order of help texts.
    pub const ALL: [Self; 7] = [
        Self::Family(DeviceFamily::Mac),
        Self::Family(DeviceFamily::IPhone),
        Self::Family(DeviceFamily::IPad),
        Self::Family(DeviceFamily::IPod),
        Self::Family(DeviceFamily::AppleTv),
        Self::Family(DeviceFamily::Vision),
        Self::Any,
    ];

    /// The word for it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Family(DeviceFamily::Mac) => "mac",
            Self::Family(DeviceFamily::IPhone) => "iphone",
            Self::Family(DeviceFamily::IPad) => "ipad",
            Self::Family(DeviceFamily::IPod) => "ipod",
            Self::Family(DeviceFamily::AppleTv) => "appletv",
            Self::Family(DeviceFamily::Vision) => "vision",
            Self::Family(DeviceFamily::Other(word)) => word,
            Self::Any => "any",
        }
    }

    /// The scope of a stored word. One that is none of ours is the family that Apple calls so.
    #[must_use]
    pub fn of_word(word: &str) -> Self {
        word.parse().unwrap_or_else(|_| Self::Family(DeviceFamily::from(word)))
    }

    /// What lists are sorted by: the order of [`ALL`](Self::ALL), with families that have no word of their own before
    /// `any`, by Apple's words for them.
    #[must_use]
    pub fn order(&self) -> (usize, &str) {
        let last = Self::ALL.len() - 1;
        let place = match self {
            Self::Any => last + 1,
            family => Self::ALL.iter().position(|known| known == family).unwrap_or(last),
        };
        (place, self.as_str())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no device family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeError(String);

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} names no device family: use one of", self.0)?;
        for (at, scope) in Scope::ALL.iter().enumerate() {
            write!(f, "{} {scope}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for ScopeError {}

impl FromStr for Scope {
    type Err = ScopeError;

    /// Reads the word for a scope in any case; Apple's own spelling of a family is the same word.
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let word = text.trim();
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str().eq_ignore_ascii_case(word))
            .ok_or_else(|| ScopeError(text.to_owned()))
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_read_back_from_its_word_and_every_known_family_has_one() {
        for scope in Scope::ALL {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        for family in DeviceFamily::KNOWN {
            assert_eq!(family.as_str().parse(), Ok(Scope::Family(family)), "Apple's spelling is taken too");
        }
    }

    #[test]
    fn a_stored_word_is_the_scope_that_was_stored_and_any_is_the_last_in_lists() {
        let watch = || Scope::Family(DeviceFamily::Other("Watch".to_owned()));
        let mut scopes: Vec<Scope> = Scope::ALL.into_iter().rev().collect();
        scopes.push(watch());
        for scope in &scopes {
            assert_eq!(Scope::of_word(scope.as_str()), *scope);
        }
        scopes.sort_by(|a, b| a.order().cmp(&b.order()));
        let (known, last) = scopes.split_at(6);
        assert_eq!(known, &Scope::ALL[..6]);
        assert_eq!(last, [watch(), Scope::Any]);
    }

    #[test]
    fn a_wrong_word_is_answered_with_the_right_ones() {
        let error = "macbook".parse::<Scope>().expect_err("no family");
        assert_eq!(
            error.to_string(),
            "\"macbook\" names no device family: use one of mac, iphone, ipad, ipod, appletv, vision, any"
        );
        assert!("".parse::<Scope>().is_err());
    }
}
