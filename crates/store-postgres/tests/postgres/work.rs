//! Asking for work and giving it back, with several copies on one database.

use std::collections::HashSet;
use std::time::Duration;

use adelie_model::ServerId;
use adelie_store::{LeaseAnswer, LeaseStore, ServerStore, WorkEnd};
use adelie_store_postgres::PostgresStore;
use sqlx::{Connection, PgConnection};

use crate::common::Database;
use crate::{TTL, at, due, many};

/// A service asks every second. With nothing due that reads nothing, however many MDM servers there are and whether
/// PostgreSQL knows how many or not.
#[tokio::test(flavor = "multi_thread")]
async fn asking_for_work_in_vain_reads_no_server() {
    const SERVERS: i64 = 10_000;
    const ASKED: i64 = 50;
    let database = Database::new().await;
    let silence = "ALTER TABLE mdm_servers SET (autovacuum_enabled = false)";
    sqlx::query(silence).execute(&mut database.connection().await).await.expect("no statistics are made");
    many::add_servers(&mut database.connection().await, SERVERS, at(100)).await;
    for known in ["no statistics", "statistics"] {
        if known == "statistics" {
            sqlx::query("ANALYZE").execute(&mut database.connection().await).await.expect("statistics");
        }
        let before = server_reads(&database).await;
        let store = PostgresStore::connect(&database.url).await.expect("it opens");
        for _ in 0..ASKED {
            let claimed = store.claim_due_servers("us", TTL, at(99), 10).await.expect("an answer");
            assert_eq!(claimed, [], "with {known}");
        }
        store.close().await;
        let after = server_reads(&database).await;
        assert_eq!(after.0 - before.0, ASKED, "each looked into the index, with {known}");
        assert_eq!(after.1 - before.1, 0, "and read nothing, with {known}");
    }
    let claimed = database.store.claim_due_servers("us", TTL, at(101), 10).await.expect("an answer");
    assert_eq!(claimed.len(), 2, "what is due is found");
}

/// How often the index of servers by their next work was looked into so far, and how many rows and index entries of
/// the table were read. What a connection has read is told at its end, so that this waits for the end of all others.
async fn server_reads(database: &Database) -> (i64, i64) {
    let mut connection = database.connection().await;
    loop {
        let others: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
        )
        .fetch_one(&mut connection)
        .await
        .expect("a count");
        if others == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    sqlx::query_as(
        "SELECT (SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'mdm_servers_by_work'),
             seq_tup_read + (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes
                 WHERE relname = 'mdm_servers')
         FROM pg_stat_user_tables WHERE relname = 'mdm_servers'",
    )
    .fetch_one(&mut connection)
    .await
    .expect("statistics")
}

