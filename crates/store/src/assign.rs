use adelie_model::{AssignState, ProfileUuid, RevisionId, SerialNumber, ServerId, Timestamp};
use async_trait::async_trait;

use crate::page::Record;
use crate::{Lease, Result};

/// Devices of one MDM server that are due for one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueGroup {
    /// The revision they are to have.
    pub revision: RevisionId,
    /// How many there are.
    pub devices: u64,
}

/// A device taken to be assigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The device.
    pub serial: SerialNumber,
    /// Attempts for the wanted profile, this one included.
    pub attempts: u32,
}

/// What became of one device that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The device.
    pub serial: SerialNumber,
    /// Its new state.
    pub state: AssignState,
    /// Why, for people; empty when the state says it all.
    pub reason: String,
    /// When it is worked on next.
    pub next_attempt_at: Option<Timestamp>,
    /// The profile that Apple now shows for it, after a success.
    pub profile_uuid: Option<ProfileUuid>,
}

/// Assignments: deciding anew, claiming, settling. Every write is fenced by the lease.
#[async_trait]
pub trait AssignStore: Send + Sync {
    /// Whether devices of this server wait to be decided anew.
    async fn decisions_pending(&self, server: ServerId) -> Result<bool>;

    /// Decides up to `limit` devices anew after a change of defaults or profiles; `true` when none is left.
    async fn decide_anew(&self, lease: &Lease, now: Timestamp, limit: u32) -> Result<bool>;

    /// The revisions for which devices are due at `now`, most devices first: those in the states `due`,
    /// `throttled` and `failed` whose time has come.
    async fn due_groups(&self, server: ServerId, now: Timestamp) -> Result<Vec<DueGroup>>;

    /// Stores the intent to assign: takes up to `limit` due devices of a revision, makes them `sent`, counts
    /// the attempt, and returns them. If nothing is heard of them by `verify_at`, or once
    /// another epoch holds the lease, they are read back (field lesson L29).
    async fn claim_due(
        &self,
        lease: &Lease,
        revision: RevisionId,
        limit: u32,
        now: Timestamp,
        verify_at: Timestamp,
    ) -> Result<Vec<Claim>>;

    /// Stores what became of devices that were sent for a revision under this lease. Devices that are no longer
    /// `sent` for it (removed meanwhile, or already sent for another revision) are left alone.
    async fn settle(
        &self,
        lease: &Lease,
        revision: RevisionId,
        settlements: &[Settlement],
        now: Timestamp,
    ) -> Result<()>;

    /// Up to `limit` devices that Apple must be asked about before anything is sent: `sent` under another
    /// epoch or past their time (field lesson L29), and `drifted` or `not_accessible` whose time has come.
    async fn to_read_back(&self, lease: &Lease, now: Timestamp, limit: u32) -> Result<Vec<SerialNumber>>;

    /// Gives back devices in `sent`, `drifted` or `not_accessible` of which nothing was learned, because the
    /// request certainly did not leave or the answer did not mention them: they become due again at `at`, and
    /// an attempt that `claim_due` counted is taken back.
    async fn unclaim(
        &self,
        lease: &Lease,
        serials: &[SerialNumber],
        reason: &str,
        at: Timestamp,
    ) -> Result<()>;

    /// Stores what Apple says of single devices when asked (device details): merges it and decides with
    /// the outcome known. `gone` are those that Apple says are not this server's: they become removed.
    async fn commit_details(
        &self,
        lease: &Lease,
        records: &[Record],
        gone: &[SerialNumber],
        now: Timestamp,
    ) -> Result<()>;

    /// When the next assignment of this server is due, if any.
    async fn next_attempt_at(&self, server: ServerId) -> Result<Option<Timestamp>>;
}
