use std::borrow::Cow;

use adelie_model::{Actual, AssignState, Assignment, Device, OpType, Timestamp};

use super::fold::overlay_facts;
use super::{Known, PageContext, Record, Source, decide};
use crate::Policy;

/// What a record did to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Added,
    /// It had left and is back (field lesson L10).
    Returned,
    Modified,
    Removed,
    Unchanged,
}

impl Kind {
    pub(super) fn event(self) -> Option<&'static str> {
        match self {
            Self::Added | Self::Returned => Some("device.added"),
            Self::Modified => Some("device.modified"),
            Self::Removed => Some("device.removed"),
            Self::Unchanged => None,
        }
    }
}

/// A device after a record, and what the record did to it.
pub(super) struct Change {
    pub(super) device: Device,
    pub(super) kind: Kind,
}

/// Lays a folded record over what is stored. `None` when it is about a device that we do not have and that
/// has left: there is nothing to remember of it.
pub(super) fn merge(
    context: &PageContext,
    before: Option<&Device>,
    record: &Record,
    policy: &Policy,
) -> Option<Change> {
    let leaves = record.op_type == Some(OpType::Deleted);
    let Some(before) = before else {
        return (!leaves).then(|| Change { device: fresh(context, record, policy, None), kind: Kind::Added });
    };
    let seen = Device { seen_run: context.seen_run, last_seen_at: context.now, ..before.clone() };
    // Apple delivers at least once, so that an event may come again after newer ones (field lesson L11).
    if record.op_date.zip(before.op_date).is_some_and(|(new, known)| new < known) {
        return Some(Change { device: seen, kind: Kind::Unchanged });
    }
    let op_date = record.op_date.or(before.op_date);
    if leaves {
        if before.removed_at.is_some() {
            return Some(Change { device: Device { op_date, ..before.clone() }, kind: Kind::Unchanged });
        }
        // It is not seen by this: a deletion says that the device is not there.
        let gone = Device { op_date, ..before.clone() };
        let device = removed(gone, Cow::Borrowed("Apple says that it left this MDM server"), context.now);
        return Some(Change { device, kind: Kind::Removed });
    }
    if before.removed_at.is_some() {
        let device = fresh(context, record, policy, Some(before));
        return Some(Change { device, kind: Kind::Returned });
    }
    let actual = match context.source {
        Source::Changes => overlay_facts(&before.actual, record.actual.clone()),
        Source::Whole | Source::ReadBack => record.actual.clone(),
    };
    let kind = if says_the_same(&before.actual, &actual) { Kind::Unchanged } else { Kind::Modified };
    let known = match context.source {
        Source::ReadBack => Known::ReadBack,
        Source::Whole | Source::Changes => Known::Before,
    };
    let mut device = Device { actual, op_date, ..seen };
    device.assignment = decide(&device, policy, known, context.now);
    Some(Change { device, kind })
}

/// Whether nothing worth telling has changed. Our own assignment comes back with Apple's time of it in place of
/// ours, and that is no news.
fn says_the_same(before: &Actual, after: &Actual) -> bool {
    let own = before.profile_uuid.is_some()
        && before.profile_uuid == after.profile_uuid
        && before.profile_status == after.profile_status;
    if !own {
        return before == after;
    }
    let timeless = |actual: &Actual| Actual { profile_assign_time: None, ..actual.clone() };
    timeless(before) == timeless(after)
}

/// A device that is new here, or back: whatever was remembered of its assignment is forgotten.
fn fresh(context: &PageContext, record: &Record, policy: &Policy, before: Option<&Device>) -> Device {
    let mut device = Device {
        server: context.server,
        serial: record.serial.clone(),
        actual: record.actual.clone(),
        op_date: record.op_date.or_else(|| before.and_then(|b| b.op_date)),
        first_seen_at: before.map_or(context.now, |b| b.first_seen_at),
        last_seen_at: context.now,
        seen_run: context.seen_run,
        removed_at: None,
        assignment: Assignment {
            state: AssignState::Due,
            reason: String::new(),
            attempts: 0,
            next_attempt_at: Some(context.now),
            wanted: None,
        },
    };
    device.assignment = decide(&device, policy, Known::Nothing, context.now);
    device
}

/// A device that has left: a tombstone that remembers what it was, and wants nothing.
pub(super) fn removed(device: Device, reason: Cow<'static, str>, now: Timestamp) -> Device {
    Device {
        removed_at: device.removed_at.or(Some(now)),
        assignment: Assignment {
            state: AssignState::Removed,
            reason: reason.into_owned(),
            attempts: 0,
            next_attempt_at: None,
            wanted: None,
        },
        ..device
    }
}
