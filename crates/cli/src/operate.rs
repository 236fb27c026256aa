//! What an operator does to devices by hand: finding out where they are, doing it in batches, telling what came of it.

use std::collections::BTreeMap;

use adelie_model::{SerialNumber, ServerId, ServerName};
use adelie_store::page::{Action, Operated, Outcome};
use adelie_store::{NewBulkChange, Reverse, Undo};
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::words::{count, for_server};

/// Devices per transaction.
pub const BATCH: usize = 1000;
/// Lines that are printed before a summary takes their place.
const LINES: usize = 20;

/// A serial number at an MDM server; without one nobody here knows it.
#[derive(Clone, Debug)]
pub struct Place {
    pub serial: SerialNumber,
    pub server: Option<(ServerId, ServerName)>,
}

/// What came of it at one place.
pub struct Done {
    pub place: Place,
    pub outcome: Outcome,
    /// What there is to say about it when it is done.
    pub remark: Option<String>,
}

/// Where the devices are: at `server`, or at every MDM server that has them now, else where they were last.
pub async fn places(
    context: &Context,
    serials: &[SerialNumber],
    server: Option<&ServerName>,
) -> anyhow::Result<Vec<Place>> {
    if let Some(name) = server {
        let server = context.server(name).await?;
        let at = |serial: &SerialNumber| Place {
            serial: serial.clone(),
            server: Some((server.id, server.name.clone())),
        };
        return Ok(serials.iter().map(at).collect());
    }
    let mut places = Vec::with_capacity(serials.len());
    let found = context.store.find(serials).await?;
    for serial in serials {
        let mut views = found.get(serial).cloned().unwrap_or_default();
        if views.iter().any(|view| view.device.removed_at.is_none()) {
            views.retain(|view| view.device.removed_at.is_none());
        }
        if views.is_empty() {
            places.push(Place { serial: serial.clone(), server: None });
        }
        places.extend(
            views.into_iter().map(|view| Place {
                serial: serial.clone(),
                server: Some((view.device.server, view.server)),
            }),
        );
    }
    Ok(places)
}

/// Does it at every place. One answer for each, in their order.
pub async fn at(context: &Context, places: Vec<Place>, action: &Action) -> anyhow::Result<Vec<Done>> {
    let mut by_server: BTreeMap<ServerId, Vec<SerialNumber>> = BTreeMap::new();
    for place in &places {
        if let Some((server, _)) = &place.server {
            by_server.entry(*server).or_default().push(place.serial.clone());
        }
    }
    let mut outcomes: BTreeMap<(ServerId, SerialNumber), Outcome> = BTreeMap::new();
    for (server, serials) in by_server {
        for batch in serials.chunks(BATCH) {
            let operated = context.store.operate(server, batch, action, &context.operator()).await?;
            outcomes
                .extend(operated.into_iter().map(|Operated { serial, outcome }| ((server, serial), outcome)));
        }
    }
    Ok(places
        .into_iter()
        .map(|place| {
            let key = place.server.as_ref().map(|(server, _)| (*server, place.serial.clone()));
            let outcome = key.and_then(|key| outcomes.remove(&key)).unwrap_or(Outcome::Unknown);
            Done { place, outcome, remark: None }
        })
        .collect())
}

/// Keeps how a change is undone, before it is made: to undo what was not done does nothing, and what was done can always
/// be undone. `what` has been done to the devices of `undo`, like `held`. Says whether there is anything to undo.
pub async fn keep_undo(context: &Context, what: &str, undo: Vec<Undo>) -> anyhow::Result<bool> {
    let devices: usize = undo.iter().map(|undo| undo.serials.len()).sum();
    if devices > 0 {
        let what = format!("{} {what}", count(devices as u64, "device", "devices"));
        context.store.note_bulk(&NewBulkChange { what, undo }, &context.operator()).await?;
    }
    Ok(devices > 0)
}

/// What undoes a change of devices, for each MDM server.
pub fn undo<'p>(places: impl Iterator<Item = &'p Place>, by: &Reverse) -> Vec<Undo> {
    let mut by_server: BTreeMap<ServerId, Vec<SerialNumber>> = BTreeMap::new();
    for place in places {
        if let Some((server, _)) = &place.server {
            by_server.entry(*server).or_default().push(place.serial.clone());
        }
    }
    by_server.into_iter().map(|(server, serials)| Undo { server, serials, by: by.clone() }).collect()
}

/// Tells what came of it; `word` is what has been done, like `held`. Attention where it was refused or not known.
pub fn tell(context: &Context, all: &[Done], word: &str) -> anyhow::Result<Exit> {
    let bad = |done: &&Done| matches!(done.outcome, Outcome::Refused(_) | Outcome::Unknown);
    let exit = if all.iter().any(|done| bad(&done)) { Exit::Attention } else { Exit::Done };
    if context.out.json {
        for done in all {
            context.out.object(&object(done))?;
        }
        return Ok(exit);
    }
    let short = all.len() <= LINES;
    for done in all.iter().filter(|done| short || bad(done)) {
        context.out.line(&line(done, word))?;
    }
    if !short {
        let number =
            |wanted: fn(&Outcome) -> bool| all.iter().filter(|done| wanted(&done.outcome)).count() as u64;
        let mut parts = vec![format!(
            "{} {word}",
            count(number(|outcome| matches!(outcome, Outcome::Done)), "device", "devices")
        )];
        for (devices, what) in [
            (number(|outcome| matches!(outcome, Outcome::Unchanged(_))), "needed nothing"),
            (number(|outcome| matches!(outcome, Outcome::Refused(_))), "refused"),
            (number(|outcome| matches!(outcome, Outcome::Unknown)), "unknown"),
        ] {
            if devices > 0 {
                parts.push(format!("{devices} {what}"));
            }
        }
        context.out.line(&parts.join(", "))?;
    }
    Ok(exit)
}

fn line(done: &Done, word: &str) -> String {
    let at = done.place.server.as_ref().map(|(_, name)| format!(" at {name}")).unwrap_or_default();
    let what = match &done.outcome {
        Outcome::Done => match &done.remark {
            Some(remark) => format!("{word}, {remark}"),
            None => word.to_owned(),
        },
        Outcome::Unchanged(why) => format!("nothing to do: {why}"),
        Outcome::Refused(why) => format!("refused: {}", at_its_server(done, why)),
        Outcome::Unknown => "unknown here".to_owned(),
    };
    format!("{}{at}: {what}", done.place.serial)
}

fn at_its_server(done: &Done, why: &str) -> String {
    done.place.server.as_ref().map_or_else(|| why.to_owned(), |(_, name)| for_server(why, name))
}

fn object(done: &Done) -> serde_json::Value {
    let (outcome, reason) = match &done.outcome {
        Outcome::Done => ("done", done.remark.clone()),
        Outcome::Unchanged(why) => ("unchanged", Some((*why).to_owned())),
        Outcome::Refused(why) => ("refused", Some(at_its_server(done, why))),
        Outcome::Unknown => ("unknown", Some("nothing is stored of this serial number".to_owned())),
    };
    json!({
        "serial": done.place.serial,
        "server": done.place.server.as_ref().map(|(_, name)| name),
        "outcome": outcome,
        "reason": reason,
    })
}
