//! Nothing that is printed gives a secret away.

use std::error::Error;
use std::fmt::Debug;

use crate::ber::{Form, message};
use crate::common::{JSON, KEYS, PLANTED, fixture_key, inner, odd_key, smime};
use adelie_token::{DecryptError, KeyError, TokenKey, decrypt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::pkey::PKey;

/// Everything that can be printed of a value.
fn shown(value: &(impl Debug + ?Sized)) -> String {
    format!("{value:?}\n{value:#?}\n")
}

fn shown_error(error: &(dyn Error + 'static)) -> String {
    let mut text = format!("{error}\n{error:#}\n{}", shown(error));
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!("{error}\n{}", shown(error));
        cause = error.source();
    }
    text
}

fn assert_hides(text: &str, what: &str) {
    for secret in PLANTED {
        assert!(!text.contains(secret), "{what} shows {secret}: {text}");
    }
}

/// L46: the values of a token appear in no error, whichever way its content is wrong.
#[test]
fn no_error_shows_a_value_of_the_token() {
    let sealed = |text: &str| smime(&message(&[&KEYS[0]], text.as_bytes(), &Form::default()));
    let stranger = odd_key("stranger", "stranger", 1);
    let mut files = vec![
        JSON.as_bytes().to_vec(),
        inner(),
        format!("-----BEGIN PRIVATE KEY-----\n{JSON}").into_bytes(),
        format!("Content-Type: application/pkcs7-mime\n\n{JSON}").into_bytes(),
        format!("words, {}", JSON.replace("consumer_", "").replace("access_", "")).into_bytes(),
        smime(&message(&[&stranger], &inner(), &Form::default())),
        sealed(JSON.trim_start_matches('{')),
        sealed(&JSON.replace("AS_planted3", "\u{7}AS_planted3")),
        sealed(&JSON.replace("AS_planted3", "\\tAS_planted3")),
        sealed(&JSON.replace("AS_planted3", "\\xAS_planted3")),
        sealed(&JSON.replace("\"AS_planted3\"", "{\"planted3\":\"planted3\"}")),
        sealed(&JSON.replace("\"AS_planted3\"", "AS_planted3")),
        sealed(&JSON.replace("\"AS_planted3\"", "\"AS_planted3\",\"access_secret\":\"planted3\"")),
        sealed(&JSON.replace("2027-01-31T12:00:00Z", "planted1")),
        sealed(&JSON.replace("2027-01-31T12:00:00Z", "")),
        sealed(&format!("[{JSON}]")),
        sealed(&format!("{JSON}{JSON}")),
        sealed(&format!("\"{}\"", JSON.replace('"', "'"))),
    ];
    for end in 0..JSON.len() {
        files.push(sealed(&JSON[..end]));
    }
    for file in files {
        let error = decrypt(&file, &KEYS[..]).map(|_| ()).expect_err("not a token");
        assert_hides(&shown_error(&error), "an error");
    }
}

/// L46: the token and the key that come out are masked.
#[test]
fn tokens_and_keys_are_masked() {
    let (_, token) =
        decrypt(&smime(&message(&[&KEYS[0]], &inner(), &Form::default())), &KEYS[..]).expect("a token");
    assert_hides(&shown(&token), "a token");

    let key = fixture_key();
    let text = shown(&key);
    assert!(text.contains(&key.fingerprint()) && text.contains("REDACTED"), "{text}");
    assert_hides_key(&text, &key);
    assert_hides_key(&key.certificate_pem(), &key);
}

#[test]
fn no_error_of_a_key_shows_the_key() {
    let key = fixture_key();
    let der = key.private_key_der();
    let mut errors = vec![
        TokenKey::from_parts(KEYS[0].certificate_der(), &der).expect_err("a mismatch"),
        TokenKey::from_parts(&der, &der).expect_err("no certificate"),
        TokenKey::from_parts(key.certificate_der(), STANDARD.encode(&*der).as_bytes()).expect_err("no key"),
        KeyError::NotRsa,
    ];
    for end in (0..der.len()).step_by(7) {
        errors.push(TokenKey::from_parts(key.certificate_der(), &der[..end]).expect_err("a cut key"));
    }
    for error in errors {
        assert_hides_key(&shown_error(&error), &key);
    }
    let pem =
        PKey::private_key_from_pkcs8(&der).and_then(|key| key.private_key_to_pem_pkcs8()).expect("a key");
    for end in 0..pem.len() {
        if let Err(error) = decrypt(&pem[..end], &KEYS[..]) {
            assert_hides_key(&shown_error(&error), &key);
        }
    }
}

/// Looks for any eight bytes in a row of the private parts, in the ways in which bytes get printed.
fn assert_hides_key(text: &str, key: &TokenKey) {
    let rsa = PKey::private_key_from_pkcs8(&key.private_key_der()).and_then(|key| key.rsa()).expect("a key");
    let squeezed: String = text.split_whitespace().collect::<String>().to_ascii_lowercase();
    let parts = [rsa.d().to_vec(), rsa.p().expect("a prime").to_vec(), rsa.q().expect("a prime").to_vec()];
    for part in parts {
        for bytes in part.chunks_exact(9) {
            let decimal = bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
            let hexadecimal = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let encoded = STANDARD.encode(bytes);
            assert!(!squeezed.contains(&decimal) && !squeezed.contains(&hexadecimal), "{text}");
            assert!(!text.contains(&encoded), "{text}");
        }
    }
}

/// Every error says what to do next, in one line without the text of another.
#[test]
fn every_error_names_the_next_step() {
    let recipients = vec![adelie_token::Recipient::KeyIdentifier("ab".to_owned())];
    let problems = vec![];
    for error in [
        DecryptError::Empty,
        DecryptError::TooLarge { size: 7 },
        DecryptError::Certificate,
        DecryptError::PrivateKey,
        DecryptError::AlreadyDecrypted,
        DecryptError::NotCms,
        DecryptError::Truncated,
        DecryptError::Damaged,
        DecryptError::NotEnveloped { found: "signed data" },
        DecryptError::NoKey,
        DecryptError::OtherKey { recipients },
        DecryptError::KeyTransport { method: "1.2.3".to_owned() },
        DecryptError::Cipher { algorithm: "1.2.3".to_owned() },
        DecryptError::Undecryptable,
        DecryptError::NotToken { at: 1, length: 2 },
        DecryptError::Fields { problems },
        DecryptError::Expiry,
    ] {
        let text = error.to_string();
        assert!(!text.contains('\n') && !text.contains("  "), "{text}");
        assert!(["import", "download", "copy"].iter().any(|step| text.contains(step)), "{text}");
        assert!(error.source().is_none());
    }
}
