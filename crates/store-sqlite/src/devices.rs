//! Listing, finding and counting devices.

use std::collections::HashMap;

use adelie_model::{AssignState, EventId, SerialNumber, ServerId};
use adelie_store::find::{by_serial, one_by_one};
use adelie_store::{DeviceFilter, DevicePosition, DeviceStore, DeviceView, Result, StateCount, StoredEvent};
use async_trait::async_trait;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, Sqlite, SqliteConnection};

use crate::failure::{Attempt, run};
use crate::rows::{self, count, device_columns, word};
use crate::{SqliteStore, batch, history};

/// A view, from the tables `d` (devices), `s`, `r`, `w`, `p` and `g` that [`names`] joins.
macro_rules! columns {
    () => {
        concat!("SELECT ", device_columns!(), ", s.name, w.name, r.number, g.name, p.error FROM ")
    };
}

/// The names around a device.
macro_rules! names {
    () => {
        " LEFT JOIN profile_revisions r ON r.id = d.wanted_revision_id
         LEFT JOIN profiles w ON w.id = r.profile_id
         LEFT JOIN published_profiles p ON p.server_id = d.server_id AND p.revision_id = d.wanted_revision_id
         LEFT JOIN rules g ON g.id = d.rule_id "
    };
}

/// The filter and the order of a list. The conditions that an index can answer come first.
macro_rules! filtered {
    () => {
        r" WHERE (?1 IS NULL OR ?1 = CASE WHEN p.error IS NOT NULL AND d.assign_state IN ('due', 'drifted')
             THEN 'held' ELSE d.assign_state END)
         AND (d.server_id, d.serial) > (?2, ?3) AND d.server_id <= ?4
         AND (?5 IS NULL OR d.device_family = ?5)
         AND (?6 IS NULL OR d.serial LIKE ?6 ESCAPE '\' OR d.model LIKE ?6 ESCAPE '\'
             OR d.description LIKE ?6 ESCAPE '\' OR d.asset_tag LIKE ?6 ESCAPE '\' OR d.color LIKE ?6 ESCAPE '\')
         AND (?7 IS NULL OR d.rule_id = ?7)
         AND (?8 IS NULL OR w.name = ?8)
         AND (?9 IS NULL OR EXISTS (SELECT 1 FROM json_each(d.tags) WHERE value = ?9))
         ORDER BY d.server_id, d.serial LIMIT ?10"
    };
}

/// Walks the next devices in their order, as many as the last parameter says, and keeps what matches.
const BY_SERIAL: &str = concat!(
    "-- devices_by_serial\n",
    columns!(),
    "(SELECT id FROM devices WHERE (server_id, serial) > (?2, ?3) AND server_id <= ?4
         ORDER BY server_id, serial LIMIT ?11) AS next
     CROSS JOIN devices d ON d.id = next.id
     CROSS JOIN mdm_servers s ON s.id = d.server_id",
    names!(),
    filtered!()
);

/// Looks at all devices in up to three states.
const BY_STATE: &str = concat!(
    "-- devices_by_state\n",
    columns!(),
    "mdm_servers s
     CROSS JOIN devices d INDEXED BY devices_by_state
         ON d.server_id = s.id AND d.assign_state IN (?11, ?12, ?13)",
    names!(),
    filtered!()
);

/// Looks at all devices as they lie in the file, which is much faster than in any order.
const BY_PLACE: &str = concat!(
    "-- devices_by_place\n",
    columns!(),
    "devices d NOT INDEXED CROSS JOIN mdm_servers s ON s.id = d.server_id",
    names!(),
    filtered!()
);

/// Serial numbers at every MDM server in turn.
const ONE_BY_ONE: &str = concat!(
    "-- find_devices_one_by_one\n",
    columns!(),
    "(SELECT DISTINCT value AS serial FROM json_each(?1)) AS wanted
     CROSS JOIN mdm_servers s
     CROSS JOIN devices d ON d.server_id = s.id AND d.serial = wanted.serial",
    names!(),
    " ORDER BY d.server_id"
);

/// Serial numbers among all devices: in their index, which is a tenth as large as they are.
const AMONG_ALL: &str = concat!(
    "-- find_devices_among_all\n",
    columns!(),
    "(SELECT id FROM devices INDEXED BY sqlite_autoindex_devices_1
         WHERE serial IN (SELECT value FROM json_each(?1))) AS hit
     CROSS JOIN devices d ON d.id = hit.id
     CROSS JOIN mdm_servers s ON s.id = d.server_id",
    names!(),
    " ORDER BY d.server_id"
);

/// How many devices are walked in their order before all of them are looked at: common things are found on the
/// way, and rare ones cost no more than this in vain.
const WALK: u32 = 2000;

#[async_trait]
impl DeviceStore for SqliteStore {
    async fn devices(
        &self,
        filter: &DeviceFilter,
        after: Option<&DevicePosition>,
        limit: u32,
    ) -> Result<Vec<DeviceView>> {
        run("list devices", async {
            let narrow = narrow(filter);
            let walk = if narrow { limit.max(WALK) } else { limit };
            let mut connection = self.read().await?;
            let query = bind(BY_SERIAL, filter, after, limit).bind(walk);
            let found = query.fetch_all(&mut *connection).await?;
            if !narrow
                || found.len() >= limit as usize
                || end_within(&mut connection, filter, after, walk).await?
            {
                return found.iter().map(view).collect();
            }
            let query = match filter.state.and_then(rare) {
                Some(states) => states
                    .into_iter()
                    .fold(bind(BY_STATE, filter, after, limit), |query, state| query.bind(state.as_str())),
                None => bind(BY_PLACE, filter, after, limit),
            };
            query.fetch_all(&mut *connection).await?.iter().map(view).collect()
        })
        .await
    }

