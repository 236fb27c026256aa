//! Events, as they are followed.

use adelie_model::{EventId, SerialNumber};
use adelie_store::{EventFilter, StoreError, StoredEvent};
use sqlx::{AssertSqlSafe, SqliteConnection};
use uuid::Uuid;

use super::fan_out::kind_matches;
use crate::failure::Attempt;
use crate::history::event;
use crate::rows::{millis, to_json};

/// The name of this database.
pub(crate) async fn installation(connection: &mut SqliteConnection) -> Attempt<Uuid> {
    let name: String = sqlx::query_scalar("-- installation\nSELECT name FROM installation WHERE id = 1")
        .fetch_one(connection)
        .await?;
    Ok(name.parse().map_err(|_| StoreError::damaged("installation.name", &name))?)
}

/// Events after a number, in their order.
pub(super) async fn after(
    connection: &mut SqliteConnection,
    filter: &EventFilter,
    after: EventId,
    limit: u32,
) -> Attempt<Vec<StoredEvent>> {
    read(connection, filter, "e.id > ?1 ", " ORDER BY e.id LIMIT ?2", after.0, limit).await
}

/// Events before a number, newest first.
pub(super) async fn before(
    connection: &mut SqliteConnection,
    filter: &EventFilter,
    before: Option<EventId>,
    limit: u32,
) -> Attempt<Vec<StoredEvent>> {
    let before = before.map_or(i64::MAX, |before| before.0);
    read(connection, filter, "e.id < ?1 ", " ORDER BY e.id DESC LIMIT ?2", before, limit).await
}

/// Reads those that a filter lets pass. What it leaves open is no part of the statement, so that the rest can be
/// found by an index.
async fn read(
    connection: &mut SqliteConnection,
    filter: &EventFilter,
    from: &'static str,
    order: &'static str,
    id: i64,
    limit: u32,
) -> Attempt<Vec<StoredEvent>> {
    let conditions = [
        (!filter.kinds.is_empty(), concat!(" AND ", kind_matches!("?3"))),
        (filter.server.is_some(), " AND e.server_id = ?4"),
        (
            filter.serial.is_some(),
            // Looking for the text first spares the reading of most lists.
            " AND (e.serial = ?5 OR (e.serial IS NULL AND instr(e.data, json_quote(?5)) > 0
                 AND EXISTS (SELECT 1 FROM json_each(e.data, '$.serial_numbers') WHERE value = ?5)))",
        ),
        (filter.since.is_some(), " AND e.at >= ?6"),
    ];
    let mut statement = String::from(
        "-- read_events\nSELECT e.id, e.server_id, e.serial, e.kind, e.at, e.run_id, e.data FROM events e WHERE ",
    );
    statement.push_str(from);
    conditions.iter().filter(|(wanted, _)| *wanted).for_each(|(_, text)| statement.push_str(text));
    statement.push_str(order);
    // Made of literals of this file alone; every value is bound.
    let found = sqlx::query(AssertSqlSafe(statement))
        .bind(id)
        .bind(limit)
        .bind(to_json("patterns", &filter.kinds)?)
        .bind(filter.server.map(|server| server.0))
        .bind(filter.serial.as_ref().map(SerialNumber::as_str))
        .bind(millis(filter.since))
        .fetch_all(connection)
        .await?;
    found.iter().map(event).collect()
}
