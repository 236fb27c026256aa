//! Leases, by the database's clock.

use std::time::Duration;

use adelie_model::{ServerId, Timestamp, to_millis};
use adelie_store::{Lease, LeaseAnswer, LeaseStore, Result, StoreError, WorkEnd};
use async_trait::async_trait;
use sqlx::PgPool;

use crate::failure::{Attempt, run};
use crate::rows::millis;
use crate::{PostgresStore, work};

#[async_trait]
impl LeaseStore for PostgresStore {
    async fn acquire_lease(&self, server: ServerId, owner: &str, ttl: Duration) -> Result<LeaseAnswer> {
        run("take a lease", move || acquire(&self.pool, server, owner, ttl)).await
    }

    async fn claim_due_servers(
        &self,
        owner: &str,
        ttl: Duration,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Lease>> {
        run("claim MDM servers with work", move || claim_due(&self.pool, owner, ttl, now, limit)).await
    }

    async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<()> {
        run("renew a lease", move || renew(&self.pool, lease, ttl)).await
    }

    async fn release_lease(&self, lease: &Lease, end: &WorkEnd) -> Result<()> {
        run("release a lease", move || release(&self.pool, lease, end)).await
    }
}

async fn acquire(pool: &PgPool, server: ServerId, owner: &str, ttl: Duration) -> Attempt<LeaseAnswer> {
    let mut transaction = pool.begin().await?;
    // Waits for every transaction that has passed the fence under the present lease.
    let holder: Option<(Option<String>, Option<Timestamp>)> = sqlx::query_as(
        "-- lock_lease
         SELECT lease_owner, lease_expires_at FROM mdm_servers WHERE id = $1 FOR UPDATE",
    )
    .bind(server.0)
    .fetch_optional(&mut *transaction)
    .await?;
    let (holder, until) = holder.ok_or_else(|| StoreError::no_server(server))?;
    // A statement of its own, so that the clock is read after the wait. Should this holder die, the next one is not
    // to wait until the server's work would have been due.
    let epoch: Option<i64> = sqlx::query_scalar(
        "-- acquire_lease
         UPDATE mdm_servers SET lease_owner = $2, lease_epoch = lease_epoch + 1,
             lease_expires_at = clock_timestamp() + make_interval(secs => $3), work_at = 'epoch'
         WHERE id = $1 AND (lease_owner IS NULL OR lease_expires_at <= clock_timestamp())
         RETURNING lease_epoch",
    )
    .bind(server.0)
    .bind(owner)
    .bind(ttl.as_secs_f64())
    .fetch_optional(&mut *transaction)
    .await?;
    transaction.commit().await?;
    match (epoch, holder, until) {
        (Some(epoch), ..) => Ok(LeaseAnswer::Ours(Lease { server, owner: owner.to_owned(), epoch })),
        (None, Some(owner), Some(until)) => Ok(LeaseAnswer::Held { owner, until: to_millis(until) }),
        _ => Err(StoreError::no_server(server).into()),
    }
}

/// Asked every second by every copy: nothing is read but the beginning of the index of servers by their next work.
async fn claim_due(
    pool: &PgPool,
    owner: &str,
    ttl: Duration,
    now: Timestamp,
    limit: u32,
) -> Attempt<Vec<Lease>> {
    // A lease is looked at again once its row is locked, so that what another copy has just taken is left to it. The
    // token is looked up row by row, whatever PostgreSQL believes of their number.
    let mut claimed: Vec<(Timestamp, i64, i64)> = sqlx::query_as(
        "-- claim_due_servers
         WITH due AS MATERIALIZED (
             SELECT s.id, s.work_at FROM mdm_servers s
             WHERE NOT s.paused AND s.work_at <= $1 AND (s.wait_until IS NULL OR s.wait_until <= $1)
                 AND (s.lease_owner IS NULL OR s.lease_expires_at <= clock_timestamp())
                 AND (SELECT true FROM server_tokens t WHERE t.server_id = s.id AND t.is_current)
             ORDER BY s.work_at, s.id LIMIT $2 FOR UPDATE OF s SKIP LOCKED
         )
         UPDATE mdm_servers s SET lease_owner = $3, lease_epoch = s.lease_epoch + 1,
             lease_expires_at = clock_timestamp() + make_interval(secs => $4)
         FROM due WHERE s.id = due.id RETURNING due.work_at, s.id, s.lease_epoch",
    )
    .bind(to_millis(now))
    .bind(i64::from(limit))
    .bind(owner)
    .bind(ttl.as_secs_f64())
    .fetch_all(pool)
    .await?;
    claimed.sort_unstable();
    let leases = claimed.into_iter().map(|(_, server, epoch)| Lease {
        server: ServerId(server),
        owner: owner.to_owned(),
        epoch,
    });
    Ok(leases.collect())
}

async fn renew(pool: &PgPool, lease: &Lease, ttl: Duration) -> Attempt<()> {
    let renewed = sqlx::query(
        "-- renew_lease
         UPDATE mdm_servers SET lease_expires_at = clock_timestamp() + make_interval(secs => $4)
         WHERE id = $1 AND lease_epoch = $2 AND lease_owner = $3",
    )
    .bind(lease.server.0)
    .bind(lease.epoch)
    .bind(&lease.owner)
    .bind(ttl.as_secs_f64())
    .execute(pool)
    .await?;
    if renewed.rows_affected() == 0 {
        return Err(StoreError::LeaseLost(lease.server).into());
    }
    Ok(())
}

async fn release(pool: &PgPool, lease: &Lease, end: &WorkEnd) -> Attempt<()> {
    let mut transaction = pool.begin().await?;
    // Waits for whoever makes something due for this server; the statements after it see what they have stored.
    let ours: Option<i64> = sqlx::query_scalar(
        "-- lock_held_lease
         SELECT id FROM mdm_servers WHERE id = $1 AND lease_epoch = $2 AND lease_owner = $3 FOR UPDATE",
    )
    .bind(lease.server.0)
    .bind(lease.epoch)
    .bind(&lease.owner)
    .fetch_optional(&mut *transaction)
    .await?;
    if ours.is_none() {
        return Ok(());
    }
    let next_attempt_at = work::next_attempt_at(&mut *transaction, lease.server).await?;
    // LEAST and GREATEST leave out what is NULL.
    sqlx::query(
        "-- release_lease
         UPDATE mdm_servers SET lease_owner = NULL, lease_expires_at = NULL,
             setbacks = CASE WHEN $3::timestamptz IS NULL THEN 0 ELSE setbacks + 1 END,
             work_at = GREATEST($3, wait_until, token_check_at, LEAST(COALESCE(next_sync_at, $2),
                 CASE WHEN decide_after IS NOT NULL THEN $2 END, $4))
         WHERE id = $1",
    )
    .bind(lease.server.0)
    .bind(to_millis(end.now))
    .bind(millis(end.not_before))
    .bind(next_attempt_at)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}
