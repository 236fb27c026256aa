//! Token keys and their certificates.

use crate::common::{KEYS, certificate, new_key, now};
use adelie_token::{KeyError, TokenKey};
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::x509::X509;

#[test]
fn a_fresh_key_has_what_apple_takes() {
    let certificate = X509::from_der(KEYS[0].certificate_der()).expect("a certificate");
    let public_key = certificate.public_key().expect("a key");
    assert_eq!(public_key.rsa().expect("an RSA key").size(), 256);
    assert!(certificate.verify(&public_key).expect("verifiable"), "self-signed");
    assert_eq!(certificate.version(), 2);
    assert!(certificate.subject_key_id().is_some());

    let serial = certificate.serial_number().to_bn().expect("a number");
    assert!(!serial.is_negative());
    assert_eq!(serial.num_bits(), 127);

    let at = |moment: i64| Asn1Time::from_unix(moment).expect("a time");
    assert_eq!(certificate.not_before(), &*at(now().timestamp() - 300));
    // It outlives a token of 365 days that is made on the last day of the ninth year.
    assert!(certificate.not_after() > &*at(now().timestamp() + 9 * 365 * 86_400 + 365 * 86_400 - 1));

    let text = String::from_utf8(certificate.to_text().expect("printable")).expect("text");
    assert!(text.contains("CN=first") || text.contains("CN = first"), "{text}");
    assert!(text.contains("Digital Signature, Key Encipherment"), "{text}");
    assert!(text.contains("CA:FALSE"), "{text}");
}

#[test]
fn the_pem_file_is_what_openssl_would_write() {
    let pem = KEYS[0].certificate_pem();
    let certificate = X509::from_pem(pem.as_bytes()).expect("PEM");
    assert_eq!(certificate.to_pem().expect("encodable"), pem.as_bytes());
    assert_eq!(certificate.to_der().expect("encodable"), KEYS[0].certificate_der());
}

#[test]
fn keys_differ_and_fingerprints_tell_them_apart() {
    let [first, second] = &*KEYS;
    let serial = |key: &TokenKey| {
        X509::from_der(key.certificate_der()).and_then(|c| c.serial_number().to_bn()).expect("a certificate")
    };
    assert_ne!(serial(first), serial(second));
    assert_ne!(first.fingerprint(), second.fingerprint());
    assert_eq!(first.fingerprint().len(), 64);
    let digest = openssl::sha::sha256(first.certificate_der());
    assert!(first.fingerprint().starts_with(&format!("{:02x}{:02x}", digest[0], digest[1])));
}

#[test]
fn a_key_survives_being_stored() {
    let key = &KEYS[0];
    let again = TokenKey::from_parts(key.certificate_der(), &key.private_key_der()).expect("a good key");
    assert_eq!(again.fingerprint(), key.fingerprint());
    assert_eq!(*again.private_key_der(), *key.private_key_der());
}

#[test]
fn any_name_makes_a_certificate() {
    for (name, expected) in
        [("", "Adelie"), (" \n\0 ", "Adelie"), ("Ä pfel/日本", "Ä pfel/日本"), ("x=,+\"y", "x=,+\"y")]
    {
        let key = new_key(name);
        let certificate = X509::from_der(key.certificate_der()).expect("a certificate");
        let entry = certificate.subject_name().entries_by_nid(Nid::COMMONNAME).next().expect("a common name");
        assert_eq!(entry.data().to_string().expect("text"), expected);
    }
    // As long as the name of an MDM server can be; X.509 allows 64 characters.
    let key = new_key(&"ü".repeat(100));
    let certificate = X509::from_der(key.certificate_der()).expect("a certificate");
    let entry = certificate.subject_name().entries_by_nid(Nid::COMMONNAME).next().expect("a common name");
    assert_eq!(entry.data().to_string().expect("text"), "ü".repeat(64));
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let [first, second] = &*KEYS;
    let from = |certificate: &[u8], key: &[u8]| TokenKey::from_parts(certificate, key).expect_err("refused");
    assert!(matches!(from(b"", &first.private_key_der()), KeyError::Certificate(_)));
    assert!(matches!(
        from(&first.certificate_der()[..99], &first.private_key_der()),
        KeyError::Certificate(_)
    ));
    assert!(matches!(from(first.certificate_der(), b""), KeyError::PrivateKey));
    assert!(matches!(from(first.certificate_der(), &first.private_key_der()[..99]), KeyError::PrivateKey));
    assert!(matches!(from(first.certificate_der(), &second.private_key_der()), KeyError::Mismatch));

    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).and_then(|group| EcKey::generate(&group));
    let elliptic = PKey::from_ec_key(curve.expect("a key")).expect("a key");
    let certificate = certificate(&elliptic, "ec", "ec", 1).to_der().expect("encodable");
    let key = elliptic.private_key_to_pkcs8().expect("encodable");
    assert!(matches!(from(&certificate, &key), KeyError::NotRsa));
}
