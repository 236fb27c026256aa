use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Instant;

use adelie_model::{AssignState, ServerName};
use adelie_profile::Format;
use adelie_rules::Scope;
use adelie_scheduler::{Engine, Report, Request};
use adelie_simulator::{Arrival, Departure, Simulator, TokenShape};
use adelie_store::configuration::NewRevision;
use adelie_store::{DeviceFilter, DevicePosition, MdmServer, NewServer};
use anyhow::Context as _;
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::args::Demo;
use crate::commands::serve::{listen, serve};
use crate::commands::sync::stop_on_signal;
use crate::commands::token;
use crate::context::Context;
use crate::exit::Exit;
use crate::progress::Bar;
use crate::real::SystemClock;
use crate::settings::{Database, Settings};
use crate::words::{count, minute};

/// The MDM server that the simulator starts with, and the one that devices move to.
const LAB: &str = "Lab";
const BRANCH: &str = "Branch";

const MACS: &str = r#"{
  "profile_name": "Macs", "url": "https://mdm.example.org/enroll", "await_device_configured": true,
  "is_supervised": true, "is_mdm_removable": false, "department": "IT",
  "skip_setup_items": ["Appearance", "Siri", "ScreenTime", "Diagnostics", "Payment"]
}"#;
const OTHERS: &str = r#"{
  "profile_name": "Everything else", "url": "https://mdm.example.org/enroll", "is_supervised": true,
  "skip_setup_items": ["Restore", "Siri", "Diagnostics"]
}"#;

/// Walks the whole way, then goes on running unless told to end.
pub async fn run(settings: Settings, command: Demo) -> anyhow::Result<Exit> {
    let folder = tempfile::Builder::new()
        .prefix("adelie-demo-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir()
        .context("no temporary folder can be made")?;
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone());
    let walk = Walk::prepare(settings, &command, &folder, stop.clone()).await?;
    let summary = tokio::select! {
        summary = walk.walk(command.devices) => summary?,
        () = stop.cancelled() => {
            walk.context.out.warn("the demo was ended before its end; its folder is removed")?;
            return Ok(Exit::Attention);
        }
    };
    if walk.context.out.json {
        walk.context.out.object(&json!({
            "devices": summary.devices,
            "assigned": summary.assigned,
            "failed": summary.failed,
            "removed": summary.removed,
            "pages": summary.pages,
            "requests": summary.requests,
            "seconds": summary.seconds,
        }))?;
    }
    if !command.once {
        walk.stay(&folder, stop).await?;
    }
    Ok(if summary.failed == 0 { Exit::Done } else { Exit::Attention })
}

struct Walk {
    context: Context,
    engine: Engine,
    apple: Simulator,
    url: String,
    stop: CancellationToken,
}

struct Summary {
    devices: u64,
    assigned: u64,
    failed: u64,
    removed: u64,
    pages: u64,
    requests: u64,
    seconds: f64,
}

impl Walk {
    async fn prepare(
        mut settings: Settings,
        command: &Demo,
        folder: &TempDir,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        settings.quiet = true;
        settings.data_dir = folder.path().to_owned();
        settings.database = Database::Sqlite(folder.path().join("adelie.db"));
        let listener = listen(([127, 0, 0, 1], 0).into(), "nothing: any free port is taken").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let devices = usize::try_from(command.devices)?;
        let apple = adelie_simulator::Settings { devices, server_name: LAB.to_owned(), ..Default::default() };
        let apple = Simulator::new(apple, Arc::new(SystemClock));
        apple.add_server(BRANCH)?;
        tokio::spawn(apple.clone().serve(listener, stop.clone().cancelled_owned()));
        let context = Context::open(settings).await?;
        let engine = context.engine().await?;
        if !context.out.json {
            context.out.line(&format!("Adelie, the whole way, in {}\n", folder.path().display()))?;
        }
        Ok(Self { context, engine, apple, url, stop })
    }

    /// Tells of one step.
    fn tell(&self, number: u32, text: &str) -> anyhow::Result<()> {
        if self.context.out.json {
            return Ok(());
        }
        self.context.out.line(&format!("{number}. {text}"))
    }

