//! Data keys, and sealed values wherever they stand. Names of tables and columns come from the list of sealed columns.

use std::collections::BTreeMap;

use adelie_model::halt;
use adelie_store::audit::keys_changed;
use adelie_store::seal::{Column, StoredDataKey};
use adelie_store::{KeyStore, Operator, Resealed, Result, Sealed, StoreError, moment};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};
use uuid::Uuid;

use crate::failure::{Attempt, run};
use crate::rows::{maybe, millis};
use crate::{SqliteStore, audit};

#[async_trait]
impl KeyStore for SqliteStore {
    async fn data_keys(&self) -> Result<Vec<StoredDataKey>> {
        run("read the data keys", async { data_keys(&mut *self.read().await?).await }).await
    }

    async fn change_data_keys(
        &self,
        before: &[StoredDataKey],
        after: &[StoredDataKey],
        by: Option<&Operator>,
    ) -> Result<bool> {
        run("change the data keys", async {
            let mut transaction = self.write().await?;
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
        })
        .await
    }

    async fn sealed_otherwise(
        &self,
        column: Column,
        version: u32,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<(Uuid, Sealed)>> {
        run("find what is sealed under an older data key", async {
            let Column { table, column, row } = column;
            let found = sqlx::query(AssertSqlSafe(format!(
                "-- sealed_otherwise
                 SELECT DISTINCT {row}, {column} FROM {table}
                 WHERE {column} IS NOT NULL AND substr({column}, 1, {head}) <> ?1 AND (?2 IS NULL OR {row} > ?2)
                 ORDER BY {row} LIMIT ?3",
                head = Sealed::HEAD
            )))
            .bind(Sealed::head(version).to_vec())
            .bind(after)
            .bind(limit)
            .fetch_all(&mut *self.read().await?)
            .await?;
            found.iter().map(|found| Ok((found.try_get(0)?, Sealed(found.try_get(1)?)))).collect()
        })
        .await
    }

    async fn reseal(&self, column: Column, values: &[Resealed]) -> Result<u64> {
        run("seal secrets anew", async {
            let update = update(column);
            let mut transaction = self.write().await?;
            let mut done = 0;
            for value in values {
                let updated = sqlx::query(AssertSqlSafe(update.as_str()))
                    .bind(value.row)
                    .bind(value.before.0.as_slice())
                    .bind(value.after.0.as_slice())
                    .execute(&mut *transaction)
                    .await?;
                done += updated.rows_affected();
            }
            halt::point("key.before_commit");
            transaction.commit().await?;
            Ok(done)
        })
        .await
    }

    async fn seal_counts(&self, column: Column) -> Result<BTreeMap<u32, u64>> {
        run("count what is sealed", async {
            let Column { table, column, row } = column;
            let found: Vec<(Vec<u8>, i64)> = sqlx::query_as(AssertSqlSafe(format!(
                "-- seal_counts
                 SELECT substr({column}, 1, CASE substr({column}, 1, 1) WHEN ?1 THEN {head} ELSE 1 END) AS head,
                     count(DISTINCT {row})
                 FROM {table} WHERE {column} IS NOT NULL GROUP BY head",
                head = Sealed::HEAD
            )))
            .bind([Sealed::FORMAT].to_vec())
            .fetch_all(&mut *self.read().await?)
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

/// The statement that exchanges one value.
fn update(Column { table, column, row }: Column) -> String {
    format!("-- reseal\nUPDATE {table} SET {column} = ?3 WHERE {row} = ?1 AND {column} = ?2")
}

pub(crate) async fn data_keys(connection: &mut SqliteConnection) -> Attempt<Vec<StoredDataKey>> {
    let found = sqlx::query(
        "-- data_keys
         SELECT version, sealed, created_at, completed_at, retired_at FROM data_keys ORDER BY version",
    )
    .fetch_all(connection)
    .await?;
    found
        .iter()
        .map(|row| {
            let version: i64 = row.try_get("version")?;
            Ok(StoredDataKey {
                version: u32::try_from(version)
                    .map_err(|_| StoreError::damaged("data_keys.version", version))?,
                sealed: row.try_get("sealed")?,
                created_at: moment("data_keys.created_at", row.try_get("created_at")?)?,
                completed_at: maybe("data_keys.completed_at", row.try_get("completed_at")?)?,
                retired_at: maybe("data_keys.retired_at", row.try_get("retired_at")?)?,
            })
        })
        .collect()
}

async fn add_data_key(connection: &mut SqliteConnection, key: &StoredDataKey) -> Attempt<()> {
    sqlx::query(
        "-- add_data_key
         INSERT INTO data_keys (version, sealed, created_at, completed_at, retired_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(key.version)
    .bind(key.sealed.as_slice())
    .bind(key.created_at.timestamp_millis())
    .bind(millis(key.completed_at))
    .bind(millis(key.retired_at))
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use adelie_store::seal::SEALED;

    use super::*;
    use crate::plan;

    /// Thousands of secrets are sealed anew one by one, so that none may cost a look at the whole table.
    #[tokio::test]
    async fn a_value_is_looked_up() {
        for column in SEALED {
            let steps = plan::of(update(*column).leak()).await;
            let looked_up = steps.iter().all(|step| step.starts_with("SEARCH"));
            assert!(looked_up && !steps.is_empty(), "{column}: {steps:?}");
        }
    }
}
