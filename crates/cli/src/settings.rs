//! Settings from the configuration file, the environment and the flags, in that order.

use std::path::{Path, PathBuf};
use std::time::Duration;

use adelie_dep::{AssignMethod, Options};
use adelie_store::audit::without_secrets;
use adelie_webhook::{AllowNetworks, Ladder, NetworkError};
use chrono::TimeDelta;
use serde::Deserialize;

use crate::args::Global;
use crate::exit::wrong;
use crate::master_keys::MasterKeySettings;

/// What `adelie.toml` may hold. Every key has an environment variable of the same name: `ADELIE_USER_AGENT`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    data_dir: Option<PathBuf>,
    master_key_file: Option<PathBuf>,
    database: Option<String>,
    log: Option<String>,
    user_agent: Option<String>,
    assign_method: Option<String>,
    protocol_version: Option<u32>,
    request_timeout_seconds: Option<u64>,
    requests_in_flight: Option<usize>,
    delta_interval_seconds: Option<u32>,
    full_interval_seconds: Option<u32>,
    manual_interval_seconds: Option<u32>,
    manual_full_interval_seconds: Option<u32>,
    progress_deadline_seconds: Option<u64>,
    removal_percent: Option<u64>,
    tombstone_days: Option<u32>,
    event_days: Option<u32>,
    servers_at_once: Option<usize>,
    lease_seconds: Option<u64>,
    terms_interval_seconds: Option<u32>,
    token_interval_seconds: Option<u32>,
    webhook: WebhookFile,
    passwords: PasswordsFile,
}

/// The table `[webhook]`. Its keys have environment variables with `WEBHOOK` in them:
/// `ADELIE_WEBHOOK_ALLOW_NETWORKS`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WebhookFile {
    allow_networks: Option<Listed<String>>,
    timeout_seconds: Option<u64>,
    posts_at_once: Option<usize>,
    retry_seconds: Option<Listed<u64>>,
    keep_days: Option<u32>,
    ca_file: Option<PathBuf>,
}

/// The table `[passwords]`. Its keys have environment variables with `PASSWORDS` in them:
/// `ADELIE_PASSWORDS_ROTATE_DAYS`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PasswordsFile {
    rotate_days: Option<u32>,
    rotate_after_view_hours: Option<u32>,
}

/// Values as one text with commas, or as a list.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Listed<T> {
    Text(String),
    List(Vec<T>),
}

impl<T: std::fmt::Display> Listed<T> {
    /// As one text with commas.
    fn joined(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::List(list) => list.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        }
    }
}

/// How webhooks are sent.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// The internal networks that may be posted to, and by plain HTTP.
    pub allow_networks: AllowNetworks,
    /// How long one try may take in all.
    pub timeout: Duration,
    /// Posts under way at once, to all endpoints together.
    pub posts_at_once: usize,
    /// How long after each failed try the next one comes.
    pub ladder: Ladder,
    /// Deliveries and their tries are deleted after so many days.
    pub keep_days: u32,
    /// Certificates in PEM that are trusted besides those of the system.
    pub ca_file: Option<PathBuf>,
}

/// When administrator passwords are to be replaced.
#[derive(Clone, Copy, Debug)]
pub struct PasswordSettings {
    /// So many days after a Mac got it; 0 is never.
    pub rotate_days: u32,
    /// So many hours after somebody has looked at it.
    pub rotate_after_view_hours: u32,
}

/// Where the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL URL.
    Postgres(String),
}

/// Everything that a command needs to know before it starts.
#[derive(Clone, Debug)]
pub struct Settings {
    pub data_dir: PathBuf,
    pub database: Database,
    pub master_key: MasterKeySettings,
    pub log: Option<String>,
    pub json: bool,
    /// No notes; for the demo, which tells everything in its own words.
    pub quiet: bool,
    /// Why the command is run, for the audit.
    pub reason: Option<String>,
    pub apple: Options,
    pub engine: adelie_scheduler::Settings,
    pub webhook: WebhookSettings,
    pub passwords: PasswordSettings,
}

