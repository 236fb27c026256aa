//! Storing what came of tries.

use adelie_model::{DeliveryId, Timestamp, to_millis};
use adelie_store::{Attempted, DeliveryOutcome, DeliveryState, deciding, touched};
use sqlx::PgPool;

use crate::batch::{column, fact, text};
use crate::failure::Attempt;
use crate::rows::millis;

/// All of it is one statement, and so one transaction and one round trip. Deliveries are locked in the order of their
/// numbers, endpoints after them.
const SETTLE: &str = "-- settle_deliveries
     WITH locked AS MATERIALIZED (
         SELECT d.id, d.claim, d.state, d.due_at, r.number
         FROM UNNEST($2::bigint[]) WITH ORDINALITY AS r (id, number)
         CROSS JOIN LATERAL (
             SELECT id, claim, state, due_at FROM deliveries WHERE id = r.id LIMIT 1 FOR NO KEY UPDATE
         ) d
     ),
     tried AS (
         INSERT INTO delivery_attempts (delivery_id, claim, at, duration_ms, status, error, request, answer)
         SELECT l.id, t.claim, t.at, t.duration_ms, t.status, t.error, t.request, t.answer
         FROM UNNEST($8::bigint[], $9::integer[], $10::timestamptz[], $11::bigint[], $12::integer[], $13::text[],
             $14::text[], $15::text[]) AS t (delivery_id, claim, at, duration_ms, status, error, request, answer)
         JOIN locked l ON l.id = t.delivery_id
         ON CONFLICT (delivery_id, claim) DO NOTHING
     ),
     settled AS (
         UPDATE deliveries d SET state = r.state, due_at = r.due_at, sending = false,
             finished_at = CASE WHEN r.due_at IS NULL THEN $1::timestamptz END,
             failures = failures + CASE WHEN r.state = 'delivered' THEN 0 ELSE 1 END,
             last_status = r.status, last_error = r.error
         FROM locked l
         JOIN UNNEST($3::integer[], $4::text[], $5::timestamptz[], $6::integer[], $7::text[]) WITH ORDINALITY
             AS r (claim, state, due_at, status, error, number) USING (number)
         WHERE d.id = l.id AND l.state <> 'delivered'
             -- Who has lost its claim, or the delivery, tells nothing but success.
             AND (r.state = 'delivered' OR (l.claim = r.claim AND l.due_at IS NOT NULL))
     ),
     -- A row of an endpoint is not written for every delivery.
     new AS (
         SELECT w.id, t.delivered_at, t.wait_until, CASE WHEN t.delivered_at IS NULL
             THEN COALESCE(w.failing_since, t.failing_since) ELSE t.failing_since END AS failing_since
         FROM UNNEST($16::bigint[], $17::timestamptz[], $18::timestamptz[], $19::timestamptz[])
             AS t (id, delivered_at, failing_since, wait_until)
         JOIN webhooks w ON w.id = t.id
     )
     UPDATE webhooks w SET failing_since = new.failing_since,
         last_delivered_at = GREATEST(w.last_delivered_at, new.delivered_at),
         wait_until = GREATEST(w.wait_until, new.wait_until)
     FROM new
     WHERE w.id = new.id AND (w.failing_since IS DISTINCT FROM new.failing_since
         OR new.delivered_at >= COALESCE(w.last_delivered_at + interval '1 second', '-infinity')
         OR new.wait_until > COALESCE(w.wait_until, '-infinity'))";

/// Stores tries, and what becomes of their deliveries and endpoints.
pub(super) async fn settle(pool: &PgPool, results: &[Attempted], now: Timestamp) -> Attempt<()> {
    if results.is_empty() {
        return Ok(());
    }
    let deciding = deciding(results);
    let touched = touched(results);
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let state = |one: &&Attempted| match one.outcome {
        DeliveryOutcome::Delivered => DeliveryState::Delivered.as_str(),
        DeliveryOutcome::Retry(_) => DeliveryState::Retrying.as_str(),
        DeliveryOutcome::Dead => DeliveryState::Dead.as_str(),
    };
    let due_at = |one: &&Attempted| match one.outcome {
        DeliveryOutcome::Retry(at) => Some(to_millis(at)),
        DeliveryOutcome::Delivered | DeliveryOutcome::Dead => None,
    };
    let duration = |one: &Attempted| i64::try_from(one.attempt.duration.as_millis()).unwrap_or(i64::MAX);
    sqlx::query(SETTLE)
        .bind(to_millis(now))
        .bind(column(&deciding, |one| one.delivery.0))
        .bind(column(&deciding, |one| number(one.claim)))
        .bind(column(&deciding, state))
        .bind(column(&deciding, due_at))
        .bind(column(&deciding, |one| one.attempt.status.map(i32::from)))
        .bind(column(&deciding, |one| fact(one.attempt.error.as_deref())))
        .bind(column(results, |one| one.delivery.0))
        .bind(column(results, |one| number(one.claim)))
        .bind(column(results, |one| to_millis(one.attempt.at)))
        .bind(column(results, duration))
        .bind(column(results, |one| one.attempt.status.map(i32::from)))
        .bind(column(results, |one| fact(one.attempt.error.as_deref())))
        .bind(column(results, |one| text(&one.attempt.request)))
        .bind(column(results, |one| text(&one.attempt.answer)))
        .bind(column(&touched, |of| of.webhook.0))
        .bind(column(&touched, |of| millis(of.delivered_at)))
        .bind(column(&touched, |of| millis(of.failing_since)))
        .bind(column(&touched, |of| millis(of.wait_until)))
        .execute(pool)
        .await?;
    Ok(())
}

/// Gives claims back.
pub(super) async fn release(pool: &PgPool, claims: &[(DeliveryId, u32)], now: Timestamp) -> Attempt<()> {
    let mut claims: Vec<_> = claims.iter().collect();
    claims.sort_unstable();
    sqlx::query(
        "-- release_deliveries
         WITH locked AS MATERIALIZED (
             SELECT d.id FROM UNNEST($2::bigint[], $3::bigint[]) AS r (id, claim)
             CROSS JOIN LATERAL (
                 SELECT id, claim, sending FROM deliveries WHERE id = r.id LIMIT 1 FOR NO KEY UPDATE
             ) d
             WHERE d.claim = r.claim AND d.sending
         )
         UPDATE deliveries d SET due_at = $1, sending = false FROM locked l WHERE d.id = l.id",
    )
    .bind(to_millis(now))
    .bind(column(&claims, |(delivery, _)| delivery.0))
    .bind(column(&claims, |(_, claim)| i64::from(*claim)))
    .execute(pool)
    .await?;
    Ok(())
}
