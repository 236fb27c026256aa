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

/// Leases on MDM servers (design, section 3). All times are by the database's clock, so that copies of
/// the service on machines with different clocks agree.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Takes the lease when it is free, expired, or already held by `owner`; a new holder gets a new epoch.
    async fn acquire_lease(&self, server: ServerId, owner: &str, ttl: Duration) -> Result<LeaseAnswer>;

    /// Extends a lease that is still ours, by `ttl` from now.
    ///
    /// # Errors
    /// `LeaseLost` when another epoch stands there.
    async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<()>;

    /// Gives the lease back at once. No error when it was lost already.
    async fn release_lease(&self, lease: &Lease) -> Result<()>;
}
