//! One private PostgreSQL for a test binary, and fresh databases in it.

use std::io::Write;
use std::sync::{Arc, LazyLock};

use adelie_store::Store;
use adelie_store::contract::{Fixture, StoredEvent};
use adelie_store_postgres::PostgresStore;
use adelie_store_postgres::cluster::{Cluster, ClusterError};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// It stops with the process, although statics are never dropped.
static CLUSTER: LazyLock<Result<Cluster, ClusterError>> = LazyLock::new(Cluster::start);

/// The cluster. Without PostgreSQL the tests fail, and say how to install it; unless they are told to do
/// without it. Then the whole test binary ends here, because every test in it needs a database.
pub fn cluster() -> &'static Cluster {
    match &*CLUSTER {
        Ok(cluster) => cluster,
        Err(ClusterError::NotInstalled | ClusterError::NoUser)
            if std::env::var_os("ADELIE_TEST_SKIP_POSTGRES").is_some_and(|value| value == "1") =>
        {
            // Not by `eprintln!`, which a test captures.
            let text =
                b"SKIPPED: no PostgreSQL here, and ADELIE_TEST_SKIP_POSTGRES=1 says to do without it\n";
            std::io::stderr().write_all(text).expect("stderr");
            std::process::exit(0)
        }
        Err(error) => {
            let cause =
                std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
            panic!("{error}{cause}; or set ADELIE_TEST_SKIP_POSTGRES=1 to skip the tests that need it")
        }
    }
}

/// A fresh database.
pub struct Database {
    pub url: String,
    pub store: Arc<PostgresStore>,
}

impl Database {
    pub async fn new() -> Self {
        let url = cluster().new_database().expect("a fresh database");
        let store = Arc::new(PostgresStore::connect(&url).await.expect("it opens"));
        let database = Self { url, store };
        let checks = sqlx::raw_sql(include_str!("checks.sql"));
        checks.execute(&mut database.connection().await).await.expect("nothing is stored yet");
        database
    }

    /// A connection past the store.
    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("it is there")
    }
}

#[async_trait]
impl Fixture for Database {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn another(&self) -> Arc<dyn Store> {
        Arc::new(PostgresStore::connect(&self.url).await.expect("it opens twice"))
    }

    async fn past(&self, statements: &str) -> Result<(), String> {
        let done = sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut self.connection().await).await;
        done.map(drop).map_err(|error| error.to_string())
    }

    async fn unlock_audit(&self) {
        self.past("ALTER TABLE audit DISABLE TRIGGER USER; ALTER TABLE audit_head DISABLE TRIGGER USER")
            .await
            .expect("the tables are there");
    }

    async fn events(&self) -> Vec<StoredEvent> {
        let rows: Vec<(String, Option<String>, serde_json::Value)> =
            sqlx::query_as("SELECT kind, serial, data FROM events ORDER BY id")
                .fetch_all(&mut self.connection().await)
                .await
                .expect("events");
        rows.into_iter().map(|(kind, serial, data)| StoredEvent { kind, serial, data }).collect()
    }

    async fn fresh(&self) -> Box<dyn Fixture> {
        Box::new(Self::new().await)
    }

    async fn columns(&self) -> Vec<(String, String)> {
        sqlx::query_as(
            "SELECT table_name::text, column_name::text FROM information_schema.columns
             WHERE table_schema = current_schema()",
        )
        .fetch_all(&mut self.connection().await)
        .await
        .expect("the schema")
    }

    async fn binary_columns(&self) -> Vec<(String, String)> {
        sqlx::query_as(
            "SELECT table_name::text, column_name::text FROM information_schema.columns
             WHERE table_schema = current_schema() AND data_type = 'bytea'",
        )
        .fetch_all(&mut self.connection().await)
        .await
        .expect("the schema")
    }
}
