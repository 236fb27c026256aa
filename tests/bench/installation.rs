//! One installation of Adelie, made by its own command line as a person would.

use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::apple::Apple;
use crate::process::{self, Watched};

const MACS: &str = r#"{
  "profile_name": "Macs", "url": "https://mdm.example.org/enroll", "is_supervised": true,
  "await_device_configured": true, "skip_setup_items": ["Appearance", "Siri", "Diagnostics"]
}"#;
const OTHERS: &str = r#"{
  "profile_name": "Everything else", "url": "https://mdm.example.org/enroll", "is_supervised": true,
  "skip_setup_items": ["Restore", "Siri", "Diagnostics"]
}"#;

/// Where the devices are stored.
pub enum Database {
    /// A file in the data directory.
    Sqlite,
    /// The URL of a fresh database.
    Postgres(String),
}

impl Database {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

/// MDM server `lab` in a data directory of its own.
pub struct Installation<'a> {
    adelie: &'a Path,
    home: TempDir,
    database: &'a Database,
}

impl<'a> Installation<'a> {
    /// Adds the MDM server with its token and two profiles; nothing is synced yet.
    pub async fn new(adelie: &'a Path, database: &'a Database, apple: &Apple) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("adelie-bench-").tempdir()?;
        let new = Self { adelie, home, database };
        new.run(&["server", "add", "lab", "--base-url", &apple.url]).await?;
        let pem = new.path("lab.pem");
        new.run(&["token", "key", "lab", "--out", &pem]).await?;
        let token = apple.token(std::fs::read_to_string(&pem)?).await?;
        let file = new.write("lab.p7m", &token)?;
        new.run(&["token", "import", "lab", &file]).await?;
        for (name, json) in [("macs", MACS), ("others", OTHERS)] {
            let file = new.write(&format!("{name}.json"), json.as_bytes())?;
            new.run(&["profile", "new", name, "--file", &file]).await?;
        }
        new.run(&["server", "set", "lab", "--default", "mac=macs", "--default", "any=others"]).await?;
        Ok(new)
    }

    /// Syncs and assigns everything.
    pub async fn sync(&self) -> anyhow::Result<Watched> {
        self.run(&["sync", "lab", "--force", "--json"]).await
    }

    /// The identifier that a profile has at Apple.
    pub async fn profile_uuid(&self, profile: &str) -> anyhow::Result<String> {
        let shown: Value =
            serde_json::from_str(&self.run(&["profile", "show", profile, "--json"]).await?.stdout)?;
        let uuid = shown["published"][0]["profile_uuid"].as_str();
        Ok(uuid.with_context(|| format!("profile {profile} is not published"))?.to_owned())
    }

    /// Shows the lines of `adelie device list --json`, one per device.
    pub async fn each_device(&self, mut look: impl FnMut(&str) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut command = self.command(&["device", "list", "--server", "lab", "--json"]);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("a child without stdout")?).lines();
        while let Some(line) = lines.next_line().await? {
            look(&line)?;
        }
        let status = child.wait().await?;
        anyhow::ensure!(status.success(), "`adelie device list` ended with {status}");
        Ok(())
    }

    async fn run(&self, args: &[&str]) -> anyhow::Result<Watched> {
        let done = process::watch(&mut self.command(args)).await?;
        anyhow::ensure!(
            done.code == Some(0),
            "`adelie {}` ended with {:?}\n{}{}",
            args.join(" "),
            done.code,
            done.stdout,
            done.stderr
        );
        Ok(done)
    }

    fn command(&self, args: &[&str]) -> tokio::process::Command {
        let mut command = process::command(self.adelie, args);
        command.env("HOME", self.home.path()).env("ADELIE_DATA_DIR", self.home.path().join("data"));
        if let Database::Postgres(url) = self.database {
            command.env("ADELIE_DATABASE_URL", url);
        }
        for (name, value) in std::env::vars_os() {
            // For a look at where time goes.
            if name == "ADELIE_LOG" {
                command.env(name, value);
            }
        }
        command
    }

    fn path(&self, name: &str) -> String {
        self.home.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<String> {
        let path = self.path(name);
        std::fs::write(&path, content)?;
        Ok(path)
    }
}
