//! Each thing that people pass instead of a server token, and what they are told.

use crate::ber::{Form, element, message, recipient, wrap};
use crate::common::{HEADERS, JSON, KEYS, base64_lines, certificate, fixture_key, inner, odd_key, smime};
use adelie_token::{DecryptError, FieldProblem, MAX_FILE_BYTES, Problem, Recipient, decrypt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::cms::{CMSOptions, CmsContentInfo};
use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::x509::X509;

fn refusal(file: &[u8]) -> DecryptError {
    match decrypt(file, &KEYS[..]) {
        Ok(_) => panic!("taken for a token: {}", String::from_utf8_lossy(file)),
        Err(error) => error,
    }
}

/// Refused for the same reason as bytes, as base64 and as S/MIME.
fn refusal_in_all_forms(body: &[u8]) -> DecryptError {
    let error = refusal(body);
    assert_eq!(refusal(base64_lines(body).as_bytes()), error);
    assert_eq!(refusal(STANDARD.encode(body).as_bytes()), error);
    assert_eq!(refusal(&smime(body)), error);
    error
}

#[test]
fn an_empty_file() {
    for file in [&b""[..], b" \r\n\t\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n", b"\0\0\0"] {
        assert_eq!(refusal(file), DecryptError::Empty, "{file:?}");
    }
}

#[test]
fn a_file_that_is_far_too_long() {
    let mut file = smime(&message(&[&KEYS[0]], &inner(), &Form::default()));
    file.resize(MAX_FILE_BYTES, b'\n');
    assert!(decrypt(&file, &KEYS[..]).is_ok());
    file.push(b'\n');
    assert_eq!(refusal(&file), DecryptError::TooLarge { size: MAX_FILE_BYTES + 1 });
}

#[test]
fn a_certificate() {
    let key = fixture_key();
    assert_eq!(refusal(key.certificate_pem().as_bytes()), DecryptError::Certificate);
    assert_eq!(refusal(key.certificate_pem().replace('\n', "\r\n").as_bytes()), DecryptError::Certificate);
    assert_eq!(refusal_in_all_forms(key.certificate_der()), DecryptError::Certificate);
    assert_eq!(
        refusal(b"words\n-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----"),
        DecryptError::Certificate
    );
}

#[test]
fn a_private_key() {
    let key = fixture_key();
    let private_key = PKey::private_key_from_pkcs8(&key.private_key_der()).expect("a key");
    for pem in [
        private_key.private_key_to_pem_pkcs8().expect("encodable"),
        private_key.rsa().expect("RSA").private_key_to_pem().expect("encodable"),
        private_key
            .private_key_to_pem_pkcs8_passphrase(openssl::symm::Cipher::aes_128_cbc(), b"words")
            .expect("encodable"),
        // With the certificate before it: the key is what matters.
        [key.certificate_pem().into_bytes(), private_key.private_key_to_pem_pkcs8().expect("encodable")]
            .concat(),
    ] {
        assert_eq!(refusal(&pem), DecryptError::PrivateKey);
    }
    assert_eq!(refusal_in_all_forms(&key.private_key_der()), DecryptError::PrivateKey);
    let traditional = private_key.rsa().expect("RSA").private_key_to_der().expect("encodable");
    assert_eq!(refusal_in_all_forms(&traditional), DecryptError::PrivateKey);
    let certificate = X509::from_der(key.certificate_der()).expect("a certificate");
    let bundle = Pkcs12::builder().name("bundle").pkey(&private_key).cert(&certificate).build2("words");
    let bundle = bundle.and_then(|bundle| bundle.to_der()).expect("encodable");
    assert_eq!(refusal_in_all_forms(&bundle), DecryptError::PrivateKey);
}

#[test]
fn a_token_that_is_already_decrypted() {
    let wrapped = JSON.replace("consumer_", "consu\nmer_").replace("access_", "acc\r\ness_");
    for text in [
        JSON.as_bytes().to_vec(),
        inner(),
        format!("\u{feff}\n{JSON}\n").into_bytes(),
        format!("-----BEGIN MESSAGE-----\n{wrapped}\n-----END MESSAGE-----\n").into_bytes(),
        wrapped.into_bytes(),
        br#"{"access_secret": "AS_1""#.to_vec(),
    ] {
        assert_eq!(refusal(&text), DecryptError::AlreadyDecrypted);
    }
}

#[test]
fn something_else_altogether() {
    for file in [
        &b"hello"[..],
        b"0",
        b"=",
        b"{}",
        b"<!DOCTYPE html>\n<html>\n\n<body>Sign in</body></html>",
        b"From: a@example.org\nSubject: token\n\nPlease find the token attached.\n",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"PK\x03\x04\x14\0\0\0",
        b"\x30\x03\x02\x01\x05",
        b"\x30\x80\x02\x01\x05\0\0",
        b"\xff\xfe\x4d\0\x49\0",
        b"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n",
    ] {
        assert_eq!(refusal(file), DecryptError::NotCms, "{}", String::from_utf8_lossy(file));
    }
}

/// Wherever a file ends too early, it is called cut off as soon as it can be told from something else.
#[test]
fn a_file_that_was_cut_off() {
    let forms = [
        Form::default(),
        Form { indefinite: [false; 5], piece: None, ..Form::default() },
        Form { piece: Some(16), ..Form::default() },
    ];
    for form in forms {
        let body = message(&[&KEYS[0]], &inner(), &form);
        for end in 20..body.len() {
            assert_eq!(refusal(&body[..end]), DecryptError::Truncated, "{end} of {} bytes", body.len());
        }
        let text = smime(&body);
        let headers = HEADERS.replace('\n', "\r\n").len();
        for end in (40..headers).chain(headers + 30..text.len() - 16) {
            assert_eq!(refusal(&text[..end]), DecryptError::Truncated, "{end} of {} letters", text.len());
        }
    }
    assert_eq!(refusal(b"-----BEGIN PKCS7-----\n-----END PKCS7-----\n"), DecryptError::Truncated);
}

#[test]
fn a_file_that_was_damaged() {
    let text = String::from_utf8(smime(&message(&[&KEYS[0]], &inner(), &Form::default()))).expect("text");
    let at = text.len() - 300;
    assert_eq!(refusal(format!("{}?{}", &text[..at], &text[at..]).as_bytes()), DecryptError::Damaged);

    // The frame is whole, but what is in it is not what an encrypted message has.
    let id = [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3];
    assert_eq!(refusal_in_all_forms(&element(0x30, &[&id, b"\xa0\x02\x30\x00"])), DecryptError::Damaged);
    assert_eq!(refusal_in_all_forms(&element(0x30, &[&id])), DecryptError::Damaged);
    // Everything but the ciphertext.
    let who = recipient(&KEYS[0], &[7; 16], crate::ber::RSA);
    let form = Form { indefinite: [false; 5], piece: None, ..Form::default() };
    let mut body = wrap(&[&who], &[7; 16], b"", &form);
    assert_eq!(&body[body.len() - 2..], [0x80, 0]);
    assert_eq!(refusal_in_all_forms(&body), DecryptError::Undecryptable);
    body.truncate(body.len() - 2);
    assert_eq!(refusal(&body), DecryptError::Truncated);
}

#[test]
fn a_message_of_another_kind() {
    let key = fixture_key();
    let private_key = PKey::private_key_from_pkcs8(&key.private_key_der()).expect("a key");
    let certificate = X509::from_der(key.certificate_der()).expect("a certificate");
    let signed = CmsContentInfo::sign(
        Some(&certificate),
        Some(&private_key),
        None,
        Some(JSON.as_bytes()),
        CMSOptions::BINARY,
    );
    let signed = signed.and_then(|message| message.to_der()).expect("signable");
    let found = |error: DecryptError| match error {
        DecryptError::NotEnveloped { found } => found,
        other => panic!("{other:?}"),
    };
    assert!(found(refusal_in_all_forms(&signed)).starts_with("signed"));

    for (id, expected) in [
        ("1.2.840.113549.1.7.1", "plain"),
        ("1.2.840.113549.1.7.5", "digested"),
        ("1.2.840.113549.1.7.6", "data encrypted"),
        ("1.2.840.113549.1.7.99", "of an unknown kind"),
        ("1.2.840.113549.1.9.16.1.9", "compressed"),
        ("1.2.840.113549.1.9.16.1.23", "authenticated"),
    ] {
        let form = Form { content_type: id, ..Form::default() };
        assert!(
            found(refusal_in_all_forms(&message(&[&KEYS[0]], &inner(), &form))).starts_with(expected),
            "{id}"
        );
    }
}

#[test]
fn a_token_for_another_key() {
    let stranger = odd_key("stranger", "the stranger's issuer", -0x7c);
    let file = smime(&message(&[&stranger], &inner(), &Form::default()));
    let error = refusal(&file);
    let DecryptError::OtherKey { recipients } = &error else { panic!("{error:?}") };
    let [Recipient::Certificate { issuer, serial }] = &recipients[..] else { panic!("{recipients:?}") };
    assert!(issuer.contains("the stranger's issuer"), "{issuer}");
    assert_eq!(serial, "84");
    let text = error.to_string();
    assert!(text.contains("serial number 84") && text.contains("stranger's issuer"), "{text}");
    assert!(text.contains("upload the current certificate") && text.contains("new server token"), "{text}");

    assert_eq!(decrypt(&file, &[]).map(|_| ()), Err(DecryptError::NoKey));

    // Many recipients do not make a long message, and a terminal is not at the mercy of their names.
    let loud = odd_key("loud", "\u{1b}[2J\u{7}loud", 3);
    let many = vec![&loud; 20];
    let text = refusal(&message(&many, &inner(), &Form::default())).to_string();
    assert!(text.len() < 1000 && !text.chars().any(char::is_control), "{text}");
}

#[test]
fn a_key_transport_or_cipher_that_apple_does_not_use() {
    let form = Form { key_oid: "1.2.840.10045.2.1", ..Form::default() };
    let error = refusal(&message(&[&KEYS[0]], &inner(), &form));
    assert_eq!(error, DecryptError::KeyTransport { method: "1.2.840.10045.2.1".to_owned() });

    // A password recipient: [3] with the version, a key derivation, an algorithm and a wrapped key.
    let algorithm = element(0x30, &[&[0x06, 3, 0x2a, 3, 4]]);
    let password = element(0xa3, &[&element(2, &[&[0]]), &algorithm, &element(4, &[&[7; 16]])]);
    let error = refusal(&wrap(&[&password], &[7; 16], &[7; 32], &Form::default()));
    assert_eq!(error, DecryptError::KeyTransport { method: "a password".to_owned() });
    let error = refusal(&wrap(&[], &[7; 16], &[7; 32], &Form::default()));
    assert!(matches!(error, DecryptError::KeyTransport { .. } | DecryptError::Damaged), "{error:?}");

    // RC2, which old versions of `openssl smime` took by default.
    let form = Form { cipher_oid: "1.2.840.113549.3.2", ..Form::default() };
    let error = refusal(&message(&[&KEYS[0]], &inner(), &form));
    assert_eq!(error, DecryptError::Cipher { algorithm: "1.2.840.113549.3.2".to_owned() });
}

#[test]
fn a_message_that_holds_no_token() {
    let sealed = |text: &str| refusal(&smime(&message(&[&KEYS[0]], text.as_bytes(), &Form::default())));
    assert!(matches!(
        sealed("Dear colleague,\n\nthe token is attached."),
        DecryptError::NotToken { at: 1, .. }
    ));
    assert!(matches!(sealed(&JSON[..60]), DecryptError::NotToken { .. }));
    assert_eq!(
        sealed(&JSON.replace("CS_planted1", " ")),
        DecryptError::Fields {
            problems: vec![FieldProblem { field: "consumer_secret", problem: Problem::Empty }]
        }
    );
    let DecryptError::Fields { problems } = sealed("{}") else { panic!("not refused") };
    assert_eq!(problems.len(), 5);
    assert_eq!(sealed(&JSON.replace("2027-01-31T12:00:00Z", "31.1.2027")), DecryptError::Expiry);
    // Binary content is not told apart from a wrong key.
    let binary = message(&[&KEYS[0]], &[0xff; 40], &Form::default());
    assert_eq!(refusal(&binary), DecryptError::Undecryptable);
}

/// The certificate of a key is not needed to see that a file is no token.
#[test]
fn mistakes_are_told_before_missing_keys() {
    let private_key = PKey::private_key_from_pkcs8(&fixture_key().private_key_der()).expect("a key");
    let other = certificate(&private_key, "a", "b", 1).to_pem().expect("encodable");
    assert_eq!(decrypt(&other, &[]).map(|_| ()), Err(DecryptError::Certificate));
    assert_eq!(decrypt(b"", &[]).map(|_| ()), Err(DecryptError::Empty));
}
