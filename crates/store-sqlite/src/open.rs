//! Opening a database: make or check the file, look at its schema, migrate it.

use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use adelie_model::halt;
use adelie_store::{Result, StoreError};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqlitePool};

use crate::failure::{code, store_error};

static MIGRATOR: Migrator = sqlx::migrate!();

/// How long a writer waits for another process's transaction.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a task waits for its turn among the tasks of this process.
const TURN: Duration = Duration::from_secs(120);
const READERS: u32 = 4;
/// How often and how soon opening is tried again while another process is in the way.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(25);
/// SQLite's result code for a lock that somebody else holds.
const BUSY: i32 = 5;

/// What a power cut may cost.
#[derive(Clone, Copy)]
pub(crate) enum Durability {
    /// Nothing that was committed.
    Safe,
    /// The database: for tests.
    None,
}

pub(crate) async fn open(path: &Path, durability: Durability) -> Result<(SqlitePool, SqlitePool)> {
    make_file(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(PATIENCE)
        .foreign_keys(true)
        .synchronous(match durability {
            Durability::Safe => SqliteSynchronous::Full,
            Durability::None => SqliteSynchronous::Off,
        })
        .statement_cache_capacity(200)
        // A page's rows at once: handing over fewer at a time costs more than reading them.
        .row_buffer_size(1000);
    let mut tries = 1;
    // SQLite answers "locked" without any waiting while another process switches the journal of a new file
    // or cleans up behind the last connection; both pass in a moment.
    let connection = loop {
        match connect(&options, path).await {
            Err(StoreError::Open { source, .. }) if tries < TRIES && is_busy(&*source) => {
                tracing::debug!(tries, "another process opens or closes the database; trying again");
                tokio::time::sleep(PAUSE).await;
                tries += 1;
            }
            connected => break connected?,
        }
    };

    let pool = SqlitePoolOptions::new().acquire_timeout(TURN).test_before_acquire(false).max_lifetime(None);
    let writer = pool.clone().max_connections(1).idle_timeout(None).connect_lazy_with(
        options
            .clone()
            // Checkpoints of 64 MB: with the usual 4 MB a large import writes the same pages again and again.
            .pragma("wal_autocheckpoint", "16000")
            .pragma("journal_size_limit", "67108864")
            .pragma("cache_size", "-8000")
            // What a statement would need to undo itself stays in memory: it is a few pages, and writing them to a
            // file took a tenth of the time of an import.
            .pragma("temp_store", "MEMORY")
            // Looking at the CHECKs of a table takes a third of the time of a write. What they say holds because of
            // the types that are written here; builds for tests have SQLite prove it with every write.
            .pragma("ignore_check_constraints", if cfg!(debug_assertions) { "0" } else { "1" }),
    );
    let readers = pool
        .max_connections(READERS)
        .idle_timeout(Duration::from_secs(300))
        .connect_lazy_with(options.pragma("query_only", "1").pragma("cache_size", "-2000"));
    // Open before the other one closes, so that it is not the last one and leaves the log alone.
    drop(writer.acquire().await.map_err(|error| cannot(path, error))?);
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "the connection that migrated did not end well");
    }
    Ok((writer, readers))
}

/// A connection of its own, because a pool would hide why it cannot connect; with the schema up to date.
async fn connect(options: &SqliteConnectOptions, path: &Path) -> Result<SqliteConnection> {
    let mut connection =
        SqliteConnection::connect_with(options).await.map_err(|error| cannot(path, error))?;
    match prepare(&mut connection, path).await {
        Ok(()) => Ok(connection),
        Err(error) => {
            // What was found wrong counts, not how the connection ends.
            if let Err(error) = connection.close().await {
                tracing::debug!(%error, "the connection did not end well");
            }
            Err(error)
        }
    }
}

fn is_busy(source: &(dyn std::error::Error + 'static)) -> bool {
    source.downcast_ref::<sqlx::Error>().and_then(code).is_some_and(|code| code & 0xff == BUSY)
}

/// Creates the file, readable by nobody else, before SQLite would with whatever the umask says; SQLite
/// gives its log the mode of the file.
fn make_file(path: &Path) -> Result<()> {
    let cannot = |source: std::io::Error| StoreError::Open {
        place: path.display().to_string(),
        hint: file_hint(source.kind()).to_owned(),
        source: Box::new(source),
    };
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(cannot)?;
    }
    match std::fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let found = std::fs::metadata(path).map_err(cannot)?;
            if found.is_dir() {
                return Err(cannot(ErrorKind::IsADirectory.into()));
            }
            std::fs::OpenOptions::new().read(true).write(true).open(path).map(drop).map_err(cannot)
        }
        Err(error) => Err(cannot(error)),
    }
}

