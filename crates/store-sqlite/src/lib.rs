//! The embedded store: one SQLite file, for one machine.
//!
//! One connection writes, several read. Every write begins with `BEGIN IMMEDIATE`: a transaction that reads
//! first and writes later would fail as soon as another process has written in between, whatever the busy
//! timeout. Other processes, like the command line beside the service, open the same file and take turns.

mod absent;
mod assign;
mod audit;
mod backup;
mod batch;
mod beside;
mod bulk;
mod configuration;
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
#[cfg(test)]
mod plan;
mod policy;
mod profiles;
mod retention;
mod rows;
mod servers;
mod settle;
mod sync;
mod tokens;
mod troubles;
mod webhooks;
mod work;

use std::path::Path;
use std::sync::Arc;

use adelie_model::Clock;
use adelie_store::{LastRules, Result};
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::absent::Sweeps;
use crate::failure::Attempt;
use crate::open::Durability;
use crate::webhooks::Bell;

/// A store in one SQLite file. Clones share their connections.
#[derive(Clone)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    sweeps: Sweeps,
    rules: LastRules,
    bell: Bell,
    clock: Arc<dyn Clock>,
}

impl SqliteStore {
    /// Opens the database in this file and brings its schema up to date. A new file is created with mode 0600,
    /// a missing folder with 0700. Leases are measured by `clock`, which has to be that of every process on the
    /// file: its machine's.
    ///
    /// # Errors
    /// - `Open`, with a hint, when there is no database of ours that can be opened;
    /// - `SchemaTooNew` or `SchemaForeign` when another Adelie or another program made it. Nothing is changed then.
    pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        Self::open_with(path, clock, Durability::Safe).await
    }

    /// The same for tests of many small transactions, which need not wait for the disk: a power cut loses or damages
    /// the database. Several handles on one file work as with [`open`](Self::open).
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub async fn open_unsafe_fast(path: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        Self::open_with(path, clock, Durability::None).await
    }

    async fn open_with(path: &Path, clock: Arc<dyn Clock>, durability: Durability) -> Result<Self> {
        let (writer, readers) = open::open(path, durability).await?;
        let (sweeps, rules, bell) = (Sweeps::default(), LastRules::default(), Bell::default());
        Ok(Self { writer, readers, sweeps, rules, bell, clock })
    }

    /// Finishes what is under way, writes the log back into the file and closes it.
    pub async fn close(&self) {
        self.readers.close().await;
        self.bell.close().await;
        // Last, because the last connection to close empties the log.
        self.writer.close().await;
    }

    /// A connection to read from. Single statements only, so that each sees one state.
    async fn read(&self) -> Attempt<PoolConnection<Sqlite>> {
        Ok(self.readers.acquire().await?)
    }

    /// The transaction that writes; there is one at a time.
    async fn write(&self) -> Attempt<Transaction<'static, Sqlite>> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("writer", &self.writer).finish_non_exhaustive()
    }
}
