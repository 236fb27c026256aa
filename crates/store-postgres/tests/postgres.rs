//! What only PostgreSQL can get wrong: several processes, other schemas, servers that go away.

mod common;
#[path = "postgres/configuration.rs"]
mod configuration;
#[path = "common/many.rs"]
mod many;
#[path = "postgres/webhooks.rs"]
mod webhooks;
#[path = "postgres/work.rs"]
mod work;

use std::collections::HashSet;
use std::error::Error;
use std::time::Duration;

use adelie_model::{
    Actual, AssignState, Cursor, OpType, ProfileUuid, RevisionId, SerialNumber, ServerId, SyncKind,
    SyncPhase, Timestamp, TokenState, Trigger,
};
use adelie_rules::Scope;
use adelie_store::configuration::NewRevision;
use adelie_store::page::{Action, Record};
use adelie_store::{
    AssignStore, ConfigurationStore, Details, DeviceFilter, DeviceStore, KeyStore, Lease, LeaseAnswer,
    LeaseStore, NewServer, Operator, PageCommit, ProfileStore, PublishOutcome, Result, Retention, RunStart,
    ServerStore, Settlement, StoreError, SyncStore, TokenStore, WorkEnd,
};
use adelie_store_postgres::PostgresStore;
use common::{Database, cluster};
use sqlx::{Connection, PgConnection};

const TTL: Duration = Duration::from_secs(600);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_770_000_000 + seconds, 0).expect("a moment")
}

fn operator(seconds: i64) -> Operator {
    Operator { name: "kim".to_owned(), now: at(seconds) }
}

fn start(kind: SyncKind, seconds: i64) -> RunStart {
    RunStart { kind, trigger: Trigger::Manual, requested_by: None, restart: false, now: at(seconds) }
}

fn chain(error: &dyn Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause} {cause:?}"));
        source = cause.source();
    }
    text
}

async fn lease(store: &PostgresStore, server: ServerId, owner: &str) -> Lease {
    match store.acquire_lease(server, owner, TTL).await.expect("an answer") {
        LeaseAnswer::Ours(lease) => lease,
        LeaseAnswer::Held { owner, .. } => panic!("{owner} has it"),
    }
}

/// A leased server whose devices `S0000`… are due for the revision.
async fn due(store: &PostgresStore, devices: usize) -> Result<(Lease, RevisionId)> {
    let new = NewServer {
        name: "lab".parse().expect("a name"),
        base_url: "http://127.0.0.1:9/".to_owned(),
        paused: false,
    };
    let server = store.add_server(&new, at(0)).await?;
    let name = "one".parse().expect("a name");
    let revision = store.add_profile(&name, NewRevision::default(), &operator(0)).await?;
    store.set_defaults(server, &[(Scope::Any, Some(revision.name))], &operator(0)).await?;
    let lease = lease(store, server, "us").await;
    let defined = PublishOutcome::Defined { uuid: ProfileUuid("UUID-1".to_owned()), differs: None };
    store.set_published(&lease, revision.id, &defined, at(0)).await?;
    page(store, &lease, devices, "RED").await?;
    Ok((lease, revision.id))
}

fn serial(number: usize) -> SerialNumber {
    SerialNumber::from_apple(format!("S{number:04}"))
}

/// Stores a sync page that says of every device which colour it has.
async fn page(store: &PostgresStore, lease: &Lease, devices: usize, color: &str) -> Result<()> {
    let run = store.begin_run(lease, &start(SyncKind::Delta, 1)).await?;
    let record = |number| Record {
        serial: serial(number),
        actual: Actual { color: Some(color.to_owned()), ..Actual::default() },
        op_type: Some(OpType::Modified),
        op_date: Some(at(1)),
    };
    let commit = PageCommit {
        run: run.id,
        seen_run: run.id,
        phase: SyncPhase::Sync,
        // Against the order of the others.
        records: (0..devices).rev().map(record).collect(),
        cursor: Cursor("cursor".to_owned()),
        more: false,
        fetched_until: None,
        now: at(1),
    };
    store.commit_page(lease, &commit).await.map(drop)
}

async fn claim_and_settle(
    store: PostgresStore,
    lease: Lease,
    revision: RevisionId,
) -> Result<Vec<SerialNumber>> {
    let mut all = Vec::new();
    let mut idle = 0;
    // A claim skips what a page has locked, so that an empty one is not the end.
    while idle < 50 {
        let claimed = store.claim_due(&lease, revision, 20, at(2), at(900)).await?;
        if claimed.is_empty() {
            idle += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        }
        let settled = |serial: &SerialNumber| Settlement {
            serial: serial.clone(),
            state: AssignState::Assigned,
            reason: String::new(),
            next_attempt_at: None,
            profile_uuid: Some(ProfileUuid("UUID-1".to_owned())),
            drifted: false,
        };
        let settlements: Vec<_> = claimed.iter().rev().map(|claim| settled(&claim.serial)).collect();
        store.settle(&lease, revision, &settlements, at(3)).await?;
        all.extend(claimed.into_iter().map(|claim| claim.serial));
    }
    Ok(all)
}

