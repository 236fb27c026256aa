//! Backups: rows as JSON, and back. Names of tables and columns come from the catalogue.

use adelie_model::halt;
use adelie_store::backup::{BackupStore, Column, Fill, Kind, Restoration, Snapshot, Table};
use adelie_store::seal::StoredDataKey;
use adelie_store::{NewAudit, Operator, Result, StoreError};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection, SqlitePool, Transaction};
use uuid::Uuid;

use crate::failure::{Attempt, Failure, code, run};
use crate::webhooks::installation;
use crate::{SqliteStore, audit, keys};

/// So many rows are read at once.
const ROWS: u32 = 500;
/// SQLite's result code for a lock that somebody else holds.
const BUSY: i32 = 5;

#[async_trait]
impl BackupStore for SqliteStore {
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        run("be read as a whole", async {
            let mut transaction = self.readers.begin().await?;
            // What is seen from here on is what is there when something is first looked at.
            count(&mut transaction, "installation").await?;
            let snapshot: Box<dyn Snapshot> = Box::new(SqliteSnapshot { transaction, open: None });
            Ok(snapshot)
        })
        .await
    }

    async fn restoration(&self) -> Result<Box<dyn Restoration>> {
        run("be filled", async {
            let mut transaction = self.write().await.map_err(in_use)?;
            // Profiles and revisions refer to each other, so that one of them has to come too early.
            sqlx::query("-- look_at_the_end\nPRAGMA defer_foreign_keys = 1")
                .execute(&mut *transaction)
                .await?;
            let writer = self.writer.clone();
            let restoration: Box<dyn Restoration> = Box::new(SqliteRestoration { transaction, writer });
            Ok(restoration)
        })
        .await
    }
}

fn in_use(failure: Failure) -> Failure {
    match failure {
        Failure::Sql(error) if code(&error).is_some_and(|code| code & 0xff == BUSY) => {
            StoreError::InUse(Box::new(error)).into()
        }
        failure => failure,
    }
}

/// A transaction that reads. Nobody who writes waits for it.
struct SqliteSnapshot {
    transaction: Transaction<'static, Sqlite>,
    /// The table that is read, and its last row that was.
    open: Option<(&'static Table, i64)>,
}

#[async_trait]
impl Snapshot for SqliteSnapshot {
    fn database(&self) -> &'static str {
        "sqlite"
    }

    async fn installation(&mut self) -> Result<Uuid> {
        run("tell its name", async { installation(&mut self.transaction).await }).await
    }

    async fn data_keys(&mut self) -> Result<Vec<StoredDataKey>> {
        run("read the data keys", async { keys::data_keys(&mut self.transaction).await }).await
    }

    async fn count(&mut self, table: &'static Table) -> Result<u64> {
        run("count rows", async { count(&mut self.transaction, table.name).await }).await
    }

    async fn last_number(&mut self, table: &'static Table) -> Result<i64> {
        let Some(column) = table.numbered else { return Ok(0) };
        let statement = format!(
            "-- last_number
             SELECT max(COALESCE((SELECT seq FROM sqlite_sequence WHERE name = ?1), 0),
                 COALESCE((SELECT max({column}) FROM {table}), 0))",
            table = table.name
        );
        run("tell the last number of a table", async {
            let found = sqlx::query_scalar(AssertSqlSafe(statement)).bind(table.name);
            Ok(found.fetch_one(&mut *self.transaction).await?)
        })
        .await
    }

    async fn open(&mut self, table: &'static Table) -> Result<()> {
        self.open = Some((table, i64::MIN));
        Ok(())
    }

    async fn rows(&mut self) -> Result<Vec<String>> {
        let Some((table, after)) = self.open else { return Ok(Vec::new()) };
        // By the number that SQLite gives each row, which is the order in which they were written.
        let statement = format!(
            "-- backup_rows
             SELECT rowid, json_array({columns}) FROM {table} WHERE rowid > ?1 ORDER BY rowid LIMIT ?2",
            columns = listed(table.columns, told),
            table = table.name
        );
        let found: Vec<(i64, String)> = run("be read", async {
            let rows = sqlx::query_as(AssertSqlSafe(statement)).bind(after).bind(ROWS);
            Ok(rows.fetch_all(&mut *self.transaction).await?)
        })
        .await?;
        if let Some((last, _)) = found.last() {
            self.open = Some((table, *last));
        }
        Ok(found.into_iter().map(|(_, row)| row).collect())
    }
}

/// The transaction that writes.
struct SqliteRestoration {
    transaction: Transaction<'static, Sqlite>,
    writer: SqlitePool,
}

#[async_trait]
impl Restoration for SqliteRestoration {
    async fn count(&mut self, table: &'static Table) -> Result<u64> {
        run("count rows", async { count(&mut self.transaction, table.name).await }).await
    }

