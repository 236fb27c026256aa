//! Deliveries, as people look at them.

use std::time::Duration;

use adelie_model::{DeliveryId, EventId, Timestamp, WebhookId};
use adelie_store::{Attempt as Try, Backlog, Delivery, DeliveryFilter, DeliveryState, StoredEvent, moment};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use crate::failure::Attempt;
use crate::history::event;
use crate::rows::{count, maybe, word};

/// What lies before each endpoint.
pub(super) async fn backlogs(connection: &mut SqliteConnection) -> Attempt<Vec<Backlog>> {
    let found: Vec<(i64, i64, i64, i64, Option<i64>)> = sqlx::query_as(
        "-- backlogs
         SELECT w.id,
             (SELECT count(*) FROM deliveries d INDEXED BY deliveries_due
                 WHERE d.webhook_id = w.id AND d.due_at IS NOT NULL AND d.state = 'pending'),
             (SELECT count(*) FROM deliveries d INDEXED BY deliveries_failed
                 WHERE d.webhook_id = w.id AND d.state IN ('retrying', 'dead') AND d.state = 'retrying'),
             (SELECT count(*) FROM deliveries d INDEXED BY deliveries_failed
                 WHERE d.webhook_id = w.id AND d.state IN ('retrying', 'dead') AND d.state = 'dead'),
             (SELECT min(d.at) FROM deliveries d INDEXED BY deliveries_due
                 WHERE d.webhook_id = w.id AND d.due_at IS NOT NULL)
         FROM webhooks w WHERE w.state <> 'removed' ORDER BY w.id",
    )
    .fetch_all(connection)
    .await?;
    let backlog = |(webhook, pending, retrying, dead, oldest): (i64, i64, i64, i64, Option<i64>)| {
        Ok(Backlog {
            webhook: WebhookId(webhook),
            pending: count("deliveries", pending)?,
            retrying: count("deliveries", retrying)?,
            dead: count("deliveries", dead)?,
            oldest: maybe("deliveries.at", oldest)?,
        })
    };
    found.into_iter().map(backlog).collect()
}

/// A delivery, and what it has of its event.
macro_rules! select_deliveries {
    () => {
        "SELECT d.id AS delivery_id, d.webhook_id, d.event_id, d.state, d.failures, d.due_at, d.finished_at,
             d.last_status, d.last_error, e.id, e.server_id, e.serial, e.kind, e.at, e.run_id, e.data
         FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id AND w.state <> 'removed'
         JOIN events e ON e.id = d.event_id "
    };
}

/// Deliveries before a number, newest first. What the filter leaves open is no part of the statement.
pub(super) async fn deliveries(
    connection: &mut SqliteConnection,
    filter: &DeliveryFilter,
    before: Option<DeliveryId>,
    limit: u32,
) -> Attempt<Vec<Delivery>> {
    let conditions = [
        (filter.webhook.is_some(), " AND d.webhook_id = ?3"),
        (filter.failed, " AND d.state IN ('retrying', 'dead')"),
        (filter.event.is_some(), " AND d.event_id = ?4"),
    ];
    let mut statement = String::from(concat!("-- deliveries\n", select_deliveries!(), "WHERE d.id < ?1"));
    conditions.iter().filter(|(wanted, _)| *wanted).for_each(|(_, text)| statement.push_str(text));
    statement.push_str(" ORDER BY d.id DESC LIMIT ?2");
    // Made of literals of this file alone; every value is bound.
    let found = sqlx::query(AssertSqlSafe(statement))
        .bind(before.map_or(i64::MAX, |before| before.0))
        .bind(limit)
        .bind(filter.webhook.map(|webhook| webhook.0))
        .bind(filter.event.map(|event| event.0))
        .fetch_all(connection)
        .await?;
    found.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Attempt<Delivery> {
    let time = |what, column: &str| -> Attempt<Option<Timestamp>> { Ok(maybe(what, row.try_get(column)?)?) };
    Ok(Delivery {
        id: DeliveryId(row.try_get("delivery_id")?),
        webhook: WebhookId(row.try_get("webhook_id")?),
        event: EventId(row.try_get("event_id")?),
        kind: row.try_get("kind")?,
        at: moment("events.at", row.try_get("at")?)?,
        state: word("deliveries.state", row.try_get("state")?, DeliveryState::parse)?,
        failures: count("deliveries.failures", row.try_get("failures")?)?,
        due_at: time("deliveries.due_at", "due_at")?,
        finished_at: time("deliveries.finished_at", "finished_at")?,
        last_status: status(row.try_get("last_status")?)?,
        last_error: row.try_get("last_error")?,
    })
}

fn status(number: Option<i64>) -> Attempt<Option<u16>> {
    Ok(number.map(|number| count("deliveries.last_status", number)).transpose()?)
}

/// A delivery with its event and its tries.
pub(super) async fn delivery(
    connection: &mut SqliteConnection,
    id: DeliveryId,
) -> Attempt<Option<(Delivery, StoredEvent, Vec<Try>)>> {
    let found = sqlx::query(concat!("-- delivery\n", select_deliveries!(), "WHERE d.id = ?1"))
        .bind(id.0)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = found else { return Ok(None) };
    let tries = sqlx::query(
        "-- delivery_attempts
         SELECT at, duration_ms, status, error, request, answer FROM delivery_attempts
         WHERE delivery_id = ?1 ORDER BY claim",
    )
    .bind(id.0)
    .fetch_all(connection)
    .await?;
    let tries = tries.iter().map(attempt).collect::<Attempt<_>>()?;
    Ok(Some((read(&row)?, event(&row)?, tries)))
}

fn attempt(row: &SqliteRow) -> Attempt<Try> {
    Ok(Try {
        at: moment("delivery_attempts.at", row.try_get("at")?)?,
        duration: Duration::from_millis(count("delivery_attempts.duration_ms", row.try_get("duration_ms")?)?),
        status: status(row.try_get("status")?)?,
        error: row.try_get("error")?,
        request: row.try_get("request")?,
        answer: row.try_get("answer")?,
    })
}
