//! What is to be done, and when: read often, so that every statement here touches only what is due.

use adelie_model::{RevisionId, ServerId, Timestamp, to_millis};
use adelie_store::DueGroup;
use sqlx::{PgExecutor, PgPool};

use crate::failure::Attempt;
use crate::rows;

/// The revisions for which devices of a server are due, most devices first.
pub(crate) async fn due_groups(pool: &PgPool, server: ServerId, now: Timestamp) -> Attempt<Vec<DueGroup>> {
    let found: Vec<(i64, i64)> = sqlx::query_as(
        "-- due_groups
         WITH RECURSIVE wanted (revision_id) AS (
             (SELECT wanted_revision_id FROM devices
              WHERE server_id = $1 AND assign_state = 'due'
              ORDER BY wanted_revision_id LIMIT 1)
             UNION ALL
             SELECT next.wanted_revision_id FROM wanted w CROSS JOIN LATERAL (
                 SELECT wanted_revision_id FROM devices
                 WHERE server_id = $1 AND assign_state = 'due'
                     AND wanted_revision_id > w.revision_id
                 ORDER BY wanted_revision_id LIMIT 1
             ) next
         )
         SELECT w.revision_id, due.devices FROM wanted w
         CROSS JOIN LATERAL (
             SELECT count(*) AS devices FROM devices d
             WHERE d.server_id = $1 AND d.wanted_revision_id = w.revision_id
                 AND d.assign_state = 'due' AND d.next_attempt_at <= $2
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
pub(crate) async fn next_attempt_at(
    connection: impl PgExecutor<'_>,
    server: ServerId,
) -> Attempt<Option<Timestamp>> {
    let at = sqlx::query_scalar(
        "-- next_attempt_at
         WITH RECURSIVE wanted (revision_id) AS (
             (SELECT wanted_revision_id FROM devices
              WHERE server_id = $1 AND assign_state = 'due'
              ORDER BY wanted_revision_id LIMIT 1)
             UNION ALL
             SELECT next.wanted_revision_id FROM wanted w CROSS JOIN LATERAL (
                 SELECT wanted_revision_id FROM devices
                 WHERE server_id = $1 AND assign_state = 'due'
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
                      AND d.assign_state = 'due'
              ) due
              LEFT JOIN published_profiles u ON u.server_id = $1 AND u.revision_id = w.revision_id
              WHERE due.at IS NOT NULL),
             (SELECT min(next_attempt_at) FROM devices
              WHERE server_id = $1 AND assign_state IN ('sent', 'drifted', 'not_accessible')),
             (SELECT min(next_attempt_at) FROM devices
              WHERE server_id = $1 AND assign_state IN ('throttled', 'failed'))
         )",
    )
    .bind(server.0)
    .fetch_one(connection)
    .await?;
    Ok(at)
}
