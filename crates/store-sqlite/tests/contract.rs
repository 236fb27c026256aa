//! The contract that every store keeps, on SQLite.

use std::sync::Arc;
use std::time::Duration;

use adelie_model::{Clock, Timestamp, to_millis};
use adelie_store::Store;
use adelie_store::contract::{Fixture, StoredEvent};
use adelie_store_sqlite::SqliteStore;
use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;

/// Leases run out in real time, because the suite waits for it.
struct RealClock;

#[async_trait]
impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "the clock of a file's database is its machine's")]
    fn now(&self) -> Timestamp {
        to_millis(chrono::Utc::now())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

struct TempDatabase {
    folder: TempDir,
    store: SqliteStore,
}

async fn open(folder: &TempDir) -> SqliteStore {
    SqliteStore::open(&folder.path().join("adelie.db"), Arc::new(RealClock))
        .await
        .expect("the database of the test")
}

impl TempDatabase {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("the database of the test");
        let store = open(&folder).await;
        Self { folder, store }
    }

    /// A connection past the store.
    async fn connection(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.folder.path().join("adelie.db"));
        SqliteConnection::connect_with(&options).await.expect("the database of the test")
    }
}

#[async_trait]
impl Fixture for TempDatabase {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    async fn another(&self) -> Arc<dyn Store> {
        Arc::new(open(&self.folder).await)
    }

    async fn past(&self, statements: &str) -> Result<(), String> {
        let done = sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut self.connection().await).await;
        done.map(drop).map_err(|error| error.to_string())
    }

    async fn unlock_audit(&self) {
        let drop = "DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_deleted;
            DROP TRIGGER audit_is_not_replaced; DROP TRIGGER audit_head_goes_forward;
            DROP TRIGGER audit_head_is_not_deleted";
        self.past(drop).await.expect("the triggers are there");
    }

    async fn events(&self) -> Vec<StoredEvent> {
        let rows: Vec<(String, Option<String>, String)> =
            sqlx::query_as("SELECT kind, serial, data FROM events ORDER BY id")
                .fetch_all(&mut self.connection().await)
                .await
                .expect("the database of the test");
        rows.into_iter()
            .map(|(kind, serial, data)| StoredEvent {
                kind,
                serial,
                data: serde_json::from_str(&data).expect("the database of the test"),
            })
            .collect()
    }

    async fn fresh(&self) -> Box<dyn Fixture> {
        Box::new(Self::new().await)
    }

    async fn columns(&self) -> Vec<(String, String)> {
        sqlx::query_as(
            "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table'",
        )
        .fetch_all(&mut self.connection().await)
        .await
        .expect("the schema")
    }

    async fn binary_columns(&self) -> Vec<(String, String)> {
        sqlx::query_as(
            "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND c.type NOT IN ('TEXT', 'INTEGER', 'BIGINT', 'BOOLEAN', 'TIMESTAMP')",
        )
        .fetch_all(&mut self.connection().await)
        .await
        .expect("the schema")
    }
}

adelie_store::contract_tests!(TempDatabase::new);
