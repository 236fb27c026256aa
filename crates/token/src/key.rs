use adelie_model::Timestamp;
use cms::cert::IssuerAndSerialNumber;
use der::Decode;
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, KeyUsage, SubjectKeyIdentifier};
use openssl::x509::{X509, X509Name};
use zeroize::Zeroizing;

use crate::KeyError;

/// RSA keys of 2048 bits are what Apple is known to take (protocol section 1.1).
const RSA_BITS: u32 = 2048;
/// A server token lives for 365 days; the certificate outlives ten of them, so that its dates never matter.
const VALID_DAYS: i64 = 3650;
/// For clocks that go wrong: Apple's may be behind ours.
const BACKDATE_SECONDS: i64 = 300;
/// The longest common name that X.509 allows (`ub-common-name`), in characters.
const MAX_COMMON_NAME: usize = 64;

/// The RSA key of one MDM server with its self-signed certificate.
///
/// Apple encrypts server tokens for the certificate; the private key opens them.
#[derive(Clone)]
pub struct TokenKey {
    private_key: PKey<Private>,
    private_key_der: Zeroizing<Vec<u8>>,
    certificate: X509,
    certificate_der: Vec<u8>,
    /// What a message copies from the certificate to name its recipient: the raw issuer and serial number.
    identity: IssuerAndSerialNumber,
}

impl TokenKey {
    /// Makes a fresh key and its certificate. Blocks for about 0.2 seconds.
    ///
    /// The key and the random positive serial number of 127 bits come from OpenSSL's generator; a serial number is
    /// never used twice, because a message names its key by issuer and serial number alone. `common_name` is for
    /// people: it is cut to 64 characters, and an empty one becomes `Adelie`. The certificate is valid from five
    /// minutes before `now` for ten years.
    ///
    /// # Errors
    /// [`KeyError::Generate`] when OpenSSL fails, which it does only without memory or randomness.
    pub fn generate(common_name: &str, now: Timestamp) -> Result<Self, KeyError> {
        let (private_key, certificate) = make(common_name, now.timestamp()).map_err(KeyError::Generate)?;
        let certificate_der = certificate.to_der().map_err(KeyError::Generate)?;
        Self::new(private_key, certificate, certificate_der)
    }

    /// The key whose parts were kept: the certificate as DER and the private key as PKCS #8 DER.
    ///
    /// # Errors
    /// One variant for each part that cannot be read, for a key that is not RSA, and for parts that do not
    /// belong together.
    pub fn from_parts(certificate_der: &[u8], private_key_pkcs8_der: &[u8]) -> Result<Self, KeyError> {
        let certificate =
            X509::from_der(certificate_der).map_err(|error| KeyError::Certificate(error.into()))?;
        let private_key =
            PKey::private_key_from_pkcs8(private_key_pkcs8_der).map_err(|_| KeyError::PrivateKey)?;
        Self::new(private_key, certificate, certificate_der.to_vec())
    }

    fn new(
        private_key: PKey<Private>,
        certificate: X509,
        certificate_der: Vec<u8>,
    ) -> Result<Self, KeyError> {
        if private_key.id() != Id::RSA {
            return Err(KeyError::NotRsa);
        }
        let public_key = certificate.public_key().map_err(|error| KeyError::Certificate(error.into()))?;
        if !public_key.public_eq(&private_key) {
            return Err(KeyError::Mismatch);
        }
        let parsed = x509_cert::Certificate::from_der(&certificate_der)
            .map_err(|error| KeyError::Certificate(error.into()))?;
        let private_key_der =
            private_key.private_key_to_pkcs8().map(Zeroizing::new).map_err(|_| KeyError::PrivateKey)?;
        let identity = IssuerAndSerialNumber {
            issuer: parsed.tbs_certificate.issuer,
            serial_number: parsed.tbs_certificate.serial_number,
        };
        Ok(Self { private_key, private_key_der, certificate, certificate_der, identity })
    }

    /// The certificate as PEM: the file to upload in Apple Business or School Manager.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(&self.certificate_der);
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for (position, letter) in encoded.chars().enumerate() {
            if position > 0 && position % 64 == 0 {
                pem.push('\n');
            }
            pem.push(letter);
        }
        pem.push_str("\n-----END CERTIFICATE-----\n");
        pem
    }

    /// The certificate as DER.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate_der
    }

    /// The private key as PKCS #8 DER, for the store to seal. Never write it anywhere as it is.
    #[must_use]
    pub fn private_key_der(&self) -> Zeroizing<Vec<u8>> {
        self.private_key_der.clone()
    }

    /// The SHA-256 digest of the certificate in lower-case hexadecimal (64 digits), by which people tell keys apart.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex(&openssl::sha::sha256(&self.certificate_der))
    }

    /// The raw issuer and serial number of the certificate.
    pub(crate) fn identity(&self) -> &IssuerAndSerialNumber {
        &self.identity
    }

    /// The subject key identifier of the certificate, if it has one.
    pub(crate) fn key_identifier(&self) -> Option<&[u8]> {
        self.certificate.subject_key_id().map(|id| id.as_slice())
    }

    /// The two halves as OpenSSL wants them.
    pub(crate) fn halves(&self) -> (&PKey<Private>, &X509) {
        (&self.private_key, &self.certificate)
    }
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenKey")
            .field("fingerprint", &self.fingerprint())
            .field("private_key", &"[REDACTED]")
            .finish_non_exhaustive()
    }
}

fn make(common_name: &str, now: i64) -> Result<(PKey<Private>, X509), ErrorStack> {
    let private_key = PKey::from_rsa(Rsa::generate(RSA_BITS)?)?;

    let common_name: String =
        common_name.trim().chars().filter(|c| !c.is_control()).take(MAX_COMMON_NAME).collect();
    let mut name = X509Name::builder()?;
    name.append_entry_by_text("CN", if common_name.is_empty() { "Adelie" } else { &common_name })?;
    let name = name.build();

    // With the highest of the 127 bits set the number always has 16 bytes and reads as positive.
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::ONE, false)?;

    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*Asn1Integer::from_bn(&serial)?)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_not_before(&*Asn1Time::from_unix(now - BACKDATE_SECONDS)?)?;
    builder.set_not_after(&*Asn1Time::from_unix(now + VALID_DAYS * 86_400)?)?;
    builder.set_pubkey(&private_key)?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    // Encipherment for the token; signature because the same key signs the access-management JWT (section 10.2).
    builder.append_extension(KeyUsage::new().critical().key_encipherment().digital_signature().build()?)?;
    let key_identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(key_identifier)?;
    builder.sign(&private_key, MessageDigest::sha256())?;
    Ok((private_key, builder.build()))
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
