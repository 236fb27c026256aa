//! Listing, finding and counting devices.

use adelie_model::{AssignState, DeviceFamily, ProfileName, SerialNumber, ServerId};
use adelie_store::{DeviceFilter, DevicePosition, DeviceStore, DeviceView, Result, StateCount};
use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::SqliteStore;
use crate::failure::{Attempt, run};
use crate::rows::{self, count, word};

#[async_trait]
impl DeviceStore for SqliteStore {
    async fn devices(
        &self,
        filter: &DeviceFilter,
        after: Option<&DevicePosition>,
        limit: u32,
    ) -> Result<Vec<DeviceView>> {
        run("list devices", async {
            let found = sqlx::query(
                r"-- devices
                 SELECT json_array(d.server_id, d.serial, d.model, d.description, d.color, d.asset_tag, d.device_family,
                     d.os, d.profile_status, d.profile_uuid, d.profile_assign_time, d.profile_push_time,
                     d.device_assigned_by, d.device_assigned_date, d.mdm_migration_deadline, d.extra,
                     d.op_date, d.first_seen_at, d.last_seen_at, d.seen_run, d.removed_at, d.assign_state,
                     d.assign_reason, d.attempts, d.next_attempt_at, d.wanted_revision_id),
                     s.name, w.name, p.error
                 FROM devices d
                 CROSS JOIN mdm_servers s ON s.id = d.server_id
                 LEFT JOIN profile_revisions r ON r.id = d.wanted_revision_id
                 LEFT JOIN profiles w ON w.id = r.profile_id
                 LEFT JOIN published_profiles p
                     ON p.server_id = d.server_id AND p.revision_id = d.wanted_revision_id
                 WHERE (d.server_id, d.serial) > (?1, ?2) AND d.server_id BETWEEN ?3 AND ?4
                     AND (?5 IS NULL OR d.device_family = ?5)
                     AND (?6 IS NULL OR ?6 = CASE WHEN p.error IS NOT NULL AND d.assign_state IN ('due', 'drifted')
                         THEN 'held' ELSE d.assign_state END)
                     AND (?7 IS NULL OR d.serial LIKE ?7 ESCAPE '\' OR d.model LIKE ?7 ESCAPE '\'
                         OR d.description LIKE ?7 ESCAPE '\' OR d.asset_tag LIKE ?7 ESCAPE '\'
                         OR d.color LIKE ?7 ESCAPE '\')
                 ORDER BY d.server_id, d.serial LIMIT ?8",
            )
            .bind(after.map_or(i64::MIN, |after| after.server.0))
            .bind(after.map_or("", |after| after.serial.as_str()))
            .bind(filter.server.map_or(i64::MIN, |server| server.0))
            .bind(filter.server.map_or(i64::MAX, |server| server.0))
            .bind(filter.family.as_ref().map(DeviceFamily::as_str))
            .bind(filter.state.map(AssignState::as_str))
            .bind(filter.query.as_deref().map(containing))
            .bind(limit)
            .fetch_all(&mut *self.read().await?)
            .await?;
            found.iter().map(view).collect()
        })
        .await
    }

    async fn device(&self, serial: &SerialNumber) -> Result<Vec<DeviceView>> {
        run("find a device", async {
            let found = sqlx::query(
                "-- device
                 SELECT json_array(d.server_id, d.serial, d.model, d.description, d.color, d.asset_tag, d.device_family,
                     d.os, d.profile_status, d.profile_uuid, d.profile_assign_time, d.profile_push_time,
                     d.device_assigned_by, d.device_assigned_date, d.mdm_migration_deadline, d.extra,
                     d.op_date, d.first_seen_at, d.last_seen_at, d.seen_run, d.removed_at, d.assign_state,
                     d.assign_reason, d.attempts, d.next_attempt_at, d.wanted_revision_id),
                     s.name, w.name, p.error
                 FROM mdm_servers s
                 CROSS JOIN devices d ON d.server_id = s.id AND d.serial = ?1
                 LEFT JOIN profile_revisions r ON r.id = d.wanted_revision_id
                 LEFT JOIN profiles w ON w.id = r.profile_id
                 LEFT JOIN published_profiles p
                     ON p.server_id = d.server_id AND p.revision_id = d.wanted_revision_id
                 ORDER BY s.name",
            )
            .bind(serial.as_str())
            .fetch_all(&mut *self.read().await?)
            .await?;
            found.iter().map(view).collect()
        })
        .await
    }

    async fn state_counts(&self, server: Option<ServerId>) -> Result<Vec<StateCount>> {
        run("count devices by state", async {
            let found: Vec<(i64, String, i64)> = sqlx::query_as(
                "-- state_counts
                 SELECT g.server_id, CASE WHEN p.error IS NOT NULL AND g.assign_state IN ('due', 'drifted')
                     THEN 'held' ELSE g.assign_state END AS state, sum(g.devices)
                 FROM (
                     SELECT server_id, assign_state, wanted_revision_id, count(*) AS devices
                     FROM devices INDEXED BY devices_by_state
                     WHERE server_id BETWEEN ?1 AND ?2 GROUP BY server_id, assign_state, wanted_revision_id
                 ) g
                 LEFT JOIN published_profiles p
                     ON p.server_id = g.server_id AND p.revision_id = g.wanted_revision_id
                 GROUP BY g.server_id, state ORDER BY g.server_id, state",
            )
            .bind(server.map_or(i64::MIN, |server| server.0))
            .bind(server.map_or(i64::MAX, |server| server.0))
            .fetch_all(&mut *self.read().await?)
            .await?;
            found
                .into_iter()
                .map(|(server, state, devices)| {
                    Ok(StateCount {
                        server: ServerId(server),
                        state: word("devices.assign_state", &state, AssignState::parse)?,
                        devices: count("devices", devices)?,
                    })
                })
                .collect()
        })
        .await
    }
}

/// A row of the two lists above: a device, then the names around it.
fn view(row: &SqliteRow) -> Attempt<DeviceView> {
    let profile: Option<&str> = row.try_get(2)?;
    Ok(DeviceView {
        device: rows::device(row)?,
        server: rows::name("mdm_servers.name", row.try_get(1)?)?,
        wanted_profile: profile.map(|name| rows::name::<ProfileName>("profiles.name", name)).transpose()?,
        profile_error: row.try_get(3)?,
    })
}

/// A LIKE pattern for texts that contain this one; wildcards in it stand for themselves.
fn containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
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
    fn wildcards_stand_for_themselves() {
        assert_eq!(super::containing(r"50%_\ä"), r"%50\%\_\\ä%");
    }
}
