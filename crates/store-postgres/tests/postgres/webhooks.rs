//! What only PostgreSQL can get wrong about webhooks.

use std::time::Duration;

use adelie_model::{SerialNumber, ServerId, WebhookId, WebhookSecretId};
use adelie_store::{DeviceStore, NewWebhook, Sealed, SealedSecret, ServerStore, WebhookFormat, WebhookStore};
use adelie_store_postgres::PostgresStore;
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;
use uuid::Uuid;

use crate::common::{Database, cluster};
use crate::{at, operator};

fn endpoint(ordered: bool) -> NewWebhook {
    NewWebhook {
        url: "https://example.com".to_owned(),
        events: vec!["*".to_owned()],
        servers: Vec::new(),
        format: WebhookFormat::Standard,
        thin: false,
        ordered,
        concurrency: 1,
        secret: SealedSecret {
            id: WebhookSecretId(Uuid::from_u128(u128::from(ordered))),
            secret: Sealed(Vec::new()),
            valid_until: None,
        },
    }
}

/// The database of an older Adelie: what happened is told by the names that it has now.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_an_older_database_have_their_new_names() {
    let url = cluster().new_database().expect("a fresh database");
    let mut connection = PgConnection::connect(&url).await.expect("it is there");
    sqlx::migrate!().run_to(6, &mut connection).await.expect("an older schema");
    let old = r#"INSERT INTO mdm_servers (name, base_url, paused, created_at)
             VALUES ('lab', 'http://127.0.0.1', false, now());
         INSERT INTO events (server_id, serial, kind, at, data) VALUES (1, 'A', 'device.added', now(), '{}'),
             (1, NULL, 'devices.failed', now(), '{"serial_numbers": ["A"]}'),
             (1, 'A', 'device.drifted', now(), '{}')"#;
    sqlx::raw_sql(old).execute(&mut connection).await.expect("stored");
    let store = PostgresStore::connect(&url).await.expect("it is brought up to date");
    let serial = SerialNumber::from_apple("A".to_owned());
    let events = store.device_events(ServerId(1), &serial, None, 10).await.expect("a history");
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["drift.detected", "assignment.failed", "device.added"]);
}

/// Two schemas of one database are two stores: who waits for one hears nothing of the other.
#[tokio::test(flavor = "multi_thread")]
async fn schemas_of_one_database_are_told_apart() {
    let url = cluster().new_database().expect("a fresh database");
    let mut connection = PgConnection::connect(&url).await.expect("it is there");
    sqlx::raw_sql("CREATE SCHEMA one; CREATE SCHEMA two").execute(&mut connection).await.expect("schemas");
    let open = async |schema: &str| {
        let url = format!("{url}&options=-c%20search_path%3D{schema}");
        PostgresStore::connect(&url).await.expect("it opens")
    };
    let (one, two) = (open("one").await, open("two").await);
    assert_ne!(one.installation().await.expect("a name"), two.installation().await.expect("a name"));
    for store in [&one, &two] {
        store.add_webhook(&endpoint(false), &operator(1)).await.expect("added");
    }
    one.wait_for_deliveries().await.expect("it listens");
    while timeout(Duration::from_millis(100), one.wait_for_deliveries()).await.is_ok() {}
    let test = async |store: &PostgresStore| {
        let mut other = endpoint(false);
        other.secret.id = WebhookSecretId(Uuid::from_u128(7));
        store.add_webhook(&other, &operator(2)).await.expect("added, which the first endpoint hears");
    };
    test(&two).await;
    assert!(timeout(Duration::from_millis(200), one.wait_for_deliveries()).await.is_err());
    test(&one).await;
    timeout(Duration::from_secs(10), one.wait_for_deliveries()).await.expect("woken").expect("it listens");
    // A handle that listens closes all the same.
    timeout(Duration::from_secs(10), one.close()).await.expect("closed");
    one.wait_for_deliveries().await.expect_err("it is closed");
}

