use std::time::Duration;

use adelie_model::{ServerId, Timestamp};
use async_trait::async_trait;

use crate::Result;

/// The right to work on one MDM server, for a while. Its epoch fences: every write that a run makes
/// carries the lease, and a store refuses it once another epoch stands on the server's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The MDM server it is for.
    pub server: ServerId,
    /// Who holds it: a random name per process start.
    pub owner: String,
    /// Grows by one with every new holder.
    pub epoch: i64,
}

/// What came of asking for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// It is ours.
    Ours(Lease),
    /// Somebody else holds it.
    Held {
        /// Who.
        owner: String,
        /// Until when, unless they renew it. By the database's clock.
        until: Timestamp,
    },
}

/// What the holder of a lease says when it gives it back.
#[derive(Clone, Copy, Debug)]
pub struct WorkEnd {
    /// The present moment by the clock that due times are measured with.
    pub now: Timestamp,
    /// The server is left alone until then, whatever else is due: its work has met with trouble that the same work
    /// would meet again.
    pub not_before: Option<Timestamp>,
}

/// Leases on MDM servers (design, section 3). Leases are measured by the database's clock, so that copies of
/// the service on machines with different clocks agree; a file's database has its machine's.
///
/// Every MDM server's row says when there is next something to do for it (`work_at`), so that a service that asks
/// every second touches only what is due. Whoever makes something due sets that moment to "at once"; only
/// [`release_lease`](Self::release_lease) moves it on, to what it then finds stored. So nothing that becomes due
/// while somebody works on the server is forgotten.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Takes the lease when it is free or expired, under a new epoch. It belongs to a piece of work and not to its process:
    /// what `owner` itself holds is held. Taken from it, its first work would go on sending until it next writes.
    async fn acquire_lease(&self, server: ServerId, owner: &str, ttl: Duration) -> Result<LeaseAnswer>;

    /// Takes the leases of up to `limit` MDM servers that have work at `now` and that nobody holds, longest due first:
    /// those that are not paused, have a token and whose `work_at` has come. Copies that ask at the same time get
    /// different servers.
    async fn claim_due_servers(
        &self,
        owner: &str,
        ttl: Duration,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Lease>>;

    /// Extends a lease that is still ours, by `ttl` from now.
    ///
    /// # Errors
    /// `LeaseLost` when another epoch stands there.
    async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<()>;

    /// Gives the lease back at once and stores when there is next something to do: the earliest of the next
    /// scheduled sync, of pending decisions and of [`AssignStore::next_attempt_at`](crate::AssignStore), but not
    /// before Apple may be asked again nor before `end.not_before`. Counts setbacks in a row: one more with
    /// `not_before`, none without. No error when it was lost already; then nothing is changed.
    async fn release_lease(&self, lease: &Lease, end: &WorkEnd) -> Result<()>;
}
