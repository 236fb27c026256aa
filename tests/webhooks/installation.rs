//! One installation of Adelie with synced devices, and receivers for it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use adelie_model::{Clock, Timestamp, to_millis};
use adelie_simulator::{Settings, Simulator, TokenShape};
use anyhow::Context as _;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

const PROFILE: &str = r#"{
  "profile_name": "Standard", "url": "https://mdm.example.org/enroll",
  "is_supervised": true, "skip_setup_items": ["Siri", "Diagnostics"]
}"#;

/// Where the data are.
pub enum Place {
    /// A file in the data directory.
    Sqlite,
    /// The URL of a fresh database.
    Postgres(String),
}

impl Place {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

/// A data directory of its own.
pub struct Installation {
    adelie: PathBuf,
    database: Option<String>,
    env: BTreeMap<String, String>,
    pub home: TempDir,
}

/// A line of a receiver's log.
pub struct Noted {
    /// Microseconds since 1970 at which its first line was read.
    pub at: u64,
    pub path: String,
    pub id: String,
    pub hash: String,
    pub good: bool,
}

impl Installation {
    /// An MDM server with so many devices, synced and assigned before any endpoint is there.
    pub async fn synced(adelie: &Path, place: &Place, devices: usize) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("adelie-webhooks-").tempdir()?;
        let database = match place {
            Place::Sqlite => None,
            Place::Postgres(url) => Some(url.clone()),
        };
        let mut new = Self { adelie: adelie.to_owned(), database, env: BTreeMap::new(), home };
        new.set("ADELIE_WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8");
        let apple = Simulator::new(Settings { devices, ..Settings::default() }, Arc::new(RealClock));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let serving = tokio::spawn(apple.clone().serve(listener, std::future::pending()));
        new.run(&["server", "add", "lab", "--base-url", &url]).await?;
        let pem = new.run(&["token", "key", "lab"]).await?;
        let file = new.write("lab.p7m", &apple.issue_token("Lab", &pem, TokenShape::default())?)?;
        new.run(&["token", "import", "lab", &file]).await?;
        let profile = new.write("standard.json", PROFILE.as_bytes())?;
        new.run(&["profile", "new", "standard", "--file", &profile]).await?;
        new.run(&["server", "set", "lab", "--default", "any=standard"]).await?;
        new.run(&["sync", "lab"]).await?;
        // Nothing of the engine is to run beside what is looked at.
        new.run(&["server", "pause", "lab"]).await?;
        serving.abort();
        Ok(new)
    }

    /// Sets an environment variable for every run from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// Has one event happen for each device.
    pub async fn tag_all(&self, tag: &str) -> anyhow::Result<()> {
        self.run(&["device", "tag", "--matching", "--server", "lab", "--add", tag]).await.map(drop)
    }

    /// Adds an endpoint for the events of [`tag_all`](Self::tag_all).
    pub async fn subscribe(&self, address: SocketAddr, path: &str, concurrency: usize) -> anyhow::Result<()> {
        let url = format!("http://{address}/{path}");
        let concurrency = concurrency.to_string();
        self.run(&["webhook", "add", &url, "--event", "device.tagged", "--concurrency", &concurrency])
            .await
            .map(drop)
    }

    /// All events of a type: their ids, and when they happened, in microseconds since 1970.
    pub async fn made(&self, kind: &str) -> anyhow::Result<BTreeMap<String, i64>> {
        let listed = self.run(&["events", "list", "--type", kind, "--limit", "4000000", "--json"]).await?;
        let read = |line: &str| -> anyhow::Result<(String, i64)> {
            let event: Value = serde_json::from_str(line)?;
            let at: Timestamp = event["at"].as_str().context("an event without a time")?.parse()?;
            Ok((event["id"].as_str().context("an event without an id")?.to_owned(), at.timestamp_micros()))
        };
        listed.lines().map(read).collect()
    }

    /// What waits for all endpoints together.
    pub async fn waiting(&self) -> anyhow::Result<u64> {
        let listed = self.run(&["webhook", "list", "--json"]).await?;
        let mut waiting = 0;
        for line in listed.lines() {
            let endpoint: Value = serde_json::from_str(line)?;
            for key in ["pending", "retrying", "dead"] {
                waiting += endpoint[key].as_u64().context("a count")?;
            }
        }
        Ok(waiting)
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
            .envs(&self.env)
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(url) = &self.database {
            command.env("ADELIE_DATABASE_URL", url);
        }
        command
    }

    /// Starts the service; its log is a file.
    pub fn serve(&self) -> anyhow::Result<Child> {
        let log =
            std::fs::File::options().create(true).append(true).open(self.home.path().join("serve.log"))?;
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        Ok(command.stdout(Stdio::null()).stderr(log).spawn()?)
    }

    /// Runs a command to its end.
    pub async fn run(&self, args: &[&str]) -> anyhow::Result<String> {
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

    /// Where the receiver notes what it gets.
    pub fn receiver_log(&self) -> PathBuf {
        self.home.path().join("received.log")
    }

    /// What the receiver has noted; a line that is still written is left out.
    pub fn noted(&self) -> anyhow::Result<Vec<Noted>> {
        let text = match std::fs::read_to_string(self.receiver_log()) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error.into()),
        };
        let mut noted = Vec::new();
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [at, path, id, hash, answer] = words.as_slice() else {
                anyhow::bail!("the receiver noted {line:?}");
            };
            let (path, id, hash) = ((*path).to_owned(), (*id).to_owned(), (*hash).to_owned());
            noted.push(Noted { at: at.parse()?, path, id, hash, good: *answer == "good" });
        }
        Ok(noted)
    }

    /// Starts a receiver and waits until it listens.
    pub async fn receiver(&self, address: SocketAddr, options: &[&str]) -> anyhow::Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["receiver", "--listen", &address.to_string(), "--log"]).arg(self.receiver_log());
        let child = command.args(options).stdin(Stdio::null()).kill_on_drop(true).spawn()?;
        for _ in 0..500 {
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                return Ok(child);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::bail!("the receiver does not listen on {address}")
    }
}

/// The real time, which only programs at the top read.
struct RealClock;

#[async_trait::async_trait]
impl Clock for RealClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the program under test reads the real clock, so Apple must too"
    )]
    fn now(&self) -> Timestamp {
        to_millis(chrono::Utc::now())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// An address on this machine that nobody listens on. It is none of those that the system gives to outgoing connections:
/// while a receiver is down, the service that connects to it could get its own port.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000)?;
    for port in first..first + 1_000 {
        if let Ok(listener) = std::net::TcpListener::bind(("127.0.0.1", port)) {
            return Ok(listener.local_addr()?);
        }
    }
    anyhow::bail!("no port from {first} on is free")
}

/// The value below which so many of a hundred lie.
pub fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or(0)
}