    async fn walk(&self, devices: u32) -> anyhow::Result<Summary> {
        let started = Instant::now();
        self.tell(
            1,
            &format!(
                "a simulated Apple answers on {} with {} of an organization",
                self.url,
                count(devices.into(), "device", "devices")
            ),
        )?;
        let server = self.import_token().await?;
        self.add_profiles(&server).await?;
        let full = self.sync(&server, "full sync", devices.into()).await?;
        self.tell(6, &format!("{}; assignment began with the first page", sentence(&full)))?;
        let change = devices.div_ceil(100).min(50) as usize;
        self.change_portal(change)?;
        let delta = self.sync(&server, "delta sync", change as u64 * 2).await?;
        self.tell(8, &sentence(&delta))?;
        let mut summary = self.compare(&server).await?;
        summary.pages = pages(&full) + pages(&delta);
        // The account was asked for when the token was imported: one session and one request.
        summary.requests = self.apple.request_count();
        summary.seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        Ok(summary)
    }

    async fn import_token(&self) -> anyhow::Result<MdmServer> {
        let context = &self.context;
        let name: ServerName = "lab".parse()?;
        let new = NewServer { name: name.clone(), base_url: self.url.clone(), paused: false };
        context.store.add_server(&new, &context.operator()).await?;
        let server = context.server(&name).await?;
        let (key, stored) = token::make_key(context, &server).await?;
        context.store.add_token_key(&stored, &context.operator()).await?;
        self.tell(2, "made a key pair; its certificate is what is uploaded to Apple")?;
        let p7m = self.apple.issue_token(LAB, &key.certificate_pem(), TokenShape::default())?;
        let imported = token::import_bytes(context, &server, &p7m, false).await?;
        self.tell(
            3,
            &format!(
                "decrypted Apple's server token ({} bytes of .p7m), valid until {}",
                p7m.len(),
                minute(Some(imported.expires_at))
            ),
        )?;
        let server = context.server(&name).await?;
        let account = server.account.clone().unwrap_or_default();
        self.tell(
            4,
            &format!(
                "Apple's account answers: MDM server {} of {}, pages of {}",
                account.server_name.unwrap_or_default(),
                account.org_name.unwrap_or_default(),
                account.page_limit.unwrap_or_default()
            ),
        )?;
        Ok(server)
    }

    async fn add_profiles(&self, server: &MdmServer) -> anyhow::Result<()> {
        let store = &self.context.store;
        for (name, text) in [("macs", MACS), ("others", OTHERS)] {
            let profile = adelie_profile::read(text, Format::Json)?.profile;
            let (content, content_hash) = (profile.apple_json().clone(), profile.content_hash());
            let revision = NewRevision { content, content_hash, ..NewRevision::default() };
            store.add_profile(&name.parse()?, revision, &self.context.operator()).await?;
        }
        let mac = Scope::Family(adelie_model::DeviceFamily::Mac);
        store
            .set_defaults(
                server.id,
                &[(mac, Some("macs".parse()?)), (Scope::Any, Some("others".parse()?))],
                &self.context.operator(),
            )
            .await?;
        self.tell(
            5,
            "two profiles: `macs`, which awaits configuration, for Macs; `others` for everything else",
        )
    }

    async fn sync(&self, server: &MdmServer, what: &str, expected: u64) -> anyhow::Result<Report> {
        let bar = Bar::new(what, self.context.out.json, Some(expected));
        let by = self.context.operator();
        let request = Request::Sync { full: false, force: true, accept_removals: false, by };
        let result = self.engine.work(server.id, &request, &bar, &self.stop).await;
        bar.finish();
        let mut report = result?;
        match report.sync_error.take() {
            Some(error) => Err(error.into()),
            None => Ok(report),
        }
    }

