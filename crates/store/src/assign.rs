use adelie_model::{AssignState, ProfileUuid, RevisionId, SerialNumber, ServerId, Timestamp};
use async_trait::async_trait;

use crate::page::{Action, Operated, Record};
use crate::{Lease, Operator, Result};

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
    /// Whether it is sent because it has drifted; see [`has_drifted`](crate::page::has_drifted).
    pub drifted: bool,
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
    /// Whether it was sent because it had drifted, as its [`Claim`] says.
    pub drifted: bool,
}

/// What Apple said of single devices when asked (device details).
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// The devices that it showed.
    pub records: Vec<Record>,
    /// Those of which it said that they are not this MDM server's.
    pub gone: Vec<SerialNumber>,
    /// Whether a device of which nothing is stored, or only that it had left, is added (field lesson L7). An operator
    /// who asks wants that; a read-back that comes late must not bring back what a listing has removed.
    pub add: bool,
}

/// Devices of one MDM server that are in the same trouble for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The MDM server.
    pub server: ServerId,
    /// Their state, as people see it: devices of a refused profile are held.
    pub state: AssignState,
    /// Why.
    pub reason: String,
    /// How many there are.
    pub devices: u64,
    /// When the first of them is worked on next.
    pub next_attempt_at: Option<Timestamp>,
    /// One of them.
    pub example: SerialNumber,
}

/// Assignments: deciding anew, claiming, settling. Every write is fenced by the lease.
#[async_trait]
pub trait AssignStore: Send + Sync {
    /// Whether devices of this server wait to be decided anew.
    async fn decisions_pending(&self, server: ServerId) -> Result<bool>;

    /// Decides up to `limit` devices anew after a change of defaults or profiles; `true` when none is left.
    async fn decide_anew(&self, lease: &Lease, now: Timestamp, limit: u32) -> Result<bool>;

    /// The revisions for which devices are `due` at `now`, most devices first.
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

    /// Stores what became of devices that were sent for a revision under this lease, with the events of
    /// [`event::settled`](crate::event::settled). Devices that are no longer `sent` for it (removed meanwhile, or
    /// already sent for another revision) are left alone; those that an operator holds become `held`. Those that
    /// are to be asked about first ([`ASKED_FIRST`](crate::page::ASKED_FIRST)), because another profile is wanted since,
    /// remember how long Apple throttles them; else they are read back at once.
    async fn settle(
        &self,
        lease: &Lease,
        revision: RevisionId,
        settlements: &[Settlement],
        now: Timestamp,
    ) -> Result<()>;

    /// Up to `limit` devices that Apple must be asked about before anything is sent, longest waiting first: `sent` under
    /// another epoch or past their time (field lesson L29), and `throttled`, `failed`, `drifted` or `not_accessible`
    /// whose time has come. Nothing is sent a second time before Apple has been asked what it shows (field lesson L24).
    async fn to_read_back(&self, lease: &Lease, now: Timestamp, limit: u32) -> Result<Vec<SerialNumber>>;

    /// Stores that Apple was asked about devices and has said nothing of them. Of those that
    /// [`to_read_back`](Self::to_read_back) names at `now`, what was sent becomes due at `again_at`: better sent
    /// needlessly than never. What is `drifted` or `not_accessible` keeps its state and is asked about again then. Nothing
    /// is changed of the others.
    async fn not_told(
        &self,
        lease: &Lease,
        serials: &[SerialNumber],
        reason: &str,
        now: Timestamp,
        again_at: Timestamp,
    ) -> Result<()>;

    /// Gives back devices in `sent` whose request certainly did not leave: they become due again at `at`, and the
    /// attempt that was counted is taken back.
    async fn unclaim(
        &self,
        lease: &Lease,
        serials: &[SerialNumber],
        reason: &str,
        at: Timestamp,
    ) -> Result<()>;

    /// Stores what Apple says of single devices when asked: merges it and decides with the outcome known. Those that
    /// are gone become removed.
    async fn commit_details(&self, lease: &Lease, details: &Details, now: Timestamp) -> Result<()>;

    /// When the next assignment of this server is due, if any.
    async fn next_attempt_at(&self, server: ServerId) -> Result<Option<Timestamp>>;

    /// What is not as it should be, of one MDM server or of all, most devices first: devices that are held, throttled,
    /// failed, not accessible, drifted, or due for a profile that Apple refuses, grouped by state and reason. Up to
    /// `limit` groups.
    async fn troubles(&self, server: Option<ServerId>, limit: u32) -> Result<Vec<Trouble>>;

    /// Does to devices of one MDM server what an operator asks for, by [`page::operate`](crate::page::operate), and
    /// makes the work on the server due at once. Not fenced: it takes its turn with whoever holds the lease.
    /// One answer per serial number, in their order.
    async fn operate(
        &self,
        server: ServerId,
        serials: &[SerialNumber],
        action: &Action,
        by: &Operator,
    ) -> Result<Vec<Operated>>;

    /// Makes profiles that Apple has refused due to be tried again at once. Returns how many there were.
    async fn retry_profiles(&self, server: ServerId, by: &Operator) -> Result<u64>;
}
