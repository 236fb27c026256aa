//! The file: who may read it, what is refused, and what several processes do with it.

use std::error::Error;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use adelie_model::{ServerName, Timestamp};
use adelie_store::{NewServer, ServerStore, StoreError};
use adelie_store_sqlite::SqliteStore;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

fn server(name: &str) -> NewServer {
    NewServer {
        name: name.parse().expect("prepared"),
        base_url: "http://127.0.0.1".to_owned(),
        paused: false,
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("prepared").permissions().mode() & 0o777
}

async fn raw(path: &Path, statement: &'static str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.expect("prepared");
    sqlx::raw_sql(statement).execute(&mut connection).await.expect("prepared");
    connection.close().await.expect("prepared");
}

async fn refusal(path: &Path) -> StoreError {
    let before = std::fs::read(path).ok();
    let error = SqliteStore::open(path).await.expect_err("it must not open");
    assert_eq!(std::fs::read(path).ok(), before, "nothing is written to what is refused");
    error
}

/// The text of an `Open` error that has a source.
fn open_error(error: StoreError) -> String {
    assert!(matches!(error, StoreError::Open { .. }) && error.source().is_some(), "{error:?}");
    error.to_string()
}

/// L46: nobody else reads the database, its log, or the folder made for them.
#[tokio::test]
async fn a_new_database_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/of/adelie.db");
    let store = SqliteStore::open(&path).await.unwrap();
    store.add_server(&server("lab"), Timestamp::UNIX_EPOCH).await.unwrap();
    for name in ["adelie.db", "adelie.db-wal", "adelie.db-shm"] {
        assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&folder.path().join("data/of")), 0o700);
    assert_eq!(mode(&folder.path().join("data")), 0o700);
}

#[tokio::test]
async fn a_closed_database_is_one_file_and_opens_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adelie.db");
    let store = SqliteStore::open(&path).await.unwrap();
    store.add_server(&server("lab"), Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(store.servers().await.unwrap().len(), 1);
    store.close().await;
    let files: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["adelie.db"], "the log is written back");
    assert!(store.servers().await.is_err(), "a closed store says so");
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.servers().await.unwrap()[0].name, "lab".parse::<ServerName>().unwrap());
}

/// A process that was killed leaves its log behind; what it had committed is there.
#[tokio::test]
async fn what_was_committed_survives_without_a_clean_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("adelie.db")).await.unwrap();
    store.add_server(&server("lab"), Timestamp::UNIX_EPOCH).await.unwrap();
    let crashed = folder.path().join("crashed.db");
    for suffix in ["", "-wal"] {
        let from = folder.path().join(format!("adelie.db{suffix}"));
        std::fs::copy(from, folder.path().join(format!("crashed.db{suffix}"))).unwrap();
    }
    let found = SqliteStore::open(&crashed).await.unwrap().servers().await.unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adelie.db");
    SqliteStore::open(&path).await.unwrap().close().await;
    raw(
        &path,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9001, 'from the future', 1, x'00', 0)",
    )
    .await;
    let error = refusal(&path).await;
    assert!(matches!(error, StoreError::SchemaTooNew { found: 9001, known } if known < 9001), "{error:?}");
}

#[tokio::test]
async fn a_changed_or_unknown_migration_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adelie.db");
    SqliteStore::open(&path).await.unwrap().close().await;
    raw(&path, "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1").await;
    assert!(matches!(refusal(&path).await, StoreError::SchemaForeign(1)));
    raw(&path, "UPDATE _sqlx_migrations SET version = 0").await;
    assert!(matches!(refusal(&path).await, StoreError::SchemaForeign(0)));
}

#[tokio::test]
async fn the_database_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photos.db");
    raw(&path, "CREATE TABLE photos (id INTEGER PRIMARY KEY)").await;
    let error = open_error(refusal(&path).await);
    assert!(error.contains("another program") && error.contains("photos.db"), "{error}");
}

#[tokio::test]
async fn what_is_no_database_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.txt");
    std::fs::write(&path, "Dear Sir or Madam, ".repeat(300)).unwrap();
    let error = open_error(refusal(&path).await);
    assert!(error.contains("no SQLite database"), "{error}");

    let error = open_error(refusal(folder.path()).await);
    assert!(error.contains("is a folder"), "{error}");

    let error = open_error(refusal(&path.join("adelie.db")).await);
    assert!(error.contains("is a file, not a folder"), "{error}");
}

/// The service and the command line may both find an empty folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_database_may_be_opened_by_several_at_once() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("adelie.db");
        let tasks: Vec<_> = (0..6)
            .map(|number| {
                let path = path.clone();
                tokio::spawn(async move {
                    let store = SqliteStore::open(&path).await?;
                    store.add_server(&server(&format!("server {number}")), Timestamp::UNIX_EPOCH).await?;
                    Ok::<_, StoreError>(store)
                })
            })
            .collect();
        let mut stores = Vec::new();
        for task in tasks {
            stores.push(task.await.unwrap().unwrap());
        }
        for store in stores {
            assert_eq!(store.servers().await.unwrap().len(), 6);
        }
    }
}

/// An empty file is a new database to SQLite, and to us.
#[tokio::test]
async fn an_empty_file_becomes_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adelie.db");
    std::fs::write(&path, "").unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    assert!(store.servers().await.unwrap().is_empty());
}
