//! Many devices in one statement: what every transaction that decides about devices loads and writes.
//!
//! `UNNEST … CROSS JOIN LATERAL (… LIMIT 1)` looks each serial number up by itself, in the order given. A plain
//! join or `= ANY` leaves PostgreSQL the choice to read all devices of the MDM server instead; and as long as
//! it has no statistics of that server, in the middle of a first import, it believes that to be cheap. For the
//! same reason nothing but the key stands inside: a state there would invite it to walk that state's index.

use std::borrow::{Borrow, Cow};
use std::collections::HashMap;

use adelie_model::{
    Device, DeviceFamily, Extra, ProfileStatus, ProfileUuid, RunId, SerialNumber, ServerId, Timestamp,
    to_millis,
};
use adelie_store::Lease;
use adelie_store::event::NewEvent;
use adelie_store::page::Writes;
use serde_json::{Map, Value};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::copy;
use crate::failure::Attempt;
use crate::rows::{self, DeviceRow, millis};
use crate::webhooks::fan_out::{about, add_deliveries, ring, wants};

/// Loads the devices with these serial numbers and locks them, so that nobody settles one between its being
/// loaded and its being written.
pub(crate) async fn load(
    transaction: &mut PgConnection,
    server: ServerId,
    serials: &[impl Borrow<SerialNumber>],
) -> Attempt<Vec<Device>> {
    if serials.is_empty() {
        return Ok(Vec::new());
    }
    let found: Vec<DeviceRow> = sqlx::query_as(
        "-- load_devices
         SELECT d.* FROM UNNEST($2::text[]) AS s (serial)
         CROSS JOIN LATERAL (
             SELECT server_id, serial, model, description, color, asset_tag, device_family, os, profile_status,
                 profile_uuid, profile_assign_time, profile_push_time, device_assigned_by,
                 device_assigned_date, mdm_migration_deadline, extra, op_date, op_digest, first_seen_at,
                 last_seen_at, seen_run, removed_at, hold, assign_state, assign_reason, attempts,
                 next_attempt_at, wanted_revision_id, rule_id, tags
             FROM devices WHERE server_id = $1 AND serial = s.serial LIMIT 1 FOR NO KEY UPDATE
         ) d",
    )
    .bind(server.0)
    .bind(in_order(serials))
    .fetch_all(transaction)
    .await?;
    Ok(rows::all(found)?)
}

/// The same, by serial number.
pub(crate) async fn load_by_serial(
    transaction: &mut PgConnection,
    server: ServerId,
    serials: &[impl Borrow<SerialNumber>],
) -> Attempt<HashMap<SerialNumber, Device>> {
    let found = load(transaction, server, serials).await?;
    Ok(found.into_iter().map(|device| (device.serial.clone(), device)).collect())
}

/// Writes what a page or details have changed.
pub(crate) async fn write(
    transaction: &mut PgConnection,
    server: ServerId,
    writes: &mut Writes,
    sent_by: Option<&Lease>,
) -> Attempt<()> {
    copy::insert(transaction, &writes.new, sent_by).await?;
    upsert(transaction, server, &mut writes.known, sent_by).await
}

