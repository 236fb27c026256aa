//! `.p7m` files as people give them: S/MIME, base64, DER, BER, and whatever is named so. The key is made when the program
//! starts, so that no file in the corpus opens; what is inside an opened one is read by the target `token_json`.
#![no_main]

use std::sync::LazyLock;

use adelie_fuzz::within_memory;
use adelie_model::Timestamp;
use adelie_token::{TokenKey, decrypt};
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<Vec<TokenKey>> = LazyLock::new(|| {
    let now = Timestamp::from_timestamp(1_800_000_000, 0).expect("a moment");
    vec![TokenKey::generate("fuzz", now).expect("a key")]
});

fuzz_target!(|file: &[u8]| {
    LazyLock::force(&KEYS);
    within_memory(|| {
        if let Err(error) = decrypt(file, &KEYS) {
            // An error is for a person, and must be printable whatever the file holds.
            assert!(!error.to_string().is_empty());
        }
    });
});
