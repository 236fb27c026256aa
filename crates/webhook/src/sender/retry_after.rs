use std::time::Duration;

use adelie_model::Timestamp;
use chrono::DateTime;
use http::header::{HeaderMap, RETRY_AFTER};

/// The longest wait that a receiver can ask for.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads `Retry-After`: seconds, or an HTTP date. A moment that is over is no wait; nonsense is nothing at all.
pub(super) fn read(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    let wait = if digits {
        // Only more digits than fit can fail here.
        text.parse().map_or(LONGEST, Duration::from_secs)
    } else {
        let moment = DateTime::from(httpdate::parse_http_date(text).ok()?);
        (moment - now).to_std().unwrap_or_default()
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_nonsense_is_not() {
        // Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
        let now = DateTime::from_timestamp(784_111_777, 0).expect("a moment");
        for (text, expected) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("86401", Some(86_400)),
            ("99999999999999999999999", Some(86_400)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", Some(0)),
            ("Sat, 06 Nov 2094 08:49:37 GMT", Some(86_400)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("-1", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
        ] {
            let headers =
                HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).expect("a value"))]);
            assert_eq!(read(&headers, now), expected.map(Duration::from_secs), "{text}");
        }
        assert_eq!(read(&HeaderMap::new(), now), None);
    }
}
