//! What PostgreSQL alone does about the audit.

use std::time::{Duration, Instant};

use adelie_store::contract::{Fixture, audit};
use adelie_store::{AuditStore, ServerStore};
use sqlx::Connection;

use crate::common::Database;
use crate::operator;

/// Writers wait for each other in one order only. A deadlock would be tried again and remain unseen, but for this count.
#[tokio::test(flavor = "multi_thread")]
async fn many_writers_never_deadlock() {
    const PATIENCE: Duration = Duration::from_secs(60);
    let database = Database::new().await;
    audit::many_writers_make_one_chain(&database).await.expect("the contract");
    database.store.close().await;
    let mut connection = database.connection().await;
    // A connection counts its deadlocks when it ends.
    let began = Instant::now();
    loop {
        let others: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'adelie'",
        )
        .fetch_one(&mut connection)
        .await
        .expect("a number");
        if others == 0 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{others} connections never ended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let deadlocks: i64 =
        sqlx::query_scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            .fetch_one(&mut connection)
            .await
            .expect("a number");
    connection.close().await.expect("its end");
    assert_eq!(deadlocks, 0);
}

/// `TRUNCATE` fires no trigger of rows.
#[tokio::test]
async fn the_audit_is_not_emptied() {
    let database = Database::new().await;
    let new = adelie_store::NewServer {
        name: "lab".parse().expect("a name"),
        base_url: "http://127.0.0.1:9".to_owned(),
        paused: false,
    };
    database.store.add_server(&new, &operator(0)).await.expect("added");
    for table in ["audit", "audit_head"] {
        let refused = database.past(&format!("TRUNCATE {table}")).await.expect_err("it is never emptied");
        assert!(refused.contains("only added to"), "{refused}");
    }
    assert_eq!(database.store.audit_head().await.expect("the head").number, 1);
}
