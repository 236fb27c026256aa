use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::installation::{Installation, Place, free_address, percentile};
use crate::note;

const ENDPOINTS: usize = 100;
const HANGING: usize = 10;
/// Devices that something happens to at once.
const DEVICES: usize = 5;
/// Between two such moments.
const PAUSE: Duration = Duration::from_millis(400);

/// How long events take to the ninety endpoints that answer, first when the other ten answer too, then when those hang for
/// longer than a try may take.
pub async fn run(adelie: &Path, place: &Place, another: &Place, events: usize) -> anyhow::Result<Value> {
    let free = measure(adelie, place, events, false).await?;
    note(&format!("{}: all answer: p99 {} ms", place.name(), free.1));
    let hanging = measure(adelie, another, events, true).await?;
    let raised = (hanging.1 / free.1 - 1.0) * 100.0;
    Ok(json!({
        "what": "isolation",
        "database": place.name(),
        "endpoints": ENDPOINTS,
        "hanging": HANGING,
        "deliveries_measured": hanging.2,
        "median_ms": free.0,
        "median_ms_with_hanging": hanging.0,
        "p99_ms": free.1,
        "p99_ms_with_hanging": hanging.1,
        "raised_percent": (raised * 10.0).round() / 10.0,
        "good": free.2 == hanging.2,
    }))
}

/// Median and 99th percentile in milliseconds, and of how many.
async fn measure(
    adelie: &Path,
    place: &Place,
    events: usize,
    hang: bool,
) -> anyhow::Result<(f64, f64, usize)> {
    let mut installation = Installation::synced(adelie, place, DEVICES).await?;
    installation.set("ADELIE_WEBHOOK_TIMEOUT_SECONDS", "30");
    let address = free_address()?;
    for number in 0..ENDPOINTS {
        let kind = if number < HANGING { "other" } else { "good" };
        installation.subscribe(address, &format!("{kind}/{number}"), 10).await?;
    }
    let options: &[&str] = if hang { &["--hang", "other"] } else { &[] };
    let _receiver = installation.receiver(address, options).await?;
    let _service = installation.serve()?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    for number in 0..events.div_ceil(DEVICES) {
        installation.tag_all(&format!("t{number}")).await?;
        tokio::time::sleep(PAUSE).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let made = installation.made("device.tagged").await?;
    let noted = installation.noted()?;
    let mut micros: Vec<u64> = noted
        .iter()
        .filter(|one| one.path.contains("good"))
        .filter_map(|one| u64::try_from(i64::try_from(one.at).ok()? - made.get(&one.id)?).ok())
        .collect();
    micros.sort_unstable();
    Ok((percentile(&micros, 50) as f64 / 1000.0, percentile(&micros, 99) as f64 / 1000.0, micros.len()))
}
