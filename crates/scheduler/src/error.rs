use adelie_model::{ServerId, ServerName, Timestamp};
use adelie_store::{SealError, StoreError};

/// Why an MDM server was not worked on to the end. What was done before stays done.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// Another copy of Adelie works on it.
    #[error(
        "another copy of Adelie ({owner}) is working on MDM server {server} until {until} at the latest: try again then"
    )]
    Busy {
        /// The MDM server.
        server: ServerName,
        /// Who holds the lease.
        owner: String,
        /// When it runs out unless renewed.
        until: Timestamp,
    },
    /// Apple has asked to be left alone; nothing was sent. No operator's wish overrides that.
    #[error("MDM server {server}: Apple has asked to be left alone until {until}; nothing was sent")]
    Asked {
        /// The MDM server.
        server: ServerName,
        /// Until when.
        until: Timestamp,
    },
    /// It has no token.
    #[error(
        "MDM server {0} has no server token: run `adelie token key {0}`, upload the certificate, then `adelie token import {0} FILE.p7m`"
    )]
    NoToken(ServerName),
    /// The token's row does not open.
    #[error("the server token of MDM server {0} cannot be opened")]
    Sealed(ServerName, #[source] SealError),
    /// The base URL or the client's settings are of no use.
    #[error("no connection can be made for MDM server {0}")]
    Client(ServerName, #[source] adelie_dep::Error),
    /// Apple did not do what was asked.
    #[error("MDM server {0}: Apple did not {1}")]
    Apple(ServerName, &'static str, #[source] adelie_dep::Error),
    /// Nothing moved for as long as the deadline allows.
    #[error(
        "MDM server {0}: the sync made no progress for {1} minutes and was ended; it goes on from its last page"
    )]
    Stalled(ServerName, u64),
    /// Apple answers with the cursor it was sent (field lesson L2).
    #[error(
        "MDM server {0}: Apple answered with the cursor that it was sent; the sync stopped and goes on at the next cycle"
    )]
    Stuck(ServerName),
    /// Apple does not know a cursor that it has just given (field lesson L3).
    #[error(
        "MDM server {0}: Apple refused every cursor, also those of a listing that had just begun; the sync stopped and is tried again"
    )]
    CursorLost(ServerName),
    /// A panic; what was done before it stays done.
    #[error("the work on MDM server {0} ended by a defect of Adelie; it is tried again by itself")]
    Defect(ServerId),
    /// The process is ending.
    #[error("MDM server {0}: the work was interrupted; it goes on from where it stopped")]
    Interrupted(ServerName),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl WorkError {
    /// The moment before which Apple asks to be left alone, if it said so.
    #[must_use]
    pub fn not_before(&self) -> Option<Timestamp> {
        match self {
            Self::Apple(_, _, error) => error.wait_until(),
            _ => None,
        }
    }
}

/// An error with its causes in one line, as it is stored and shown: each cause once.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
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
