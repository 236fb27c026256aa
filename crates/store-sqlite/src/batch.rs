//! Many devices in one statement: what every transaction that decides about devices loads and writes.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::sync::OnceLock;

use adelie_model::{
    Device, DeviceFamily, ProfileStatus, ProfileUuid, RunId, SerialNumber, ServerId, Timestamp,
};
use adelie_store::Lease;
use adelie_store::event::NewEvent;
use adelie_store::page::Writes;
use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::failure::Attempt;
use crate::rows::{self, device_columns, millis, to_json};
use crate::webhooks;

/// Loads the devices with these serial numbers.
pub(crate) async fn load(
    transaction: &mut SqliteConnection,
    server: ServerId,
    serials: &[impl Borrow<SerialNumber>],
) -> Attempt<HashMap<SerialNumber, Device>> {
    let found = sqlx::query(concat!(
        "-- load_devices\nSELECT ",
        device_columns!(),
        " FROM devices d WHERE d.server_id = ?1 AND d.serial IN (SELECT value FROM json_each(?2))",
    ))
    .bind(server.0)
    .bind(list(serials)?)
    .fetch_all(transaction)
    .await?;
    found.iter().map(|row| rows::device(row).map(|device| (device.serial.clone(), device))).collect()
}

/// How many rows one statement writes. More at once save no time and cost memory: a thousand would be a statement of
/// 30,000 variables. The smaller sizes make up whatever is left, so that few statements have to be kept ready.
const SIZES: [usize; 4] = [100, 20, 4, 1];

/// Writes what a page or details have changed.
pub(crate) async fn write(
    transaction: &mut SqliteConnection,
    writes: &Writes,
    sent_by: Option<&Lease>,
) -> Attempt<()> {
    let epoch = sent_by.map_or(0, |lease| lease.epoch);
    put(transaction, &with_epoch(&writes.new, epoch), Put::Insert).await?;
    put(transaction, &with_epoch(&writes.known, epoch), Put::Upsert).await
}

/// Inserts devices that are new, each with the epoch under which it is sent; 0 when it is not.
pub(crate) async fn insert(transaction: &mut SqliteConnection, devices: &[(&Device, i64)]) -> Attempt<()> {
    put(transaction, devices, Put::Insert).await
}

/// Inserts or replaces devices, whole; the epoch under which they were sent becomes that of the lease by which they
/// are sent now, and stays what it was without one.
pub(crate) async fn upsert(
    transaction: &mut SqliteConnection,
    devices: &[Device],
    sent_by: Option<&Lease>,
) -> Attempt<()> {
    put(transaction, &with_epoch(devices, sent_by.map_or(0, |lease| lease.epoch)), Put::Upsert).await
}

/// A device and the epoch under which it is sent; 0 when it is not.
type Row<'a> = (&'a Device, i64);

fn with_epoch(devices: &[Device], epoch: i64) -> Vec<Row<'_>> {
    devices.iter().map(|device| (device, epoch)).collect()
}

/// What becomes of a device that is stored already.
#[derive(Clone, Copy)]
enum Put {
    /// It is an error: the device was to be new. Nobody can have given it a tag.
    Insert,
    /// It is replaced.
    Upsert,
}

async fn put(transaction: &mut SqliteConnection, devices: &[Row<'_>], put: Put) -> Attempt<()> {
    let mut parts = parts(devices);
    let Some(first) = parts.next() else { return Ok(()) };
    let mut query = put_query(first, put)?;
    // While SQLite writes some, the next are got ready.
    for part in parts {
        let (written, next) = tokio::join!(query.execute(&mut *transaction), async { put_query(part, put) });
        written?;
        query = next?;
    }
    query.execute(&mut *transaction).await?;
    Ok(())
}

/// The devices in parts of as many as one of the [`SIZES`] says, the largest first, each with the place of its size.
fn parts<'r, 'd>(mut devices: &'r [Row<'d>]) -> impl Iterator<Item = (usize, &'r [Row<'d>])> {
    std::iter::from_fn(move || {
        let place = SIZES.iter().position(|size| *size <= devices.len())?;
        let (part, rest) = devices.split_at(SIZES[place]);
        devices = rest;
        Some((place, part))
    })
}

