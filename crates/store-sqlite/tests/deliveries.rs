//! How fast deliveries go through the store. Not run by itself: `cargo test --release -p adelie-store-sqlite
//! --test deliveries -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use adelie_model::{ManualClock, Timestamp, WebhookSecretId};
use adelie_store::{
    Attempt, Attempted, DeliveryOutcome, NewWebhook, Operator, Sealed, SealedSecret, WebhookFormat,
    WebhookStore,
};
use adelie_store_sqlite::SqliteStore;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(seconds, 0).expect("a moment")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures and proves nothing: `--test deliveries -- --ignored --nocapture`"]
async fn deliveries_that_wait_are_claimed_and_settled() {
    const LOT: u32 = 200;
    for ordered in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("adelie.db");
        let store = SqliteStore::open(&path, Arc::new(ManualClock::new(at(9)))).await.expect("it opens");
        let new = NewWebhook {
            url: "https://example.com".to_owned(),
            events: vec!["*".to_owned()],
            servers: Vec::new(),
            format: WebhookFormat::Standard,
            thin: false,
            ordered,
            concurrency: 1,
            secret: SealedSecret {
                id: WebhookSecretId(uuid::Uuid::nil()),
                secret: Sealed(Vec::new()),
                valid_until: None,
            },
        };
        let kim = Operator::new("kim", at(1));
        let webhook = store.add_webhook(&new, &kim).await.expect("added");
        let fill = r#"INSERT INTO mdm_servers (name, base_url, paused, created_at) VALUES ('lab', 'http://127.0.0.1', 0, 5);
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20000)
             INSERT INTO events (server_id, serial, kind, at, data)
                 SELECT 1, 'S' || (n % 5000), 'device.added', 1, '{"device": {"model": "iPhone"}}' FROM n;
             INSERT INTO deliveries (webhook_id, event_id, at, server_id, serial, ordered, state, due_at)
                 SELECT w.id, e.id, e.at, e.server_id, e.serial, w.ordered, 'pending', e.at
                 FROM webhooks w CROSS JOIN events e WHERE e.kind = 'device.added'"#;
        let options = SqliteConnectOptions::new().filename(&path);
        let mut connection = SqliteConnection::connect_with(&options).await.expect("it opens");
        sqlx::raw_sql(fill).execute(&mut connection).await.expect("filled");
        connection.close().await.expect("closed");
        let started = Instant::now();
        let mut sent = 0;
        loop {
            let claimed = store.claim_deliveries(&[(webhook, LOT)], at(9), at(39)).await.expect("claimed");
            if claimed.is_empty() {
                break;
            }
            sent += claimed.len();
            let attempt = Attempt {
                at: at(10),
                duration: Duration::from_millis(3),
                status: Some(200),
                error: None,
                request: "x".repeat(700),
                answer: "ok".to_owned(),
            };
            let result = |one: &adelie_store::ClaimedDelivery| Attempted {
                delivery: one.id,
                webhook,
                claim: one.claim,
                attempt: attempt.clone(),
                outcome: DeliveryOutcome::Delivered,
                wait_until: None,
            };
            let results: Vec<_> = claimed.iter().map(result).collect();
            store.settle_deliveries(&results, at(10)).await.expect("settled");
        }
        let a_second = sent as f64 / started.elapsed().as_secs_f64();
        println!("{sent} deliveries, ordered: {ordered}: {a_second:.0} a second");
    }
}
