//! `.p7m` files as people give them: S/MIME, base64, DER, BER, and whatever is named so.
//!
//! The key is the throw-away of the fixtures, so that some of the corpus opens and its changes reach the innermost part.
#![no_main]

use std::sync::LazyLock;

use adelie_fuzz::within_memory;
use adelie_token::{TokenKey, decrypt};
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<[TokenKey; 1]> = LazyLock::new(|| {
    let certificate = include_bytes!("../../crates/token/tests/fixtures/certificate.der");
    let private_key = include_bytes!("../../crates/token/tests/fixtures/private_key.der");
    [TokenKey::from_parts(certificate, private_key).expect("the fixtures fit together")]
});

fuzz_target!(|file: &[u8]| {
    LazyLock::force(&KEYS);
    within_memory(|| {
        if let Err(error) = decrypt(file, &KEYS[..]) {
            // An error is for a person, and must be printable whatever the file holds.
            assert!(!error.to_string().is_empty());
        }
    });
});
