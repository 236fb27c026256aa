//! One installation of Adelie, made by its own command line as a person would.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use adelie_simulator::TokenShape;
use tempfile::TempDir;
use tokio::process::Command;

use crate::apple::Apple;

const PROFILE: &str = r#"{
  "profile_name": "Standard", "url": "https://mdm.example.org/enroll",
  "is_supervised": true, "skip_setup_items": ["Siri", "Diagnostics"]
}"#;

/// A data directory with the key, and the database that it belongs to.
pub struct Installation {
    adelie: PathBuf,
    url: String,
    home: TempDir,
}

impl Installation {
    /// Adds every MDM server of Apple's portal with its token; nothing is synced yet.
    pub async fn new(adelie: &Path, url: &str, apple: &Apple) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("adelie-soak-").tempdir()?;
        std::fs::create_dir(home.path().join("logs"))?;
        let new = Self { adelie: adelie.to_owned(), url: url.to_owned(), home };
        let profile = new.write("standard.json", PROFILE.as_bytes())?;
        new.run(&["profile", "new", "standard", "--file", &profile]).await?;
        for (place, at_apple) in apple.servers.iter().enumerate() {
            let name = name(place);
            new.run(&["server", "add", &name, "--base-url", &apple.url]).await?;
            let pem = new.run(&["token", "key", &name]).await?;
            let token = apple.simulator().issue_token(at_apple, &pem, TokenShape::default())?;
            let file = new.write(&format!("{name}.p7m"), &token)?;
            new.run(&["token", "import", &name, &file]).await?;
            new.run(&["server", "set", &name, "--default", "any=standard"]).await?;
        }
        Ok(new)
    }

    /// Where the copies write their logs.
    pub fn logs(&self) -> PathBuf {
        self.home.path().join("logs")
    }

    /// Leaves the folder with the logs where it is.
    pub fn keep(mut self) {
        self.home.disable_cleanup(true);
    }

    /// The program with the environment of this installation. It is killed when its handle is dropped.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.adelie);
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("ADELIE_DATA_DIR", self.home.path().join("data"))
            .env("ADELIE_DATABASE_URL", &self.url)
            .env("ADELIE_DELTA_INTERVAL_SECONDS", "2")
            .env("ADELIE_LEASE_SECONDS", "5")
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, args: &[&str]) -> anyhow::Result<String> {
        let done = self.command(args).output().await?;
        anyhow::ensure!(
            done.status.success(),
            "`adelie {}` ended with {}\n{}",
            args.join(" "),
            done.status,
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(String::from_utf8(done.stdout)?)
    }

    fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<String> {
        let path = self.home.path().join(name);
        std::fs::write(&path, content)?;
        Ok(path.display().to_string())
    }
}

/// Our name for the MDM server at a place in the list.
pub fn name(place: usize) -> String {
    format!("server{place}")
}
