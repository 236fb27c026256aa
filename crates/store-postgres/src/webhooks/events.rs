//! Events, as they are followed.

use adelie_model::{Device, EventId, SerialNumber, ServerId};
use adelie_store::{EventFilter, StoredEvent};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use uuid::Uuid;

use super::fan_out::kind_matches;
use crate::batch;
use crate::failure::Attempt;
use crate::history::EventRow;
use crate::rows::{self, DeviceRow, millis};

/// The name of this database.
pub(crate) async fn installation(connection: &mut PgConnection) -> Attempt<Uuid> {
    Ok(sqlx::query_scalar("-- installation\nSELECT name FROM installation").fetch_one(connection).await?)
}

/// Events after a number, in their order.
pub(super) async fn after(
    pool: &PgPool,
    filter: &EventFilter,
    after: EventId,
    limit: u32,
) -> Attempt<Vec<StoredEvent>> {
    read(pool, filter, "e.id > $1 ", " ORDER BY e.id LIMIT $2", after.0, limit).await
}

/// Events before a number, newest first.
pub(super) async fn before(
    pool: &PgPool,
    filter: &EventFilter,
    before: Option<EventId>,
    limit: u32,
) -> Attempt<Vec<StoredEvent>> {
    let before = before.map_or(i64::MAX, |before| before.0);
    read(pool, filter, "e.id < $1 ", " ORDER BY e.id DESC LIMIT $2", before, limit).await
}

/// Reads those that a filter lets pass. Plans are made for the values, so that what it leaves open costs nothing.
async fn read(
    pool: &PgPool,
    filter: &EventFilter,
    from: &'static str,
    order: &'static str,
    id: i64,
    limit: u32,
) -> Attempt<Vec<StoredEvent>> {
    let mut statement = String::from(
        "-- read_events\nSELECT e.id, e.server_id, e.at, e.kind, e.serial, e.run_id, e.data FROM events e WHERE ",
    );
    statement.push_str(from);
    statement.push_str(concat!(
        " AND (cardinality($3::text[]) = 0 OR ",
        kind_matches!("$3::text[]"),
        ") AND ($4::bigint IS NULL OR e.server_id = $4)
         AND ($5::text IS NULL OR e.serial = $5 OR (e.serial IS NULL AND e.data -> 'serial_numbers' ? $5))
         AND ($6::timestamptz IS NULL OR e.at >= $6)",
    ));
    statement.push_str(order);
    // Made of literals of this file alone; every value is bound.
    let found: Vec<EventRow> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(id)
        .bind(i64::from(limit))
        .bind(&filter.kinds)
        .bind(filter.server.map(|server| server.0))
        .bind(filter.serial.as_ref().map(SerialNumber::as_str))
        .bind(millis(filter.since))
        .fetch_all(pool)
        .await?;
    Ok(found.into_iter().map(StoredEvent::from).collect())
}

/// The devices with these serial numbers, without locking them.
pub(super) async fn devices(
    pool: &PgPool,
    server: ServerId,
    serials: &[SerialNumber],
) -> Attempt<Vec<Device>> {
    let found: Vec<DeviceRow> = sqlx::query_as(
        "-- devices_of
         SELECT d.* FROM UNNEST($2::text[]) AS s (serial)
         CROSS JOIN LATERAL (SELECT * FROM devices WHERE server_id = $1 AND serial = s.serial LIMIT 1) d",
    )
    .bind(server.0)
    .bind(batch::in_order(serials))
    .fetch_all(pool)
    .await?;
    Ok(rows::all(found)?)
}
