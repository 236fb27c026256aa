//! Changes of what people decide: what they wait for, what they read, and what becomes of an older database.

use std::time::Duration;

use adelie_model::ServerId;
use adelie_rules::Scope;
use adelie_store::configuration::{Change, NewRule};
use adelie_store::{AssignStore, ConfigurationStore, NewServer, ProfileStore, ServerStore, SyncSettings};
use adelie_store_postgres::PostgresStore;
use sqlx::{Connection, PgConnection};

use crate::common::{Database, cluster};
use crate::{at, due, many, operator, page};

/// Longer than anything here takes that does not wait for a lock that nobody gives back.
const PATIENCE: Duration = Duration::from_secs(20);

fn everywhere(name: &str) -> Change {
    let rule = NewRule {
        name: name.parse().expect("a good name"),
        only: None,
        conditions: vec!["serial=X*".parse().expect("a good condition")],
        profile: "one".parse().expect("a good name"),
    };
    Change::AddRule { rule, before: None }
}

/// Pages never wait for people: only a change takes the configuration's row, and it waits for pages, not they for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_does_not_wait_for_a_change_that_is_not_about_its_server() {
    let database = Database::new().await;
    let store = &*database.store;
    let (lease, _) = due(store, 3).await.expect("a world");
    let mut connection = database.connection().await;
    let mut change = connection.begin().await.expect("a transaction");
    sqlx::query("UPDATE configuration SET version = version + 1")
        .execute(&mut *change)
        .await
        .expect("locked");
    tokio::time::timeout(PATIENCE, page(store, &lease, 3, "BLUE")).await.expect("no wait").expect("a page");
    let waits = store.clone();
    let waits = tokio::spawn(async move { waits.configure(&[everywhere("all")], None, &operator(2)).await });
    // The next change waits for the one before, and sees then what it has made.
    let mut looking = database.connection().await;
    waiting(&mut looking, "lock_configuration").await;
    change.commit().await.expect("it ends");
    let version = waits.await.expect("no panic").expect("made");
    let configuration = store.configuration().await.expect("read");
    assert_eq!(
        (configuration.version, configuration.version.0),
        (version, 5),
        "a profile, a default, these two"
    );
}

/// A change waits for the pages of those MDM servers that it concerns, and for no others.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_waits_for_the_pages_of_the_servers_that_it_concerns() {
    let database = Database::new().await;
    let store = &*database.store;
    let (lease, _) = due(store, 3).await.expect("a world");
    let new = NewServer {
        name: "other".parse().expect("a good name"),
        base_url: "http://127.0.0.1:9/".to_owned(),
        paused: false,
    };
    let other = store.add_server(&new, &operator(0)).await.expect("added");
    let mut connection = database.connection().await;
    let mut page = connection.begin().await.expect("a transaction");
    sqlx::query("SELECT id FROM mdm_servers WHERE id = $1 FOR NO KEY UPDATE")
        .bind(lease.server.0)
        .execute(&mut *page)
        .await
        .expect("locked as by a page");
    let default = Change::SetDefault { server: other, scope: Scope::Any, profile: "one".parse().ok() };
    let free = async { store.configure(&[default], None, &operator(2)).await };
    tokio::time::timeout(PATIENCE, free).await.expect("no wait").expect("made");
    let waits = store.clone();
    let waits = tokio::spawn(async move { waits.configure(&[everywhere("all")], None, &operator(3)).await });
    waiting(&mut database.connection().await, "lock_changed_servers").await;
    // What it is about to change is not seen before.
    assert!(store.configuration().await.expect("read").rules.is_empty());
    page.commit().await.expect("it ends");
    waits.await.expect("no panic").expect("made");
    assert!(store.decisions_pending(lease.server).await.expect("told"));
}

