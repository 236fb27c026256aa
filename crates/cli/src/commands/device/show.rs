use adelie_model::SerialNumber;
use adelie_store::DeviceView;

use super::{object, refresh};
use crate::commands::assign::{Case, remedy};
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::happened;
use crate::words::{for_server, minute};

/// Lines of history that are shown.
const LINES: u32 = 3;

/// Shows a serial number at every MDM server that has or had it.
pub async fn run(context: &Context, serial: &SerialNumber) -> anyhow::Result<Exit> {
    let views = context.store.device(serial).await?;
    if views.is_empty() {
        return Err(wrong(
            format!("no MDM server has or had a device with serial number {serial}"),
            "check the serial number; a device that Apple has just been given appears with the next sync",
        ));
    }
    let names =
        if context.out.json { refresh::Names::new() } else { refresh::profile_names(context).await? };
    for (index, view) in views.iter().enumerate() {
        if context.out.json {
            context.out.object(&object(view))?;
            continue;
        }
        if index > 0 {
            context.out.line("")?;
        }
        facts(context, view, &names)?;
        recently(context, view).await?;
    }
    Ok(Exit::Done)
}

/// What happened last.
async fn recently(context: &Context, view: &DeviceView) -> anyhow::Result<()> {
    let device = &view.device;
    let events = context.store.device_events(device.server, &device.serial, None, LINES).await?;
    if events.is_empty() {
        return Ok(());
    }
    let profiles = happened::Profiles::of(context, &events).await?;
    context.out.line("\nlately (all of it: `adelie device history`)")?;
    let rows = events.iter().map(|event| vec![minute(Some(event.at)), happened::words(event, &profiles)]);
    context.out.table(&["time", "what happened"], rows.collect())
}

fn facts(context: &Context, view: &DeviceView, names: &refresh::Names) -> anyhow::Result<()> {
    let (device, actual) = (&view.device, &view.device.actual);
    let (state, reason) = view.state();
    let next_attempt_at = device.assignment.next_attempt_at;
    let case = Case { server: &view.server, state, reason, next_attempt_at, serial: Some(&device.serial) };
    let text = |fact: &Option<String>| fact.clone().unwrap_or_default();
    let optional_minute = |at: Option<_>| at.map(|at| minute(Some(at))).unwrap_or_default();
    let status = actual.profile_status.as_ref().map(|status| status.to_string()).unwrap_or_default();
    let shown = match &actual.profile_uuid {
        Some(uuid) => {
            let uuid = uuid.as_str().to_owned();
            match names.get(&(device.server, uuid.clone())) {
                Some(name) => format!("{status} {name} ({uuid})"),
                None => format!("{status} {uuid}"),
            }
        }
        None => status,
    };
    context.out.facts(&[
        ("serial number", device.serial.to_string()),
        ("server", view.server.to_string()),
        ("model", text(&actual.model)),
        ("description", text(&actual.description)),
        ("colour", text(&actual.color)),
        ("asset tag", text(&actual.asset_tag)),
        ("family", actual.device_family.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("os", text(&actual.os)),
        (
            "wanted profile",
            match (&view.wanted_profile, view.wanted_revision) {
                (Some(profile), Some(revision)) => format!("{profile}, revision {revision}"),
                (Some(profile), None) => profile.to_string(),
                (None, _) => "none".to_owned(),
            },
        ),
        ("by rule", view.wanted_by.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("tags", device.tags.join(", ")),
        (if device.removed_at.is_none() { "at Apple" } else { "last seen as" }, shown),
        ("assigned at", optional_minute(actual.profile_assign_time)),
        ("fetched at", optional_minute(actual.profile_push_time)),
        ("state", state.to_string()),
        ("reason", for_server(reason, &view.server)),
        (
            "attempts",
            if device.assignment.attempts == 0 {
                String::new()
            } else {
                device.assignment.attempts.to_string()
            },
        ),
        ("next attempt", optional_minute(device.assignment.next_attempt_at)),
        ("what to do", remedy(&case).map(|remedy| remedy.text).unwrap_or_default()),
        ("given to the MDM server by", text(&actual.device_assigned_by)),
        ("given to it at", optional_minute(actual.device_assigned_date)),
        ("migration deadline", optional_minute(actual.mdm_migration_deadline)),
        ("first seen", minute(Some(device.first_seen_at))),
        ("last seen", minute(Some(device.last_seen_at))),
        ("removed", optional_minute(device.removed_at)),
    ])
}
