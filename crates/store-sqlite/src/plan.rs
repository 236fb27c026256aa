//! What SQLite means to do for a statement.

use std::sync::Arc;

use adelie_model::{ManualClock, Timestamp};
use sqlx::{AssertSqlSafe, Row};

use crate::SqliteStore;

/// The steps of a statement in an empty database, as `EXPLAIN QUERY PLAN` tells them.
pub(crate) async fn of(statement: &'static str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let store =
        SqliteStore::open_unsafe_fast(&folder.path().join("plan.db"), clock).await.expect("a database");
    // Made of statements of this crate alone.
    let steps = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")))
        .fetch_all(&mut *store.write().await.expect("a connection"))
        .await
        .expect("a statement that SQLite understands");
    steps.iter().map(|step| step.get("detail")).collect()
}
