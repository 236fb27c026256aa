use adelie_model::{EventId, SerialNumber, ServerId, ServerName};
use adelie_store::StoredEvent;
use serde_json::json;

use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::happened;
use crate::words::time;

/// Events per query.
const PAGE: u32 = 1000;
/// Rows of a table unless told otherwise.
const SHOWN: u64 = 50;

/// Shows Apple's events and our actions on one timeline, newest first.
pub async fn run(
    context: &Context,
    serial: &SerialNumber,
    server: Option<&ServerName>,
    limit: Option<u64>,
) -> anyhow::Result<Exit> {
    let servers = at(context, serial, server).await?;
    let most = limit.unwrap_or(if context.out.json { u64::MAX } else { SHOWN });
    let mut events: Vec<(StoredEvent, &ServerName)> = Vec::new();
    for (id, name) in &servers {
        let found = of_server(context, *id, serial, most.saturating_add(1)).await?;
        events.extend(found.into_iter().map(|event| (event, name)));
    }
    if events.is_empty() {
        return Err(wrong(
            format!("nothing is known of a device with serial number {serial}"),
            "check the serial number; a device that Apple has just been given appears with the next sync",
        ));
    }
    events.sort_by_key(|(event, _)| std::cmp::Reverse(event.id));
    let more = events.len() as u64 > most;
    events.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    let (bare, names): (Vec<_>, Vec<_>) = events.into_iter().unzip();
    let profiles = happened::Profiles::of(context, &bare).await?;
    let mut rows = Vec::new();
    for (event, name) in bare.iter().zip(names) {
        let words = happened::words(event, &profiles);
        if context.out.json {
            context.out.object(&json!({
                "id": event.id,
                "at": time(event.at),
                "server": name,
                "serial": serial,
                "kind": event.kind,
                "text": words,
                "run": event.run,
                "data": event.data,
            }))?;
        } else {
            rows.push(vec![event.at.format("%F %T UTC").to_string(), name.to_string(), words]);
        }
    }
    if !context.out.json {
        context.out.table(&["time", "server", "what happened"], rows)?;
        if more && limit.is_none() {
            context.out.note(&format!("there is more than these {SHOWN}: use --limit or --json"))?;
        }
    }
    Ok(Exit::Done)
}

/// The MDM servers to look at: the one named, those that have or had the device, else all, because events outlast
/// the device.
async fn at(
    context: &Context,
    serial: &SerialNumber,
    server: Option<&ServerName>,
) -> anyhow::Result<Vec<(ServerId, ServerName)>> {
    if let Some(name) = server {
        let server = context.server(name).await?;
        return Ok(vec![(server.id, server.name)]);
    }
    let views = context.store.device(serial).await?;
    if !views.is_empty() {
        return Ok(views.into_iter().map(|view| (view.device.server, view.server)).collect());
    }
    Ok(context.store.servers().await?.into_iter().map(|server| (server.id, server.name)).collect())
}

async fn of_server(
    context: &Context,
    server: ServerId,
    serial: &SerialNumber,
    most: u64,
) -> anyhow::Result<Vec<StoredEvent>> {
    let mut all: Vec<StoredEvent> = Vec::new();
    let mut before: Option<EventId> = None;
    while (all.len() as u64) < most {
        let left = most - all.len() as u64;
        let limit = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = context.store.device_events(server, serial, before, limit).await?;
        before = page.last().map(|event| event.id);
        let whole = page.len() == limit as usize;
        all.extend(page);
        if !whole {
            break;
        }
    }
    Ok(all)
}
