//! Short ways to write rules and devices in tests.

use adelie_model::{DeviceFamily, RevisionId, SerialNumber, ServerId, ServerName, Timestamp};

use crate::{OnlyServer, Rule, Subject};

/// A rule for all MDM servers.
pub(crate) fn rule(name: &str, conditions: &[&str], gives: i64) -> Rule {
    Rule {
        name: name.parse().expect("a name"),
        only: None,
        conditions: conditions.iter().map(|text| text.parse().expect("a condition")).collect(),
        gives: RevisionId(gives),
    }
}

pub(crate) fn only(id: i64, name: &str) -> OnlyServer {
    OnlyServer { id: ServerId(id), name: name.parse().expect("a name") }
}

pub(crate) fn serial(text: &str) -> SerialNumber {
    SerialNumber::from_apple(text.to_owned())
}

/// A device that owns its facts.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) server: ServerId,
    pub(crate) server_name: ServerName,
    pub(crate) serial: SerialNumber,
    pub(crate) family: Option<DeviceFamily>,
    pub(crate) model: Option<String>,
    pub(crate) os: Option<String>,
    pub(crate) color: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) asset_tag: Option<String>,
    pub(crate) assigned_by: Option<String>,
    pub(crate) assigned_date: Option<Timestamp>,
    pub(crate) tags: Vec<String>,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            server: ServerId(1),
            server_name: "School".parse().expect("a name"),
            serial: serial("C02XYZ"),
            family: Some(DeviceFamily::Mac),
            model: Some("MacBook Pro".to_owned()),
            os: Some("OSX".to_owned()),
            color: Some("SILVER".to_owned()),
            description: Some("MBP 14.2".to_owned()),
            asset_tag: None,
            assigned_by: Some("-1".to_owned()),
            assigned_date: "2026-03-01T10:00:00Z".parse().ok(),
            tags: vec!["lab-1".to_owned(), "north".to_owned()],
        }
    }
}

impl Sample {
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            server: self.server,
            server_name: &self.server_name,
            serial: &self.serial,
            family: self.family.as_ref(),
            model: self.model.as_deref(),
            os: self.os.as_deref(),
            color: self.color.as_deref(),
            description: self.description.as_deref(),
            asset_tag: self.asset_tag.as_deref(),
            assigned_by: self.assigned_by.as_deref(),
            assigned_date: self.assigned_date,
            tags: &self.tags,
        }
    }
}
