use std::fmt;
use std::str::FromStr;

use adelie_model::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use http::HeaderMap;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::sign::{Signer, Verifier};

use crate::secret::{Kind, WHPK, decode};
use crate::signature::{ID, SIGNATURE, TIMESTAMP};
use crate::{Secret, SecretError};

/// How far the clock of a sender may be from ours, in either direction.
pub const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// What a receiver verifies with: a shared secret (`whsec_…`) or a public key (`whpk_…`).
#[derive(Clone)]
pub struct VerifyingKey(Half);

#[derive(Clone)]
enum Half {
    Shared(PKey<Private>),
    Public(PKey<Public>),
}

/// Why a post is not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header is missing, or stands there twice.
    #[error("the post has no single header `{0}`: it does not come from a sender of Standard Webhooks")]
    Header(&'static str),
    /// The timestamp is no number of seconds.
    #[error("the header `webhook-timestamp` is no number of seconds since 1970")]
    Timestamp,
    /// The timestamp is too old or too far ahead.
    #[error(
        "the post was signed {0} s away from now and 300 s are allowed: it is a repetition of an old post, or one of the \
         two clocks is wrong"
    )]
    Clock(i64),
    /// No signature fits.
    #[error("no signature fits: the post was changed on its way, or signed with another secret")]
    Signature,
}

/// Looks whether one of the keys made one of the signatures of a post, in constant time.
///
/// # Errors
/// [`VerifyError`] when a header is missing, the timestamp is more than [`TOLERANCE`] from `now`, or nothing fits.
pub fn verify(
    keys: &[VerifyingKey],
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<(), VerifyError> {
    let id = single(headers, ID)?;
    let timestamp = single(headers, TIMESTAMP)?;
    let signatures = single(headers, SIGNATURE)?;
    let seconds: i64 = timestamp.parse().map_err(|_| VerifyError::Timestamp)?;
    let away = seconds.saturating_sub(now.timestamp());
    if away.unsigned_abs() > TOLERANCE.num_seconds().unsigned_abs() {
        return Err(VerifyError::Clock(away));
    }
    // The timestamp as it was sent: what was signed is text, and `+7` is another text than `7`.
    let text = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    let fits = signatures.split(' ').filter_map(|one| one.split_once(',')).any(|(version, encoded)| {
        STANDARD.decode(encoded).is_ok_and(|signature| {
            keys.iter().any(|key| key.made(version, &signature, &text).unwrap_or(false))
        })
    });
    if fits { Ok(()) } else { Err(VerifyError::Signature) }
}

impl VerifyingKey {
    fn made(&self, version: &str, signature: &[u8], text: &[u8]) -> Result<bool, ErrorStack> {
        match (&self.0, version) {
            (Half::Shared(key), "v1") => {
                let own = Signer::new(MessageDigest::sha256(), key)?.sign_oneshot_to_vec(text)?;
                Ok(own.len() == signature.len() && openssl::memcmp::eq(&own, signature))
            }
            (Half::Public(key), "v1a") => Verifier::new_without_digest(key)?.verify_oneshot(signature, text),
            _ => Ok(false),
        }
    }
}

impl From<&Secret> for VerifyingKey {
    fn from(secret: &Secret) -> Self {
        Self(match &secret.0 {
            Kind::Shared(_, key) => Half::Shared(key.clone()),
            Kind::Ed25519(_, public) => Half::Public(public.clone()),
        })
    }
}

impl FromStr for VerifyingKey {
    type Err = SecretError;

    /// Reads `whpk_…`, `whsec_…` or `whsk_…`; of the last the public half is taken.
    fn from_str(text: &str) -> Result<Self, SecretError> {
        let Some(encoded) = text.strip_prefix(WHPK) else {
            return Ok(Self::from(&text.parse::<Secret>()?));
        };
        let bytes = decode(WHPK, encoded)?;
        if bytes.len() != 32 {
            return Err(SecretError::Length { prefix: WHPK, actual: bytes.len(), expected: "32" });
        }
        Ok(Self(Half::Public(PKey::public_key_from_raw_bytes(&bytes, Id::ED25519)?)))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Half::Shared(_) => "VerifyingKey(whsec_…)",
            Half::Public(_) => "VerifyingKey(whpk_…)",
        })
    }
}

fn single<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<&'h str, VerifyError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().map_err(|_| VerifyError::Header(name)),
        _ => Err(VerifyError::Header(name)),
    }
}

#[cfg(test)]
mod tests {
    use adelie_model::SeededEntropy;
    use chrono::DateTime;
    use http::HeaderValue;
    use proptest::prelude::*;
    use standardwebhooks::Webhook;

    use super::*;
    use crate::signature::sign;

    const NOW: i64 = 1_800_000_000;

    fn now() -> Timestamp {
        DateTime::from_timestamp(NOW, 0).expect("a moment")
    }

    fn secrets() -> [Secret; 2] {
        let entropy = SeededEntropy::new(1);
        [Secret::generate(&entropy), Secret::generate_ed25519(&entropy)]
            .map(|secret| secret.expect("a secret"))
    }

