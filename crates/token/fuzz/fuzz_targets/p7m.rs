//! Whatever bytes are imported as a server token, `decrypt` answers and does not panic.
//!
//! The key is the throw-away of the fixtures, so that the seeds open and their changes reach the innermost part.
#![no_main]

use std::sync::LazyLock;

use adelie_token::{TokenKey, decrypt};
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<[TokenKey; 1]> = LazyLock::new(|| {
    let certificate = include_bytes!("../../tests/fixtures/certificate.der");
    let private_key = include_bytes!("../../tests/fixtures/private_key.der");
    [TokenKey::from_parts(certificate, private_key).expect("the fixtures fit together")]
});

fuzz_target!(|file: &[u8]| {
    if let Err(error) = decrypt(file, &KEYS[..]) {
        assert!(!error.to_string().is_empty());
    }
});
