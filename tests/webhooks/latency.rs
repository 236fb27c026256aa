use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::installation::{Installation, Noted, Place, free_address, percentile};

/// The time between the commit of an event by another process and the first byte of its post. Each command writes one
/// event; the moment of its commit lies between that at which the event was made and the end of the command, so the figure
/// counts from the former and is a little too long.
pub async fn run(adelie: &Path, place: &Place, events: usize) -> anyhow::Result<Value> {
    let installation = Installation::synced(adelie, place, 10).await?;
    let address = free_address()?;
    installation.subscribe(address, "hook", 10).await?;
    let _receiver = installation.receiver(address, &[]).await?;
    let _service = installation.serve()?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let listed = installation.run(&["device", "list", "--server", "lab", "--json"]).await?;
    let device: Value = serde_json::from_str(listed.lines().next().context("a device")?)?;
    let serial = device["serial_number"].as_str().context("a serial number")?;
    for number in 0..events {
        installation.run(&["device", "tag", serial, "--add", &format!("t{number}")]).await?;
        installation.run(&["device", "tag", serial, "--remove", &format!("t{number}")]).await?;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let made = installation.made("device.tagged").await?;
    let noted = installation.noted()?;
    let waited = |one: &Noted| u64::try_from(i64::try_from(one.at).ok()? - made.get(&one.id)?).ok();
    let mut micros: Vec<u64> = noted.iter().filter_map(waited).collect();
    micros.sort_unstable();
    let milliseconds = |percent| percentile(&micros, percent) as f64 / 1000.0;
    Ok(json!({
        "what": "latency",
        "database": place.name(),
        "events": made.len(),
        "median_ms": milliseconds(50),
        "p99_ms": milliseconds(99),
        "most_ms": milliseconds(100),
        "good": micros.len() == made.len() && made.len() == 2 * events,
    }))
}
