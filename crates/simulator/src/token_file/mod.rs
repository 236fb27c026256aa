//! The `.p7m` that the portal hands out: the server token, encrypted for an uploaded certificate.

mod ber;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::rsa::Padding;
use openssl::symm::Cipher;
use openssl::x509::X509;
use serde::{Deserialize, Serialize};

use crate::state::Credentials;
use ber::{Length, tlv, wrap};

/// How the content of a token file is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenCipher {
    /// What Apple uses.
    #[default]
    Aes128,
    /// AES-192-CBC.
    Aes192,
    /// AES-256-CBC.
    Aes256,
    /// DES-EDE3-CBC.
    Des3,
}

/// The shape of a token file. The default is that of Apple's (protocol sections 1.2 to 1.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenShape {
    /// The cipher of the content.
    pub cipher: TokenCipher,
    /// Bytes of ciphertext in one OCTET STRING; 0 puts all into one.
    pub piece: usize,
    /// Definite lengths everywhere, where Apple has indefinite ones.
    pub definite: bool,
    /// The lines `-----BEGIN MESSAGE-----` and `-----END MESSAGE-----` around the JSON.
    pub markers: bool,
    /// MIME headers before the base64.
    pub headers: bool,
    /// CR LF at line ends; otherwise LF.
    pub crlf: bool,
    /// The JSON is broken into lines of this length, also inside strings; 0 leaves it whole.
    pub wrap: usize,
}

impl Default for TokenShape {
    fn default() -> Self {
        Self {
            cipher: TokenCipher::Aes128,
            piece: 480,
            definite: false,
            markers: true,
            headers: true,
            crlf: true,
            wrap: 0,
        }
    }
}

/// Why no token file could be made.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// Not a certificate.
    #[error(
        "this is no certificate: send the PEM file that `adelie token key` wrote (it begins with \
         -----BEGIN CERTIFICATE-----), not a private key and not a .p7m"
    )]
    NoCertificate,
    /// A certificate for something else than RSA.
    #[error(
        "the certificate has no RSA key, and Apple encrypts the token to an RSA key: make one with `adelie token key`"
    )]
    NotRsa,
    /// OpenSSL refused.
    #[error("the token could not be encrypted for this certificate")]
    Encryption(#[from] openssl::error::ErrorStack),
}

/// Makes the file for a certificate in PEM or DER.
pub(crate) fn build(
    token: &Credentials,
    certificate: &[u8],
    shape: &TokenShape,
) -> Result<Vec<u8>, TokenFileError> {
    let certificate = read(certificate)?;
    let key = certificate.public_key().and_then(|key| key.rsa()).map_err(|_| TokenFileError::NotRsa)?;
    let der = certificate.to_der()?;
    let recipient = ber::issuer_and_serial(&der).ok_or(TokenFileError::NoCertificate)?;

    let (cipher, oid): (Cipher, &[u8]) = match shape.cipher {
        TokenCipher::Aes128 => {
            (Cipher::aes_128_cbc(), &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02])
        }
        TokenCipher::Aes192 => {
            (Cipher::aes_192_cbc(), &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x16])
        }
        TokenCipher::Aes256 => {
            (Cipher::aes_256_cbc(), &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2A])
        }
        TokenCipher::Des3 => (Cipher::des_ede3_cbc(), &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x03, 0x07]),
    };
    // The one place with real randomness: a content key from a seed would be no key.
    let mut content_key = vec![0; cipher.key_len()];
    openssl::rand::rand_bytes(&mut content_key)?;
    let mut iv = vec![0; cipher.iv_len().unwrap_or(16)];
    openssl::rand::rand_bytes(&mut iv)?;
    let sealed = openssl::symm::encrypt(cipher, &content_key, Some(&iv), message(token, shape).as_bytes())?;
    let mut wrapped = vec![0; key.size() as usize];
    let length = key.public_encrypt(&content_key, &mut wrapped, Padding::PKCS1)?;
    wrapped.truncate(length);

    let der = enveloped(&recipient, &wrapped, oid, &iv, &sealed, shape);
    Ok(mime(&der, shape))
}

