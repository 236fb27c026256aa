//! Keys, a token and the ways to wrap it up, for all tests.

use std::sync::LazyLock;

use adelie_model::{ServerToken, Timestamp};
use adelie_token::{TokenKey, decrypt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::{X509, X509Name};
use secrecy::ExposeSecret;

pub const JSON: &str = concat!(
    r#"{"consumer_key":"CK_0123","consumer_secret":"CS_planted1","access_token":"AT_planted2","#,
    r#""access_secret":"AS_planted3","access_token_expiry":"2027-01-31T12:00:00Z"}"#
);
/// The values of `JSON` that no error and no `Debug` may show.
pub const PLANTED: [&str; 3] = ["planted1", "planted2", "planted3"];

pub const HEADERS: &str = concat!(
    "Content-Type: application/pkcs7-mime; name=\"smime.p7m\"; smime-type=enveloped-data\n",
    "Content-Transfer-Encoding: base64\n",
    "Content-Disposition: attachment; filename=\"smime.p7m\"\n",
    "Content-Description: S/MIME Encrypted Message\n\n",
);

/// Two keys that all tests share, because each takes a while to make.
pub static KEYS: LazyLock<[TokenKey; 2]> = LazyLock::new(|| [new_key("first"), new_key("second")]);

pub fn now() -> Timestamp {
    "2026-01-31T12:00:00Z".parse().expect("a moment")
}

pub fn new_key(name: &str) -> TokenKey {
    TokenKey::generate(name, now()).expect("OpenSSL makes keys")
}

/// The content of a message as Apple writes it: headers, markers, CRLF, the JSON wrapped at 76 letters.
pub fn inner() -> Vec<u8> {
    let mut text = String::from(
        "Content-Type: text/plain;charset=UTF-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n-----BEGIN MESSAGE-----\r\n",
    );
    for line in JSON.as_bytes().chunks(76) {
        text.push_str(std::str::from_utf8(line).expect("ASCII"));
        text.push_str("\r\n");
    }
    text.push_str("-----END MESSAGE-----\r\n");
    text.into_bytes()
}

/// Base64 in lines of 76 letters.
pub fn base64_lines(body: &[u8]) -> String {
    let letters = STANDARD.encode(body);
    letters.as_bytes().chunks(76).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect()
}

/// An S/MIME file as Apple sends it.
pub fn smime(body: &[u8]) -> Vec<u8> {
    format!("{HEADERS}{}\n", base64_lines(body)).replace('\n', "\r\n").into_bytes()
}

/// Decrypts with the keys and checks that the token is that of `JSON`; gives the position of the key.
pub fn opens(file: &[u8], keys: &[TokenKey]) -> usize {
    let (index, token) =
        decrypt(file, keys).unwrap_or_else(|error| panic!("{error}\n{}", String::from_utf8_lossy(file)));
    check(&token);
    index
}

pub fn check(token: &ServerToken) {
    assert_eq!(token.consumer_key, "CK_0123");
    assert_eq!(token.consumer_secret.expose_secret(), "CS_planted1");
    assert_eq!(token.access_token.expose_secret(), "AT_planted2");
    assert_eq!(token.access_secret.expose_secret(), "AS_planted3");
    assert_eq!(token.expires_at.to_rfc3339(), "2027-01-31T12:00:00+00:00");
}

/// A file of `tests/fixtures`.
pub fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The throw-away key of `tests/fixtures`.
pub fn fixture_key() -> TokenKey {
    TokenKey::from_parts(&fixture("certificate.der"), &fixture("private_key.der")).expect("a good key")
}

/// A key with a certificate that our own generator never makes: any name and serial number, no extensions.
pub fn odd_key(subject: &str, issuer: &str, serial: i64) -> TokenKey {
    let private_key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
    let certificate = certificate(&private_key, subject, issuer, serial);
    let private_key = private_key.private_key_to_pkcs8().expect("encodable");
    TokenKey::from_parts(&certificate.to_der().expect("encodable"), &private_key).expect("a good key")
}

pub fn certificate(key: &PKey<Private>, subject: &str, issuer: &str, serial: i64) -> X509 {
    let name = |text: &str| {
        let mut name = X509Name::builder().expect("memory");
        name.append_entry_by_text("O", "Tests").expect("a name");
        name.append_entry_by_text("CN", text).expect("a name");
        name.build()
    };
    let mut number = BigNum::from_slice(&serial.unsigned_abs().to_be_bytes()).expect("a number");
    number.set_negative(serial < 0);
    let mut builder = X509::builder().expect("memory");
    builder.set_version(2).expect("a version");
    builder.set_serial_number(&Asn1Integer::from_bn(&number).expect("a number")).expect("a number");
    builder.set_subject_name(&name(subject)).expect("a name");
    builder.set_issuer_name(&name(issuer)).expect("a name");
    builder.set_not_before(&Asn1Time::from_unix(1_700_000_000).expect("a time")).expect("a time");
    builder.set_not_after(&Asn1Time::from_unix(1_700_086_400).expect("a time")).expect("a time");
    builder.set_pubkey(key).expect("a key");
    builder.sign(key, MessageDigest::sha256()).expect("signable");
    builder.build()
}
