//! The file: who may read it, what is refused, and what several processes do with it.

use std::error::Error;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use adelie_model::{ManualClock, SerialNumber, ServerName, Timestamp};
use adelie_store::{
    AuditFilter, AuditStore, ConfigurationStore, DeviceStore, EventFilter, LeaseAnswer, LeaseStore,
    NewServer, Operator, ProfileStore, Result, ServerStore, StoreError, SyncStore, WebhookStore,
};
use adelie_store_sqlite::SqliteStore;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

fn kim() -> Operator {
    Operator::new("kim", Timestamp::UNIX_EPOCH)
}

async fn open(path: &Path) -> Result<SqliteStore> {
    SqliteStore::open(path, Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH))).await
}

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
    let error = open(path).await.expect_err("it must not open");
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
    let store = open(&path).await.unwrap();
    store.add_server(&server("lab"), &kim()).await.unwrap();
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
    let store = open(&path).await.unwrap();
    store.add_server(&server("lab"), &kim()).await.unwrap();
    assert_eq!(store.servers().await.unwrap().len(), 1);
    store.close().await;
    let files: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["adelie.db"], "the log is written back");
    assert!(store.servers().await.is_err(), "a closed store says so");
    let store = open(&path).await.unwrap();
    assert_eq!(store.servers().await.unwrap()[0].name, "lab".parse::<ServerName>().unwrap());
}

/// A process that was killed leaves its log behind; what it had committed is there.
#[tokio::test]
async fn what_was_committed_survives_without_a_clean_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("adelie.db")).await.unwrap();
    store.add_server(&server("lab"), &kim()).await.unwrap();
    let crashed = folder.path().join("crashed.db");
    for suffix in ["", "-wal"] {
        let from = folder.path().join(format!("adelie.db{suffix}"));
        std::fs::copy(from, folder.path().join(format!("crashed.db{suffix}"))).unwrap();
    }
    let found = open(&crashed).await.unwrap().servers().await.unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adelie.db");
    open(&path).await.unwrap().close().await;
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
    open(&path).await.unwrap().close().await;
    raw(&path, "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1").await;
    assert!(matches!(refusal(&path).await, StoreError::SchemaForeign(1)));
    raw(&path, "UPDATE _sqlx_migrations SET version = 0 WHERE version = 1").await;
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

