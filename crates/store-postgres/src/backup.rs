//! Backups: rows as JSON, and back. Names of tables and columns come from the catalogue.

use adelie_model::halt;
use adelie_store::backup::{
    BackupStore, Column, Fill, Kind, Restoration, Snapshot, TABLES, Table, without_nul,
};
use adelie_store::seal::StoredDataKey;
use adelie_store::{NewAudit, Operator, Result, StoreError};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::failure::{Attempt, Failure, code, store_error};
use crate::webhooks::installation;
use crate::{PostgresStore, audit, keys};

/// So many rows are read at once.
const ROWS: u32 = 500;
/// The errors of a lock that was not to be had in time, and of one that others wait for who have ours.
const IN_USE: [&str; 2] = ["55P03", "40P01"];
/// The keys by which profiles name their revisions, which come after them.
const FORWARD: [&str; 2] = ["profiles_in_force_id_fkey", "profiles_staged_id_fkey"];

#[async_trait]
impl BackupStore for PostgresStore {
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        doing("be read as a whole", async {
            let mut transaction =
                self.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            take_time(&mut transaction).await?;
            // What is seen from here on is what is there when something is first looked at.
            count(&mut transaction, "installation").await?;
            let snapshot: Box<dyn Snapshot> = Box::new(PostgresSnapshot { transaction, open: false });
            Ok(snapshot)
        })
        .await
    }

    async fn restoration(&self) -> Result<Box<dyn Restoration>> {
        doing("be filled", async {
            let mut transaction = self.pool.begin().await?;
            take_time(&mut transaction).await?;
            lock(&mut transaction).await.map_err(in_use)?;
            let restoration: Box<dyn Restoration> = Box::new(PostgresRestoration { transaction });
            Ok(restoration)
        })
        .await
    }
}

/// Says what was being done when it failed. Nothing here is tried again: a snapshot is gone with its transaction.
async fn doing<T>(what: &'static str, work: impl Future<Output = Attempt<T>> + Send) -> Result<T> {
    work.await.map_err(|failure| match failure {
        Failure::Store(error) => error,
        Failure::Sql(error) => store_error(what, error),
    })
}

/// A large table, or a slow place to write to, may take longer than other transactions may.
async fn take_time(transaction: &mut PgConnection) -> Attempt<()> {
    sqlx::raw_sql(
        "-- take_time
         SET LOCAL statement_timeout = 0;
         SET LOCAL idle_in_transaction_session_timeout = 0;
         SET LOCAL lock_timeout = '5s';",
    )
    .execute(transaction)
    .await?;
    Ok(())
}

/// Keeps everybody else from writing, and puts off looking whether the revisions are there that profiles name.
async fn lock(transaction: &mut PgConnection) -> Attempt<()> {
    let tables: Vec<_> = TABLES.iter().map(|table| table.name).collect();
    let tables = tables.join(", ");
    let lock = format!("-- lock_tables\nLOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE");
    sqlx::query(AssertSqlSafe(lock)).execute(&mut *transaction).await?;
    alter(transaction, "DEFERRABLE INITIALLY DEFERRED").await
}

async fn alter(transaction: &mut PgConnection, how: &str) -> Attempt<()> {
    for key in FORWARD {
        let alter = format!("-- alter_key\nALTER TABLE profiles ALTER CONSTRAINT {key} {how}");
        sqlx::query(AssertSqlSafe(alter)).execute(&mut *transaction).await?;
    }
    Ok(())
}

fn in_use(failure: Failure) -> Failure {
    match failure {
        Failure::Sql(error) if code(&error).is_some_and(|code| IN_USE.contains(&&*code)) => {
            StoreError::InUse(Box::new(error)).into()
        }
        failure => failure,
    }
}

/// A transaction that reads.
struct PostgresSnapshot {
    transaction: Transaction<'static, Postgres>,
    /// Whether a table is being read.
    open: bool,
}

