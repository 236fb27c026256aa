use std::fmt;
use std::str::FromStr;

/// Which event types an endpoint gets: a type such as `assignment.failed`, or a glob such as `device.*` or `*`. A star
/// stands for any characters, dots and nothing at all included.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventPattern(String);

/// Why a text is no pattern of event types.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing stands there.
    #[error("the pattern of event types is empty: write `*` for all of them")]
    Empty,
    /// Longer than any event type.
    #[error("the pattern of event types has {0} characters and the limit is 100: choose a shorter one")]
    TooLong(usize),
    /// A character that no event type has.
    #[error(
        "the pattern {text:?} contains {character:?}: event types are made of small letters, `_` and `.`, and `*` stands for \
         any of them, such as in `device.*`"
    )]
    Character {
        /// The whole pattern.
        text: String,
        /// The first character that is not allowed.
        character: char,
    },
}

impl EventPattern {
    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an event of this type is meant.
    #[must_use]
    pub fn matches(&self, kind: &str) -> bool {
        let Some((start, rest)) = self.0.split_once('*') else { return self.0 == kind };
        let Some(mut left) = kind.strip_prefix(start) else { return false };
        // Each piece between two stars at its first place leaves the most for those after it.
        let mut pieces = rest.split('*');
        let end = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            let Some(place) = left.find(piece) else { return false };
            left = &left[place + piece.len()..];
        }
        left.ends_with(end)
    }
}

impl FromStr for EventPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let allowed = |c: char| c.is_ascii_lowercase() || matches!(c, '_' | '.' | '*');
        if let Some(character) = text.chars().find(|c| !allowed(*c)) {
            return Err(PatternError::Character { text: text.chars().take(100).collect(), character });
        }
        if text.len() > 100 {
            return Err(PatternError::TooLong(text.len()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_what_they_say() {
        for (pattern, kind, expected) in [
            ("*", "device.added", true),
            ("device.*", "device.added", true),
            ("device.*", "devices.imported", false),
            ("device*", "devices.imported", true),
            ("device.*", "device", false),
            ("assignment.failed", "assignment.failed", true),
            ("assignment.failed", "assignment.failed_again", false),
            ("*.failed", "sync.failed", true),
            ("*.failed", "sync.completed", false),
            ("*e*e*", "device.added", true),
            ("t*t*t", "tt", false),
            ("aba*ba", "aba", false),
            ("aba*ba", "ababa", true),
            ("a**c", "ac", true),
        ] {
            let parsed: EventPattern = pattern.parse().expect("a pattern");
            assert_eq!(parsed.matches(kind), expected, "{pattern} {kind}");
            assert_eq!(parsed.to_string(), pattern);
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        assert_eq!("  ".parse::<EventPattern>(), Err(PatternError::Empty));
        assert_eq!("a".repeat(101).parse::<EventPattern>(), Err(PatternError::TooLong(101)));
        for (text, character) in
            [("Device.*", 'D'), ("device.?", '?'), ("a,b", ','), ("a b", ' '), ("x%", '%')]
        {
            let expected = PatternError::Character { text: text.into(), character };
            assert_eq!(text.parse::<EventPattern>(), Err(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_star_in_place_of_any_part_still_matches(kind in "[a-z_.]{1,30}", from in 0..30usize, to in 0..30usize) {
            let (from, to) = (from.min(to).min(kind.len()), from.max(to).min(kind.len()));
            let pattern: EventPattern = format!("{}*{}", &kind[..from], &kind[to..]).parse().expect("a pattern");
            prop_assert!(pattern.matches(&kind));
        }
    }
}