/// L18: pages, claims and settlements of one lease, from two processes at once: no device twice, no
/// settlement lost under a page, no deadlock.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_claim_each_device_once_while_pages_come_in() {
    const DEVICES: usize = 1000;
    let database = Database::new().await;
    let store = PostgresStore::clone(&database.store);
    let other = PostgresStore::connect(&database.url).await.expect("it opens twice");
    let (lease, revision) = due(&store, DEVICES).await.expect("a world");
    let workers: Vec<_> = [&store, &other, &store, &other]
        .into_iter()
        .map(|store| tokio::spawn(claim_and_settle(store.clone(), lease.clone(), revision)))
        .collect();
    for color in ["GREEN", "BLUE", "GREEN", "BLUE"] {
        page(&other, &lease, DEVICES, color).await.expect("a page");
    }
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await.expect("no panic").expect("no error"));
    }
    assert_eq!(all.len(), DEVICES);
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), DEVICES);
    let devices = store.devices(&DeviceFilter::default(), None, 9999).await.expect("a list");
    assert_eq!(devices.len(), DEVICES);
    for view in devices {
        let device = view.device;
        assert_eq!(device.assignment.state, AssignState::Assigned, "{}", device.serial);
        assert_eq!(device.actual.profile_uuid, Some(ProfileUuid("UUID-1".to_owned())));
        assert_eq!(device.actual.color.as_deref(), Some("BLUE"));
    }
    other.close().await;
}

/// L16: whoever takes a lease over waits for what has passed the fence, so that nothing comes after.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_holder_waits_for_writes_under_way() {
    let database = Database::new().await;
    let store = PostgresStore::clone(&database.store);
    let (old, revision) = due(&store, 1).await.expect("a world");
    store.renew_lease(&old, Duration::ZERO).await.expect("it is still ours");
    let mut connection = database.connection().await;
    for statement in
        ["BEGIN", "SELECT FROM mdm_servers FOR KEY SHARE", "UPDATE devices SET color = 'late, but in time'"]
    {
        sqlx::query(statement).execute(&mut connection).await.expect("as a fenced write does");
    }
    let taking = tokio::spawn({
        let store = store.clone();
        let server = old.server;
        async move { lease(&store, server, "them").await }
    });
    let mut watching = database.connection().await;
    loop {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
        )
        .fetch_one(&mut watching)
        .await
        .expect("a count");
        if waiting == 1 {
            break;
        }
        assert!(!taking.is_finished(), "it did not wait");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    sqlx::query("COMMIT").execute(&mut connection).await.expect("it commits");
    let new = taking.await.expect("no panic");
    assert_eq!(new.epoch, old.epoch + 1);
    let lost = store.claim_due(&old, revision, 1, at(2), at(3)).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost(_))), "{lost:?}");
}

/// PostgreSQL keeps no NUL. A device of which Apple sends one stops neither its page nor what is told of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_nul_stops_no_page() {
    let database = Database::new().await;
    let (lease, _) = due(&database.store, 1).await.expect("a world");
    page(&database.store, &lease, 1, "GRE\0EN").await.expect("a page");
    let device = database.store.device(&serial(0)).await.expect("a device").remove(0).device;
    assert_eq!(device.actual.color.as_deref(), Some("GRE\u{FFFD}EN"));
    let events = database.store.device_events(lease.server, &serial(0), None, 1).await.expect("a history");
    assert_eq!(events[0].data["changes"]["color"][1], "GRE\u{FFFD}EN");
}

/// Two copies that start at once on a new database.
#[tokio::test(flavor = "multi_thread")]
async fn several_may_migrate_at_once() {
    let url = cluster().new_database().expect("a database");
    let starts: Vec<_> = (0..4)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { PostgresStore::connect(&url).await })
        })
        .collect();
    for start in starts {
        let store = start.await.expect("no panic").expect("it opens");
        assert_eq!(store.data_keys().await.expect("migrated"), []);
        store.close().await;
    }
}

