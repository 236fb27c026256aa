//! What is inside a server token once it is decrypted: headers, markers, wrapped JSON.
#![no_main]

use adelie_fuzz::within_memory;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|plaintext: &[u8]| {
    within_memory(|| match adelie_token::fuzzing::server_token(plaintext) {
        Ok(token) => assert!(!token.consumer_key.is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    });
});
