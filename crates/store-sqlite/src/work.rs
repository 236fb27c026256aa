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
    // `groups` jumps from one (server, revision) with assignments to the next, a step each in the index,
    // however many devices wait in between.
    let found: Vec<i64> = sqlx::query_scalar(
        "-- servers_with_work
         WITH RECURSIVE groups (server_id, revision_id) AS (
             SELECT * FROM (SELECT server_id, wanted_revision_id FROM devices INDEXED BY devices_to_assign
                 WHERE assign_state IN ('due', 'throttled', 'failed')
                 ORDER BY server_id, wanted_revision_id LIMIT 1)
             UNION ALL
             SELECT d.server_id, d.wanted_revision_id FROM groups g JOIN devices d ON d.id = (
                 SELECT id FROM devices INDEXED BY devices_to_assign
                 WHERE assign_state IN ('due', 'throttled', 'failed')
                     AND (server_id, wanted_revision_id) > (g.server_id, g.revision_id)
                 ORDER BY server_id, wanted_revision_id LIMIT 1)
         ),
         assignments AS (
             SELECT g.server_id, max(coalesce(CASE WHEN p.error IS NULL THEN 0 ELSE p.next_attempt_at END, 0),
                 (SELECT min(next_attempt_at) FROM devices INDEXED BY devices_to_assign
                     WHERE server_id = g.server_id AND wanted_revision_id = g.revision_id
                         AND assign_state IN ('due', 'throttled', 'failed'))) AS due_at
             FROM groups g
             LEFT JOIN published_profiles p ON p.server_id = g.server_id AND p.revision_id = g.revision_id
         ),
         due AS (
             SELECT id AS server_id, coalesce(next_sync_at, 0) AS due_at FROM mdm_servers
             UNION ALL
             SELECT server_id, due_at FROM assignments
             UNION ALL
             SELECT id, 0 FROM mdm_servers WHERE decide_after IS NOT NULL
             UNION ALL
             SELECT s.id, (SELECT min(d.next_attempt_at) FROM devices d INDEXED BY devices_to_read_back
                 WHERE d.server_id = s.id AND d.assign_state IN ('sent', 'drifted', 'not_accessible'))
             FROM mdm_servers s
             UNION ALL
             SELECT s.id, 0 FROM mdm_servers s WHERE EXISTS (
                 SELECT 1 FROM devices d INDEXED BY devices_to_read_back WHERE d.server_id = s.id
                     AND d.assign_state IN ('sent', 'drifted', 'not_accessible')
                     AND d.assign_state = 'sent' AND d.sent_epoch <> s.lease_epoch)
         )
         SELECT s.id FROM due JOIN mdm_servers s ON s.id = due.server_id
         WHERE due.due_at <= ?1 AND s.paused = 0
             AND EXISTS (SELECT 1 FROM server_tokens t WHERE t.server_id = s.id AND t.is_current = 1)
         GROUP BY s.id ORDER BY min(due.due_at), s.id LIMIT ?2",
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
         WITH RECURSIVE revisions (id) AS (
             SELECT min(wanted_revision_id) FROM devices INDEXED BY devices_to_assign
             WHERE server_id = ?1 AND assign_state IN ('due', 'throttled', 'failed')
             UNION ALL
             SELECT (SELECT min(wanted_revision_id) FROM devices INDEXED BY devices_to_assign
                 WHERE server_id = ?1 AND assign_state IN ('due', 'throttled', 'failed')
                     AND wanted_revision_id > revisions.id)
             FROM revisions WHERE revisions.id IS NOT NULL
         )
         SELECT min(at) FROM (
             SELECT max(coalesce(CASE WHEN p.error IS NULL THEN 0 ELSE p.next_attempt_at END, 0),
                 (SELECT min(next_attempt_at) FROM devices INDEXED BY devices_to_assign
                     WHERE server_id = ?1 AND wanted_revision_id = r.id
                         AND assign_state IN ('due', 'throttled', 'failed'))) AS at
             FROM revisions r
             LEFT JOIN published_profiles p ON p.server_id = ?1 AND p.revision_id = r.id
             WHERE r.id IS NOT NULL
             UNION ALL
             SELECT min(next_attempt_at) FROM devices INDEXED BY devices_to_read_back
             WHERE server_id = ?1 AND assign_state IN ('sent', 'drifted', 'not_accessible')
         )",
    )
    .bind(server.0)
    .fetch_one(connection)
    .await?;
    Ok(maybe("devices.next_attempt_at", next)?)
}
