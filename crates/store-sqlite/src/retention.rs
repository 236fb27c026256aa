//! Deleting what need not be kept, a bounded number of rows at a time.

use adelie_model::{SerialNumber, ServerId, Timestamp};
use adelie_store::event::{DeviceDeleted, NewEvent};
use adelie_store::{Retention, moment};
use sqlx::SqliteConnection;

use crate::batch;
use crate::failure::Attempt;

/// What is common to all that is deleted in one transaction.
pub(crate) struct Forgotten {
    pub(crate) server: ServerId,
    /// The run that began the full sync under way: it is needed as long as that is.
    pub(crate) generation: Option<i64>,
    pub(crate) limit: u32,
    pub(crate) now: Timestamp,
}

impl Forgotten {
    /// Deletes up to `limit` rows of each kind and returns how many went.
    pub(crate) async fn delete(&self, transaction: &mut SqliteConnection, keep: &Retention) -> Attempt<u64> {
        Ok(self.tombstones(transaction, keep.tombstones_before).await?
            + self.runs(transaction, keep.runs).await?
            + self.events(transaction, keep.events_before).await?)
    }

    async fn tombstones(&self, transaction: &mut SqliteConnection, before: Timestamp) -> Attempt<u64> {
        let gone: Vec<(String, i64)> = sqlx::query_as(
            "-- forget_tombstones
             DELETE FROM devices WHERE id IN (SELECT id FROM devices INDEXED BY devices_removed
                 WHERE server_id = ?1 AND removed_at IS NOT NULL AND removed_at < ?2 AND hold IS NULL
                 ORDER BY removed_at LIMIT ?3)
             RETURNING serial, removed_at",
        )
        .bind(self.server.0)
        .bind(before.timestamp_millis())
        .bind(self.limit)
        .fetch_all(&mut *transaction)
        .await?;
        let events = gone
            .into_iter()
            .map(|(serial, removed_at)| {
                let removed_at = moment("devices.removed_at", removed_at)?;
                let serial = SerialNumber::from_apple(serial);
                Ok(NewEvent::of_device(serial, "device.deleted", &DeviceDeleted { removed_at }))
            })
            .collect::<Attempt<Vec<_>>>()?;
        batch::events(transaction, self.server, None, &events, self.now).await?;
        Ok(events.len() as u64)
    }

    async fn runs(&self, transaction: &mut SqliteConnection, keep: u32) -> Attempt<u64> {
        let done = sqlx::query(
            "-- forget_runs
             DELETE FROM sync_runs WHERE id IN (SELECT id FROM sync_runs INDEXED BY sync_runs_by_server
                 WHERE server_id = ?1
                     AND id <= (SELECT id FROM sync_runs INDEXED BY sync_runs_by_server
                         WHERE server_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)
                     AND outcome <> 'running' AND id IS NOT ?3
                 ORDER BY id LIMIT ?4)",
        )
        .bind(self.server.0)
        .bind(keep)
        .bind(self.generation)
        .bind(self.limit)
        .execute(transaction)
        .await?;
        Ok(done.rows_affected())
    }

    async fn events(&self, transaction: &mut SqliteConnection, before: Timestamp) -> Attempt<u64> {
        let done = sqlx::query(
            "-- forget_events
             DELETE FROM events WHERE id IN (
                 SELECT id FROM (SELECT id, at FROM events ORDER BY id LIMIT ?2) AS oldest WHERE at < ?1
                     -- What is still on its way somewhere is needed there.
                     AND NOT EXISTS (SELECT 1 FROM deliveries d
                         WHERE d.event_id = oldest.id AND d.due_at IS NOT NULL))",
        )
        .bind(before.timestamp_millis())
        .bind(self.limit)
        .execute(transaction)
        .await?;
        Ok(done.rows_affected())
    }
}
