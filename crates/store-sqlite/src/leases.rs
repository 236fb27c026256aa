//! Leases on MDM servers, by the clock that was passed in: a file has no clock but its machine's.

use std::time::Duration;

use adelie_model::{ServerId, Timestamp};
use adelie_store::{Lease, LeaseAnswer, LeaseStore, Result, StoreError, WorkEnd, moment};
use async_trait::async_trait;

use crate::failure::run;
use crate::{SqliteStore, rows, work};

#[async_trait]
impl LeaseStore for SqliteStore {
    async fn acquire_lease(&self, server: ServerId, owner: &str, ttl: Duration) -> Result<LeaseAnswer> {
        run("take the lease of an MDM server", async {
            let mut transaction = self.write().await?;
            let epoch: Option<i64> = sqlx::query_scalar(
                "-- acquire_lease
                 UPDATE mdm_servers SET lease_owner = ?2, lease_epoch = lease_epoch + 1,
                     lease_expires_at = ?4 + ?3, work_at = 0
                 WHERE id = ?1 AND (lease_owner IS NULL OR lease_expires_at <= ?4)
                 RETURNING lease_epoch",
            )
            .bind(server.0)
            .bind(owner)
            .bind(whole_millis(ttl))
            .bind(self.clock.now().timestamp_millis())
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

    async fn claim_due_servers(
        &self,
        owner: &str,
        ttl: Duration,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Lease>> {
        run("take the leases of MDM servers with work", async {
            if !work::any_due(&mut *self.read().await?, now, self.clock.now()).await? {
                return Ok(Vec::new());
            }
            let mut transaction = self.write().await?;
            // Read anew, because the turn of this transaction may have been long in coming.
            let clock = self.clock.now();
            let claimed = work::claim(&mut transaction, owner, ttl, now, clock, limit).await?;
            transaction.commit().await?;
            Ok(claimed)
        })
        .await
    }

    async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<()> {
        run("renew the lease of an MDM server", async {
            let mut transaction = self.write().await?;
            let done = sqlx::query(
                "-- renew_lease
                 UPDATE mdm_servers SET lease_expires_at = ?5 + ?4
                 WHERE id = ?1 AND lease_epoch = ?2 AND lease_owner = ?3",
            )
            .bind(lease.server.0)
            .bind(lease.epoch)
            .bind(&lease.owner)
            .bind(whole_millis(ttl))
            .bind(self.clock.now().timestamp_millis())
            .execute(&mut *transaction)
            .await?;
            if done.rows_affected() == 0 {
                return Err(StoreError::LeaseLost(lease.server).into());
            }
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn release_lease(&self, lease: &Lease, end: &WorkEnd) -> Result<()> {
        run("give back the lease of an MDM server", async {
            let mut transaction = self.write().await?;
            let next_attempt = work::next_attempt(&mut transaction, lease.server).await?;
            sqlx::query(
                "-- release_lease
                 UPDATE mdm_servers SET lease_owner = NULL, lease_expires_at = NULL,
                     setbacks = CASE WHEN ?4 IS NULL THEN 0 ELSE setbacks + 1 END,
                     work_at = max(coalesce(?4, 0), coalesce(wait_until, 0), coalesce(token_check_at, 0),
                         min(coalesce(next_sync_at, ?5),
                             CASE WHEN decide_after IS NULL THEN ?7 ELSE ?5 END, coalesce(?6, ?7)))
                 WHERE id = ?1 AND lease_epoch = ?2 AND lease_owner = ?3",
            )
            .bind(lease.server.0)
            .bind(lease.epoch)
            .bind(&lease.owner)
            .bind(rows::millis(end.not_before))
            .bind(end.now.timestamp_millis())
            .bind(rows::millis(next_attempt))
            .bind(i64::MAX)
            .execute(&mut *transaction)
            .await?;
            Ok(transaction.commit().await?)
        })
        .await
    }
}

/// How long a lease lasts.
pub(crate) fn whole_millis(ttl: Duration) -> i64 {
    // Far enough in the future to mean the same, and far from where the sum would overflow.
    const LONGEST: i64 = i64::MAX / 4;
    i64::try_from(ttl.as_millis()).map_or(LONGEST, |millis| millis.min(LONGEST))
}