/// A connection that listens may end; who waits then looks, and listens again.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_goes_on_after_a_lost_connection() {
    let database = Database::new().await;
    let store = &database.store;
    store.add_webhook(&endpoint(false), &operator(1)).await.expect("added");
    store.wait_for_deliveries().await.expect("it listens");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'";
    sqlx::query(end).execute(&mut database.connection().await).await.expect("ended");
    timeout(Duration::from_secs(10), store.wait_for_deliveries())
        .await
        .expect("it looks")
        .expect("it listens");
    while timeout(Duration::from_millis(300), store.wait_for_deliveries()).await.is_ok() {}
    let mut other = endpoint(true);
    other.secret.id = WebhookSecretId(Uuid::from_u128(7));
    store.add_webhook(&other, &operator(2)).await.expect("added, which the first endpoint hears");
    timeout(Duration::from_secs(10), store.wait_for_deliveries()).await.expect("woken").expect("it listens");
}

/// Claiming reads what it claims, however much waits, in order or not, and whether PostgreSQL knows the table or not.
#[tokio::test(flavor = "multi_thread")]
async fn claiming_reads_no_more_than_it_claims() {
    const WAITING: i64 = 20_000;
    let database = Database::new().await;
    let mut connection = database.connection().await;
    let plain = database.store.add_webhook(&endpoint(false), &operator(1)).await.expect("added");
    let ordered = database.store.add_webhook(&endpoint(true), &operator(1)).await.expect("added");
    fill(&mut connection, plain, ordered, WAITING).await;
    // It tells what it has read at its end.
    connection.close().await.expect("closed");
    for known in ["no statistics", "statistics"] {
        if known == "statistics" {
            let mut connection = database.connection().await;
            sqlx::query("ANALYZE").execute(&mut connection).await.expect("statistics");
            connection.close().await.expect("closed");
        }
        let before = reads(&database).await;
        let store = PostgresStore::connect(&database.url).await.expect("it opens");
        let claimed =
            store.claim_deliveries(&[(plain, 50), (ordered, 50)], at(9), at(39)).await.expect("claimed");
        assert_eq!(claimed.len(), 100, "with {known}");
        let (due, _) = store.due_webhooks(at(9)).await.expect("known");
        assert_eq!(due, [plain, ordered]);
        store.close().await;
        let read = reads(&database).await - before;
        assert!(read < 2000, "{read} rows or index entries were read, with {known}");
    }
}

/// So many deliveries for each of two endpoints, of as many devices.
async fn fill(connection: &mut PgConnection, plain: WebhookId, ordered: WebhookId, number: i64) {
    let statements = [
        "ALTER TABLE deliveries SET (autovacuum_enabled = false)",
        "ALTER TABLE events SET (autovacuum_enabled = false)",
        "INSERT INTO mdm_servers (name, base_url, paused, created_at) VALUES ('lab', 'http://127.0.0.1', false, now())",
        "DELETE FROM events",
    ];
    for statement in statements {
        sqlx::query(statement).execute(&mut *connection).await.expect("prepared");
    }
    sqlx::query(
        "WITH e AS (
             INSERT INTO events (server_id, serial, kind, at, data)
             SELECT s.id, 'S' || n, 'device.added', $2, '{}' FROM mdm_servers s CROSS JOIN generate_series(1, $1) AS n
             RETURNING id, server_id, serial, at
         )
         INSERT INTO deliveries (webhook_id, event_id, at, server_id, serial, ordered, state, due_at)
         SELECT w.id, e.id, e.at, e.server_id, e.serial, w.ordered, 'pending', e.at FROM e CROSS JOIN webhooks w
         WHERE w.id IN ($3, $4)",
    )
    .bind(number)
    .bind(at(1))
    .bind(plain.0)
    .bind(ordered.0)
    .execute(&mut *connection)
    .await
    .expect("prepared");
}

/// How many rows and index entries of deliveries and events were read so far. What a connection has read is told at its
/// end, so that this waits for the end of those of stores that were closed.
async fn reads(database: &Database) -> i64 {
    database.store.servers().await.expect("a list");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    sqlx::query_scalar(
        "SELECT (SELECT sum(seq_tup_read) + sum(idx_tup_fetch) FROM pg_stat_user_tables
                 WHERE relname IN ('deliveries', 'events'))::bigint
             + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname IN ('deliveries', 'events'))::bigint",
    )
    .fetch_one(&mut database.connection().await)
    .await
    .expect("statistics")
}
