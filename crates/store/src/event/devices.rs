use std::collections::BTreeMap;

use adelie_model::{
    Actual, AssignState, Device, ProfileStatus, ProfileUuid, RevisionId, SerialNumber, Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::NewEvent;
use crate::Settlement;
use crate::page::{has_drifted, is_asked_first};

/// Details of a device that came.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DeviceAdded {
    /// The state of assignment that it left with; null when it was never there before.
    pub was: Option<&'static str>,
    /// What Apple says of it.
    pub device: Facts,
}

/// What Apple says of a device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Facts {
    /// Its model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Apple's description of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its colour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Its asset tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asset_tag: Option<String>,
    /// Its device family, like `iPhone` or `Mac`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// Its operating system, in Apple's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
}

impl From<&Actual> for Facts {
    fn from(actual: &Actual) -> Self {
        Self {
            model: actual.model.clone(),
            description: actual.description.clone(),
            color: actual.color.clone(),
            asset_tag: actual.asset_tag.clone(),
            device_family: actual.device_family.as_ref().map(|family| family.as_str().to_owned()),
            os: actual.os.clone(),
        }
    }
}

/// Details of a device of which Apple has changed something.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DeviceModified {
    /// The facts that changed, each as `[before, after]`.
    pub changes: Value,
}

/// Details of a device that left.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DeviceRemoved {
    /// The state of assignment that it left with.
    pub was: Option<&'static str>,
    /// The operator who put it away; absent when Apple no longer lists it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Details of a device that was forgotten.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DeviceDeleted {
    /// When it had left.
    pub removed_at: Timestamp,
}

/// Details of a first full sync.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DevicesImported {
    /// The devices, at most 100 in an event.
    pub serial_numbers: Vec<String>,
}

/// Details of devices for which Apple has taken a profile.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AssignmentSucceeded {
    /// Our number of the revision.
    #[schemars(with = "Option<i64>")]
    pub revision: Option<RevisionId>,
    /// How it came about.
    pub reason: String,
    /// Apple's name of the profile.
    #[schemars(with = "Option<String>")]
    pub profile_uuid: Option<ProfileUuid>,
    /// The devices, when they are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_numbers: Option<Vec<String>>,
}

/// Details of devices that do not have the wanted profile yet.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AssignmentOutcome {
    /// Our number of the revision.
    #[schemars(with = "Option<i64>")]
    pub revision: Option<RevisionId>,
    /// What Apple said.
    pub reason: String,
    /// When it is tried again.
    pub next_attempt_at: Option<Timestamp>,
    /// The devices, when they are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_numbers: Option<Vec<String>>,
}

/// Details of drift.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DriftDetected {
    /// What Apple shows, in words.
    pub reason: String,
    /// Apple's word on the profile of the device.
    pub profile_status: Option<String>,
    /// Apple's name of the profile that the device has.
    pub profile_uuid: Option<String>,
    /// Whether it is repaired; otherwise it is reported only, as the settings of the MDM server say.
    pub repaired: bool,
}

/// Details of drift that is over.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DriftRepaired {
    /// Our number of the revision that Apple shows again.
    #[schemars(with = "Option<i64>")]
    pub revision: Option<RevisionId>,
    /// The devices, when they are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_numbers: Option<Vec<String>>,
}

/// Details of a device that an operator holds.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DeviceHeld {
    /// Who.
    pub by: String,
    /// Why; empty when they did not say.
    pub reason: String,
}

/// Details of a device that was let go.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DeviceUnheld {
    /// Who.
    pub by: String,
}

/// Details of changed tags.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DeviceTagged {
    /// Who.
    pub by: String,
    /// Its tags now.
    pub tags: Vec<String>,
    /// Its tags before.
    pub was: Vec<String>,
}

/// Details of a device that is tried again.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DeviceRetried {
    /// Who.
    pub by: String,
    /// The state of assignment before.
    pub was: &'static str,
}

/// Devices in one event of a first full sync: with what a post tells of each of them it stays below the 20 kB that
/// Standard Webhooks recommends.
const IMPORTED_AT_ONCE: usize = 100;

/// That a first import has brought devices.
pub(crate) fn imported(serials: &[&SerialNumber]) -> impl Iterator<Item = NewEvent> {
    serials.chunks(IMPORTED_AT_ONCE).map(|some| {
        let serial_numbers = some.iter().map(|serial| serial.as_str().to_owned()).collect();
        NewEvent::new("devices.imported", &DevicesImported { serial_numbers })
    })
}