/// A database of a newer Adelie, of a changed build and of another program: each is refused by name, and
/// left as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_not_ours_is_refused() {
    let database = Database::new().await;
    let mut connection = database.connection().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9999, 'from the future', true, '', 0)";
    sqlx::query(newer).execute(&mut connection).await.expect("an insert");
    let refused = PostgresStore::connect(&database.url).await.expect_err("newer");
    assert!(
        matches!(refused, StoreError::SchemaTooNew { found: 9999, known } if known < 9999),
        "{refused:?}"
    );
    let changed = "UPDATE _sqlx_migrations SET checksum = 'other' WHERE version = 1";
    sqlx::query(changed).execute(&mut connection).await.expect("an update");
    let refused = PostgresStore::connect(&database.url).await.expect_err("changed");
    assert!(matches!(refused, StoreError::SchemaForeign(1)), "{refused:?}");
    let foreign = "DELETE FROM _sqlx_migrations WHERE version < 9999";
    sqlx::query(foreign).execute(&mut connection).await.expect("a delete");
    let refused = PostgresStore::connect(&database.url).await.expect_err("foreign");
    assert!(matches!(refused, StoreError::SchemaForeign(9999)), "{refused:?}");
}

/// Whatever is wrong with a URL, the message says what to check and never the password.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_opened_says_why_without_the_password() {
    let sockets = cluster().url("nowhere").rsplit_once("?host=").map(|(_, host)| host.to_owned());
    let sockets = sockets.expect("a folder");
    let cases = [
        (format!("postgres://postgres:hunter2@localhost/nowhere?host={sockets}"), "createdb"),
        (format!("postgres://nobody:hunter2@localhost/postgres?host={sockets}"), "user name or password"),
        ("postgres://postgres:hunter2@127.0.0.1:1/adelie".to_owned(), "PostgreSQL is running"),
        ("postgres://postgres:hunter2@localhost/adelie?host=/nowhere".to_owned(), "PostgreSQL is running"),
        ("postgres://postgres:hunter2@localhost:many/adelie".to_owned(), "postgres://USER:PASSWORD@HOST"),
        ("postgres://postgres:hunter2".to_owned(), "postgres://USER:PASSWORD@HOST"),
        ("mysql://root:hunter2@localhost/adelie".to_owned(), ""),
        ("hunter2".to_owned(), "postgres://USER:PASSWORD@HOST"),
    ];
    for (url, hint) in cases {
        let error = PostgresStore::connect(&url).await.expect_err("nothing is there");
        assert!(matches!(error, StoreError::Open { .. }), "{url}: {error:?}");
        assert!(error.to_string().contains(hint), "{url}: {error}");
        if url.contains(':') {
            assert!(!chain(&error).contains("hunter2"), "{}", chain(&error));
        }
    }
}

/// A password that PostgreSQL does not take.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_called_so() {
    let database = Database::new().await;
    let mut connection = database.connection().await;
    for statement in ["CREATE ROLE guarded LOGIN PASSWORD 'right'", "ALTER ROLE guarded CONNECTION LIMIT 0"] {
        sqlx::query(statement).execute(&mut connection).await.expect("a role");
    }
    let url = database.url.replace("postgres://postgres@", "postgres://guarded:hunter2@");
    let error = PostgresStore::connect(&url).await.expect_err("no connection is allowed");
    assert!(error.to_string().contains("no connection left"), "{error}");
    sqlx::query("ALTER ROLE guarded CONNECTION LIMIT -1").execute(&mut connection).await.expect("a role");
    sqlx::query("REVOKE CREATE ON SCHEMA public FROM PUBLIC").execute(&mut connection).await.expect("rights");
    let fresh = cluster().new_database().expect("a database");
    let mut owner = PgConnection::connect(&fresh).await.expect("it is there");
    sqlx::query("REVOKE CREATE ON SCHEMA public FROM PUBLIC").execute(&mut owner).await.expect("rights");
    let url = fresh.replace("postgres://postgres@", "postgres://guarded:hunter2@");
    let error = PostgresStore::connect(&url).await.expect_err("no tables may be made");
    assert!(matches!(error, StoreError::Open { .. }), "{error:?}");
    assert!(error.to_string().contains("USAGE and CREATE"), "{error}");
    assert!(!chain(&error).contains("hunter2"), "{}", chain(&error));
}

/// The database server restarts: the next call finds it again.
#[tokio::test(flavor = "multi_thread")]
async fn killed_connections_are_replaced() {
    let database = Database::new().await;
    let (lease, _) = due(&database.store, 3).await.expect("a world");
    let mut connection = database.connection().await;
    for _ in 0..3 {
        let killed: i64 = sqlx::query_scalar(
            "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE application_name = 'adelie' AND datname = current_database() AND pid <> pg_backend_pid()",
        )
        .fetch_one(&mut connection)
        .await
        .expect("a count");
        assert!(killed > 0);
        database.store.renew_lease(&lease, TTL).await.expect("the next call works");
        page(&database.store, &lease, 3, "GREEN").await.expect("so does a page");
    }
}

