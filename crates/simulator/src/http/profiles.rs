//! Profiles: define, get, assign, remove (protocol sections 3.5 to 3.8).

use adelie_dep::endpoints::{assign_profile, remove_profile};
use adelie_model::{ProfileUuid, SerialNumber};
use serde_json::{Map, Value, json};

use super::gate::{Answer, Visit, body};
use super::reply::{Refusal, Reply};
use crate::state::profile::refusal;
use crate::state::{Assigned, random_hex};

pub(crate) fn define(visit: &Visit<'_>) -> Answer {
    let mut profile: Map<String, Value> = body(visit.ask)?;
    if let Some(code) = refusal(&profile) {
        return Err(Refusal(400, code));
    }
    let devices = profile.remove("devices");
    profile.remove("profile_uuid");
    let serials: Vec<&str> =
        devices.iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str).collect();
    let mut world = visit.simulator.world_mut();
    let digits = if visit.settings.depsim { 8 } else { 16 };
    let uuid = random_hex(&world.entropy, digits).to_uppercase();
    let number = world.profiles.add(&uuid, Some(visit.server), profile);
    let mut answer = json!({ "profile_uuid": uuid });
    if !serials.is_empty() {
        let assigned = world.assign(visit.server, number, &serials, &visit.moment);
        merge(&mut answer, &results(&assigned, visit.version));
    }
    Ok(Reply::json(&answer).about(serials.len()))
}

pub(crate) fn get(visit: &Visit<'_>) -> Answer {
    let uuid = visit.ask.parameter("profile_uuid").filter(|uuid| !uuid.is_empty());
    let Some(uuid) = uuid else { return Err(Refusal(400, "PROFILE_UUID_REQUIRED")) };
    let world = visit.simulator.world();
    match world.profiles.get(&uuid, visit.server) {
        Some((_, profile)) => {
            let mut fields = profile.content.clone();
            fields.insert("profile_uuid".to_owned(), Value::String(uuid));
            Ok(Reply::json(&fields))
        }
        None if visit.settings.depsim => Err(Refusal(400, "PROFILE_NOT_FOUND")),
        None => Err(Refusal(400, "NOT_FOUND")),
    }
}

pub(crate) fn assign(visit: &Visit<'_>) -> Answer {
    let request: assign_profile::Request = body(visit.ask)?;
    let ProfileUuid(uuid) = request.profile_uuid;
    if uuid.is_empty() {
        return Err(Refusal(400, "PROFILE_UUID_REQUIRED"));
    }
    if request.devices.is_empty() {
        return Err(Refusal(400, "DEVICE_ID_REQUIRED"));
    }
    let serials = texts(&request.devices);
    let mut world = visit.simulator.world_mut();
    let Some(number) = world.profiles.get(&uuid, visit.server).map(|(number, _)| number) else {
        return Err(match (visit.settings.depsim, visit.settings.unknown_profile_status) {
            (true, _) | (_, 400) => Refusal(400, "PROFILE_NOT_FOUND"),
            _ => Refusal(404, "NOT_FOUND"),
        });
    };
    let assigned = world.assign(visit.server, number, &serials, &visit.moment);
    let mut answer = json!({ "profile_uuid": uuid });
    merge(&mut answer, &results(&assigned, visit.version));
    Ok(Reply::json(&answer).about(serials.len()))
}

pub(crate) fn remove(visit: &Visit<'_>) -> Answer {
    let request: remove_profile::Request = body(visit.ask)?;
    if request.devices.is_empty() {
        return Err(Refusal(400, "DEVICE_ID_REQUIRED"));
    }
    let serials = texts(&request.devices);
    let assigned = visit.simulator.world_mut().unassign(visit.server, &serials, &visit.moment);
    Ok(Reply::json(&results(&assigned, visit.version)).about(serials.len()))
}

/// The results of a request as Apple writes them at a protocol version.
pub(crate) fn results(assigned: &Assigned, version: u8) -> Value {
    let devices: Map<String, Value> = assigned
        .outcomes
        .iter()
        .map(|(serial, outcome)| (serial.clone(), Value::from(outcome.as_str(version))))
        .collect();
    match assigned.retry_after {
        Some(seconds) if version >= 10 => json!({ "devices": devices, "retry_after_seconds": seconds }),
        _ => json!({ "devices": devices }),
    }
}

pub(crate) fn texts(serials: &[SerialNumber]) -> Vec<&str> {
    serials.iter().map(SerialNumber::as_str).collect()
}

fn merge(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        into.extend(from.clone());
    }
}
