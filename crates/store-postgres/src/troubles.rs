//! What is not as it should be.

use adelie_model::{AssignState, SerialNumber, ServerId, Timestamp};
use adelie_store::{StoreError, Trouble};
use sqlx::PgPool;

use crate::failure::Attempt;
use crate::rows;

#[derive(sqlx::FromRow)]
struct TroubleRow {
    server_id: i64,
    state: String,
    reason: String,
    devices: i64,
    next_attempt_at: Option<Timestamp>,
    example: String,
}

/// Devices in trouble, grouped by what is the matter. Reads those in trouble and no others: the ones by the index
/// that has only them, the ones that are due for a refused profile by its revision.
pub(crate) async fn list(pool: &PgPool, server: Option<ServerId>, limit: u32) -> Attempt<Vec<Trouble>> {
    let found: Vec<TroubleRow> = sqlx::query_as(
        "-- troubles
         WITH groups AS (
             SELECT d.server_id, d.assign_state, d.assign_reason, d.wanted_revision_id, count(*) AS devices,
                 min(d.next_attempt_at) AS next_attempt_at, min(d.serial) AS example
             FROM devices d
             WHERE d.assign_state IN ('held', 'throttled', 'failed', 'not_accessible', 'drifted')
                 AND ($1::bigint IS NULL OR d.server_id = $1)
             GROUP BY d.server_id, d.assign_state, d.assign_reason, d.wanted_revision_id
         ),
         shown AS (
             SELECT g.server_id, devices, example,
                 CASE WHEN by_profile THEN 'held' ELSE g.assign_state END AS state,
                 CASE WHEN by_profile THEN u.error ELSE g.assign_reason END AS reason,
                 g.next_attempt_at
             FROM groups g
             LEFT JOIN published_profiles u
                 ON u.server_id = g.server_id AND u.revision_id = g.wanted_revision_id
             CROSS JOIN LATERAL (SELECT u.error IS NOT NULL AND g.assign_state = 'drifted') b (by_profile)
             UNION ALL
             SELECT u.server_id, due.devices, due.example, 'held', u.error,
                 GREATEST(due.next_attempt_at, u.next_attempt_at)
             FROM published_profiles u
             CROSS JOIN LATERAL (
                 SELECT count(*) AS devices, min(d.next_attempt_at) AS next_attempt_at, min(d.serial) AS example
                 FROM devices d
                 WHERE d.server_id = u.server_id AND d.wanted_revision_id = u.revision_id
                     AND d.assign_state = 'due'
             ) due
             WHERE u.error IS NOT NULL AND due.devices > 0 AND ($1::bigint IS NULL OR u.server_id = $1)
         )
         SELECT server_id, state, reason, sum(devices)::bigint AS devices,
             min(next_attempt_at) AS next_attempt_at, min(example) AS example
         FROM shown GROUP BY server_id, state, reason
         ORDER BY devices DESC, server_id, state, reason LIMIT $2",
    )
    .bind(server.map(|server| server.0))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    let mut troubles = Vec::with_capacity(found.len());
    for row in found {
        troubles.push(Trouble {
            server: ServerId(row.server_id),
            state: AssignState::parse(&row.state)
                .ok_or_else(|| StoreError::damaged("devices.assign_state", &row.state))?,
            reason: row.reason,
            devices: rows::count("count of devices", row.devices)?,
            next_attempt_at: row.next_attempt_at,
            example: SerialNumber::from_apple(row.example),
        });
    }
    Ok(troubles)
}
