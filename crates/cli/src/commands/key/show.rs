use std::collections::BTreeMap;

use adelie_store::seal::{StoredDataKey, reseal};
use adelie_store::{MasterKeys, SealError, Vault};
use serde_json::{Value, json};

use crate::context::Context;
use crate::exit::Exit;
use crate::master_keys::Place;
use crate::words::{count, minute, optional_time, time};

/// Shows what there is, whether or not it fits together: that is when it is looked at.
pub async fn run(context: &Context) -> anyhow::Result<Exit> {
    let (out, stored) = (context.out, context.store.data_keys().await?);
    let counts = reseal::counts(&*context.store).await?;
    let place = Place::in_use(&context.settings);
    let problem = fits(&place, &stored).err();
    let newest = stored.last().map_or(0, |key| key.version);
    if out.json {
        out.object(&object(context, &stored, &counts, problem.as_ref()))?;
    } else {
        for (number, place) in Place::all(&context.settings).iter().enumerate() {
            let used = if number == 0 { "" } else { " (not used, because another place comes first)" };
            // What is wrong with the place that counts is told at the end.
            if let Ok(Some(keys)) = place.read() {
                out.line(&format!("master keys in {place}{used}: {}", keys.ids().join(", ")))?;
            }
        }
        let header = ["data key", "under master key", "made", "secrets", "state"];
        out.table(&header, rows(&stored, &counts, newest))?;
    }
    if let Some(problem) = problem {
        out.warn(&problem.to_string())?;
        return Ok(Exit::Attention);
    }
    let old: u64 = counts.iter().filter(|(version, _)| **version != newest).map(|(_, count)| count).sum();
    if old > 0 {
        let secrets = count(old, "secret is", "secrets are");
        out.warn(&format!("{secrets} not sealed under the newest data key"))?;
        out.hint("`adelie key rotate` seals everything under one data key")?;
    }
    let needed: Vec<String> = stored.iter().map(StoredDataKey::master_id).collect();
    let ids = place.read().ok().flatten().map(|keys| keys.ids()).unwrap_or_default();
    let idle: Vec<String> = ids.into_iter().filter(|id| !needed.contains(id)).collect();
    if !idle.is_empty() {
        out.note(&format!("nothing is sealed under {} in {place}", idle.join(", ")))?;
    }
    Ok(Exit::Done)
}

fn object(
    context: &Context,
    stored: &[StoredDataKey],
    counts: &BTreeMap<u32, u64>,
    problem: Option<&SealError>,
) -> Value {
    let place = |(number, place): (usize, &Place)| {
        let keys = place.read();
        let ids = keys.as_ref().map_or(None, |keys| keys.as_ref().map(MasterKeys::ids));
        let problem = keys.err().map(|error| error.to_string());
        json!({ "place": place.to_string(), "used": number == 0, "master_keys": ids, "problem": problem })
    };
    let data_key = |key: &StoredDataKey| {
        json!({
            "version": key.version,
            "master_key": key.master_id(),
            "created_at": time(key.created_at),
            "completed_at": optional_time(key.completed_at),
            "unused_since": optional_time(key.retired_at),
            "secrets": counts.get(&key.version).copied().unwrap_or(0),
        })
    };
    json!({
        "places": Place::all(&context.settings).iter().enumerate().map(place).collect::<Vec<_>>(),
        "problem": problem.map(ToString::to_string),
        "data_keys": stored.iter().map(data_key).collect::<Vec<_>>(),
        "damaged_secrets": counts.get(&0).copied().unwrap_or(0),
    })
}

/// Whether the keys of this place open all data keys.
fn fits(place: &Place, stored: &[StoredDataKey]) -> Result<Vault, SealError> {
    Vault::open(&place.keys_for(stored)?, stored)
}

fn rows(stored: &[StoredDataKey], counts: &BTreeMap<u32, u64>, newest: u32) -> Vec<Vec<String>> {
    let row = |key: &StoredDataKey| {
        let state = match (key.completed_at, key.retired_at) {
            _ if key.version == newest && key.completed_at.is_none() => {
                "seals; older secrets still wait".to_owned()
            }
            _ if key.version == newest => "seals".to_owned(),
            (_, Some(since)) => format!("unused since {}; kept for a day", minute(Some(since))),
            (_, None) => "opens only".to_owned(),
        };
        vec![
            key.version.to_string(),
            key.master_id(),
            minute(Some(key.created_at)),
            counts.get(&key.version).copied().unwrap_or(0).to_string(),
            state,
        ]
    };
    let mut rows: Vec<_> = stored.iter().map(row).collect();
    if let Some(never) = counts.get(&0) {
        let damaged = "damaged: nothing that was ever sealed".to_owned();
        rows.push(vec!["-".to_owned(), "-".to_owned(), "-".to_owned(), never.to_string(), damaged]);
    }
    rows
}