/// Inserts or replaces devices, whole; the epoch under which they were sent becomes that of the lease by which they
/// are sent now, and stays what it was without one. All of them are of one MDM server.
pub(crate) async fn upsert(
    transaction: &mut PgConnection,
    server: ServerId,
    devices: &mut [Device],
    sent_by: Option<&Lease>,
) -> Attempt<()> {
    if devices.is_empty() {
        return Ok(());
    }
    // In the order in which everybody locks them.
    devices.sort_unstable_by(|a, b| a.serial.cmp(&b.serial));
    let devices = &*devices;
    sqlx::query(
        "-- upsert_devices
         INSERT INTO devices (server_id, serial, model, description, color, asset_tag, device_family, os,
             profile_status, profile_uuid, profile_assign_time, profile_push_time, device_assigned_by,
             device_assigned_date, mdm_migration_deadline, extra, op_date, first_seen_at, last_seen_at,
             seen_run, removed_at, assign_state, assign_reason, attempts, next_attempt_at, wanted_revision_id,
             op_digest, hold, rule_id, tags, sent_epoch)
         SELECT $1, serial, model, description, color, asset_tag, device_family, os, profile_status, profile_uuid,
             profile_assign_time, profile_push_time, device_assigned_by, device_assigned_date,
             mdm_migration_deadline, extra, op_date, first_seen_at, last_seen_at, seen_run, removed_at, assign_state,
             assign_reason, attempts, next_attempt_at, wanted_revision_id, op_digest, hold, rule_id,
             string_to_array(tags, chr(31)), $31
         FROM UNNEST($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
             $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[], $13::text[],
             $14::timestamptz[], $15::timestamptz[], $16::jsonb[], $17::timestamptz[], $18::timestamptz[],
             $19::timestamptz[], $20::bigint[], $21::timestamptz[], $22::text[], $23::text[], $24::integer[],
             $25::timestamptz[], $26::bigint[], $27::bigint[], $28::text[], $29::bigint[], $30::text[])
             AS new (serial, model, description, color, asset_tag, device_family, os, profile_status, profile_uuid,
                 profile_assign_time, profile_push_time, device_assigned_by, device_assigned_date,
                 mdm_migration_deadline, extra, op_date, first_seen_at, last_seen_at, seen_run, removed_at,
                 assign_state, assign_reason, attempts, next_attempt_at, wanted_revision_id, op_digest, hold, rule_id,
                 tags)
         ON CONFLICT (server_id, serial) DO UPDATE SET
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
             sent_epoch = GREATEST(devices.sent_epoch, excluded.sent_epoch)",
    )
    .bind(server.0)
    .bind(column(devices, |d| d.serial.as_str()))
    .bind(column(devices, |d| fact(d.actual.model.as_deref())))
    .bind(column(devices, |d| fact(d.actual.description.as_deref())))
    .bind(column(devices, |d| fact(d.actual.color.as_deref())))
    .bind(column(devices, |d| fact(d.actual.asset_tag.as_deref())))
    .bind(column(devices, |d| fact(d.actual.device_family.as_ref().map(DeviceFamily::as_str))))
    .bind(column(devices, |d| fact(d.actual.os.as_deref())))
    .bind(column(devices, |d| fact(d.actual.profile_status.as_ref().map(ProfileStatus::as_str))))
    .bind(column(devices, |d| fact(d.actual.profile_uuid.as_ref().map(ProfileUuid::as_str))))
    .bind(column(devices, |d| millis(d.actual.profile_assign_time)))
    .bind(column(devices, |d| millis(d.actual.profile_push_time)))
    .bind(column(devices, |d| fact(d.actual.device_assigned_by.as_deref())))
    .bind(column(devices, |d| millis(d.actual.device_assigned_date)))
    .bind(column(devices, |d| millis(d.actual.mdm_migration_deadline)))
    .bind(column(devices, |d| Json(extra(&d.actual.extra))))
    .bind(column(devices, |d| millis(d.op_date)))
    .bind(column(devices, |d| to_millis(d.first_seen_at)))
    .bind(column(devices, |d| to_millis(d.last_seen_at)))
    .bind(column(devices, |d| d.seen_run.0))
    .bind(column(devices, |d| millis(d.removed_at)))
    .bind(column(devices, |d| d.assignment.state.as_str()))
    .bind(column(devices, |d| text(&d.assignment.reason)))
    .bind(column(devices, |d| i32::try_from(d.assignment.attempts).unwrap_or(i32::MAX)))
    .bind(column(devices, |d| millis(d.assignment.next_attempt_at)))
    .bind(column(devices, |d| d.assignment.wanted.map(|revision| revision.0)))
    .bind(column(devices, |d| d.op_digest))
    .bind(column(devices, |d| fact(d.hold.as_deref())))
    .bind(column(devices, |d| d.assignment.rule.map(|rule| rule.0)))
    .bind(column(devices, |d| tags(&d.tags)))
    .bind(sent_by.map_or(0, |lease| lease.epoch))
    .execute(transaction)
    .await?;
    Ok(())
}

/// Tags as one text, because PostgreSQL takes no array of arrays of different lengths. No tag has a control character.
fn tags(tags: &[String]) -> Option<String> {
    (!tags.is_empty()).then(|| tags.join("\u{1f}"))
}

/// Notes that devices were seen, and nothing else about them; no index has to follow. `run` is `None` when
/// it was no listing that saw them.
pub(crate) async fn seen(
    transaction: &mut PgConnection,
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
         UPDATE devices d SET seen_run = COALESCE($3, d.seen_run), last_seen_at = GREATEST(d.last_seen_at, $4)
         FROM UNNEST($2::text[]) AS s (serial)
         CROSS JOIN LATERAL (
             SELECT id FROM devices WHERE server_id = $1 AND serial = s.serial LIMIT 1
         ) found
         WHERE d.id = found.id",
    )
    .bind(server.0)
    .bind(in_order(serials))
    .bind(run.map(|run| run.0))
    .bind(to_millis(now))
    .execute(transaction)
    .await?;
    Ok(())
}

