//! The simulated Apple: a process of its own, so that its memory and its threads are not ours.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::process;

/// The name of its one MDM server.
pub const SERVER: &str = "Lab";
/// A million devices take a while to be made.
const START: Duration = Duration::from_secs(300);

/// A running simulator. It is killed when this is dropped.
pub struct Apple {
    pub url: String,
    http: reqwest::Client,
    _child: Child,
    /// The program looks for its configuration in a data directory, also as a simulator.
    _home: TempDir,
}

/// A device as it truly is.
#[derive(Debug, Deserialize)]
pub struct Truth {
    pub serial_number: String,
    pub device_family: String,
    pub profile_status: String,
    pub profile_uuid: Option<String>,
    pub assigns: u64,
}

/// How many requests had which outcome, like `POST /server/devices 200`.
#[derive(Clone, Debug, Default)]
pub struct Requests(BTreeMap<String, u64>);

impl Requests {
    /// Those since an earlier count.
    pub fn since(&self, before: &Self) -> Self {
        let since = |(outcome, count): (&String, &u64)| {
            (outcome.clone(), count - before.0.get(outcome).copied().unwrap_or(0))
        };
        Self(self.0.iter().map(since).filter(|(_, count)| *count > 0).collect())
    }

    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Those to one path, whatever came of them.
    pub fn to(&self, path: &str) -> u64 {
        let to_path = |outcome: &str| outcome.split(' ').nth(1) == Some(path);
        self.0.iter().filter(|(outcome, _)| to_path(outcome)).map(|(_, count)| count).sum()
    }

    /// Those that were refused.
    pub fn refused(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).filter(|outcome| !outcome.ends_with(" 200")).collect()
    }
}

impl Apple {
    /// Starts one that answers at once.
    pub async fn start(adelie: &Path, devices: u64) -> anyhow::Result<Self> {
        let devices = devices.to_string();
        let args = ["simulator", "--listen", "127.0.0.1:0", "--devices", &devices, "--json"];
        let home = tempfile::Builder::new().prefix("adelie-bench-").tempdir()?;
        let mut child = process::command(adelie, &args)
            .env("HOME", home.path())
            .stdout(Stdio::piped())
            .spawn()
            .context("the simulator")?;
        let stdout = child.stdout.take().context("the simulator has no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START, lines.next_line()).await;
        let line = line.context("the simulator did not start in time")??.context("the simulator ended")?;
        let told: Value =
            serde_json::from_str(&line).with_context(|| format!("the simulator said {line:?}"))?;
        let url = told["url"].as_str().context("the simulator told no URL")?.to_owned();
        // A simulator on this machine is never behind a proxy.
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { url, http, _child: child, _home: home })
    }

    /// Changes settings.
    pub async fn set(&self, latency_ms: u64, own_changes: bool) -> anyhow::Result<()> {
        let settings = json!({ "latency_ms": latency_ms, "own_changes_in_sync": own_changes });
        let url = format!("{}/_control/settings", self.url);
        self.http.post(url).json(&settings).send().await?.error_for_status()?;
        Ok(())
    }

    /// A server token for a certificate. The one before is no longer good.
    pub async fn token(&self, certificate_pem: String) -> anyhow::Result<Vec<u8>> {
        let url = format!("{}/_control/servers/{SERVER}/token", self.url);
        let answer = self.http.post(url).body(certificate_pem).send().await?.error_for_status()?;
        Ok(answer.bytes().await?.to_vec())
    }

    /// What was asked so far.
    pub async fn requests(&self) -> anyhow::Result<Requests> {
        #[derive(Deserialize)]
        struct State {
            requests_by_outcome: BTreeMap<String, u64>,
        }
        let state = self.http.get(format!("{}/_control/state", self.url)).send().await?.error_for_status()?;
        Ok(Requests(state.json::<State>().await?.requests_by_outcome))
    }

    /// Shows every device as it truly is.
    pub async fn each_device(&self, mut look: impl FnMut(Truth) -> anyhow::Result<()>) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Page {
            devices: Vec<Truth>,
            next_after: Option<String>,
        }
        let mut after: Option<String> = None;
        loop {
            let url = format!("{}/_control/devices", self.url);
            let mut query = vec![("server", SERVER.to_owned()), ("limit", "50000".to_owned())];
            query.extend(after.map(|after| ("after", after)));
            let page: Page =
                self.http.get(url).query(&query).send().await?.error_for_status()?.json().await?;
            page.devices.into_iter().try_for_each(&mut look)?;
            after = page.next_after;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(all: &[(&str, u64)]) -> Requests {
        Requests(all.iter().map(|(outcome, count)| ((*outcome).to_owned(), *count)).collect())
    }

    #[test]
    fn only_what_came_since_counts() {
        let before = counts(&[("GET /account 200", 1), ("POST /server/devices 200", 50)]);
        let after = counts(&[
            ("GET /account 200", 1),
            ("POST /profile/devices 200", 7),
            ("POST /server/devices 200", 99),
            ("POST /server/devices 400", 1),
        ]);
        let since = after.since(&before);
        assert_eq!(
            (since.to("/server/devices"), since.to("/profile/devices"), since.to("/account")),
            (50, 7, 0)
        );
        assert_eq!((since.total(), since.refused()), (57, vec!["POST /server/devices 400"]));
    }
}
