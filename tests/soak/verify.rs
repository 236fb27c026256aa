//! What must hold once nothing goes wrong any more.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::apple::Apple;
use crate::installation::name;
use crate::recorder::Recorder;

/// What differs from Apple's truth, at most one line per MDM server.
pub async fn differences(apple: &Apple, recorder: &Recorder) -> anyhow::Result<Vec<String>> {
    type Row = (String, String, Option<String>, Option<String>, Option<String>);
    let mut all = Vec::new();
    for place in 0..apple.servers.len() {
        let name = name(place);
        let rows: Vec<Row> = sqlx::query_as(
            "-- present_devices
             SELECT serial, assign_state, profile_status, profile_uuid, CAST(next_attempt_at AS text)
             FROM devices JOIN mdm_servers ON mdm_servers.id = server_id
             WHERE name = $1 AND removed_at IS NULL ORDER BY serial",
        )
        .bind(&name)
        .fetch_all(&recorder.pool)
        .await?;
        let mut truth = apple.truth(place)?;
        let mut wrong = Vec::new();
        for (serial, state, status, uuid, next) in rows {
            let Some(device) = truth.remove(&serial) else {
                wrong.push(format!("{serial} is no longer there"));
                continue;
            };
            let status = status.unwrap_or_default();
            let good = status == device.profile_status
                && state == status
                && matches!(status.as_str(), "assigned" | "pushed")
                && uuid == device.profile_uuid;
            if !good {
                wrong.push(format!(
                    "{serial} is {state} ({status} {uuid:?}, next {next:?}), Apple has {device:?}"
                ));
            }
        }
        wrong.extend(truth.into_keys().map(|serial| format!("{serial} is missing")));
        if let Some(first) = wrong.first() {
            all.push(format!("{name}: {} devices differ; {first}", wrong.len()));
        }
    }
    Ok(all)
}

/// Arrivals and departures that are missing from the events or there twice.
pub async fn events(apple: &Apple, recorder: &Recorder) -> anyhow::Result<Vec<String>> {
    let mut broken = Vec::new();
    for place in 0..apple.servers.len() {
        let name = name(place);
        let events: Vec<(String, Option<String>, Value)> = sqlx::query_as(
            "-- arrivals_and_departures
             SELECT kind, serial, data FROM events JOIN mdm_servers ON mdm_servers.id = server_id
             WHERE mdm_servers.name = $1 AND kind IN ('device.added', 'device.removed', 'devices.imported')",
        )
        .bind(&name)
        .fetch_all(&recorder.pool)
        .await?;
        let mut told: BTreeMap<String, (u32, u32)> = BTreeMap::new();
        for (kind, serial, data) in events {
            match (kind.as_str(), serial) {
                ("device.added", Some(serial)) => told.entry(serial).or_default().0 += 1,
                ("device.removed", Some(serial)) => told.entry(serial).or_default().1 += 1,
                _ => {
                    for serial in
                        data["serial_numbers"].as_array().into_iter().flatten().filter_map(Value::as_str)
                    {
                        told.entry(serial.to_owned()).or_default().0 += 1;
                    }
                }
            }
        }
        let devices: Vec<(String, bool)> = sqlx::query_as(
            "-- all_devices
             SELECT serial, removed_at IS NOT NULL FROM devices JOIN mdm_servers ON mdm_servers.id = server_id
             WHERE mdm_servers.name = $1",
        )
        .bind(&name)
        .fetch_all(&recorder.pool)
        .await?;
        for (serial, removed) in devices {
            let (added, gone) = told.remove(&serial).unwrap_or_default();
            if (added, gone) != (1, u32::from(removed)) || removed != apple.has_left(place, &serial) {
                broken.push(format!("{name}: {serial} has {added} arrivals and {gone} departures"));
            }
        }
        broken
            .extend(told.into_keys().map(|serial| format!("{name}: events of {serial}, which is in no row")));
    }
    Ok(broken)
}

/// All assignments at Apple, and the devices that were assigned more often than would have been needed. It is no fault:
/// a copy that freezes between its last look at the lease and the sending of a request sends it when it thaws.
pub fn assigned_again(apple: &Apple) -> (u64, u64) {
    let (mut assigns, mut again) = (0, 0);
    for (serial, most) in apple.expected() {
        let times = apple.simulator().truth_of(serial).map_or(0, |device| device.assigns);
        assigns += u64::from(times);
        again += u64::from(times > *most);
    }
    (assigns, again)
}
