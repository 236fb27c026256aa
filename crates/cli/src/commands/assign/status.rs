use std::collections::BTreeMap;

use adelie_model::{AssignState, SerialNumber, ServerName, Timestamp};
use adelie_store::{DeviceFilter, MdmServer, StateCount};
use serde_json::{Value, json};

use super::remedy::{Case, Remedy, remedy};
use crate::context::Context;
use crate::exit::Exit;
use crate::health;
use crate::words::{count, for_server, minute, optional_time};

/// Groups of devices that are read; each is a row.
const GROUPS: u32 = 1000;
/// The code of the alert of the removal guard.
const REMOVALS_HELD: &str = "removals_held";

/// Devices of one MDM server that are in the same trouble.
struct Trouble {
    /// A state of assignment, or `removals_held`.
    state: &'static str,
    reason: String,
    /// How many, where it is known.
    devices: Option<u64>,
    next_attempt_at: Option<Timestamp>,
    example: Option<SerialNumber>,
    remedy: Remedy,
}

/// Shows how assignments stand, what is wrong and what to do.
pub async fn run(context: &Context, server: Option<&ServerName>) -> anyhow::Result<Exit> {
    let servers = match server {
        Some(name) => vec![context.server(name).await?],
        None => context.store.servers().await?,
    };
    let only = server.and(servers.first()).map(|server| server.id);
    let counts = context.store.state_counts(only).await?;
    let groups = context.store.troubles(only, GROUPS).await?;
    let whole = groups.len() < GROUPS as usize;
    let mut exit = Exit::Done;
    let mut rows = Vec::new();
    let mut remedies: Vec<String> = Vec::new();
    for server in &servers {
        let states: BTreeMap<&str, u64> = counts
            .iter()
            .filter(|one| one.server == server.id && one.devices > 0)
            .map(|one| (one.state.as_str(), one.devices))
            .collect();
        let mut troubles: Vec<_> = removals(context, server).into_iter().collect();
        for group in groups.iter().filter(|group| group.server == server.id) {
            let case = Case {
                server: &server.name,
                state: group.state,
                reason: &group.reason,
                next_attempt_at: group.next_attempt_at,
                serial: (group.devices == 1).then_some(&group.example),
            };
            let Some(remedy) = remedy(&case) else { continue };
            troubles.push(Trouble {
                state: group.state.as_str(),
                reason: for_server(&group.reason, &server.name),
                devices: Some(group.devices),
                next_attempt_at: group.next_attempt_at,
                example: Some(group.example.clone()),
                remedy,
            });
        }
        troubles.extend(unmatched(context, server, &counts).await?);
        // The groups that are read may not be all; the counts are.
        let counted = counts.iter().any(|one| one.server == server.id && one.need_attention() > 0);
        if counted || troubles.iter().any(|trouble| trouble.remedy.needs_person) {
            exit = Exit::Attention;
        }
        if context.out.json {
            let next = context.store.next_attempt_at(server.id).await?;
            context.out.object(&json!({
                "server": server.name,
                "states": states,
                "troubles": troubles.iter().map(object).collect::<Vec<_>>(),
                "next_attempt_at": optional_time(next),
            }))?;
            continue;
        }
        context.out.line(&totals(server, &states))?;
        for trouble in &troubles {
            let line = format!("{} at {}: {}", trouble.state, server.name, trouble.remedy.text);
            if !remedies.contains(&line) {
                remedies.push(line);
            }
            rows.push(row(server, trouble));
        }
    }
    if !context.out.json {
        if servers.is_empty() {
            context.out.hint("there is no MDM server yet: add one with `adelie server add NAME`")?;
        }
        if !rows.is_empty() {
            context.out.line("")?;
            context.out.table(&["server", "state", "devices", "next attempt", "example", "reason"], rows)?;
            context.out.line("\nwhat to do:")?;
            for remedy in remedies {
                context.out.line(&format!("  {remedy}"))?;
            }
        }
    }
    if !whole {
        context.out.note(&format!("there are more than these {GROUPS} groups: use --server NAME"))?;
    }
    Ok(exit)
}

/// The removal guard, which holds devices that a complete list did not show (field lesson L9).
fn removals(context: &Context, server: &MdmServer) -> Option<Trouble> {
    let alert = health::of(context, server, &[]).into_iter().find(|alert| alert.code == REMOVALS_HELD)?;
    Some(Trouble {
        state: REMOVALS_HELD,
        reason: alert.text,
        devices: alert.devices,
        next_attempt_at: None,
        example: None,
        remedy: Remedy { text: alert.remedy, needs_person: true },
    })
}

/// Devices that no default gives a profile: a state of their own and no failure, so that the store does not list them
/// among the troubles.
async fn unmatched(
    context: &Context,
    server: &MdmServer,
    counts: &[StateCount],
) -> anyhow::Result<Option<Trouble>> {
    let state = AssignState::Unmatched;
    let here = |one: &&StateCount| one.server == server.id && one.state == state && one.devices > 0;
    let Some(count) = counts.iter().find(here) else { return Ok(None) };
    let filter = DeviceFilter { server: Some(server.id), state: Some(state), ..DeviceFilter::default() };
    let example = context.store.devices(&filter, None, 1).await?.into_iter().next();
    let reason = example.as_ref().map(|view| view.state().1.to_owned()).unwrap_or_default();
    let case = Case { server: &server.name, state, reason: &reason, next_attempt_at: None, serial: None };
    Ok(remedy(&case).map(|remedy| Trouble {
        state: state.as_str(),
        reason: for_server(&reason, &server.name),
        devices: Some(count.devices),
        next_attempt_at: None,
        example: example.map(|view| view.device.serial),
        remedy,
    }))
}

fn totals(server: &MdmServer, states: &BTreeMap<&str, u64>) -> String {
    let here: u64 = states.iter().filter(|(state, _)| **state != "removed").map(|(_, devices)| devices).sum();
    let parts: Vec<_> = states.iter().map(|(state, devices)| format!("{devices} {state}")).collect();
    let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    format!("{}: {}{parts}", server.name, count(here, "device", "devices"))
}

fn row(server: &MdmServer, trouble: &Trouble) -> Vec<String> {
    vec![
        server.name.to_string(),
        trouble.state.to_string(),
        trouble.devices.map_or_else(|| "-".to_owned(), |devices| devices.to_string()),
        minute(trouble.next_attempt_at),
        trouble.example.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
        health::fact(&trouble.reason).to_owned(),
    ]
}

fn object(trouble: &Trouble) -> Value {
    json!({
        "state": trouble.state,
        "reason": trouble.reason,
        "devices": trouble.devices,
        "next_attempt_at": optional_time(trouble.next_attempt_at),
        "example": trouble.example,
        "remedy": trouble.remedy.text,
        "needs_person": trouble.remedy.needs_person,
    })
}
