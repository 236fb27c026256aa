//! What is to be done, and when. Neither question may walk over the devices: they are asked all the time.

use std::time::Duration;

use adelie_model::{ServerId, Timestamp};
use adelie_store::Lease;
use sqlx::SqliteConnection;

use crate::failure::Attempt;
use crate::leases::whole_millis;
use crate::rows::maybe;

/// MDM servers that are due at `?1` and that nobody holds at `?2`, longest due first.
macro_rules! due {
    () => {
        "SELECT s.id FROM mdm_servers s INDEXED BY mdm_servers_by_work
         WHERE s.paused = 0 AND s.work_at <= ?1 AND (s.wait_until IS NULL OR s.wait_until <= ?1)
             AND (s.lease_owner IS NULL OR s.lease_expires_at <= ?2)
             AND EXISTS (SELECT 1 FROM server_tokens t WHERE t.server_id = s.id AND t.is_current = 1)
         ORDER BY s.work_at, s.id LIMIT "
    };
}

const ANY_DUE: &str = concat!("-- any_due_server\n", due!(), "1");

const CLAIM: &str = concat!(
    "-- claim_due_servers
     UPDATE mdm_servers SET lease_owner = ?3, lease_epoch = lease_epoch + 1, lease_expires_at = ?2 + ?4
     WHERE id IN (",
    due!(),
    "?5) RETURNING id, lease_epoch, work_at"
);

/// Whether it is worth taking the write lock, for which others would have to wait.
pub(crate) async fn any_due(
    connection: &mut SqliteConnection,
    now: Timestamp,
    clock: Timestamp,
) -> Attempt<bool> {
    let found: Option<i64> = sqlx::query_scalar(ANY_DUE)
        .bind(now.timestamp_millis())
        .bind(clock.timestamp_millis())
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

/// Takes the leases of up to `limit` MDM servers with work.
pub(crate) async fn claim(
    transaction: &mut SqliteConnection,
    owner: &str,
    ttl: Duration,
    now: Timestamp,
    clock: Timestamp,
    limit: u32,
) -> Attempt<Vec<Lease>> {
    let mut claimed: Vec<(i64, i64, i64)> = sqlx::query_as(CLAIM)
        .bind(now.timestamp_millis())
        .bind(clock.timestamp_millis())
        .bind(owner)
        .bind(whole_millis(ttl))
        .bind(limit)
        .fetch_all(transaction)
        .await?;
    // What is returned comes in no order.
    claimed.sort_unstable_by_key(|(id, _, work_at)| (*work_at, *id));
    let lease = |(id, epoch, _)| Lease { server: ServerId(id), owner: owner.to_owned(), epoch };
    Ok(claimed.into_iter().map(lease).collect())
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
                     AND g.state = 'due'), 0)))
         FROM groups g WHERE g.revision_id IS NOT NULL",
    )
    .bind(server.0)
    .fetch_one(connection)
    .await?;
    Ok(maybe("devices.next_attempt_at", next)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asking for work every second costs a look into the index when there is none.
    #[tokio::test]
    async fn asking_for_work_is_a_look_into_the_index() {
        for statement in [ANY_DUE, CLAIM] {
            let plan = crate::plan::of(statement).await;
            let index = "s USING INDEX mdm_servers_by_work (work_at<?)";
            assert!(plan.iter().any(|step| step.contains(index)), "{plan:#?}");
            let dear = |step: &&String| step.contains("SCAN") || step.contains("TEMP B-TREE");
            assert_eq!(plan.iter().find(dear), None, "{plan:#?}");
        }
    }
}
