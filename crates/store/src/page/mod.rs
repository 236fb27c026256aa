//! A page of Apple's list, from records to rows: fold, merge, decide. Pure; drivers run it inside their
//! transaction, between loading the rows and writing them.

mod ahead;
mod decide;
mod digest;
mod fold;
mod group;
mod intended;
mod merge;
mod operate;
mod record;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use adelie_model::{Counts, Device, RunId, SerialNumber, ServerId, SyncPhase, Timestamp};

pub use ahead::{Ready, send_ahead};
pub(crate) use decide::is_asked_first;
pub use decide::{ASKED_FIRST, Known, decide, has_drifted};
pub use group::{GroupPlan, plan_group};
pub use intended::{Answer, Intended, intend};
pub use operate::{Action, Operated, Outcome, operate};
pub use record::{Record, Source};

use self::fold::fold;
use crate::Policy;
use crate::event::{self, DeviceAdded, DeviceModified, DeviceRemoved, NewEvent};

/// Where and when a page is being committed.
#[derive(Clone, Debug)]
pub struct PageContext {
    /// The MDM server whose page it is.
    pub server: ServerId,
    /// What its devices are stamped with.
    pub seen_run: RunId,
    /// The present moment.
    pub now: Timestamp,
    /// How complete the records are.
    pub source: Source,
    /// Whether the server's first full sync is not complete yet: its devices are announced by the page.
    pub first_import: bool,
}

/// Devices to be written, whole.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    /// Devices that are not stored yet.
    pub new: Vec<Device>,
    /// Devices that are stored otherwise.
    pub known: Vec<Device>,
}

impl Writes {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Device> {
        self.new.iter().chain(&self.known)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.known.is_empty()
    }
}

/// What a driver has to write for a page.
#[derive(Clone, Debug, Default)]
pub struct PagePlan {
    /// Devices to be written. Each serial number once.
    pub writes: Writes,
    /// Devices to be written that are `sent` by this, with the epoch of the lease: those that [`send_ahead`] took out
    /// of `writes`.
    pub sent: Writes,
    /// Devices about which nothing is new but that they were seen.
    pub seen: Vec<SerialNumber>,
    /// What happened, to be written in the same transaction (field lesson L15).
    pub events: Vec<NewEvent>,
    /// What the page did.
    pub counts: Counts,
}

/// Works out what a page changes. `existing` holds the stored devices among its serial numbers.
#[must_use]
pub fn plan(
    context: &PageContext,
    records: &[Record],
    mut existing: HashMap<SerialNumber, Device>,
    policy: &Policy,
) -> PagePlan {
    let mut plan = PagePlan::default();
    plan.counts.pages = 1;
    plan.counts.records = records.len() as u64;
    let mut imported = Vec::new();
    for folded in fold(records) {
        let record = &*folded.record;
        let before = existing.remove(&record.serial);
        let Some(change) = merge::merge(context, before.as_ref(), &folded, policy) else {
            continue;
        };
        match change.kind {
            merge::Kind::Added | merge::Kind::Returned => plan.counts.added += 1,
            merge::Kind::Modified => plan.counts.modified += 1,
            merge::Kind::Removed => plan.counts.removed += 1,
            merge::Kind::Unchanged => {}
        }
        match change.kind.event() {
            Some(_) if context.first_import && change.kind == merge::Kind::Added => {
                imported.push(record.serial.clone());
            }
            Some(kind) => plan.events.push(told(kind, change.kind, before.as_ref(), &change.device)),
            None => {}
        }
        if let (Source::ReadBack, Some(before)) = (context.source, &before) {
            plan.events.extend(event::read_back(before, &change.device));
        }
        if let Some(before) = &before {
            plan.events.extend(event::drift_repaired(before, &change.device));
        }
        match before {
            None => plan.writes.new.push(change.device),
            Some(before) if same_but_seen(&before, &change.device) => plan.seen.push(change.device.serial),
            Some(_) => plan.writes.known.push(change.device),
        }
    }
    plan.events.extend(event::imported(&imported.iter().collect::<Vec<_>>()));
    plan
}

/// The event of what a record did to a device.
fn told(kind: &'static str, change: merge::Kind, before: Option<&Device>, after: &Device) -> NewEvent {
    let serial = after.serial.clone();
    let was = before.map(|device| device.assignment.state.as_str());
    match (change, before) {
        (merge::Kind::Modified, Some(before)) => {
            let changes = event::changes(&before.actual, &after.actual);
            NewEvent::of_device(serial, kind, &DeviceModified { changes })
        }
        (merge::Kind::Removed, _) => NewEvent::of_device(serial, kind, &DeviceRemoved { was, by: None }),
        _ => NewEvent::of_device(serial, kind, &DeviceAdded { was, device: (&after.actual).into() }),
    }
}

/// Decides devices anew after a change of defaults or profiles. Returns only those that changed.
#[must_use]
pub fn decide_anew(devices: Vec<Device>, policy: &Policy, now: Timestamp) -> Vec<Device> {
    devices
        .into_iter()
        .filter_map(|device| {
            let assignment = decide(&device, policy, Known::Before, now);
            (assignment != device.assignment).then_some(Device { assignment, ..device })
        })
        .collect()
}

/// Makes a device that Apple no longer shows a tombstone.
#[must_use]
pub fn remove(device: Device, reason: impl Into<Cow<'static, str>>, now: Timestamp) -> Device {
    merge::removed(device, reason.into(), now)
}

/// The serial numbers of a page, each once: what a driver has to load.
#[must_use]
pub fn serials(records: &[Record]) -> Vec<&SerialNumber> {
    let mut known = HashSet::with_capacity(records.len());
    records.iter().map(|r| &r.serial).filter(|serial| known.insert(*serial)).collect()
}

/// Whether two states of a device differ in nothing but when and by which run it was seen.
fn same_but_seen(before: &Device, after: &Device) -> bool {
    before.actual == after.actual
        && before.op_date == after.op_date
        && before.op_digest == after.op_digest
        && before.hold == after.hold
        && before.tags == after.tags
        && before.removed_at == after.removed_at
        && before.assignment == after.assignment
}

/// The phase's records are whole in a listing and partial in a sync.
impl From<SyncPhase> for Source {
    fn from(phase: SyncPhase) -> Self {
        match phase {
            SyncPhase::Fetch => Self::Whole,
            SyncPhase::Sync => Self::Changes,
        }
    }
}