/// The statement that writes a part.
fn put_query<'d>((place, devices): (usize, &[Row<'d>]), put: Put) -> Attempt<Query<'d>> {
    type Statements = [OnceLock<String>; SIZES.len()];
    static INSERTS: Statements = [const { OnceLock::new() }; SIZES.len()];
    static UPSERTS: Statements = [const { OnceLock::new() }; SIZES.len()];
    let statement = match put {
        Put::Insert => INSERTS[place].get_or_init(|| put_statement(SIZES[place], put)),
        Put::Upsert => {
            UPSERTS[place].get_or_init(|| format!("{} {ON_CONFLICT}", put_statement(SIZES[place], put)))
        }
    };
    // Made of literals of this file alone; every value is bound.
    let mut query = sqlx::query(AssertSqlSafe(statement.as_str()));
    for (device, epoch) in devices {
        query = bind(query, device)?.bind(*epoch);
        match put {
            Put::Insert => debug_assert!(device.tags.is_empty(), "a device that is new has no tags"),
            Put::Upsert => query = query.bind(tags(device)?),
        }
    }
    Ok(query)
}

fn put_statement(size: usize, put: Put) -> String {
    // Without `OR FAIL` SQLite would note how to undo each statement; the transaction is undone as a whole. A device
    // that is new has no tags.
    let (insert, columns, tags) = match put {
        Put::Insert => ("INSERT OR FAIL", COLUMNS, ""),
        Put::Upsert => ("INSERT", COLUMNS + 1, ", tags"),
    };
    let row = format!("({})", vec!["?"; columns].join(", "));
    let rows = vec![row; size].join(", ");
    format!(
        "-- put_devices
         {insert} INTO devices (server_id, serial, model, description, color, asset_tag, device_family, os,
             profile_status, profile_uuid, profile_assign_time, profile_push_time, device_assigned_by,
             device_assigned_date, mdm_migration_deadline, extra, op_date, first_seen_at, last_seen_at,
             seen_run, removed_at, assign_state, assign_reason, attempts, next_attempt_at, wanted_revision_id,
             op_digest, hold, rule_id, sent_epoch{tags})
         VALUES {rows}"
    )
}

/// How many columns of a new device are written.
const COLUMNS: usize = 30;

const ON_CONFLICT: &str = "ON CONFLICT (server_id, serial) DO UPDATE SET
             model = excluded.model, description = excluded.description, color = excluded.color,
             asset_tag = excluded.asset_tag, device_family = excluded.device_family, os = excluded.os,
             profile_status = excluded.profile_status, profile_uuid = excluded.profile_uuid,
             profile_assign_time = excluded.profile_assign_time,
             profile_push_time = excluded.profile_push_time,
             device_assigned_by = excluded.device_assigned_by,
             device_assigned_date = excluded.device_assigned_date,
             mdm_migration_deadline = excluded.mdm_migration_deadline, extra = excluded.extra,
             op_date = excluded.op_date, first_seen_at = excluded.first_seen_at,
             last_seen_at = excluded.last_seen_at, seen_run = excluded.seen_run,
             removed_at = excluded.removed_at, assign_state = excluded.assign_state,
             assign_reason = excluded.assign_reason, attempts = excluded.attempts,
             next_attempt_at = excluded.next_attempt_at, wanted_revision_id = excluded.wanted_revision_id,
             op_digest = excluded.op_digest, hold = excluded.hold, rule_id = excluded.rule_id, tags = excluded.tags,
             -- Epochs only grow, and none is 0.
             sent_epoch = max(sent_epoch, excluded.sent_epoch)";

type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

/// Binds a device in the order of the statement.
fn bind<'q>(query: Query<'q>, device: &'q Device) -> Attempt<Query<'q>> {
    let Device { actual, assignment, .. } = device;
    let extra =
        if actual.extra.is_empty() { "{}".to_owned() } else { to_json("devices.extra", &actual.extra)? };
    Ok(query
        .bind(device.server.0)
        .bind(device.serial.as_str())
        .bind(actual.model.as_deref())
        .bind(actual.description.as_deref())
        .bind(actual.color.as_deref())
        .bind(actual.asset_tag.as_deref())
        .bind(actual.device_family.as_ref().map(DeviceFamily::as_str))
        .bind(actual.os.as_deref())
        .bind(actual.profile_status.as_ref().map(ProfileStatus::as_str))
        .bind(actual.profile_uuid.as_ref().map(ProfileUuid::as_str))
        .bind(millis(actual.profile_assign_time))
        .bind(millis(actual.profile_push_time))
        .bind(actual.device_assigned_by.as_deref())
        .bind(millis(actual.device_assigned_date))
        .bind(millis(actual.mdm_migration_deadline))
        .bind(extra)
        .bind(millis(device.op_date))
        .bind(device.first_seen_at.timestamp_millis())
        .bind(device.last_seen_at.timestamp_millis())
        .bind(device.seen_run.0)
        .bind(millis(device.removed_at))
        .bind(assignment.state.as_str())
        .bind(assignment.reason.as_str())
        .bind(i64::from(assignment.attempts))
        .bind(millis(assignment.next_attempt_at))
        .bind(assignment.wanted.map(|revision| revision.0))
        .bind(device.op_digest)
        .bind(device.hold.as_deref())
        .bind(assignment.rule.map(|rule| rule.0)))
}

