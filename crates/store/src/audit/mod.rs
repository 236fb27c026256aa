//! What people have done by hand, as a chain that cannot be changed without its being seen.
//!
//! Whatever changes something for an [`Operator`] writes its entry in the same transaction, so that there is no change
//! without an entry and no entry without a change. Each entry carries a hash over itself and the hash of the one before
//! it ([`chain`]); the number and the hash of the last one stand in a row of their own, the [`AuditHead`]. So an entry
//! that is changed, taken out, put in or moved does not fit any more, and an end that is cut off is missed.
//!
//! What an entry says of before and after is made of [`Facts`], which keep no secret whatever they are given.

mod action;
mod chain;
mod entry;
mod facts;
mod of;
#[cfg(test)]
mod tests;
mod verify;

use adelie_model::Timestamp;
use async_trait::async_trait;
use uuid::Uuid;

pub use self::action::{ActionInfo, AuditAction};
pub use self::chain::{AuditHead, ORIGIN, chain, link};
pub use self::entry::{AuditEntry, AuditObject, KINDS, NewAudit};
pub use self::facts::{Facts, NOT_KEPT, without_secrets};
pub use self::of::{
    backup_made, backup_restored, bulk_begun, bulk_undone, device_operated, device_refreshed, edited,
    keys_changed, profiles_retried, secret, secret_settled, server_added, server_paused, sync_begun,
    token_key_added, token_switched, webhook_added, webhook_changed, webhook_removed, webhook_replayed,
    webhook_tested,
};
pub use self::verify::{AuditBreak, Verifier};
use crate::{Operator, Result};

/// Which entries to read. Everything that is empty or `None` matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// By this person: the whole name.
    pub actor: Option<String>,
    /// Of actions that match one of these patterns, like `server.*`. In a pattern only `*` is special.
    pub actions: Vec<String>,
    /// About objects of this kind.
    pub kind: Option<String>,
    /// About the object with this name.
    pub object: Option<String>,
    /// Not before this moment.
    pub since: Option<Timestamp>,
    /// Of this run of a command, or this request.
    pub request: Option<Uuid>,
}

/// What people have done by hand.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Writes entries about something that changes nothing stored, or not at once, like a question to Apple. Returns the
    /// number of the last one, and 0 when there is none.
    async fn note(&self, entries: &[NewAudit], by: &Operator) -> Result<i64>;

    /// Entries after a number, in their order, up to `limit`.
    async fn audit_after(&self, filter: &AuditFilter, after: i64, limit: u32) -> Result<Vec<AuditEntry>>;

    /// Entries before a number (`None`: the latest), newest first, up to `limit`.
    async fn audit_before(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>>;

    /// The end of the chain, as it is kept beside the entries.
    async fn audit_head(&self) -> Result<AuditHead>;
}
