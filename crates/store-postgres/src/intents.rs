//! Intents: what was to be sent before anything else of its pages is stored.

use std::time::Instant;

use adelie_model::{Counts, SerialNumber, ServerId, Timestamp, halt, to_millis};
use adelie_store::page::{self, Answer, Intended};
use adelie_store::{Lease, PageCommit, SendAhead};
use sqlx::{PgConnection, PgPool};
use tokio::sync::Mutex;

use crate::failure::Attempt;
use crate::{batch, fence, sync};

/// Works out pages of which no device is stored, and stores the intent to send what they find due.
pub(crate) async fn intend(
    pool: &PgPool,
    lease: &Lease,
    pages: &[PageCommit],
    ahead: SendAhead,
) -> Attempt<Option<Intended>> {
    // Beside the transaction that stores the pages before; what has changed until these are stored counts then.
    let mut transaction = pool.begin().await?;
    fence::shared(&mut transaction, lease).await?;
    let first_import: bool =
        sqlx::query_scalar("-- first_import\nSELECT last_full_at IS NULL FROM mdm_servers WHERE id = $1")
            .bind(lease.server.0)
            .fetch_one(&mut *transaction)
            .await?;
    let policy = batch::policy(&mut transaction, lease.server).await?;
    let Some(mut intended) = page::intend(lease.server, first_import, pages, policy, ahead) else {
        return Ok(None);
    };
    let sent: Vec<_> = intended.serials().collect();
    if sent.is_empty() {
        return Ok(Some(intended));
    }
    let id: i64 = sqlx::query_scalar(
        "-- add_intent
         INSERT INTO intents (server_id, serials, at) VALUES ($1, $2, clock_timestamp()) RETURNING id",
    )
    .bind(lease.server.0)
    .bind(batch::in_order(&sent))
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    intended.intent = Some(id);
    Ok(Some(intended))
}

/// Stores pages with what Apple has answered.
pub(crate) async fn commit(
    pool: &PgPool,
    lease: &Lease,
    pages: &[PageCommit],
    intended: &Mutex<Intended>,
    answers: &[Answer],
    now: Timestamp,
) -> Attempt<Counts> {
    let started = Instant::now();
    let server = lease.server;
    let mut intended = intended.lock().await;
    let mut transaction = pool.begin().await?;
    fence::alone(&mut transaction, lease).await?;
    let policy = batch::policy(&mut transaction, server).await?;
    let events = intended.settle(answers, &policy, to_millis(now));
    let counts = sync::write_pages(&mut transaction, lease, pages, &mut intended.group.pages).await?;
    batch::events(&mut transaction, server, None, &events, now).await?;
    forget(&mut transaction, intended.intent).await?;
    halt::point("settle.before_commit");
    halt::point("page.before_commit");
    transaction.commit().await?;
    tracing::debug!(
        %server, pages = pages.len(), records = counts.records, answers = answers.len(),
        millis = started.elapsed().as_millis(), "committed pages with their assignments"
    );
    Ok(counts)
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