/// Whoever looks into the database finds what each table is for.
#[tokio::test(flavor = "multi_thread")]
async fn every_table_has_a_comment() {
    let database = Database::new().await;
    database
        .store
        .set_token_state(ServerId(1), TokenState::Valid, None, at(0))
        .await
        .expect_err("none there");
    let silent: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class
         WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> '_sqlx_migrations'
             AND obj_description(oid, 'pg_class') IS NULL",
    )
    .fetch_all(&mut database.connection().await)
    .await
    .expect("a list");
    assert!(silent.is_empty(), "{silent:?}");
}

/// A batch reads what it is about and not the whole MDM server, also while PostgreSQL has no statistics of
/// it, as in the middle of a first import.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_does_not_read_the_whole_server() {
    const ALL: usize = 10_000;
    const BATCH: u32 = 100;
    let database = Database::new().await;
    let mut connection = database.connection().await;
    let silence = "ALTER TABLE devices SET (autovacuum_enabled = false)";
    sqlx::query(silence).execute(&mut connection).await.expect("no statistics are made");
    let (lease, revision) = due(&database.store, ALL).await.expect("a world");
    // What a connection has read is told at its end.
    database.store.close().await;
    let before = reads(&database, "n_tup_ins", ALL as i64).await;

    let store = PostgresStore::connect(&database.url).await.expect("it opens");
    let serials: Vec<_> = (0..BATCH as usize).map(serial).collect();
    page(&store, &lease, BATCH as usize, "BLUE").await.expect("a page");
    let claimed = store.claim_due(&lease, revision, BATCH, at(2), at(300)).await.expect("a claim");
    assert_eq!(claimed.len(), BATCH as usize);
    let mut claimed: Vec<_> = claimed.into_iter().map(|claim| claim.serial).collect();
    let given_back = claimed.split_off(50);
    let failed = |serial: SerialNumber| Settlement {
        serial,
        state: AssignState::NotAccessible,
        reason: "unknown".to_owned(),
        next_attempt_at: Some(at(4)),
        profile_uuid: None,
        drifted: false,
    };
    let settlements: Vec<_> = claimed.into_iter().map(failed).collect();
    store.settle(&lease, revision, &settlements, at(3)).await.expect("settled");
    store.unclaim(&lease, &given_back, "not sent", at(3)).await.expect("given back");
    assert_eq!(store.to_read_back(&lease, at(5), BATCH).await.expect("a list").len(), 50);
    let gone = Details { gone: serials[..10].to_vec(), ..Details::default() };
    store.commit_details(&lease, &gone, at(5)).await.expect("details");
    store.next_attempt_at(lease.server).await.expect("a moment");
    assert_eq!(store.troubles(None, 10).await.expect("a list").len(), 1, "those out of reach");
    let hold = Action::Hold { reason: String::new() };
    store.operate(lease.server, &serials[10..20], &hold, &operator(5)).await.expect("held");
    assert_eq!(store.troubles(Some(lease.server), 10).await.expect("a list").len(), 2, "and the held");
    let keep = Retention { tombstones_before: at(6), events_before: at(0), runs: 1 };
    assert_eq!(store.forget_old(&lease, &keep, BATCH).await.expect("forgotten"), 11);
    store.set_defaults(lease.server, &[(Scope::Any, None)], &operator(5)).await.expect("no default");
    store.decide_anew(&lease, at(6), BATCH).await.expect("decided");
    let run = store.begin_run(&lease, &start(SyncKind::Full, 7)).await.expect("a run");
    store.remove_absent(&lease, run.id, run.id, BATCH, at(8)).await.expect("removed");
    store.device(&serials[50]).await.expect("a device");
    store.devices(&DeviceFilter::default(), None, 50).await.expect("a list");
    store.release_lease(&lease, &WorkEnd { now: at(9), not_before: None }).await.expect("released");
    store.close().await;

    let updated = 4 * i64::from(BATCH);
    let read = reads(&database, "n_tup_upd", updated).await - before;
    // With what is there now 3,000 to 4,400, by how many dead entries are passed; any one statement that strays reads
    // nearly 10,000 more.
    assert!(read < 80 * i64::from(BATCH), "{read} rows or index entries were read for batches of {BATCH}");
}

/// Rows and index entries of `devices` that were read so far, once `column` of the statistics has come to
/// `least`.
async fn reads(database: &Database, column: &'static str, least: i64) -> i64 {
    let mut connection = database.connection().await;
    for _ in 0..1000 {
        let (inserted, updated, read): (i64, i64, i64) = sqlx::query_as(
            "SELECT n_tup_ins, n_tup_upd, seq_tup_read + (SELECT sum(idx_tup_read)::bigint
                 FROM pg_stat_user_indexes WHERE relname = 'devices')
             FROM pg_stat_user_tables WHERE relname = 'devices'",
        )
        .fetch_one(&mut connection)
        .await
        .expect("statistics");
        if (if column == "n_tup_ins" { inserted } else { updated }) >= least {
            return read;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("PostgreSQL never told {column} of {least}")
}
