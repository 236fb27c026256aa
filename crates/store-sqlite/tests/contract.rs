//! The contract that every store keeps, on SQLite.

use std::sync::Arc;

use adelie_store::Store;
use adelie_store::contract::{Fixture, StoredEvent};
use adelie_store_sqlite::SqliteStore;
use async_trait::async_trait;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tempfile::TempDir;

struct TempDatabase {
    folder: TempDir,
    store: SqliteStore,
}

impl TempDatabase {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("the database of the test");
        let store =
            SqliteStore::open(&folder.path().join("adelie.db")).await.expect("the database of the test");
        Self { folder, store }
    }
}

#[async_trait]
impl Fixture for TempDatabase {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    async fn another(&self) -> Arc<dyn Store> {
        Arc::new(
            SqliteStore::open(&self.folder.path().join("adelie.db")).await.expect("the database of the test"),
        )
    }

    async fn events(&self) -> Vec<StoredEvent> {
        let options = SqliteConnectOptions::new().filename(self.folder.path().join("adelie.db"));
        let mut connection =
            SqliteConnection::connect_with(&options).await.expect("the database of the test");
        let rows: Vec<(String, Option<String>, String)> =
            sqlx::query_as("SELECT kind, serial, data FROM events ORDER BY id")
                .fetch_all(&mut connection)
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
}

adelie_store::contract_tests!(TempDatabase::new);
