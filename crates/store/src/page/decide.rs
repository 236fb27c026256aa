use adelie_model::{AssignState, Assignment, Device, ProfileStatus, ProfileUuid, Timestamp};
use chrono::TimeDelta;

use crate::Policy;

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
    let (wanted, uuid, because) = policy.wanted(device);
    let settled =
        |state, reason: String| Assignment { state, reason, attempts: 0, next_attempt_at: None, wanted };
    if wanted.is_none() {
        return settled(AssignState::Unmatched, because.into_owned());
    }
    let same_wish = known != Known::Nothing && before.wanted == wanted;
    if same_wish && before.state == AssignState::Held {
        return before.clone();
    }
    if let Some(state) = as_wanted(device, uuid) {
        return settled(state, because.into_owned());
    }
    if same_wish {
        match before.state {
            // The outcome is open: sending again now could throttle the device.
            AssignState::Sent if known == Known::Before => return before.clone(),
            // These are read back before anything is sent: news on a sync page may be older than our own
            // assignment, and a needless one burns the device's budget (field lessons L24, L28).
            AssignState::Drifted | AssignState::NotAccessible if known == Known::Before => {
                return before.clone();
            }
            // A cool-down is never shortened by news about the device (field lesson L21).
            AssignState::Throttled | AssignState::Failed | AssignState::Due => return before.clone(),
            AssignState::Assigned | AssignState::Pushed => {
                return Assignment {
                    state: AssignState::Drifted,
                    reason: drift(device),
                    attempts: 0,
                    next_attempt_at: Some(now),
                    wanted,
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
    // A wish that changes while Apple throttles the device waits for the same cool-down: Apple counts by device.
    let throttled_until = before
        .next_attempt_at
        .filter(|at| known != Known::Nothing && before.state == AssignState::Throttled && *at > now);
    match throttled_until {
        Some(until) => Assignment { wanted, next_attempt_at: Some(until), ..before.clone() },
        None => Assignment {
            state: AssignState::Due,
            // What has drifted says so until it is repaired.
            reason: if same_wish && before.state == AssignState::Drifted {
                before.reason.clone()
            } else {
                because.into_owned()
            },
            attempts: if same_wish { before.attempts } else { 0 },
            next_attempt_at: Some(now + pause(before, known)),
            wanted,
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
            format!("Apple shows another profile, {uuid}, without our doing")
        }
        (status, _) => format!(
            "Apple shows the profile as {} without our doing",
            status.as_ref().map_or("absent", ProfileStatus::as_str)
        ),
    }
}