impl Settings {
    /// Reads the file and the environment and lays the flags over them.
    ///
    /// A command that `stores` nothing runs also where no data directory is known; its settings then name none.
    pub fn load(global: &Global, stores: bool) -> anyhow::Result<Self> {
        let usual = default_data_dir();
        let (file, place) = read_file(global, global.data_dir.as_deref().or(usual.as_deref()))?;
        let data_dir = match global.data_dir.clone().or(file.data_dir).or(usual) {
            Some(dir) => dir,
            None if stores => {
                let problem = "no data directory is known, because HOME is not set";
                return Err(wrong(problem, "set --data-dir or ADELIE_DATA_DIR"));
            }
            None => PathBuf::new(),
        };
        let database = match global.database.as_deref().or(file.database.as_deref()) {
            Some(url) => database(url)?,
            None => Database::Sqlite(data_dir.join("adelie.db")),
        };
        let from = Source { place };
        let mut apple = Options::default();
        if let Some(user_agent) = from.pick("user_agent", file.user_agent)? {
            apple.user_agent = user_agent;
        }
        if let Some(method) = from.pick("assign_method", file.assign_method)? {
            apple.assign_method = match method.to_ascii_lowercase().as_str() {
                "post" => AssignMethod::Post,
                "put" => AssignMethod::Put,
                _ => return Err(from.bad("assign_method", &method, "`post` or `put`")),
            };
        }
        if let Some(version) = from.pick("protocol_version", file.protocol_version)? {
            apple.protocol_version = version;
        }
        if let Some(seconds) = from.pick("request_timeout_seconds", file.request_timeout_seconds)? {
            apple.request_timeout =
                Duration::from_secs(from.at_least(1, "request_timeout_seconds", seconds)?);
        }
        if let Some(requests) = from.pick("requests_in_flight", file.requests_in_flight)? {
            apple.in_flight = from.at_least(1, "requests_in_flight", requests)?;
        }
        let mut engine = adelie_scheduler::Settings::default();
        for (key, set, interval) in [
            ("delta_interval_seconds", file.delta_interval_seconds, &mut engine.delta_interval),
            ("full_interval_seconds", file.full_interval_seconds, &mut engine.full_interval),
            ("manual_interval_seconds", file.manual_interval_seconds, &mut engine.manual_interval),
            (
                "manual_full_interval_seconds",
                file.manual_full_interval_seconds,
                &mut engine.manual_full_interval,
            ),
            ("terms_interval_seconds", file.terms_interval_seconds, &mut engine.terms_interval),
            ("token_interval_seconds", file.token_interval_seconds, &mut engine.token_interval),
        ] {
            if let Some(seconds) = from.pick(key, set)? {
                *interval = TimeDelta::seconds(from.at_least(1, key, seconds)?.into());
            }
        }
        if let Some(seconds) = from.pick("progress_deadline_seconds", file.progress_deadline_seconds)? {
            engine.progress_deadline =
                Duration::from_secs(from.at_least(1, "progress_deadline_seconds", seconds)?);
        }
        if let Some(percent) = from.pick("removal_percent", file.removal_percent)? {
            if percent > 100 {
                return Err(from.bad("removal_percent", &percent, "a number from 0 to 100"));
            }
            engine.removal_percent = percent;
        }
        for (key, set, days) in [
            ("tombstone_days", file.tombstone_days, &mut engine.tombstone_days),
            ("event_days", file.event_days, &mut engine.event_days),
        ] {
            if let Some(set) = from.pick(key, set)? {
                if set > 36_500 {
                    return Err(from.bad(key, &set, "a number of days from 0 to 36500"));
                }
                *days = set;
            }
        }
        if let Some(servers) = from.pick("servers_at_once", file.servers_at_once)? {
            engine.servers_at_once = from.at_least(1, "servers_at_once", servers)?;
        }
        if let Some(seconds) = from.pick("lease_seconds", file.lease_seconds)? {
            if !(1..=3600).contains(&seconds) {
                return Err(from.bad("lease_seconds", &seconds, "a number from 1 to 3600"));
            }
            engine.lease_ttl = Duration::from_secs(seconds);
        }
        let master_key_file = from.pick("master_key_file", file.master_key_file)?;
        let webhook = webhook(&from, file.webhook)?;
        let passwords = passwords(&from, &file.passwords)?;
        Ok(Self {
            data_dir,
            database,
            master_key: MasterKeySettings::from_environment(master_key_file),
            log: global.log.clone().or(file.log),
            json: global.json,
            quiet: false,
            reason: global.reason.clone(),
            apple,
            engine,
            webhook,
            passwords,
        })
    }
}

