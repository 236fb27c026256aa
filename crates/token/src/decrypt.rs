use std::collections::{BTreeSet, HashMap};

use adelie_model::ServerToken;
use cms::cert::IssuerAndSerialNumber;
use cms::content_info::ContentInfo;
use cms::enveloped_data::{EnvelopedData, KeyTransRecipientInfo, RecipientIdentifier, RecipientInfo};
use der::asn1::ObjectIdentifier;
use der::{Decode, Encode};
use openssl::cms::CmsContentInfo;
use openssl::x509::X509;
use zeroize::Zeroizing;

use crate::key::hex;
use crate::{DecryptError, Recipient, TokenKey, content, envelope};

/// Longer files are refused unread, in bytes. Apple's server tokens have one to two thousand.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// PKCS #1 v1.5, which Apple uses, and OAEP, which other programs may.
const KEY_TRANSPORTS: [ObjectIdentifier; 2] = [
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1"),
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.7"),
];

/// AES-128-CBC, which Apple uses, AES-192-CBC, AES-256-CBC and DES-EDE3-CBC (protocol section 1.3).
const CIPHERS: [ObjectIdentifier; 4] = [
    ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2"),
    ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.22"),
    ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42"),
    ObjectIdentifier::new_unwrap("1.2.840.113549.3.7"),
];

/// Decrypts Apple's `.p7m` with whichever of the keys it was encrypted for. Gives the position of that key in
/// `keys`, and the token. Says nothing of whether the token has expired: its expiry is in it.
///
/// Takes every form of protocol section 1: S/MIME with any headers, bare base64 and bare DER; BER with indefinite
/// lengths and with the ciphertext in pieces; a content with or without headers and message markers.
///
/// # Errors
/// One variant for each thing that can have gone wrong, with the next step in its text.
pub fn decrypt(file: &[u8], keys: &[TokenKey]) -> Result<(usize, ServerToken), DecryptError> {
    let (message, enveloped) = read(file)?;
    let addressed = addressed(&enveloped, keys)?;
    let cipher = enveloped.encrypted_content.content_enc_alg.oid;
    if !CIPHERS.contains(&cipher) {
        return Err(DecryptError::Cipher { algorithm: cipher.to_string() });
    }
    if enveloped.encrypted_content.encrypted_content.is_none() {
        return Err(DecryptError::Damaged);
    }

    // One key, unless two certificates of the same issuer have the same serial number; ours never have.
    for index in addressed {
        match open(&message, &keys[index]) {
            Err(DecryptError::Undecryptable) => {}
            result => return result.map(|token| (index, token)),
        }
    }
    Err(DecryptError::Undecryptable)
}

/// Certificates that are found by what was encrypted for them, without a private key: to find out whose a file is before any
/// secret is opened. They are read once, however many files there are.
#[derive(Clone, Debug, Default)]
pub struct Addressees {
    /// Positions by issuer and serial number, in DER.
    by_issuer: HashMap<Vec<u8>, Vec<usize>>,
    /// Positions by key identifier.
    by_key: HashMap<Vec<u8>, Vec<usize>>,
}

impl Addressees {
    /// Reads certificates in DER. One that cannot be read is passed over, because it opens nothing.
    #[must_use]
    pub fn new<'c>(certificates: impl IntoIterator<Item = &'c [u8]>) -> Self {
        let mut all = Self::default();
        for (index, der) in certificates.into_iter().enumerate() {
            let Ok(parsed) = x509_cert::Certificate::from_der(der) else { continue };
            let identity = IssuerAndSerialNumber {
                issuer: parsed.tbs_certificate.issuer,
                serial_number: parsed.tbs_certificate.serial_number,
            };
            if let Ok(name) = identity.to_der() {
                all.by_issuer.entry(name).or_default().push(index);
            }
            let certificate = X509::from_der(der).ok();
            if let Some(id) = certificate.as_ref().and_then(|certificate| certificate.subject_key_id()) {
                all.by_key.entry(id.as_slice().to_vec()).or_default().push(index);
            }
        }
        all
    }

    /// The positions of the certificates that Apple's `.p7m` was encrypted for, in their order; at least one.
    ///
    /// # Errors
    /// As [`decrypt`], up to the point where a private key would be needed.
    pub fn of(&self, file: &[u8]) -> Result<Vec<usize>, DecryptError> {
        let (_, enveloped) = read(file)?;
        let transports = transports(&enveloped)?;
        let positions = |transport: &&KeyTransRecipientInfo| match &transport.rid {
            RecipientIdentifier::IssuerAndSerialNumber(named) => {
                named.to_der().ok().and_then(|name| self.by_issuer.get(&name))
            }
            RecipientIdentifier::SubjectKeyIdentifier(named) => self.by_key.get(named.0.as_bytes()),
        };
        let found: BTreeSet<usize> = transports.iter().filter_map(positions).flatten().copied().collect();
        if found.is_empty() { Err(for_others(&transports)) } else { Ok(found.into_iter().collect()) }
    }
}

