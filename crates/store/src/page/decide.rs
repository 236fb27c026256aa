use adelie_model::{AssignState, Assignment, Device, DriftMode, ProfileStatus, ProfileUuid, Timestamp};
use chrono::TimeDelta;

use crate::{Policy, Wanted};

/// The reason of a device of which an event says otherwise that may be an old one that came again.
pub(super) const IN_DOUBT: &str = "an event came again that says otherwise; Apple is asked";

/// The reason of a device that is `sent` only because it is open what became of what was sent before: another profile is
/// wanted since, or it was held. Nothing was sent for the present wish.
pub const ASKED_FIRST: &str = "Apple is asked what it shows before anything is sent again";

/// What may be concluded from the stored assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It stands as stored; a `sent` device's outcome is still open.
    Before,
    /// Apple was asked after the sending, so that a `sent` device's outcome is what Apple shows.
    ReadBack,
}

/// Decides the assignment of a device from its state, never from what kind of event brought it here
/// (field lesson L6).
#[must_use]
pub fn decide(device: &Device, policy: &Policy, known: Known, now: Timestamp) -> Assignment {
    let before = &device.assignment;
    if device.removed_at.is_some() {
        return before.clone();
    }
    let Wanted { revision: wanted, uuid, rule, because } = policy.wanted(device);
    let settled = |state, reason: String| Assignment {
        state,
        reason,
        attempts: 0,
        next_attempt_at: None,
        wanted,
        rule,
    };
    // Apple counts by device, so that a cool-down outlasts a changed wish, no wish at all, and a hold.
    let cool_down = before.next_attempt_at.filter(|until| *until > now).filter(|_| {
        matches!(before.state, AssignState::Throttled | AssignState::Held | AssignState::Unmatched)
    });
    // That it is not known what Apple shows outlasts a hold and the lack of a wish as well: by the attempts.
    let attempts = u32::from(known == Known::Before && is_in_doubt(before));
    if let Some(reason) = &device.hold {
        // What has been sent has to be heard of first; only then it is held.
        return match before.state {
            AssignState::Sent if known == Known::Before => before.clone(),
            _ => Assignment {
                next_attempt_at: cool_down,
                attempts,
                ..settled(AssignState::Held, reason.clone())
            },
        };
    }
    if wanted.is_none() {
        return Assignment {
            next_attempt_at: cool_down,
            attempts,
            ..settled(AssignState::Unmatched, because.into_owned())
        };
    }
    let same_wish = before.wanted == wanted;
    // What we have sent for another wish may have arrived or not, and news may be older than it. Only Apple can tell
    // whether the present wish is fulfilled, and without that it might be sent needlessly (field lessons L24, L29).
    if known == Known::Before && asks_first(before, same_wish) && cool_down.is_none() {
        let at = match before.state {
            // The answer may still be on its way.
            AssignState::Sent => before.next_attempt_at,
            _ => Some(now),
        };
        return Assignment { next_attempt_at: at, ..settled(AssignState::Sent, ASKED_FIRST.to_owned()) };
    }
    // What is stored is as wanted, and yet it may not be so any more: only Apple can tell.
    if same_wish
        && known == Known::Before
        && before.state == AssignState::Drifted
        && before.reason == IN_DOUBT
    {
        return Assignment { rule, ..before.clone() };
    }
    if let Some(state) = as_wanted(device, uuid) {
        return settled(state, because.into_owned());
    }
    if same_wish {
        match before.state {
            // The outcome is open: sending again now could throttle the device.
            AssignState::Sent if known == Known::Before => return Assignment { rule, ..before.clone() },
            // These are read back before anything is sent: news on a sync page may be older than our own
            // assignment, and a needless one burns the device's budget (field lessons L24, L28).
            AssignState::NotAccessible if known == Known::Before => {
                return Assignment { rule, ..before.clone() };
            }
            AssignState::Drifted if known == Known::Before => {
                // Drift that was only to be reported is looked at again once it is to be repaired.
                let at = before.next_attempt_at.or((policy.drift == DriftMode::Repair).then_some(now));
                return Assignment { next_attempt_at: at, rule, ..before.clone() };
            }
            AssignState::Drifted if known == Known::ReadBack && policy.drift == DriftMode::Report => {
                let reason = format!("{}; it is reported only", drift(device));
                return settled(AssignState::Drifted, reason);
            }
            // Its time has come and Apple still does not show what is wanted.
            AssignState::Throttled | AssignState::Failed
                if known == Known::ReadBack && before.next_attempt_at.is_some_and(|at| at <= now) => {}
            // A cool-down is never shortened by news about the device (field lesson L21).
            AssignState::Throttled | AssignState::Failed | AssignState::Due => {
                return Assignment { rule, ..before.clone() };
            }
            AssignState::Assigned | AssignState::Pushed => {
                return Assignment {
                    state: AssignState::Drifted,
                    reason: drift(device),
                    attempts: 0,
                    next_attempt_at: Some(now),
                    wanted,
                    rule,
                };
            }
            AssignState::Sent
            | AssignState::Drifted
            | AssignState::NotAccessible
            | AssignState::Unmatched
            | AssignState::Held
            | AssignState::Removed => {}
        }
    }
    // One that is over ends with the read-back.
    let throttled =
        before.next_attempt_at.filter(|_| known == Known::Before && before.state == AssignState::Throttled);
    match cool_down.or(throttled) {
        Some(until) => Assignment {
            state: AssignState::Throttled,
            reason: "Apple takes no assignment for this device for now, because there were many".to_owned(),
            attempts: before.attempts,
            next_attempt_at: Some(until),
            wanted,
            rule,
        },
        None => Assignment {
            state: AssignState::Due,
            // What has drifted says so until it is repaired.
            reason: if same_wish && before.state == AssignState::Drifted {
                drift(device)
            } else {
                because.into_owned()
            },
            attempts: if same_wish { before.attempts } else { 0 },
            next_attempt_at: Some(now + pause(before, known)),
            wanted,
            rule,
        },
    }
}

