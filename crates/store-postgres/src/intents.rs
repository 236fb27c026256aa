//! Intents: what was to be sent before anything else of its pages is stored.

use std::time::Instant;

use adelie_model::{Counts, SerialNumber, ServerId, Timestamp, halt, to_millis};
use adelie_store::page::{self, Answer, Intended};
use adelie_store::{Lease, PageCommit, Policy, Result, SendAhead, Turn};
use sqlx::{PgConnection, PgPool};
use tokio::sync::Mutex;

use crate::failure::{Attempt, run};
use crate::policy::policy;
use crate::{PostgresStore, batch, copy, fence, sync};

/// Works out pages of which no device is stored, and stores the intent to send what they find due.
pub(crate) async fn intend(
    store: &PostgresStore,
    lease: &Lease,
    pages: Vec<PageCommit>,
    ahead: SendAhead,
) -> Result<std::result::Result<Intended, Vec<PageCommit>>> {
    const DOING: &str = "store what pages are to send";
    // Beside the transaction that stores the pages before; what has changed until these are stored counts then.
    let (first_import, policy) = run(DOING, || basis(store, lease)).await?;
    let mut intended = match page::intend(lease.server, first_import, pages, policy, ahead) {
        Ok(intended) => intended,
        Err(pages) => return Ok(Err(pages)),
    };
    let serials: Vec<_> = intended.serials().collect();
    if !serials.is_empty() {
        intended.intent = Some(run(DOING, || add(&store.pool, lease, &serials)).await?);
    }
    Ok(Ok(intended))
}

/// What pages are worked out by.
async fn basis(store: &PostgresStore, lease: &Lease) -> Attempt<(bool, Policy)> {
    let mut connection = store.pool.acquire().await?;
    let first_import: bool =
        sqlx::query_scalar("-- first_import\nSELECT last_full_at IS NULL FROM mdm_servers WHERE id = $1")
            .bind(lease.server.0)
            .fetch_one(&mut *connection)
            .await?;
    Ok((first_import, policy(store, &mut connection, lease.server).await?))
}

async fn add(pool: &PgPool, lease: &Lease, serials: &[&SerialNumber]) -> Attempt<i64> {
    let mut transaction = pool.begin().await?;
    fence::shared(&mut transaction, lease).await?;
    let id: i64 = sqlx::query_scalar(
        "-- add_intent
         INSERT INTO intents (server_id, serials, at) VALUES ($1, $2, clock_timestamp()) RETURNING id",
    )
    .bind(lease.server.0)
    .bind(batch::in_order(serials))
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(id)
}

/// Stores pages with what Apple has answered. As long as the pages before are not stored, its devices are written beside
/// them; everything else waits for its turn.
pub(crate) async fn commit(
    store: &PostgresStore,
    lease: &Lease,
    intended: &Mutex<Intended>,
    answers: &[Answer],
    now: Timestamp,
    turn: &Mutex<Turn>,
) -> Attempt<Counts> {
    let (mut intended, mut turn) = (intended.lock().await, turn.lock().await);
    if !turn.has_come() {
        let beside = write(store, lease, &mut intended, answers, now, Some(&mut turn)).await?;
        if let Some(counts) = beside {
            return Ok(counts);
        }
        tracing::debug!(server = %lease.server, "what decides has changed while devices were written; once more");
    }
    let counts = write(store, lease, &mut intended, answers, now, None).await?;
    // Alone, nothing can have changed.
    Ok(counts.unwrap_or_default())
}

/// Stores pages in one transaction, which first writes their devices and then waits for its turn, if that is still to
/// come. `None`, and nothing is stored, when what decides about devices is another one by then.
async fn write(
    store: &PostgresStore,
    lease: &Lease,
    intended: &mut Intended,
    answers: &[Answer],
    now: Timestamp,
    turn: Option<&mut Turn>,
) -> Attempt<Option<Counts>> {
    let started = Instant::now();
    let server = lease.server;
    let mut transaction = store.pool.begin().await?;
    let fenced = match turn {
        // Nobody takes the lease before this ends.
        Some(_) => {
            fence::shared(&mut transaction, lease).await?;
            None
        }
        None => Some(fence::alone(&mut transaction, lease).await?),
    };
    let decided_by = policy(store, &mut transaction, server).await?;
    let events = intended.take_in(answers, to_millis(now));
    if !intended.is_decided_by(&decided_by) {
        intended.decide_anew(&decided_by, to_millis(now));
    }
    copy::insert_with_epochs(&mut transaction, &intended.in_order(lease)).await?;
    let fenced = match (turn, fenced) {
        (Some(turn), _) => {
            turn.come().await?;
            let fenced = fence::alone(&mut transaction, lease).await?;
            if !policy(store, &mut transaction, server).await?.decides_like(&decided_by) {
                transaction.rollback().await?;
                return Ok(None);
            }
            Some(fenced)
        }
        (None, fenced) => fenced,
    };
    let counts = intended.counts();
    if let Some(last) = intended.pages.last() {
        let wanted = fenced.is_some_and(|fenced| fenced.pages_wanted);
        let pages = if wanted { intended.sync_pages() } else { Vec::new() };
        let told: Vec<_> = intended.plans.iter().flat_map(|plan| &plan.events).chain(&pages).collect();
        batch::events(&mut transaction, server, Some(last.run), &told, last.now).await?;
        sync::count(&mut transaction, server, last.run, &counts).await?;
        sync::move_on(&mut transaction, server, last).await?;
    }
    batch::events(&mut transaction, server, None, &events, now).await?;
    forget(&mut transaction, intended.intent).await?;
    halt::point("settle.before_commit");
    halt::point("page.before_commit");
    transaction.commit().await?;
    tracing::debug!(
        %server, pages = counts.pages, records = counts.records, answers = answers.len(),
        millis = started.elapsed().as_millis(), "committed pages with their assignments"
    );
    Ok(Some(counts))
}

/// Forgets an intent whose pages are stored by the transaction.
async fn forget(transaction: &mut PgConnection, intent: Option<i64>) -> Attempt<()> {
    if let Some(id) = intent {
        sqlx::query("-- forget_intent\nDELETE FROM intents WHERE id = $1")
            .bind(id)
            .execute(transaction)
            .await?;
    }
    Ok(())
}

/// The devices of all intents of an MDM server.
pub(crate) async fn open(pool: &PgPool, server: ServerId) -> Attempt<Vec<SerialNumber>> {
    let serials: Vec<String> = sqlx::query_scalar(
        "-- open_intents
         SELECT serial FROM intents CROSS JOIN UNNEST(serials) AS s (serial) WHERE server_id = $1 ORDER BY id, serial",
    )
    .bind(server.0)
    .fetch_all(pool)
    .await?;
    Ok(serials.into_iter().map(SerialNumber::from_apple).collect())
}

/// Forgets all intents of the lease's MDM server.
pub(crate) async fn close(pool: &PgPool, lease: &Lease) -> Attempt<()> {
    let mut transaction = pool.begin().await?;
    fence::alone(&mut transaction, lease).await?;
    sqlx::query("-- close_intents\nDELETE FROM intents WHERE server_id = $1")
        .bind(lease.server.0)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}
