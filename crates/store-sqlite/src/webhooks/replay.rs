//! Deliveries that are sent again.

use adelie_model::{DeliveryId, ServerId, Timestamp, WebhookId};
use adelie_store::audit::webhook_replayed;
use adelie_store::event::{NewEvent, WebhookReplayed};
use adelie_store::{Operator, Replay};
use sqlx::SqliteConnection;

use super::fan_out::{add_deliveries, wants};
use crate::failure::Attempt;
use crate::{audit, batch};

/// A delivery as if it had just been written. Who is at it has lost its claim.
macro_rules! anew {
    () => {
        "state = 'pending', failures = 0, due_at = ?1, finished_at = NULL, sending = 0, claim = claim + 1"
    };
}

/// Makes deliveries due again, and says how many.
pub(super) async fn replay(
    transaction: &mut SqliteConnection,
    which: &Replay,
    by: &Operator,
) -> Attempt<u64> {
    let deliveries = match which {
        Replay::One(id) => one(transaction, *id, by.now).await?,
        Replay::Failed(webhook) => failed(transaction, *webhook, by.now).await?,
        Replay::Range { webhook, since, until } => {
            range(transaction, *webhook, *since, *until, by.now).await?
        }
    };
    if deliveries > 0 {
        let details = WebhookReplayed { by: by.name.clone(), deliveries };
        let event = NewEvent::new("webhook.replayed", &details);
        batch::events(transaction, None::<ServerId>, None, &[event], by.now).await?;
        audit::write(transaction, by, &[webhook_replayed(which, deliveries)]).await?;
    }
    Ok(deliveries)
}

async fn one(transaction: &mut SqliteConnection, id: DeliveryId, now: Timestamp) -> Attempt<u64> {
    let done = sqlx::query(concat!(
        "-- replay_one\nUPDATE deliveries SET ",
        anew!(),
        " WHERE id = ?2 AND webhook_id IN (SELECT id FROM webhooks WHERE state <> 'removed')",
    ))
    .bind(now.timestamp_millis())
    .bind(id.0)
    .execute(transaction)
    .await?;
    Ok(done.rows_affected())
}

async fn failed(
    transaction: &mut SqliteConnection,
    webhook: Option<WebhookId>,
    now: Timestamp,
) -> Attempt<u64> {
    let done = sqlx::query(concat!(
        "-- replay_failed\nUPDATE deliveries INDEXED BY deliveries_failed SET ",
        anew!(),
        " WHERE state IN ('retrying', 'dead') AND webhook_id IN (
             SELECT id FROM webhooks WHERE state <> 'removed' AND (?2 IS NULL OR id = ?2))",
    ))
    .bind(now.timestamp_millis())
    .bind(webhook.map(|webhook| webhook.0))
    .execute(transaction)
    .await?;
    Ok(done.rows_affected())
}

/// What was never tried is on its way already.
async fn range(
    transaction: &mut SqliteConnection,
    webhook: WebhookId,
    since: Timestamp,
    until: Timestamp,
    now: Timestamp,
) -> Attempt<u64> {
    let done = sqlx::query(concat!(
        "-- replay_range\n",
        add_deliveries!(),
        "?1 FROM webhooks w CROSS JOIN events e WHERE w.id = ?2 AND e.at >= ?3 AND e.at < ?4 AND ",
        wants!(),
        " ORDER BY e.id ON CONFLICT (event_id, webhook_id) DO UPDATE SET ",
        anew!(),
        " WHERE state <> 'pending'",
    ))
    .bind(now.timestamp_millis())
    .bind(webhook.0)
    .bind(since.timestamp_millis())
    .bind(until.timestamp_millis())
    .execute(transaction)
    .await?;
    Ok(done.rows_affected())
}
