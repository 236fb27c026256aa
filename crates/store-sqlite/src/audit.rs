//! What people did by hand, as a chain.

use adelie_model::{ServerId, ServerName};
use adelie_store::audit::{AuditObject, link};
use adelie_store::{
    AuditEntry, AuditFilter, AuditHead, AuditStore, NewAudit, Operator, Result, StoreError, moment,
};
use async_trait::async_trait;
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use crate::SqliteStore;
use crate::failure::{Attempt, run};
use crate::rows::{self, millis, to_json};

/// Writes what somebody did in the transaction that does it. Returns the number of the last entry.
pub(crate) async fn write(
    transaction: &mut SqliteConnection,
    by: &Operator,
    new: &[NewAudit],
) -> Attempt<Option<i64>> {
    if new.is_empty() {
        return Ok(None);
    }
    let entries = link(&head(transaction).await?, by, new);
    let last = entries.last().map(AuditEntry::head).unwrap_or_default();
    let row = |entry: &AuditEntry| {
        json!([
            entry.number,
            entry.at.timestamp_millis(),
            entry.actor,
            entry.action,
            entry.object.kind,
            entry.object.name,
            entry.before,
            entry.after,
            entry.reason,
            entry.request,
            entry.hash,
        ])
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    sqlx::query(
        "-- add_audit
         INSERT INTO audit (number, at, actor, action, object_kind, object_name, \"before\", \"after\", reason, request,
             hash)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
             value ->> 8, value ->> 9, value ->> 10
         FROM json_each(?1) ORDER BY key",
    )
    .bind(to_json("audit", &rows)?)
    .execute(&mut *transaction)
    .await?;
    sqlx::query("-- set_audit_head\nUPDATE audit_head SET number = ?1, hash = ?2 WHERE id = 1")
        .bind(last.number)
        .bind(&last.hash)
        .execute(transaction)
        .await?;
    Ok(Some(last.number))
}

/// The name of an MDM server, for an entry about it.
pub(crate) async fn server_name(transaction: &mut SqliteConnection, id: ServerId) -> Attempt<ServerName> {
    let name: Option<String> =
        sqlx::query_scalar("-- server_name\nSELECT name FROM mdm_servers WHERE id = ?1")
            .bind(id.0)
            .fetch_optional(transaction)
            .await?;
    Ok(rows::name("mdm_servers.name", &name.ok_or_else(|| StoreError::no_server(id))?)?)
}

#[async_trait]
impl AuditStore for SqliteStore {
    async fn note(&self, entries: &[NewAudit], by: &Operator) -> Result<i64> {
        run("write to the audit", async {
            let mut transaction = self.write().await?;
            let number = write(&mut transaction, by, entries).await?;
            transaction.commit().await?;
            Ok(number.unwrap_or_default())
        })
        .await
    }

    async fn audit_after(&self, filter: &AuditFilter, after: i64, limit: u32) -> Result<Vec<AuditEntry>> {
        run("read the audit", async {
            let connection = &mut *self.read().await?;
            read(connection, filter, "number > ?1", " ORDER BY number LIMIT ?2", after, limit).await
        })
        .await
    }

    async fn audit_before(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>> {
        let before = before.unwrap_or(i64::MAX);
        run("read the audit", async {
            let connection = &mut *self.read().await?;
            read(connection, filter, "number < ?1", " ORDER BY number DESC LIMIT ?2", before, limit).await
        })
        .await
    }

    async fn audit_head(&self) -> Result<AuditHead> {
        run("read the head of the audit", async { head(&mut *self.read().await?).await }).await
    }
}

async fn head(connection: &mut SqliteConnection) -> Attempt<AuditHead> {
    let found: Option<(i64, String)> =
        sqlx::query_as("-- audit_head\nSELECT number, hash FROM audit_head WHERE id = 1")
            .fetch_optional(connection)
            .await?;
    let (number, hash) = found.ok_or_else(|| StoreError::damaged("audit_head", "no row"))?;
    Ok(AuditHead { number, hash })
}

/// Reads those that a filter lets pass. What it leaves open is no part of the statement, so that the rest can be found by
/// an index.
async fn read(
    connection: &mut SqliteConnection,
    filter: &AuditFilter,
    from: &'static str,
    order: &'static str,
    number: i64,
    limit: u32,
) -> Attempt<Vec<AuditEntry>> {
    let conditions = [
        (filter.actor.is_some(), " AND actor = ?3"),
        (
            !filter.actions.is_empty(),
            " AND EXISTS (SELECT 1 FROM json_each(?4) p
                 WHERE action GLOB replace(replace(p.value, '[', '[[]'), '?', '[?]'))",
        ),
        (filter.kind.is_some(), " AND object_kind = ?5"),
        (filter.object.is_some(), " AND object_name = ?6"),
        (filter.since.is_some(), " AND at >= ?7"),
        (filter.request.is_some(), " AND request = ?8"),
    ];
    let mut statement = String::from(
        "-- read_audit
         SELECT number, at, actor, action, object_kind, object_name, \"before\", \"after\", reason, request, hash
         FROM audit WHERE ",
    );
    statement.push_str(from);
    conditions.iter().filter(|(wanted, _)| *wanted).for_each(|(_, text)| statement.push_str(text));
    statement.push_str(order);
    // Made of literals of this file alone; every value is bound.
    let found = sqlx::query(AssertSqlSafe(statement))
        .bind(number)
        .bind(limit)
        .bind(&filter.actor)
        .bind(to_json("patterns", &filter.actions)?)
        .bind(&filter.kind)
        .bind(&filter.object)
        .bind(millis(filter.since))
        .bind(filter.request.map(|request| request.to_string()))
        .fetch_all(connection)
        .await?;
    found.iter().map(entry).collect()
}

fn entry(row: &SqliteRow) -> Attempt<AuditEntry> {
    Ok(AuditEntry {
        number: row.try_get("number")?,
        at: moment("audit.at", row.try_get("at")?)?,
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        object: AuditObject { kind: row.try_get("object_kind")?, name: row.try_get("object_name")? },
        before: row.try_get("before")?,
        after: row.try_get("after")?,
        reason: row.try_get("reason")?,
        request: row.try_get("request")?,
        hash: row.try_get("hash")?,
    })
}