/// The events of what Apple answered to one request: one for all devices of which it said the same, so that a
/// million devices make a thousand events.
#[must_use]
pub fn settled(revision: RevisionId, settlements: &[Settlement]) -> Vec<NewEvent> {
    type Answer<'a> = (&'static str, &'a str, Option<Timestamp>);
    let mut groups: BTreeMap<Answer<'_>, Vec<&Settlement>> = BTreeMap::new();
    for one in settlements {
        let answer = (one.state.as_str(), one.reason.as_str(), one.next_attempt_at);
        groups.entry(answer).or_default().push(one);
    }
    let mut events: Vec<_> = groups.into_values().filter_map(|group| of_group(revision, &group)).collect();
    let repaired = settlements.iter().filter(|one| one.drifted && one.state == AssignState::Assigned);
    events.extend(repaired_of(revision, &repaired.collect::<Vec<_>>()));
    events
}

/// The drift of these devices is over.
fn repaired_of(revision: RevisionId, group: &[&Settlement]) -> Option<NewEvent> {
    let first = group.first()?;
    let several = group.len() > 1;
    let serial_numbers = several.then(|| group.iter().map(|one| one.serial.as_str().to_owned()).collect());
    let data = super::object(&DriftRepaired { revision: Some(revision), serial_numbers });
    Some(NewEvent { kind: "drift.repaired", serial: (!several).then(|| first.serial.clone()), data })
}

fn of_group(revision: RevisionId, group: &[&Settlement]) -> Option<NewEvent> {
    let first = group.first()?;
    let kind = kind(first.state)?;
    let several = group.len() > 1;
    let serial_numbers = several.then(|| group.iter().map(|one| one.serial.as_str().to_owned()).collect());
    let serial = (!several).then(|| first.serial.clone());
    let (revision, reason) = (Some(revision), first.reason.clone());
    let data = if kind == "assignment.succeeded" {
        let profile_uuid = first.profile_uuid.clone();
        super::object(&AssignmentSucceeded { revision, reason, profile_uuid, serial_numbers })
    } else {
        let next_attempt_at = first.next_attempt_at;
        super::object(&AssignmentOutcome { revision, reason, next_attempt_at, serial_numbers })
    };
    Some(NewEvent { kind, serial, data })
}

/// The type of the event of devices that came to a state by Apple's answer.
fn kind(state: AssignState) -> Option<&'static str> {
    match state {
        AssignState::Assigned | AssignState::Pushed => Some("assignment.succeeded"),
        AssignState::Throttled => Some("assignment.throttled"),
        AssignState::Failed => Some("assignment.failed"),
        AssignState::NotAccessible => Some("assignment.not_accessible"),
        AssignState::Unmatched
        | AssignState::Held
        | AssignState::Due
        | AssignState::Sent
        | AssignState::Drifted
        | AssignState::Removed => None,
    }
}

/// What a read-back has shown of a device, where that is news: drift that is certain now, or the outcome of a
/// request that had no clear answer.
pub(crate) fn read_back(before: &Device, after: &Device) -> Option<NewEvent> {
    use AssignState::{Assigned, Drifted, Due, Failed, Pushed, Sent, Throttled};
    let (was, is) = (&before.assignment, &after.assignment);
    let serial = || after.serial.clone();
    match (was.state, is.state) {
        (Drifted, Due | Drifted) if was.next_attempt_at.is_some() => {
            let actual = &after.actual;
            let details = DriftDetected {
                reason: is.reason.clone(),
                profile_status: actual.profile_status.as_ref().map(|status| status.as_str().to_owned()),
                profile_uuid: actual.profile_uuid.as_ref().map(|uuid| uuid.as_str().to_owned()),
                repaired: is.state == Due,
            };
            Some(NewEvent::of_device(serial(), "drift.detected", &details))
        }
        (Sent | Failed | Throttled, Assigned | Pushed) => {
            let lost = was.state == Sent && !is_asked_first(was);
            let answer = if lost { "the answer was lost" } else { "it was not confirmed" };
            let details = AssignmentSucceeded {
                revision: is.wanted,
                reason: format!("{answer}; Apple shows the profile when asked"),
                profile_uuid: after.actual.profile_uuid.clone(),
                serial_numbers: None,
            };
            Some(NewEvent::of_device(serial(), "assignment.succeeded", &details))
        }
        // What was sent for a former wish is wanted no more.
        (Sent, Due) if is_asked_first(was) => None,
        (Sent, Due) => {
            let details = AssignmentOutcome {
                revision: is.wanted,
                reason:
                    "the answer was lost; Apple does not show the profile when asked, so it is sent again"
                        .to_owned(),
                next_attempt_at: is.next_attempt_at,
                serial_numbers: None,
            };
            Some(NewEvent::of_device(serial(), "assignment.unconfirmed", &details))
        }
        _ => None,
    }
}

