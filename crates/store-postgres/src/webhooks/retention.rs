//! Deliveries that need not be kept.

use adelie_model::{Timestamp, to_millis};
use sqlx::PgPool;

use crate::failure::Attempt;

/// Gives up what is too old, and deletes what was finished long ago and what is left of removed endpoints: up to so
/// many rows of each. Returns how many there were of all of them. What somebody else is at is left alone.
pub(super) async fn forget(pool: &PgPool, before: Timestamp, limit: u32) -> Attempt<u64> {
    let mut transaction = pool.begin().await?;
    let mut rows = 0;
    for statement in [
        "-- forget_finished_deliveries
         DELETE FROM deliveries WHERE id = ANY (ARRAY (SELECT id FROM deliveries
             WHERE finished_at < $1 ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
        "-- give_up_old_deliveries
         UPDATE deliveries SET state = 'dead', due_at = NULL, finished_at = to_millis.now, sending = false,
             last_error = COALESCE(last_error, 'it could not be delivered in time')
         FROM (SELECT date_trunc('milliseconds', clock_timestamp()) AS now) AS to_millis
         WHERE id = ANY (ARRAY (SELECT d.id FROM webhooks w
             JOIN deliveries d ON d.webhook_id = w.id AND d.due_at IS NOT NULL AND d.at < $1
             WHERE w.state <> 'removed' LIMIT $2 FOR NO KEY UPDATE OF d SKIP LOCKED))",
        "-- forget_removed_deliveries
         DELETE FROM deliveries WHERE id = ANY (ARRAY (SELECT d.id FROM webhooks w
             JOIN deliveries d ON d.webhook_id = w.id
             WHERE w.state = 'removed' AND $1::timestamptz IS NOT NULL LIMIT $2 FOR UPDATE OF d SKIP LOCKED))",
        "-- forget_removed_webhooks
         DELETE FROM webhooks WHERE id = ANY (ARRAY (SELECT w.id FROM webhooks w
             WHERE w.state = 'removed' AND $1::timestamptz IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.webhook_id = w.id) LIMIT $2))",
    ] {
        let done = sqlx::query(statement)
            .bind(to_millis(before))
            .bind(i64::from(limit))
            .execute(&mut *transaction)
            .await?;
        rows += done.rows_affected();
    }
    transaction.commit().await?;
    Ok(rows)
}
