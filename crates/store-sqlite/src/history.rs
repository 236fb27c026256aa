//! What happened to a device.

use adelie_model::{EventId, RunId, SerialNumber, ServerId};
use adelie_store::{StoredEvent, moment};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::failure::Attempt;
use crate::rows;

/// Events about one device lie together; those about several are looked through, newest first.
const DEVICE_EVENTS: &str = r#"-- device_events
     SELECT * FROM (
         SELECT id, server_id, serial, kind, at, run_id, data FROM events INDEXED BY events_of_device
         WHERE server_id = ?1 AND serial = ?2 AND serial IS NOT NULL AND id < ?3 ORDER BY id DESC LIMIT ?4
     )
     UNION ALL
     SELECT * FROM (
         SELECT id, server_id, serial, kind, at, run_id,
             json_set(json_remove(data, '$.serial_numbers'),
                 '$.devices', json_array_length(data, '$.serial_numbers'))
         FROM events INDEXED BY events_of_several
         WHERE server_id = ?1 AND serial IS NULL AND id < ?3
             -- Looking for the text first spares the reading of most lists.
             AND instr(data, json_quote(?2)) > 0
             AND EXISTS (SELECT 1 FROM json_each(data, '$.serial_numbers') WHERE value = ?2)
         ORDER BY id DESC LIMIT ?4
     )
     ORDER BY id DESC LIMIT ?4"#;

/// Up to `limit` events of a device before `before`, newest first.
pub(crate) async fn of_device(
    connection: &mut SqliteConnection,
    server: ServerId,
    serial: &SerialNumber,
    before: Option<EventId>,
    limit: u32,
) -> Attempt<Vec<StoredEvent>> {
    let found = sqlx::query(DEVICE_EVENTS)
        .bind(server.0)
        .bind(serial.as_str())
        .bind(before.map_or(i64::MAX, |event| event.0))
        .bind(limit)
        .fetch_all(connection)
        .await?;
    found.iter().map(event).collect()
}

/// The event in a row with the columns of its table.
pub(crate) fn event(row: &SqliteRow) -> Attempt<StoredEvent> {
    let serial: Option<String> = row.try_get("serial")?;
    let run: Option<i64> = row.try_get("run_id")?;
    Ok(StoredEvent {
        id: EventId(row.try_get("id")?),
        server: row.try_get::<Option<i64>, _>("server_id")?.map(ServerId),
        at: moment("events.at", row.try_get("at")?)?,
        kind: row.try_get("kind")?,
        serial: serial.map(SerialNumber::from_apple),
        run: run.map(RunId),
        data: rows::json("events.data", row.try_get("data")?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A history is read by its indexes, in their order.
    #[tokio::test]
    async fn a_history_is_read_by_its_indexes() {
        let plan = crate::plan::of(DEVICE_EVENTS).await;
        for index in [
            "events_of_device (server_id=? AND serial=? AND id<?)",
            "events_of_several (server_id=? AND id<?)",
        ] {
            assert!(plan.iter().any(|step| step.contains(index)), "{index} in {plan:#?}");
        }
    }
}
