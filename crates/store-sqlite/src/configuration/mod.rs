//! What people decide, and how it changes.

mod load;
mod write;

use std::collections::HashMap;

use adelie_model::RuleId;
use adelie_store::audit::edited;
use adelie_store::configuration::{Change, Changed, Configuration, Needed, Version, edits};
use adelie_store::{ConfigurationStore, Operator, Result, moment};
use async_trait::async_trait;
use sqlx::Row;

pub(crate) use self::load::{Servers, load};
use crate::failure::{Attempt, run};
use crate::rows::{self, count};
use crate::{SqliteStore, audit};

#[async_trait]
impl ConfigurationStore for SqliteStore {
    async fn configuration(&self) -> Result<Configuration> {
        run("read what people have decided", async { load(&mut *self.read().await?, Servers::All).await })
            .await
    }

    async fn configure(
        &self,
        changes: &[Change],
        expected: Option<Version>,
        by: &Operator,
    ) -> Result<Version> {
        run("change what people have decided", async {
            let mut transaction = self.write().await?;
            let before = load(&mut transaction, Servers::Needed(&Needed::by(changes))).await?;
            before.check_version(expected).map_err(adelie_store::StoreError::from)?;
            let edits = edits(&before, changes)?;
            if edits.is_empty() {
                return Ok(before.version);
            }
            let version = before.version.next();
            write::edits(&mut transaction, &edits, version, by).await?;
            audit::write(&mut transaction, by, &edited(&before, &edits)).await?;
            transaction.commit().await?;
            Ok(version)
        })
        .await
    }

    async fn changes(&self, limit: u32) -> Result<Vec<Changed>> {
        run("list what people have changed", async {
            let found = sqlx::query(
                r#"-- changes
                 SELECT version, at, "by", changes FROM configuration_changes ORDER BY version DESC LIMIT ?1"#,
            )
            .bind(limit)
            .fetch_all(&mut *self.read().await?)
            .await?;
            found
                .iter()
                .map(|row| {
                    Ok(Changed {
                        version: Version(row.try_get("version")?),
                        at: moment("configuration_changes.at", row.try_get("at")?)?,
                        by: row.try_get("by")?,
                        changes: rows::json("configuration_changes.changes", row.try_get("changes")?)?,
                    })
                })
                .collect()
        })
        .await
    }

    async fn rule_hits(&self) -> Result<HashMap<RuleId, u64>> {
        run("count the devices of rules", async {
            let found: Vec<(i64, i64)> = sqlx::query_as(
                "-- rule_hits
                 SELECT rule_id, count(*) FROM devices WHERE rule_id IS NOT NULL AND removed_at IS NULL
                 GROUP BY rule_id",
            )
            .fetch_all(&mut *self.read().await?)
            .await?;
            let hits =
                found.into_iter().map(|(rule, devices)| Ok((RuleId(rule), count("devices", devices)?)));
            hits.collect::<Attempt<_>>()
        })
        .await
    }
}
