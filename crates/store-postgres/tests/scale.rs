//! How long a large organization takes. Not run by itself: `cargo test --release -p adelie-store-postgres
//! --test scale -- --ignored --nocapture`, with `ADELIE_SCALE_DEVICES` for another size.

mod common;
#[path = "common/many.rs"]
mod many;

use std::time::{Duration, Instant};

use adelie_model::{
    Actual, AssignState, Cursor, DeviceFamily, ProfileStatus, ProfileUuid, RunOutcome, SerialNumber,
    ServerId, SyncKind, SyncPhase, Timestamp, Trigger, WebhookSecretId,
};
use adelie_rules::Scope;
use adelie_store::configuration::NewRevision;
use adelie_store::page::Record;
use adelie_store::{
    AssignStore, Attempt, Attempted, ConfigurationStore, DeliveryOutcome, DeviceFilter, DeviceStore,
    LeaseAnswer, LeaseStore, NewServer, NewWebhook, Operator, PageCommit, ProfileStore, PublishOutcome,
    RunEnd, RunStart, Sealed, SealedSecret, ServerStore, Settlement, SyncStore, WebhookFormat, WebhookStore,
};
use adelie_store_postgres::PostgresStore;
use common::Database;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_770_000_000 + seconds, 0).expect("a moment")
}

fn operator(seconds: i64) -> Operator {
    Operator::new("kim", at(seconds))
}

