//! Deliveries that need not be kept.

use adelie_model::Timestamp;
use sqlx::SqliteConnection;

use crate::failure::Attempt;

/// Gives up what is too old, and deletes what was finished long ago and what is left of removed endpoints: up to so
/// many rows of each. Returns how many there were of all of them.
pub(super) async fn forget(
    transaction: &mut SqliteConnection,
    before: Timestamp,
    limit: u32,
    now: Timestamp,
) -> Attempt<u64> {
    let mut rows = 0;
    for statement in [
        "-- forget_finished_deliveries
         DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries INDEXED BY deliveries_finished
             WHERE finished_at < ?1 ORDER BY finished_at LIMIT ?2)",
        "-- give_up_old_deliveries
         UPDATE deliveries SET state = 'dead', due_at = NULL, finished_at = ?3, sending = 0,
             last_error = coalesce(last_error, 'it could not be delivered in time')
         WHERE id IN (SELECT d.id FROM webhooks w CROSS JOIN deliveries d INDEXED BY deliveries_due
             ON d.webhook_id = w.id AND d.due_at IS NOT NULL AND d.at < ?1 WHERE w.state <> 'removed' LIMIT ?2)",
        "-- forget_unfinished_of_removed
         DELETE FROM deliveries WHERE id IN (SELECT d.id FROM webhooks w
             CROSS JOIN deliveries d INDEXED BY deliveries_due ON d.webhook_id = w.id AND d.due_at IS NOT NULL
             WHERE w.state = 'removed' LIMIT ?2)",
        "-- forget_finished_of_removed
         DELETE FROM deliveries WHERE id IN (SELECT d.id FROM webhooks w CROSS JOIN deliveries d ON d.webhook_id = w.id
             WHERE w.state = 'removed' LIMIT ?2)",
        "-- forget_removed_webhooks
         DELETE FROM webhooks WHERE state = 'removed'
             AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.webhook_id = webhooks.id)",
    ] {
        let done = sqlx::query(statement)
            .bind(before.timestamp_millis())
            .bind(limit)
            .bind(now.timestamp_millis())
            .execute(&mut *transaction)
            .await?;
        rows += done.rows_affected();
    }
    Ok(rows)
}
