//! The figures, as one JSON object.

use std::io::Write;
use std::time::Duration;

use serde_json::json;

use crate::day::Day;

/// Prints the figures.
pub fn print(servers: u32, devices: u32, copies: u32, day: &Day) -> anyhow::Result<()> {
    anyhow::ensure!(day.lived > 0, "nothing was measured before the interruption");
    let hours = day.lived as f64 / 3600.0;
    let mean = day.syncs as f64 / day.lived as f64;
    let most = day.starts.values().max().copied().unwrap_or(0);
    let mut looks = day.idle_looks.clone();
    looks.sort_unstable();
    let part = |share: f64| {
        let index = ((looks.len() as f64 * share) as usize).min(looks.len().saturating_sub(1));
        looks.get(index).map_or(0.0, |look: &Duration| look.as_secs_f64() * 1000.0)
    };
    let figures = json!({
        "servers": servers,
        "devices_each": devices,
        "copies": copies,
        "simulated_hours": hours,
        "syncs": day.syncs,
        "syncs_by_copy": day.by_copy,
        "syncs_per_server_and_hour": day.syncs as f64 / f64::from(servers) / hours,
        "latest_start_seconds": day.latest,
        "starts_per_second_mean": mean,
        "starts_per_second_most": most,
        "most_by_mean": most as f64 / mean,
        "idle_looks": looks.len(),
        "idle_look_ms_median": part(0.5),
        "idle_look_ms_p99": part(0.99),
        "memory_mib_by_hour": day.memory,
        "import_seconds": day.import_seconds,
        "day_seconds": day.day_seconds,
        "syncs_per_real_second": day.syncs as f64 / day.day_seconds,
    });
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &figures)?;
    writeln!(out)?;
    Ok(())
}
