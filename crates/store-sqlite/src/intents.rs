//! Intents: what was to be sent before anything else of its pages is stored.

use adelie_model::{Counts, SerialNumber, ServerId, Timestamp, halt, to_millis};
use adelie_store::page::{self, Answer, Intended};
use adelie_store::{Lease, PageCommit, SendAhead, Turn};
use sqlx::SqliteConnection;

use crate::failure::Attempt;
use crate::policy::policy;
use crate::{SqliteStore, batch, fence, rows, sync, webhooks};

/// Works out pages of which no device is stored, and stores the intent to send what they find due.
pub(crate) async fn intend(
    store: &SqliteStore,
    lease: &Lease,
    pages: Vec<PageCommit>,
    ahead: SendAhead,
) -> Attempt<Result<Intended, Vec<PageCommit>>> {
    // Beside the transaction that stores the pages before; what has changed until these are stored counts then.
    let mut reader = store.read().await?;
    let fenced = fence::pass(&mut reader, lease).await?;
    let policy = policy(store, &mut reader, lease.server).await?;
    drop(reader);
    let mut intended = match page::intend(lease.server, fenced.first_import, pages, policy, ahead) {
        Ok(intended) => intended,
        Err(pages) => return Ok(Err(pages)),
    };
    let sent: Vec<_> = intended.serials().collect();
    if sent.is_empty() {
        return Ok(Ok(intended));
    }
    let mut transaction = store.write().await?;
    fence::pass(&mut transaction, lease).await?;
    let id: i64 = sqlx::query_scalar(
        "-- add_intent
         INSERT INTO intents (server_id, serials, at) VALUES (?1, ?2, ?3) RETURNING id",
    )
    .bind(lease.server.0)
    .bind(batch::list(&sent)?)
    .bind(to_millis(store.clock.now()).timestamp_millis())
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    intended.intent = Some(id);
    Ok(Ok(intended))
}

/// Stores pages with what Apple has answered. What need not wait for its turn is worked out before, because SQLite has one
/// writer, which should have nothing to wait for.
pub(crate) async fn commit(
    store: &SqliteStore,
    lease: &Lease,
    mut intended: Intended,
    answers: &[Answer],
    now: Timestamp,
    mut turn: Turn,
) -> Attempt<Counts> {
    let events = intended.take_in(answers, to_millis(now));
    let counts = intended.counts();
    let mut devices = intended.in_order(lease);
    turn.come().await?;
    let mut transaction = store.write().await?;
    fence::pass(&mut transaction, lease).await?;
    let policy = policy(store, &mut transaction, lease.server).await?;
    if !intended.is_decided_by(&policy) {
        intended.decide_anew(&policy, to_millis(now));
        devices = intended.in_order(lease);
    }
    batch::insert(&mut transaction, &devices).await?;
    if let Some(last) = intended.pages.last() {
        let pages =
            if webhooks::pages_wanted(&mut transaction).await? { intended.sync_pages() } else { Vec::new() };
        let told: Vec<_> = intended.plans.iter().flat_map(|plan| &plan.events).chain(&pages).collect();
        batch::events(&mut transaction, lease.server, Some(last.run), &told, last.now).await?;
        sync::add_counts(&mut transaction, last.run, &counts).await?;
        sync::move_cursor(&mut transaction, lease.server, last).await?;
    }
    batch::events(&mut transaction, lease.server, None, &events, now).await?;
    forget(&mut transaction, intended.intent).await?;
    halt::point("settle.before_commit");
    halt::point("page.before_commit");
    transaction.commit().await?;
    // Giving back the memory of so many devices takes a while in which the next can be stored.
    tokio::task::spawn_blocking(|| drop(intended));
    Ok(counts)
}

/// Forgets an intent whose pages are stored by the transaction.
async fn forget(transaction: &mut SqliteConnection, intent: Option<i64>) -> Attempt<()> {
    if let Some(id) = intent {
        sqlx::query("-- forget_intent\nDELETE FROM intents WHERE id = ?1")
            .bind(id)
            .execute(transaction)
            .await?;
    }
    Ok(())
}

/// The devices of all intents of an MDM server.
pub(crate) async fn open(store: &SqliteStore, server: ServerId) -> Attempt<Vec<SerialNumber>> {
    let found: Vec<String> =
        sqlx::query_scalar("-- open_intents\nSELECT serials FROM intents WHERE server_id = ?1 ORDER BY id")
            .bind(server.0)
            .fetch_all(&mut *store.read().await?)
            .await?;
    let mut serials = Vec::new();
    for text in found {
        serials.extend(rows::json::<Vec<SerialNumber>>("intents.serials", &text)?);
    }
    Ok(serials)
}

/// Forgets all intents of the lease's MDM server.
pub(crate) async fn close(store: &SqliteStore, lease: &Lease) -> Attempt<()> {
    let mut transaction = store.write().await?;
    fence::pass(&mut transaction, lease).await?;
    sqlx::query("-- close_intents\nDELETE FROM intents WHERE server_id = ?1")
        .bind(lease.server.0)
        .execute(&mut *transaction)
        .await?;
    Ok(transaction.commit().await?)
}