/// The message as DER, and what is in it.
fn read(file: &[u8]) -> Result<(Vec<u8>, EnvelopedData), DecryptError> {
    // OpenSSL reads BER and writes DER, and `cms` reads DER only; so nobody has to read BER a second time.
    let message = CmsContentInfo::from_der(&envelope::cms_bytes(file)?)
        .and_then(|message| message.to_der())
        .map_err(|_| DecryptError::Damaged)?;
    let enveloped: EnvelopedData = ContentInfo::from_der(&message)
        .and_then(|outer| outer.content.decode_as())
        .map_err(|_| DecryptError::Damaged)?;
    Ok((message, enveloped))
}

fn open(message: &[u8], key: &TokenKey) -> Result<ServerToken, DecryptError> {
    let (private_key, certificate) = key.halves();
    // The certificate has to be passed: without it, OpenSSL tries the key on every recipient and now and then
    // takes garbage for the content key. With it, OpenSSL answers a wrong key with a random content key, so that
    // wrong keys and wrong padding fail alike; what of that garbage is unpadded by chance is refused as no text.
    let plaintext = CmsContentInfo::from_der(message)
        .and_then(|message| message.decrypt(private_key, certificate))
        .map(Zeroizing::new)
        .map_err(|_| DecryptError::Undecryptable)?;
    content::server_token(&plaintext)
}

/// The positions of the keys that the message was encrypted for; at least one.
fn addressed(enveloped: &EnvelopedData, keys: &[TokenKey]) -> Result<Vec<usize>, DecryptError> {
    let transports = transports(enveloped)?;
    if keys.is_empty() {
        return Err(DecryptError::NoKey);
    }

    let mut found = Vec::new();
    let mut unusable = None;
    for (index, key) in keys.iter().enumerate() {
        let Some(transport) =
            transports.iter().find(|transport| names(&transport.rid, key.identity(), key.key_identifier()))
        else {
            continue;
        };
        if KEY_TRANSPORTS.contains(&transport.key_enc_alg.oid) {
            found.push(index);
        } else {
            unusable = Some(transport.key_enc_alg.oid.to_string());
        }
    }
    match (found.is_empty(), unusable) {
        (false, _) => Ok(found),
        (true, Some(method)) => Err(DecryptError::KeyTransport { method }),
        (true, None) => Err(for_others(&transports)),
    }
}

/// The recipients in the form that Apple uses; at least one.
fn transports(enveloped: &EnvelopedData) -> Result<Vec<&KeyTransRecipientInfo>, DecryptError> {
    let infos = &enveloped.recip_infos.0;
    let transports: Vec<&KeyTransRecipientInfo> = infos
        .iter()
        .filter_map(|info| match info {
            RecipientInfo::Ktri(transport) => Some(transport),
            _ => None,
        })
        .collect();
    if transports.is_empty() {
        let method = infos.iter().next().map_or("nothing", method);
        return Err(DecryptError::KeyTransport { method: method.to_owned() });
    }
    Ok(transports)
}

fn for_others(transports: &[&KeyTransRecipientInfo]) -> DecryptError {
    // More than a few of them would hide the rest of the message.
    let recipients = transports.iter().take(3).map(|transport| recipient(&transport.rid)).collect();
    DecryptError::OtherKey { recipients }
}

/// Whether the message means this key. Issuer and serial number are compared as raw bytes, because Apple copies
/// them from the certificate, and because a serial number may read as negative.
fn names(rid: &RecipientIdentifier, identity: &IssuerAndSerialNumber, key_identifier: Option<&[u8]>) -> bool {
    match rid {
        RecipientIdentifier::IssuerAndSerialNumber(named) => named == identity,
        RecipientIdentifier::SubjectKeyIdentifier(named) => key_identifier == Some(named.0.as_bytes()),
    }
}

fn recipient(rid: &RecipientIdentifier) -> Recipient {
    match rid {
        RecipientIdentifier::IssuerAndSerialNumber(named) => Recipient::Certificate {
            issuer: printable(&named.issuer.to_string()),
            serial: hex(named.serial_number.as_bytes()),
        },
        RecipientIdentifier::SubjectKeyIdentifier(named) => {
            Recipient::KeyIdentifier(printable(&hex(named.0.as_bytes())))
        }
    }
}

/// Somebody else's text, made fit for a terminal: no control characters, and no more than a line.
fn printable(text: &str) -> String {
    const LIMIT: usize = 200;
    let mut shown: String =
        text.chars().take(LIMIT).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(LIMIT).is_some() {
        shown.push('…');
    }
    shown
}

fn method(info: &RecipientInfo) -> &'static str {
    match info {
        RecipientInfo::Ktri(_) => "key transport",
        RecipientInfo::Kari(_) => "key agreement (an elliptic curve key)",
        RecipientInfo::Kekri(_) => "a shared key",
        RecipientInfo::Pwri(_) => "a password",
        RecipientInfo::Ori(_) => "a method that is not standard",
    }
}
