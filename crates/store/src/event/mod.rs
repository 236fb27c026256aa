//! What happened, as it is written in the transaction that made it happen (field lesson L15), and as webhooks tell it.
//!
//! Every type of event is a Rust type with a row in the [`TYPES`]: its name, how serious it is, what it means, and the
//! JSON Schema of its details. `docs/events.md` and `docs/events.schema.json` are made of them.

mod catalogue;
mod configuration;
mod devices;
mod posted;
mod schema;
mod servers;
mod tokens;
mod webhooks;

use adelie_model::{EventId, SerialNumber};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

pub use self::catalogue::{EventType, Severity, TYPES, event_type};
pub use self::configuration::{ProfileRevised, RulesChanged, configured};
pub use self::devices::{
    AssignmentOutcome, AssignmentSucceeded, DeviceAdded, DeviceDeleted, DeviceHeld, DeviceModified,
    DeviceRemoved, DeviceRetried, DeviceTagged, DeviceUnheld, DevicesImported, DriftDetected, DriftRepaired,
    settled,
};
pub(crate) use self::devices::{changes, drift_repaired, imported, read_back};
pub use self::posted::{PostedDevice, PostedDevices, PostedProfile};
pub use self::schema::{SCHEMA_URL, schema};
pub(crate) use self::servers::listed_page;
pub use self::servers::{
    DefaultsChanged, Ended, FullSyncRequired, OperatorAction, ProfilesRetried, RemovalsHeld, RunEnded,
    SettingsChanged, SyncPage, attention_changed, full_sync_required, run_ended, sync_page,
};
pub use self::tokens::{TokenChanged, TokenRenewed, token_changed, token_expires};
pub use self::webhooks::{WebhookDisabled, WebhookReplayed, WebhookTouched, webhook_touched};

/// An event to be written: something that is true once the transaction commits.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// One of the [`TYPES`].
    pub kind: &'static str,
    /// The device it is about; `None` when it is about several, whose `serial_numbers` are in the details, or about none.
    pub serial: Option<SerialNumber>,
    /// Details: an object.
    pub data: Value,
}

impl NewEvent {
    /// An event about one device.
    pub fn of_device(serial: SerialNumber, kind: &'static str, details: &impl Serialize) -> Self {
        Self { kind, serial: Some(serial), data: object(details) }
    }

    /// An event about several devices, which the details name, or about none.
    pub fn new(kind: &'static str, details: &impl Serialize) -> Self {
        Self { kind, serial: None, data: object(details) }
    }
}

/// The id of an event outside of its database: that of its webhooks, the same over retries, restarts and replays. It names
/// the installation, so that a receiver of two of them never takes one event for another.
#[must_use]
pub fn public_id(installation: Uuid, event: EventId) -> String {
    format!("evt_{}_{event}", short_name(installation))
}

/// The first digits of an installation's name: enough to tell those apart that one receiver knows.
#[must_use]
pub fn short_name(installation: Uuid) -> String {
    let mut name = installation.simple().to_string();
    name.truncate(12);
    name
}

/// Details as an object. Ours are structs without maps of other keys than text, which always are one.
fn object(details: &impl Serialize) -> Value {
    match serde_json::to_value(details) {
        Ok(Value::Null) => Value::Object(Map::new()),
        Ok(value) => value,
        Err(error) => {
            debug_assert!(false, "details that are no JSON: {error}");
            Value::Object(Map::new())
        }
    }
}
