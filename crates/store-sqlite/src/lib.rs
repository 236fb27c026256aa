//! The embedded store: one SQLite file, for one machine.
//!
//! One connection writes, several read. Every write begins with `BEGIN IMMEDIATE`: a transaction that reads
//! first and writes later would fail as soon as another process has written in between, whatever the busy
//! timeout. Other processes, like the command line beside the service, open the same file and take turns.

mod assign;
mod batch;
mod devices;
mod failure;
mod fence;
mod leases;
mod open;
mod profiles;
mod rows;
mod servers;
mod sync;
mod tokens;
mod work;

use std::path::Path;

use adelie_store::Result;
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::failure::Attempt;
use crate::sync::Sweeps;

/// A store in one SQLite file. Clones share their connections.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    sweeps: Sweeps,
}

impl SqliteStore {
    /// Opens the database in this file and brings its schema up to date. A new file is created with mode 0600,
    /// a missing folder with 0700.
    ///
    /// # Errors
    /// - `Open`, with a hint, when there is no database of ours that can be opened;
    /// - `SchemaTooNew` or `SchemaForeign` when another Adelie or another program made it. Nothing is changed then.
    pub async fn open(path: &Path) -> Result<Self> {
        let (writer, readers) = open::open(path).await?;
        Ok(Self { writer, readers, sweeps: Sweeps::default() })
    }

    /// Finishes what is under way, writes the log back into the file and closes it.
    pub async fn close(&self) {
        self.readers.close().await;
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
