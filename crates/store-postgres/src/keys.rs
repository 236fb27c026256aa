//! Data keys, and sealed values wherever they stand. Names of tables and columns come from the list of sealed columns.

use std::collections::BTreeMap;

use adelie_model::{Timestamp, halt, to_millis};
use adelie_store::audit::keys_changed;
use adelie_store::seal::{Column, StoredDataKey};
use adelie_store::{KeyStore, Operator, Resealed, Result, Sealed, StoreError};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use uuid::Uuid;

use crate::failure::{Attempt, run};
use crate::rows::millis;
use crate::{PostgresStore, audit};

#[async_trait]
impl KeyStore for PostgresStore {
    async fn data_keys(&self) -> Result<Vec<StoredDataKey>> {
        run("read the data keys", || async { data_keys(&mut *self.pool.acquire().await?).await }).await
    }

    async fn change_data_keys(
        &self,
        before: &[StoredDataKey],
        after: &[StoredDataKey],
        by: Option<&Operator>,
    ) -> Result<bool> {
        run("change the data keys", || change_data_keys(&self.pool, before, after, by)).await
    }

    async fn sealed_otherwise(
        &self,
        column: Column,
        version: u32,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<(Uuid, Sealed)>> {
        run("find what is sealed under an older data key", || async move {
            let Column { table, column, row } = column;
            let found: Vec<(Uuid, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(format!(
                "-- sealed_otherwise
                 SELECT DISTINCT {row}, {column} FROM {table}
                 WHERE {column} IS NOT NULL AND substring({column} FOR {head}) <> $1 AND ($2 IS NULL OR {row} > $2)
                 ORDER BY {row} LIMIT $3",
                head = Sealed::HEAD
            )))
            .bind(Sealed::head(version).to_vec())
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
            Ok(found.into_iter().map(|(row, sealed)| (row, Sealed(sealed))).collect())
        })
        .await
    }

    async fn reseal(&self, column: Column, values: &[Resealed]) -> Result<u64> {
        let rows: Vec<Uuid> = values.iter().map(|value| value.row).collect();
        let before: Vec<&[u8]> = values.iter().map(|value| value.before.0.as_slice()).collect();
        let after: Vec<&[u8]> = values.iter().map(|value| value.after.0.as_slice()).collect();
        let Column { table, column, row } = column;
        let (rows, before, after) = (&rows, &before, &after);
        run("seal secrets anew", || async move {
            let mut transaction = self.pool.begin().await?;
            let done = sqlx::query(AssertSqlSafe(format!(
                "-- reseal
                 UPDATE {table} t SET {column} = n.sealed
                 FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS n (row, was, sealed)
                 WHERE t.{row} = n.row AND t.{column} = n.was"
            )))
            .bind(rows)
            .bind(before)
            .bind(after)
            .execute(&mut *transaction)
            .await?;
            halt::point("key.before_commit");
            transaction.commit().await?;
            Ok(done.rows_affected())
        })
        .await
    }

    async fn seal_counts(&self, column: Column) -> Result<BTreeMap<u32, u64>> {
        run("count what is sealed", || async move {
            let Column { table, column, row } = column;
            let found: Vec<(Vec<u8>, i64)> = sqlx::query_as(AssertSqlSafe(format!(
                "-- seal_counts
                 SELECT substring({column} FOR CASE substring({column} FOR 1) WHEN $1 THEN {head} ELSE 1 END),
                     count(DISTINCT {row})
                 FROM {table} WHERE {column} IS NOT NULL GROUP BY 1",
                head = Sealed::HEAD
            )))
            .bind([Sealed::FORMAT].to_vec())
            .fetch_all(&self.pool)
            .await?;
            let mut counts = BTreeMap::new();
            for (head, count) in found {
                *counts.entry(Sealed::version_in(&head).unwrap_or(0)).or_default() += count.unsigned_abs();
            }
            Ok(counts)
        })
        .await
    }
}

async fn change_data_keys(
    pool: &PgPool,
    before: &[StoredDataKey],
    after: &[StoredDataKey],
    by: Option<&Operator>,
) -> Attempt<bool> {
    let mut transaction = pool.begin().await?;
    // An empty table has no row to lock. Who reads is not held up.
    sqlx::query("-- lock_data_keys\nLOCK TABLE data_keys IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await?;
    if data_keys(&mut transaction).await? != before {
        return Ok(false);
    }
    sqlx::query("-- clear_data_keys\nDELETE FROM data_keys").execute(&mut *transaction).await?;
    for key in after {
        add_data_key(&mut transaction, key).await?;
    }
    if let Some(by) = by {
        audit::write(&mut transaction, by, &keys_changed(before, after)).await?;
    }
    halt::point("key.before_change");
    transaction.commit().await?;
    Ok(true)
}

pub(crate) async fn data_keys(connection: &mut PgConnection) -> Attempt<Vec<StoredDataKey>> {
    type DataKeyRow = (i64, Vec<u8>, Timestamp, Option<Timestamp>, Option<Timestamp>);
    let found: Vec<DataKeyRow> = sqlx::query_as(
        "-- data_keys
         SELECT version, sealed, created_at, completed_at, retired_at FROM data_keys ORDER BY version",
    )
    .fetch_all(connection)
    .await?;
    found
        .into_iter()
        .map(|(version, sealed, created_at, completed_at, retired_at)| {
            let version =
                u32::try_from(version).map_err(|_| StoreError::damaged("data_keys.version", version))?;
            Ok(StoredDataKey { version, sealed, created_at, completed_at, retired_at })
        })
        .collect()
}

async fn add_data_key(connection: &mut PgConnection, key: &StoredDataKey) -> Attempt<()> {
    sqlx::query(
        "-- add_data_key
         INSERT INTO data_keys (version, sealed, created_at, completed_at, retired_at)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(i64::from(key.version))
    .bind(&key.sealed)
    .bind(to_millis(key.created_at))
    .bind(millis(key.completed_at))
    .bind(millis(key.retired_at))
    .execute(connection)
    .await?;
    Ok(())
}