/// What Apple shows, on a page or when asked, of a device that had drifted for certain, where it is as wanted again.
/// What has only seemed to drift was not told, so that its end is not told either.
pub(crate) fn drift_repaired(before: &Device, after: &Device) -> Option<NewEvent> {
    use AssignState::{Assigned, Drifted, Due, Pushed, Sent};
    let (was, is) = (&before.assignment, &after.assignment);
    let certain = matches!(was.state, Due | Sent) || (was.state == Drifted && was.next_attempt_at.is_none());
    let repaired = certain && has_drifted(&was.reason) && matches!(is.state, Assigned | Pushed);
    let details = DriftRepaired { revision: is.wanted, serial_numbers: None };
    repaired.then(|| NewEvent::of_device(after.serial.clone(), "drift.repaired", &details))
}

/// The facts that differ, each as `[before, after]`.
pub(crate) fn changes(before: &Actual, after: &Actual) -> Value {
    let mut changed = Map::new();
    let mut note = |name: &str, before: Value, after: Value| {
        if before != after {
            changed.insert(name.to_owned(), json!([before, after]));
        }
    };
    let status = |actual: &Actual| json!(actual.profile_status.as_ref().map(ProfileStatus::as_str));
    let uuid = |actual: &Actual| json!(actual.profile_uuid.as_ref().map(ProfileUuid::as_str));
    note("model", json!(before.model), json!(after.model));
    note("description", json!(before.description), json!(after.description));
    note("color", json!(before.color), json!(after.color));
    note("asset_tag", json!(before.asset_tag), json!(after.asset_tag));
    note("device_family", json!(before.device_family), json!(after.device_family));
    note("os", json!(before.os), json!(after.os));
    note("profile_status", status(before), status(after));
    note("profile_uuid", uuid(before), uuid(after));
    note("profile_assign_time", json!(before.profile_assign_time), json!(after.profile_assign_time));
    note("profile_push_time", json!(before.profile_push_time), json!(after.profile_push_time));
    note("device_assigned_by", json!(before.device_assigned_by), json!(after.device_assigned_by));
    note("device_assigned_date", json!(before.device_assigned_date), json!(after.device_assigned_date));
    note("mdm_migration_deadline", json!(before.mdm_migration_deadline), json!(after.mdm_migration_deadline));
    let new = after.extra.iter().filter(|(name, _)| before.extra.get(name).is_none());
    for (name, _) in before.extra.iter().chain(new) {
        let of = |actual: &Actual| actual.extra.get(name).cloned().unwrap_or(Value::Null);
        note(name, of(before), of(after));
    }
    changed.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settlement(serial: &str, state: AssignState, reason: &str) -> Settlement {
        Settlement {
            serial: SerialNumber::from_apple(serial.to_owned()),
            state,
            reason: reason.to_owned(),
            next_attempt_at: None,
            profile_uuid: None,
            drifted: false,
        }
    }

    /// L20: what Apple said of every serial number stands in exactly one event.
    #[test]
    fn devices_with_the_same_answer_share_an_event() {
        let settlements = [
            settlement("A", AssignState::Assigned, ""),
            settlement("B", AssignState::Failed, "FAILED"),
            settlement("C", AssignState::Assigned, ""),
            settlement("D", AssignState::Failed, "left out"),
        ];
        let events = settled(RevisionId(7), &settlements);
        let told: Vec<_> = events
            .iter()
            .map(|e| (e.kind, e.serial.as_ref().map(SerialNumber::as_str), e.data["serial_numbers"].clone()))
            .collect();
        assert_eq!(
            told,
            [
                ("assignment.succeeded", None, json!(["A", "C"])),
                ("assignment.failed", Some("B"), Value::Null),
                ("assignment.failed", Some("D"), Value::Null),
            ]
        );
    }

    #[test]
    fn drift_is_repaired_by_a_success_only() {
        let drifted = |serial, state| Settlement { drifted: true, ..settlement(serial, state, "") };
        let settlements = [
            drifted("A", AssignState::Assigned),
            drifted("B", AssignState::Failed),
            settlement("C", AssignState::Assigned, ""),
        ];
        let events = settled(RevisionId(7), &settlements);
        let repaired: Vec<_> = events.iter().filter(|event| event.kind == "drift.repaired").collect();
        assert_eq!(repaired.len(), 1);
        assert_eq!(repaired[0].serial.as_ref().map(SerialNumber::as_str), Some("A"));
        assert_eq!(repaired[0].data, json!({ "revision": 7 }));
    }

    #[test]
    fn only_what_differs_is_told() {
        let before = Actual { color: Some("RED".to_owned()), ..Actual::default() };
        let mut after = Actual { os: Some("iOS".to_owned()), ..Actual::default() };
        after.extra.insert("imei".to_owned(), json!(["1"]));
        let expected = json!({ "color": ["RED", null], "os": [null, "iOS"], "imei": [null, ["1"]] });
        assert_eq!(changes(&before, &after), expected);
    }
}
