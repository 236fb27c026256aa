//! Claiming deliveries that are due.

use adelie_model::{DeliveryId, Timestamp, WebhookId};
use adelie_store::ClaimedDelivery;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::SqliteStore;
use crate::failure::Attempt;
use crate::history::event;
use crate::rows::{self, count, maybe, to_json};

/// Whether nothing has to go before the delivery `d`: of its device, or for all devices of its MDM server; an event
/// about several devices waits for all that is before it there. What is of no MDM server has no order.
macro_rules! in_its_turn {
    () => {
        "(NOT d.ordered OR d.server_id IS NULL OR CASE WHEN d.serial IS NULL THEN NOT EXISTS (
             SELECT 1 FROM deliveries b INDEXED BY deliveries_of_server
             WHERE b.webhook_id = d.webhook_id AND b.server_id = d.server_id AND b.event_id < d.event_id
                 AND b.ordered AND b.due_at IS NOT NULL
         ) ELSE NOT EXISTS (
             SELECT 1 FROM deliveries b INDEXED BY deliveries_in_order
             WHERE b.webhook_id = d.webhook_id AND b.server_id = d.server_id AND b.serial = d.serial
                 AND b.event_id < d.event_id AND b.ordered AND b.due_at IS NOT NULL
         ) AND NOT EXISTS (
             SELECT 1 FROM deliveries b INDEXED BY deliveries_in_order
             WHERE b.webhook_id = d.webhook_id AND b.server_id = d.server_id AND b.serial IS NULL
                 AND b.event_id < d.event_id AND b.ordered AND b.due_at IS NOT NULL
         ) END)"
    };
}

/// A delivery with its event.
macro_rules! select_claimable {
    () => {
        "SELECT d.id AS delivery_id, d.webhook_id, d.claim, d.failures, d.due_at, s.name AS server_name,
             e.id, e.server_id, e.serial, e.kind, e.at, e.run_id, e.data "
    };
}

const ANY_DUE: &str = "-- any_due_delivery
     SELECT EXISTS (SELECT 1 FROM json_each(?1) r CROSS JOIN deliveries d INDEXED BY deliveries_due
         ON d.webhook_id = r.value ->> 0 AND d.due_at <= ?2)";

const DUE: &str = concat!(
    "-- due_deliveries\n",
    select_claimable!(),
    "FROM webhooks w CROSS JOIN deliveries d INDEXED BY deliveries_due ON d.webhook_id = w.id AND d.due_at <= ?3
     CROSS JOIN events e ON e.id = d.event_id LEFT JOIN mdm_servers s ON s.id = e.server_id
     WHERE w.id = ?1 AND w.state = 'active' AND (w.wait_until IS NULL OR w.wait_until <= ?3) AND ",
    in_its_turn!(),
    " ORDER BY d.due_at, d.event_id LIMIT ?2"
);

/// Claims what is due for endpoints, so much for each.
pub(super) async fn due(
    store: &SqliteStore,
    room: &[(WebhookId, u32)],
    now: Timestamp,
    until: Timestamp,
) -> Attempt<Vec<ClaimedDelivery>> {
    // Whether it is worth taking the write lock, for which others would have to wait.
    let any: bool = sqlx::query_scalar(ANY_DUE)
        .bind(to_json("endpoints", &room)?)
        .bind(now.timestamp_millis())
        .fetch_one(&mut *store.read().await?)
        .await?;
    if !any {
        return Ok(Vec::new());
    }
    let mut transaction = store.write().await?;
    let mut found = Vec::new();
    for (webhook, room) in room {
        let due = sqlx::query(DUE).bind(webhook.0).bind(room).bind(now.timestamp_millis());
        for row in due.fetch_all(&mut *transaction).await? {
            found.push((row.try_get::<i64, _>("due_at")?, claimed(&row, until)?));
        }
    }
    found.sort_by_key(|(due_at, delivery)| (*due_at, delivery.event.id));
    let found: Vec<_> = found.into_iter().map(|(_, delivery)| delivery).collect();
    take(&mut transaction, &found, until).await?;
    transaction.commit().await?;
    Ok(found)
}

/// The delivery as it is once it is claimed.
fn claimed(row: &SqliteRow, until: Timestamp) -> Attempt<ClaimedDelivery> {
    let server: Option<&str> = row.try_get("server_name")?;
    let claim: u32 = count("deliveries.claim", row.try_get("claim")?)?;
    Ok(ClaimedDelivery {
        id: DeliveryId(row.try_get("delivery_id")?),
        webhook: WebhookId(row.try_get("webhook_id")?),
        claim: claim.saturating_add(1),
        failures: count("deliveries.failures", row.try_get("failures")?)?,
        until,
        event: event(row)?,
        server: server.map(|name| rows::name("mdm_servers.name", name)).transpose()?,
    })
}

