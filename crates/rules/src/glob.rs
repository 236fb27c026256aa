use std::fmt;

use crate::fold;
use crate::glob_index::bytes_of;

/// One place of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Letter {
    /// This character, in upper or lower case.
    Char(char),
    /// `?`: any one character.
    One,
    /// `*`: any characters, or none.
    Any,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadEscape {
    /// A backslash before a character that has no other meaning.
    Before(char),
    /// A backslash at the end.
    AtEnd,
}

/// Reads a pattern. White space around it is dropped, unless a backslash stands before it.
pub(crate) fn parse(text: &str) -> Result<Vec<Letter>, BadEscape> {
    let mut letters = Vec::new();
    // The letters up to here stay; after it there is only white space so far.
    let mut kept = 0;
    let mut chars = text.trim_start().chars();
    while let Some(c) = chars.next() {
        let letter = match c {
            '*' => Letter::Any,
            '?' => Letter::One,
            '\\' => match chars.next() {
                Some(c) if is_special(c) || c.is_whitespace() => Letter::Char(c),
                Some(c) => return Err(BadEscape::Before(c)),
                None => return Err(BadEscape::AtEnd),
            },
            c => Letter::Char(c),
        };
        letters.push(letter);
        if !c.is_whitespace() {
            kept = letters.len();
        }
    }
    letters.truncate(kept);
    Ok(letters)
}

/// The characters that mean something in a pattern, and so take a backslash to stand for themselves.
pub(crate) fn is_special(c: char) -> bool {
    matches!(c, ',' | '\\' | '*' | '?' | '!')
}

/// Writes a pattern so that [`parse`] reads it back.
pub(crate) fn write(
    letters: impl ExactSizeIterator<Item = Letter>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    use fmt::Write as _;

    let last = letters.len().saturating_sub(1);
    for (at, letter) in letters.enumerate() {
        match letter {
            Letter::Any => f.write_char('*')?,
            Letter::One => f.write_char('?')?,
            Letter::Char(c) => {
                let edge = at == 0 || at == last;
                let escaped = match c {
                    '!' => at == 0,
                    c => is_special(c) || (edge && c.is_whitespace()),
                };
                if escaped {
                    f.write_char('\\')?;
                }
                f.write_char(c)?;
            }
        }
    }
    Ok(())
}

/// A pattern with wildcards, made ready: in lower case, and of several that mean the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    /// What every text that matches begins with, in UTF-8.
    prefix: Box<[u8]>,
    /// The rest, from the first wildcard on.
    rest: Box<[Letter]>,
    /// The bytes that occur in every text that matches, as [`bytes_of`] says it.
    needs: u128,
}

impl Glob {
    /// Makes a pattern ready.
    pub(crate) fn new(letters: &[Letter]) -> Self {
        let letters: Vec<Letter> = letters
            .iter()
            .map(|letter| match letter {
                Letter::Char(c) => Letter::Char(fold::char(*c)),
                wildcard => *wildcard,
            })
            .collect();
        let literal = letters.iter().map_while(|letter| match letter {
            Letter::Char(c) => Some(*c),
            _ => None,
        });
        let prefix: String = literal.collect();
        let rest = orderly(&letters[prefix.chars().count()..]);
        let needs = letters.iter().fold(0, |needs, letter| match letter {
            Letter::Char(c) => needs | bytes_of(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Letter::One | Letter::Any => needs,
        });
        Self { prefix: prefix.into_bytes().into(), rest, needs }
    }

    /// What every text that matches begins with.
    pub(crate) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Whether it matches every text with its prefix: `C02*`.
    pub(crate) fn asks_for_no_more(&self) -> bool {
        *self.rest == [Letter::Any]
    }

    /// Whether it matches every text.
    pub(crate) fn is_any(&self) -> bool {
        self.prefix.is_empty() && self.asks_for_no_more()
    }

    /// Whether a text with these bytes has all that it needs. Most texts that do not match have not.
    pub(crate) fn needs_only(&self, bytes: u128) -> bool {
        self.needs & !bytes == 0
    }

    /// Whether it matches a text in lower case.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        text.strip_prefix(&*self.prefix).is_some_and(|text| self.matches_behind_prefix(text))
    }

    /// Whether it matches a text in lower case that follows its prefix.
    pub(crate) fn matches_behind_prefix(&self, text: &[u8]) -> bool {
        let same = |letter, c| letter == Letter::One || letter == Letter::Char(c);
        if text.is_ascii() {
            return fits(&self.rest, text.iter().map(|byte| char::from(*byte)), same);
        }
        // The prefix ends between two characters, so what is left of UTF-8 is UTF-8.
        std::str::from_utf8(text).is_ok_and(|text| fits(&self.rest, text.chars(), same))
    }

    /// Whether every text that `other` matches is matched by this one, too. It never says yes wrongly.
    ///
    /// The other pattern is read like a text, each of its wildcards being a character that only a wildcard of at least
    /// the same width matches.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let (own, others) = (self.letters(), other.letters());
        fits(&own, others.iter().copied(), |letter, other| match letter {
            Letter::One => other != Letter::Any,
            letter => letter == other,
        })
    }

    /// Whether no text is matched by both. It never says yes wrongly.
    pub(crate) fn is_apart_from(&self, other: &Self) -> bool {
        let starts = self.prefix.iter().zip(&other.prefix).any(|(one, another)| one != another);
        starts || self.suffix().zip(other.suffix()).any(|(one, another)| one != another)
    }

    fn letters(&self) -> Vec<Letter> {
        let prefix = String::from_utf8_lossy(&self.prefix);
        prefix.chars().map(Letter::Char).chain(self.rest.iter().copied()).collect()
    }

    /// What every text that matches ends with, backwards.
    fn suffix(&self) -> impl Iterator<Item = char> {
        self.rest.iter().rev().map_while(|letter| match letter {
            Letter::Char(c) => Some(*c),
            _ => None,
        })
    }
}

