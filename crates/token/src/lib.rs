//! Token keys, certificates and the decryption of Apple server tokens (`.p7m`).
//!
//! The exchange (protocol section 1): a [`TokenKey`] is generated, its certificate is uploaded in Apple Business or
//! School Manager, Apple gives back a server token that is encrypted for that certificate, and [`decrypt`] opens it.
//!
//! This crate does no I/O, knows no clock and stores nothing. A file goes one way through it:
//!
//! ```text
//! file ──envelope──▶ CMS bytes ──decrypt──▶ text ──content──▶ ServerToken
//! ```
//!
//! `cms` looks inside the message, to see for which certificate it was made; all cryptography is OpenSSL's.
//! Everything that holds plaintext or a private key is zeroed when it is dropped and masked in `Debug`.

mod content;
mod decrypt;
mod envelope;
mod error;
mod key;
mod shape;

pub use decrypt::{MAX_FILE_BYTES, addressees, decrypt};
pub use error::{DecryptError, FieldProblem, KeyError, Problem, Recipient};
pub use key::TokenKey;