/// The database of an older Adelie keeps what is in it, and every server in it is looked at.
#[tokio::test]
async fn an_older_schema_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adelie.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::migrate!().run_to(1, &mut connection).await.unwrap();
    let old = "INSERT INTO mdm_servers (name, base_url, paused, created_at, next_sync_at)
             VALUES ('lab', 'http://127.0.0.1', 0, 5, 9000);
         INSERT INTO token_keys (id, server_id, certificate, private_key, created_at)
             VALUES (x'01', 1, x'', x'', 5);
         INSERT INTO server_tokens (id, server_id, key_id, consumer_key, secrets, expires_at, imported_at, is_current)
             VALUES (x'02', 1, x'01', 'CK', x'', 5, 5, 1);
         INSERT INTO profiles (name, created_at) VALUES ('first', 5), ('second', 5);
         INSERT INTO profile_revisions (profile_id, number, content, content_hash, created_at)
             VALUES (2, 1, '{}', 'a', 5), (1, 1, '{}', 'b', 5), (1, 2, '{}', 'c', 6);
         INSERT INTO server_defaults (server_id, scope, profile_id) VALUES (1, 'any', 1);
         INSERT INTO devices (server_id, serial, extra, first_seen_at, last_seen_at, seen_run, assign_state,
                 assign_reason, attempts)
             VALUES (1, 'A', '{}', 5, 5, 1, 'unmatched', '', 0);
         INSERT INTO sync_runs (server_id, kind, \"trigger\", started_at, outcome, epoch)
             VALUES (1, 'full', 'manual', 5, 'running', 1);
         INSERT INTO events (server_id, serial, kind, at, data) VALUES (1, 'A', 'device.added', 5, '{}'),
             (1, NULL, 'devices.failed', 6, '{\"serial_numbers\": [\"A\"]}'), (1, 'A', 'device.drifted', 7, '{}');
         INSERT INTO events (id, server_id, kind, at, data) VALUES (900, 1, 'server.paused', 8, '{}');
         DELETE FROM events WHERE id = 900";
    sqlx::raw_sql(old).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();

    let store = open(&path).await.unwrap();
    let device = store.device(&SerialNumber::from_apple("A".to_owned())).await.unwrap().remove(0).device;
    assert_eq!((device.hold, device.op_digest), (None, None));
    assert_eq!((device.tags, device.assignment.rule), (Vec::new(), None));
    let in_force: Vec<_> = store.profiles().await.unwrap().iter().map(|it| (it.number, it.id.0)).collect();
    assert_eq!(in_force, [(2, 3), (1, 1)], "the newest revision of each profile");
    assert_eq!(store.defaults(device.server).await.unwrap()[0].revision.0, 3);
    let configuration = store.configuration().await.unwrap();
    assert_eq!((configuration.version.0, configuration.profiles.len()), (1, 2));
    let events = store.device_events(device.server, &device.serial, None, 10).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["drift.detected", "assignment.failed", "device.added"],
        "by the names that they have now"
    );
    assert!(!store.installation().await.unwrap().is_nil());
    store.set_paused(device.server, true, &kim()).await.unwrap();
    let newest = store.events_before(&EventFilter::default(), None, 1).await.unwrap().remove(0);
    assert_eq!(newest.id.0, 901, "no number is used twice");
    store.set_paused(device.server, false, &kim()).await.unwrap();
    assert_eq!(store.runs(None, None, 10).await.unwrap()[0].requested_by, None);
    assert_eq!(store.servers().await.unwrap()[0].setbacks, 0);
    let claimed =
        store.claim_due_servers("us", Duration::from_secs(60), Timestamp::UNIX_EPOCH, 10).await.unwrap();
    assert_eq!(claimed.len(), 1);
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
                    let store = open(&path).await?;
                    store.add_server(&server(&format!("server {number}")), &kim()).await?;
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
    let store = open(&path).await.unwrap();
    assert!(store.servers().await.unwrap().is_empty());
}

/// Handles of one test share a clock, and with it the leases; the log of such a database is not waited for.
#[tokio::test]
async fn leases_run_out_by_the_clock_that_was_passed_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adelie.db");
    let clock = ManualClock::new(Timestamp::UNIX_EPOCH + Duration::from_secs(5));
    let ours = SqliteStore::open_unsafe_fast(&path, Arc::new(clock.clone())).await.unwrap();
    let theirs = SqliteStore::open_unsafe_fast(&path, Arc::new(clock.clone())).await.unwrap();
    let lab = ours.add_server(&server("lab"), &kim()).await.unwrap();
    let minute = Duration::from_secs(60);
    assert!(matches!(ours.acquire_lease(lab, "us", minute).await.unwrap(), LeaseAnswer::Ours(_)));
    clock.advance(Duration::from_secs(59));
    let LeaseAnswer::Held { owner, until } = theirs.acquire_lease(lab, "them", minute).await.unwrap() else {
        panic!("two owners");
    };
    assert_eq!((owner.as_str(), until), ("us", Timestamp::UNIX_EPOCH + Duration::from_secs(65)));
    clock.advance(Duration::from_secs(1));
    assert!(matches!(theirs.acquire_lease(lab, "them", minute).await.unwrap(), LeaseAnswer::Ours(_)));
}

/// `INSERT OR REPLACE` deletes without firing the trigger that refuses deletions.
#[tokio::test]
async fn an_entry_of_the_audit_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adelie.db");
    let store = open(&path).await.unwrap();
    store.add_server(&server("lab"), &kim()).await.unwrap();
    let mut connection =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&path)).await.unwrap();
    let replace =
        "INSERT OR REPLACE INTO audit (number, at, actor, action, object_kind, object_name, request, hash)
        VALUES (1, 0, 'sam', 'server.added', 'server', 'lab', '', '')";
    let refused = sqlx::query(replace).execute(&mut connection).await.expect_err("it is refused");
    assert!(refused.to_string().contains("never replaced"), "{refused}");
    let entries = store.audit_after(&AuditFilter::default(), 0, 10).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.actor.as_str()).collect::<Vec<_>>(), ["kim"]);
}
