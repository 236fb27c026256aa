//! Deliveries, as people look at them.

use std::time::Duration;

use adelie_model::{DeliveryId, EventId, Timestamp, WebhookId};
use adelie_store::{
    Attempt as Try, Backlog, Delivery, DeliveryFilter, DeliveryState, StoreError, StoredEvent,
};
use sqlx::{FromRow, PgPool};

use crate::failure::Attempt;
use crate::history::EventRow;
use crate::rows::{all, count, small, word};

/// What lies before each endpoint.
pub(super) async fn backlogs(pool: &PgPool) -> Attempt<Vec<Backlog>> {
    let found: Vec<(i64, i64, i64, i64, Option<Timestamp>)> = sqlx::query_as(
        "-- backlogs
         SELECT w.id, open.pending, open.retrying, dead.dead, open.oldest FROM webhooks w
         CROSS JOIN LATERAL (
             SELECT count(*) FILTER (WHERE d.state = 'pending') AS pending,
                 count(*) FILTER (WHERE d.state = 'retrying') AS retrying, min(d.at) AS oldest
             FROM deliveries d WHERE d.webhook_id = w.id AND d.due_at IS NOT NULL
         ) open
         CROSS JOIN LATERAL (
             SELECT count(*) AS dead FROM deliveries d
             WHERE d.webhook_id = w.id AND d.state IN ('retrying', 'dead') AND d.state = 'dead'
         ) dead
         WHERE w.state <> 'removed' ORDER BY w.id",
    )
    .fetch_all(pool)
    .await?;
    let backlog = |(webhook, pending, retrying, dead, oldest)| {
        Ok(Backlog {
            webhook: WebhookId(webhook),
            pending: count("deliveries", pending)?,
            retrying: count("deliveries", retrying)?,
            dead: count("deliveries", dead)?,
            oldest,
        })
    };
    found.into_iter().map(backlog).collect()
}

#[derive(FromRow)]
struct DeliveryRow {
    delivery_id: i64,
    webhook_id: i64,
    event_id: i64,
    state: String,
    failures: i32,
    due_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    last_status: Option<i32>,
    last_error: Option<String>,
    #[sqlx(flatten)]
    event: EventRow,
}

impl DeliveryRow {
    fn with_event(self) -> Result<(Delivery, StoredEvent), StoreError> {
        let event = StoredEvent::from(self.event);
        let delivery = Delivery {
            id: DeliveryId(self.delivery_id),
            webhook: WebhookId(self.webhook_id),
            event: EventId(self.event_id),
            kind: event.kind.clone(),
            at: event.at,
            state: word("deliveries.state", &self.state, DeliveryState::parse)?,
            failures: small("deliveries.failures", self.failures)?,
            due_at: self.due_at,
            finished_at: self.finished_at,
            last_status: status(self.last_status)?,
            last_error: self.last_error,
        };
        Ok((delivery, event))
    }
}

fn status(number: Option<i32>) -> Result<Option<u16>, StoreError> {
    let status = |number| u16::try_from(number).map_err(|_| StoreError::damaged("status", number));
    number.map(status).transpose()
}

/// A delivery, and what it has of its event.
macro_rules! select_deliveries {
    () => {
        "SELECT d.id AS delivery_id, d.webhook_id, d.event_id, d.state, d.failures, d.due_at, d.finished_at,
             d.last_status, d.last_error, e.id, e.server_id, e.at, e.kind, e.serial, e.run_id, e.data
         FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id AND w.state <> 'removed'
         JOIN events e ON e.id = d.event_id "
    };
}

/// Deliveries before a number, newest first. Plans are made for the values, so that what the filter leaves open costs
/// nothing.
pub(super) async fn deliveries(
    pool: &PgPool,
    filter: &DeliveryFilter,
    before: Option<DeliveryId>,
    limit: u32,
) -> Attempt<Vec<Delivery>> {
    let found: Vec<DeliveryRow> = sqlx::query_as(concat!(
        "-- deliveries\n",
        select_deliveries!(),
        "WHERE ($1::bigint IS NULL OR d.id < $1) AND ($3::bigint IS NULL OR d.webhook_id = $3)
             AND (NOT $4 OR d.state IN ('retrying', 'dead')) AND ($5::bigint IS NULL OR d.event_id = $5)
         ORDER BY d.id DESC LIMIT $2",
    ))
    .bind(before.map(|before| before.0))
    .bind(i64::from(limit))
    .bind(filter.webhook.map(|webhook| webhook.0))
    .bind(filter.failed)
    .bind(filter.event.map(|event| event.0))
    .fetch_all(pool)
    .await?;
    let found = found.into_iter().map(|row| Ok(row.with_event()?.0));
    found.collect::<Attempt<_>>()
}

#[derive(FromRow)]
struct TryRow {
    at: Timestamp,
    duration_ms: i64,
    status: Option<i32>,
    error: Option<String>,
    request: String,
    answer: String,
}

impl TryFrom<TryRow> for Try {
    type Error = StoreError;

    fn try_from(row: TryRow) -> Result<Self, StoreError> {
        Ok(Self {
            at: row.at,
            duration: Duration::from_millis(count("delivery_attempts.duration_ms", row.duration_ms)?),
            status: status(row.status)?,
            error: row.error,
            request: row.request,
            answer: row.answer,
        })
    }
}

/// A delivery with its event and its tries.
pub(super) async fn delivery(
    pool: &PgPool,
    id: DeliveryId,
) -> Attempt<Option<(Delivery, StoredEvent, Vec<Try>)>> {
    let found: Option<DeliveryRow> =
        sqlx::query_as(concat!("-- delivery\n", select_deliveries!(), "WHERE d.id = $1"))
            .bind(id.0)
            .fetch_optional(pool)
            .await?;
    let Some(row) = found else { return Ok(None) };
    let tries: Vec<TryRow> = sqlx::query_as(
        "-- delivery_attempts
         SELECT at, duration_ms, status, error, request, answer FROM delivery_attempts
         WHERE delivery_id = $1 ORDER BY claim",
    )
    .bind(id.0)
    .fetch_all(pool)
    .await?;
    let (delivery, event) = row.with_event()?;
    Ok(Some((delivery, event, all(tries)?)))
}
