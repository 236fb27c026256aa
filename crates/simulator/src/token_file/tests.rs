use std::process::Command;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::cms::CmsContentInfo;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::{X509Builder, X509NameBuilder};

use super::*;

fn credentials() -> Credentials {
    Credentials {
        consumer_key: "CK_1".to_owned(),
        consumer_secret: "CS_2".to_owned(),
        access_token: "AT_3".to_owned(),
        access_secret: "AS_4".to_owned(),
        expiry: "2027-01-01T00:00:00Z".to_owned(),
    }
}

fn key_pair() -> (PKey<Private>, X509) {
    let key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
    let mut name = X509NameBuilder::new().expect("a name");
    name.append_entry_by_text("CN", "Adelie test").expect("a name");
    let name = name.build();
    let mut builder = X509Builder::new().expect("a builder");
    builder.set_version(2).expect("version");
    let serial = BigNum::from_u32(0x7301_0203).and_then(|number| number.to_asn1_integer()).expect("a serial");
    builder.set_serial_number(&serial).expect("serial");
    builder.set_subject_name(&name).expect("subject");
    builder.set_issuer_name(&name).expect("issuer");
    builder.set_not_before(&Asn1Time::days_from_now(0).expect("time")).expect("from");
    builder.set_not_after(&Asn1Time::days_from_now(2).expect("time")).expect("to");
    builder.set_pubkey(&key).expect("key");
    builder.sign(&key, MessageDigest::sha256()).expect("signed");
    (key, builder.build())
}

fn body(file: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(file.to_vec()).expect("text").replace('\r', "");
    let base64 = text.split_once("\n\n").map_or(text.as_str(), |(_, body)| body).replace('\n', "");
    STANDARD.decode(base64).expect("base64")
}

#[test]
fn the_shape_is_that_of_apples_sample() {
    let (key, certificate) = key_pair();
    let pem = certificate.to_pem().expect("pem");
    let file = build(&credentials(), &pem, &TokenShape::default()).expect("a file");
    let text = String::from_utf8(file.clone()).expect("text");
    assert!(text.starts_with(
        "Content-Type: application/pkcs7-mime; name=\"smime.p7m\"; smime-type=enveloped-data\r\n"
    ));
    let longest = text.split("\r\n\r\n").nth(1).expect("a body").lines().map(str::len).max();
    assert_eq!(longest, Some(76));
    let der = body(&file);
    assert_eq!(&der[..2], &[0x30, 0x80]);
    assert!(der.ends_with(&[0; 10]), "five ends of content");
    let plain =
        CmsContentInfo::from_der(&der).and_then(|cms| cms.decrypt(&key, &certificate)).expect("decrypts");
    let plain = String::from_utf8(plain).expect("text");
    assert!(plain.starts_with("Content-Type: text/plain;charset=UTF-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n-----BEGIN MESSAGE-----\r\n"), "{plain}");
    assert!(plain.contains("\"access_token_expiry\":\"2027-01-01T00:00:00Z\""), "{plain}");
}

#[test]
fn every_shape_decrypts() {
    let (key, certificate) = key_pair();
    let pem = certificate.to_pem().expect("pem");
    for cipher in [TokenCipher::Aes128, TokenCipher::Aes192, TokenCipher::Aes256, TokenCipher::Des3] {
        for (piece, definite, headers, wrap) in
            [(0, true, true, 0), (64, false, false, 40), (7, true, true, 1)]
        {
            let shape = TokenShape { cipher, piece, definite, headers, wrap, markers: false, crlf: false };
            let file = build(&credentials(), &pem, &shape).expect("a file");
            let plain = CmsContentInfo::from_der(&body(&file))
                .and_then(|cms| cms.decrypt(&key, &certificate))
                .unwrap_or_else(|error| panic!("{shape:?}: {error}"));
            let json =
                String::from_utf8(plain).expect("text").replace("7bit\n\n", "7bit\u{1}").replace('\n', "");
            assert!(
                json.split('\u{1}').nth(1).expect("a body").contains("\"access_secret\":\"AS_4\""),
                "{json}"
            );
        }
    }
}

#[test]
fn the_openssl_command_decrypts_it() {
    let (key, certificate) = key_pair();
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("key.pem"), key.private_key_to_pem_pkcs8().expect("pem")).expect("written");
    std::fs::write(path("cert.pem"), certificate.to_pem().expect("pem")).expect("written");
    let file =
        build(&credentials(), &certificate.to_pem().expect("pem"), &TokenShape::default()).expect("a file");
    std::fs::write(path("token.p7m"), file).expect("written");
    let run = Command::new("openssl")
        .current_dir(folder.path())
        .args(["cms", "-decrypt", "-in", "token.p7m", "-inkey", "key.pem", "-recip", "cert.pem"])
        .output();
    let Ok(run) = run else {
        println!("skipped: there is no openssl command here");
        return;
    };
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(String::from_utf8_lossy(&run.stdout).contains("-----BEGIN MESSAGE-----"));
}

#[test]
fn what_is_no_certificate_is_refused() {
    assert!(matches!(
        build(&credentials(), b"hello", &TokenShape::default()),
        Err(TokenFileError::NoCertificate)
    ));
    let (key, _) = key_pair();
    let pem = key.private_key_to_pem_pkcs8().expect("pem");
    assert!(matches!(
        build(&credentials(), &pem, &TokenShape::default()),
        Err(TokenFileError::NoCertificate)
    ));
}
