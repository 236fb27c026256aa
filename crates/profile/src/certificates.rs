//! Certificates in a profile: base64 of DER in one line, as Apple takes them, and the PEM that people have.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Finding, Rule};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Checks one entry of `anchor_certs` or `supervising_host_certs`. Only the outermost shape is looked at:
/// enough to tell a certificate from a pasted PEM file, a key file, or a certificate that was cut off.
pub(crate) fn check(path: String, text: &str, findings: &mut Vec<Finding>) {
    let refused = if text.contains("-----BEGIN") {
        Some((
            "this is PEM, and Apple takes the base64 alone".to_owned(),
            "take out the BEGIN and END lines and join the rest to one line",
        ))
    } else {
        match STANDARD.decode(text) {
            Err(error) => Some((
                format!("this is not base64: {error}"),
                "write the DER form of the certificate in base64 (`openssl x509 -in F.pem -outform der | base64 -w0`)",
            )),
            Ok(der) if !is_one_sequence(&der) => Some((
                "this decodes, though not to a whole DER certificate".to_owned(),
                "write the whole certificate in base64 (`openssl x509 -in F.pem -outform der | base64 -w0`)",
            )),
            Ok(_) => None,
        }
    };
    if let Some((message, fix)) = refused {
        findings.push(Finding::error(path, Rule::Certificate, message, fix));
    }
}

/// The certificates in a text that is PEM or base64 of DER, as base64 of DER.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn of_text(text: &str) -> Result<Vec<String>, String> {
    if text.contains("-----BEGIN") {
        return of_pem(text);
    }
    let joined: String = text.split_whitespace().collect();
    match STANDARD.decode(&joined) {
        Ok(der) if is_one_sequence(&der) => Ok(vec![joined]),
        Ok(_) => Err("this decodes, though not to a whole DER certificate".into()),
        Err(_) => Err("this is neither PEM nor base64".into()),
    }
}

/// The certificates in the bytes of a file, which may also be DER itself.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn of_bytes(bytes: &[u8]) -> Result<Vec<String>, String> {
    if is_one_sequence(bytes) {
        return Ok(vec![STANDARD.encode(bytes)]);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => of_text(text),
        Err(_) => Err("this is neither PEM nor a whole DER certificate".into()),
    }
}

/// The texts between the lines of PEM, joined to one line each, whatever they hold.
pub(crate) fn pem_bodies(text: &str) -> impl Iterator<Item = String> {
    text.split(BEGIN)
        .skip(1)
        .filter_map(|rest| rest.split_once(END))
        .map(|(body, _)| body.split_whitespace().collect())
}

fn of_pem(text: &str) -> Result<Vec<String>, String> {
    if text.contains("PRIVATE KEY-----") {
        return Err("there is a private key in it, which must not get into a profile".into());
    }
    let whole = |body: &String| STANDARD.decode(body).is_ok_and(|der| is_one_sequence(&der));
    let bodies: Vec<_> = pem_bodies(text).collect();
    if bodies.len() != text.matches(BEGIN).count() || !bodies.iter().all(whole) {
        return Err("a certificate in this PEM is not whole".into());
    }
    if bodies.is_empty() {
        return Err("there is no certificate in this PEM".into());
    }
    Ok(bodies)
}

/// Whether the bytes are one DER SEQUENCE whose length is that of the bytes.
fn is_one_sequence(der: &[u8]) -> bool {
    let [0x30, length, rest @ ..] = der else { return false };
    match length {
        0..=0x7f => rest.len() == usize::from(*length),
        0x81..=0x84 => {
            let count = usize::from(length & 0x7f);
            rest.split_at_checked(count).is_some_and(|(length, content)| {
                let length = length.iter().fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
                content.len() == length
            })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_sequence_passes() {
        assert!(is_one_sequence(&[0x30, 0]));
        assert!(is_one_sequence(&[0x30, 2, 5, 0]));
        let long = |length: usize| [&[0x30, 0x82, 1, 0][..], &vec![0; length]].concat();
        assert!(is_one_sequence(&long(256)));
        assert!(!is_one_sequence(&long(255)), "cut off");
        assert!(!is_one_sequence(&long(257)), "something follows");
        for bad in [&[][..], &[0x30], &[0x31, 0], &[0x30, 0x80, 0, 0], &[0x30, 0x82, 1]] {
            assert!(!is_one_sequence(bad), "{bad:?}");
        }
    }

    #[test]
    fn certificates_come_from_pem_base64_and_der() {
        let pem = format!("comment\n{BEGIN}\nMAMC\r\nAQU=\n{END}\n{BEGIN}\nMAA=\n{END}\n");
        assert_eq!(of_text(&pem).expect("two"), ["MAMCAQU=", "MAA="]);
        assert_eq!(of_text(" MAMC\nAQU=\n").expect("one"), ["MAMCAQU="]);
        assert_eq!(of_bytes(&[0x30, 3, 2, 1, 5]).expect("one"), ["MAMCAQU="]);
        assert_eq!(of_bytes(pem.as_bytes()).expect("two").len(), 2);
        for (bad, why) in [
            ("", "whole DER"),
            ("not base64!", "neither"),
            ("MIIB", "whole DER"),
            ("-----BEGIN CERTIFICATE-----\nMAA=\n", "not whole"),
            ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "not whole"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMAA=\n-----END RSA PRIVATE KEY-----", "private key"),
            ("-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----", "no certificate"),
        ] {
            let error = of_text(bad).expect_err(bad);
            assert!(error.contains(why), "{bad}: {error}");
        }
        assert!(of_bytes(&[0xff, 0xfe]).is_err());
    }
}
