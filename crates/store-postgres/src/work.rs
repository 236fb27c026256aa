//! What is to be done, and when: read often, so that every statement here touches only what is due.

use adelie_model::{RevisionId, ServerId, Timestamp, to_millis};
use adelie_store::DueGroup;
use sqlx::PgPool;

use crate::failure::Attempt;
use crate::rows;

/// MDM servers with something to do. The pairs of server and revision are walked by leaps through the index,
/// because a million devices may wait for the same revision until tomorrow.
pub(crate) async fn servers(pool: &PgPool, now: Timestamp, limit: u32) -> Attempt<Vec<ServerId>> {
    let found: Vec<i64> = sqlx::query_scalar(
        "-- servers_with_work
         WITH RECURSIVE pairs (server_id, revision_id) AS (
             (SELECT server_id, wanted_revision_id FROM devices
              WHERE assign_state IN ('due', 'throttled', 'failed')
              ORDER BY server_id, wanted_revision_id LIMIT 1)
             UNION ALL
             SELECT next.server_id, next.wanted_revision_id FROM pairs p CROSS JOIN LATERAL (
                 SELECT server_id, wanted_revision_id FROM devices
                 WHERE assign_state IN ('due', 'throttled', 'failed')
                     AND (server_id, wanted_revision_id) > (p.server_id, p.revision_id)
                 ORDER BY server_id, wanted_revision_id LIMIT 1
             ) next
         ),
         due AS (
             SELECT DISTINCT p.server_id FROM pairs p
             CROSS JOIN LATERAL (
                 SELECT 1 FROM devices d
                 WHERE d.server_id = p.server_id AND d.wanted_revision_id = p.revision_id
                     AND d.assign_state IN ('due', 'throttled', 'failed') AND d.next_attempt_at <= $1
                 LIMIT 1
             ) one
             WHERE NOT EXISTS (
                 SELECT 1 FROM published_profiles u
                 WHERE u.server_id = p.server_id AND u.revision_id = p.revision_id
                     AND u.error IS NOT NULL AND u.next_attempt_at > $1
             )
         )
         SELECT s.id FROM mdm_servers s
         JOIN server_tokens t ON t.server_id = s.id AND t.is_current
         LEFT JOIN due ON due.server_id = s.id
         LEFT JOIN LATERAL (
             SELECT true AS found FROM devices d
             WHERE d.server_id = s.id AND d.assign_state IN ('sent', 'drifted', 'not_accessible')
                 AND (d.next_attempt_at <= $1 OR (d.assign_state = 'sent' AND d.sent_epoch <> s.lease_epoch))
             LIMIT 1
         ) ask ON true
         WHERE NOT s.paused AND (s.wait_until IS NULL OR s.wait_until <= $1) AND (s.next_sync_at IS NULL OR s.next_sync_at <= $1 OR s.decide_after IS NOT NULL
             OR due.server_id IS NOT NULL OR ask.found)
         ORDER BY s.next_sync_at NULLS FIRST, s.id
         LIMIT $2",
    )
    .bind(to_millis(now))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    Ok(found.into_iter().map(ServerId).collect())
}

/// The revisions for which devices of a server are due, most devices first.
pub(crate) async fn due_groups(pool: &PgPool, server: ServerId, now: Timestamp) -> Attempt<Vec<DueGroup>> {
    let found: Vec<(i64, i64)> = sqlx::query_as(
        "-- due_groups
         WITH RECURSIVE wanted (revision_id) AS (
             (SELECT wanted_revision_id FROM devices
              WHERE server_id = $1 AND assign_state IN ('due', 'throttled', 'failed')
              ORDER BY wanted_revision_id LIMIT 1)
             UNION ALL
             SELECT next.wanted_revision_id FROM wanted w CROSS JOIN LATERAL (
                 SELECT wanted_revision_id FROM devices
                 WHERE server_id = $1 AND assign_state IN ('due', 'throttled', 'failed')
                     AND wanted_revision_id > w.revision_id
                 ORDER BY wanted_revision_id LIMIT 1
             ) next
         )
         SELECT w.revision_id, due.devices FROM wanted w
         CROSS JOIN LATERAL (
             SELECT count(*) AS devices FROM devices d
             WHERE d.server_id = $1 AND d.wanted_revision_id = w.revision_id
                 AND d.assign_state IN ('due', 'throttled', 'failed') AND d.next_attempt_at <= $2
         ) due
         WHERE due.devices > 0 AND NOT EXISTS (
             SELECT 1 FROM published_profiles u
             WHERE u.server_id = $1 AND u.revision_id = w.revision_id
                 AND u.error IS NOT NULL AND u.next_attempt_at > $2
         )
         ORDER BY due.devices DESC, w.revision_id",
    )
    .bind(server.0)
    .bind(to_millis(now))
    .fetch_all(pool)
    .await?;
    let mut groups = Vec::with_capacity(found.len());
    for (revision, devices) in found {
        let devices = rows::count("count of devices", devices)?;
        groups.push(DueGroup { revision: RevisionId(revision), devices });
    }
    Ok(groups)
}

/// When the first device of a server is due, for a request or for a question; a refused profile's devices
/// wait for their profile.
pub(crate) async fn next_attempt_at(pool: &PgPool, server: ServerId) -> Attempt<Option<Timestamp>> {
    let at = sqlx::query_scalar(
        "-- next_attempt_at
         WITH RECURSIVE wanted (revision_id) AS (
             (SELECT wanted_revision_id FROM devices
              WHERE server_id = $1 AND assign_state IN ('due', 'throttled', 'failed')
              ORDER BY wanted_revision_id LIMIT 1)
             UNION ALL
             SELECT next.wanted_revision_id FROM wanted w CROSS JOIN LATERAL (
                 SELECT wanted_revision_id FROM devices
                 WHERE server_id = $1 AND assign_state IN ('due', 'throttled', 'failed')
                     AND wanted_revision_id > w.revision_id
                 ORDER BY wanted_revision_id LIMIT 1
             ) next
         )
         SELECT LEAST(
             (SELECT min(GREATEST(due.at, CASE WHEN u.error IS NOT NULL THEN u.next_attempt_at END))
              FROM wanted w
              CROSS JOIN LATERAL (
                  SELECT min(d.next_attempt_at) AS at FROM devices d
                  WHERE d.server_id = $1 AND d.wanted_revision_id = w.revision_id
                      AND d.assign_state IN ('due', 'throttled', 'failed')
              ) due
              LEFT JOIN published_profiles u ON u.server_id = $1 AND u.revision_id = w.revision_id
              WHERE due.at IS NOT NULL),
             (SELECT min(next_attempt_at) FROM devices
              WHERE server_id = $1 AND assign_state IN ('sent', 'drifted', 'not_accessible'))
         )",
    )
    .bind(server.0)
    .fetch_one(pool)
    .await?;
    Ok(at)
}
