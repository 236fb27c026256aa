use std::collections::BTreeMap;
use std::time::Duration;

use adelie_model::{DriftMode, ProfileName, ServerName};
use adelie_profile::Format;
use adelie_rules::Scope;
use adelie_store::SyncSettings;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::file::{Problem, read};

/// What a folder wants of an MDM server.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedServer {
    /// The MDM server.
    pub name: ServerName,
    /// Its defaults; `None` when the folder says nothing of them.
    pub defaults: Option<Vec<(Scope, ProfileName)>>,
    /// Its settings; `None` when the folder says nothing of them.
    pub settings: Option<SyncSettings>,
}

/// An MDM server in the file of the servers, by its name.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerEntry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) defaults: Option<BTreeMap<String, ProfileName>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settings: Option<SettingsEntry>,
}

/// Settings with the names of the options of `adelie server set`.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct SettingsEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    delta_interval: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_interval: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manual_interval: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manual_full_interval: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress_deadline: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removal_percent: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tombstone_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<DriftMode>,
}

/// Whole seconds, written like `15m`.
#[derive(Clone, Copy)]
struct Span(u32);

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = humantime::format_duration(Duration::from_secs(self.0.into()));
        serializer.collect_str(&text)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const LONGEST: u64 = 10 * 365 * 86_400;
        let text = String::deserialize(deserializer)?;
        let wrong = || {
            let message = format!(
                "{text:?} is no length of time: write whole seconds up to ten years, like 90s, 15m, 12h or 7d"
            );
            serde::de::Error::custom(message)
        };
        let time = humantime::parse_duration(&text).map_err(|_| wrong())?;
        match u32::try_from(time.as_secs()) {
            Ok(seconds) if (1..=LONGEST).contains(&time.as_secs()) && time.subsec_nanos() == 0 => {
                Ok(Self(seconds))
            }
            _ => Err(wrong()),
        }
    }
}

impl From<&SyncSettings> for SettingsEntry {
    fn from(settings: &SyncSettings) -> Self {
        Self {
            delta_interval: settings.delta_interval_s.map(Span),
            full_interval: settings.full_interval_s.map(Span),
            manual_interval: settings.manual_interval_s.map(Span),
            manual_full_interval: settings.manual_full_interval_s.map(Span),
            progress_deadline: settings.progress_deadline_s.map(Span),
            removal_percent: settings.removal_percent,
            tombstone_days: settings.tombstone_days,
            drift: settings.drift,
        }
    }
}

impl SettingsEntry {
    /// The settings, or what is wrong with them.
    fn settings(&self) -> Result<SyncSettings, String> {
        let at_most = |what: &str, value: Option<u32>, most: u32| match value {
            Some(value) if value > most => {
                Err(format!("{what} is {value}: it must be a number from 0 to {most}"))
            }
            _ => Ok(()),
        };
        at_most("removal-percent", self.removal_percent, 100)?;
        at_most("tombstone-days", self.tombstone_days, 36_500)?;
        let seconds = |span: Option<Span>| span.map(|span| span.0);
        Ok(SyncSettings {
            delta_interval_s: seconds(self.delta_interval),
            full_interval_s: seconds(self.full_interval),
            manual_interval_s: seconds(self.manual_interval),
            manual_full_interval_s: seconds(self.manual_full_interval),
            progress_deadline_s: seconds(self.progress_deadline),
            removal_percent: self.removal_percent,
            tombstone_days: self.tombstone_days,
            drift: self.drift,
        })
    }
}

/// Reads what a folder wants of MDM servers.
pub(crate) fn servers(file: &str, text: &str, format: Format) -> Result<Vec<WantedServer>, Vec<Problem>> {
    let content: BTreeMap<ServerName, ServerEntry> =
        read(file, text, format).map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let mut servers = Vec::with_capacity(content.len());
    for (name, entry) in content {
        let mut defaults = entry.defaults.as_ref().map(|_| Vec::new());
        for (word, profile) in entry.defaults.into_iter().flatten() {
            match word.parse::<Scope>() {
                Ok(scope) => defaults.get_or_insert_default().push((scope, profile)),
                Err(error) => problems.push(Problem::new(file, format!("{name}: {error}"))),
            }
        }
        let settings = entry.settings.map(|settings| settings.settings()).transpose();
        let settings = settings.unwrap_or_else(|error| {
            problems.push(Problem::new(file, format!("{name}: {error}")));
            None
        });
        servers.push(WantedServer { name, defaults, settings });
    }
    if problems.is_empty() { Ok(servers) } else { Err(problems) }
}
