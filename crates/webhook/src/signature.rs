use adelie_model::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::sign::Signer;

use crate::Secret;
use crate::secret::Kind;

/// The header with the id of the event, which stays the same over all attempts.
pub const ID: &str = "webhook-id";
/// The header with the second of the attempt since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures, separated by spaces.
pub const SIGNATURE: &str = "webhook-signature";

/// The values of the three headers of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The value of [`ID`].
    pub id: String,
    /// The value of [`TIMESTAMP`].
    pub timestamp: i64,
    /// The value of [`SIGNATURE`]: one signature for each secret, in their order. Nothing without a secret.
    pub signature: Option<String>,
}

/// Why nothing could be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// A dot in the id would let one signed text be read as another.
    #[error("the event id {0:?} cannot be signed: an id has 1 to 256 ASCII letters, digits, `_` and `-`")]
    Id(String),
    /// OpenSSL failed.
    #[error("OpenSSL could not sign the webhook")]
    Crypto(#[from] ErrorStack),
}

/// Signs one attempt with each of the secrets: while one replaces another, receivers may know either of them.
///
/// # Errors
/// [`SignError::Id`] for an id with other characters than letters, digits, `_` and `-`.
pub fn sign(secrets: &[Secret], id: &str, at: Timestamp, body: &[u8]) -> Result<Signed, SignError> {
    if !is_id(id) {
        return Err(SignError::Id(id.to_owned()));
    }
    let timestamp = at.timestamp();
    let head = format!("{id}.{timestamp}.");
    let signatures: Result<Vec<String>, ErrorStack> =
        secrets.iter().map(|secret| one(secret, head.as_bytes(), body)).collect();
    let signature = Some(signatures?.join(" ")).filter(|all| !all.is_empty());
    Ok(Signed { id: id.to_owned(), timestamp, signature })
}

fn one(secret: &Secret, head: &[u8], body: &[u8]) -> Result<String, ErrorStack> {
    match &secret.0 {
        Kind::Shared(_, key) => {
            let mut signer = Signer::new(MessageDigest::sha256(), key)?;
            signer.update(head)?;
            signer.update(body)?;
            Ok(format!("v1,{}", STANDARD.encode(signer.sign_to_vec()?)))
        }
        Kind::Ed25519(key, _) => {
            // ed25519 reads the text twice, so it wants it whole.
            let text = [head, body].concat();
            let signature = Signer::new_without_digest(key)?.sign_oneshot_to_vec(&text)?;
            Ok(format!("v1a,{}", STANDARD.encode(signature)))
        }
    }
}

fn is_id(id: &str) -> bool {
    (1..=256).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use adelie_model::SeededEntropy;
    use chrono::DateTime;
    use standardwebhooks::Webhook;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).expect("a moment")
    }

    #[test]
    fn the_example_of_the_specification_is_signed_as_published() {
        let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().expect("a secret");
        let signed =
            sign(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", at(1_614_265_330), br#"{"test": 2432232314}"#);
        let signature = signed.expect("signed").signature;
        assert_eq!(signature.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn each_secret_signs_in_its_turn_and_none_leaves_no_header() {
        let entropy = SeededEntropy::new(1);
        let first = Secret::generate(&entropy).expect("a secret");
        let second = Secret::generate_ed25519(&entropy).expect("a key");
        let signed = sign(&[first.clone(), second], "evt_1", at(7), b"{}").expect("signed");
        let both = signed.signature.expect("signatures");
        let (one, two) = both.split_once(' ').expect("two signatures");
        assert!(one.starts_with("v1,") && two.starts_with("v1a,"), "{both}");
        // The oracle knows only v1, and finds it among the others.
        let text = first.to_text().expect("text");
        assert_eq!(Webhook::new(&text).expect("a secret").sign("evt_1", 7, b"{}").expect("signed"), one);
        assert_eq!(sign(&[], "evt_1", at(7), b"{}").expect("signed").signature, None);
    }

    #[test]
    fn an_id_that_would_blur_the_signed_text_is_refused() {
        let long = "x".repeat(257);
        for id in ["", "a.b", "a b", "a\nb", "ä", long.as_str()] {
            assert!(matches!(sign(&[], id, at(7), b""), Err(SignError::Id(_))), "{id}");
        }
    }
}
