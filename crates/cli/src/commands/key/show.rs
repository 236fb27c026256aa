use std::collections::BTreeMap;

use adelie_store::seal::{StoredDataKey, reseal};
use adelie_store::{MasterKeys, SealError, Vault};
use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::master_keys::Place;
use crate::words::{count, minute, optional_time, time};

/// Shows what there is, whether or not it fits together: that is when it is looked at.
pub async fn run(context: &Context) -> anyhow::Result<Exit> {
    let (out, stored) = (context.out, context.store.data_keys().await?);
    let counts = reseal::counts(&*context.store).await?;
    let places = Place::all(&context.settings);
    let read: Vec<_> = places.iter().map(|place| (place, place.read())).collect();
    let (in_use, keys) = read.first().map_or((None, None), |(place, keys)| (Some(place), keys.as_ref().ok()));
    let problem = in_use.and_then(|place| fits(place, &stored).err());
    let newest = stored.last().map_or(0, |key| key.version);
    let old: u64 = counts.iter().filter(|(version, _)| **version != newest).map(|(_, count)| count).sum();

    if out.json {
        out.object(&json!({
            "places": read.iter().enumerate().filter(|(_, (_, keys))| !matches!(keys, Ok(None))).map(|(number, (place, keys))| json!({
                "place": place.to_string(),
                "used": number == 0,
                "master_keys": keys.as_ref().ok().and_then(Option::as_ref).map(MasterKeys::ids),
                "problem": keys.as_ref().err().map(ToString::to_string),
            })).collect::<Vec<_>>(),
            "problem": problem.as_ref().map(ToString::to_string),
            "data_keys": stored.iter().map(|key| json!({
                "version": key.version,
                "master_key": key.master_id(),
                "created_at": time(key.created_at),
                "completed_at": optional_time(key.completed_at),
                "unused_since": optional_time(key.retired_at),
                "secrets": counts.get(&key.version).copied().unwrap_or(0),
            })).collect::<Vec<_>>(),
            "secrets_under_older_keys": old,
        }))?;
    } else {
        for (number, (place, keys)) in read.iter().enumerate() {
            let said = match keys {
                Ok(Some(keys)) => keys.ids().join(", "),
                // The place that counts is told of by its problem.
                Ok(None) => continue,
                Err(error) => error.to_string(),
            };
            let used = if number == 0 { "" } else { " (not used, because another place comes first)" };
            out.line(&format!("master keys in {place}{used}: {said}"))?;
        }
        out.table(
            &["data key", "under master key", "made", "secrets", "state"],
            rows(&stored, &counts, newest),
        )?;
    }
    if let Some(problem) = problem {
        out.warn(&problem.to_string())?;
        return Ok(Exit::Attention);
    }
    if old > 0 {
        let secrets = count(old, "secret is", "secrets are");
        out.warn(&format!("{secrets} not sealed under the newest data key"))?;
        out.hint("`adelie key rotate` seals everything under one data key")?;
    }
    let needed: Vec<String> = stored.iter().map(StoredDataKey::master_id).collect();
    let ids = keys.and_then(Option::as_ref).map(MasterKeys::ids).unwrap_or_default();
    let idle: Vec<String> = ids.into_iter().filter(|id| !needed.contains(id)).collect();
    if let (false, Some(place)) = (idle.is_empty(), in_use) {
        out.note(&format!("nothing is sealed under {} in {place}", idle.join(", ")))?;
    }
    Ok(Exit::Done)
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