fn webhook(from: &Source, file: WebhookFile) -> anyhow::Result<WebhookSettings> {
    let key = "webhook_allow_networks";
    let text = from.pick(key, file.allow_networks.map(Listed::joined))?.unwrap_or_default();
    let allow_networks = text.parse().map_err(|error: NetworkError| {
        wrong(format!("{}: {error}", from.place(key)), "separate networks by commas: 10.1.0.0/16,127.0.0.0/8")
    })?;
    let key = "webhook_timeout_seconds";
    let timeout = from.pick(key, file.timeout_seconds)?.unwrap_or(20);
    if !(1..=120).contains(&timeout) {
        return Err(from.bad(key, &timeout, "a number from 1 to 120"));
    }
    let key = "webhook_retry_seconds";
    let ladder = match from.pick(key, file.retry_seconds.map(Listed::joined))? {
        Some(text) => {
            let second = |part: &str| match part.trim().parse() {
                Ok(seconds @ 1..=604_800) => Ok(Duration::from_secs(seconds)),
                _ => Err(from.bad(key, &text, "numbers from 1 to 604800 with commas between them")),
            };
            Ladder::new(text.split(',').map(second).collect::<anyhow::Result<_>>()?)
        }
        None => Ladder::default(),
    };
    let posts_at_once = from.pick("webhook_posts_at_once", file.posts_at_once)?.unwrap_or(512);
    let keep_days = from.pick("webhook_keep_days", file.keep_days)?.unwrap_or(30);
    Ok(WebhookSettings {
        allow_networks,
        timeout: Duration::from_secs(timeout),
        ladder,
        posts_at_once: from.at_least(1, "webhook_posts_at_once", posts_at_once)?,
        keep_days: from.at_least(1, "webhook_keep_days", keep_days)?,
        ca_file: from.pick("webhook_ca_file", file.ca_file)?,
    })
}

fn passwords(from: &Source, file: &PasswordsFile) -> anyhow::Result<PasswordSettings> {
    let key = "passwords_rotate_days";
    let rotate_days = from.pick(key, file.rotate_days)?.unwrap_or(90);
    if rotate_days > 36_500 {
        return Err(from.bad(key, &rotate_days, "a number of days from 0 to 36500; 0 is never"));
    }
    let key = "passwords_rotate_after_view_hours";
    let rotate_after_view_hours = from.pick(key, file.rotate_after_view_hours)?.unwrap_or(24);
    if rotate_after_view_hours > 876_000 {
        return Err(from.bad(key, &rotate_after_view_hours, "a number of hours from 0 to 876000"));
    }
    Ok(PasswordSettings { rotate_days, rotate_after_view_hours })
}

/// Where a setting outside of the flags comes from, for messages.
struct Source {
    place: Option<PathBuf>,
}

impl Source {
    /// The environment's value of a setting, else the file's.
    fn pick<T: std::str::FromStr>(&self, key: &str, from_file: Option<T>) -> anyhow::Result<Option<T>> {
        let variable = variable(key);
        match std::env::var(&variable) {
            Ok(text) if text.trim().is_empty() => Ok(from_file),
            Ok(text) => match text.trim().parse() {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(wrong(
                    format!("environment variable {variable} has the value {text:?}, which is no number"),
                    format!("set {variable} to a whole number, or unset it"),
                )),
            },
            Err(_) => Ok(from_file),
        }
    }

