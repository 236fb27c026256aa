use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use adelie_model::{Actual, OpType, ProfileStatus, SerialNumber, Timestamp};

use super::Record;

/// Folds a page to one record per serial number, over all op types: the newest `op_date` wins, on a tie the
/// later in the page, and a fact that only an older record has is kept (field lesson L4). The order of first
/// appearance is kept.
pub(super) fn fold(records: &[Record]) -> Vec<Folded<'_>> {
    let mut order: Vec<&SerialNumber> = Vec::with_capacity(records.len());
    let mut by_serial: HashMap<&SerialNumber, OfSerial<'_>> = HashMap::with_capacity(records.len());
    for record in records {
        match by_serial.entry(&record.serial) {
            Entry::Vacant(place) => {
                order.push(&record.serial);
                place.insert(OfSerial { first: (record.op_date, record), more: Vec::new() });
            }
            Entry::Occupied(mut known) => known.get_mut().add(record),
        }
    }
    order.into_iter().filter_map(|serial| by_serial.remove(serial)).map(OfSerial::folded).collect()
}

/// What the records of one serial number come to.
#[derive(Debug, PartialEq)]
pub(super) struct Folded<'r> {
    pub(super) record: Cow<'r, Record>,
    /// Whether one of them is a deletion in the second of the newest.
    pub(super) after_deletion: bool,
}

/// The records of one serial number in the order of the page, each with the date by which it is ordered. As a rule
/// there is one, which is not copied.
struct OfSerial<'r> {
    first: (Option<Timestamp>, &'r Record),
    more: Vec<(Option<Timestamp>, &'r Record)>,
}

impl<'r> OfSerial<'r> {
    fn add(&mut self, record: &'r Record) {
        // A record without a date stands where the page puts it: right after the one before it.
        let (before, _) = self.more.last().unwrap_or(&self.first);
        self.more.push((record.op_date.or(*before), record));
    }

    fn folded(self) -> Folded<'r> {
        if self.more.is_empty() {
            return Folded { record: Cow::Borrowed(self.first.1), after_deletion: false };
        }
        let mut all = self.more;
        all.insert(0, self.first);
        // The sort is stable, so that the later in the page wins a tie.
        all.sort_by_key(|(date, _)| *date);
        let newest = all.last().and_then(|(date, _)| *date);
        let deleted = |(date, record): &(Option<Timestamp>, &Record)| {
            *date == newest && record.op_type == Some(OpType::Deleted)
        };
        let after_deletion = newest.is_some() && all.iter().any(deleted);
        let records = all.into_iter().map(|(_, record)| record.clone());
        let record = records.reduce(overlay).unwrap_or_else(|| self.first.1.clone());
        Folded { record: Cow::Owned(record), after_deletion }
    }
}

/// Lays a newer record over an older one of the same device.
fn overlay(older: Record, newer: Record) -> Record {
    // What was known before a deletion is not carried into a new stay at this server.
    let actual = if older.op_type == Some(OpType::Deleted) {
        newer.actual
    } else {
        overlay_facts(&older.actual, newer.actual)
    };
    Record { serial: newer.serial, actual, op_type: newer.op_type, op_date: newer.op_date.or(older.op_date) }
}

/// Lays newer facts over older ones: an absent fact never erases a known one (field lesson L12).
pub(super) fn overlay_facts(older: &Actual, newer: Actual) -> Actual {
    let mut extra = older.extra.clone();
    extra.extend(newer.extra);
    // `empty` means that there is no profile, so what was known of one is gone; every other status keeps it.
    let no_profile = newer.profile_status == Some(ProfileStatus::Empty);
    let of_profile = |known: Option<Timestamp>| if no_profile { None } else { known };
    Actual {
        model: newer.model.or_else(|| older.model.clone()),
        description: newer.description.or_else(|| older.description.clone()),
        color: newer.color.or_else(|| older.color.clone()),
        asset_tag: newer.asset_tag.or_else(|| older.asset_tag.clone()),
        device_family: newer.device_family.or_else(|| older.device_family.clone()),
        os: newer.os.or_else(|| older.os.clone()),
        profile_uuid: newer
            .profile_uuid
            .or_else(|| if no_profile { None } else { older.profile_uuid.clone() }),
        profile_assign_time: newer.profile_assign_time.or(of_profile(older.profile_assign_time)),
        profile_push_time: newer.profile_push_time.or(of_profile(older.profile_push_time)),
        profile_status: newer.profile_status.or_else(|| older.profile_status.clone()),
        device_assigned_by: newer.device_assigned_by.or_else(|| older.device_assigned_by.clone()),
        device_assigned_date: newer.device_assigned_date.or(older.device_assigned_date),
        mdm_migration_deadline: newer.mdm_migration_deadline.or(older.mdm_migration_deadline),
        extra,
    }
}
