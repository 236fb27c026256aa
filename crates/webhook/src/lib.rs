//! Webhooks: what is sent to receivers, how it is signed, whom it may reach, and when it is tried again.

mod format;
mod guard;
mod pattern;
mod secret;
mod sender;
mod signature;
mod verdict;
mod verify;

pub use format::{Format, FormatError, LARGEST_BODY, Notice, Rendered, UnknownFormat};
pub use guard::{AllowNetworks, Guard, Names, NetworkError, Refusal, SystemNames, Target};
pub use pattern::{EventPattern, PatternError};
pub use secret::{Secret, SecretError};
pub use sender::{Failure, Post, Sender, SenderError, SenderOptions, Stage, Tried};
pub use signature::{ID, SIGNATURE, SignError, Signed, TIMESTAMP, sign};
pub use verdict::{ATTEMPTS, DisableReason, Endpoint, History, Next, PATIENCE, Verdict, judge};
pub use verify::{TOLERANCE, VerifyError, VerifyingKey, verify};
