//! Every form of protocol section 1 that must open.

use crate::ber::{Form, ciphers, message};
use crate::common::{
    HEADERS, JSON, KEYS, base64_lines, certificate, fixture, fixture_key, inner, odd_key, opens, smime,
};
use adelie_token::{Addressees, DecryptError, TokenKey, decrypt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::pkey::PKey;
use secrecy::ExposeSecret;

#[test]
fn apples_shape_has_indefinite_lengths_on_five_levels() {
    let body = message(&[&KEYS[0]], &inner(), &Form::default());
    assert_eq!(&body[..2], [0x30, 0x80]);
    assert!(body.ends_with(&[0; 10]), "five ends of contents");
    assert_eq!(opens(&smime(&body), &KEYS[..]), 0);
    assert_eq!(opens(&body, &KEYS[..]), 0);
}

/// Whose a file is can be told without any private key.
#[test]
fn the_addressee_is_found_by_certificates_alone() {
    let certificates = [b"no certificate".as_slice(), KEYS[0].certificate_der(), KEYS[1].certificate_der()];
    let addressees = Addressees::new(certificates);
    for (place, key) in [(1, &KEYS[0]), (2, &KEYS[1])] {
        let body = message(&[key], &inner(), &Form::default());
        assert_eq!(addressees.of(&smime(&body)), Ok(vec![place]));
    }
    let both = message(&[&KEYS[0], &KEYS[1]], &inner(), &Form::default());
    assert_eq!(addressees.of(&both), Ok(vec![1, 2]));
    let for_another = Addressees::new(certificates[..1].iter().copied()).of(&both);
    assert!(matches!(&for_another, Err(DecryptError::OtherKey { recipients }) if recipients.len() == 2));
    assert_eq!(addressees.of(b"hello"), Err(DecryptError::NotCms));
}

#[test]
fn every_mixture_of_lengths_pieces_and_ciphers_opens() {
    for (cipher, cipher_oid) in ciphers() {
        for piece in [None, Some(1), Some(16), Some(100), Some(480), Some(4096)] {
            for mixture in 0..32_u8 {
                let indefinite = std::array::from_fn(|level| mixture & (1 << level) != 0);
                let form = Form { indefinite, piece, cipher, cipher_oid, ..Form::default() };
                opens(&message(&[&KEYS[0]], &inner(), &form), &KEYS[..1]);
            }
        }
    }
}

#[test]
fn every_outer_form_opens() {
    let body = message(&[&KEYS[0]], &inner(), &Form::default());
    let lines = base64_lines(&body);
    let one_line = STANDARD.encode(&body);
    let broken = HEADERS.replace("enveloped-data", "enveloped-\ndata");
    let folded = HEADERS.replace("; smime-type", ";\n\tsmime-type");
    assert_ne!((broken.as_str(), folded.as_str()), (HEADERS, HEADERS));

    for text in [
        format!("{HEADERS}{lines}\n"),
        format!("{broken}{lines}\n"),
        format!("{folded}{lines}\n"),
        format!("\n \n{HEADERS}\n\n{lines}\n\n\n"),
        format!("{HEADERS}{one_line}"),
        format!("MIME-Version: 1.0\nX-Access_Token: yes\n\n{lines}"),
        lines.clone(),
        format!("\n\n{lines}\n\n"),
        one_line.clone(),
        format!("  {one_line}  "),
        lines.replace('\n', "\n\n"),
        // Without the padding, as some tools write base64.
        one_line.trim_end_matches('=').to_owned(),
        format!("-----BEGIN PKCS7-----\n{lines}-----END PKCS7-----\n"),
        format!("some words\n-----BEGIN CMS-----\n{lines}-----END CMS-----\n"),
        format!("{HEADERS}{lines}\u{1a}"),
        format!("{HEADERS}{lines}\0\0\0"),
    ] {
        opens(text.as_bytes(), &KEYS[..]);
        opens(text.replace('\n', "\r\n").as_bytes(), &KEYS[..]);
        opens(text.replace('\n', "\r").as_bytes(), &KEYS[..]);
        opens(format!("\u{feff}{text}").as_bytes(), &KEYS[..]);
    }

    opens(&[&body[..], b"\r\n"].concat(), &KEYS[..]);
    opens(&[b"\r\n", &body[..]].concat(), &KEYS[..]);
    let der =
        message(&[&KEYS[0]], &inner(), &Form { indefinite: [false; 5], piece: None, ..Form::default() });
    opens(&der, &KEYS[..]);
    opens(&smime(&der), &KEYS[..]);
}

#[test]
fn the_content_may_be_json_alone() {
    for content in [JSON.as_bytes().to_vec(), format!("Content-Type: text/plain\n\n{JSON}\n").into_bytes()] {
        opens(&smime(&message(&[&KEYS[0]], &content, &Form::default())), &KEYS[..]);
    }
}

#[test]
fn the_key_is_found_among_several_keys_and_recipients() {
    let [first, second] = &*KEYS;
    let stranger = odd_key("stranger", "stranger", 99);
    let keys = [first.clone(), second.clone()];
    for (recipients, expected) in [
        (vec![first], 0),
        (vec![second], 1),
        (vec![&stranger, second], 1),
        (vec![&stranger, first, second], 0),
    ] {
        let file = smime(&message(&recipients, &inner(), &Form::default()));
        assert_eq!(opens(&file, &keys), expected);
    }
}

/// The serial number of Apple's own sample starts with the byte 83, which reads as negative.
#[test]
fn a_serial_number_that_reads_as_negative_is_matched_by_its_bytes() {
    for serial in [-1, -0x7c, i64::MIN + 12_345, -0x0080, 0, 0x7f, 0x80] {
        let key = odd_key("odd", "odd", serial);
        let keys = [KEYS[0].clone(), key.clone()];
        assert_eq!(opens(&smime(&message(&[&key], &inner(), &Form::default())), &keys), 1, "serial {serial}");
        // The same number without the sign is another certificate.
        if serial < -1 {
            let other = odd_key("odd", "odd", -serial);
            assert!(decrypt(&message(&[&key], &inner(), &Form::default()), &[other]).is_err());
        }
    }
}

#[test]
fn the_recipient_is_named_by_the_issuer_and_not_by_the_subject() {
    let key = odd_key("subject", "another issuer", 7);
    let other = odd_key("another issuer", "subject", 7);
    let file = smime(&message(&[&key], &inner(), &Form::default()));
    assert_eq!(opens(&file, &[other, key]), 1);
}

/// Two certificates with one issuer and serial number, which our own generator never makes: each is tried.
#[test]
fn keys_that_share_a_name_are_all_tried() {
    let twins = [odd_key("twin", "twin", 5), odd_key("twin", "twin", 5)];
    for (index, twin) in twins.iter().enumerate() {
        let file = smime(&message(&[twin], &inner(), &Form::default()));
        assert_eq!(opens(&file, &twins), index);
    }
}

#[test]
fn what_python_has_made_opens() {
    let keys = [KEYS[0].clone(), fixture_key()];
    let mut seen = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).expect("a folder")
    {
        let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
        if !name.ends_with(".p7m") {
            continue;
        }
        let (index, token) =
            decrypt(&fixture(&name), &keys).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(index, 1, "{name}");
        assert_eq!(token.consumer_key, "CK_python", "{name}");
        assert_eq!(token.access_secret.expose_secret(), "AS_python", "{name}");
        assert_eq!(token.expires_at.to_rfc3339(), "2031-02-03T04:05:06+00:00", "{name}");
        seen += 1;
    }
    assert_eq!(seen, 7);
}

