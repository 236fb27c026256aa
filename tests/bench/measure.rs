//! One measurement: bare loops and full sync, against the same simulated Apple.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::Value;

use crate::apple::Apple;
use crate::installation::{Database, Installation};
use crate::report::Figures;
use crate::{bare, process, verify};

/// What is measured.
pub struct Plan {
    pub adelie: PathBuf,
    pub devices: u64,
    pub latency_ms: u64,
    /// Whether Apple reports our own assignments as changes.
    pub own_changes: bool,
}

/// Measures once on one database.
pub async fn measure(plan: &Plan, database: Database, run: u32) -> anyhow::Result<Figures> {
    let name = database.name();
    let say = |text: &str| writeln!(std::io::stderr(), "{name}, run {run}: {text}");
    say(&format!("a simulated Apple with {} devices starts", plan.devices))?;
    let apple = Apple::start(&plan.adelie, plan.devices).await?;
    let client = bare::client(&apple).await?;
    // The simulator renders a page when it is first asked for it. That is not to count, for nobody.
    bare::blind(&client, plan.devices).await?;
    apple.set(plan.latency_ms, plan.own_changes).await?;

    let load_average = process::load_average();
    let blind_seconds = bare::blind(&client, plan.devices).await?;
    say(&format!("bare loop that reads no device: {blind_seconds:.2} s"))?;
    let bare_seconds = bare::reading(&client, plan.devices).await?;
    say(&format!("bare loop: {bare_seconds:.2} s"))?;

    let installation = Installation::new(&plan.adelie, &database, &apple).await?;
    let before = apple.requests().await?;
    let full = installation.sync().await?;
    let requests = apple.requests().await?.since(&before);
    say(&format!("full sync: {:.2} s; now every device is checked", full.seconds))?;
    let told: Value = serde_json::from_str(&full.stdout).context("what `adelie sync --json` printed")?;
    anyhow::ensure!(
        told["assigned"].as_u64() == Some(plan.devices)
            && told["requests"].as_u64() == Some(requests.total()),
        "`adelie sync` says {told}, and Apple has seen {} requests",
        requests.total()
    );
    anyhow::ensure!(requests.refused().is_empty(), "Apple has refused requests: {:?}", requests.refused());
    verify::verify(&apple, &installation, plan.devices).await?;

    let list_pages = requests.to("/server/devices");
    let pages = list_pages + requests.to("/devices/sync");
    let per_page = bare_seconds / list_pages as f64;
    Ok(Figures {
        database: name,
        run,
        devices: plan.devices,
        latency_ms: plan.latency_ms,
        own_changes: plan.own_changes,
        blind_seconds,
        bare_seconds,
        full_seconds: full.seconds,
        ratio: full.seconds / bare_seconds,
        ratio_to_blind: full.seconds / blind_seconds,
        ratio_by_page: full.seconds / (per_page * pages as f64),
        devices_per_second: plan.devices as f64 / full.seconds,
        peak_memory_mib: full.peak_memory as f64 / f64::from(1 << 20),
        cpu_seconds: full.cpu_seconds,
        requests: requests.total(),
        pages,
        list_pages,
        assign_requests: requests.to("/profile/devices"),
        load_average,
    })
}