#[async_trait]
impl Snapshot for PostgresSnapshot {
    fn database(&self) -> &'static str {
        "postgresql"
    }

    async fn installation(&mut self) -> Result<Uuid> {
        doing("tell its name", installation(&mut self.transaction)).await
    }

    async fn data_keys(&mut self) -> Result<Vec<StoredDataKey>> {
        doing("read the data keys", keys::data_keys(&mut self.transaction)).await
    }

    async fn count(&mut self, table: &'static Table) -> Result<u64> {
        doing("count rows", count(&mut self.transaction, table.name)).await
    }

    async fn last_number(&mut self, table: &'static Table) -> Result<i64> {
        let Some(column) = table.numbered else { return Ok(0) };
        doing("tell the last number of a table", async {
            // Sequences are seen as they are now, which is never less than what they were.
            let last: Option<i64> = sqlx::query_scalar(
                "-- last_number
                 SELECT pg_sequence_last_value(pg_get_serial_sequence($1, $2)::regclass)",
            )
            .bind(table.name)
            .bind(column)
            .fetch_one(&mut *self.transaction)
            .await?;
            Ok(last.unwrap_or(0))
        })
        .await
    }

    async fn open(&mut self, table: &'static Table) -> Result<()> {
        doing("be read", async {
            if self.open {
                sqlx::query("-- close_table\nCLOSE backup").execute(&mut *self.transaction).await?;
            }
            let columns: Vec<_> = table.columns.iter().map(told).collect();
            let declare = format!(
                "-- open_table
                 DECLARE backup NO SCROLL CURSOR FOR
                 SELECT json_build_array({columns})::text FROM {table} ORDER BY {order}",
                columns = columns.join(", "),
                table = table.name,
                order = table.order
            );
            sqlx::query(AssertSqlSafe(declare)).execute(&mut *self.transaction).await?;
            self.open = true;
            Ok(())
        })
        .await
    }

    async fn rows(&mut self) -> Result<Vec<String>> {
        if !self.open {
            return Ok(Vec::new());
        }
        doing("be read", async {
            let fetch = format!("-- backup_rows\nFETCH {ROWS} FROM backup");
            Ok(sqlx::query_scalar(AssertSqlSafe(fetch)).fetch_all(&mut *self.transaction).await?)
        })
        .await
    }
}

/// A transaction that has all tables for itself.
struct PostgresRestoration {
    transaction: Transaction<'static, Postgres>,
}

#[async_trait]
impl Restoration for PostgresRestoration {
    async fn count(&mut self, table: &'static Table) -> Result<u64> {
        doing("count rows", count(&mut self.transaction, table.name)).await
    }

    async fn clear(&mut self, table: &'static Table) -> Result<()> {
        let statement = format!("-- clear_table\nDELETE FROM {}", table.name);
        doing("make room", async {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut *self.transaction).await?;
            Ok(())
        })
        .await
    }

    async fn add(&mut self, table: &'static Table, columns: &[&'static Column], rows: &str) -> Result<u64> {
        let (rows, replaced) = without_nul(rows);
        let statement = match table.fill {
            Fill::Rows | Fill::Replace => insert(table, columns),
            Fill::OneRow => update(table, columns),
        };
        doing("take rows", async {
            sqlx::query(AssertSqlSafe(statement)).bind(&*rows).execute(&mut *self.transaction).await?;
            Ok(replaced)
        })
        .await
    }

    async fn set_last_number(&mut self, table: &'static Table, last: i64) -> Result<()> {
        let Some(column) = table.numbered else { return Ok(()) };
        doing("take the last number of a table", async {
            sqlx::query("-- set_last_number\nSELECT setval(pg_get_serial_sequence($1, $2), $3)")
                .bind(table.name)
                .bind(column)
                .bind(last)
                .execute(&mut *self.transaction)
                .await?;
            Ok(())
        })
        .await
    }

    async fn commit(mut self: Box<Self>, entry: &NewAudit, by: &Operator) -> Result<()> {
        doing("keep what was restored", async {
            let transaction = &mut self.transaction;
            // Looks at all that was put off; only then a key can be altered.
            sqlx::query("-- look_now\nSET CONSTRAINTS ALL IMMEDIATE").execute(&mut **transaction).await?;
            alter(transaction, "NOT DEFERRABLE").await?;
            // Without statistics the first lists of a large database would be slow.
            let tables: Vec<_> = TABLES.iter().map(|table| table.name).collect();
            let analyze = format!("-- analyze\nANALYZE {}", tables.join(", "));
            sqlx::query(AssertSqlSafe(analyze)).execute(&mut **transaction).await?;
            audit::write(transaction, by, std::slice::from_ref(entry)).await?;
            halt::point("restore.before_commit");
            self.transaction.commit().await?;
            Ok(())
        })
        .await
    }
}

