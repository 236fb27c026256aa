//! What must hold after every round.

use std::collections::BTreeMap;

use adelie_simulator::LoggedRequest;
use serde_json::Value;

use super::blows::{Blow, InDoubt};
use super::stage::Stage;

const DETAILS: &str = "/devices";

/// What a round has shown.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Batches that were asked for again because the answer to their assignment was in doubt.
    pub re_reads: u64,
    /// Assignments of devices that had been assigned already.
    pub needless: u64,
    /// Devices of Apple's list that are not in ours.
    pub lost: u64,
    /// Devices that left and whose departure is told twice, with a return between.
    pub told_twice: u64,
    /// What does not hold.
    pub broken: Vec<String>,
}

/// Compares everything with Apple's truth.
pub fn check(stage: &Stage, blow: &Blow) -> Findings {
    let mut found = Findings::default();
    if let Err(difference) = stage.world.compare("lab", "Lab") {
        found.broken.push(format!("the table is not as at Apple: {difference}"));
    }
    let table = stage.world.table("lab");
    let truth = stage.world.apple.devices("Lab");
    found.lost = truth.keys().filter(|serial| !table.contains_key(*serial)).count() as u64;

    for (serial, most) in &stage.expected {
        let assigns = stage.world.apple.truth_of(serial).map_or(0, |device| device.assigns);
        found.needless += u64::from(assigns.saturating_sub(*most));
    }
    if found.needless > 0 {
        found.broken.push(format!("{} assignments were needless", found.needless));
    }
    re_reads(stage, blow, &mut found);
    events(stage, &table, &mut found);

    let ledger = stage.world.ledger();
    let open = "-- open_devices\nSELECT serial FROM devices WHERE assign_state IN ('sent', 'due')";
    let running = "-- open_runs\nSELECT CAST(id AS text) FROM sync_runs WHERE outcome = 'running'";
    let left =
        [("devices", ledger.column(open)), ("runs", ledger.column(running)), ("leases", ledger.leased())];
    for (what, left) in left {
        if !left.is_empty() {
            found.broken.push(format!("{what} that are still open: {left:?}"));
        }
    }
    found
}

/// What was in doubt is asked for once, in one batch.
fn re_reads(stage: &Stage, blow: &Blow, found: &mut Findings) {
    found.re_reads = match &blow.in_doubt {
        InDoubt::Devices(serials) => {
            let asks = |request: &&LoggedRequest| {
                let names = |serial: &String| request.body.contains(serial.as_str());
                request.path == DETAILS && request.status == 200 && serials.iter().any(names)
            };
            stage.world.apple.since(blow.mark).iter().filter(asks).count() as u64
        }
        // Those of one batch have one moment.
        InDoubt::After(event) => {
            let moments = stage.world.ledger().column(&format!(
                "-- read_backs
                 SELECT DISTINCT CAST(at AS text) FROM events
                 WHERE id > {event} AND kind IN ('assignment.succeeded', 'assignment.unconfirmed')
                   AND CAST(data AS text) LIKE '%the answer was lost%'"
            ));
            moments.len() as u64
        }
    };
    if found.re_reads > blow.count {
        let most = blow.count;
        found.broken.push(format!("{} batches were read back after {most} blows", found.re_reads));
    }
}

/// Every device has its arrival in exactly one event, and every one that left its departure.
fn events(stage: &Stage, table: &BTreeMap<String, Value>, found: &mut Findings) {
    let mut told: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let all = "-- all_events\nSELECT kind, serial, CAST(data AS text) FROM events ORDER BY id";
    for event in stage.world.ledger().rows(all) {
        let [kind, serial, data] = event.as_slice() else { unreachable!("three columns were asked for") };
        match kind.as_str() {
            "device.added" => told.entry(serial.clone()).or_default().0 += 1,
            "device.removed" => told.entry(serial.clone()).or_default().1 += 1,
            "devices.imported" => {
                let data: Value = serde_json::from_str(data).expect("JSON");
                for serial in data["serial_numbers"].as_array().expect("a list") {
                    told.entry(serial.as_str().expect("a text").to_owned()).or_default().0 += 1;
                }
            }
            _ => {}
        }
    }
    for (serial, device) in table {
        let left = !device["removed_at"].is_null();
        let (added, removed) = told.remove(serial).unwrap_or_default();
        // One that left with its assignment under way is found to be gone when it is read back. News of it that are
        // older may come after that and bring it back until those of its departure come: we cannot tell older from
        // newer, because the finding has our time and the news have Apple's.
        let twice = left && (added, removed) == (2, 2);
        found.told_twice += u64::from(twice);
        if (added, removed) != (1, u32::from(left)) && !twice {
            let wanted = if left { "one of each" } else { "one arrival" };
            found
                .broken
                .push(format!("{serial} has {added} arrivals and {removed} departures, not {wanted}"));
        }
        if left != stage.gone.contains(serial) {
            found.broken.push(format!("{serial} should {}have left", if left { "not " } else { "" }));
        }
    }
    if !told.is_empty() {
        found.broken.push(format!("events of devices that are not in the table: {told:?}"));
    }
}