fn file_hint(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::IsADirectory => "it is a folder: name a file in it",
        ErrorKind::PermissionDenied => {
            "this user may not read and write it: run Adelie as the user that owns it, or change its owner"
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => "a part of its path is a file, not a folder",
        ErrorKind::StorageFull => "the disk is full: free some space",
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only: put the database elsewhere",
        _ => "check the path, its owner and the disk",
    }
}

fn cannot(path: &Path, error: sqlx::Error) -> StoreError {
    const CORRUPT: i32 = 11;
    const FULL: i32 = 13;
    const NOT_A_DATABASE: i32 = 26;
    let hint = match code(&error).map(|code| code & 0xff) {
        Some(FULL) => return StoreError::DiskFull(Box::new(error)),
        Some(BUSY) => "another process does not let go of it: stop that process and try again",
        Some(CORRUPT) => "it is damaged: restore a backup",
        Some(NOT_A_DATABASE) => "it is no SQLite database: name another file, or restore a backup",
        _ => "check the file, its owner and the disk",
    };
    StoreError::Open { place: path.display().to_string(), hint: hint.to_owned(), source: Box::new(error) }
}

/// Checks the schema and brings it up to date. SQLite has no lock for migrations, so that a write
/// transaction around all of it keeps two processes that start at once apart.
async fn prepare(connection: &mut SqliteConnection, path: &Path) -> Result<()> {
    // Before anything of ours is written: a foreign database keeps its journal mode.
    check_schema(connection, path).await?;
    sqlx::raw_sql("PRAGMA journal_mode = WAL")
        .execute(&mut *connection)
        .await
        .map_err(|error| cannot(path, error))?;
    let mut transaction =
        connection.begin_with("BEGIN IMMEDIATE").await.map_err(|error| cannot(path, error))?;
    check_schema(&mut transaction, path).await?;
    // Not `run`: the compiler loses sight of `Send` in its future (sqlx keeps this way open for that).
    match MIGRATOR.run_direct(None, &mut *transaction, false).await {
        Ok(()) => {}
        Err(MigrateError::VersionMismatch(version) | MigrateError::VersionMissing(version)) => {
            return Err(StoreError::SchemaForeign(version));
        }
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
            return Err(not_migrated(path, error));
        }
        Err(error) => {
            return Err(StoreError::Database {
                doing: "bring the schema up to date",
                source: Box::new(error),
            });
        }
    }
    halt::point("migration.before_commit");
    transaction.commit().await.map_err(|error| not_migrated(path, error))
}

fn not_migrated(path: &Path, error: sqlx::Error) -> StoreError {
    match code(&error).map(|code| code & 0xff) {
        Some(BUSY) => cannot(path, error),
        _ => store_error("bring the schema up to date", error),
    }
}

/// Refuses a schema that is newer than ours, or another program's.
async fn check_schema(connection: &mut SqliteConnection, path: &Path) -> Result<()> {
    let (tables, migrated): (i64, i64) = sqlx::query_as(
        "-- has_migrations
         SELECT count(*), count(*) FILTER (WHERE name = '_sqlx_migrations') FROM sqlite_schema
         WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(|error| cannot(path, error))?;
    if tables > 0 && migrated == 0 {
        return Err(StoreError::Open {
            place: path.display().to_string(),
            hint: "it is the database of another program: name another file".to_owned(),
            source: format!("it has {tables} tables and none of them is Adelie's").into(),
        });
    }
    if migrated == 0 {
        return Ok(());
    }
    let applied: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "-- applied_migrations
         SELECT version, checksum FROM _sqlx_migrations ORDER BY version DESC",
    )
    .fetch_all(connection)
    .await
    .map_err(|error| cannot(path, error))?;
    let newest = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
    StoreError::check_schema(applied.first().map(|(version, _)| *version), newest)?;
    for (version, checksum) in &applied {
        let ours = MIGRATOR.iter().find(|migration| migration.version == *version);
        if ours.is_none_or(|migration| migration.checksum.as_ref() != checksum.as_slice()) {
            return Err(StoreError::SchemaForeign(*version));
        }
    }
    Ok(())
}
