//! Certificates in a profile: base64 of DER in one line.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Finding, Rule};

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
}
