//! Deliveries that are sent again.

use adelie_model::{DeliveryId, ServerId, Timestamp, WebhookId, to_millis};
use adelie_store::audit::webhook_replayed;
use adelie_store::event::{NewEvent, WebhookReplayed};
use adelie_store::{Operator, Replay};
use sqlx::{PgConnection, PgPool};

use super::fan_out::{about, add_deliveries, ring, wants};
use crate::failure::Attempt;
use crate::{audit, batch};

/// A delivery as if it had just been written. Who is at it has lost its claim.
macro_rules! anew {
    () => {
        "state = 'pending', failures = 0, due_at = $1, finished_at = NULL, sending = false, claim = d.claim + 1"
    };
}

/// Makes deliveries due again, and says how many.
pub(super) async fn replay(pool: &PgPool, which: &Replay, by: &Operator) -> Attempt<u64> {
    let mut transaction = pool.begin().await?;
    let now = to_millis(by.now);
    let deliveries = match which {
        Replay::One(id) => one(&mut transaction, *id, now).await?,
        Replay::Failed(webhook) => failed(&mut transaction, *webhook, now).await?,
        Replay::Range { webhook, since, until } => {
            range(&mut transaction, *webhook, *since, *until, now).await?
        }
    };
    if deliveries > 0 {
        sqlx::query(concat!("-- ring\n", ring!("deliveries"))).execute(&mut *transaction).await?;
        let details = WebhookReplayed { by: by.name.clone(), deliveries };
        let event = NewEvent::new("webhook.replayed", &details);
        batch::events(&mut transaction, None::<ServerId>, None, &[event], now).await?;
        audit::write(&mut transaction, by, &[webhook_replayed(which, deliveries)]).await?;
    }
    transaction.commit().await?;
    Ok(deliveries)
}

async fn one(transaction: &mut PgConnection, id: DeliveryId, now: Timestamp) -> Attempt<u64> {
    let done = sqlx::query(concat!(
        "-- replay_one\nUPDATE deliveries d SET ",
        anew!(),
        " FROM webhooks w WHERE d.id = $2 AND w.id = d.webhook_id AND w.state <> 'removed'",
    ))
    .bind(now)
    .bind(id.0)
    .execute(transaction)
    .await?;
    Ok(done.rows_affected())
}

async fn failed(transaction: &mut PgConnection, webhook: Option<WebhookId>, now: Timestamp) -> Attempt<u64> {
    let done = sqlx::query(concat!(
        "-- replay_failed\nUPDATE deliveries d SET ",
        anew!(),
        " FROM webhooks w WHERE d.state IN ('retrying', 'dead') AND w.id = d.webhook_id AND w.state <> 'removed'
             AND ($2::bigint IS NULL OR w.id = $2)",
    ))
    .bind(now)
    .bind(webhook.map(|webhook| webhook.0))
    .execute(transaction)
    .await?;
    Ok(done.rows_affected())
}

const RANGE: &str = concat!(
    "-- replay_range
         WITH e AS (
             SELECT id, server_id, serial, kind, at, ",
    about!(),
    " FROM events WHERE at >= $3 AND at < $4
         ),
         new AS (\n",
    add_deliveries!(),
    "$1 FROM webhooks w CROSS JOIN e WHERE w.id = $2 AND ",
    wants!(),
    " ORDER BY e.id ON CONFLICT (event_id, webhook_id) DO NOTHING
             RETURNING id
         ),
         again AS (
             UPDATE deliveries d SET ",
    anew!(),
    " FROM e CROSS JOIN webhooks w
             WHERE w.id = $2 AND d.webhook_id = w.id AND d.event_id = e.id AND d.state <> 'pending' AND ",
    wants!(),
    " RETURNING d.id
         )
         SELECT (SELECT count(*) FROM new) + (SELECT count(*) FROM again)",
);

/// What was never tried is on its way already.
async fn range(
    transaction: &mut PgConnection,
    webhook: WebhookId,
    since: Timestamp,
    until: Timestamp,
    now: Timestamp,
) -> Attempt<u64> {
    let rows: i64 = sqlx::query_scalar(RANGE)
        .bind(now)
        .bind(webhook.0)
        .bind(to_millis(since))
        .bind(to_millis(until))
        .fetch_one(transaction)
        .await?;
    Ok(crate::rows::count("deliveries", rows)?)
}
