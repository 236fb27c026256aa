use adelie_model::{AssignState, Assignment, Device, DriftMode, ProfileStatus, ProfileUuid, Timestamp};
use chrono::TimeDelta;

use crate::{Policy, Wanted};

/// The reason of a device of which an event says otherwise that may be an old one that came again.
pub(super) const IN_DOUBT: &str = "an event came again that says otherwise; Apple is asked";

/// What may be concluded from the stored assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing: the device is new or back (field lesson L10).
    Nothing,
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
    let cool_down =
        before.next_attempt_at.filter(|until| known != Known::Nothing && *until > now).filter(|_| {
            matches!(before.state, AssignState::Throttled | AssignState::Held | AssignState::Unmatched)
        });
    if let Some(reason) = &device.hold {
        // What has been sent has to be heard of first; only then it is held.
        return match before.state {
            AssignState::Sent if known == Known::Before => before.clone(),
            _ => Assignment { next_attempt_at: cool_down, ..settled(AssignState::Held, reason.clone()) },
        };
    }
    if wanted.is_none() {
        return Assignment {
            next_attempt_at: cool_down,
            ..settled(AssignState::Unmatched, because.into_owned())
        };
    }
    let same_wish = known != Known::Nothing && before.wanted == wanted;
    // What is stored is as wanted, and yet it may not be so any more: only Apple can tell.
    if same_wish
        && known == Known::Before
        && before.state == AssignState::Drifted
        && before.reason == IN_DOUBT
    {
        return Assignment { rule, ..before.clone() };
    }
    if let Some(state) = as_wanted(device, uuid) {
        // What seems to have drifted is known by news that may be older than our own assignment. It is no reason to
        // repair, and none to believe that a new wish has come true.
        let news_only = before.state == AssignState::Drifted && before.next_attempt_at.is_some();
        if news_only && known == Known::Before && !same_wish && policy.drift == DriftMode::Repair {
            let reason = IN_DOUBT.to_owned();
            return Assignment {
                state: AssignState::Drifted,
                reason,
                attempts: 0,
                next_attempt_at: Some(now),
                wanted,
                rule,
            };
        }
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
    match cool_down {
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
