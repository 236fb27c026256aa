//! What people decide, and how it changes.

mod load;
mod write;

use std::collections::HashMap;

use adelie_model::{RuleId, Timestamp};
use adelie_store::audit::edited;
use adelie_store::configuration::{Change, Changed, Configuration, Needed, Version, edits};
use adelie_store::{ConfigurationStore, Operator, Result, StoreError};
use async_trait::async_trait;
use sqlx::PgPool;
use sqlx::types::Json;

pub(crate) use self::load::{Servers, load};
use crate::failure::{Attempt, run};
use crate::{PostgresStore, audit, rows};

#[async_trait]
impl ConfigurationStore for PostgresStore {
    async fn configuration(&self) -> Result<Configuration> {
        run("read what people have decided", move || all(&self.pool)).await
    }

    async fn configure(
        &self,
        changes: &[Change],
        expected: Option<Version>,
        by: &Operator,
    ) -> Result<Version> {
        run("change what people have decided", move || configure(&self.pool, changes, expected, by)).await
    }

    async fn changes(&self, limit: u32) -> Result<Vec<Changed>> {
        run("list what people have changed", move || list(&self.pool, limit)).await
    }

    async fn rule_hits(&self) -> Result<HashMap<RuleId, u64>> {
        run("count the devices of rules", move || hits(&self.pool)).await
    }
}

async fn all(pool: &PgPool) -> Attempt<Configuration> {
    load(&mut *pool.acquire().await?, Servers::All).await
}

async fn configure(
    pool: &PgPool,
    changes: &[Change],
    expected: Option<Version>,
    by: &Operator,
) -> Attempt<Version> {
    let mut transaction = pool.begin().await?;
    // One change after the other. A statement of its own, so that the next one sees what the one before has made.
    sqlx::query("-- lock_configuration\nSELECT version FROM configuration WHERE id = 1 FOR NO KEY UPDATE")
        .execute(&mut *transaction)
        .await?;
    let before = load(&mut transaction, Servers::Needed(&Needed::by(changes))).await?;
    before.check_version(expected).map_err(StoreError::from)?;
    let edits = edits(&before, changes)?;
    if edits.is_empty() {
        return Ok(before.version);
    }
    let version = before.version.next();
    write::edits(&mut transaction, &edits, version, by).await?;
    audit::write(&mut transaction, by, &edited(&before, &edits)).await?;
    transaction.commit().await?;
    Ok(version)
}

async fn list(pool: &PgPool, limit: u32) -> Attempt<Vec<Changed>> {
    let found: Vec<(i64, Timestamp, String, Json<Vec<String>>)> = sqlx::query_as(
        r#"-- changes
         SELECT version, at, "by", changes FROM configuration_changes ORDER BY version DESC LIMIT $1"#,
    )
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    let changed = found.into_iter().map(|(version, at, by, Json(changes))| Changed {
        version: Version(version),
        at,
        by,
        changes,
    });
    Ok(changed.collect())
}

async fn hits(pool: &PgPool) -> Attempt<HashMap<RuleId, u64>> {
    let found: Vec<(i64, i64)> = sqlx::query_as(
        "-- rule_hits
         SELECT rule_id, count(*) FROM devices WHERE rule_id IS NOT NULL AND removed_at IS NULL GROUP BY rule_id",
    )
    .fetch_all(pool)
    .await?;
    let mut hits = HashMap::with_capacity(found.len());
    for (rule, devices) in found {
        hits.insert(RuleId(rule), rows::count("count of devices", devices)?);
    }
    Ok(hits)
}
