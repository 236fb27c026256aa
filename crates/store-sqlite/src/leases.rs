//! Leases on MDM servers, by SQLite's clock.

use std::time::Duration;

use adelie_model::ServerId;
use adelie_store::{Lease, LeaseAnswer, LeaseStore, Result, StoreError, moment};
use async_trait::async_trait;

use crate::SqliteStore;
use crate::failure::run;

#[async_trait]
impl LeaseStore for SqliteStore {
    async fn acquire_lease(&self, server: ServerId, owner: &str, ttl: Duration) -> Result<LeaseAnswer> {
        run("take the lease of an MDM server", async {
            let mut transaction = self.write().await?;
            let epoch: Option<i64> = sqlx::query_scalar(
                "-- acquire_lease
                 UPDATE mdm_servers SET lease_owner = ?2, lease_epoch = lease_epoch + 1,
                     lease_expires_at = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?3
                 WHERE id = ?1 AND (lease_owner IS NULL OR lease_owner = ?2
                     OR lease_expires_at <= CAST(unixepoch('subsec') * 1000 AS INTEGER))
                 RETURNING lease_epoch",
            )
            .bind(server.0)
            .bind(owner)
            .bind(whole_millis(ttl))
            .fetch_optional(&mut *transaction)
            .await?;
            if let Some(epoch) = epoch {
                transaction.commit().await?;
                return Ok(LeaseAnswer::Ours(Lease { server, owner: owner.to_owned(), epoch }));
            }
            let held: Option<(String, i64)> = sqlx::query_as(
                "-- lease_holder
                 SELECT lease_owner, lease_expires_at FROM mdm_servers WHERE id = ?1",
            )
            .bind(server.0)
            .fetch_optional(&mut *transaction)
            .await?;
            let (owner, until) = held.ok_or_else(|| StoreError::no_server(server))?;
            Ok(LeaseAnswer::Held { owner, until: moment("mdm_servers.lease_expires_at", until)? })
        })
        .await
    }

    async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<()> {
        run("renew the lease of an MDM server", async {
            let mut transaction = self.write().await?;
            let done = sqlx::query(
                "-- renew_lease
                 UPDATE mdm_servers SET lease_expires_at = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ?4
                 WHERE id = ?1 AND lease_epoch = ?2 AND lease_owner = ?3",
            )
            .bind(lease.server.0)
            .bind(lease.epoch)
            .bind(&lease.owner)
            .bind(whole_millis(ttl))
            .execute(&mut *transaction)
            .await?;
            if done.rows_affected() == 0 {
                return Err(StoreError::LeaseLost(lease.server).into());
            }
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<()> {
        run("give back the lease of an MDM server", async {
            let mut transaction = self.write().await?;
            sqlx::query(
                "-- release_lease
                 UPDATE mdm_servers SET lease_owner = NULL, lease_expires_at = NULL
                 WHERE id = ?1 AND lease_epoch = ?2 AND lease_owner = ?3",
            )
            .bind(lease.server.0)
            .bind(lease.epoch)
            .bind(&lease.owner)
            .execute(&mut *transaction)
            .await?;
            Ok(transaction.commit().await?)
        })
        .await
    }
}

fn whole_millis(ttl: Duration) -> i64 {
    // Far enough in the future to mean the same, and far from where the sum would overflow.
    const LONGEST: i64 = i64::MAX / 4;
    i64::try_from(ttl.as_millis()).map_or(LONGEST, |millis| millis.min(LONGEST))
}
