//! What happened, as it is written in the transaction that made it happen (field lesson L15).

use std::collections::BTreeMap;

use adelie_model::{
    Actual, AssignState, Device, ProfileStatus, ProfileUuid, RevisionId, SerialNumber, Timestamp,
};
use serde_json::{Map, Value, json};

use crate::Settlement;

/// An event to be written: something that is true once the transaction commits.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Like `device.added`; `devices.` instead of `device.` when it is about several.
    pub kind: &'static str,
    /// The device it is about; `None` when it is about several, whose `serial_numbers` are in the details.
    pub serial: Option<SerialNumber>,
    /// Details.
    pub data: Value,
}

impl NewEvent {
    /// That a first import has brought devices.
    pub(super) fn imported<'a>(serials: impl Iterator<Item = &'a SerialNumber>) -> Self {
        let serials: Vec<&SerialNumber> = serials.collect();
        Self { kind: "devices.imported", serial: None, data: json!({ "serial_numbers": serials }) }
    }
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
    groups
        .into_values()
        .filter_map(|group| {
            let first = group.first()?;
            let (one, several) = kinds(first.state)?;
            let mut data = json!({
                "revision": revision,
                "reason": first.reason,
                "profile_uuid": first.profile_uuid,
                "next_attempt_at": first.next_attempt_at,
            });
            if group.len() == 1 {
                return Some(NewEvent { kind: one, serial: Some(first.serial.clone()), data });
            }
            data["serial_numbers"] = group.iter().map(|one| one.serial.as_str()).collect();
            Some(NewEvent { kind: several, serial: None, data })
        })
        .collect()
}

/// The event of one device and of several that came to a state by Apple's answer.
fn kinds(state: AssignState) -> Option<(&'static str, &'static str)> {
    match state {
        AssignState::Assigned | AssignState::Pushed => Some(("device.assigned", "devices.assigned")),
        AssignState::Throttled => Some(("device.throttled", "devices.throttled")),
        AssignState::Failed => Some(("device.failed", "devices.failed")),
        AssignState::NotAccessible => Some(("device.not_accessible", "devices.not_accessible")),
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
pub(super) fn read_back(before: &Device, after: &Device) -> Option<NewEvent> {
    use AssignState::{Assigned, Drifted, Due, Pushed, Sent};
    let (was, is) = (&before.assignment, &after.assignment);
    let event = |kind, data| Some(NewEvent { kind, serial: Some(after.serial.clone()), data });
    match (was.state, is.state) {
        (Drifted, Due | Drifted) if was.next_attempt_at.is_some() => event(
            "device.drifted",
            json!({
                "reason": is.reason,
                "profile_status": after.actual.profile_status,
                "profile_uuid": after.actual.profile_uuid,
                "repaired": is.state == Due,
            }),
        ),
        (Sent, Assigned | Pushed) => event(
            "device.assigned",
            json!({
                "revision": is.wanted,
                "reason": "the answer was lost; Apple shows the profile when asked",
                "profile_uuid": after.actual.profile_uuid,
            }),
        ),
        (Sent, Due) => event(
            "device.not_assigned",
            json!({
                "revision": is.wanted,
                "reason": "the answer was lost; Apple does not show the profile when asked, so it is sent again",
                "next_attempt_at": is.next_attempt_at,
            }),
        ),
        _ => None,
    }
}

/// The facts that differ, each as `[before, after]`.
pub(super) fn changes(before: &Actual, after: &Actual) -> Value {
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
    for name in before.extra.keys().chain(after.extra.keys().filter(|name| !before.extra.contains_key(*name)))
    {
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
                ("devices.assigned", None, json!(["A", "C"])),
                ("device.failed", Some("B"), Value::Null),
                ("device.failed", Some("D"), Value::Null),
            ]
        );
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
