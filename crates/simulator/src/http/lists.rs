//! `POST /server/devices` and `POST /devices/sync` (protocol sections 3.2 and 3.3).

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::gate::{Answer, Visit, body};
use super::reply::{Refusal, Reply};
use crate::clock::time_text;
use crate::faults::SameCursor;
use crate::render::{self, Class, ProfileNames};
use crate::state::device::Device;
use crate::state::listing::Rendered;
use crate::state::pages::{Piece, Plan};

pub(crate) fn fetch(visit: &Visit<'_>) -> Answer {
    answer(visit, |cursor, limit, class| {
        visit.simulator.world().plan_fetch(visit.server, cursor, limit, class, &visit.moment)
    })
}

pub(crate) fn sync(visit: &Visit<'_>) -> Answer {
    answer(visit, |cursor, limit, _| {
        visit.simulator.world().plan_sync(visit.server, cursor, limit, &visit.moment)
    })
}

fn answer(
    visit: &Visit<'_>,
    plan: impl Fn(Option<&str>, usize, Class) -> Result<Plan, crate::state::pages::CursorError>,
) -> Answer {
    let (cursor, limit) = request(visit)?;
    let class = Class::of(visit.version);
    let mut plan = plan(cursor.as_deref(), limit, class).map_err(|error| Refusal(400, error.code()))?;
    let mut parts = render(visit, &mut plan, class);
    if let Some(fault) = visit.fault {
        if fault.duplicates > 0 {
            repeat(&mut parts, fault.duplicates);
        }
        if fault.redeliver > 0 {
            let again = visit.simulator.world().rewind(&plan.cursor, fault.redeliver, &visit.moment);
            plan.cursor = again.unwrap_or(plan.cursor);
        }
        if let Some(kind) = fault.same_cursor {
            plan.cursor = cursor.unwrap_or(plan.cursor);
            plan.more = true;
            if kind == SameCursor::WithoutDevices {
                parts.clear();
                plan.devices = 0;
            }
        }
    }
    // Every device ends in a comma; the last one's is cut off.
    if let Some(last) = parts.last_mut() {
        last.truncate(last.len().saturating_sub(1));
    }
    let until = if visit.settings.depsim {
        String::new()
    } else {
        format!(",\"fetched_until\":\"{}\"", time_text(visit.moment.now_ms.div_euclid(1000)))
    };
    let tail = format!("],\"cursor\":\"{}\"{until},\"more_to_follow\":{}}}", plan.cursor, plan.more);
    let mut pieces = Vec::with_capacity(parts.len() + 2);
    pieces.push(Bytes::from_static(b"{\"devices\":["));
    pieces.append(&mut parts);
    pieces.push(Bytes::from(tail));
    Ok(Reply::pieces(pieces).about(plan.devices))
}

/// The cursor and the limit of a request. An empty body counts as an empty object, an empty cursor as none.
fn request(visit: &Visit<'_>) -> Result<(Option<String>, usize), Refusal> {
    let malformed = || Refusal(400, "MALFORMED_REQUEST_BODY");
    let fields: Map<String, Value> = body(visit.ask)?;
    let cursor = match fields.get("cursor") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => return Err(malformed()),
    };
    let settings = visit.settings;
    let limit = match fields.get("limit") {
        None | Some(Value::Null) => settings.default_limit,
        // What Apple makes of zero and less is not known; the default does no harm.
        Some(Value::Number(number)) => match number.as_i64().ok_or_else(malformed)? {
            ..=0 => settings.default_limit,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        },
        Some(_) => return Err(malformed()),
    };
    Ok((cursor, limit.min(settings.max_limit)))
}

/// The devices as JSON, each followed by a comma. No lock is held while they are written.
fn render(visit: &Visit<'_>, plan: &mut Plan, class: Class) -> Vec<Bytes> {
    let profiles = Arc::clone(&plan.profiles);
    let mut parts = Vec::with_capacity(plan.pieces.len());
    for piece in plan.pieces.drain(..) {
        let part = match piece {
            Piece::Ready { rendered, from, to } => rendered.part(from, to),
            Piece::Chunk { chunk, generation, devices, from, to } => {
                let rendered = render_chunk(&devices, class, &profiles);
                let part = rendered.part(from, to);
                visit.simulator.world_mut().keep(visit.server, chunk, class, generation, rendered);
                part
            }
            Piece::Loose(devices) => {
                let mut out = Vec::with_capacity(devices.len() * 480);
                for (device, op) in &devices {
                    render::device(&mut out, device, class, &profiles, *op);
                    out.push(b',');
                }
                Bytes::from(out)
            }
        };
        if !part.is_empty() {
            parts.push(part);
        }
    }
    parts
}

fn render_chunk(devices: &[Option<Device>], class: Class, profiles: &ProfileNames) -> Rendered {
    let mut out = Vec::with_capacity(devices.len() * 480);
    let mut offsets = Vec::with_capacity(devices.len() + 1);
    for device in devices {
        offsets.push(u32::try_from(out.len()).unwrap_or(u32::MAX));
        if let Some(device) = device {
            render::device(&mut out, device, class, profiles, None);
            out.push(b',');
        }
    }
    offsets.push(u32::try_from(out.len()).unwrap_or(u32::MAX));
    out.shrink_to_fit();
    Rendered { bytes: Bytes::from(out), offsets: Arc::from(offsets) }
}

/// Puts the first devices of a page once more at its end. Slow and rare, so it goes by way of JSON.
fn repeat(parts: &mut Vec<Bytes>, count: usize) {
    let mut text = b"[".to_vec();
    parts.iter().for_each(|part| text.extend_from_slice(part));
    text.pop();
    text.push(b']');
    let devices: Vec<Value> = serde_json::from_slice(&text).unwrap_or_default();
    let mut again = Vec::new();
    for device in devices.iter().take(count) {
        again.extend_from_slice(device.to_string().as_bytes());
        again.push(b',');
    }
    if !again.is_empty() {
        parts.push(Bytes::from(again));
    }
}
