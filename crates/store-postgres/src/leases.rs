//! Leases, by the database's clock.

use std::time::Duration;

use adelie_model::{ServerId, Timestamp, to_millis};
use adelie_store::{Lease, LeaseAnswer, LeaseStore, Result, StoreError};
use async_trait::async_trait;
use sqlx::PgPool;

use crate::PostgresStore;
use crate::failure::{Attempt, run};

#[async_trait]
impl LeaseStore for PostgresStore {
    async fn acquire_lease(&self, server: ServerId, owner: &str, ttl: Duration) -> Result<LeaseAnswer> {
        run("take a lease", move || acquire(&self.pool, server, owner, ttl)).await
    }

    async fn renew_lease(&self, lease: &Lease, ttl: Duration) -> Result<()> {
        run("renew a lease", move || renew(&self.pool, lease, ttl)).await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<()> {
        run("release a lease", move || release(&self.pool, lease)).await
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
    // A statement of its own, so that the clock is read after the wait.
    let epoch: Option<i64> = sqlx::query_scalar(
        "-- acquire_lease
         UPDATE mdm_servers SET lease_owner = $2, lease_epoch = lease_epoch + 1,
             lease_expires_at = clock_timestamp() + make_interval(secs => $3)
         WHERE id = $1 AND (lease_owner IS NULL OR lease_owner = $2 OR lease_expires_at <= clock_timestamp())
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

async fn release(pool: &PgPool, lease: &Lease) -> Attempt<()> {
    sqlx::query(
        "-- release_lease
         UPDATE mdm_servers SET lease_owner = NULL, lease_expires_at = NULL
         WHERE id = $1 AND lease_epoch = $2 AND lease_owner = $3",
    )
    .bind(lease.server.0)
    .bind(lease.epoch)
    .bind(&lease.owner)
    .execute(pool)
    .await?;
    Ok(())
}