/// In each row of wildcards every `?` comes first and at most one `*` after them, which matches the same texts.
fn orderly(letters: &[Letter]) -> Box<[Letter]> {
    let mut ordered = Vec::with_capacity(letters.len());
    let mut any = false;
    for letter in letters {
        if *letter == Letter::Any {
            any = true;
            continue;
        }
        if any && *letter != Letter::One {
            ordered.push(Letter::Any);
            any = false;
        }
        ordered.push(*letter);
    }
    if any {
        ordered.push(Letter::Any);
    }
    ordered.into()
}

/// Whether the pattern fits the whole text. `same` says whether a letter that is no `*` stands for a character.
///
/// On a mismatch only the last `*` takes one character more: the earlier ones need not, because what follows them was
/// already found as far to the left as can be.
fn fits<C: Copy>(
    pattern: &[Letter],
    text: impl Iterator<Item = C> + Clone,
    same: impl Fn(Letter, C) -> bool,
) -> bool {
    let mut at = 0;
    let mut rest = text;
    let mut last_any = None;
    loop {
        let letter = pattern.get(at).copied();
        if letter == Some(Letter::Any) {
            at += 1;
            last_any = Some((at, rest.clone()));
            continue;
        }
        match (letter, rest.next()) {
            (None, None) => return true,
            (Some(_), None) => return false,
            (Some(letter), Some(c)) if same(letter, c) => at += 1,
            (_, Some(_)) => {
                let Some((after, from)) = &mut last_any else { return false };
                if from.next().is_none() {
                    return false;
                }
                at = *after;
                rest = from.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn glob(text: &str) -> Glob {
        Glob::new(&parse(text).expect("a pattern"))
    }

    #[test]
    fn wildcards_stand_for_what_they_should() {
        for (pattern, text, matches) in [
            ("*", "", true),
            ("C02*", "c02x", true),
            ("C02*", "c02", true),
            ("c02*", "c0", false),
            ("?", "é", true),
            ("??", "é", false),
            ("*É?", "cafés", true),
            ("*pro*", "macbook pro (14-inch)", true),
            ("*pro", "macbook pro (14-inch)", false),
            ("m*k p?o", "macbook pro", true),
            ("a*a", "a", false),
            ("*ab*ab", "abab", true),
            ("*ab*ab", "abaab", true),
            ("*ab*abb", "abab", false),
            ("\\*x?", "*xy", true),
            ("\\*x?", "axy", false),
        ] {
            assert_eq!(glob(pattern).matches(text.as_bytes()), matches, "{pattern} on {text}");
        }
    }

    #[test]
    fn covering_is_found_where_it_is_plain() {
        for (wide, narrow, covers) in [
            ("*", "F*", true),
            ("F*", "FA*", true),
            ("FA*", "F*", false),
            ("f*", "F??", true),
            ("F??", "F*", false),
            ("*book*", "mac*book pro*", true),
            ("?*", "*?", true),
            ("*??*", "?*?", true),
            ("a*b", "a*", false),
            ("*a", "*ba", true),
        ] {
            assert_eq!(glob(wide).covers(&glob(narrow)), covers, "{wide} over {narrow}");
        }
    }

    fn pattern() -> impl Strategy<Value = Vec<Letter>> {
        let letter = prop_oneof![
            3 => prop::sample::select(vec!['a', 'B', 'é']).prop_map(Letter::Char),
            1 => Just(Letter::One),
            1 => Just(Letter::Any),
        ];
        prop::collection::vec(letter, 0..6)
    }

    /// As plain as it can be said.
    fn plainly(pattern: &[Letter], text: &[char]) -> bool {
        match (pattern, text) {
            ([], text) => text.is_empty(),
            ([Letter::Any, rest @ ..], text) => {
                plainly(rest, text) || (!text.is_empty() && plainly(pattern, &text[1..]))
            }
            ([_, ..], []) => false,
            ([Letter::One, rest @ ..], [_, text @ ..]) => plainly(rest, text),
            ([Letter::Char(c), rest @ ..], [d, text @ ..]) => {
                c.to_lowercase().eq(d.to_lowercase()) && plainly(rest, text)
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn it_matches_what_it_plainly_should(
            one in pattern(), other in pattern(), text in "[abé]{0,7}",
        ) {
            let (glob, second) = (Glob::new(&one), Glob::new(&other));
            let chars: Vec<char> = text.chars().collect();
            prop_assert_eq!(glob.matches(text.as_bytes()), plainly(&one, &chars));
            if second.matches(text.as_bytes()) {
                prop_assert!(!glob.covers(&second) || glob.matches(text.as_bytes()));
                prop_assert!(!glob.is_apart_from(&second) || !glob.matches(text.as_bytes()));
            }
        }
    }
}
