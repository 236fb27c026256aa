//! What is to be done, and when. Neither question may walk over the devices: they are asked all the time.

use adelie_model::{ServerId, Timestamp};
use sqlx::SqliteConnection;

use crate::failure::Attempt;
use crate::rows::maybe;

/// MDM servers with work, longest due first.
pub(crate) async fn servers(
    connection: &mut SqliteConnection,
    now: Timestamp,
    limit: u32,
) -> Attempt<Vec<ServerId>> {
    let found: Vec<i64> = sqlx::query_scalar(
        "-- servers_with_work
         WITH RECURSIVE ready (id, next_sync_at, decide_after, lease_epoch) AS MATERIALIZED (
             SELECT id, next_sync_at, decide_after, lease_epoch FROM mdm_servers s
             WHERE paused = 0 AND (wait_until IS NULL OR wait_until <= ?1)
                 AND EXISTS (SELECT 1 FROM server_tokens t WHERE t.server_id = s.id AND t.is_current = 1)
         ),
         -- From one revision that devices in a state are to have to the next, a step each in the index,
         -- however many devices there are of each.
         states (state) AS (
             VALUES ('due'), ('throttled'), ('failed'), ('sent'), ('drifted'), ('not_accessible')
         ),
         groups (server_id, state, revision_id) AS (
             SELECT r.id, s.state, (SELECT min(d.wanted_revision_id) FROM devices d INDEXED BY devices_by_state
                 WHERE d.server_id = r.id AND d.assign_state = s.state)
             FROM ready r CROSS JOIN states s
             UNION ALL
             SELECT server_id, state, (SELECT min(d.wanted_revision_id) FROM devices d INDEXED BY devices_by_state
                 WHERE d.server_id = g.server_id AND d.assign_state = g.state
                     AND d.wanted_revision_id > g.revision_id)
             FROM groups g WHERE g.revision_id IS NOT NULL
         ),
         due (server_id, due_at) AS (
             SELECT id, coalesce(next_sync_at, 0) FROM ready
             UNION ALL
             SELECT id, 0 FROM ready WHERE decide_after IS NOT NULL
             UNION ALL
             SELECT g.server_id, max((SELECT min(d.next_attempt_at) FROM devices d INDEXED BY devices_by_state
                     WHERE d.server_id = g.server_id AND d.assign_state = g.state
                         AND d.wanted_revision_id = g.revision_id),
                 -- A revision that Apple refuses waits until it is tried again; reading back does not.
                 coalesce((SELECT p.next_attempt_at FROM published_profiles p
                     WHERE p.server_id = g.server_id AND p.revision_id = g.revision_id AND p.error IS NOT NULL
                         AND g.state IN ('due', 'throttled', 'failed')), 0))
             FROM groups g WHERE g.revision_id IS NOT NULL
             UNION ALL
             SELECT r.id, 0 FROM ready r WHERE EXISTS (SELECT 1 FROM devices d INDEXED BY devices_by_state
                 WHERE d.server_id = r.id AND d.assign_state = 'sent' AND d.sent_epoch <> r.lease_epoch)
         )
         SELECT server_id FROM due WHERE due_at <= ?1 GROUP BY server_id ORDER BY min(due_at), server_id LIMIT ?2",
    )
    .bind(now.timestamp_millis())
    .bind(limit)
    .fetch_all(connection)
    .await?;
    Ok(found.into_iter().map(ServerId).collect())
}

/// When the next assignment or read-back of one MDM server is due. Devices of a refused profile wait for the
/// time at which that is tried again.
pub(crate) async fn next_attempt(
    connection: &mut SqliteConnection,
    server: ServerId,
) -> Attempt<Option<Timestamp>> {
    let next: Option<i64> = sqlx::query_scalar(
        "-- next_attempt_at
         WITH RECURSIVE states (state) AS (
             VALUES ('due'), ('throttled'), ('failed'), ('sent'), ('drifted'), ('not_accessible')
         ),
         groups (state, revision_id) AS (
             SELECT s.state, (SELECT min(d.wanted_revision_id) FROM devices d INDEXED BY devices_by_state
                 WHERE d.server_id = ?1 AND d.assign_state = s.state)
             FROM states s
             UNION ALL
             SELECT state, (SELECT min(d.wanted_revision_id) FROM devices d INDEXED BY devices_by_state
                 WHERE d.server_id = ?1 AND d.assign_state = g.state AND d.wanted_revision_id > g.revision_id)
             FROM groups g WHERE g.revision_id IS NOT NULL
         )
         SELECT min(max((SELECT min(d.next_attempt_at) FROM devices d INDEXED BY devices_by_state
                 WHERE d.server_id = ?1 AND d.assign_state = g.state AND d.wanted_revision_id = g.revision_id),
             coalesce((SELECT p.next_attempt_at FROM published_profiles p
                 WHERE p.server_id = ?1 AND p.revision_id = g.revision_id AND p.error IS NOT NULL
                     AND g.state IN ('due', 'throttled', 'failed')), 0)))
         FROM groups g WHERE g.revision_id IS NOT NULL",
    )
    .bind(server.0)
    .fetch_one(connection)
    .await?;
    Ok(maybe("devices.next_attempt_at", next)?)
}
