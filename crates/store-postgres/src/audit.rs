//! What people did by hand, as a chain.

use adelie_model::{ServerId, ServerName, Timestamp};
use adelie_store::audit::{AuditObject, link};
use adelie_store::{AuditEntry, AuditFilter, AuditHead, AuditStore, NewAudit, Operator, Result, StoreError};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, FromRow, PgConnection, PgPool};

use crate::PostgresStore;
use crate::batch::column;
use crate::failure::{Attempt, run};
use crate::rows::{self, millis};

/// Writes what somebody did in the transaction that does it. Returns the number of the last entry.
///
/// It locks the head of the chain, for which all others who write an entry wait until this transaction ends. So it has
/// to be the last that a transaction does: nobody who holds the head then waits for anything else, and there is no
/// deadlock.
pub(crate) async fn write(
    transaction: &mut PgConnection,
    by: &Operator,
    new: &[NewAudit],
) -> Attempt<Option<i64>> {
    if new.is_empty() {
        return Ok(None);
    }
    let head: Option<HeadRow> = sqlx::query_as(
        "-- lock_audit_head
         SELECT number, hash FROM audit_head WHERE id = 1 FOR NO KEY UPDATE",
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let entries = link(&to_head(head)?, by, new);
    let last = entries.last().map(AuditEntry::head).unwrap_or_default();
    sqlx::query(
        r#"-- add_audit
         WITH new AS (
             INSERT INTO audit (number, at, actor, action, object_kind, object_name, "before", "after", reason, request,
                 hash)
             SELECT * FROM UNNEST($1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[],
                 $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
         )
         UPDATE audit_head SET number = $12, hash = $13 WHERE id = 1"#,
    )
    .bind(column(&entries, |entry| entry.number))
    .bind(column(&entries, |entry| entry.at))
    .bind(column(&entries, |entry| entry.actor.as_str()))
    .bind(column(&entries, |entry| entry.action.as_str()))
    .bind(column(&entries, |entry| entry.object.kind.as_str()))
    .bind(column(&entries, |entry| entry.object.name.as_str()))
    .bind(column(&entries, |entry| entry.before.as_deref()))
    .bind(column(&entries, |entry| entry.after.as_deref()))
    .bind(column(&entries, |entry| entry.reason.as_deref()))
    .bind(column(&entries, |entry| entry.request.as_str()))
    .bind(column(&entries, |entry| entry.hash.as_str()))
    .bind(last.number)
    .bind(&last.hash)
    .execute(transaction)
    .await?;
    Ok(Some(last.number))
}

/// The name of an MDM server, for an entry about it.
pub(crate) async fn server_name(transaction: &mut PgConnection, id: ServerId) -> Attempt<ServerName> {
    let name: Option<String> =
        sqlx::query_scalar("-- server_name\nSELECT name FROM mdm_servers WHERE id = $1")
            .bind(id.0)
            .fetch_optional(transaction)
            .await?;
    Ok(rows::server_name(name.ok_or_else(|| StoreError::no_server(id))?)?)
}

#[async_trait]
impl AuditStore for PostgresStore {
    async fn note(&self, entries: &[NewAudit], by: &Operator) -> Result<i64> {
        run("write to the audit", move || note(&self.pool, entries, by)).await
    }

    async fn audit_after(&self, filter: &AuditFilter, after: i64, limit: u32) -> Result<Vec<AuditEntry>> {
        run("read the audit", move || {
            read(&self.pool, filter, "number > $1", " ORDER BY number LIMIT $2", after, limit)
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
        run("read the audit", move || {
            read(&self.pool, filter, "number < $1", " ORDER BY number DESC LIMIT $2", before, limit)
        })
        .await
    }

    async fn audit_head(&self) -> Result<AuditHead> {
        run("read the head of the audit", move || head(&self.pool)).await
    }
}

async fn note(pool: &PgPool, entries: &[NewAudit], by: &Operator) -> Attempt<i64> {
    let mut transaction = pool.begin().await?;
    let number = write(&mut transaction, by, entries).await?;
    transaction.commit().await?;
    Ok(number.unwrap_or_default())
}

type HeadRow = (i64, String);

async fn head(pool: &PgPool) -> Attempt<AuditHead> {
    let found = sqlx::query_as("-- audit_head\nSELECT number, hash FROM audit_head WHERE id = 1");
    Ok(to_head(found.fetch_optional(pool).await?)?)
}

fn to_head(found: Option<HeadRow>) -> Result<AuditHead> {
    let (number, hash) = found.ok_or_else(|| StoreError::damaged("audit_head", "no row"))?;
    Ok(AuditHead { number, hash })
}

#[derive(FromRow)]
struct EntryRow {
    number: i64,
    at: Timestamp,
    actor: String,
    action: String,
    object_kind: String,
    object_name: String,
    before: Option<String>,
    after: Option<String>,
    reason: Option<String>,
    request: String,
    hash: String,
}

impl From<EntryRow> for AuditEntry {
    fn from(row: EntryRow) -> Self {
        Self {
            number: row.number,
            at: row.at,
            actor: row.actor,
            action: row.action,
            object: AuditObject { kind: row.object_kind, name: row.object_name },
            before: row.before,
            after: row.after,
            reason: row.reason,
            request: row.request,
            hash: row.hash,
        }
    }
}

/// Reads those that a filter lets pass. Plans are made for the values, so that what it leaves open costs nothing.
async fn read(
    pool: &PgPool,
    filter: &AuditFilter,
    from: &'static str,
    order: &'static str,
    number: i64,
    limit: u32,
) -> Attempt<Vec<AuditEntry>> {
    let mut statement = String::from(
        r#"-- read_audit
         SELECT number, at, actor, action, object_kind, object_name, "before", "after", reason, request, hash
         FROM audit WHERE "#,
    );
    statement.push_str(from);
    statement.push_str(
        r" AND ($3::text IS NULL OR actor = $3)
         AND (cardinality($4::text[]) = 0 OR EXISTS (SELECT 1 FROM UNNEST($4::text[]) AS p (pattern) WHERE action LIKE
             replace(replace(replace(replace(p.pattern, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')))
         AND ($5::text IS NULL OR object_kind = $5) AND ($6::text IS NULL OR object_name = $6)
         AND ($7::timestamptz IS NULL OR at >= $7)
         AND ($8::text IS NULL OR request = $8)",
    );
    statement.push_str(order);
    // Made of literals of this file alone; every value is bound.
    let found: Vec<EntryRow> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(number)
        .bind(i64::from(limit))
        .bind(&filter.actor)
        .bind(&filter.actions)
        .bind(&filter.kind)
        .bind(&filter.object)
        .bind(millis(filter.since))
        .bind(filter.request.map(|request| request.to_string()))
        .fetch_all(pool)
        .await?;
    Ok(found.into_iter().map(AuditEntry::from).collect())
}
