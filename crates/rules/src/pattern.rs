use std::fmt;

use crate::Field;
use crate::days::{BadDays, Days};
use crate::glob::{self, BadEscape, Letter};

/// One alternative of a [`Condition`](crate::Condition).
///
/// For most fields it is a text in which `*` stands for any characters and `?` for one, and upper and lower case are
/// alike. A backslash before `,`, `*`, `?`, `!`, white space or another backslash takes the character for itself. For
/// the assigned date it is a UTC day `2026-01-31`, a range `2026-01-01..2026-06-30` with both its ends,
/// `>=2026-01-01`, `<2026-07-01`, or `*`.
///
/// `Display` writes it so that it can be read again as part of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub(crate) Form);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A text without wildcards, as written. A box, because there may be 100,000 of them.
    Exact(Box<str>),
    Glob(Box<[Letter]>),
    Days(Days),
}

/// Why a pattern was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern {written:?} for {field} {why}")]
pub struct PatternError {
    /// What it was to be compared with.
    pub field: Field,
    /// What was written.
    pub written: String,
    /// What is wrong with it.
    pub why: PatternFault,
}

/// What is wrong with a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternFault {
    /// Nothing stands between two commas, or before the first or after the last one.
    #[error("is empty: leave it out; only a FIELD= without any pattern asks for devices without the fact")]
    Empty,
    /// A backslash before a character that means nothing else without it.
    #[error("has a backslash before {0:?}: write \\\\ for a backslash itself")]
    Escape(char),
    /// A backslash with nothing behind it.
    #[error("ends in a backslash: write \\\\ for a backslash itself")]
    EscapeAtEnd,
    /// An exclamation mark at the beginning, which people write for "not".
    #[error(
        "begins with !, and a pattern cannot say \"not\": put a rule for those devices before this one, or write \\! \
         for the character itself"
    )]
    Not,
    /// A serial number with white space inside, which none has: probably a list.
    #[error("has white space inside, and serial numbers have none: put commas between them")]
    Space,
    /// The word of a default for any family, which is no family.
    #[error(
        "names no family: leave the condition out, or write family=* for devices whose family Apple names"
    )]
    AnyFamily,
    /// No day and no range of days.
    #[error(
        "is no day: write one of 2026-01-31, 2026-01-01..2026-06-30, >=2026-01-01, <2026-07-01, or * for any day"
    )]
    Day,
    /// A range whose end is before its begin.
    #[error("ends before it begins: write the earlier day first")]
    Backwards,
}

impl Pattern {
    /// Reads a pattern as it is written in a condition. A comma may stand in it without a backslash.
    ///
    /// # Errors
    ///
    /// When the pattern means nothing, or could never hold, with this field.
    pub fn parse(field: Field, text: &str) -> Result<Self, PatternError> {
        let refused = |why| PatternError { field, written: text.to_owned(), why };
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(refused(PatternFault::Empty));
        }
        if field == Field::AssignedDate {
            return Ok(Self(Form::Days(days(trimmed).map_err(refused)?)));
        }
        if trimmed.starts_with('!') {
            return Err(refused(PatternFault::Not));
        }
        let letters = glob::parse(text).map_err(|escape| match escape {
            BadEscape::Before(c) => refused(PatternFault::Escape(c)),
            BadEscape::AtEnd => refused(PatternFault::EscapeAtEnd),
        })?;
        let literal: Option<String> = letters
            .iter()
            .map(|letter| match letter {
                Letter::Char(c) => Some(*c),
                Letter::One | Letter::Any => None,
            })
            .collect();
        match literal {
            Some(literal) => Self::literal(field, literal).map_err(refused),
            None if field == Field::Serial && letters.iter().any(is_space) => {
                Err(refused(PatternFault::Space))
            }
            None => Ok(Self(Form::Glob(letters.into()))),
        }
    }

    /// The pattern that takes this one value, whatever characters it has: for values that come from a file and not
    /// from a person's hand. For the assigned date a value is read as in [`Pattern::parse`].
    ///
    /// # Errors
    ///
    /// When it is empty, or no value of this field.
    pub fn value(field: Field, text: &str) -> Result<Self, PatternError> {
        let trimmed = text.trim();
        if trimmed.is_empty() || field == Field::AssignedDate {
            return Self::parse(field, text);
        }
        Self::literal(field, trimmed.to_owned()).map_err(|why| PatternError {
            field,
            written: text.to_owned(),
            why,
        })
    }

    fn literal(field: Field, text: String) -> Result<Self, PatternFault> {
        match field {
            Field::Serial if text.contains(char::is_whitespace) => Err(PatternFault::Space),
            Field::Family if text.eq_ignore_ascii_case("any") => Err(PatternFault::AnyFamily),
            _ => Ok(Self(Form::Exact(text.into()))),
        }
    }
}

fn is_space(letter: &Letter) -> bool {
    matches!(letter, Letter::Char(c) if c.is_whitespace())
}

fn days(text: &str) -> Result<Days, PatternFault> {
    Days::parse(text).map_err(|bad| match bad {
        BadDays::Form => PatternFault::Day,
        BadDays::Backwards => PatternFault::Backwards,
    })
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Exact(text) if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) => f.write_str(text),
            Form::Exact(text) => {
                let letters: Vec<Letter> = text.chars().map(Letter::Char).collect();
                glob::write(letters.into_iter(), f)
            }
            Form::Glob(letters) => glob::write(letters.iter().copied(), f),
            Form::Days(days) => days.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        for (field, text, says) in [
            (Field::Serial, " ", "is empty: leave it out"),
            (Field::AssignedBy, "ACME\\user", "has a backslash before 'u': write \\\\ for"),
            (Field::Model, "Mac\\", "ends in a backslash"),
            (Field::Serial, "!F*", "cannot say \"not\": put a rule for those devices before this one"),
            (Field::Serial, "C02A C02B", "put commas between them"),
            (Field::Serial, "C02* C03*", "put commas between them"),
            (Field::Family, "Any", "leave the condition out"),
            (Field::AssignedDate, "2026-02-30", "is no day: write one of 2026-01-31, "),
            (Field::AssignedDate, "2026-02-03..2026-02-01", "write the earlier day first"),
        ] {
            let error = Pattern::parse(field, text).expect_err(text);
            assert!(error.to_string().contains(says), "{error}");
            assert!(error.to_string().starts_with(&format!("the pattern {text:?} for {field} ")), "{error}");
        }
    }

    #[test]
    fn a_value_is_taken_as_it_is() {
        for (text, written) in [
            ("Room 1*", "Room 1\\*"),
            ("a,b", "a\\,b"),
            ("DOM\\user?", "DOM\\\\user\\?"),
            ("!not!", "\\!not!"),
            (" C02X ", "C02X"),
        ] {
            let pattern = Pattern::value(Field::AssetTag, text).expect(text);
            assert_eq!(pattern.to_string(), written);
            assert_eq!(Pattern::parse(Field::AssetTag, written), Ok(pattern));
        }
        let heading = Pattern::value(Field::Serial, "Serial Number").expect_err("a heading");
        assert_eq!(heading.why, PatternFault::Space);
    }

    #[test]
    fn white_space_at_the_edges_stays_behind_a_backslash_only() {
        for (written, printed) in
            [("  a b  ", "a b"), ("\\  a", "\\  a"), ("a \\ ", "a \\ "), ("\\ ", "\\ "), ("* ", "*")]
        {
            let pattern = Pattern::parse(Field::Model, written).expect(written);
            assert_eq!(pattern.to_string(), printed);
            assert_eq!(Pattern::parse(Field::Model, printed), Ok(pattern));
        }
    }
}