/// A key that only looks like the right one: wrong key, wrong key block and wrong padding all say the same.
#[test]
fn what_does_not_decrypt_says_the_same_whatever_the_reason() {
    use adelie_token::DecryptError::Undecryptable;
    let key = odd_key("lookalike", "lookalike", 5);
    let other = odd_key("lookalike", "lookalike", 5);
    let form = Form { indefinite: [false; 5], piece: None, ..Form::default() };

    // One in 256 wrong keys gives padding that looks right, so there must be many tries to see that case.
    for length in 0..600 {
        let content = [inner(), vec![b'\n'; length]].concat();
        let file = message(&[&key], &content, &form);
        assert_eq!(decrypt(&file, std::slice::from_ref(&other)).map(|_| ()), Err(Undecryptable));
    }

    let good = message(&[&key], &inner(), &form);
    let keys = [key.clone()];
    opens(&good, &keys);
    let mut bad_padding = good.clone();
    *bad_padding.last_mut().expect("not empty") ^= 1;
    assert_eq!(decrypt(&bad_padding, &keys).map(|_| ()), Err(Undecryptable));
    // The wrapped key is the only OCTET STRING of 256 bytes.
    let wrapped = good.windows(4).position(|bytes| bytes == [0x04, 0x82, 0x01, 0x00]).expect("a wrapped key");
    let mut bad_key = good;
    bad_key[wrapped + 100] ^= 1;
    assert_eq!(decrypt(&bad_key, &keys).map(|_| ()), Err(Undecryptable));
}

#[test]
fn a_certificate_from_elsewhere_works_as_our_own() {
    let private_key = PKey::from_rsa(openssl::rsa::Rsa::generate(3072).expect("a key")).expect("a key");
    let certificate = certificate(&private_key, "elsewhere", "elsewhere", 1).to_der().expect("encodable");
    let key = TokenKey::from_parts(&certificate, &private_key.private_key_to_pkcs8().expect("encodable"));
    let key = key.expect("a good key");
    assert_eq!(opens(&message(&[&key], &inner(), &Form::default()), &[key]), 0);
}
