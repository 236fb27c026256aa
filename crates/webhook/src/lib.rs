//! Webhooks: what is sent to receivers, how it is signed, whom it may reach, and when it is tried again.
//!
//! - [`render`] writes an event as Standard Webhooks, CloudEvents or nanodep want it; [`sign`] and [`verify`] are both
//!   halves of the signatures of Standard Webhooks 1.0.0.
//! - [`Guard`] says which URLs may be posted to; a [`Sender`] makes one attempt, and connects to nothing that the guard
//!   has not permitted after the name was looked up.
//! - [`judge`] says what follows from an attempt. Like rendering and signing it does no I/O.
//! - [`Pump`] puts them together: it claims what is due from the store, posts it and stores what came of it.

mod format;
mod guard;
mod pattern;
mod pump;
mod sealing;
mod secret;
mod sender;
mod signature;
mod verdict;
mod verify;

pub use format::{FormatError, LARGEST_BODY, Notice, Rendered, render, size};
pub use guard::{AllowNetworks, Guard, Names, NetworkError, Refusal, SystemNames, Target};
pub use pattern::{EventPattern, PatternError};
pub use pump::{Drained, Pump, PumpSettings, PumpTools};
pub use sealing::{OpenError, open_secret, seal_secret};
pub use secret::{Secret, SecretError};
pub use sender::{Failure, Post, Sender, SenderError, SenderOptions, Stage, Tried};
pub use signature::{ID, SIGNATURE, SignError, Signed, TIMESTAMP, sign};
pub use verdict::{DisableReason, Endpoint, History, Ladder, Next, PATIENCE, Verdict, judge};
pub use verify::{TOLERANCE, VerifyError, VerifyingKey, verify};

/// An error with its causes in one line: each cause once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
