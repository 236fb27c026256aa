use crate::signature::{ID, Signed, TIMESTAMP};

/// How many bytes of a body are kept in the log of deliveries; what is left out can be rendered again from the event.
const KEPT: usize = 1024;

/// A request for people: its headers without the signature, and the beginning of its body. The URL is left out, because
/// it may be a secret itself, and stands with the endpoint.
pub(super) fn describe(signed: &Signed, content_type: &str, body: &[u8]) -> String {
    let Signed { id, timestamp, .. } = signed;
    let head = format!("content-type: {content_type}\n{ID}: {id}\n{TIMESTAMP}: {timestamp}\n\n");
    let cut = body.len() > KEPT;
    let body = String::from_utf8_lossy(&body[..body.len().min(KEPT)]);
    // Cutting may have split a character, which then reads as this one.
    let body = if cut { body.trim_end_matches(char::REPLACEMENT_CHARACTER) } else { &body };
    format!("{head}{body}{}", if cut { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_the_beginning_of_the_body_are_told() {
        let signed = Signed { id: "evt_1".into(), timestamp: 7, signature: Some("v1,secret".into()) };
        assert_eq!(
            describe(&signed, "application/json", b"{}"),
            "content-type: application/json\nwebhook-id: evt_1\nwebhook-timestamp: 7\n\n{}"
        );
        let long = describe(&signed, "application/json", format!("x{}", "ä".repeat(600)).as_bytes());
        assert!(long.ends_with("ää…") && long.len() < 1200, "{long}");
    }
}
