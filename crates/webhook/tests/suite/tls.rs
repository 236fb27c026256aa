//! A receiver with TLS and a certificate that nobody but its maker vouches for.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};

/// Answers 200 to everything on a port of 127.0.0.1; returns where, and its certificate in PEM.
pub fn start(host: &str) -> (SocketAddr, Vec<u8>) {
    let (key, certificate) = certificate(host);
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).expect("an acceptor");
    acceptor.set_private_key(&key).expect("a key");
    acceptor.set_certificate(&certificate).expect("a certificate");
    let acceptor = acceptor.build();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A sender that does not trust us hangs up.
            let Ok(mut stream) = acceptor.accept(stream) else { continue };
            let mut read = [0; 4096];
            if stream.read(&mut read).is_ok() {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok();
                stream.shutdown().ok();
            }
        }
    });
    (address, certificate.to_pem().expect("PEM"))
}

fn certificate(host: &str) -> (PKey<Private>, X509) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("a curve");
    let key = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
    let mut name = X509NameBuilder::new().expect("a name");
    name.append_entry_by_text("CN", host).expect("a name");
    let name = name.build();
    let mut builder = X509::builder().expect("a builder");
    builder.set_version(2).expect("version");
    let serial = BigNum::from_u32(1).expect("a number").to_asn1_integer().expect("a number");
    builder.set_serial_number(&serial).expect("serial");
    builder.set_subject_name(&name).expect("subject");
    builder.set_issuer_name(&name).expect("issuer");
    builder.set_pubkey(&key).expect("key");
    builder.set_not_before(&Asn1Time::days_from_now(0).expect("a day")).expect("from");
    builder.set_not_after(&Asn1Time::days_from_now(1).expect("a day")).expect("to");
    builder.append_extension(BasicConstraints::new().ca().build().expect("CA")).expect("CA");
    let mut names = SubjectAlternativeName::new();
    match host.parse::<IpAddr>() {
        Ok(_) => names.ip(host),
        Err(_) => names.dns(host),
    };
    let names = names.build(&builder.x509v3_context(None, None)).expect("names");
    builder.append_extension(names).expect("names");
    builder.sign(&key, MessageDigest::sha256()).expect("signed");
    (key, builder.build())
}
