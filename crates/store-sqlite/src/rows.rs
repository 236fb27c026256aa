//! Rows and the types that they hold.

use adelie_model::{
    Actual, AssignState, Assignment, Counts, Device, DeviceFamily, ProfileStatus, ProfileUuid, RevisionId,
    RunId, RunOutcome, SerialNumber, ServerId, SyncKind, SyncRun, Timestamp, TokenState, Trigger,
};
use adelie_rules::Scope;
use adelie_store::{MdmServer, StoreError, TokenHealth, moment};
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::failure::Attempt;

/// Milliseconds since 1970.
pub(crate) fn millis(moment: Option<Timestamp>) -> Option<i64> {
    moment.map(|moment| moment.timestamp_millis())
}

/// A moment that may be absent.
pub(crate) fn maybe(what: &'static str, millis: Option<i64>) -> Result<Option<Timestamp>, StoreError> {
    millis.map(|millis| moment(what, millis)).transpose()
}

/// A count, which a CHECK keeps from being negative.
pub(crate) fn count<T: TryFrom<i64>>(what: &'static str, number: i64) -> Result<T, StoreError> {
    T::try_from(number).map_err(|_| StoreError::damaged(what, number))
}

/// A word of ours.
pub(crate) fn word<T>(
    what: &'static str,
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, StoreError> {
    parse(text).ok_or_else(|| StoreError::damaged(what, text))
}

/// A name of ours.
pub(crate) fn name<T: std::str::FromStr>(what: &'static str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::damaged(what, text))
}

pub(crate) fn json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::damaged(what, text))
}

/// JSON for a column.
pub(crate) fn to_json(what: &'static str, value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::damaged(what, error))
}

/// A scope; a word that is none of ours is the family that it says.
pub(crate) fn scope(text: &str) -> Scope {
    text.parse().unwrap_or_else(|_| Scope::Family(DeviceFamily::from(text)))
}

/// How many columns [`device`] reads, from the first on; their order is that of `load_devices`.
pub(crate) const DEVICE_COLUMNS: usize = 26;

/// A device from the columns of a row, by position: names would have to be looked up for every row.
pub(crate) fn device(row: &SqliteRow) -> Attempt<Device> {
    let text = |at: usize| row.try_get::<Option<String>, _>(at);
    let time = |what, at: usize| -> Attempt<_> { Ok(maybe(what, row.try_get(at)?)?) };
    let extra: &str = row.try_get(15)?;
    let state: &str = row.try_get(21)?;
    Ok(Device {
        server: ServerId(row.try_get(0)?),
        serial: SerialNumber::from_apple(row.try_get(1)?),
        actual: Actual {
            model: text(2)?,
            description: text(3)?,
            color: text(4)?,
            asset_tag: text(5)?,
            device_family: text(6)?.map(DeviceFamily::from),
            os: text(7)?,
            profile_status: text(8)?.map(ProfileStatus::from),
            profile_uuid: text(9)?.map(ProfileUuid),
            profile_assign_time: time("devices.profile_assign_time", 10)?,
            profile_push_time: time("devices.profile_push_time", 11)?,
            device_assigned_by: text(12)?,
            device_assigned_date: time("devices.device_assigned_date", 13)?,
            mdm_migration_deadline: time("devices.mdm_migration_deadline", 14)?,
            extra: if extra == "{}" { serde_json::Map::new() } else { json("devices.extra", extra)? },
        },
        op_date: time("devices.op_date", 16)?,
        first_seen_at: moment("devices.first_seen_at", row.try_get(17)?)?,
        last_seen_at: moment("devices.last_seen_at", row.try_get(18)?)?,
        seen_run: RunId(row.try_get(19)?),
        removed_at: time("devices.removed_at", 20)?,
        assignment: Assignment {
            state: word("devices.assign_state", state, AssignState::parse)?,
            reason: row.try_get(22)?,
            attempts: count("devices.attempts", row.try_get(23)?)?,
            next_attempt_at: time("devices.next_attempt_at", 24)?,
            wanted: row.try_get::<Option<i64>, _>(25)?.map(RevisionId),
        },
    })
}

/// An MDM server with the expiry of its current token.
pub(crate) fn server(row: &SqliteRow) -> Attempt<MdmServer> {
    let time = |what, column: &str| -> Attempt<_> { Ok(maybe(what, row.try_get(column)?)?) };
    let account: Option<&str> = row.try_get("account")?;
    Ok(MdmServer {
        id: ServerId(row.try_get("id")?),
        name: name("mdm_servers.name", row.try_get("name")?)?,
        base_url: row.try_get("base_url")?,
        paused: row.try_get("paused")?,
        created_at: moment("mdm_servers.created_at", row.try_get("created_at")?)?,
        sync: json("mdm_servers.sync_settings", row.try_get("sync_settings")?)?,
        token: TokenHealth {
            state: word("mdm_servers.token_state", row.try_get("token_state")?, TokenState::parse)?,
            detail: row.try_get("token_detail")?,
            since: time("mdm_servers.token_since", "token_since")?,
            expires_at: time("server_tokens.expires_at", "expires_at")?,
        },
        account: account.map(|account| json("mdm_servers.account", account)).transpose()?,
        last_full_at: time("mdm_servers.last_full_at", "last_full_at")?,
        last_sync_at: time("mdm_servers.last_sync_at", "last_sync_at")?,
        next_sync_at: time("mdm_servers.next_sync_at", "next_sync_at")?,
        failures: count("mdm_servers.failures", row.try_get("failures")?)?,
        last_error: row.try_get("last_error")?,
        attention: row.try_get("attention")?,
    })
}

/// A run of a sync.
pub(crate) fn run(row: &SqliteRow) -> Attempt<SyncRun> {
    let number = |what, column: &str| -> Attempt<u64> { Ok(count(what, row.try_get(column)?)?) };
    Ok(SyncRun {
        id: RunId(row.try_get("id")?),
        server: ServerId(row.try_get("server_id")?),
        kind: word("sync_runs.kind", row.try_get("kind")?, SyncKind::parse)?,
        trigger: word("sync_runs.trigger", row.try_get("trigger")?, Trigger::parse)?,
        started_at: moment("sync_runs.started_at", row.try_get("started_at")?)?,
        finished_at: maybe("sync_runs.finished_at", row.try_get("finished_at")?)?,
        outcome: word("sync_runs.outcome", row.try_get("outcome")?, RunOutcome::parse)?,
        error: row.try_get("error")?,
        counts: Counts {
            pages: number("sync_runs.pages", "pages")?,
            records: number("sync_runs.records", "records")?,
            added: number("sync_runs.added", "added")?,
            modified: number("sync_runs.modified", "modified")?,
            removed: number("sync_runs.removed", "removed")?,
        },
    })
}
