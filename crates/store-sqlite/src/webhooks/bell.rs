//! Waiting for a commit, of whatever process.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sqlx::{Connection, SqliteConnection, SqlitePool};
use tokio::sync::Mutex;

use crate::failure::Attempt;

/// How often the database is looked at while somebody waits.
const PAUSE: Duration = Duration::from_millis(10);
/// No version of SQLite's.
const NEVER: i64 = -1;

/// What a connection of its own sees of the commits of others.
#[derive(Clone, Debug)]
pub(crate) struct Bell(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: Mutex<Option<SqliteConnection>>,
    /// The version that was seen last.
    seen: AtomicI64,
}

impl Default for Bell {
    fn default() -> Self {
        Self(Arc::new(Inner { connection: Mutex::default(), seen: AtomicI64::new(NEVER) }))
    }
}

impl Bell {
    /// Waits until somebody has committed something since the last call. The first call returns at once: what was
    /// committed before it nobody has seen.
    pub(crate) async fn wait(&self, pool: &SqlitePool) -> Attempt<()> {
        let before = self.0.seen.load(Ordering::SeqCst);
        loop {
            let version = self.version(pool).await?;
            if version != before {
                self.0.seen.store(version, Ordering::SeqCst);
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A number that changes with every commit of another connection. It means something on the same connection only.
    async fn version(&self, pool: &SqlitePool) -> Attempt<i64> {
        let mut place = self.0.connection.lock().await;
        if pool.is_closed() {
            return Err(sqlx::Error::PoolClosed.into());
        }
        // Taken out for the time of the question, so that a connection is never left in the middle of one.
        let mut connection = match place.take() {
            Some(connection) => connection,
            None => {
                self.0.seen.store(NEVER, Ordering::SeqCst);
                SqliteConnection::connect_with(&pool.connect_options()).await?
            }
        };
        let version =
            sqlx::query_scalar("-- data_version\nPRAGMA data_version").fetch_one(&mut connection).await?;
        *place = Some(connection);
        Ok(version)
    }

    /// Closes the connection.
    pub(crate) async fn close(&self) {
        if let Some(connection) = self.0.connection.lock().await.take()
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "a connection did not end well");
        }
    }
}