    async fn find(&self, serials: &[SerialNumber]) -> Result<HashMap<SerialNumber, Vec<DeviceView>>> {
        run("find devices", async {
            let mut connection = self.read().await?;
            let servers: i64 = sqlx::query_scalar("-- count_servers\nSELECT count(*) FROM mdm_servers")
                .fetch_one(&mut *connection)
                .await?;
            let statement = if one_by_one(serials.len(), servers) { ONE_BY_ONE } else { AMONG_ALL };
            let query = sqlx::query(statement).bind(batch::list(serials)?);
            let found = query.fetch_all(&mut *connection).await?;
            Ok(by_serial(found.iter().map(view).collect::<Attempt<_>>()?))
        })
        .await
    }

    async fn device_events(
        &self,
        server: ServerId,
        serial: &SerialNumber,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<StoredEvent>> {
        run("read the history of a device", async {
            history::of_device(&mut *self.read().await?, server, serial, before, limit).await
        })
        .await
    }

    async fn state_counts(&self, server: Option<ServerId>) -> Result<Vec<StateCount>> {
        run("count devices by state", async {
            let found: Vec<(i64, String, i64, i64)> = sqlx::query_as(
                "-- state_counts
                 SELECT g.server_id, CASE WHEN p.error IS NOT NULL AND g.assign_state IN ('due', 'drifted')
                     THEN 'held' ELSE g.assign_state END AS state, sum(g.devices),
                     coalesce(sum(g.devices) FILTER (WHERE p.error IS NOT NULL AND g.assign_state IN ('due', 'drifted')), 0)
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
                .map(|(server, state, devices, refused)| {
                    Ok(StateCount {
                        server: ServerId(server),
                        state: word("devices.assign_state", &state, AssignState::parse)?,
                        devices: count("devices", devices)?,
                        refused: count("devices", refused)?,
                    })
                })
                .collect()
        })
        .await
    }
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

/// Binds what all lists have in common.
fn bind<'q>(
    statement: &'static str,
    filter: &DeviceFilter,
    after: Option<&DevicePosition>,
    limit: u32,
) -> Query<'q> {
    let (server, serial) = start(filter, after);
    sqlx::query(statement)
        .bind(filter.state.map(AssignState::as_str))
        .bind(server)
        .bind(serial.to_owned())
        .bind(filter.server.map_or(i64::MAX, |server| server.0))
        .bind(filter.family.as_ref().map(|family| family.as_str().to_owned()))
        .bind(filter.query.as_deref().map(containing))
        .bind(filter.rule.map(|rule| rule.0))
        .bind(filter.wanted.as_ref().map(|profile| profile.as_str().to_owned()))
        .bind(filter.tag.as_ref().map(|tag| tag.as_str().to_owned()))
        .bind(limit)
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

/// What a page comes after. One lower bound only: of two, SQLite would take the wrong one and walk over every
/// device before the page.
fn start<'p>(filter: &DeviceFilter, after: Option<&'p DevicePosition>) -> (i64, &'p str) {
    let first = filter.server.map_or(i64::MIN, |server| server.0);
    match after {
        Some(after) if after.server.0 >= first => (after.server.0, after.serial.as_str()),
        _ => (first, ""),
    }
}

/// Whether a walk of this length has come to the end of the list.
async fn end_within(
    connection: &mut SqliteConnection,
    filter: &DeviceFilter,
    after: Option<&DevicePosition>,
    walk: u32,
) -> Attempt<bool> {
    let (server, serial) = start(filter, after);
    let next: i64 = sqlx::query_scalar(
        "-- devices_next
         SELECT count(*) FROM (SELECT 1 FROM devices
             WHERE (server_id, serial) > (?1, ?2) AND server_id <= ?3 LIMIT ?4)",
    )
    .bind(server)
    .bind(serial)
    .bind(filter.server.map_or(i64::MAX, |server| server.0))
    .bind(walk)
    .fetch_one(connection)
    .await?;
    Ok(next < i64::from(walk))
}

/// The stored states of devices that are shown in this one, if they are few as a rule.
fn rare(state: AssignState) -> Option<[AssignState; 3]> {
    match state {
        // A device that is due for a refused profile is shown as held.
        AssignState::Held => Some([AssignState::Held, AssignState::Due, AssignState::Drifted]),
        AssignState::Unmatched | AssignState::Assigned | AssignState::Pushed | AssignState::Removed => None,
        other => Some([other; 3]),
    }
}

/// A row of the lists above: a device, then the names around it.
fn view(row: &SqliteRow) -> Attempt<DeviceView> {
    let profile: Option<&str> = row.try_get(2)?;
    let number: Option<i64> = row.try_get(3)?;
    let rule: Option<&str> = row.try_get(4)?;
    Ok(DeviceView {
        device: rows::device(row)?,
        server: rows::name("mdm_servers.name", row.try_get(1)?)?,
        wanted_profile: profile.map(|name| rows::name("profiles.name", name)).transpose()?,
        wanted_revision: number.map(|number| count("profile_revisions.number", number)).transpose()?,
        wanted_by: rule.map(|name| rows::name("rules.name", name)).transpose()?,
        profile_error: row.try_get(5)?,
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
