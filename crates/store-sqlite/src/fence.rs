//! The lease check in front of every fenced write. The write transaction that it runs in keeps everybody else
//! out until it ends, so that nothing is written under an old epoch.

use adelie_store::{Lease, StoreError};
use sqlx::SqliteConnection;

use crate::failure::Attempt;

/// What stands on the MDM server's row, for those who pass.
#[derive(sqlx::FromRow)]
pub(crate) struct Fenced {
    pub(crate) first_import: bool,
    pub(crate) full_generation: Option<i64>,
    pub(crate) decide_after: Option<String>,
}

/// Lets the holder of the lease pass.
pub(crate) async fn pass(transaction: &mut SqliteConnection, lease: &Lease) -> Attempt<Fenced> {
    let passed: Option<Fenced> = sqlx::query_as(
        "-- fence
         SELECT last_full_at IS NULL AS first_import, full_generation, decide_after
         FROM mdm_servers WHERE id = ?1 AND lease_epoch = ?2 AND lease_owner = ?3",
    )
    .bind(lease.server.0)
    .bind(lease.epoch)
    .bind(&lease.owner)
    .fetch_optional(transaction)
    .await?;
    passed.ok_or_else(|| StoreError::LeaseLost(lease.server).into())
}
