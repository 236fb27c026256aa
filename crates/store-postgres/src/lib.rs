//! Adelie's shared store: PostgreSQL 14 or later. Several copies of the service may work on one database.
//!
//! - Each method of the [`adelie_store`] traits is one transaction, in the file of its trait. A transaction
//!   is a function that may run again: deadlocks and serialization failures are tried anew, a few times.
//! - Locks are taken in one order, so that they do not deadlock: the configuration's row, which only people's changes
//!   lock; the MDM server's row (see `fence`), or several by their ids; then devices by serial number; then
//!   deliveries by their numbers, and endpoints after them; the head of the audit last of all. Claims skip what somebody
//!   else holds. Sealing anew locks rows of one table, by their ids, and nothing before or after them.
//! - `cluster` (feature `cluster`) starts a private PostgreSQL from the installed binaries, for tests and
//!   benchmarks.

mod assign;
mod audit;
mod backup;
mod batch;
mod beside;
mod bulk;
#[cfg(feature = "cluster")]
pub mod cluster;
mod configuration;
mod copy;
mod devices;
mod escrow;
mod failure;
mod fence;
mod history;
mod intents;
mod keys;
mod leases;
mod open;
mod operate;
mod place;
mod policy;
mod profiles;
mod rows;
mod servers;
mod sync;
mod tokens;
mod troubles;
mod webhooks;
mod work;

use adelie_store::{LastRules, Result};
use sqlx::PgPool;

use crate::webhooks::Bell;

/// A store on a PostgreSQL database. Cheap to clone: clones share their connections.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pool: PgPool,
    rules: LastRules,
    bell: Bell,
}

impl PostgresStore {
    /// Opens the database at `url` (`postgres://USER:PASSWORD@HOST:PORT/DATABASE`, or with
    /// `?host=/FOLDER` for a unix socket) and brings its schema up to date. Two copies may do so at once.
    ///
    /// # Errors
    /// `Open` when it cannot be reached, or not with these credentials; `SchemaTooNew` and `SchemaForeign`
    /// when its schema is not ours to work on. None of them shows the password.
    pub async fn connect(url: &str) -> Result<Self> {
        Ok(Self { pool: open::open(url).await?, rules: LastRules::default(), bell: Bell::default() })
    }

    /// Closes all connections, after the transactions that are running on them.
    pub async fn close(&self) {
        self.bell.close().await;
        self.pool.close().await;
    }
}
