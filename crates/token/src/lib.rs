//! Token keys, certificates and the decryption of Apple server tokens (`.p7m`); what else the key signs, and the codes
//! that take devices out of activation lock.
//!
//! The exchange (protocol section 1): a [`TokenKey`] is generated, its certificate is uploaded in Apple Business or
//! School Manager, Apple gives back a server token that is encrypted for that certificate, and [`decrypt`] opens it.
//!
//! The same key signs the [`access_management_token`] that a device asks for; a [`BypassCode`] is made without it.
//!
//! This crate does no I/O, knows no clock and stores nothing. A file goes one way through it:
//!
//! ```text
//! file ──envelope──▶ CMS bytes ──decrypt──▶ text ──content──▶ ServerToken
//! ```
//!
//! `cms` looks inside the message, to see for which certificate it was made; all cryptography is OpenSSL's.
//! Everything that holds plaintext or a private key is zeroed when it is dropped and masked in `Debug`.

mod access_management;
mod bypass_code;
mod content;
mod decrypt;
mod envelope;
mod error;
mod key;
mod shape;

/// What is read from outside and nobody else need call: for the fuzzing in `fuzz/`.
#[cfg(fuzzing)]
pub mod fuzzing {
    /// The token in a decrypted message.
    ///
    /// # Errors
    /// As those of [`decrypt`](crate::decrypt) about the content.
    pub fn server_token(plaintext: &[u8]) -> Result<adelie_model::ServerToken, crate::DecryptError> {
        crate::content::server_token(plaintext)
    }
}

pub use access_management::{ACCESS_MANAGEMENT, JwtError, access_management_token};
pub use bypass_code::{BypassCode, BypassCodeError};
pub use decrypt::{Addressees, MAX_FILE_BYTES, decrypt};
pub use error::{DecryptError, FieldProblem, KeyError, Problem, Recipient};
pub use key::TokenKey;
