use std::fmt;

use adelie_model::Timestamp;
use chrono::{Datelike, NaiveDate};

/// A pattern for a date: which UTC days it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Days {
    /// `*`: any day.
    Any,
    /// `2026-01-31`.
    On(NaiveDate),
    /// `2026-01-01..2026-06-30`: both ends belong to it.
    Between(NaiveDate, NaiveDate),
    /// `>=2026-01-01`.
    From(NaiveDate),
    /// `<2026-07-01`.
    Before(NaiveDate),
}

/// Why a text is no pattern for a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadDays {
    /// It has none of the known forms, or a day that no calendar has.
    Form,
    /// A range whose end is before its begin.
    Backwards,
}

impl Days {
    /// Reads one of the forms above.
    pub(crate) fn parse(text: &str) -> Result<Self, BadDays> {
        let text = text.trim();
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(from) = text.strip_prefix(">=") {
            return Ok(Self::From(day(from)?));
        }
        if let Some(before) = text.strip_prefix('<') {
            return Ok(Self::Before(day(before)?));
        }
        match text.split_once("..") {
            None => Ok(Self::On(day(text)?)),
            Some((from, to)) => match (day(from)?, day(to)?) {
                (from, to) if from <= to => Ok(Self::Between(from, to)),
                _ => Err(BadDays::Backwards),
            },
        }
    }

    /// Its first and its last day, both as numbers like those of [`number`].
    pub(crate) fn bounds(self) -> (i32, i32) {
        match self {
            Self::Any => (i32::MIN, i32::MAX),
            Self::On(day) => (day.num_days_from_ce(), day.num_days_from_ce()),
            Self::Between(from, to) => (from.num_days_from_ce(), to.num_days_from_ce()),
            Self::From(day) => (day.num_days_from_ce(), i32::MAX),
            Self::Before(day) => (i32::MIN, day.num_days_from_ce() - 1),
        }
    }
}

/// The number of the UTC day of a moment.
pub(crate) fn number(moment: Timestamp) -> i32 {
    moment.num_days_from_ce()
}

/// Exactly `YYYY-MM-DD`: what is written is to look like what Adelie prints.
fn day(text: &str) -> Result<NaiveDate, BadDays> {
    let text = text.trim();
    let digits =
        |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
    if text.len() != 10 || !text.bytes().enumerate().all(digits) {
        return Err(BadDays::Form);
    }
    text.parse().map_err(|_| BadDays::Form)
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::On(day) => write!(f, "{day}"),
            Self::Between(from, to) => write!(f, "{from}..{to}"),
            Self::From(day) => write!(f, ">={day}"),
            Self::Before(day) => write!(f, "<{day}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_and_written_alike_and_takes_its_days() {
        for (text, before, first, last, after) in [
            (
                "2026-02-28",
                Some("2026-02-27T23:59:59.999Z"),
                "2026-02-28T00:00:00Z",
                "2026-02-28T23:59:59Z",
                true,
            ),
            (
                "2026-01-01..2026-06-30",
                Some("2025-12-31T23:00:00Z"),
                "2026-01-01T00:00:00Z",
                "2026-06-30T12:00:00Z",
                true,
            ),
            (
                ">=2026-01-01",
                Some("2025-12-31T23:59:59Z"),
                "2026-01-01T00:00:00Z",
                "2199-01-01T00:00:00Z",
                false,
            ),
            ("<2026-07-01", None, "1999-01-01T00:00:00Z", "2026-06-30T23:59:59Z", true),
            ("*", None, "1999-01-01T00:00:00Z", "2199-01-01T00:00:00Z", false),
        ] {
            let days = Days::parse(text).expect(text);
            assert_eq!(days.to_string(), text);
            let (from, to) = days.bounds();
            let takes = |moment: &str| (from..=to).contains(&number(moment.parse().expect("a moment")));
            assert!(takes(first) && takes(last), "{text}");
            assert!(before.is_none_or(|moment| !takes(moment)), "{text}");
            assert!(!after || !takes("2026-07-01T00:00:00Z"), "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "2026",
            "2026-1-1",
            "2026-02-30",
            "01.02.2026",
            ">2026-01-01",
            "2026-01-01..",
            "..",
            "20260101-1",
        ] {
            assert_eq!(Days::parse(text), Err(BadDays::Form), "{text}");
        }
        assert_eq!(Days::parse("2026-02-01..2026-01-01"), Err(BadDays::Backwards));
    }
}