async fn count(connection: &mut PgConnection, table: &'static str) -> Attempt<u64> {
    let statement = format!("-- count_rows\nSELECT count(*) FROM {table}");
    let rows: i64 = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(connection).await?;
    Ok(rows.unsigned_abs())
}

fn insert(table: &Table, columns: &[&Column]) -> String {
    let values: Vec<_> = columns.iter().enumerate().map(|(place, column)| read(column, place)).collect();
    format!(
        "-- restore_rows
         INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE
         SELECT {values} FROM jsonb_array_elements($1::jsonb) AS r (e)",
        table = table.name,
        names = names(columns),
        values = values.join(", ")
    )
}

/// Only if it says something else: the head of the audit refuses to be set to where it stands.
fn update(table: &Table, columns: &[&Column]) -> String {
    let named =
        |(place, column): (usize, &&Column)| format!("{} AS \"{}\"", read(column, place), column.name);
    let values: Vec<_> = columns.iter().enumerate().map(named).collect();
    let set: Vec<_> = columns.iter().map(|column| format!("\"{0}\" = n.\"{0}\"", column.name)).collect();
    let same: Vec<_> = columns.iter().map(|column| format!("t.\"{0}\" = n.\"{0}\"", column.name)).collect();
    format!(
        "-- restore_row
         UPDATE {table} t SET {set}
         FROM (SELECT {values} FROM jsonb_array_elements($1::jsonb) AS r (e)) n
         WHERE NOT ({same})",
        table = table.name,
        set = set.join(", "),
        values = values.join(", "),
        same = same.join(" AND ")
    )
}

fn names(columns: &[&Column]) -> String {
    columns.iter().map(|column| format!("\"{}\"", column.name)).collect::<Vec<_>>().join(", ")
}

/// A column as a value of JSON.
fn told(column: &Column) -> String {
    let name = column.name;
    match column.kind {
        Kind::Int | Kind::Bool | Kind::Text | Kind::Json | Kind::TextList | Kind::IntList => {
            format!("\"{name}\"")
        }
        Kind::Moment => format!("floor(extract(epoch FROM \"{name}\") * 1000)::bigint"),
        Kind::Uuid => format!("encode(uuid_send(\"{name}\"), 'hex')"),
        Kind::Bytes => format!("encode(\"{name}\", 'hex')"),
    }
}

/// What stands at a place of a row, as the column holds it.
fn read(column: &Column, place: usize) -> String {
    let list = |of: &str| {
        format!(
            "CASE jsonb_typeof(e -> {place}) WHEN 'array'
                 THEN ARRAY(SELECT value::{of} FROM jsonb_array_elements_text(e -> {place})) END"
        )
    };
    match column.kind {
        Kind::Int => format!("(e ->> {place})::bigint"),
        Kind::Bool => format!("(e ->> {place})::boolean"),
        Kind::Moment => {
            format!("'epoch'::timestamptz + (e ->> {place})::bigint * interval '1 millisecond'")
        }
        Kind::Text => format!("e ->> {place}"),
        Kind::Json => format!("NULLIF(e -> {place}, 'null'::jsonb)"),
        Kind::Uuid => format!("(e ->> {place})::uuid"),
        Kind::Bytes => format!("decode(e ->> {place}, 'hex')"),
        Kind::TextList => list("text"),
        Kind::IntList => list("bigint"),
    }
}