    fn at_least<T: PartialOrd + std::fmt::Display>(
        &self,
        least: T,
        key: &str,
        value: T,
    ) -> anyhow::Result<T> {
        if value < least { Err(self.bad(key, &value, &format!("at least {least}"))) } else { Ok(value) }
    }

    fn bad(&self, key: &str, value: &dyn std::fmt::Display, rule: &str) -> anyhow::Error {
        let place = self.place(key);
        wrong(format!("{place} is {value} and must be {rule}"), "change it, or leave it out for the default")
    }

    /// Where the value of a setting comes from.
    fn place(&self, key: &str) -> String {
        let variable = variable(key);
        match (&self.place, std::env::var_os(&variable)) {
            // The file has a table of them.
            (Some(file), None) => {
                let key = key.replace("webhook_", "webhook.").replace("passwords_", "passwords.");
                format!("{key} in {}", file.display())
            }
            _ => format!("environment variable {variable}"),
        }
    }
}

fn variable(key: &str) -> String {
    format!("ADELIE_{}", key.to_ascii_uppercase())
}

fn read_file(global: &Global, data_dir: Option<&Path>) -> anyhow::Result<(File, Option<PathBuf>)> {
    let (path, must_exist) = match (&global.config, data_dir) {
        (Some(path), _) => (path.clone(), true),
        (None, Some(dir)) => (dir.join("adelie.toml"), false),
        (None, None) => return Ok((File::default(), None)),
    };
    use std::io::ErrorKind::{NotADirectory, NotFound};
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) && !must_exist => {
            return Ok((File::default(), None));
        }
        Err(error) => {
            return Err(wrong(
                format!("the configuration file {} cannot be read: {error}", path.display()),
                "check --config or ADELIE_CONFIG and the file's permissions",
            ));
        }
    };
    match toml::from_str(&text) {
        Ok(file) => Ok((file, Some(path))),
        Err(error) => Err(wrong(
            format!("the configuration file {} is wrong: {}", path.display(), complaint(&text, &error)),
            "docs/operations.md lists the keys; nothing was changed",
        )),
    }
}

/// What is wrong with the file, and where. The line itself may hold the password of a database and is not repeated.
fn complaint(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let place = before.map(|before| {
        let line = before.matches('\n').count() + 1;
        format!(
            "line {line}, column {}: ",
            before.chars().rev().take_while(|letter| *letter != '\n').count() + 1
        )
    });
    format!("{}{}", place.unwrap_or_default(), without_secrets(error.message()))
}

fn database(url: &str) -> anyhow::Result<Database> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Database::Postgres(url.to_owned()));
    }
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if !path.is_empty() && !path.contains('?') {
            return Ok(Database::Sqlite(PathBuf::from(path)));
        }
    }
    // The value may hold a password, so it is not repeated.
    Err(wrong(
        "the database setting is neither a SQLite file nor a PostgreSQL URL",
        "use sqlite:PATH or postgres://USER@HOST/NAME for --database or ADELIE_DATABASE_URL",
    ))
}

/// Where the data of a user belong; `None` when neither variable that says it is set.
fn default_data_dir() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("XDG_DATA_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("adelie"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_in_the_docs_is_a_settings_file() {
        let docs = include_str!("../../../docs/operations.md");
        let sample =
            docs.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a sample");
        let file: File = toml::from_str(sample).expect("a settings file");
        assert_eq!(file.removal_percent, Some(5));
        assert!(toml::from_str::<File>("removal_percnt = 5").is_err());
    }

    #[test]
    fn database_urls_are_told_apart_and_a_wrong_one_is_not_repeated() {
        let sqlite = |text| database(text).expect("a database");
        assert_eq!(sqlite("sqlite:///srv/a.db"), Database::Sqlite("/srv/a.db".into()));
        assert_eq!(sqlite("sqlite:a.db"), Database::Sqlite("a.db".into()));
        assert!(matches!(sqlite("postgres://me@db/adelie"), Database::Postgres(_)));
        let error = database("mysql://me:secret@db/adelie").expect_err("not one of ours");
        assert!(!format!("{error:?}").contains("secret"));
        assert!(database("sqlite:").is_err());
    }
}
