use std::borrow::Cow;

use adelie_model::{Actual, AssignState, Assignment, Device, OpType, Timestamp};

use super::decide::IN_DOUBT;
use super::digest::{digest, is_same, knows_deletion};
use super::fold::{Folded, overlay_facts};
use super::operate::PUT_AWAY;
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
    folded: &Folded<'_>,
    policy: &Policy,
) -> Option<Change> {
    let record = &*folded.record;
    let leaves = record.op_type == Some(OpType::Deleted);
    let Some(before) = before else {
        let digest = digest_of(folded, None);
        return (!leaves).then(|| Change {
            device: fresh(context, record.clone(), digest, policy, None),
            kind: Kind::Added,
        });
    };
    let seen = Device { seen_run: context.seen_run, last_seen_at: context.now, ..before.clone() };
    // Apple delivers at least once, so that an event may come again, also after newer ones (field lesson L11).
    let digest = digest_of(folded, Some(before));
    // A deletion and what came after it may share a second, and the deletion may come again on a later page.
    let known_deletion = leaves && before.removed_at.is_none() && knows_deletion(before.op_digest);
    let repeated = |(new, known): (Timestamp, Timestamp)| {
        new < known || (new == known && (is_same(digest, before.op_digest) || known_deletion))
    };
    if record.op_date.zip(before.op_date).is_some_and(repeated) {
        // Nothing is new, not even that the device is there: the event may be older than its removal.
        let device =
            if before.removed_at.is_some() { before.clone() } else { in_doubt(seen, record, context.now) };
        return Some(Change { device, kind: Kind::Unchanged });
    }
    let op_date = record.op_date.or(before.op_date);
    let op_digest = digest.or(before.op_digest);
    if leaves {
        if before.removed_at.is_some() {
            let device = Device { op_date, op_digest, ..before.clone() };
            return Some(Change { device, kind: Kind::Unchanged });
        }
        // It is not seen by this: a deletion says that the device is not there.
        let gone = Device { op_date, op_digest, ..before.clone() };
        let device = removed(gone, Cow::Borrowed("Apple says that it left this MDM server"), context.now);
        return Some(Change { device, kind: Kind::Removed });
    }
    if is_older_than_its_being_put_away(context, before, record) {
        return Some(Change { device: before.clone(), kind: Kind::Unchanged });
    }
    if before.removed_at.is_some() {
        let device = fresh(context, record.clone(), digest, policy, Some(before));
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
    let mut device = Device { actual, op_date, op_digest, ..seen };
    device.assignment = decide(&device, policy, known, context.now);
    // What Apple shows has changed again since the drift was reported, so that it has to be looked at again.
    if kind == Kind::Modified && known == Known::Before && device.assignment.state == AssignState::Drifted {
        device.assignment.next_attempt_at = Some(context.now);
    }
    Some(Change { device, kind })
}

/// Whether an operator has put the device away since the event. It shows the device as it was then: whoever brings it back
/// by it would assign what Apple shows already. What is newer brings it back, and so does a listing.
fn is_older_than_its_being_put_away(context: &PageContext, before: &Device, record: &Record) -> bool {
    let put_away = before.removed_at.filter(|_| before.assignment.reason.starts_with(PUT_AWAY));
    context.source == Source::Changes && put_away.zip(record.op_date).is_some_and(|(at, event)| event <= at)
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

/// A device of which an event has come again. Dates are whole seconds, so that it might also be another event that
/// says the same, like a device that was given back twice in a second: where it would mean that the profile or the device
/// is gone, Apple is asked, and nothing is believed before.
fn in_doubt(device: Device, record: &Record, now: Timestamp) -> Device {
    let same_moment = record.op_date == device.op_date;
    let settled = matches!(device.assignment.state, AssignState::Assigned | AssignState::Pushed);
    let said = overlay_facts(&device.actual, record.actual.clone());
    let other = record.op_type == Some(OpType::Deleted)
        || (&said.profile_status, &said.profile_uuid)
            != (&device.actual.profile_status, &device.actual.profile_uuid);
    if !(same_moment && settled && other) {
        return device;
    }
    let reason = IN_DOUBT.to_owned();
    let assignment = Assignment {
        state: AssignState::Drifted,
        reason,
        next_attempt_at: Some(now),
        ..device.assignment.clone()
    };
    Device { assignment, ..device }
}

/// The digest of an event on top of what is stored.
fn digest_of(folded: &Folded<'_>, before: Option<&Device>) -> Option<i64> {
    let record = &*folded.record;
    let before = before.filter(|before| before.op_date == record.op_date);
    let deletion = record.op_type == Some(OpType::Deleted)
        || folded.after_deletion
        || before.is_some_and(|before| knows_deletion(before.op_digest));
    digest(record, deletion)
}

/// A device that is certainly new, from the only record of it.
pub(super) fn added(context: &PageContext, record: Record, policy: &Policy) -> Device {
    let digest = digest(&record, false);
    fresh(context, record, digest, policy, None)
}

/// A device that is new here, or back: whatever was remembered of its assignment is forgotten (field lesson L10).
fn fresh(
    context: &PageContext,
    record: Record,
    digest: Option<i64>,
    policy: &Policy,
    before: Option<&Device>,
) -> Device {
    let mut device = Device {
        server: context.server,
        serial: record.serial,
        actual: record.actual,
        op_date: record.op_date.or_else(|| before.and_then(|b| b.op_date)),
        op_digest: digest.or_else(|| before.and_then(|b| b.op_digest)),
        first_seen_at: before.map_or(context.now, |b| b.first_seen_at),
        last_seen_at: context.now,
        seen_run: context.seen_run,
        removed_at: None,
        // Holds and tags are an operator's word about the serial number and outlast its absence.
        hold: before.and_then(|b| b.hold.clone()),
        tags: before.map(|b| b.tags.clone()).unwrap_or_default(),
        assignment: Assignment {
            state: AssignState::Unmatched,
            reason: String::new(),
            attempts: 0,
            next_attempt_at: None,
            wanted: None,
            rule: None,
        },
    };
    device.assignment = decide(&device, policy, Known::Before, context.now);
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
            rule: None,
        },
        ..device
    }
}