    async fn clear(&mut self, table: &'static Table) -> Result<()> {
        let statement = format!("-- clear_table\nDELETE FROM {}", table.name);
        run("make room", async {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut *self.transaction).await?;
            Ok(())
        })
        .await
    }

    async fn add(&mut self, table: &'static Table, columns: &[&'static Column], rows: &str) -> Result<u64> {
        let statement = match table.fill {
            Fill::Rows | Fill::Replace => insert(table, columns),
            Fill::OneRow => update(table, columns),
        };
        run("take rows", async {
            sqlx::query(AssertSqlSafe(statement)).bind(rows).execute(&mut *self.transaction).await?;
            // SQLite keeps every character.
            Ok(0)
        })
        .await
    }

    async fn set_last_number(&mut self, table: &'static Table, last: i64) -> Result<()> {
        run("take the last number of a table", async {
            // Tables without AUTOINCREMENT are in no list: their numbers may be used again.
            let listed: Option<i64> = sqlx::query_scalar(
                "-- is_numbered
                 SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1 AND sql LIKE '%AUTOINCREMENT%'",
            )
            .bind(table.name)
            .fetch_optional(&mut *self.transaction)
            .await?;
            if listed.is_none() {
                return Ok(());
            }
            sqlx::query("-- forget_last_number\nDELETE FROM sqlite_sequence WHERE name = ?1 AND seq < ?2")
                .bind(table.name)
                .bind(last)
                .execute(&mut *self.transaction)
                .await?;
            sqlx::query(
                "-- set_last_number
                 INSERT INTO sqlite_sequence (name, seq) SELECT ?1, ?2
                 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?1)",
            )
            .bind(table.name)
            .bind(last)
            .execute(&mut *self.transaction)
            .await?;
            Ok(())
        })
        .await
    }

    async fn commit(mut self: Box<Self>, entry: &NewAudit, by: &Operator) -> Result<()> {
        run("keep what was restored", async {
            audit::write(&mut self.transaction, by, std::slice::from_ref(entry)).await?;
            halt::point("restore.before_commit");
            self.transaction.commit().await?;
            // All of it stands in the log. Whoever looks at the file next, or reads it, need not wait for that.
            let emptied = sqlx::query("-- empty_log\nPRAGMA wal_checkpoint(TRUNCATE)").execute(&self.writer).await;
            if let Err(error) = emptied {
                tracing::debug!(%error, "the log of the restored database was not emptied; it will be in time");
            }
            Ok(())
        })
        .await
    }
}

async fn count(connection: &mut SqliteConnection, table: &'static str) -> Attempt<u64> {
    let statement = format!("-- count_rows\nSELECT count(*) FROM {table}");
    let rows: i64 = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(connection).await?;
    Ok(rows.unsigned_abs())
}

fn insert(table: &Table, columns: &[&Column]) -> String {
    let names: Vec<_> = columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
    format!(
        "-- restore_rows
         INSERT INTO {table} ({names}) SELECT {values} FROM json_each(?1) ORDER BY key",
        table = table.name,
        names = names.join(", "),
        values = values(columns).join(", ")
    )
}

/// Only if it says something else: the head of the audit refuses to be set to where it stands.
fn update(table: &Table, columns: &[&Column]) -> String {
    let names: Vec<_> = columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
    let (names, values) = (names.join(", "), values(columns).join(", "));
    format!(
        "-- restore_row
         UPDATE {table} SET ({names}) = (SELECT {values} FROM json_each(?1))
         WHERE ({names}) IS NOT (SELECT {values} FROM json_each(?1))",
        table = table.name
    )
}

fn values(columns: &[&Column]) -> Vec<String> {
    columns.iter().enumerate().map(|(place, column)| read(column, place)).collect()
}

fn listed(columns: &[Column], of: impl Fn(&Column) -> String) -> String {
    columns.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// A column as a value of JSON.
fn told(column: &Column) -> String {
    let name = column.name;
    match column.kind {
        Kind::Int | Kind::Moment | Kind::Text => format!("\"{name}\""),
        Kind::Bool => format!("json(CASE \"{name}\" WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)"),
        Kind::Json | Kind::TextList | Kind::IntList => format!("json(\"{name}\")"),
        // The hex digits of NULL would be an empty text.
        Kind::Uuid | Kind::Bytes => {
            format!("CASE WHEN \"{name}\" IS NOT NULL THEN lower(hex(\"{name}\")) END")
        }
    }
}

/// What stands at a place of a row, as the column holds it.
fn read(column: &Column, place: usize) -> String {
    match column.kind {
        Kind::Uuid | Kind::Bytes => format!("unhex(value ->> {place})"),
        _ => format!("value ->> {place}"),
    }
}
