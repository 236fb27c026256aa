//! Storing what came of tries.

use adelie_model::{DeliveryId, Timestamp};
use adelie_store::{Attempted, DeliveryOutcome, DeliveryState, deciding, touched};
use sqlx::SqliteConnection;

use crate::failure::Attempt;
use crate::rows::{millis, to_json};

/// Stores tries, and what becomes of their deliveries and endpoints.
pub(super) async fn settle(
    transaction: &mut SqliteConnection,
    results: &[Attempted],
    now: Timestamp,
) -> Attempt<()> {
    if results.is_empty() {
        return Ok(());
    }
    attempts(transaction, results).await?;
    deliveries(transaction, results, now).await?;
    webhooks(transaction, results).await
}

async fn attempts(transaction: &mut SqliteConnection, results: &[Attempted]) -> Attempt<()> {
    let rows: Vec<_> = results
        .iter()
        .map(|one| {
            let attempt = &one.attempt;
            let at = attempt.at.timestamp_millis();
            let duration = u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX);
            let Attempted { delivery, claim, .. } = one;
            (delivery, claim, at, duration, attempt.status, &attempt.error, &attempt.request, &attempt.answer)
        })
        .collect();
    sqlx::query(
        "-- add_attempts
         INSERT INTO delivery_attempts (delivery_id, claim, at, duration_ms, status, error, request, answer)
         SELECT d.id, r.value ->> 1, r.value ->> 2, r.value ->> 3, r.value ->> 4, r.value ->> 5, r.value ->> 6,
             r.value ->> 7
         FROM json_each(?1) r CROSS JOIN deliveries d ON d.id = r.value ->> 0
         WHERE true ON CONFLICT (delivery_id, claim) DO NOTHING",
    )
    .bind(to_json("tries", &rows)?)
    .execute(transaction)
    .await?;
    Ok(())
}

async fn deliveries(
    transaction: &mut SqliteConnection,
    results: &[Attempted],
    now: Timestamp,
) -> Attempt<()> {
    let rows: Vec<_> = deciding(results)
        .into_iter()
        .map(|one| {
            let (state, due_at) = match one.outcome {
                DeliveryOutcome::Delivered => (DeliveryState::Delivered, None),
                DeliveryOutcome::Retry(at) => (DeliveryState::Retrying, Some(at)),
                DeliveryOutcome::Dead => (DeliveryState::Dead, None),
            };
            let Attempted { delivery, claim, attempt, .. } = one;
            (delivery, claim, state.as_str(), millis(due_at), attempt.status, &attempt.error)
        })
        .collect();
    sqlx::query(
        "-- settle_deliveries
         UPDATE deliveries SET state = r.value ->> 2, due_at = r.value ->> 3, sending = 0,
             finished_at = CASE WHEN r.value ->> 3 IS NULL THEN ?2 END,
             failures = failures + (r.value ->> 2 <> 'delivered'),
             last_status = r.value ->> 4, last_error = r.value ->> 5
         FROM json_each(?1) AS r
         WHERE deliveries.id = r.value ->> 0 AND deliveries.state <> 'delivered'
             -- Who has lost its claim, or the delivery, tells nothing but success.
             AND (r.value ->> 2 = 'delivered' OR (deliveries.claim = r.value ->> 1 AND deliveries.due_at IS NOT NULL))",
    )
    .bind(to_json("deliveries", &rows)?)
    .bind(now.timestamp_millis())
    .execute(transaction)
    .await?;
    Ok(())
}

/// Writes to endpoints what is new: a row is not written for every delivery.
async fn webhooks(transaction: &mut SqliteConnection, results: &[Attempted]) -> Attempt<()> {
    let rows: Vec<_> = touched(results)
        .into_iter()
        .map(|of| (of.webhook, millis(of.delivered_at), millis(of.failing_since), millis(of.wait_until)))
        .collect();
    sqlx::query(
        "-- touch_webhooks
         WITH new AS MATERIALIZED (
             SELECT w.id, r.value ->> 1 AS delivered_at, r.value ->> 3 AS wait_until,
                 CASE WHEN r.value ->> 1 IS NULL THEN coalesce(w.failing_since, r.value ->> 2)
                     ELSE r.value ->> 2 END AS failing_since
             FROM json_each(?1) r CROSS JOIN webhooks w ON w.id = r.value ->> 0
         )
         UPDATE webhooks SET failing_since = new.failing_since,
             last_delivered_at = nullif(max(coalesce(last_delivered_at, 0), coalesce(new.delivered_at, 0)), 0),
             wait_until = nullif(max(coalesce(webhooks.wait_until, 0), coalesce(new.wait_until, 0)), 0)
         FROM new
         WHERE webhooks.id = new.id AND (webhooks.failing_since IS NOT new.failing_since
             OR new.delivered_at >= coalesce(webhooks.last_delivered_at, 0) + 1000
             OR new.wait_until > coalesce(webhooks.wait_until, 0))",
    )
    .bind(to_json("endpoints", &rows)?)
    .execute(transaction)
    .await?;
    Ok(())
}

/// Gives claims back.
pub(super) async fn release(
    transaction: &mut SqliteConnection,
    claims: &[(DeliveryId, u32)],
    now: Timestamp,
) -> Attempt<()> {
    sqlx::query(
        "-- release_deliveries
         UPDATE deliveries SET due_at = ?2, sending = 0 FROM json_each(?1) AS r
         WHERE deliveries.id = r.value ->> 0 AND deliveries.claim = r.value ->> 1 AND deliveries.sending",
    )
    .bind(to_json("deliveries", &claims)?)
    .bind(now.timestamp_millis())
    .execute(transaction)
    .await?;
    Ok(())
}