/// Looks at a certificate before anything is issued for it.
pub(crate) fn check(certificate: &[u8]) -> Result<(), TokenFileError> {
    read(certificate)?.public_key().and_then(|key| key.rsa()).map(drop).map_err(|_| TokenFileError::NotRsa)
}

fn read(certificate: &[u8]) -> Result<X509, TokenFileError> {
    // People paste with text around it; OpenSSL's PEM reader skips that.
    X509::from_pem(certificate)
        .or_else(|_| X509::from_der(certificate))
        .map_err(|_| TokenFileError::NoCertificate)
}

fn enveloped(
    recipient: &[u8],
    key: &[u8],
    oid: &[u8],
    iv: &[u8],
    sealed: &[u8],
    shape: &TokenShape,
) -> Vec<u8> {
    const ENVELOPED: &[u8] = &[0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x03];
    const DATA: &[u8] = &[0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x01];
    const RSA: &[u8] =
        &[0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00];
    const VERSION_0: &[u8] = &[0x02, 0x01, 0x00];
    let length = if shape.definite { Length::Definite } else { Length::Indefinite };

    let transport = tlv(0x30, &[VERSION_0, recipient, RSA, &tlv(0x04, &[key])]);
    let recipients = tlv(0x31, &[&transport]);
    let algorithm = tlv(0x30, &[&tlv(0x06, &[oid]), &tlv(0x04, &[iv])]);
    let pieces: Vec<u8> = match shape.piece {
        0 => tlv(0x04, &[sealed]),
        size => sealed.chunks(size).flat_map(|piece| tlv(0x04, &[piece])).collect(),
    };
    let content = wrap(0xA0, &[&pieces], length);
    let encrypted = wrap(0x30, &[DATA, &algorithm, &content], length);
    let body = wrap(0x30, &[VERSION_0, &recipients, &encrypted], length);
    wrap(0x30, &[ENVELOPED, &wrap(0xA0, &[&body], length)], length)
}

fn message(token: &Credentials, shape: &TokenShape) -> String {
    let json = serde_json::json!({
        "consumer_key": token.consumer_key,
        "consumer_secret": token.consumer_secret,
        "access_token": token.access_token,
        "access_secret": token.access_secret,
        "access_token_expiry": token.expiry,
    })
    .to_string();
    let mut lines = vec![
        "Content-Type: text/plain;charset=UTF-8".to_owned(),
        "Content-Transfer-Encoding: 7bit".to_owned(),
    ];
    lines.push(String::new());
    if shape.markers {
        lines.push("-----BEGIN MESSAGE-----".to_owned());
    }
    match shape.wrap {
        0 => lines.push(json),
        width => {
            lines.extend(json.as_bytes().chunks(width).map(|line| String::from_utf8_lossy(line).into_owned()))
        }
    }
    if shape.markers {
        lines.push("-----END MESSAGE-----".to_owned());
    }
    lines.push(String::new());
    lines.join(line_end(shape))
}

fn mime(der: &[u8], shape: &TokenShape) -> Vec<u8> {
    let text = STANDARD.encode(der);
    let mut lines: Vec<&str> = Vec::new();
    if shape.headers {
        lines.extend([
            "Content-Type: application/pkcs7-mime; name=\"smime.p7m\"; smime-type=enveloped-data",
            "Content-Transfer-Encoding: base64",
            "Content-Disposition: attachment; filename=\"smime.p7m\"",
            "Content-Description: S/MIME Encrypted Message",
            "",
        ]);
    }
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(76));
        lines.push(line);
        rest = tail;
    }
    lines.push("");
    lines.join(line_end(shape)).into_bytes()
}

fn line_end(shape: &TokenShape) -> &'static str {
    if shape.crlf { "\r\n" } else { "\n" }
}

#[cfg(test)]
mod tests;
