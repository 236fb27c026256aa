//! What is not as it should be, grouped by its reason.

use adelie_model::{AssignState, SerialNumber, ServerId};
use adelie_store::Trouble;
use sqlx::SqliteConnection;

use crate::failure::Attempt;
use crate::rows::{count, maybe, word};

/// The devices in trouble are few and are looked at. Those of refused profiles may be very many: of them only the
/// index is read, and one device as an example.
const TROUBLES: &str = "-- troubles
     WITH troubles (server_id, state, reason, devices, next_attempt_at, example) AS (
         SELECT d.server_id, d.assign_state, d.assign_reason, count(*), min(d.next_attempt_at), min(d.serial)
         FROM mdm_servers s
         CROSS JOIN devices d INDEXED BY devices_by_state ON d.server_id = s.id
             AND d.assign_state IN ('held', 'throttled', 'failed', 'not_accessible', 'drifted')
         LEFT JOIN published_profiles p
             ON p.server_id = d.server_id AND p.revision_id = d.wanted_revision_id AND p.error IS NOT NULL
         WHERE s.id BETWEEN ?1 AND ?2 AND (d.assign_state <> 'drifted' OR p.id IS NULL)
         GROUP BY d.server_id, d.assign_state, d.assign_reason
         UNION ALL
         SELECT p.server_id, 'held', p.error, count(*),
             -- What is due waits until the profile is tried again; reading back does not.
             max(min(d.next_attempt_at),
                 CASE d.assign_state WHEN 'due' THEN coalesce(p.next_attempt_at, 0) ELSE 0 END),
             (SELECT e.serial FROM devices e INDEXED BY devices_by_state
                 WHERE e.server_id = p.server_id AND e.assign_state = d.assign_state
                     AND e.wanted_revision_id = p.revision_id LIMIT 1)
         FROM published_profiles p
         CROSS JOIN devices d INDEXED BY devices_by_state ON d.server_id = p.server_id
             AND d.assign_state IN ('due', 'drifted') AND d.wanted_revision_id = p.revision_id
         WHERE p.error IS NOT NULL AND p.server_id BETWEEN ?1 AND ?2
         GROUP BY p.id, d.assign_state
     )
     SELECT server_id, state, reason, sum(devices) AS devices, min(next_attempt_at), min(example) FROM troubles
     GROUP BY server_id, state, reason ORDER BY devices DESC, server_id, state, reason LIMIT ?3";

/// Groups of devices in trouble, largest first.
pub(crate) async fn troubles(
    connection: &mut SqliteConnection,
    server: Option<ServerId>,
    limit: u32,
) -> Attempt<Vec<Trouble>> {
    type Row = (i64, String, String, i64, Option<i64>, String);
    let found: Vec<Row> = sqlx::query_as(TROUBLES)
        .bind(server.map_or(i64::MIN, |server| server.0))
        .bind(server.map_or(i64::MAX, |server| server.0))
        .bind(limit)
        .fetch_all(connection)
        .await?;
    found
        .into_iter()
        .map(|(server, state, reason, devices, next_attempt_at, example)| {
            Ok(Trouble {
                server: ServerId(server),
                state: word("devices.assign_state", &state, AssignState::parse)?,
                reason,
                devices: count("devices", devices)?,
                next_attempt_at: maybe("devices.next_attempt_at", next_attempt_at)?,
                example: SerialNumber::from_apple(example),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A million devices of a refused profile, or without trouble, are not walked one by one.
    #[tokio::test]
    async fn devices_of_refused_profiles_are_counted_in_the_index() {
        let plan = crate::plan::of(TROUBLES).await;
        let of_devices: Vec<_> = plan.iter().filter(|step| step.contains(" d ")).collect();
        let index = "USING INDEX devices_by_state (server_id=? AND assign_state=?";
        assert_eq!(of_devices.len(), 2, "{plan:#?}");
        assert!(of_devices.iter().any(|step| step.contains(index)), "{plan:#?}");
        let covering = "USING COVERING INDEX devices_by_state (server_id=? AND assign_state=? AND wanted";
        assert!(of_devices.iter().any(|step| step.contains(covering)), "{plan:#?}");
    }
}
