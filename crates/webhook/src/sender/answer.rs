use std::time::Duration;

use reqwest::Response;

use super::Failure;

/// What came of one attempt.
#[derive(Debug, Default)]
pub struct Tried {
    /// The status of the answer, if it came as far as that.
    pub status: Option<u16>,
    /// Why it failed; nothing when the receiver has taken the event and its answer came whole.
    pub failure: Option<Failure>,
    /// How long the receiver asks us to wait, at most a day.
    pub retry_after: Option<Duration>,
    /// The beginning of the answer's body, at most 1 KiB, without control characters.
    pub excerpt: String,
    /// How long it took.
    pub took: Duration,
}

/// How many bytes of an answer are kept for people.
const KEPT: usize = 1024;
/// How many bytes of an answer are read, so that its connection can be used again. After that it is given up.
const READ: usize = 64 * 1024;

/// Reads the body to its end, or to the limit: what a receiver writes after that is nobody's loss.
pub(super) async fn read(response: &mut Response, excerpt: &mut String) -> reqwest::Result<()> {
    let mut kept = Vec::new();
    let mut seen = 0;
    let outcome = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                kept.extend_from_slice(&chunk[..chunk.len().min(KEPT - kept.len())]);
                seen += chunk.len();
                if seen >= READ {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
        // Written at once: should the rest never come, people see what there was.
        *excerpt = text(&kept);
    };
    *excerpt = text(&kept);
    outcome
}

/// Text that no terminal and no database chokes on.
fn text(bytes: &[u8]) -> String {
    let clean =
        |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { char::REPLACEMENT_CHARACTER } else { c };
    let mut text: String = String::from_utf8_lossy(bytes).chars().map(clean).collect();
    // A replaced byte is three.
    text.truncate(text.floor_char_boundary(KEPT));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_short_and_clean() {
        assert_eq!(text(b"ok\n\x1b[31m\0"), "ok\n\u{fffd}[31m\u{fffd}");
        assert!(text(&[0xff; KEPT]).len() <= KEPT);
        assert_eq!(text("ä".repeat(600).as_bytes()).len(), KEPT);
    }
}
