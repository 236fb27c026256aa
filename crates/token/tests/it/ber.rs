//! An encoder for `.p7m` messages in every form that BER allows and protocol section 1.3 speaks of.

use adelie_token::TokenKey;
use der::{Decode, Encode};
use openssl::rsa::Padding;
use openssl::symm::Cipher;
use openssl::x509::X509;

pub const RSA: &str = "1.2.840.113549.1.1.1";

/// The ciphers with their object identifiers.
pub fn ciphers() -> [(Cipher, &'static str); 4] {
    [
        (Cipher::aes_128_cbc(), "2.16.840.1.101.3.4.1.2"),
        (Cipher::aes_192_cbc(), "2.16.840.1.101.3.4.1.22"),
        (Cipher::aes_256_cbc(), "2.16.840.1.101.3.4.1.42"),
        (Cipher::des_ede3_cbc(), "1.2.840.113549.3.7"),
    ]
}

/// How a message is written. The default is Apple's way.
#[derive(Clone)]
pub struct Form {
    /// Which of ContentInfo, its [0], EnvelopedData, EncryptedContentInfo and its [0] have an indefinite length.
    pub indefinite: [bool; 5],
    /// The ciphertext is cut into OCTET STRINGs of so many bytes; `None` writes a primitive [0].
    pub piece: Option<usize>,
    pub cipher: Cipher,
    pub cipher_oid: &'static str,
    pub key_oid: &'static str,
    pub content_type: &'static str,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            indefinite: [true; 5],
            piece: Some(4096),
            cipher: Cipher::aes_128_cbc(),
            cipher_oid: "2.16.840.1.101.3.4.1.2",
            key_oid: RSA,
            content_type: "1.2.840.113549.1.7.3",
        }
    }
}

pub fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut out = vec![tag];
    match body.len() {
        size @ 0..=0x7f => out.push(size as u8),
        size @ 0x80..=0xff => out.extend([0x81, size as u8]),
        size => out.extend([0x82, (size >> 8) as u8, size as u8]),
    }
    out.extend(body);
    out
}

fn indefinite(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&[tag, 0x80][..], &parts.concat(), &[0, 0]].concat()
}

fn oid(text: &str) -> Vec<u8> {
    der::asn1::ObjectIdentifier::new(text).expect("an object identifier").to_der().expect("encodable")
}

/// The raw issuer and serial number of a certificate, and its public key at work.
pub fn recipient(key: &TokenKey, content_key: &[u8], key_oid: &str) -> Vec<u8> {
    let parsed =
        x509_cert::Certificate::from_der(key.certificate_der()).expect("a certificate").tbs_certificate;
    let issuer = parsed.issuer.to_der().expect("encodable");
    let serial = parsed.serial_number.to_der().expect("encodable");
    let rsa = X509::from_der(key.certificate_der()).and_then(|c| c.public_key()).and_then(|k| k.rsa());
    let rsa = rsa.expect("an RSA certificate");
    let mut wrapped = vec![0; rsa.size() as usize];
    rsa.public_encrypt(content_key, &mut wrapped, Padding::PKCS1).expect("short enough");
    element(
        0x30,
        &[
            &element(0x02, &[&[0]]),
            &element(0x30, &[&issuer, &serial]),
            &element(0x30, &[&oid(key_oid), &[0x05, 0]]),
            &element(0x04, &[&wrapped]),
        ],
    )
}

/// A whole message for the keys, as BER.
pub fn message(keys: &[&TokenKey], content: &[u8], form: &Form) -> Vec<u8> {
    let content_key: Vec<u8> =
        (0..form.cipher.key_len() as u8).map(|byte| byte.wrapping_mul(37) ^ 0x5a).collect();
    let iv = vec![0x42; form.cipher.iv_len().expect("a CBC cipher")];
    let ciphertext =
        openssl::symm::encrypt(form.cipher, &content_key, Some(&iv), content).expect("encryptable");

    let recipients: Vec<Vec<u8>> =
        keys.iter().map(|key| recipient(key, &content_key, form.key_oid)).collect();
    let recipients: Vec<&[u8]> = recipients.iter().map(Vec::as_slice).collect();
    wrap(&recipients, &iv, &ciphertext, form)
}

/// A message from its parts.
pub fn wrap(recipients: &[&[u8]], iv: &[u8], ciphertext: &[u8], form: &Form) -> Vec<u8> {
    let shell = |level: usize, tag: u8, parts: &[&[u8]]| {
        if form.indefinite[level] { indefinite(tag, parts) } else { element(tag, parts) }
    };
    let encrypted = match form.piece {
        None => element(0x80, &[ciphertext]),
        Some(size) => {
            let pieces: Vec<Vec<u8>> = ciphertext.chunks(size).map(|piece| element(0x04, &[piece])).collect();
            shell(4, 0xa0, &pieces.iter().map(Vec::as_slice).collect::<Vec<_>>())
        }
    };
    let cipher = element(0x30, &[&oid(form.cipher_oid), &element(0x04, &[iv])]);
    let content = shell(3, 0x30, &[&oid("1.2.840.113549.1.7.1"), &cipher, &encrypted]);
    let enveloped = shell(2, 0x30, &[&element(0x02, &[&[0]]), &element(0x31, recipients), &content]);
    shell(0, 0x30, &[&oid(form.content_type), &shell(1, 0xa0, &[&enveloped])])
}
