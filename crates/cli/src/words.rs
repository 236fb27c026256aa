//! Times and numbers as people read them.

use adelie_model::{ServerName, Timestamp};
use chrono::{SecondsFormat, TimeDelta};

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

/// A size in its largest unit: `312 bytes`, `4.2 MB`.
pub fn bytes(number: u64) -> String {
    let (mut size, mut unit) = (number as f64, "");
    for larger in ["kB", "MB", "GB", "TB"] {
        if size < 1000.0 {
            break;
        }
        (size, unit) = (size / 1000.0, larger);
    }
    if unit.is_empty() { count(number, "byte", "bytes") } else { format!("{size:.1} {unit}") }
}

/// A text whose commands name an MDM server as `NAME`, with the name of the one that it is about.
pub fn for_server(text: &str, server: &ServerName) -> String {
    let mut text = text.to_owned();
    for command in
        ["server set", "server show", "token key", "token import", "token renew", "token check", "sync"]
    {
        text = text.replace(&format!("adelie {command} NAME"), &format!("adelie {command} {server}"));
    }
    text
}

/// A length of time in its two largest units: `15m`, `7d`, `1h 30m`; below a second in milliseconds.
pub fn span(span: TimeDelta) -> String {
    let millis = span.num_milliseconds().max(0);
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let mut left = millis / 1000;
    let mut parts = Vec::new();
    for (unit, seconds) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if left >= seconds {
            parts.push(format!("{}{unit}", left / seconds));
            left %= seconds;
        }
    }
    parts.truncate(2);
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_name_the_server() {
        let lab = "lab".parse().expect("a name");
        let text = "run `adelie server set NAME --default mac=PROFILE`, or `adelie sync NAME`";
        assert_eq!(
            for_server(text, &lab),
            "run `adelie server set lab --default mac=PROFILE`, or `adelie sync lab`"
        );
    }

    #[test]
    fn a_size_has_one_unit() {
        let sizes = [1, 999, 1000, 4_249_000, 3_000_000_000_000_000].map(bytes);
        assert_eq!(sizes, ["1 byte", "999 bytes", "1.0 kB", "4.2 MB", "3000.0 TB"]);
    }

    #[test]
    fn a_span_has_two_units_at_most() {
        let of = |seconds| span(TimeDelta::seconds(seconds));
        assert_eq!([of(900), of(604_800), of(5400), of(59), of(3_600)], ["15m", "7d", "1h 30m", "59s", "1h"]);
        assert_eq!(of(90_061), "1d 1h");
        assert_eq!(span(TimeDelta::milliseconds(340)), "340ms");
        assert_eq!(of(-5), "0ms");
    }
}