/// Without endpoints nothing comes after the events.
const ADD_EVENTS: &str = concat!(
    "-- add_events
     WITH e AS (
         INSERT INTO events (server_id, run_id, at, serial, kind, data)
         SELECT $1, $2, $3, serial, kind, data
         FROM UNNEST($4::text[], $5::text[], $6::jsonb[]) WITH ORDINALITY AS new (serial, kind, data, number)
         ORDER BY number
         RETURNING id, server_id, serial, kind, at, ",
    about!(),
    "
     ),
     fanned_out AS (\n",
    add_deliveries!(),
    "e.at FROM webhooks w CROSS JOIN e WHERE ",
    wants!(),
    " ORDER BY e.id, w.id RETURNING id
     )\n",
    ring!("fanned_out")
);

/// Writes events of an MDM server, or of none, in their order, with the deliveries that carry them to endpoints.
pub(crate) async fn events(
    transaction: &mut PgConnection,
    server: impl Into<Option<ServerId>>,
    run: Option<RunId>,
    events: &[impl Borrow<NewEvent>],
    now: Timestamp,
) -> Attempt<()> {
    if events.is_empty() {
        return Ok(());
    }
    let server = server.into();
    sqlx::query(ADD_EVENTS)
        .bind(server.map(|server| server.0))
        .bind(run.map(|run| run.0))
        .bind(to_millis(now))
        .bind(column(events, |event| event.borrow().serial.as_ref().map(SerialNumber::as_str)))
        .bind(column(events, |event| event.borrow().kind))
        .bind(column(events, |event| Json(value(&event.borrow().data))))
        .execute(transaction)
        .await?;
    Ok(())
}

/// Serial numbers as an array parameter, in the order in which everybody locks devices.
pub(crate) fn in_order(serials: &[impl Borrow<SerialNumber>]) -> Vec<&str> {
    let mut texts = column(serials, |serial| serial.borrow().as_str());
    texts.sort_unstable();
    texts
}

/// One column of rows as an array parameter.
pub(crate) fn column<'r, R, T>(rows: &'r [R], value: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

pub(crate) fn fact(value: Option<&str>) -> Option<Cow<'_, str>> {
    value.map(text)
}

/// PostgreSQL keeps no NUL in a text. A device of which Apple sends one must not stop its page.
pub(crate) fn text(value: &str) -> Cow<'_, str> {
    if value.contains('\0') { value.replace('\0', "\u{FFFD}").into() } else { value.into() }
}

/// What else Apple sent, without NUL.
pub(crate) fn extra(extra: &Extra) -> Cow<'_, Extra> {
    if extra.iter().any(|(name, value)| name.contains('\0') || has_nul(value)) {
        Cow::Owned(extra.iter().map(|(name, value)| (text(name).into_owned(), without_nul(value))).collect())
    } else {
        Cow::Borrowed(extra)
    }
}

pub(crate) fn object(map: &Map<String, Value>) -> Cow<'_, Map<String, Value>> {
    if map.iter().any(|(key, value)| key.contains('\0') || has_nul(value)) {
        Cow::Owned(map.iter().map(|(key, value)| (text(key).into_owned(), without_nul(value))).collect())
    } else {
        Cow::Borrowed(map)
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(string) => string.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(map) => map.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        _ => false,
    }
}

/// Details without NUL.
pub(crate) fn value(value: &Value) -> Cow<'_, Value> {
    if has_nul(value) { Cow::Owned(without_nul(value)) } else { Cow::Borrowed(value) }
}

fn without_nul(value: &Value) -> Value {
    match value {
        Value::String(string) => Value::String(text(string).into_owned()),
        Value::Array(values) => Value::Array(values.iter().map(without_nul).collect()),
        Value::Object(map) => Value::Object(object(map).into_owned()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn nul_is_replaced_wherever_it_stands() {
        let sent = json!({ "a\0": ["b\0", { "c": "\0" }], "n": 1 });
        let stored = super::object(sent.as_object().expect("an object")).into_owned();
        assert_eq!(json!(stored), json!({ "a\u{FFFD}": ["b\u{FFFD}", { "c": "\u{FFFD}" }], "n": 1 }));
    }
}
