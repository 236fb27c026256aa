use std::fmt;
use std::str::FromStr;

use adelie_model::Entropy;
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, Private, Public};
use zeroize::Zeroizing;

/// What a sender signs with: a shared secret (`whsec_…`) or an ed25519 key (`whsk_…`), as the Standard Webhooks
/// specification 1.0.0 writes them. Only [`Secret::to_text`] shows it; its memory is cleared when it is dropped.
#[derive(Clone)]
pub struct Secret(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    /// The bytes of a shared secret, and the same as a key of OpenSSL.
    Shared(Zeroizing<Vec<u8>>, PKey<Private>),
    Ed25519(PKey<Private>, PKey<Public>),
}

/// Why a text is no secret. The text itself is never repeated.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It begins like nothing that the specification knows.
    #[error(
        "the text is no webhook secret: a shared secret begins with `whsec_`, a signing key with `whsk_` and a public key \
         with `whpk_`"
    )]
    Prefix,
    /// What follows the beginning is not base64.
    #[error("what follows `{prefix}` is not base64: copy the whole secret again")]
    Base64 {
        /// The beginning of the text.
        prefix: &'static str,
    },
    /// It has too few or too many bytes.
    #[error(
        "`{prefix}` is followed by {actual} bytes and it must be {expected}: copy the whole secret again, or make a new one"
    )]
    Length {
        /// The beginning of the text.
        prefix: &'static str,
        /// The number of bytes that were found.
        actual: usize,
        /// The number of bytes that there may be, in words.
        expected: &'static str,
    },
    /// The second half of a signing key is not the public key of the first.
    #[error(
        "the two halves of the signing key do not belong together: copy the whole key again, or make a new one"
    )]
    Halves,
    /// OpenSSL failed.
    #[error("OpenSSL could not make a key of the webhook secret")]
    Crypto(#[from] ErrorStack),
}

/// The bytes of a shared secret that we make. The specification allows 24 to 64.
const SHARED: usize = 32;
const SEED: usize = 32;
/// A signing key is written like svix and libsodium do: the seed, then the public key.
const SEED_AND_PUBLIC: usize = 64;

const WHSEC: &str = "whsec_";
const WHSK: &str = "whsk_";
pub(crate) const WHPK: &str = "whpk_";

impl Secret {
    /// Makes a shared secret of 32 random bytes.
    ///
    /// # Errors
    /// [`SecretError::Crypto`] when OpenSSL fails.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, SecretError> {
        let mut bytes = Zeroizing::new(vec![0; SHARED]);
        entropy.fill(&mut bytes);
        Self::shared(bytes)
    }

    /// Makes an ed25519 key, whose public half receivers get.
    ///
    /// # Errors
    /// [`SecretError::Crypto`] when OpenSSL fails.
    pub fn generate_ed25519(entropy: &dyn Entropy) -> Result<Self, SecretError> {
        let mut seed = Zeroizing::new([0; SEED]);
        entropy.fill(seed.as_mut_slice());
        Self::ed25519(seed.as_slice())
    }

    /// The secret as the specification writes it: what is sealed and stored, and shown once to who made it.
    ///
    /// # Errors
    /// [`SecretError::Crypto`] when OpenSSL fails.
    pub fn to_text(&self) -> Result<Zeroizing<String>, SecretError> {
        Ok(match &self.0 {
            Kind::Shared(bytes, _) => text(WHSEC, bytes),
            Kind::Ed25519(key, public) => {
                let mut whole = Zeroizing::new(key.raw_private_key()?);
                // Reserved first: growing would leave a copy of the seed behind that nobody clears.
                let mut both = Zeroizing::new(Vec::with_capacity(SEED_AND_PUBLIC));
                both.append(&mut whole);
                both.extend_from_slice(&public.raw_public_key()?);
                text(WHSK, &both)
            }
        })
    }

    /// The public key (`whpk_…`) that receivers verify with; nothing for a shared secret, which has none.
    ///
    /// # Errors
    /// [`SecretError::Crypto`] when OpenSSL fails.
    pub fn public_text(&self) -> Result<Option<String>, SecretError> {
        Ok(match &self.0 {
            Kind::Shared(..) => None,
            Kind::Ed25519(_, public) => Some(format!("{WHPK}{}", STANDARD.encode(public.raw_public_key()?))),
        })
    }

    fn shared(bytes: Zeroizing<Vec<u8>>) -> Result<Self, SecretError> {
        let key = PKey::hmac(&bytes)?;
        Ok(Self(Kind::Shared(bytes, key)))
    }

    fn ed25519(bytes: &[u8]) -> Result<Self, SecretError> {
        let (seed, written) = match bytes.len() {
            SEED => (bytes, None),
            SEED_AND_PUBLIC => (&bytes[..SEED], Some(&bytes[SEED..])),
            actual => {
                return Err(SecretError::Length { prefix: WHSK, actual, expected: "32 or 64" });
            }
        };
        let key = PKey::private_key_from_raw_bytes(seed, Id::ED25519)?;
        let public = key.raw_public_key()?;
        if written.is_some_and(|written| written != public) {
            return Err(SecretError::Halves);
        }
        let public = PKey::public_key_from_raw_bytes(&public, Id::ED25519)?;
        Ok(Self(Kind::Ed25519(key, public)))
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        if let Some(encoded) = text.strip_prefix(WHSEC) {
            let bytes = decode(WHSEC, encoded)?;
            if !(24..=64).contains(&bytes.len()) {
                let actual = bytes.len();
                return Err(SecretError::Length { prefix: WHSEC, actual, expected: "24 to 64" });
            }
            return Self::shared(bytes);
        }
        match text.strip_prefix(WHSK) {
            Some(encoded) => Self::ed25519(&decode(WHSK, encoded)?),
            None => Err(SecretError::Prefix),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Shared(..) => "Secret(whsec_…)",
            Kind::Ed25519(..) => "Secret(whsk_…)",
        })
    }
}

