//! What an operator does to a device by hand. Pure; drivers run it in a transaction of its own.

use adelie_model::{AssignState, Assignment, Device, DriftMode, SerialNumber, Tag};

use super::merge::removed;
use super::{ASKED_FIRST, Known, decide, is_asked_first};
use crate::event::{DeviceHeld, DeviceRemoved, DeviceRetried, DeviceTagged, DeviceUnheld, NewEvent};
use crate::{Operator, Policy};

/// How the reason of a device begins that an operator has put away.
pub(super) const PUT_AWAY: &str = "deleted by ";

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Keep the device from being assigned until it is let go.
    Hold {
        /// Why, for people.
        reason: String,
    },
    /// Let it go.
    Unhold,
    /// Work on it now, not when its time has come.
    Retry {
        /// Also when Apple throttles it, which may make Apple throttle it for longer (field lesson L21).
        throttled_too: bool,
    },
    /// Put it away as if it had left. If Apple still lists it, the next full sync brings it back.
    Archive,
    /// Give it tags and take others away, and decide by them.
    Tag {
        /// Tags to give it.
        add: Vec<Tag>,
        /// Tags to take away.
        remove: Vec<Tag>,
    },
}

/// What came of it for one serial number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operated {
    /// The serial number.
    pub serial: SerialNumber,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an operator's action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// There was nothing to do, and why.
    Unchanged(&'static str),
    /// It must not be done, why, and what to do instead.
    Refused(String),
    /// Nothing is stored of this serial number at this MDM server.
    Unknown,
}

/// Does what an operator asks for to a device. Returns what came of it, and what is to be written.
#[must_use]
pub fn operate(
    device: &Device,
    policy: &Policy,
    action: &Action,
    by: &Operator,
) -> (Outcome, Option<(Device, NewEvent)>) {
    let refused = |why: &str| (Outcome::Refused(why.to_owned()), None);
    let done = |device, event| (Outcome::Done, Some((device, event)));
    let serial = || device.serial.clone();
    if device.removed_at.is_some() && !matches!(action, Action::Tag { .. }) {
        return refused(match action {
            Action::Archive => "it is put away already and is deleted by itself",
            _ => "it has left this MDM server",
        });
    }
    match action {
        Action::Hold { reason } => {
            let text = if reason.is_empty() {
                format!("held by {}", by.name)
            } else {
                format!("held by {}: {reason}", by.name)
            };
            if device.hold.as_ref() == Some(&text) {
                return (Outcome::Unchanged("it is held already"), None);
            }
            let details = DeviceHeld { by: by.name.clone(), reason: reason.clone() };
            let held = decided(Device { hold: Some(text), ..device.clone() }, policy, by);
            done(held, NewEvent::of_device(serial(), "device.held", &details))
        }
        Action::Unhold if device.hold.is_none() => (Outcome::Unchanged("no operator holds it"), None),
        Action::Unhold => {
            let free = decided(Device { hold: None, ..device.clone() }, policy, by);
            let details = DeviceUnheld { by: by.name.clone() };
            done(free, NewEvent::of_device(serial(), "device.unheld", &details))
        }
        Action::Archive => {
            let was = Some(device.assignment.state.as_str());
            let details = DeviceRemoved { was, by: Some(by.name.clone()) };
            let reason = format!("{PUT_AWAY}{}; a full sync brings it back if Apple still lists it", by.name);
            let gone = removed(device.clone(), reason.into(), by.now);
            done(gone, NewEvent::of_device(serial(), "device.removed", &details))
        }
        Action::Tag { add, remove } => {
            let tags = tagged(&device.tags, add, remove);
            if tags == device.tags {
                return (Outcome::Unchanged("its tags are so already"), None);
            }
            let details = DeviceTagged { by: by.name.clone(), tags: tags.clone(), was: device.tags.clone() };
            let tagged = decided(Device { tags, ..device.clone() }, policy, by);
            done(tagged, NewEvent::of_device(serial(), "device.tagged", &details))
        }
        Action::Retry { throttled_too } => match retried(device, policy, *throttled_too, by) {
            Ok(assignment) => {
                let was = device.assignment.state.as_str();
                let event = NewEvent::of_device(
                    serial(),
                    "device.retried",
                    &DeviceRetried { by: by.name.clone(), was },
                );
                done(Device { assignment, ..device.clone() }, event)
            }
            Err(outcome) => (outcome, None),
        },
    }
}

/// Tags after some were added and others taken away: sorted, each once.
fn tagged(tags: &[String], add: &[Tag], remove: &[Tag]) -> Vec<String> {
    let added = add.iter().map(Tag::as_str);
    let mut tags: Vec<&str> = tags.iter().map(String::as_str).chain(added).collect();
    tags.retain(|tag| !remove.iter().any(|gone| gone.as_str() == *tag));
    tags.sort_unstable();
    tags.dedup();
    tags.into_iter().map(str::to_owned).collect()
}

fn decided(device: Device, policy: &Policy, by: &Operator) -> Device {
    let assignment = decide(&device, policy, Known::Before, by.now);
    Device { assignment, ..device }
}

/// The assignment of a device that is to be worked on now.
fn retried(
    device: &Device,
    policy: &Policy,
    throttled_too: bool,
    by: &Operator,
) -> Result<Assignment, Outcome> {
    let before = &device.assignment;
    let due = || {
        let reason = format!("tried again by {}", by.name);
        Assignment { state: AssignState::Due, reason, next_attempt_at: Some(by.now), ..before.clone() }
    };
    let read_back = || Assignment { next_attempt_at: Some(by.now), ..before.clone() };
    if device.hold.is_some() {
        return Err(Outcome::Refused(
            "an operator holds it: let it go with `adelie assign unhold`".to_owned(),
        ));
    }
    match before.state {
        AssignState::Due => Ok(due()),
        AssignState::Failed | AssignState::NotAccessible => Ok(read_back()),
        // It is certain already, and this is the word that was waited for.
        AssignState::Drifted if policy.drift == DriftMode::Report && before.next_attempt_at.is_none() => {
            Ok(due())
        }
        AssignState::Drifted => Ok(read_back()),
        AssignState::Throttled if throttled_too => Ok(read_back()),
        AssignState::Throttled => Err(Outcome::Refused(format!(
            "Apple throttles it until {}, and asking earlier may make that longer; --force asks all the same",
            before
                .next_attempt_at
                .map_or_else(|| "later".to_owned(), |at| at.format("%F %R UTC").to_string())
        ))),
        AssignState::Assigned | AssignState::Pushed => {
            Err(Outcome::Unchanged("Apple already shows the wanted profile"))
        }
        AssignState::Sent if is_asked_first(before) => Err(Outcome::Unchanged(ASKED_FIRST)),
        AssignState::Sent => Err(Outcome::Unchanged("it has just been sent, and Apple's answer is awaited")),
        AssignState::Unmatched => Err(Outcome::Refused(
            "no default gives it a profile: set one with `adelie server set NAME --default any=PROFILE`"
                .to_owned(),
        )),
        AssignState::Held | AssignState::Removed => Err(Outcome::Refused(before.reason.clone())),
    }
}
