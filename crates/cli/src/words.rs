//! Times and numbers as people read them.

use adelie_model::Timestamp;
use chrono::SecondsFormat;

/// A moment as JSON has it: RFC 3339 in UTC, with milliseconds when there are some.
pub fn time(moment: Timestamp) -> String {
    moment.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A moment that may not be there, as JSON has it.
pub fn optional_time(moment: Option<Timestamp>) -> Option<String> {
    moment.map(time)
}

/// A moment for a table: to the minute, in UTC.
pub fn minute(moment: Option<Timestamp>) -> String {
    moment.map_or_else(|| "-".to_owned(), |moment| moment.format("%Y-%m-%d %H:%M UTC").to_string())
}

/// A number with its unit: `1 device`, `2 devices`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