async fn take(
    transaction: &mut SqliteConnection,
    deliveries: &[ClaimedDelivery],
    until: Timestamp,
) -> Attempt<()> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = deliveries.iter().map(|delivery| delivery.id).collect();
    sqlx::query(
        "-- claim_deliveries
         UPDATE deliveries SET claim = claim + 1, sending = 1, due_at = ?2, finished_at = NULL,
             state = CASE WHEN state <> 'dead' THEN state WHEN failures > 0 THEN 'retrying' ELSE 'pending' END
         WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(to_json("deliveries", &ids)?)
    .bind(until.timestamp_millis())
    .execute(transaction)
    .await?;
    Ok(())
}

/// Claims one delivery, unless somebody is at it or it is delivered.
pub(super) async fn one(
    transaction: &mut SqliteConnection,
    id: DeliveryId,
    now: Timestamp,
    until: Timestamp,
) -> Attempt<Option<ClaimedDelivery>> {
    let found = sqlx::query(concat!(
        "-- claimable_delivery\n",
        select_claimable!(),
        "FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id JOIN events e ON e.id = d.event_id
         LEFT JOIN mdm_servers s ON s.id = e.server_id
         WHERE d.id = ?1 AND d.state <> 'delivered' AND NOT (d.sending AND d.due_at > ?2) AND w.state <> 'removed'",
    ))
    .bind(id.0)
    .bind(now.timestamp_millis())
    .fetch_optional(&mut *transaction)
    .await?;
    let delivery = found.map(|row| claimed(&row, until)).transpose()?;
    take(transaction, delivery.as_slice(), until).await?;
    Ok(delivery)
}

const DUE_WEBHOOKS: &str = concat!(
    "-- due_webhooks
     SELECT w.id, w.wait_until,
         EXISTS (SELECT 1 FROM deliveries d INDEXED BY deliveries_due
             WHERE d.webhook_id = w.id AND d.due_at <= ?1 AND ",
    in_its_turn!(),
    "),
         (SELECT d.due_at FROM deliveries d INDEXED BY deliveries_due
             WHERE d.webhook_id = w.id AND d.due_at > ?1 ORDER BY d.due_at LIMIT 1)
     FROM webhooks w WHERE w.state = 'active' ORDER BY w.id"
);

/// The endpoints with something to claim, and when there is next something.
pub(super) async fn due_webhooks(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Attempt<(Vec<WebhookId>, Option<Timestamp>)> {
    let found: Vec<(i64, Option<i64>, bool, Option<i64>)> =
        sqlx::query_as(DUE_WEBHOOKS).bind(now.timestamp_millis()).fetch_all(connection).await?;
    let (mut due, mut next) = (Vec::new(), Vec::new());
    for (webhook, wait_until, any_due, later) in found {
        let later = maybe("deliveries.due_at", later)?;
        match maybe("webhooks.wait_until", wait_until)?.filter(|until| *until > now) {
            Some(until) if any_due => next.push(until),
            Some(until) => next.extend(later.map(|later| later.max(until))),
            None => {
                if any_due {
                    due.push(WebhookId(webhook));
                }
                next.extend(later);
            }
        }
    }
    Ok((due, next.into_iter().min()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Claiming costs looks into indexes, however much waits.
    #[tokio::test]
    async fn deliveries_are_claimed_by_their_indexes() {
        for statement in [ANY_DUE, DUE, DUE_WEBHOOKS] {
            let plan = crate::plan::of(statement).await;
            let index = "d USING ";
            let due = plan.iter().find(|step| step.contains(index)).expect("deliveries");
            assert!(due.contains("deliveries_due (webhook_id=? AND due_at<?)"), "{plan:#?}");
            let sorts = |step: &&String| step.contains("TEMP B-TREE");
            assert_eq!(plan.iter().find(sorts), None, "{plan:#?}");
        }
        for statement in [DUE, DUE_WEBHOOKS] {
            let plan = crate::plan::of(statement).await;
            for index in [
                "deliveries_in_order (webhook_id=? AND server_id=? AND serial=? AND event_id<?)",
                "deliveries_of_server (webhook_id=? AND server_id=? AND event_id<?)",
            ] {
                assert!(plan.iter().any(|step| step.contains(index)), "{index} in {plan:#?}");
            }
        }
    }
}
