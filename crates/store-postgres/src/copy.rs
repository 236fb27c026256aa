//! New devices by `COPY`, which takes half the time of an `INSERT` with an array for each column.
//!
//! The binary form is that of the page on `COPY` in PostgreSQL's manual: a header, rows of length-prefixed fields in
//! the form in which the protocol sends them, a trailer.

use std::borrow::Cow;

use adelie_model::{Device, DeviceFamily, Extra, ProfileStatus, ProfileUuid, Timestamp};
use adelie_store::{Lease, StoreError};
use sqlx::PgConnection;

use crate::batch::{extra, fact, text};
use crate::failure::Attempt;
use crate::rows::millis;

/// As many as [`Rows::device`] writes.
const COLUMNS: i16 = 30;
const COPY: &str = "COPY devices (server_id, serial, model, description, color, asset_tag, device_family, os,
    profile_status, profile_uuid, profile_assign_time, profile_push_time, device_assigned_by, device_assigned_date,
    mdm_migration_deadline, extra, op_date, first_seen_at, last_seen_at, seen_run, removed_at, assign_state,
    assign_reason, attempts, next_attempt_at, wanted_revision_id, op_digest, hold, rule_id, sent_epoch)
    FROM STDIN (FORMAT binary)";
/// For so many devices rows are made at once.
const AT_ONCE: usize = 1000;
/// The first bytes, then no flags and no extension of the header.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: i16 = -1;
/// 2000-01-01, from which PostgreSQL counts microseconds, in milliseconds since 1970.
const EPOCH_MILLIS: i64 = 946_684_800_000;
/// The version of `jsonb` in the protocol.
const JSONB: u8 = 1;

/// Inserts devices that are not stored, with the epoch of the lease by which they are sent. Nobody else can have stored
/// one meanwhile: whoever adds devices has locked the row of their MDM server. Nor can anybody have given one a tag.
pub(crate) async fn insert(
    transaction: &mut PgConnection,
    devices: &[Device],
    sent_by: Option<&Lease>,
) -> Attempt<()> {
    if devices.is_empty() {
        return Ok(());
    }
    let epoch = sent_by.map_or(0, |lease| lease.epoch);
    let devices: Vec<_> = devices.iter().map(|device| (device, epoch)).collect();
    insert_with_epochs(transaction, &devices).await
}

/// The same for devices each of which has an epoch of its own; 0 for one that is not sent. While PostgreSQL stores some
/// of them, the rows of the next are made.
pub(crate) async fn insert_with_epochs(
    transaction: &mut PgConnection,
    devices: &[(&Device, i64)],
) -> Attempt<()> {
    let mut parts = devices.chunks(AT_ONCE);
    let mut rows = Rows { bytes: HEADER.to_vec() };
    rows.devices(parts.next().unwrap_or_default())?;
    let mut copy = transaction.copy_in_raw(COPY).await?;
    // From here on an error drops the copy, which tells PostgreSQL to forget it.
    for part in parts {
        let (sent, next) = tokio::join!(copy.send(rows.bytes), async {
            let mut next = Rows { bytes: Vec::new() };
            next.devices(part).map(|()| next)
        });
        sent?;
        rows = next?;
    }
    rows.bytes.extend(TRAILER.to_be_bytes());
    copy.send(rows.bytes).await?;
    copy.finish().await?;
    Ok(())
}

/// Rows as they are sent.
struct Rows {
    bytes: Vec<u8>,
}

impl Rows {
    fn devices(&mut self, devices: &[(&Device, i64)]) -> Attempt<()> {
        // Few devices need more.
        self.bytes.reserve(400 * devices.len());
        devices.iter().try_for_each(|(device, epoch)| self.device(device, *epoch))
    }

    fn device(&mut self, device: &Device, epoch: i64) -> Attempt<()> {
        let Device { actual, assignment, .. } = device;
        debug_assert!(device.tags.is_empty(), "a device that is new has no tags");
        self.bytes.extend(COLUMNS.to_be_bytes());
        self.number(Some(device.server.0));
        self.text(Some(device.serial.as_str().into()));
        self.text(fact(actual.model.as_deref()));
        self.text(fact(actual.description.as_deref()));
        self.text(fact(actual.color.as_deref()));
        self.text(fact(actual.asset_tag.as_deref()));
        self.text(fact(actual.device_family.as_ref().map(DeviceFamily::as_str)));
        self.text(fact(actual.os.as_deref()));
        self.text(fact(actual.profile_status.as_ref().map(ProfileStatus::as_str)));
        self.text(fact(actual.profile_uuid.as_ref().map(ProfileUuid::as_str)));
        self.moment(actual.profile_assign_time);
        self.moment(actual.profile_push_time);
        self.text(fact(actual.device_assigned_by.as_deref()));
        self.moment(actual.device_assigned_date);
        self.moment(actual.mdm_migration_deadline);
        self.json(&extra(&actual.extra))?;
        self.moment(device.op_date);
        self.moment(Some(device.first_seen_at));
        self.moment(Some(device.last_seen_at));
        self.number(Some(device.seen_run.0));
        self.moment(device.removed_at);
        self.text(Some(assignment.state.as_str().into()));
        self.text(Some(text(&assignment.reason)));
        self.field(&i32::try_from(assignment.attempts).unwrap_or(i32::MAX).to_be_bytes());
        self.moment(assignment.next_attempt_at);
        self.number(assignment.wanted.map(|revision| revision.0));
        self.number(device.op_digest);
        self.text(fact(device.hold.as_deref()));
        self.number(assignment.rule.map(|rule| rule.0));
        self.number(Some(epoch));
        Ok(())
    }

    fn field(&mut self, bytes: &[u8]) {
        // No answer of Apple's is as long as a field may be.
        self.bytes.extend(i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_be_bytes());
        self.bytes.extend_from_slice(bytes);
    }

    fn null(&mut self) {
        self.bytes.extend((-1_i32).to_be_bytes());
    }

    fn number(&mut self, number: Option<i64>) {
        match number {
            Some(number) => self.field(&number.to_be_bytes()),
            None => self.null(),
        }
    }

    fn text(&mut self, text: Option<Cow<'_, str>>) {
        match text {
            Some(text) => self.field(text.as_bytes()),
            None => self.null(),
        }
    }

    fn moment(&mut self, moment: Option<Timestamp>) {
        let micros = millis(moment).map(|moment| (moment.timestamp_millis() - EPOCH_MILLIS) * 1000);
        self.number(micros);
    }

    fn json(&mut self, object: &Extra) -> Attempt<()> {
        let length_at = self.bytes.len();
        self.null();
        self.bytes.push(JSONB);
        serde_json::to_writer(&mut self.bytes, object)
            .map_err(|error| StoreError::damaged("devices.extra", error))?;
        let length = i32::try_from(self.bytes.len() - length_at - 4).unwrap_or(i32::MAX);
        self.bytes[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}
