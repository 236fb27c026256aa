use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::mix;

/// Where a client stands in the list of an MDM server; opaque to it (protocol section 4.2).
///
/// Everything is inside the text, with a check sum, so the simulator remembers no cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) server: u16,
    /// The next place of the listing; `None` once the listing is finished.
    pub(crate) place: Option<u64>,
    /// Where the listing ended when the fetch began; only the reversed order needs it.
    pub(crate) end: u64,
    /// The next event. During a fetch: the one that sync begins with, from before the fetch began.
    pub(crate) event: u64,
    /// When it was issued, in simulated milliseconds.
    pub(crate) issued_ms: i64,
    /// Grows, so that no two cursors are alike.
    pub(crate) number: u64,
}

impl Cursor {
    /// The text that the client gets, of at least `length` characters. `salt` differs by run, so that cursors of another
    /// run are invalid.
    pub(crate) fn encode(&self, salt: u64, length: usize) -> String {
        let place = self.place.map_or_else(|| "-".to_owned(), |place| place.to_string());
        let text =
            format!("{}:{place}:{}:{}:{}:{}", self.server, self.end, self.event, self.issued_ms, self.number);
        let text = URL_SAFE_NO_PAD.encode(format!("{text}:{:08x}", check_sum(&text, salt)));
        format!("{text:.<length$}")
    }

    /// Reads one of ours.
    pub(crate) fn decode(text: &str, salt: u64) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text.trim_end_matches('.')).ok()?).ok()?;
        let (text, sum) = text.rsplit_once(':')?;
        if u32::from_str_radix(sum, 16).ok()? != check_sum(text, salt) {
            return None;
        }
        let mut parts = text.split(':');
        let mut next = || parts.next();
        Some(Self {
            server: next()?.parse().ok()?,
            place: match next()? {
                "-" => None,
                place => Some(place.parse().ok()?),
            },
            end: next()?.parse().ok()?,
            event: next()?.parse().ok()?,
            issued_ms: next()?.parse().ok()?,
            number: next()?.parse().ok()?,
        })
    }
}

fn check_sum(text: &str, salt: u64) -> u32 {
    let sum = text.bytes().fold(salt, |sum, byte| mix(sum ^ u64::from(byte)));
    u32::try_from(sum >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_and_a_forged_one_does_not() {
        let cursor = Cursor {
            server: 3,
            place: Some(2000),
            end: 9,
            event: 7,
            issued_ms: 1_700_000_000_123,
            number: 42,
        };
        let text = cursor.encode(5, 0);
        assert_eq!(Cursor::decode(&text, 5), Some(cursor));
        assert_eq!(Cursor::decode(&text, 6), None);
        assert_eq!(Cursor::decode(&text[1..], 5), None);
        assert_eq!(Cursor::decode("MDowOjE3NzIzNTk1MDAwMDA", 5), None);
        let finished = Cursor { place: None, ..cursor };
        let long = finished.encode(5, 1000);
        assert_eq!((long.len(), Cursor::decode(&long, 5)), (1000, Some(finished)));
    }
}
