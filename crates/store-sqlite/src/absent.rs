//! Devices that have left: those that a complete listing did not show, and how they become tombstones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use adelie_model::{AssignState, RunId, SerialNumber, ServerId, Timestamp};
use adelie_store::event::{DeviceRemoved, NewEvent};
use adelie_store::page;
use sqlx::SqliteConnection;

use crate::batch;
use crate::failure::Attempt;

/// How far the absent of each MDM server have been removed, so that a batch need not walk again over all the
/// devices before it. A hint only: who finds nothing behind it looks from the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sweeps(Arc<Mutex<HashMap<ServerId, (RunId, SerialNumber)>>>);

impl Sweeps {
    pub(crate) fn after(&self, server: ServerId, generation: RunId) -> String {
        let sweeps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match sweeps.get(&server) {
            Some((of, serial)) if *of == generation => serial.as_str().to_owned(),
            _ => String::new(),
        }
    }

    pub(crate) fn reached(&self, server: ServerId, generation: RunId, serial: Option<&SerialNumber>) {
        let mut sweeps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match serial {
            Some(serial) => sweeps.insert(server, (generation, serial.clone())),
            None => sweeps.remove(&server),
        };
    }
}

/// Up to `limit` devices behind `after` that the generation has not seen.
pub(crate) async fn batch(
    transaction: &mut SqliteConnection,
    server: ServerId,
    generation: RunId,
    after: &str,
    limit: u32,
) -> Attempt<Vec<SerialNumber>> {
    let serials: Vec<String> = sqlx::query_scalar(
        "-- absent_batch
         SELECT serial FROM devices
         WHERE server_id = ?1 AND serial > ?2 AND removed_at IS NULL AND seen_run < ?3
         ORDER BY serial LIMIT ?4",
    )
    .bind(server.0)
    .bind(after)
    .bind(generation.0)
    .bind(limit)
    .fetch_all(transaction)
    .await?;
    Ok(serials.into_iter().map(SerialNumber::from_apple).collect())
}

/// Makes those of these devices that are there tombstones, with their events. Returns how many were.
pub(crate) async fn remove(
    transaction: &mut SqliteConnection,
    server: ServerId,
    serials: &[SerialNumber],
    reason: &'static str,
    run: Option<RunId>,
    now: Timestamp,
) -> Attempt<u64> {
    if serials.is_empty() {
        return Ok(0);
    }
    let mut devices: Vec<_> = batch::load(transaction, server, serials).await?.into_values().collect();
    devices.retain(|device| device.removed_at.is_none());
    devices.sort_unstable_by(|a, b| a.serial.cmp(&b.serial));
    let event = |was: AssignState, serial| {
        let details = DeviceRemoved { was: Some(was.as_str()), by: None };
        NewEvent::of_device(serial, "device.removed", &details)
    };
    let events: Vec<_> =
        devices.iter().map(|device| event(device.assignment.state, device.serial.clone())).collect();
    let removed: Vec<_> = devices.into_iter().map(|device| page::remove(device, reason, now)).collect();
    batch::upsert(transaction, &removed, None).await?;
    batch::events(transaction, server, run, &events, now).await?;
    Ok(removed.len() as u64)
}
