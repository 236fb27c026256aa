//! Exit codes and error messages: the contract with scripts.

use std::io::Write;
use std::process::ExitCode;

/// How a command ended. `docs/operations.md` documents the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Everything asked for is done.
    Done = 0,
    /// Something needs attention, or failed.
    Attention = 1,
    /// The input is wrong; nothing was changed.
    Usage = 2,
    /// Not allowed yet by the sync policy.
    TooEarly = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Wrong input: what, where, and how to mend it. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Wrong {
    message: String,
    hint: Option<String>,
}

impl Wrong {
    /// The way out.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

/// Wrong input with a way out.
pub fn wrong(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Wrong { message: message.into(), hint: Some(hint.into()) }.into()
}

/// Marks an error as wrong input, because its message says it all.
pub fn as_wrong(error: &(dyn std::error::Error + 'static)) -> anyhow::Error {
    Wrong { message: adelie_scheduler::chain(error), hint: None }.into()
}

/// Prints an error and gives the exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(is_broken_pipe) {
        // The reader has seen enough, like `head`.
        return Exit::Done.into();
    }
    complain(error);
    if error.downcast_ref::<Wrong>().is_some() || error.chain().any(is_another_database) {
        Exit::Usage.into()
    } else {
        Exit::Attention.into()
    }
}

/// Prints an error with its causes, once each, and the hint.
pub fn complain(error: &anyhow::Error) {
    let wrong = error.downcast_ref::<Wrong>();
    let mut text = String::new();
    for (level, cause) in error.chain().enumerate() {
        let line = cause.to_string();
        // A cause that only repeats the line above says nothing new.
        if level > 0 && text.contains(&line) {
            continue;
        }
        text.push_str(if level == 0 { "error: " } else { "  caused by: " });
        text.push_str(&line);
        text.push('\n');
    }
    if let Some(hint) = wrong.and_then(Wrong::hint).or_else(|| dep_remedy(error)) {
        text.push_str("\nhint: ");
        text.push_str(hint);
        text.push('\n');
    }
    // Nobody is left to tell when stderr is closed.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// The remedy of an error of Apple's, wherever it is in the chain.
fn dep_remedy(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| cause.downcast_ref::<adelie_dep::Error>()).map(adelie_dep::Error::remedy)
}

/// Whether the database that was named is of no use, so that trying again does not help. A database server that
/// does not answer may come back by itself.
fn is_another_database(cause: &(dyn std::error::Error + 'static)) -> bool {
    use adelie_store::StoreError::{Open, SchemaForeign, SchemaTooNew};
    match cause.downcast_ref::<adelie_store::StoreError>() {
        Some(Open { source, .. }) => !is_unreachable(&**source),
        Some(SchemaForeign(_) | SchemaTooNew { .. }) => true,
        _ => false,
    }
}

fn is_unreachable(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable,
        NotConnected, TimedOut, UnexpectedEof,
    };
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    let lost = kind.is_some_and(|kind| {
        matches!(
            kind,
            ConnectionAborted
                | ConnectionRefused
                | ConnectionReset
                | HostUnreachable
                | NetworkUnreachable
                | NotConnected
                | TimedOut
                | UnexpectedEof
        )
    });
    lost || error.source().is_some_and(is_unreachable)
}

fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