/// Tags for their column.
fn tags(device: &Device) -> Attempt<Option<String>> {
    let tags = &device.tags;
    Ok(if tags.is_empty() { None } else { Some(to_json("devices.tags", tags)?) })
}

/// Notes that devices were seen, and nothing else about them; no index has to follow. `run` is `None` when
/// it was no listing that saw them.
pub(crate) async fn seen(
    transaction: &mut SqliteConnection,
    server: ServerId,
    serials: &[SerialNumber],
    run: Option<RunId>,
    now: Timestamp,
) -> Attempt<()> {
    if serials.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "-- seen_devices
         UPDATE devices SET seen_run = coalesce(?1, seen_run), last_seen_at = max(last_seen_at, ?2)
         WHERE server_id = ?3 AND serial IN (SELECT value FROM json_each(?4))",
    )
    .bind(run.map(|run| run.0))
    .bind(now.timestamp_millis())
    .bind(server.0)
    .bind(list(serials)?)
    .execute(transaction)
    .await?;
    Ok(())
}

/// So many events are written one by one.
const SINGLE_EVENTS: usize = 50;

/// Writes events of an MDM server, or of none, in their order, with the deliveries that carry them to endpoints.
pub(crate) async fn events(
    transaction: &mut SqliteConnection,
    server: impl Into<Option<ServerId>>,
    run: Option<RunId>,
    events: &[impl Borrow<NewEvent>],
    now: Timestamp,
) -> Attempt<()> {
    if events.is_empty() {
        return Ok(());
    }
    let server = server.into();
    // The events of an import are few and long: SQLite need not take them apart.
    if events.len() <= SINGLE_EVENTS {
        let mut last = 0;
        for event in events.iter().map(Borrow::borrow) {
            last = sqlx::query(
                "-- add_event
                 INSERT INTO events (server_id, run_id, at, serial, kind, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )
            .bind(server.map(|server| server.0))
            .bind(run.map(|run| run.0))
            .bind(now.timestamp_millis())
            .bind(event.serial.as_ref().map(SerialNumber::as_str))
            .bind(event.kind)
            .bind(to_json("event", &event.data)?)
            .execute(&mut *transaction)
            .await?
            .last_insert_rowid();
        }
        return fan_out(transaction, events.len(), last).await;
    }
    let rows: Vec<_> =
        events.iter().map(Borrow::borrow).map(|event| (&event.serial, event.kind, &event.data)).collect();
    let last = sqlx::query(
        "-- add_events
         INSERT INTO events (server_id, run_id, at, serial, kind, data)
         SELECT ?1, ?2, ?3, value ->> 0, value ->> 1, value -> 2 FROM json_each(?4) ORDER BY key",
    )
    .bind(server.map(|server| server.0))
    .bind(run.map(|run| run.0))
    .bind(now.timestamp_millis())
    .bind(to_json("events", &rows)?)
    .execute(&mut *transaction)
    .await?
    .last_insert_rowid();
    fan_out(transaction, events.len(), last).await
}

/// So many events were written up to this one. Nobody else writes meanwhile, so that their numbers have no gap.
async fn fan_out(transaction: &mut SqliteConnection, events: usize, last: i64) -> Attempt<()> {
    let before = last - i64::try_from(events).unwrap_or(last);
    webhooks::fan_out(transaction, before + 1, last).await
}

/// Serial numbers as one parameter.
pub(crate) fn list(serials: &[impl Borrow<SerialNumber>]) -> Attempt<String> {
    let serials: Vec<&SerialNumber> = serials.iter().map(Borrow::borrow).collect();
    Ok(to_json("serial numbers", &serials)?)
}