/// L18: copies that ask at once get different servers, and none waits for a row that another one works with.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn copies_that_ask_at_once_get_different_servers() {
    const SERVERS: usize = 200;
    let database = Database::new().await;
    let mut connection = database.connection().await;
    many::add_servers(&mut connection, SERVERS as i64, at(0)).await;
    // One transaction holds the server that is due first, as a change of its settings does.
    let mut busy = connection.begin().await.expect("a transaction");
    let held: i64 =
        sqlx::query_scalar("SELECT id FROM mdm_servers ORDER BY work_at LIMIT 1 FOR NO KEY UPDATE")
            .fetch_one(&mut *busy)
            .await
            .expect("a server");
    let other = PostgresStore::connect(&database.url).await.expect("it opens twice");
    let copies: Vec<_> = [&*database.store, &other, &*database.store, &other]
        .into_iter()
        .enumerate()
        .map(|(number, store)| {
            let (store, owner) = (store.clone(), format!("copy {number}"));
            tokio::spawn(async move {
                let mut all = Vec::new();
                loop {
                    let claimed = store.claim_due_servers(&owner, TTL, at(1000), 7).await.expect("an answer");
                    if claimed.is_empty() {
                        return all;
                    }
                    all.extend(claimed);
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for copy in copies {
        all.extend(copy.await.expect("no panic"));
    }
    let servers: HashSet<_> = all.iter().map(|lease| lease.server).collect();
    assert_eq!((all.len(), servers.len()), (SERVERS - 1, SERVERS - 1));
    assert!(!servers.contains(&ServerId(held)));
    busy.rollback().await.expect("it ends");
    let last = other.claim_due_servers("copy 1", TTL, at(1000), 7).await.expect("an answer");
    assert_eq!(last.iter().map(|lease| lease.server).collect::<Vec<_>>(), [ServerId(held)]);
    for lease in all.iter().chain(&last) {
        other.renew_lease(lease, TTL).await.expect("it is theirs");
    }
    other.close().await;
}

/// L16: the holder of a lease dies long before its server's work would have been due; the next one does not wait for
/// that.
#[tokio::test(flavor = "multi_thread")]
async fn work_that_was_cut_off_is_due_once_its_lease_has_run_out() {
    let database = Database::new().await;
    let store = &database.store;
    many::add_servers(&mut database.connection().await, 1, at(5000)).await;
    let server = store.servers().await.expect("a list").remove(0).id;
    assert_eq!(store.claim_due_servers("them", TTL, at(1), 7).await.expect("an answer"), []);
    let killed = store.acquire_lease(server, "us", Duration::from_millis(20)).await.expect("an answer");
    let LeaseAnswer::Ours(killed) = killed else { panic!("{killed:?}") };
    let taken = loop {
        let mut claimed = store.claim_due_servers("them", TTL, at(1), 7).await.expect("an answer");
        match claimed.pop() {
            Some(lease) => break lease,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    assert_eq!((taken.server, taken.epoch), (server, killed.epoch + 1));
    store.release_lease(&taken, &WorkEnd { now: at(1), not_before: None }).await.expect("released");
    assert_eq!(store.claim_due_servers("them", TTL, at(4999), 7).await.expect("an answer"), []);
}

/// L16: what somebody stores for a server while its lease is given back is seen by the giving back, which waits.
#[tokio::test(flavor = "multi_thread")]
async fn giving_back_sees_what_was_made_due_meanwhile() {
    let database = Database::new().await;
    let store = PostgresStore::clone(&database.store);
    let (lease, _) = due(&store, 1).await.expect("a world");
    let mut connection = database.connection().await;
    let quiet = "UPDATE mdm_servers SET next_sync_at = 'infinity', decide_after = NULL";
    sqlx::query(quiet).execute(&mut connection).await.expect("an update");
    sqlx::query("UPDATE devices SET assign_state = 'assigned', next_attempt_at = NULL")
        .execute(&mut connection)
        .await
        .expect("an update");
    // As an assignment does that was sent under this lease.
    let mut busy = connection.begin().await.expect("a transaction");
    for statement in [
        "SELECT FROM mdm_servers FOR KEY SHARE",
        "UPDATE devices SET assign_state = 'due', next_attempt_at = 'epoch'",
    ] {
        sqlx::query(statement).execute(&mut *busy).await.expect("as a fenced write does");
    }
    let giving = tokio::spawn({
        let store = store.clone();
        let lease = lease.clone();
        async move { store.release_lease(&lease, &WorkEnd { now: at(1), not_before: None }).await }
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
        assert!(!giving.is_finished(), "it did not wait");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    busy.commit().await.expect("it commits");
    giving.await.expect("no panic").expect("released");
    give_token(&mut connection, lease.server.0).await;
    assert_eq!(store.claim_due_servers("them", TTL, at(1), 7).await.expect("an answer").len(), 1);
}

/// Gives one MDM server a token.
async fn give_token(connection: &mut PgConnection, server: i64) {
    sqlx::query(
        "WITH key AS (
             INSERT INTO token_keys (id, server_id, certificate, private_key, created_at)
             VALUES (gen_random_uuid(), $1, '', '', 'epoch') RETURNING id
         )
         INSERT INTO server_tokens
             (id, server_id, key_id, consumer_key, secrets, expires_at, imported_at, is_current)
         SELECT gen_random_uuid(), $1, id, 'CK', '', 'epoch', 'epoch', true FROM key",
    )
    .bind(server)
    .execute(connection)
    .await
    .expect("a token");
}
