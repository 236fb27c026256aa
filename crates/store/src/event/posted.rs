//! What is said of an event only when it is posted, because with the event it would be stored a million times.

use adelie_model::{Device, DeviceFamily, SerialNumber};
use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;
use serde_json::Value;

/// Added to whatever names a revision that is still known.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PostedProfile {
    /// The name of the profile. Added when the event is posted.
    pub profile: String,
    /// Which of its revisions, as `adelie profile history` counts them. Added when the event is posted.
    pub profile_revision: u32,
}

/// Added to a first full sync.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PostedDevices {
    /// What is known of the devices. Added when the event is posted, unless it would become too large.
    pub devices: Vec<PostedDevice>,
}

/// A device of a first full sync, as it is known when it is told of.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PostedDevice {
    /// Its serial number.
    #[schemars(with = "String")]
    pub serial_number: SerialNumber,
    /// Its model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Its asset tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asset_tag: Option<String>,
    /// Its device family, like `iPhone` or `Mac`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
}

impl From<&Device> for PostedDevice {
    fn from(device: &Device) -> Self {
        let actual = &device.actual;
        Self {
            serial_number: device.serial.clone(),
            model: actual.model.clone(),
            asset_tag: actual.asset_tag.clone(),
            device_family: actual.device_family.as_ref().map(DeviceFamily::as_str).map(str::to_owned),
        }
    }
}

/// The schema of what is added to the details of a type, given the schema of what is stored.
pub(super) fn added(kind: &str, stored: &Value) -> Option<Schema> {
    match kind {
        "devices.imported" => Some(schema_for!(PostedDevices)),
        _ if stored["properties"]["revision"].is_object() => Some(schema_for!(PostedProfile)),
        _ => None,
    }
}
