//! Backups: everything that a database holds in one file, which every driver writes and reads. So a backup of either
//! database restores into either.
//!
//! The file is gzip of lines of JSON in UTF-8. The first line is the [`Header`]. Then there is for each table of the
//! catalogue ([`TABLES`]) a line that opens it, with its columns, and one array for each row. The last line has the number
//! of rows of each table, and the SHA-256 of all lines before it: a file without it was cut off. Secrets stand there as they
//! stand in the database, sealed; master keys are in no backup.
//!
//! [`write()`] makes one of a [`Snapshot`]; a [`Reader`] reads one and checks it on the way; [`load()`] puts it into a database
//! without content, in one transaction.

mod catalogue;
mod error;
mod format;
mod load;
mod nul;
mod read;
#[cfg(test)]
mod tests;
mod write;

use async_trait::async_trait;
use uuid::Uuid;

pub use self::catalogue::{Column, Fill, Kind, NOT_KEPT, SCHEMA, TABLES, Table};
pub use self::error::BackupError;
pub use self::format::{Header, Origin};
pub use self::load::{Loaded, load};
pub use self::nul::without_nul;
pub use self::read::{Part, Reader};
pub use self::write::{Unfinished, write};
use crate::seal::StoredDataKey;
use crate::{NewAudit, Operator, Result};

/// Making and restoring backups.
#[async_trait]
pub trait BackupStore: Send + Sync {
    /// The database as it is at this moment, whatever others write meanwhile. Nobody waits for it.
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>>;

    /// Takes the database for a restore: until it ends, nobody else writes.
    ///
    /// # Errors
    /// [`StoreError::InUse`](crate::StoreError::InUse) when somebody else does not let go of it.
    async fn restoration(&self) -> Result<Box<dyn Restoration>>;
}

/// A database at one moment.
#[async_trait]
pub trait Snapshot: Send {
    /// The name of the driver's database, like `sqlite`.
    fn database(&self) -> &'static str;

    /// The name of the installation.
    async fn installation(&mut self) -> Result<Uuid>;

    /// The data keys.
    async fn data_keys(&mut self) -> Result<Vec<StoredDataKey>>;

    /// How many rows a table has.
    async fn count(&mut self, table: &'static Table) -> Result<u64>;

    /// The greatest number that a table's numbered column ever had, or a greater one; 0 when it never had any.
    async fn last_number(&mut self, table: &'static Table) -> Result<i64>;

    /// Begins to read a table.
    async fn open(&mut self, table: &'static Table) -> Result<()>;

    /// Its next rows, each as a JSON array of its columns, in the table's order; none at the end.
    async fn rows(&mut self) -> Result<Vec<String>>;
}

/// A transaction that fills a database. Nothing has happened unless it commits.
#[async_trait]
pub trait Restoration: Send {
    /// How many rows a table has.
    async fn count(&mut self, table: &'static Table) -> Result<u64>;

    /// Takes all rows out of a table.
    async fn clear(&mut self, table: &'static Table) -> Result<()>;

    /// Adds rows, a JSON array of arrays, as the table's [`Fill`] says. Columns that are not given get their defaults. Returns
    /// how many characters the database cannot keep: in their place is U+FFFD.
    async fn add(&mut self, table: &'static Table, columns: &[&'static Column], rows: &str) -> Result<u64>;

    /// Numbers of this table's rows are greater from now on.
    async fn set_last_number(&mut self, table: &'static Table, last: i64) -> Result<()>;

    /// Writes an entry to the audit behind those that were added, and commits. Only here it is looked whether all rows are
    /// there that others refer to.
    async fn commit(self: Box<Self>, entry: &NewAudit, by: &Operator) -> Result<()>;
}
