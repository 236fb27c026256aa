//! Which events go to which endpoints.

use sqlx::SqliteConnection;

use crate::failure::Attempt;

/// Whether one of the patterns in the JSON array `$patterns` matches the type of the event `e`. In a pattern only `*`
/// is special.
macro_rules! kind_matches {
    ($patterns:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM json_each(",
            $patterns,
            ") p WHERE e.kind GLOB replace(replace(p.value, '[', '[[]'), '?', '[?]'))"
        )
    };
}
pub(super) use kind_matches;

/// Whether the endpoint `w` wants the event `e`. Pages are for those with the format of nanodep, and they want nothing
/// else; what happens to an endpoint is not told to itself; a test is for the one that is tried.
macro_rules! wants {
    () => {
        concat!(
            "w.state <> 'removed' AND (w.format = 'nanodep') = (e.kind = 'sync.page') AND e.kind <> 'webhook.test' AND ",
            $crate::webhooks::fan_out::kind_matches!("w.events"),
            " AND (e.server_id IS NULL OR w.servers = '[]' OR e.server_id IN (SELECT value FROM json_each(w.servers)))
             AND NOT (e.kind GLOB 'webhook.*' AND e.data ->> 'webhook' IS w.id)"
        )
    };
}
pub(super) use wants;

/// What an endpoint has of an event: one delivery.
macro_rules! add_deliveries {
    () => {
        "INSERT INTO deliveries (webhook_id, event_id, at, server_id, serial, ordered, state, due_at)
         SELECT w.id, e.id, e.at, e.server_id, e.serial, w.ordered, 'pending', "
    };
}
pub(super) use add_deliveries;

const FAN_OUT: &str = concat!(
    "-- fan_out\n",
    add_deliveries!(),
    "e.at FROM webhooks w CROSS JOIN events e WHERE e.id >= ?1 AND e.id <= ?2 AND ",
    wants!()
);

/// Writes the deliveries of events with these numbers, which the transaction has just written. Without an endpoint
/// nothing of the events is looked at.
pub(crate) async fn fan_out(transaction: &mut SqliteConnection, first: i64, last: i64) -> Attempt<()> {
    sqlx::query(FAN_OUT).bind(first).bind(last).execute(transaction).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without endpoints the events are not read, and with them only those that were written.
    #[tokio::test]
    async fn events_are_found_by_their_numbers() {
        let plan = crate::plan::of(FAN_OUT).await;
        assert!(plan[0].contains("SCAN w"), "{plan:#?}");
        assert!(plan[1].contains("SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"), "{plan:#?}");
    }
}
