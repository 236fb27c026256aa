use std::time::Duration;

use adelie_model::Mask;
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
/// What is `hidden` is cut out of the excerpt.
pub(super) async fn read(
    response: &mut Response,
    hidden: &Mask,
    excerpt: &mut String,
) -> reqwest::Result<()> {
    // One byte more than is looked at tells that the end is missing.
    let (looked_at, mut kept) = (KEPT + hidden.longest(), Vec::new());
    let text = |kept: &[u8]| text(&hidden.cover_beginning(kept, looked_at));
    let mut seen = 0;
    let outcome = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                kept.extend_from_slice(&chunk[..chunk.len().min(looked_at + 1 - kept.len())]);
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
fn text(text: &str) -> String {
    let clean =
        |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { char::REPLACEMENT_CHARACTER } else { c };
    let mut text: String = text.chars().map(clean).collect();
    // A replaced byte is three.
    text.truncate(text.floor_char_boundary(KEPT));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_short_and_clean() {
        assert_eq!(text("ok\n\x1b[31m\0"), "ok\n\u{fffd}[31m\u{fffd}");
        assert!(text(&"\u{1}".repeat(KEPT)).len() <= KEPT);
        assert_eq!(text(&"ä".repeat(600)).len(), KEPT);
    }
}