    fn headers(id: &str, timestamp: &str, signature: &str) -> HeaderMap {
        [(ID, id), (TIMESTAMP, timestamp), (SIGNATURE, signature)]
            .into_iter()
            .map(|(name, value)| {
                (http::HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
            })
            .collect()
    }

    fn signed(secrets: &[Secret], body: &[u8]) -> HeaderMap {
        let signed = sign(secrets, "evt_1", now(), body).expect("signed");
        headers(&signed.id, &signed.timestamp.to_string(), &signed.signature.expect("signatures"))
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the oracle reads the real clock")]
    fn the_oracle_and_we_believe_each_other() {
        let secret = &secrets()[0];
        let oracle = Webhook::new(&secret.to_text().expect("text")).expect("a secret");
        let now = chrono::Utc::now();
        let seconds = now.timestamp();
        let theirs = oracle.sign("evt_1", seconds, b"body").expect("signed");
        let from_them = headers("evt_1", &seconds.to_string(), &format!("v9,AAAA {theirs}"));
        assert_eq!(verify(&[secret.into()], &from_them, b"body", now), Ok(()));

        let ours = sign(&secrets(), "evt_1", now, b"body").expect("signed").signature.expect("signatures");
        let from_us = headers("evt_1", &seconds.to_string(), &ours);
        oracle.verify(b"body", &from_us).expect("believed");
        assert!(oracle.verify(b"another body", &from_us).is_err());
    }

    #[test]
    fn every_way_to_write_a_key_verifies() {
        let [shared, ed25519] = secrets();
        let headers = signed(&[shared.clone(), ed25519.clone()], b"body");
        for text in [
            shared.to_text().expect("text").as_str(),
            ed25519.to_text().expect("text").as_str(),
            ed25519.public_text().expect("text").expect("a public key").as_str(),
        ] {
            let key: VerifyingKey = text.parse().expect("a key");
            assert_eq!(verify(&[key], &headers, b"body", now()), Ok(()));
        }
        let other = Secret::generate(&SeededEntropy::new(9)).expect("a secret");
        assert_eq!(verify(&[(&other).into()], &headers, b"body", now()), Err(VerifyError::Signature));
        assert_eq!(verify(&[], &headers, b"body", now()), Err(VerifyError::Signature));
        assert!("whpk_AAAA".parse::<VerifyingKey>().is_err());
    }

    #[test]
    fn a_clock_may_be_five_minutes_off_and_no_more() {
        let [shared, _] = secrets();
        let headers = signed(std::slice::from_ref(&shared), b"body");
        for (seconds, expected) in [
            (300, Ok(())),
            (-300, Ok(())),
            (301, Err(VerifyError::Clock(-301))),
            (-301, Err(VerifyError::Clock(301))),
        ] {
            let now = now() + TimeDelta::seconds(seconds);
            assert_eq!(verify(&[(&shared).into()], &headers, b"body", now), expected);
        }
    }

    #[test]
    fn missing_and_doubled_headers_are_named() {
        let [shared, _] = secrets();
        let whole = signed(std::slice::from_ref(&shared), b"body");
        for name in [ID, TIMESTAMP, SIGNATURE] {
            let mut headers = whole.clone();
            headers.remove(name);
            assert_eq!(verify(&[(&shared).into()], &headers, b"body", now()), Err(VerifyError::Header(name)));
            let mut headers = whole.clone();
            headers.append(name, HeaderValue::from_static("1"));
            assert_eq!(verify(&[(&shared).into()], &headers, b"body", now()), Err(VerifyError::Header(name)));
        }
        let headers = headers("evt_1", "soon", "v1,AAAA");
        assert_eq!(verify(&[(&shared).into()], &headers, b"body", now()), Err(VerifyError::Timestamp));
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_noticed(
            body in prop::collection::vec(any::<u8>(), 1..200), place in any::<prop::sample::Index>(),
            bit in 0..8u32, which in 0..2usize,
        ) {
            let secret = &secrets()[which];
            let headers = signed(std::slice::from_ref(secret), &body);
            prop_assert_eq!(verify(&[secret.into()], &headers, &body, now()), Ok(()));
            let mut changed = body;
            let place = place.index(changed.len());
            changed[place] ^= 1 << bit;
            prop_assert_eq!(verify(&[secret.into()], &headers, &changed, now()), Err(VerifyError::Signature));
        }

        #[test]
        fn any_changed_character_of_a_header_is_noticed(
            name in prop::sample::select(vec![ID, TIMESTAMP, SIGNATURE]), place in any::<prop::sample::Index>(),
            by in 1..64u8, which in 0..2usize,
        ) {
            let secret = &secrets()[which];
            let mut headers = signed(std::slice::from_ref(secret), b"body");
            let mut value = headers[name].as_bytes().to_vec();
            let place = place.index(value.len());
            value[place] = 33 + (value[place] - 33 + by) % 94;
            headers.insert(http::HeaderName::from_static(name), HeaderValue::from_bytes(&value).expect("visible"));
            prop_assert!(verify(&[secret.into()], &headers, b"body", now()).is_err());
        }
    }
}
