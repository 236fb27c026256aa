//! What is printed.

use std::io::Write;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// The figures of one measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    pub database: &'static str,
    pub run: u32,
    pub devices: u64,
    pub latency_ms: u64,
    /// Whether Apple reported our own assignments as changes.
    pub own_changes: bool,
    /// A bare loop that reads of a page nothing but where to go on.
    pub blind_seconds: f64,
    /// A bare loop that reads every device.
    pub bare_seconds: f64,
    /// Full sync with storing and assigning, from the start of the process to its end.
    pub full_seconds: f64,
    /// Full sync to bare loop.
    pub ratio: f64,
    /// Full sync to the loop that reads no device.
    pub ratio_to_blind: f64,
    /// Full sync to a bare loop of as many pages as the full sync had to fetch.
    pub ratio_by_page: f64,
    /// Of the full sync.
    pub devices_per_second: f64,
    /// Resident memory of the process that syncs, at its highest.
    pub peak_memory_mib: f64,
    /// Processor time of the process that syncs.
    pub cpu_seconds: f64,
    /// All requests of the full sync.
    pub requests: u64,
    /// Pages that the full sync fetched: the list, then what has changed since.
    pub pages: u64,
    /// Pages of the list alone.
    pub list_pages: u64,
    /// Requests that assigned profiles.
    pub assign_requests: u64,
    /// Of the last minute before; `null` where the system does not tell. Well above 0 means that the machine was
    /// busy with something else.
    pub load_average: Option<f64>,
}

/// One JSON object per measurement, and a table unless only JSON is wanted.
pub fn print(all: &[Figures], json: bool) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    if !json {
        writeln!(stdout, "{}\n", table(all))?;
    }
    for figures in all {
        writeln!(stdout, "{}", serde_json::to_string(&rounded(figures))?)?;
    }
    Ok(stdout.flush()?)
}

fn table(all: &[Figures]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "database",
        "devices",
        "latency",
        "bare loop",
        "full sync",
        "ratio",
        "devices/s",
        "peak memory",
        "processor",
        "requests",
        "pages",
        "assigns",
        "load",
    ]);
    for one in all {
        table.add_row([
            one.database.to_owned(),
            one.devices.to_string(),
            format!("{} ms", one.latency_ms),
            format!("{:.1} s", one.bare_seconds),
            format!("{:.1} s", one.full_seconds),
            format!("{:.3}", one.ratio),
            format!("{:.0}", one.devices_per_second),
            format!("{:.0} MiB", one.peak_memory_mib),
            format!("{:.1} s", one.cpu_seconds),
            one.requests.to_string(),
            one.pages.to_string(),
            one.assign_requests.to_string(),
            one.load_average.map_or_else(|| "-".to_owned(), |load| format!("{load:.1}")),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Digits beyond what a measurement can tell are noise.
fn rounded(figures: &Figures) -> Figures {
    let to = |digits: i32, value: f64| (value * 10_f64.powi(digits)).round() / 10_f64.powi(digits);
    Figures {
        blind_seconds: to(3, figures.blind_seconds),
        bare_seconds: to(3, figures.bare_seconds),
        full_seconds: to(3, figures.full_seconds),
        ratio: to(3, figures.ratio),
        ratio_to_blind: to(3, figures.ratio_to_blind),
        ratio_by_page: to(3, figures.ratio_by_page),
        devices_per_second: to(0, figures.devices_per_second),
        peak_memory_mib: to(1, figures.peak_memory_mib),
        ..figures.clone()
    }
}
