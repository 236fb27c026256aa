//! Claiming deliveries that are due.

use adelie_model::{DeliveryId, Timestamp, WebhookId, to_millis};
use adelie_store::{ClaimedDelivery, StoreError, StoredEvent};
use sqlx::{FromRow, PgPool};

use crate::batch::column;
use crate::failure::Attempt;
use crate::history::EventRow;
use crate::rows::{server_name, small};

/// Whether nothing has to go before the delivery `d`: of its device, or for all devices of its MDM server; an event
/// about several devices waits for all that is before it there. What is of no MDM server has no order. The sum has each
/// question answered by the index made for it, as long as PostgreSQL has no statistics, too.
macro_rules! in_its_turn {
    () => {
        "(NOT d.ordered OR d.server_id IS NULL OR CASE WHEN d.serial IS NULL THEN NOT EXISTS (
             SELECT 1 FROM deliveries b
             WHERE b.webhook_id = d.webhook_id AND b.server_id + 0 = d.server_id AND b.event_id < d.event_id
                 AND b.ordered AND b.due_at IS NOT NULL LIMIT 1
         ) ELSE NOT EXISTS (
             SELECT 1 FROM deliveries b
             WHERE b.webhook_id = d.webhook_id AND b.server_id = d.server_id AND b.serial = d.serial
                 AND b.event_id < d.event_id AND b.ordered AND b.due_at IS NOT NULL LIMIT 1
         ) AND NOT EXISTS (
             SELECT 1 FROM deliveries b
             WHERE b.webhook_id = d.webhook_id AND b.server_id = d.server_id AND b.serial IS NULL
                 AND b.event_id < d.event_id AND b.ordered AND b.due_at IS NOT NULL LIMIT 1
         ) END)"
    };
}

/// Makes the deliveries of `picked` ours, and says what they carry.
macro_rules! take {
    () => {
        "claimed AS (
             UPDATE deliveries d SET claim = claim + 1, sending = true, due_at = $2, finished_at = NULL,
                 state = CASE WHEN state <> 'dead' THEN state WHEN failures > 0 THEN 'retrying' ELSE 'pending' END
             -- A join would leave PostgreSQL the choice to read all deliveries.
             WHERE d.id = ANY (ARRAY (SELECT id FROM picked))
             RETURNING d.id, d.webhook_id, d.event_id, d.claim, d.failures
         )
         SELECT c.id AS delivery_id, c.webhook_id, c.claim, c.failures, s.name AS server_name,
             e.id, e.server_id, e.at, e.kind, e.serial, e.run_id, e.data
         FROM claimed c JOIN picked p ON p.id = c.id
         CROSS JOIN LATERAL (SELECT * FROM events WHERE id = c.event_id LIMIT 1) e
         LEFT JOIN mdm_servers s ON s.id = e.server_id
         ORDER BY p.due_at, c.event_id"
    };
}

const CLAIM: &str = concat!(
    "-- claim_deliveries
     WITH picked AS MATERIALIZED (
         SELECT d.id, d.due_at FROM UNNEST($3::bigint[], $4::bigint[]) AS r (webhook_id, room)
         JOIN webhooks w ON w.id = r.webhook_id AND w.state = 'active' AND (w.wait_until IS NULL OR w.wait_until <= $1)
         CROSS JOIN LATERAL (
             SELECT d.id, d.due_at FROM deliveries d
             WHERE d.webhook_id = r.webhook_id AND d.due_at <= $1 AND ",
    in_its_turn!(),
    " ORDER BY d.due_at, d.event_id LIMIT r.room FOR NO KEY UPDATE SKIP LOCKED
         ) d
     ),\n",
    take!()
);

const CLAIM_ONE: &str = concat!(
    "-- claim_delivery
     WITH picked AS MATERIALIZED (
         SELECT d.id, d.due_at FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id AND w.state <> 'removed'
         WHERE d.id = $3 AND d.state <> 'delivered' AND NOT (d.sending AND d.due_at > $1)
         FOR NO KEY UPDATE OF d SKIP LOCKED
     ),\n",
    take!()
);

#[derive(FromRow)]
struct ClaimedRow {
    delivery_id: i64,
    webhook_id: i64,
    claim: i32,
    failures: i32,
    server_name: Option<String>,
    #[sqlx(flatten)]
    event: EventRow,
}

impl ClaimedRow {
    fn until(self, until: Timestamp) -> Result<ClaimedDelivery, StoreError> {
        Ok(ClaimedDelivery {
            id: DeliveryId(self.delivery_id),
            webhook: WebhookId(self.webhook_id),
            claim: small("deliveries.claim", self.claim)?,
            failures: small("deliveries.failures", self.failures)?,
            until,
            event: StoredEvent::from(self.event),
            server: self.server_name.map(server_name).transpose()?,
        })
    }
}

/// Claims what is due for endpoints, so much for each, in one statement.
pub(super) async fn due(
    pool: &PgPool,
    room: &[(WebhookId, u32)],
    now: Timestamp,
    until: Timestamp,
) -> Attempt<Vec<ClaimedDelivery>> {
    if room.is_empty() {
        return Ok(Vec::new());
    }
    let until = to_millis(until);
    let found: Vec<ClaimedRow> = sqlx::query_as(CLAIM)
        .bind(to_millis(now))
        .bind(until)
        .bind(column(room, |(webhook, _)| webhook.0))
        .bind(column(room, |(_, room)| i64::from(*room)))
        .fetch_all(pool)
        .await?;
    Ok(found.into_iter().map(|row| row.until(until)).collect::<Result<_, _>>()?)
}

/// Claims one delivery, unless somebody is at it or it is delivered.
pub(super) async fn one(
    pool: &PgPool,
    id: DeliveryId,
    now: Timestamp,
    until: Timestamp,
) -> Attempt<Option<ClaimedDelivery>> {
    let until = to_millis(until);
    let found: Option<ClaimedRow> =
        sqlx::query_as(CLAIM_ONE).bind(to_millis(now)).bind(until).bind(id.0).fetch_optional(pool).await?;
    Ok(found.map(|row| row.until(until)).transpose()?)
}

const DUE_WEBHOOKS: &str = concat!(
    "-- due_webhooks
     SELECT w.id, w.wait_until, first.any_due, later.due_at FROM webhooks w
     CROSS JOIN LATERAL (SELECT EXISTS (
         SELECT 1 FROM (
             SELECT d.* FROM deliveries d WHERE d.webhook_id = w.id AND d.due_at <= $1 ORDER BY d.due_at, d.event_id
         ) d WHERE ",
    in_its_turn!(),
    " LIMIT 1) AS any_due) first
     LEFT JOIN LATERAL (
         SELECT d.due_at FROM deliveries d WHERE d.webhook_id = w.id AND d.due_at > $1 ORDER BY d.due_at LIMIT 1
     ) later ON true
     WHERE w.state = 'active' ORDER BY w.id"
);

/// The endpoints with something to claim, and when there is next something.
pub(super) async fn due_webhooks(
    pool: &PgPool,
    now: Timestamp,
) -> Attempt<(Vec<WebhookId>, Option<Timestamp>)> {
    let found: Vec<(i64, Option<Timestamp>, bool, Option<Timestamp>)> =
        sqlx::query_as(DUE_WEBHOOKS).bind(to_millis(now)).fetch_all(pool).await?;
    let (mut due, mut next) = (Vec::new(), Vec::new());
    for (webhook, wait_until, any_due, later) in found {
        match wait_until.filter(|until| *until > now) {
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
