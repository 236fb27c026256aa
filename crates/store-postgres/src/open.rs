//! Opening a database: reach it, look at its schema, migrate it.

use std::io::ErrorKind;
use std::str::FromStr;
use std::time::Duration;

use adelie_model::halt;
use adelie_store::{Result, StoreError};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};

use crate::failure::{code, store_error};
use crate::place::without_password;

static MIGRATOR: Migrator = sqlx::migrate!();

/// PostgreSQL 14, as `server_version_num` counts.
const OLDEST: i32 = 140_000;
const CONNECTIONS: u32 = 16;
/// Any number that no other program is likely to lock in the same database.
const MIGRATION_LOCK: i64 = 0x6164_656c_6965;
/// How long to wait for a connection before saying that there is none.
const CONNECT: Duration = Duration::from_secs(10);

pub(crate) async fn open(url: &str) -> Result<PgPool> {
    let place = without_password(url);
    let options = PgConnectOptions::from_str(url)
        .map_err(|source| cannot(&place, source))?
        .application_name("adelie")
        .statement_cache_capacity(200);
    // A connection of its own, because a pool would hide why it cannot connect.
    let connecting = tokio::time::timeout(CONNECT, PgConnection::connect_with(&options)).await;
    let mut connection = connecting
        .unwrap_or_else(|late| Err(std::io::Error::new(ErrorKind::TimedOut, late).into()))
        .map_err(|source| cannot(&place, source))?;
    let prepared = prepare(&mut connection, &place).await;
    // Also when something was found wrong: the reason counts, not how the connection ends.
    let closed = connection.close().await;
    prepared?;
    if let Err(error) = closed {
        tracing::debug!(%error, "the connection that migrated did not end well");
    }
    Ok(PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(CONNECT)
        .idle_timeout(Duration::from_secs(300))
        .max_lifetime(Duration::from_secs(1800))
        .test_before_acquire(true)
        .after_connect(|connection, _| Box::pin(set_up(connection)))
        .connect_lazy_with(options))
}

/// What every connection is told once.
async fn set_up(connection: &mut PgConnection) -> std::result::Result<(), sqlx::Error> {
    sqlx::raw_sql(
        // Plans that fit the present size of a table: one made while it was empty would scan a million
        // devices until the next ANALYZE. No bitmaps, because PostgreSQL takes a server that its statistics do
        // not know for a small one, and would sort all its devices to find the first thousand; and index
        // lookups at the price of an SSD, so that a thousand of them are not taken for dearer than reading
        // the whole table. And nobody may hold locks for ever, whatever becomes of them.
        "-- set_up_connection
         SET plan_cache_mode = force_custom_plan;
         SET enable_bitmapscan = off;
         SET random_page_cost = 1.1;
         SET default_transaction_isolation = 'read committed';
         SET lock_timeout = '30s';
         SET statement_timeout = '90s';
         SET idle_in_transaction_session_timeout = '60s';",
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn prepare(connection: &mut PgConnection, place: &str) -> Result<()> {
    check_version(connection, place).await?;
    check_schema(connection).await?;
    match migrate(connection).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMismatch(version)) => Err(StoreError::SchemaForeign(version)),
        // A newer copy of Adelie migrated since we looked.
        Err(MigrateError::VersionMissing(version)) => {
            StoreError::check_schema(Some(version), newest())?;
            Err(StoreError::SchemaForeign(version))
        }
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
            Err(match code(&error).as_deref() {
                Some("42501") => cannot(place, error),
                _ => store_error("bring the schema up to date", error),
            })
        }
        Err(error) => {
            Err(StoreError::Database { doing: "bring the schema up to date", source: Box::new(error) })
        }
    }
}

/// Runs what is missing, all in one transaction: whoever is killed in the middle leaves the schema as it was.
async fn migrate(connection: &mut PgConnection) -> std::result::Result<(), MigrateError> {
    let mut transaction = connection.begin().await?;
    // The migrator's own lock ends before the transaction does.
    sqlx::query("-- lock_migrations\nSELECT pg_advisory_xact_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(&mut *transaction)
        .await?;
    // `run` does the same, but its future cannot be sent between threads.
    MIGRATOR.run_direct(None, &mut *transaction, false).await?;
    halt::point("migration.before_commit");
    transaction.commit().await?;
    Ok(())
}

async fn check_version(connection: &mut PgConnection, place: &str) -> Result<()> {
    let doing = "tell its version";
    let version: String = sqlx::query_scalar("-- server_version\nSHOW server_version_num")
        .fetch_one(connection)
        .await
        .map_err(|error| store_error(doing, error))?;
    let version: i32 = version.parse().map_err(|_| StoreError::damaged("server_version_num", &version))?;
    if version >= OLDEST {
        return Ok(());
    }
    Err(StoreError::Open {
        place: place.to_owned(),
        hint: "Adelie needs PostgreSQL 14 or later: update the database server, or use another one"
            .to_owned(),
        source: format!("this is PostgreSQL {}", version / 10_000).into(),
    })
}

/// Refuses a schema that is newer than ours, or another program's, before anything is written.
async fn check_schema(connection: &mut PgConnection) -> Result<()> {
    let doing = "show which migrations it has";
    let migrated: bool =
        sqlx::query_scalar("-- has_migrations\nSELECT to_regclass('_sqlx_migrations') IS NOT NULL")
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| store_error(doing, error))?;
    if !migrated {
        return Ok(());
    }
    let applied: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "-- applied_migrations
         SELECT version, checksum FROM _sqlx_migrations ORDER BY version",
    )
    .fetch_all(connection)
    .await
    .map_err(|error| store_error(doing, error))?;
    for (position, (version, checksum)) in applied.iter().enumerate() {
        let ours = MIGRATOR.iter().find(|migration| migration.version == *version);
        // Ours begin with the first; another program's begin with something else.
        let foreign = match ours {
            Some(ours) => *ours.checksum != **checksum,
            None => position == 0,
        };
        if foreign {
            return Err(StoreError::SchemaForeign(*version));
        }
    }
    StoreError::check_schema(applied.last().map(|(version, _)| *version), newest())
}

fn newest() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The error of a database that cannot be opened, with what to check.
fn cannot(place: &str, error: sqlx::Error) -> StoreError {
    let hint = match (code(&error).as_deref(), &error) {
        (Some("28P01" | "28000"), _) => {
            "the user name or password is wrong, or pg_hba.conf does not let this user in from here"
        }
        (Some("3D000"), _) => "there is no such database: create it with `createdb NAME`, or correct the URL",
        (Some("42501"), _) => {
            "the user may not work in this database: make it the owner, or grant it CONNECT on the database \
             and USAGE and CREATE on its schema"
        }
        (Some("53300"), _) => {
            "the server has no connection left: raise max_connections or stop other programs"
        }
        (Some("57P03"), _) => "the server is starting or stopping: try again in a moment",
        (_, sqlx::Error::Configuration(_)) => {
            "the URL does not read as postgres://USER:PASSWORD@HOST:PORT/DATABASE; characters like @ / ? in a \
             password must be percent-encoded"
        }
        (_, sqlx::Error::Tls(_)) => "TLS failed: check `sslmode` and `sslrootcert` in the URL",
        (_, sqlx::Error::Io(_)) => {
            "nothing answers there: check that PostgreSQL is running, that host and port are right, and that \
             no firewall stands between"
        }
        _ => "check the URL and the log of the database server",
    };
    StoreError::Open { place: place.to_owned(), hint: hint.to_owned(), source: Box::new(error) }
}
