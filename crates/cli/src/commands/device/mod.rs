mod explain;

mod history;
mod list;
mod ready;
mod refresh;
mod show;
mod tag;
mod undo;

use adelie_model::ServerName;
use adelie_store::DeviceView;
use adelie_store::page::{Action, Outcome};
use serde_json::{Value, json};

use crate::args::{Device, Serials};
use crate::context::Context;
use crate::exit::Exit;
use crate::operate;
use crate::serials;
use crate::words::{for_server, optional_time, time};

pub async fn run(context: Context, command: Device) -> anyhow::Result<Exit> {
    match command {
        Device::List { matching, limit, csv } => list::run(&context, *matching, limit, csv).await,
        Device::Explain { serial } => explain::run(&context, &serial).await,
        Device::Tag { devices, matching, filter, add, remove } => {
            tag::run(&context, tag::Named { devices, matching, filter: *filter }, add, remove).await
        }
        Device::Undo => undo::run(&context).await,
        Device::Show { serial } => show::run(&context, &serial).await,
        Device::History { serial, server, limit } => {
            history::run(&context, &serial, server.as_ref(), limit).await
        }
        Device::Ready { devices } => ready::run(&context, &devices).await,
        Device::Refresh { devices, server } => refresh::run(&context, &devices, server.as_ref()).await,
        Device::Delete { devices, server } => delete(&context, &devices, server.as_ref()).await,
    }
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
        "tags": device.tags,
        "wanted_profile": view.wanted_profile,
        "wanted_revision": view.wanted_revision,
        "wanted_by_rule": view.wanted_by,
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