/// Reads base64 with or without padding, because secrets are copied by hand.
pub(crate) fn decode(prefix: &'static str, encoded: &str) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let bytes = LENIENT.decode(encoded).map_err(|_| SecretError::Base64 { prefix })?;
    Ok(Zeroizing::new(bytes))
}

fn text(prefix: &str, bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + bytes.len().div_ceil(3) * 4));
    text.push_str(prefix);
    STANDARD.encode_string(bytes, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use adelie_model::SeededEntropy;

    use super::*;

    #[test]
    fn a_secret_is_written_and_read_again() {
        let entropy = SeededEntropy::new(1);
        for secret in [Secret::generate(&entropy), Secret::generate_ed25519(&entropy)] {
            let text = secret.and_then(|secret| secret.to_text()).expect("a secret");
            let again = text.parse::<Secret>().and_then(|secret| secret.to_text()).expect("a secret");
            assert_eq!(text, again);
        }
    }

    #[test]
    fn a_seed_alone_is_the_same_key() {
        let secret = Secret::generate_ed25519(&SeededEntropy::new(2)).expect("a key");
        let text = secret.to_text().expect("text");
        let bytes = STANDARD.decode(&text[WHSK.len()..]).expect("base64");
        let seed: Secret = format!("{WHSK}{}", STANDARD.encode(&bytes[..32])).parse().expect("a seed");
        assert_eq!(seed.public_text().expect("text"), secret.public_text().expect("text"));
    }

    #[test]
    fn what_is_no_secret_is_refused_with_the_reason() {
        let long = STANDARD.encode([7; 65]);
        let halves = STANDARD.encode([7; 64]);
        for (text, expected) in [
            (String::new(), "begins with `whsec_`"),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(), "begins with `whsec_`"),
            ("whpk_AAAA".into(), "begins with `whsec_`"),
            ("whsec_not base64".into(), "not base64"),
            ("whsec_".into(), "0 bytes and it must be 24 to 64"),
            (format!("whsec_{}", STANDARD.encode([7; 23])), "23 bytes"),
            (format!("whsec_{long}"), "65 bytes"),
            ("whsk_AAAA".into(), "3 bytes and it must be 32 or 64"),
            (format!("whsk_{halves}"), "do not belong together"),
        ] {
            let error = text.parse::<Secret>().expect_err(&text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn nothing_of_a_secret_is_shown_by_debug() {
        let secret = Secret::generate(&SeededEntropy::new(3)).expect("a secret");
        assert_eq!(format!("{secret:?}"), "Secret(whsec_…)");
    }
}
