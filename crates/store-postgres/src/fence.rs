//! The lease check in front of every fenced write.
//!
//! A new holder locks the MDM server's row `FOR UPDATE`. That waits for every transaction that has passed
//! its fence, and makes those behind it see the new epoch; so nothing is written under an old one.

use adelie_model::ServerId;
use adelie_store::{Lease, StoreError};
use sqlx::PgConnection;

use crate::failure::Attempt;

/// Passes transactions that touch devices already sent or to be sent. They may run at once, also beside one
/// of [`alone`].
pub(crate) async fn shared(transaction: &mut PgConnection, lease: &Lease) -> Attempt<()> {
    let passed: Option<i64> = sqlx::query_scalar(
        "-- fence_shared
         SELECT id FROM mdm_servers WHERE id = $1 AND lease_epoch = $2 AND lease_owner = $3 FOR KEY SHARE",
    )
    .bind(lease.server.0)
    .bind(lease.epoch)
    .bind(&lease.owner)
    .fetch_optional(transaction)
    .await?;
    passed.map(|_| ()).ok_or_else(|| StoreError::LeaseLost(lease.server).into())
}

/// What [`alone`] reads on its way.
#[derive(sqlx::FromRow)]
pub(crate) struct Fenced {
    pub(crate) first_import: bool,
    pub(crate) full_generation: Option<i64>,
    pub(crate) decide_after: Option<String>,
    /// Whether an endpoint wants to be told of pages.
    pub(crate) pages_wanted: bool,
}

/// Passes transactions that decide about devices or move the sync on: one at a time per MDM server, so that
/// they see each other's devices, and in turn with changes of the defaults that they decide by.
pub(crate) async fn alone(transaction: &mut PgConnection, lease: &Lease) -> Attempt<Fenced> {
    let passed: Option<Fenced> = sqlx::query_as(
        "-- fence_alone
         SELECT last_full_at IS NULL AS first_import, full_generation, decide_after,
             EXISTS (SELECT 1 FROM webhooks w WHERE w.format = 'nanodep' AND w.state <> 'removed') AS pages_wanted
         FROM mdm_servers WHERE id = $1 AND lease_epoch = $2 AND lease_owner = $3 FOR NO KEY UPDATE",
    )
    .bind(lease.server.0)
    .bind(lease.epoch)
    .bind(&lease.owner)
    .fetch_optional(transaction)
    .await?;
    passed.ok_or_else(|| StoreError::LeaseLost(lease.server).into())
}

/// Takes its turn with [`alone`] without a lease: for what an operator does.
pub(crate) async fn without_lease(transaction: &mut PgConnection, server: ServerId) -> Attempt<()> {
    let found: Option<i64> = sqlx::query_scalar(
        "-- fence_without_lease
         SELECT id FROM mdm_servers WHERE id = $1 FOR NO KEY UPDATE",
    )
    .bind(server.0)
    .fetch_optional(transaction)
    .await?;
    found.map(|_| ()).ok_or_else(|| StoreError::no_server(server).into())
}

/// Makes the next work on an MDM server due at once.
pub(crate) async fn wake(transaction: &mut PgConnection, server: ServerId) -> Attempt<()> {
    sqlx::query("-- wake\nUPDATE mdm_servers SET work_at = 'epoch' WHERE id = $1")
        .bind(server.0)
        .execute(transaction)
        .await?;
    Ok(())
}