/// Returns once a statement of that name waits for a lock.
async fn waiting(connection: &mut PgConnection, name: &str) {
    loop {
        let waiting: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM pg_stat_activity
                 WHERE wait_event_type = 'Lock' AND query LIKE '-- ' || $1 || '%')",
        )
        .bind(name)
        .fetch_one(&mut *connection)
        .await
        .expect("told");
        if waiting {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A change of one MDM server reads and writes that one, and not ten thousand.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_one_server_does_not_read_all() {
    const SERVERS: i64 = 10_000;
    let database = Database::new().await;
    let mut connection = database.connection().await;
    many::add_servers(&mut connection, SERVERS, at(100)).await;
    sqlx::query("ANALYZE").execute(&mut connection).await.expect("statistics");
    let server = ServerId(
        sqlx::query_scalar("SELECT max(id) FROM mdm_servers")
            .fetch_one(&mut connection)
            .await
            .expect("an id"),
    );
    let read = async || {
        let database = &database;
        let mut connection = database.connection().await;
        loop {
            let (others, read): (i64, i64) = sqlx::query_as(
                "SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                         AND backend_type = 'client backend' AND pid <> pg_backend_pid()),
                     seq_tup_read + (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes
                         WHERE relname = 'mdm_servers')
                 FROM pg_stat_user_tables WHERE relname = 'mdm_servers'",
            )
            .fetch_one(&mut connection)
            .await
            .expect("statistics");
            if others == 0 {
                return read;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    connection.close().await.expect("it ends");
    database.store.close().await;
    let before = read().await;
    let store = PostgresStore::connect(&database.url).await.expect("it opens");
    let name = "one".parse().expect("a good name");
    let by = operator(1);
    store.add_profile(&name, Default::default(), &by).await.expect("added");
    store.set_defaults(server, &[(Scope::Any, Some(name.clone()))], &by).await.expect("set");
    let settings = SyncSettings { delta_interval_s: Some(60), ..SyncSettings::default() };
    store.set_sync_settings(server, &settings, &by).await.expect("set");
    let revise = Change::Revise {
        profile: name.clone(),
        seen: None,
        revision: adelie_store::configuration::NewRevision {
            content_hash: "new".to_owned(),
            ..Default::default()
        },
        percent: 100,
    };
    store.configure(&[revise], None, &by).await.expect("made");
    let unset = Change::SetDefault { server, scope: Scope::Any, profile: None };
    store.configure(&[unset, Change::RemoveProfile { name }], None, &by).await.expect("made");
    store.close().await;
    let read = read().await - before;
    assert!(read < 200, "{read} rows or index entries of MDM servers were read");
}

/// The database of an older Adelie: devices keep the revision that they had, which was the newest.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_database_keeps_the_newest_revisions_in_force() {
    let url = cluster().new_database().expect("a fresh database");
    let mut connection = PgConnection::connect(&url).await.expect("it is there");
    sqlx::migrate!().run_to(5, &mut connection).await.expect("an older schema");
    let old = "INSERT INTO mdm_servers (name, base_url, paused, created_at)
             VALUES ('lab', 'http://127.0.0.1', false, now());
         INSERT INTO profiles (name, created_at) VALUES ('first', now()), ('second', now());
         INSERT INTO profile_revisions (profile_id, number, content, content_hash, created_at) VALUES
             (2, 1, '{}', 'a', now()), (1, 1, '{}', 'b', now()), (1, 2, '{}', 'c', now());
         INSERT INTO server_defaults (server_id, scope, profile_id) VALUES (1, 'any', 1)";
    sqlx::raw_sql(old).execute(&mut connection).await.expect("stored");
    let store = PostgresStore::connect(&url).await.expect("it is brought up to date");
    let profiles = store.profiles().await.expect("a list");
    let in_force: Vec<_> = profiles.iter().map(|revision| (revision.number, revision.id.0)).collect();
    assert_eq!(in_force, [(2, 3), (1, 1)]);
    assert_eq!(store.defaults(ServerId(1)).await.expect("a list")[0].revision.0, 3);
    let configuration = store.configuration().await.expect("read");
    assert_eq!((configuration.version.0, configuration.profiles.len()), (1, 2));
}
