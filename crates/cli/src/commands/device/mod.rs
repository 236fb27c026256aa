mod happened;
mod history;
mod ready;
mod refresh;
mod show;

use adelie_model::ServerName;
use adelie_store::page::{Action, Outcome};
use adelie_store::{DeviceFilter, DevicePosition, DeviceView};
use serde_json::{Value, json};

use crate::args::{Device, Serials};
use crate::context::Context;
use crate::exit::Exit;
use crate::operate;
use crate::serials;
use crate::words::{for_server, optional_time, time};

/// Devices per query.
const PAGE: u64 = 1000;
/// Rows of a table unless told otherwise.
const SHOWN: u64 = 100;

pub async fn run(context: Context, command: Device) -> anyhow::Result<Exit> {
    match command {
        Device::List { server, family, state, query, limit } => {
            let server = match server {
                Some(name) => Some(context.server(&name).await?.id),
                None => None,
            };
            let filter = DeviceFilter { server, family, state, query, ..DeviceFilter::default() };
            list(&context, &filter, limit).await
        }
        Device::Show { serial } => show::run(&context, &serial).await,
        Device::History { serial, server, limit } => {
            history::run(&context, &serial, server.as_ref(), limit).await
        }
        Device::Ready { devices } => ready::run(&context, &devices).await,
        Device::Refresh { devices, server } => refresh::run(&context, &devices, server.as_ref()).await,
        Device::Delete { devices, server } => delete(&context, &devices, server.as_ref()).await,
    }
}

async fn list(context: &Context, filter: &DeviceFilter, limit: Option<u64>) -> anyhow::Result<Exit> {
    let mut left = limit.unwrap_or(if context.out.json { u64::MAX } else { SHOWN });
    let mut after: Option<DevicePosition> = None;
    let mut rows = Vec::new();
    while left > 0 {
        // A table asks for one more than it shows, to know whether there are more.
        let size = PAGE.min(left.saturating_add(1));
        let page = context.store.devices(filter, after.as_ref(), u32::try_from(size)?).await?;
        let whole = page.len() as u64 == size;
        for view in page.iter().take(usize::try_from(left.min(PAGE))?) {
            if context.out.json {
                context.out.object(&object(view))?;
            } else {
                rows.push(row(view));
            }
        }
        let more = page.len() as u64 > left;
        left = left.saturating_sub(page.len() as u64);
        if left == 0 && more && limit.is_none() {
            context.out.note(&format!(
                "there are more than these {SHOWN}: narrow the list, or use --limit or --json"
            ))?;
        }
        match page.last() {
            Some(last) if whole => {
                after =
                    Some(DevicePosition { server: last.device.server, serial: last.device.serial.clone() });
            }
            _ => break,
        }
    }
    if !context.out.json {
        if rows.is_empty() {
            context.out.note("no device matches")?;
        } else {
            context.out.table(
                &[
                    "serial number",
                    "server",
                    "family",
                    "model",
                    "os",
                    "profile",
                    "at apple",
                    "state",
                    "reason",
                ],
                rows,
            )?;
        }
    }
    Ok(Exit::Done)
}

fn row(view: &DeviceView) -> Vec<String> {
    let actual = &view.device.actual;
    let (state, reason) = view.state();
    let text = |fact: Option<&str>| fact.unwrap_or("-").to_owned();
    // A settled device needs no explanation in a table.
    let reason = if matches!(state, adelie_model::AssignState::Assigned | adelie_model::AssignState::Pushed) {
        ""
    } else {
        reason
    };
    vec![
        view.device.serial.to_string(),
        view.server.to_string(),
        text(actual.device_family.as_ref().map(|family| family.as_str())),
        text(actual.model.as_deref()),
        text(actual.os.as_deref()),
        text(view.wanted_profile.as_ref().map(|name| name.as_str())),
        text(actual.profile_status.as_ref().map(|status| status.as_str())),
        state.to_string(),
        for_server(reason, &view.server),
    ]
}

/// A device as an object, wherever it is shown.
pub fn object(view: &DeviceView) -> Value {
    let (device, actual) = (&view.device, &view.device.actual);
    let (state, reason) = view.state();
    json!({
        "serial_number": device.serial,
        "server": view.server,
        "device_family": actual.device_family,
        "model": actual.model,
        "description": actual.description,
        "color": actual.color,
        "asset_tag": actual.asset_tag,
        "os": actual.os,
        "wanted_profile": view.wanted_profile,
        "profile_uuid": actual.profile_uuid,
        "profile_status": actual.profile_status,
        "profile_assign_time": optional_time(actual.profile_assign_time),
        "profile_push_time": optional_time(actual.profile_push_time),
        "device_assigned_by": actual.device_assigned_by,
        "device_assigned_date": optional_time(actual.device_assigned_date),
        "mdm_migration_deadline": optional_time(actual.mdm_migration_deadline),
        "assignment": {
            "state": state,
            "reason": for_server(reason, &view.server),
            "attempts": device.assignment.attempts,
            "next_attempt_at": optional_time(device.assignment.next_attempt_at),
        },
        "hold": device.hold,
        "first_seen_at": time(device.first_seen_at),
        "last_seen_at": time(device.last_seen_at),
        "removed_at": optional_time(device.removed_at),
        "extra": actual.extra,
    })
}

/// Puts devices away as if they had left.
async fn delete(context: &Context, devices: &Serials, server: Option<&ServerName>) -> anyhow::Result<Exit> {
    let places = operate::places(context, &serials::required(devices)?, server).await?;
    let done = operate::at(context, places, &Action::Archive).await?;
    let exit = operate::tell(context, &done, "put away")?;
    if !context.out.json && done.iter().any(|one| one.outcome == Outcome::Done) {
        context.out.note(
            "a full sync brings back what Apple still lists; release it in the portal to be rid of it",
        )?;
    }
    Ok(exit)
}
