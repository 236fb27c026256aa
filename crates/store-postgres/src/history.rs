//! What happened, and what of it is no longer worth keeping.

use adelie_model::{EventId, RunId, SerialNumber, ServerId, Timestamp, to_millis};
use adelie_store::event::{DeviceDeleted, NewEvent};
use adelie_store::{Lease, Retention, StoredEvent};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use crate::failure::Attempt;
use crate::fence::Fenced;
use crate::{batch, fence};

/// An event as its table has it.
#[derive(sqlx::FromRow)]
pub(crate) struct EventRow {
    id: i64,
    server_id: Option<i64>,
    at: Timestamp,
    kind: String,
    serial: Option<String>,
    run_id: Option<i64>,
    data: Value,
}

impl From<EventRow> for StoredEvent {
    fn from(row: EventRow) -> Self {
        Self {
            id: EventId(row.id),
            server: row.server_id.map(ServerId),
            at: row.at,
            kind: row.kind,
            serial: row.serial.map(SerialNumber::from_apple),
            run: row.run_id.map(RunId),
            data: row.data,
        }
    }
}

/// What happened to a device, newest first. Each half walks its own index from its end, and no further than it must.
pub(crate) async fn of_device(
    pool: &PgPool,
    server: ServerId,
    serial: &SerialNumber,
    before: Option<EventId>,
    limit: u32,
) -> Attempt<Vec<StoredEvent>> {
    let found: Vec<EventRow> = sqlx::query_as(
        "-- device_events
         (SELECT id, server_id, at, kind, serial, run_id, data FROM events
          WHERE server_id = $1 AND serial = $2 AND ($3::bigint IS NULL OR id < $3)
          ORDER BY id DESC LIMIT $4)
         UNION ALL
         (SELECT id, server_id, at, kind, serial, run_id, data - 'serial_numbers'
              || jsonb_build_object('devices', jsonb_array_length(data -> 'serial_numbers'))
          FROM events
          WHERE server_id = $1 AND serial IS NULL AND ($3::bigint IS NULL OR id < $3)
              AND data -> 'serial_numbers' ? $2
          ORDER BY id DESC LIMIT $4)
         ORDER BY id DESC LIMIT $4",
    )
    .bind(server.0)
    .bind(serial.as_str())
    .bind(before.map(|before| before.0))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    Ok(found.into_iter().map(StoredEvent::from).collect())
}

/// Deletes what need not be kept.
pub(crate) async fn forget_old(pool: &PgPool, lease: &Lease, keep: &Retention, limit: u32) -> Attempt<u64> {
    let mut transaction = pool.begin().await?;
    let fenced = fence::alone(&mut transaction, lease).await?;
    let mut gone = forget_tombstones(&mut transaction, lease.server, keep, limit).await?;
    gone += forget_runs(&mut transaction, lease.server, &fenced, keep, limit).await?;
    gone += forget_events(&mut transaction, keep, limit).await?;
    transaction.commit().await?;
    Ok(gone)
}

async fn forget_tombstones(
    transaction: &mut PgConnection,
    server: ServerId,
    keep: &Retention,
    limit: u32,
) -> Attempt<u64> {
    // Picked by age, and locked in the order in which everybody locks devices.
    let deleted: Vec<(String, Timestamp)> = sqlx::query_as(
        "-- forget_tombstones
         WITH picked AS MATERIALIZED (
             SELECT id FROM devices WHERE server_id = $1 AND removed_at < $2 AND hold IS NULL
             ORDER BY removed_at LIMIT $3
         ),
         locked AS MATERIALIZED (
             SELECT id FROM devices WHERE id = ANY (ARRAY (SELECT id FROM picked)) ORDER BY serial FOR UPDATE
         )
         DELETE FROM devices d USING locked l WHERE d.id = l.id RETURNING d.serial, d.removed_at",
    )
    .bind(server.0)
    .bind(to_millis(keep.tombstones_before))
    .bind(i64::from(limit))
    .fetch_all(&mut *transaction)
    .await?;
    if deleted.is_empty() {
        return Ok(0);
    }
    let events: Vec<_> = deleted
        .into_iter()
        .map(|(serial, removed_at)| {
            let serial = SerialNumber::from_apple(serial);
            NewEvent::of_device(serial, "device.deleted", &DeviceDeleted { removed_at })
        })
        .collect();
    let now = sqlx::query_scalar("-- now\nSELECT clock_timestamp()").fetch_one(&mut *transaction).await?;
    batch::events(transaction, server, None, &events, now).await?;
    Ok(events.len() as u64)
}

async fn forget_runs(
    transaction: &mut PgConnection,
    server: ServerId,
    fenced: &Fenced,
    keep: &Retention,
    limit: u32,
) -> Attempt<u64> {
    let deleted = sqlx::query(
        "-- forget_runs
         DELETE FROM sync_runs WHERE id = ANY (ARRAY (
             SELECT id FROM sync_runs
             WHERE server_id = $1 AND outcome <> 'running' AND id IS DISTINCT FROM $2 AND id <= (
                 SELECT id FROM sync_runs WHERE server_id = $1 ORDER BY id DESC OFFSET $3 LIMIT 1
             )
             ORDER BY id LIMIT $4
         ))",
    )
    .bind(server.0)
    .bind(fenced.full_generation)
    .bind(i64::from(keep.runs))
    .bind(i64::from(limit))
    .execute(transaction)
    .await?;
    Ok(deleted.rows_affected())
}

/// Only the first events are looked at, so that it costs next to nothing when all of them are young. Two copies may
/// do this at once, each for a server of its own; what one deletes the other leaves alone.
async fn forget_events(transaction: &mut PgConnection, keep: &Retention, limit: u32) -> Attempt<u64> {
    let deleted = sqlx::query(
        "-- forget_events
         WITH oldest AS MATERIALIZED (SELECT id, at FROM events ORDER BY id LIMIT $2),
         locked AS MATERIALIZED (
             SELECT id FROM events e WHERE id = ANY (ARRAY (SELECT id FROM oldest WHERE at < $1))
                 -- What is still on its way somewhere is needed there.
                 AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = e.id AND d.due_at IS NOT NULL)
             FOR UPDATE SKIP LOCKED
         )
         DELETE FROM events WHERE id = ANY (ARRAY (SELECT id FROM locked))",
    )
    .bind(to_millis(keep.events_before))
    .bind(i64::from(limit))
    .execute(transaction)
    .await?;
    Ok(deleted.rows_affected())
}
