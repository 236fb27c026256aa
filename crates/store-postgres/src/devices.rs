//! Reading devices.

use adelie_model::{AssignState, DeviceFamily, EventId, SerialNumber, ServerId};
use adelie_store::{
    DeviceFilter, DevicePosition, DeviceStore, DeviceView, Result, StateCount, StoreError, StoredEvent,
};
use async_trait::async_trait;
use sqlx::PgPool;

use crate::failure::{Attempt, run};
use crate::rows::{self, ViewRow};
use crate::{PostgresStore, history};

#[async_trait]
impl DeviceStore for PostgresStore {
    async fn devices(
        &self,
        filter: &DeviceFilter,
        after: Option<&DevicePosition>,
        limit: u32,
    ) -> Result<Vec<DeviceView>> {
        run("list devices", move || list(&self.pool, filter, None, after, Some(limit))).await
    }

    async fn device(&self, serial: &SerialNumber) -> Result<Vec<DeviceView>> {
        let all = DeviceFilter::default();
        let all = &all;
        run("look a device up", move || list(&self.pool, all, Some(serial), None, None)).await
    }

    async fn device_events(
        &self,
        server: ServerId,
        serial: &SerialNumber,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<StoredEvent>> {
        run("read the history of a device", move || {
            history::of_device(&self.pool, server, serial, before, limit)
        })
        .await
    }

    async fn state_counts(&self, server: Option<ServerId>) -> Result<Vec<StateCount>> {
        run("count devices", move || state_counts(&self.pool, server)).await
    }
}

async fn list(
    pool: &PgPool,
    filter: &DeviceFilter,
    serial: Option<&SerialNumber>,
    after: Option<&DevicePosition>,
    limit: Option<u32>,
) -> Attempt<Vec<DeviceView>> {
    // Plans are made with the parameters at hand (see `set_up_connection`), so that what is NULL costs nothing.
    let found: Vec<ViewRow> = sqlx::query_as(
        "-- device_views
         SELECT d.server_id, d.serial, d.model, d.description, d.color, d.asset_tag, d.device_family, d.os,
             d.profile_status, d.profile_uuid, d.profile_assign_time, d.profile_push_time,
             d.device_assigned_by, d.device_assigned_date, d.mdm_migration_deadline, d.extra, d.op_date,
             d.op_digest, d.first_seen_at, d.last_seen_at, d.seen_run, d.removed_at, d.hold, d.assign_state,
             d.assign_reason, d.attempts, d.next_attempt_at, d.wanted_revision_id,
             s.name AS server_name, p.name AS wanted_profile, u.error AS profile_error
         FROM devices d
         JOIN mdm_servers s ON s.id = d.server_id
         LEFT JOIN profile_revisions r ON r.id = d.wanted_revision_id
         LEFT JOIN profiles p ON p.id = r.profile_id
         LEFT JOIN published_profiles u
             ON u.server_id = d.server_id AND u.revision_id = d.wanted_revision_id
         WHERE ($1::bigint IS NULL OR d.server_id = $1)
             AND ($2::text IS NULL OR d.serial = $2)
             AND ($3::bigint IS NULL OR (d.server_id, d.serial) > ($3, $4::text))
             AND ($5::text IS NULL OR d.device_family = $5)
             AND ($6::text IS NULL OR $6 = CASE
                 WHEN u.error IS NOT NULL AND d.assign_state IN ('due', 'drifted') THEN 'held'
                 ELSE d.assign_state END)
             AND ($7::text IS NULL OR d.serial ILIKE $7 OR d.model ILIKE $7 OR d.description ILIKE $7
                 OR d.asset_tag ILIKE $7 OR d.color ILIKE $7)
         ORDER BY d.server_id, d.serial
         LIMIT $8",
    )
    .bind(filter.server.map(|server| server.0))
    .bind(serial.map(SerialNumber::as_str))
    .bind(after.map(|after| after.server.0))
    .bind(after.map(|after| after.serial.as_str()))
    .bind(filter.family.as_ref().map(DeviceFamily::as_str))
    .bind(filter.state.map(AssignState::as_str))
    .bind(filter.query.as_deref().map(pattern))
    .bind(limit.map(i64::from))
    .fetch_all(pool)
    .await?;
    Ok(rows::all(found)?)
}

async fn state_counts(pool: &PgPool, server: Option<ServerId>) -> Attempt<Vec<StateCount>> {
    // Counted before the join, so that it joins groups and not devices.
    let found: Vec<(i64, String, i64, i64)> = sqlx::query_as(
        "-- state_counts
         SELECT d.server_id, CASE
                 WHEN u.error IS NOT NULL AND d.assign_state IN ('due', 'drifted') THEN 'held'
                 ELSE d.assign_state END AS state, sum(d.devices)::bigint,
             COALESCE(sum(d.devices) FILTER (
                 WHERE u.error IS NOT NULL AND d.assign_state IN ('due', 'drifted')), 0)::bigint
         FROM (
             SELECT server_id, assign_state, wanted_revision_id, count(*) AS devices FROM devices
             WHERE $1::bigint IS NULL OR server_id = $1
             GROUP BY server_id, assign_state, wanted_revision_id
         ) d
         LEFT JOIN published_profiles u
             ON u.server_id = d.server_id AND u.revision_id = d.wanted_revision_id
         GROUP BY d.server_id, state ORDER BY d.server_id, state",
    )
    .bind(server.map(|server| server.0))
    .fetch_all(pool)
    .await?;
    let mut counts = Vec::with_capacity(found.len());
    for (server, state, devices, refused) in found {
        counts.push(StateCount {
            server: ServerId(server),
            state: AssignState::parse(&state)
                .ok_or_else(|| StoreError::damaged("devices.assign_state", &state))?,
            devices: rows::count("count of devices", devices)?,
            refused: rows::count("count of refused devices", refused)?,
        });
    }
    Ok(counts)
}

/// The pattern that finds a text anywhere, as it stands.
fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars().filter(|character| *character != '\0') {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    #[test]
    fn signs_of_patterns_stand_for_themselves() {
        assert_eq!(super::pattern(r"50%_\x"), r"%50\%\_\\x%");
    }
}
