//! Single devices: details, disown, activation lock, replacement (protocol sections 3.4, 3.9 to 3.11).

use adelie_dep::endpoints::{activation_lock, device_details, disown as disowning};
use serde_json::{Value, json};

use super::gate::{Answer, Visit, body};
use super::profiles::{results, texts};
use super::reply::{Refusal, Reply};
use crate::render::{self, Class};

pub(crate) fn details(visit: &Visit<'_>) -> Answer {
    let request: device_details::Request = body(visit.ask)?;
    if request.devices.is_empty() {
        return Err(Refusal(400, "DEVICE_ID_REQUIRED"));
    }
    let class = Class::of(visit.version);
    let (found, profiles) = {
        let world = visit.simulator.world();
        let look = |serial: &str| world.device(world.find_at(visit.server, serial)?).cloned();
        let found: Vec<_> =
            texts(&request.devices).into_iter().map(|serial| (serial.to_owned(), look(serial))).collect();
        (found, world.profiles.names())
    };
    let mut out = Vec::with_capacity(found.len() * 500);
    let mut seen = std::collections::HashSet::new();
    out.extend_from_slice(b"{\"devices\":{");
    for (serial, device) in &found {
        if !seen.insert(serial) {
            continue;
        }
        if seen.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(Value::from(serial.as_str()).to_string().as_bytes());
        out.push(b':');
        match device {
            Some(device) => {
                render::device(&mut out, device, class, &profiles, None);
                out.pop();
                out.extend_from_slice(b",\"response_status\":\"SUCCESS\"}");
            }
            None => out.extend_from_slice(b"{\"response_status\":\"NOT_ACCESSIBLE\"}"),
        }
    }
    out.extend_from_slice(b"}}");
    Ok(Reply::pieces(vec![out.into()]).about(found.len()))
}

pub(crate) fn disown(visit: &Visit<'_>) -> Answer {
    let request: disowning::Request = body(visit.ask)?;
    if request.devices().is_empty() {
        return Err(Refusal(400, "DEVICE_ID_REQUIRED"));
    }
    let serials = texts(request.devices());
    let mut world = visit.simulator.world_mut();
    if !world.server(visit.server).is_some_and(|server| server.may_release) {
        return Err(Refusal(403, "ACCESS_DENIED"));
    }
    let assigned = world.disown(visit.server, &serials, &visit.moment);
    Ok(Reply::json(&results(&assigned, visit.version)).about(serials.len()))
}

pub(crate) fn lock(visit: &Visit<'_>) -> Answer {
    let request: activation_lock::Request = body(visit.ask)?;
    let serial = request.device.as_str();
    if serial.is_empty() {
        return Err(Refusal(400, "DEVICE_ID_REQUIRED"));
    }
    let status = visit.simulator.world_mut().lock(visit.server, serial);
    Ok(Reply::json(&json!({ "serial_number": serial, "response_status": status })).about(1))
}

pub(crate) fn replacement(visit: &Visit<'_>) -> Answer {
    let serial = visit.ask.parameter("device").filter(|serial| !serial.is_empty());
    let Some(serial) = serial else { return Err(Refusal(400, "DEVICE_ID_REQUIRED")) };
    let world = visit.simulator.world();
    // The endpoint is part of version 10; below it there is nothing at this path.
    let special = (visit.version >= 10).then(|| world.find_at(visit.server, &serial)).flatten();
    match special.and_then(|number| world.specials.get(&number)?.replaces.as_ref()) {
        Some((original, date)) => Ok(Reply::json(&json!({
            "serial_number": serial,
            "original_device_serial_number": original,
            "replacement_date": date,
        }))),
        None => Err(Refusal(404, "DEVICE_NOT_FOUND")),
    }
}
