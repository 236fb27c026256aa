//! Messages made by the `openssl` command, where there is one.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use crate::common::{KEYS, inner, odd_key, opens};

const CIPHERS: [&str; 4] = ["-aes128", "-aes192", "-aes256", "-des3"];

/// Whether the command is there. Tests that are skipped say so past the capture of test output.
fn installed() -> bool {
    let found = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    if !found {
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no `openssl` command on this machine");
    }
    found
}

/// Runs `openssl` in the folder on the file `inner.txt` and gives what it wrote.
fn run(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl")
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("openssl: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {errors}");
    output.stdout
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("inner.txt"), inner()).expect("writable");
    for (name, key) in [("first.pem", &KEYS[0]), ("second.pem", &KEYS[1])] {
        std::fs::write(folder.path().join(name), key.certificate_pem()).expect("writable");
    }
    folder
}

#[test]
fn what_openssl_cms_and_smime_encrypt_opens() {
    if !installed() {
        return;
    }
    let folder = folder();
    let mut files = 0;
    for tool in ["cms", "smime"] {
        for cipher in CIPHERS {
            for form in ["SMIME", "DER", "PEM"] {
                for extra in [&[][..], &["-stream"], &["-binary"], &["-stream", "-binary"], &["-crlfeol"]] {
                    let base = [tool, "-encrypt", cipher, "-in", "inner.txt", "-outform", form];
                    let arguments = [&base[..], extra, &["second.pem"]].concat();
                    assert_eq!(opens(&run(folder.path(), &arguments), &KEYS[..]), 1, "{arguments:?}");
                    files += 1;
                }
            }
        }
    }
    println!("{files} files of the openssl command decrypted");
}

#[test]
fn oaep_key_identifiers_and_several_recipients_open() {
    if !installed() {
        return;
    }
    let folder = folder();
    let stranger = odd_key("stranger", "stranger", 77).certificate_pem();
    std::fs::write(folder.path().join("stranger.pem"), stranger).expect("writable");
    let base = ["cms", "-encrypt", "-stream", "-aes256", "-in", "inner.txt"];
    for (rest, expected) in [
        (&["-keyid", "second.pem"][..], 1),
        (&["-recip", "second.pem", "-keyopt", "rsa_padding_mode:oaep"], 1),
        (&["-recip", "second.pem", "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"], 1),
        (&["stranger.pem", "second.pem"], 1),
        (&["second.pem", "stranger.pem", "first.pem"], 0),
    ] {
        let arguments = [&base[..], rest].concat();
        assert_eq!(opens(&run(folder.path(), &arguments), &KEYS[..]), expected, "{arguments:?}");
    }
}

/// An independent reader accepts what we upload: the certificate is one, and its key is as we say.
#[test]
fn the_command_reads_our_certificate() {
    if !installed() {
        return;
    }
    let folder = folder();
    let text =
        run(folder.path(), &["x509", "-in", "first.pem", "-noout", "-text", "-fingerprint", "-sha256"]);
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("2048 bit") && text.contains("sha256WithRSAEncryption"), "{text}");
    assert!(text.replace(':', "").to_ascii_lowercase().contains(&KEYS[0].fingerprint()), "{text}");
    run(folder.path(), &["verify", "-CAfile", "first.pem", "-no_check_time", "first.pem"]);
}
