//! Rows and the types that they hold.

use adelie_model::{
    Actual, AssignState, Assignment, Counts, Device, DeviceFamily, Extra, ProfileStatus, ProfileUuid,
    RevisionId, RuleId, RunId, RunOutcome, SerialNumber, ServerId, SyncKind, SyncRun, Timestamp, TokenState,
    Trigger,
};
use adelie_store::{MdmServer, StoreError, TokenHealth, moment};
use serde::Deserialize;
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

/// A device as the statements make it: one JSON array of its columns. Handing over the columns one by one took
/// three times as long.
#[derive(Deserialize)]
struct DeviceRow(
    i64,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<i64>,
    String,
    Option<i64>,
    i64,
    i64,
    i64,
    Option<i64>,
    String,
    String,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<String>,
);

/// The columns of a device of the table `d`, in the order in which [`device`] reads them.
macro_rules! device_columns {
    () => {
        "json_array(d.server_id, d.serial, d.model, d.description, d.color, d.asset_tag, d.device_family, d.os,
             d.profile_status, d.profile_uuid, d.profile_assign_time, d.profile_push_time, d.device_assigned_by,
             d.device_assigned_date, d.mdm_migration_deadline, d.extra, d.op_date, d.first_seen_at, d.last_seen_at,
             d.seen_run, d.removed_at, d.assign_state, d.assign_reason, d.attempts, d.next_attempt_at,
             d.wanted_revision_id, d.op_digest, d.hold, d.rule_id, d.tags)"
    };
}
pub(crate) use device_columns;

/// The device in the first column of a row.
pub(crate) fn device(row: &SqliteRow) -> Attempt<Device> {
    let DeviceRow(
        server,
        serial,
        model,
        description,
        color,
        asset_tag,
        device_family,
        os,
        profile_status,
        profile_uuid,
        profile_assign_time,
        profile_push_time,
        device_assigned_by,
        device_assigned_date,
        mdm_migration_deadline,
        extra,
        op_date,
        first_seen_at,
        last_seen_at,
        seen_run,
        removed_at,
        assign_state,
        assign_reason,
        attempts,
        next_attempt_at,
        wanted_revision_id,
        op_digest,
        hold,
        rule_id,
        tags,
    ) = json("devices", row.try_get(0)?)?;
    Ok(Device {
        server: ServerId(server),
        serial: SerialNumber::from_apple(serial),
        actual: Actual {
            model,
            description,
            color,
            asset_tag,
            device_family: device_family.map(DeviceFamily::from),
            os,
            profile_status: profile_status.map(ProfileStatus::from),
            profile_uuid: profile_uuid.map(ProfileUuid),
            profile_assign_time: maybe("devices.profile_assign_time", profile_assign_time)?,
            profile_push_time: maybe("devices.profile_push_time", profile_push_time)?,
            device_assigned_by,
            device_assigned_date: maybe("devices.device_assigned_date", device_assigned_date)?,
            mdm_migration_deadline: maybe("devices.mdm_migration_deadline", mdm_migration_deadline)?,
            extra: if extra == "{}" { Extra::new() } else { json("devices.extra", &extra)? },
        },
        op_date: maybe("devices.op_date", op_date)?,
        op_digest,
        first_seen_at: moment("devices.first_seen_at", first_seen_at)?,
        last_seen_at: moment("devices.last_seen_at", last_seen_at)?,
        seen_run: RunId(seen_run),
        removed_at: maybe("devices.removed_at", removed_at)?,
        hold,
        tags: tags.map_or_else(|| Ok(Vec::new()), |tags| json("devices.tags", &tags))?,
        assignment: Assignment {
            state: word("devices.assign_state", &assign_state, AssignState::parse)?,
            reason: assign_reason,
            attempts: count("devices.attempts", attempts)?,
            next_attempt_at: maybe("devices.next_attempt_at", next_attempt_at)?,
            wanted: wanted_revision_id.map(RevisionId),
            rule: rule_id.map(RuleId),
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
            next_check_at: time("mdm_servers.token_check_at", "token_check_at")?,
            clock_skew: row.try_get::<Option<i64>, _>("clock_skew_ms")?.map(chrono::TimeDelta::milliseconds),
        },
        account: account.map(|account| json("mdm_servers.account", account)).transpose()?,
        last_full_at: time("mdm_servers.last_full_at", "last_full_at")?,
        last_sync_at: time("mdm_servers.last_sync_at", "last_sync_at")?,
        next_sync_at: time("mdm_servers.next_sync_at", "next_sync_at")?,
        failures: count("mdm_servers.failures", row.try_get("failures")?)?,
        last_error: row.try_get("last_error")?,
        wait_until: time("mdm_servers.wait_until", "wait_until")?,
        attention: row.try_get("attention")?,
        setbacks: count("mdm_servers.setbacks", row.try_get("setbacks")?)?,
        stuck: count("mdm_servers.stuck", row.try_get("stuck")?)?,
        worked_on: row
            .try_get::<Option<String>, _>("lease_owner")?
            .zip(time("mdm_servers.lease_expires_at", "lease_expires_at")?),
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
        requested_by: row.try_get("requested_by")?,
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
