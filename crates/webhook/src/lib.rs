//! Webhooks: what is sent to receivers, how it is signed, whom it may reach, and when it is tried again.
mod secret;
mod signature;
mod verify;

pub use secret::{Secret, SecretError};
pub use signature::{ID, SIGNATURE, SignError, Signed, TIMESTAMP, sign};
pub use verify::{TOLERANCE, VerifyError, VerifyingKey, verify};