/// Whether it is not known for certain what Apple shows for a device.
fn is_in_doubt(assignment: &Assignment) -> bool {
    match assignment.state {
        AssignState::Sent | AssignState::Failed | AssignState::Throttled | AssignState::NotAccessible => true,
        AssignState::Drifted => assignment.next_attempt_at.is_some(),
        AssignState::Held | AssignState::Unmatched => assignment.attempts > 0,
        AssignState::Due | AssignState::Assigned | AssignState::Pushed | AssignState::Removed => false,
    }
}

/// Whether Apple is asked what it shows before this device is sent for the present wish.
fn asks_first(before: &Assignment, same_wish: bool) -> bool {
    match before.state {
        AssignState::Sent => !same_wish || is_asked_first(before),
        AssignState::Failed | AssignState::NotAccessible | AssignState::Drifted => {
            !same_wish && is_in_doubt(before)
        }
        AssignState::Held | AssignState::Unmatched => is_in_doubt(before),
        // What is throttled is read back as well, when its time has come.
        AssignState::Throttled
        | AssignState::Due
        | AssignState::Assigned
        | AssignState::Pushed
        | AssignState::Removed => false,
    }
}

/// Whether nothing was sent for the present wish of a `sent` device; see [`ASKED_FIRST`].
pub(crate) fn is_asked_first(assignment: &Assignment) -> bool {
    assignment.state == AssignState::Sent && assignment.reason == ASKED_FIRST
}

/// How long a device waits whose request has had no clear answer. The first time it is sent again at once; an
/// Apple that goes on failing is not asked in a tight loop.
fn pause(before: &Assignment, known: Known) -> TimeDelta {
    if known != Known::ReadBack || before.state != AssignState::Sent {
        return TimeDelta::zero();
    }
    match before.attempts {
        0 | 1 => TimeDelta::zero(),
        2 => TimeDelta::minutes(1),
        3 => TimeDelta::minutes(5),
        _ => TimeDelta::hours(1),
    }
}

/// The settled state of a device that Apple shows with the wanted profile (field lesson L24); `None` when it
/// still needs it. `removed` and `empty` mean that it does, whatever the UUID says (field lesson L5).
fn as_wanted(device: &Device, wanted: Option<&ProfileUuid>) -> Option<AssignState> {
    let wanted = wanted?;
    if device.actual.profile_uuid.as_ref() != Some(wanted) {
        return None;
    }
    match device.actual.profile_status {
        Some(ProfileStatus::Assigned) => Some(AssignState::Assigned),
        Some(ProfileStatus::Pushed) => Some(AssignState::Pushed),
        _ => None,
    }
}

/// What Apple shows instead of the wanted profile.
fn drift(device: &Device) -> String {
    match (&device.actual.profile_status, &device.actual.profile_uuid) {
        (Some(ProfileStatus::Assigned | ProfileStatus::Pushed), Some(uuid)) => {
            format!("Apple shows another profile, {uuid}, {NOT_OURS}")
        }
        (status, _) => format!(
            "Apple shows the profile as {} {NOT_OURS}",
            status.as_ref().map_or("absent", ProfileStatus::as_str)
        ),
    }
}

/// Whether a stored reason says that a device has drifted. It says so until the drift is repaired, or until Apple has
/// given another reason why it is not.
#[must_use]
pub fn has_drifted(reason: &str) -> bool {
    reason.starts_with("Apple shows ") && reason.contains(NOT_OURS)
}

/// The end of what is said of drift.
const NOT_OURS: &str = "without our doing";
