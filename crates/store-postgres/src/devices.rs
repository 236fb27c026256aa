//! Reading devices.

use std::collections::HashMap;

use adelie_model::{AssignState, DeviceFamily, EventId, ProfileName, SerialNumber, ServerId, Tag};
use adelie_store::find::{by_serial, one_by_one};
use adelie_store::{
    DeviceFilter, DevicePosition, DeviceStore, DeviceView, Result, StateCount, StoreError, StoredEvent,
};
use async_trait::async_trait;
use sqlx::PgPool;

use crate::batch::in_order;
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
        run("list devices", move || list(&self.pool, filter, after, limit)).await
    }

    async fn find(&self, serials: &[SerialNumber]) -> Result<HashMap<SerialNumber, Vec<DeviceView>>> {
        run("look devices up", move || find(&self.pool, serials)).await
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

/// A view, from the tables `d` (devices), `s`, `r`, `p`, `u` and `g` that [`names`] joins.
macro_rules! columns {
    () => {
        "SELECT d.server_id, d.serial, d.model, d.description, d.color, d.asset_tag, d.device_family, d.os,
             d.profile_status, d.profile_uuid, d.profile_assign_time, d.profile_push_time,
             d.device_assigned_by, d.device_assigned_date, d.mdm_migration_deadline, d.extra, d.op_date,
             d.op_digest, d.first_seen_at, d.last_seen_at, d.seen_run, d.removed_at, d.hold, d.assign_state,
             d.assign_reason, d.attempts, d.next_attempt_at, d.wanted_revision_id, d.rule_id, d.tags,
             s.name AS server_name, p.name AS wanted_profile, r.number AS wanted_revision, g.name AS wanted_by,
             u.error AS profile_error
         FROM "
    };
}

/// The names around a device.
macro_rules! names {
    () => {
        " LEFT JOIN profile_revisions r ON r.id = d.wanted_revision_id
         LEFT JOIN profiles p ON p.id = r.profile_id
         LEFT JOIN published_profiles u
             ON u.server_id = d.server_id AND u.revision_id = d.wanted_revision_id
         LEFT JOIN rules g ON g.id = d.rule_id "
    };
}

/// The next devices in their order. They are picked before anything is joined to them, because as long as there are
/// no statistics of an MDM server, PostgreSQL would join all its devices and sort them.
const NEXT: &str = concat!(
    "-- next_device_views\n",
    columns!(),
    "(SELECT * FROM devices
         WHERE ($1::bigint IS NULL OR server_id = $1)
             AND ($2::bigint IS NULL OR (server_id, serial) > ($2, $3::text))
         ORDER BY server_id, serial LIMIT $4) d
     JOIN mdm_servers s ON s.id = d.server_id",
    names!(),
    "ORDER BY d.server_id, d.serial"
);

/// The next of those devices that a filter lets through.
const FILTERED: &str = concat!(
    "-- filtered_device_views\n",
    columns!(),
    "devices d JOIN mdm_servers s ON s.id = d.server_id",
    names!(),
    "WHERE ($1::bigint IS NULL OR d.server_id = $1)
         AND ($2::bigint IS NULL OR (d.server_id, d.serial) > ($2, $3::text))
         AND ($5::text IS NULL OR d.device_family = $5)
         AND ($6::text IS NULL OR $6 = CASE
             WHEN u.error IS NOT NULL AND d.assign_state IN ('due', 'drifted') THEN 'held'
             ELSE d.assign_state END)
         AND ($7::text IS NULL OR d.serial ILIKE $7 OR d.model ILIKE $7 OR d.description ILIKE $7
             OR d.asset_tag ILIKE $7 OR d.color ILIKE $7)
         AND ($8::bigint IS NULL OR d.rule_id = $8)
         AND ($9::text IS NULL OR p.name = $9)
         AND ($10::text IS NULL OR $10 = ANY (d.tags))
     ORDER BY d.server_id, d.serial LIMIT $4"
);

/// Serial numbers at every MDM server in turn: writing an index on them costs more than that.
const ONE_BY_ONE: &str = concat!(
    "-- find_devices_one_by_one\n",
    columns!(),
    "(SELECT DISTINCT unnest($1::text[]) AS serial) AS wanted
     CROSS JOIN mdm_servers s
     CROSS JOIN LATERAL (
         SELECT * FROM devices WHERE server_id = s.id AND serial = wanted.serial LIMIT 1
     ) d",
    names!(),
    "ORDER BY d.server_id"
);

/// Serial numbers among all devices.
const AMONG_ALL: &str = concat!(
    "-- find_devices_among_all\n",
    columns!(),
    "devices d JOIN mdm_servers s ON s.id = d.server_id",
    names!(),
    "WHERE d.serial = ANY ($1::text[]) ORDER BY d.server_id"
);

async fn list(
    pool: &PgPool,
    filter: &DeviceFilter,
    after: Option<&DevicePosition>,
    limit: u32,
) -> Attempt<Vec<DeviceView>> {
    let narrow = narrow(filter);
    // Plans are made with the parameters at hand (see `set_up_connection`), so that what is NULL costs nothing.
    let query = sqlx::query_as(if narrow { FILTERED } else { NEXT })
        .bind(filter.server.map(|server| server.0))
        .bind(after.map(|after| after.server.0))
        .bind(after.map(|after| after.serial.as_str()))
        .bind(i64::from(limit));
    let found: Vec<ViewRow> = if narrow {
        query
            .bind(filter.family.as_ref().map(DeviceFamily::as_str))
            .bind(filter.state.map(AssignState::as_str))
            .bind(filter.query.as_deref().map(pattern))
            .bind(filter.rule.map(|rule| rule.0))
            .bind(filter.wanted.as_ref().map(ProfileName::as_str))
            .bind(filter.tag.as_ref().map(Tag::as_str))
            .fetch_all(pool)
            .await?
    } else {
        query.fetch_all(pool).await?
    };
    Ok(rows::all(found)?)
}

/// Whether a filter asks for more than an MDM server, so that it may pass over devices.
fn narrow(filter: &DeviceFilter) -> bool {
    let DeviceFilter { server: _, family, state, tag, rule, wanted, query } = filter;
    family.is_some()
        || state.is_some()
        || tag.is_some()
        || rule.is_some()
        || wanted.is_some()
        || query.is_some()
}

async fn find(pool: &PgPool, serials: &[SerialNumber]) -> Attempt<HashMap<SerialNumber, Vec<DeviceView>>> {
    let servers: i64 =
        sqlx::query_scalar("-- count_servers\nSELECT count(*) FROM mdm_servers").fetch_one(pool).await?;
    let statement = if one_by_one(serials.len(), servers) { ONE_BY_ONE } else { AMONG_ALL };
    let found: Vec<ViewRow> = sqlx::query_as(statement).bind(in_order(serials)).fetch_all(pool).await?;
    Ok(by_serial(rows::all(found)?))
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
