//! Webhooks: what is sent to receivers, how it is signed, whom it may reach, and when it is tried again.

mod guard;
mod pattern;
mod secret;
mod sender;
mod signature;
mod verify;

pub use guard::{AllowNetworks, Guard, Names, NetworkError, Refusal, SystemNames, Target};
pub use pattern::{EventPattern, PatternError};
pub use secret::{Secret, SecretError};
pub use sender::{Failure, Post, Sender, SenderError, SenderOptions, Stage, Tried};
pub use signature::{ID, SIGNATURE, SignError, Signed, TIMESTAMP, sign};
pub use verify::{TOLERANCE, VerifyError, VerifyingKey, verify};
