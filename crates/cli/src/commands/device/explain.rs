use adelie_model::{AssignState, SerialNumber};
use adelie_store::DeviceView;
use serde_json::json;

use crate::commands::rule::{Told, tell};
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::words::{for_server, minute};

/// Says why a device has the profile it has: what every rule says, what it comes to, and how far that has got.
pub async fn run(context: &Context, serial: &SerialNumber) -> anyhow::Result<Exit> {
    let mut views = context.store.device(serial).await?;
    if views.is_empty() {
        return Err(wrong(
            format!("no MDM server has or had a device with serial number {serial}"),
            format!("`adelie rule test {serial} --server NAME` says what it would get there"),
        ));
    }
    if views.iter().any(|view| view.device.removed_at.is_none()) {
        views.retain(|view| view.device.removed_at.is_none());
    }
    let configuration = context.store.configuration().await?;
    for (index, view) in views.iter().enumerate() {
        let told = Told { configuration: &configuration, device: &view.device, server: &view.server };
        let decided = view.wanted_profile.as_ref().map(ToString::to_string).zip(view.wanted_revision);
        let pending = view.device.removed_at.is_none() && told.given() != decided;
        if context.out.json {
            let mut object = told.object()?;
            let (state, reason) = view.state();
            object["state"] = json!(state);
            object["reason"] = json!(for_server(reason, &view.server));
            object["pending"] = json!(pending);
            object["hold"] = json!(view.device.hold);
            context.out.object(&object)?;
            continue;
        }
        if index > 0 {
            context.out.line("")?;
        }
        tell(context, &told)?;
        if pending {
            let until_now = decided.map_or_else(
                || "nothing".to_owned(),
                |(profile, number)| format!("{profile}, revision {number}"),
            );
            context.out.line(&format!(
                "this is new, and until now it was to have {until_now}; a running service goes on within seconds, \
                 `adelie sync {}` now",
                view.server
            ))?;
            continue;
        }
        for line in standing(view) {
            context.out.line(&line)?;
        }
    }
    Ok(Exit::Done)
}

/// How far the wanted profile has got.
fn standing(view: &DeviceView) -> Vec<String> {
    let device = &view.device;
    let (state, reason) = view.state();
    let mut lines = Vec::new();
    if let Some(removed) = device.removed_at {
        lines.push(format!(
            "it left {} on {}, so that nothing is assigned",
            view.server,
            minute(Some(removed))
        ));
        return lines;
    }
    if let Some(hold) = &device.hold {
        lines.push(format!("but it is {hold}; `adelie assign unhold {}` lets it go", device.serial));
    }
    let shown = device.actual.profile_status.as_ref().map_or("no profile".to_owned(), ToString::to_string);
    lines.push(match state {
        AssignState::Assigned | AssignState::Pushed => format!("Apple shows it: {shown}"),
        _ if reason.is_empty() => format!("Apple shows {shown}; the assignment is {state}"),
        _ => format!("Apple shows {shown}; the assignment is {state}: {}", for_server(reason, &view.server)),
    });
    lines
}