fn record(number: usize, uuid: Option<&ProfileUuid>) -> Record {
    Record {
        // Spread, as Apple's serial numbers are.
        serial: SerialNumber::from_apple(format!(
            "{:012X}",
            (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16
        )),
        actual: Actual {
            model: Some("MacBook Pro".to_owned()),
            description: Some("MBP 14.2 SPACE GRAY/16GB/512GB".to_owned()),
            color: Some("SPACE GRAY".to_owned()),
            device_family: Some(DeviceFamily::Mac),
            os: Some("OSX".to_owned()),
            profile_status: Some(if uuid.is_some() { ProfileStatus::Assigned } else { ProfileStatus::Empty }),
            profile_uuid: uuid.cloned(),
            profile_assign_time: uuid.map(|_| at(3)),
            device_assigned_by: Some("admin@example.com".to_owned()),
            device_assigned_date: Some(at(-1000)),
            ..Actual::default()
        },
        op_type: None,
        op_date: None,
    }
}

#[expect(clippy::print_stdout, reason = "the times are what this is run for")]
async fn timed<T>(what: &str, work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let value = work.await;
    println!("{what}: {:.3} s", started.elapsed().as_secs_f64());
    value
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a million devices take minutes; the first lines of this file tell the command"]
async fn a_full_sync_with_assignment() {
    let devices: usize =
        std::env::var("ADELIE_SCALE_DEVICES").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let database = Database::new().await;
    let store = PostgresStore::clone(&database.store);
    let new = NewServer {
        name: "lab".parse().expect("a name"),
        base_url: "http://127.0.0.1:9/".to_owned(),
        paused: false,
    };
    let server = store.add_server(&new, &operator(0)).await.expect("a server");
    let name = "one".parse().expect("a name");
    let revision = store.add_profile(&name, NewRevision::default(), &operator(0)).await.expect("a profile");
    store
        .set_defaults(server, &[(Scope::Any, Some(revision.name.clone()))], &operator(0))
        .await
        .expect("a default");
    let answer = store.acquire_lease(server, "us", Duration::from_secs(99_999)).await.expect("an answer");
    let LeaseAnswer::Ours(lease) = answer else { panic!("held") };
    let uuid = ProfileUuid("0123456789ABCDEF0123456789ABCDEF".to_owned());
    let defined = PublishOutcome::Defined { uuid: uuid.clone(), differs: None };
    store.set_published(&lease, revision.id, &defined, at(0)).await.expect("published");

    for pass in ["import", "unchanged"] {
        let shows = (pass == "unchanged").then_some(&uuid);
        let start = RunStart {
            kind: SyncKind::Full,
            trigger: Trigger::Manual,
            requested_by: None,
            removals_accepted: false,
            restart: false,
            now: at(1),
        };
        let run = store.begin_run(&lease, &start).await.expect("a run");
        let sync = async {
            for first in (0..devices).step_by(1000) {
                let page = PageCommit {
                    run: run.id,
                    seen_run: run.id,
                    phase: SyncPhase::Fetch,
                    records: (first..(first + 1000).min(devices))
                        .map(|number| record(number, shows))
                        .collect(),
                    cursor: Cursor(format!("cursor {first}")),
                    more: first + 1000 < devices,
                    fetched_until: None,
                    now: at(2),
                };
                store.commit_page(&lease, &page).await.expect("a page");
            }
        };
        let assign = async {
            let mut left = if pass == "import" { devices } else { 0 };
            while left > 0 {
                let claimed =
                    store.claim_due(&lease, revision.id, 1000, at(3), at(300)).await.expect("a claim");
                if claimed.is_empty() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
                left -= claimed.len();
                let settlements: Vec<_> = claimed
                    .into_iter()
                    .map(|claim| Settlement {
                        serial: claim.serial,
                        state: AssignState::Assigned,
                        reason: String::new(),
                        next_attempt_at: None,
                        profile_uuid: Some(uuid.clone()),
                        drifted: false,
                    })
                    .collect();
                store.settle(&lease, revision.id, &settlements, at(3)).await.expect("settled");
            }
        };
        timed(&format!("{pass} of {devices} with assignment"), async { tokio::join!(sync, assign) }).await;
        assert_eq!(timed("absent", store.absent(server, run.id)).await.expect("a count").absent, 0);
        let end = RunEnd {
            run: run.id,
            outcome: RunOutcome::Done,
            error: None,
            full_completed: true,
            attention: None,
            next_sync_at: at(900),
            now: at(4),
        };
        store.end_run(&lease, &end).await.expect("an end");
    }
    reads(&store).await;

    store.set_defaults(server, &[(Scope::Any, None)], &operator(5)).await.expect("no default");
    timed("decide all anew: unmatched", async {
        while !store.decide_anew(&lease, at(5), 1000).await.expect("decided") {}
    })
    .await;
    store
        .set_defaults(server, &[(Scope::ALL[0].clone(), Some(revision.name))], &operator(6))
        .await
        .expect("a default");
    timed("decide all anew: assigned", async {
        while !store.decide_anew(&lease, at(6), 1000).await.expect("decided") {}
    })
    .await;
    reads(&store).await;
}

async fn reads(store: &PostgresStore) {
    let all = DeviceFilter::default();
    let query = |text: &str| DeviceFilter { query: Some(text.to_owned()), ..DeviceFilter::default() };
    let drifted = DeviceFilter { state: Some(AssignState::Drifted), ..DeviceFilter::default() };
    timed("troubles", store.troubles(None, 20)).await.expect("a list");
    timed("first page", store.devices(&all, None, 50)).await.expect("a list");
    timed("search, many", store.devices(&query("macbook"), None, 50)).await.expect("a list");
    timed("search, none", store.devices(&query("nothing"), None, 50)).await.expect("a list");
    timed("drifted, none", store.devices(&drifted, None, 50)).await.expect("a list");
    timed("one device", store.device(&record(77, None).serial)).await.expect("a device");
    let events = timed("history", store.device_events(ServerId(1), &record(77, None).serial, None, 20)).await;
    assert_eq!(events.expect("a history").len(), 2, "imported and assigned");
    timed("state counts", store.state_counts(None)).await.expect("counts");
}

/// What every copy of a service asks every second, while there is nothing to do for ten thousand MDM servers whose
/// tables are full of dead row versions.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures; the first lines of this file tell the command"]
async fn asking_for_work_in_vain() {
    const SERVERS: i64 = 10_000;
    const ASKED: usize = 200;
    let database = Database::new().await;
    let mut connection = database.connection().await;
    for table in ["mdm_servers", "devices"] {
        let silence = format!("ALTER TABLE {table} SET (autovacuum_enabled = false)");
        sqlx::query(sqlx::AssertSqlSafe(silence)).execute(&mut connection).await.expect("nothing is swept");
    }
    many::add_servers(&mut connection, SERVERS, at(100)).await;
    let statements = [
        "INSERT INTO devices (server_id, serial, extra, first_seen_at, last_seen_at, seen_run, assign_state,
             assign_reason, attempts)
         SELECT s.id, 'S' || lpad(n::text, 4, '0'), '{}', 'epoch', 'epoch', 0, 'assigned', '', 0
         FROM mdm_servers s CROSS JOIN generate_series(1, 20) AS n",
        // Each leaves as many dead row versions as there are rows.
        "UPDATE devices SET assign_state = 'drifted', next_attempt_at = 'epoch'",
        "UPDATE devices SET assign_state = 'assigned', next_attempt_at = NULL",
        "UPDATE mdm_servers SET work_at = 'epoch', lease_epoch = 1",
        "UPDATE mdm_servers SET work_at = next_sync_at, lease_epoch = 2",
    ];
    for statement in statements {
        sqlx::query(statement).execute(&mut connection).await.expect("dead row versions");
    }
    let store = &database.store;
    let mut millis = Vec::with_capacity(ASKED);
    for _ in 0..ASKED {
        let started = Instant::now();
        let claimed = store.claim_due_servers("us", Duration::from_secs(60), at(99), 16).await;
        millis.push(started.elapsed().as_secs_f64() * 1000.0);
        assert_eq!(claimed.expect("an answer"), []);
    }
    millis.sort_by(f64::total_cmp);
    println!(
        "{ASKED} times asked in vain for work on {SERVERS} MDM servers: median {:.2} ms, p99 {:.2} ms",
        millis[ASKED / 2],
        millis[ASKED * 99 / 100]
    );
    let claim = store.claim_due_servers("us", Duration::from_secs(60), at(20_000), 16);
    assert_eq!(timed("claim of 16 out of all", claim).await.expect("an answer").len(), 16);
}

/// How fast deliveries go through the store: claimed in lots by two tasks, settled in lots.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures and proves nothing: `--test scale deliveries_that -- --ignored --nocapture`"]
async fn deliveries_that_wait_are_claimed_and_settled() {
    const WAITING: i64 = 50_000;
    const LOT: u32 = 200;
    for ordered in [false, true] {
        let database = Database::new().await;
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
        let webhook = database.store.add_webhook(&new, &operator(1)).await.expect("added");
        let mut connection = database.connection().await;
        many::add_servers(&mut connection, 1, at(100)).await;
        sqlx::query(
            r#"WITH e AS (
                 INSERT INTO events (server_id, serial, kind, at, data)
                 SELECT s.id, 'S' || (n % 10000), 'device.added', $2, '{"device": {"model": "iPhone", "os": "iOS"}}'
                 FROM mdm_servers s CROSS JOIN generate_series(1, $1) AS n RETURNING id, server_id, serial, at
             )
             INSERT INTO deliveries (webhook_id, event_id, at, server_id, serial, ordered, state, due_at)
             SELECT w.id, e.id, e.at, e.server_id, e.serial, w.ordered, 'pending', e.at FROM e CROSS JOIN webhooks w"#,
        )
        .bind(WAITING)
        .bind(at(1))
        .execute(&mut connection)
        .await
        .expect("prepared");
        let started = Instant::now();
        let sender = async || {
            let store = &database.store;
            let mut sent = 0;
            loop {
                let claimed =
                    store.claim_deliveries(&[(webhook, LOT)], at(9), at(39)).await.expect("claimed");
                if claimed.is_empty() {
                    return sent;
                }
                sent += claimed.len();
                let results: Vec<_> = claimed
                    .iter()
                    .map(|one| Attempted {
                        delivery: one.id,
                        webhook,
                        claim: one.claim,
                        attempt: Attempt {
                            at: at(10),
                            duration: Duration::from_millis(3),
                            status: Some(200),
                            error: None,
                            request: "x".repeat(700),
                            answer: "ok".to_owned(),
                        },
                        outcome: DeliveryOutcome::Delivered,
                        wait_until: None,
                    })
                    .collect();
                store.settle_deliveries(&results, at(10)).await.expect("settled");
            }
        };
        let (one, two) = tokio::join!(sender(), sender());
        let sent = one + two;
        println!(
            "{sent} deliveries, ordered: {ordered}: {:.0} a second",
            sent as f64 / started.elapsed().as_secs_f64()
        );
    }
}