    /// What an administrator does in Apple's portal: buys, moves and releases devices.
    fn change_portal(&self, change: usize) -> anyhow::Result<()> {
        let known: Vec<String> =
            self.apple.truth(LAB)?.into_iter().map(|device| device.serial_number).collect();
        let (gone, rest) = known.split_at_checked(change).context("too few devices")?;
        let moved = rest.get(..change).context("too few devices")?;
        self.apple.add_devices(LAB, change * 2)?;
        self.apple.move_devices(LAB, BRANCH, moved, Arrival::Added)?;
        self.apple.remove_devices(LAB, gone, Departure::Deleted)?;
        self.tell(
            7,
            &format!(
                "in the portal: {} devices bought, {change} moved to another MDM server, {change} released",
                change * 2
            ),
        )
    }

    /// Holds every device of ours beside Apple's.
    async fn compare(&self, server: &MdmServer) -> anyhow::Result<Summary> {
        let truth: HashMap<String, Option<String>> = self
            .apple
            .truth(LAB)?
            .into_iter()
            .map(|device| (device.serial_number, device.profile_uuid))
            .collect();
        let mut summary =
            Summary { devices: 0, assigned: 0, failed: 0, removed: 0, pages: 0, requests: 0, seconds: 0.0 };
        let filter = DeviceFilter { server: Some(server.id), ..DeviceFilter::default() };
        let mut after: Option<DevicePosition> = None;
        loop {
            let page = self.context.store.devices(&filter, after.as_ref(), 1000).await?;
            for view in &page {
                let device = &view.device;
                if device.removed_at.is_some() {
                    summary.removed += 1;
                    continue;
                }
                summary.devices += 1;
                let settled = matches!(device.assignment.state, AssignState::Assigned | AssignState::Pushed);
                let ours = device.actual.profile_uuid.as_ref().map(|uuid| uuid.as_str());
                let same = truth.get(device.serial.as_str()).is_some_and(|uuid| uuid.as_deref() == ours);
                if settled && same {
                    summary.assigned += 1;
                } else {
                    summary.failed += 1;
                }
            }
            let Some(last) = page.last() else { break };
            after = Some(DevicePosition { server: server.id, serial: last.device.serial.clone() });
        }
        // A device that Apple has and we do not is a failure too.
        summary.failed += (truth.len() as u64).saturating_sub(summary.devices);
        self.tell(
            9,
            &format!(
                "compared with Apple: {} here and there, {} with the wanted profile, {} without, {} remembered as removed",
                count(summary.devices, "device", "devices"),
                summary.assigned,
                summary.failed,
                summary.removed
            ),
        )?;
        Ok(summary)
    }

    /// Goes on running, for the reader to try commands.
    async fn stay(&self, folder: &TempDir, stop: CancellationToken) -> anyhow::Result<()> {
        let listener = listen(([127, 0, 0, 1], 0).into(), "nothing: any free port is taken").await?;
        let (url, health) = (&self.url, listener.local_addr()?);
        if !self.context.out.json {
            let program = std::env::current_exe()
                .map_or_else(|_| "adelie".to_owned(), |path| path.display().to_string());
            self.context.out.line(&format!(
                "
it goes on running (health: http://{health}/readyz); in another terminal:
  export ADELIE_DATA_DIR={dir}
  {program} server list
  {program} token show lab
  {program} device list --family mac
  {program} device list --state removed
  {program} profile show macs
  curl -d '{{\"server\": \"{LAB}\", \"count\": 10}}' {url}/_control/add_devices
      # buys ten more devices, and this gives them their profile:
  {program} sync lab --force
Ctrl-C ends it and removes everything",
                dir = folder.path().display(),
            ))?;
        }
        serve(self.context.clone(), self.engine.clone(), listener, stop).await
    }
}

fn pages(report: &Report) -> u64 {
    report.run.as_ref().map_or(0, |run| run.counts.pages)
}

fn sentence(report: &Report) -> String {
    let Some(run) = &report.run else { return "no sync".to_owned() };
    let failed: u64 = report.assigned.not_assigned.values().sum();
    format!(
        "{} sync: {}, {} added, {} changed, {} removed; {} assigned, {failed} failed; {}",
        run.kind,
        count(run.counts.pages, "page", "pages"),
        run.counts.added,
        run.counts.modified,
        run.counts.removed,
        report.assigned.assigned,
        count(report.requests, "request", "requests")
    )
}
