//! What happened: read back, followed, explained.

mod follow;
mod list;
mod schema;
mod show;
mod types;

use std::collections::BTreeMap;

use adelie_model::{EventId, ServerId, ServerName};
use adelie_store::event::{event_type, public_id};
use adelie_store::{EventFilter, StoredEvent};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::args::{Events, Which};
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::happened::{self, Profiles};
use crate::output::Output;
use crate::words::time;

/// Runs a command that needs no database.
pub fn explain(out: Output, command: &Events) -> Option<anyhow::Result<Exit>> {
    match command {
        Events::Types => Some(types::run(out)),
        Events::Schema => Some(schema::run(out)),
        Events::List { .. } | Events::Follow { .. } | Events::Show { .. } => None,
    }
}

pub async fn run(context: Context, command: Events) -> anyhow::Result<Exit> {
    match command {
        Events::List { which, limit } => list::run(&context, &which, limit).await,
        Events::Follow { which } => follow::run(&context, &which).await,
        Events::Show { id } => show::run(&context, &id).await,
        Events::Types => types::run(context.out),
        Events::Schema => schema::run(context.out),
    }
}

/// What the options mean for the store.
async fn filter(context: &Context, which: &Which) -> anyhow::Result<EventFilter> {
    for kind in &which.kinds {
        known_pattern(kind)?;
    }
    let server = match &which.server {
        Some(name) => Some(context.server(name).await?.id),
        None => None,
    };
    let since = which.since.map(|since| since.moment(context.clock.now()));
    Ok(EventFilter { kinds: which.kinds.clone(), server, serial: which.serial.clone(), since })
}

/// A pattern must match some type, or it is a mistake that would show as nothing at all.
pub fn known_pattern(text: &str) -> anyhow::Result<()> {
    let pattern: adelie_webhook::EventPattern =
        text.parse().map_err(|error: adelie_webhook::PatternError| crate::exit::as_wrong(&error))?;
    if adelie_store::event::TYPES.iter().any(|known| pattern.matches(known.name)) {
        return Ok(());
    }
    Err(wrong(format!("no type of event matches {text:?}"), "`adelie events types` lists the types"))
}

/// The number in an event's id, or a number by itself.
pub async fn number(context: &Context, text: &str) -> anyhow::Result<EventId> {
    let installation = context.store.installation().await?;
    let number = text.rsplit('_').next().and_then(|number| number.parse().ok()).map(EventId);
    match number {
        Some(id) if text == id.to_string() || text == public_id(installation, id) => Ok(id),
        Some(id) if text.starts_with("evt_") => Err(wrong(
            format!(
                "event {text} is not of this database, whose ids look like {}",
                public_id(installation, id)
            ),
            "check --data-dir and --database",
        )),
        _ => Err(wrong(
            format!("{text:?} is no id of an event"),
            "it looks like evt_1f00c0ffee12_42; `adelie events list --json` shows ids",
        )),
    }
}

/// What it takes to tell of events.
struct Telling {
    installation: Uuid,
    servers: BTreeMap<ServerId, ServerName>,
}

impl Telling {
    async fn new(context: &Context) -> anyhow::Result<Self> {
        let servers = context.store.servers().await?;
        let servers = servers.into_iter().map(|server| (server.id, server.name)).collect();
        Ok(Self { installation: context.store.installation().await?, servers })
    }

    /// An event as JSON has it.
    fn object(&self, event: &StoredEvent, profiles: &Profiles) -> Value {
        json!({
            "id": public_id(self.installation, event.id),
            "type": event.kind,
            "severity": event_type(&event.kind).map(|known| known.severity),
            "at": time(event.at),
            "server": self.server(event),
            "serial_number": event.serial,
            "text": happened::words(event, profiles),
            "data": event.data,
        })
    }

    /// An event as a row of a table: time, severity, server, device, type, words.
    fn row(&self, event: &StoredEvent, profiles: &Profiles) -> Vec<String> {
        let several = event.data["serial_numbers"].as_array().map_or(0, Vec::len) as u64;
        let about = match &event.serial {
            Some(serial) => serial.to_string(),
            None if several > 0 => crate::words::count(several, "device", "devices"),
            None => "-".to_owned(),
        };
        vec![
            event.at.format("%F %T UTC").to_string(),
            event_type(&event.kind).map_or("-", |known| known.severity.as_str()).to_owned(),
            event.kind.clone(),
            self.server(event).map_or_else(|| "-".to_owned(), ToString::to_string),
            about,
            happened::words(event, profiles),
        ]
    }

    fn server(&self, event: &StoredEvent) -> Option<&ServerName> {
        event.server.and_then(|id| self.servers.get(&id))
    }
}

const HEADER: [&str; 6] = ["time", "severity", "type", "server", "device", "what happened"];
