use std::sync::Arc;
use std::time::Duration;

use adelie_simulator::{Scenario, Settings};
use anyhow::Context as _;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::args::Simulator;
use crate::commands::serve::listen;
use crate::commands::sync::stop_on_signal;
use crate::exit::{Exit, as_wrong, wrong};
use crate::output::Output;
use crate::real::SystemClock;
use crate::words::count;

/// Devices at the start unless told otherwise: enough to see pages, little enough to look through.
const DEVICES: usize = 1000;

pub async fn run(out: Output, command: Simulator) -> anyhow::Result<Exit> {
    let settings = settings(&command)?;
    let listener = listen(command.listen, "--listen").await?;
    let address = listener.local_addr()?;
    let (devices, server) = (settings.devices as u64, settings.server_name.clone());
    let simulator = adelie_simulator::Simulator::new(settings, Arc::new(SystemClock));
    let url = format!("http://{address}");
    if out.json {
        out.object(&json!({ "url": url, "server": server, "devices": devices }))?;
    } else {
        out.line(&format!(
            "simulated Apple on {url}: MDM server {server:?} with {}",
            count(devices, "device", "devices")
        ))?;
        out.line(&format!(
            "
in another terminal:
  adelie server add lab --base-url {url}
  adelie token key lab --out lab.pem
  curl --fail --data-binary @lab.pem --output lab.p7m {url}/_control/servers/{server}/token
  adelie token import lab lab.p7m
  echo '{{\"profile_name\": \"Standard\", \"url\": \"https://mdm.example.org/enroll\"}}' > standard.json
  adelie profile new standard --file standard.json
  adelie server set lab --default any=standard
  adelie sync lab

docs/simulator.md tells of scenarios and of the control API under {url}/_control; Ctrl-C ends it"
        ))?;
    }
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone());
    // Connections that are kept open must not keep the program from ending.
    let serving = simulator.serve(listener, stop.clone().cancelled_owned());
    tokio::select! {
        result = serving => result.context("the simulator ended")?,
        () = async {
            stop.cancelled().await;
            tokio::time::sleep(Duration::from_secs(2)).await;
        } => {}
    }
    Ok(Exit::Done)
}

fn settings(command: &Simulator) -> anyhow::Result<Settings> {
    let mut settings = Settings { devices: DEVICES, ..Settings::default() };
    if let Some(path) = &command.scenario {
        let text = std::fs::read_to_string(path).map_err(|error| {
            wrong(format!("the scenario {} cannot be read: {error}", path.display()), "check the path")
        })?;
        settings = Scenario::parse(&text, &path.display().to_string())
            .and_then(|scenario| scenario.apply(&settings))
            .map_err(|error| as_wrong(&error))?;
    }
    // A flag wins over the file.
    settings.devices = command.devices.unwrap_or(settings.devices);
    settings.seed = command.seed.unwrap_or(settings.seed);
    settings.latency = command.latency_ms.map_or(settings.latency, Duration::from_millis);
    Ok(settings)
}
