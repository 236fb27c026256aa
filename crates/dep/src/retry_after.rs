//! The header `Retry-After`.

use std::time::Duration;

use adelie_model::Timestamp;

/// The longest wait that is believed: an absurd number must not silence an MDM server for years.
pub(crate) const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long to wait, from seconds or from an HTTP date seen from `now`. A date that has passed is no wait.
pub(crate) fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|c| c.is_ascii_digit()) {
        // Only a number too large for 64 bits does not parse.
        return Some(value.parse().map_or(LONGEST, Duration::from_secs).min(LONGEST));
    }
    let date = Timestamp::from(httpdate::parse_http_date(value).ok()?);
    Some((date - now).to_std().unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_bounded() {
        let now: Timestamp = "2026-03-01T10:00:00Z".parse().expect("a moment");
        let seconds = |text| parse(text, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("99999999999999999999999"), Some(604_800));
        assert_eq!(seconds("Sun, 01 Mar 2026 10:02:00 GMT"), Some(120));
        assert_eq!(seconds("Sun, 01 Mar 2026 09:00:00 GMT"), Some(0));
        assert_eq!(seconds("Sun, 01 Mar 2099 09:00:00 GMT"), Some(604_800));
        assert_eq!(seconds("soon"), None);
        assert_eq!(seconds(""), None);
        assert_eq!(seconds("-5"), None);
    }
}
