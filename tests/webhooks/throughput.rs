use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::installation::{Installation, Place, free_address};
use crate::note;

/// Posts that may be under way to each endpoint.
const CONCURRENCY: usize = 16;

/// How many signed deliveries a second the service makes of what waits already. Service, database and receiver share the
/// machine.
pub async fn run(adelie: &Path, place: &Place, events: usize, endpoints: usize) -> anyhow::Result<Value> {
    let installation = Installation::synced(adelie, place, events).await?;
    let address = free_address()?;
    for number in 0..endpoints {
        installation.subscribe(address, &format!("hook/{number}"), CONCURRENCY).await?;
    }
    installation.tag_all("bench").await?;
    let all = events * endpoints;
    note(&format!("{}: {all} deliveries wait", place.name()));
    let receiver = installation.receiver(address, &[]).await?;
    let service = installation.serve()?;
    let mut last = 0;
    let mut idle = 0;
    while last < all && idle < 120 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = installation.noted()?.len();
        idle = if now == last { idle + 1 } else { 0 };
        last = now;
    }
    // The last results are stored after their answers.
    let mut waiting = installation.waiting().await?;
    while waiting > 0 && idle < 120 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        waiting = installation.waiting().await?;
        idle += 1;
    }
    drop((service, receiver));
    let noted = installation.noted()?;
    let first = noted.iter().map(|one| one.at).min().unwrap_or(0);
    let end = noted.iter().map(|one| one.at).max().unwrap_or(0);
    let seconds = (end - first) as f64 / 1e6;
    Ok(json!({
        "what": "throughput",
        "database": place.name(),
        "events": events,
        "endpoints": endpoints,
        "deliveries": noted.len(),
        "seconds": (seconds * 100.0).round() / 100.0,
        "per_second": (noted.len() as f64 / seconds).round(),
        "good": noted.len() == all && waiting == 0,
    }))
}
