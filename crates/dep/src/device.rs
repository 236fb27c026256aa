//! A device as Apple sends it.

use std::borrow::Cow;
use std::fmt;

use adelie_model::{DeviceFamily, Extra, Fact, OpType, ProfileStatus, ProfileUuid, SerialNumber, Timestamp};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::DeviceResult;
use crate::lenient::{is_blank, text, time, truth};

/// A device as Apple sends it in lists and details (protocol section 4.6).
///
/// Only the serial number is sure to be there. Absent, `null` and `""` are alike: `None` (field lesson L12).
/// A value that does not read as its type, like a malformed moment, is kept in `extra` under its key and
/// does not fail the page. See <https://developer.apple.com/documentation/devicemanagement/device>.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Device {
    /// The serial number, exactly as Apple writes it.
    pub serial_number: SerialNumber,
    /// The name of the model, like `MacBook Pro`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Fact,
    /// A description, like `MBP 14.2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Fact,
    /// The colour; left out on some models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Fact,
    /// The organization's asset tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asset_tag: Fact,
    /// What Apple says of its profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_status: Option<ProfileStatus>,
    /// The assigned profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_uuid: Option<ProfileUuid>,
    /// When the profile was assigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_assign_time: Option<Timestamp>,
    /// When the device fetched the profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_push_time: Option<Timestamp>,
    /// When the device was given to this MDM server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_assigned_date: Option<Timestamp>,
    /// Who gave the device to this MDM server; `-1` for an automatic assignment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_assigned_by: Fact,
    /// The product family, from protocol version 2 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_family: Option<DeviceFamily>,
    /// The operating system: `iOS`, `iPadOS` (version 7 on), `OSX`, `tvOS`, `visionOS`, or a newer one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Fact,
    /// Until when it must have moved from another management service, from protocol version 8 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mdm_migration_deadline: Option<Timestamp>,
    /// Whether it came as a replacement, from protocol version 10 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_replacement_device: Option<bool>,
    /// Whether it left because it was replaced; only on `deleted` events, from protocol version 10 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released_by_replacement: Option<bool>,
    /// What happened to it; in sync pages only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op_type: Option<OpType>,
    /// When that happened; in sync pages only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op_date: Option<Timestamp>,
    /// In details only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_status: Option<DeviceResult>,
    /// Everything else: `eid`, `imei`, `meid`, MAC addresses, newer fields, and known fields with a value
    /// that does not read as their type. Never `null` and never `""`.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Device {
    /// A device of which only the serial number is known.
    #[must_use]
    pub fn new(serial_number: SerialNumber) -> Self {
        Self {
            serial_number,
            model: None,
            description: None,
            color: None,
            asset_tag: None,
            profile_status: None,
            profile_uuid: None,
            profile_assign_time: None,
            profile_push_time: None,
            device_assigned_date: None,
            device_assigned_by: None,
            device_family: None,
            os: None,
            mdm_migration_deadline: None,
            is_replacement_device: None,
            released_by_replacement: None,
            op_type: None,
            op_date: None,
            response_status: None,
            extra: Extra::new(),
        }
    }

    /// Lays a field of Apple's into its place, or into `extra` when it has none or does not read as its type.
    pub(crate) fn put(&mut self, name: Cow<'_, str>, value: Value) {
        if is_blank(&value) {
            return;
        }
        let unread = match &*name {
            "model" => read(&mut self.model, value, text),
            "description" => read(&mut self.description, value, text),
            "color" => read(&mut self.color, value, text),
            "asset_tag" => read(&mut self.asset_tag, value, text),
            "profile_status" => read(&mut self.profile_status, value, word),
            "profile_uuid" => read(&mut self.profile_uuid, value, |value| text(value).map(ProfileUuid)),
            "profile_assign_time" => read(&mut self.profile_assign_time, value, time),
            "profile_push_time" => read(&mut self.profile_push_time, value, time),
            "device_assigned_date" => read(&mut self.device_assigned_date, value, time),
            "device_assigned_by" => read(&mut self.device_assigned_by, value, text),
            "device_family" => read(&mut self.device_family, value, word),
            "os" => read(&mut self.os, value, text),
            "mdm_migration_deadline" => read(&mut self.mdm_migration_deadline, value, time),
            "is_replacement_device" => read(&mut self.is_replacement_device, value, truth),
            "released_by_replacement" => read(&mut self.released_by_replacement, value, truth),
            "op_type" => read(&mut self.op_type, value, word),
            "op_date" => read(&mut self.op_date, value, time),
            "response_status" => read(&mut self.response_status, value, |value| match value {
                Value::String(text) => Ok(DeviceResult::from(text.as_str())),
                other => Err(other),
            }),
            _ => Some(value),
        };
        if let Some(value) = unread {
            self.extra.insert(name.into_owned(), value);
        }
    }
}

/// Reads a value into its place; hands it back when it is of another type.
fn read<T>(
    place: &mut Option<T>,
    value: Value,
    read: impl FnOnce(Value) -> Result<T, Value>,
) -> Option<Value> {
    match read(value) {
        Ok(value) => {
            *place = Some(value);
            None
        }
        Err(value) => Some(value),
    }
}

/// A word of Apple's.
fn word<T: From<String>>(value: Value) -> Result<T, Value> {
    match value {
        Value::String(text) => Ok(text.into()),
        other => Err(other),
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Record)
    }
}

/// Reads a device field by field, without a map of all of them in between.
struct Record;

impl<'de> Visitor<'de> for Record {
    type Value = Device;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a device")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Device, A::Error> {
        let mut device = Device::new(SerialNumber::from_apple(String::new()));
        let mut serial = None;
        while let Some(Name(name)) = fields.next_key()? {
            let value: Value = fields.next_value()?;
            match value {
                Value::String(text) if name == "serial_number" => serial = Some(text),
                value => device.put(name, value),
            }
        }
        let serial = serial.filter(|serial| !serial.trim().is_empty());
        let serial = serial.ok_or_else(|| Error::custom("a device without serial_number"))?;
        device.serial_number = SerialNumber::from_apple(serial);
        Ok(device)
    }
}

/// The name of a field, borrowed from the answer where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Device {
        serde_json::from_value(value).expect("a device")
    }

    /// L12: absent, `null` and `""` are alike, and unknown words survive.
    #[test]
    fn absent_null_and_empty_are_alike_and_unknown_words_survive() {
        let bare = read(json!({"serial_number": "A1"}));
        assert_eq!(bare, Device::new(SerialNumber::from_apple("A1".into())));
        let blank = json!({"serial_number": "A1", "model": null, "color": "", "profile_uuid": " ",
            "profile_status": "", "op_date": "", "op_type": null, "device_family": "", "imei": null, "new": ""});
        assert_eq!(read(blank), bare);
        let odd = json!({"serial_number": "A1", "op_type": "teleported", "device_family": "Robot",
            "profile_status": "waiting", "os": "robotOS"});
        assert_eq!(serde_json::to_value(read(odd.clone())).expect("json"), odd);
    }

    #[test]
    fn a_malformed_moment_and_unknown_fields_are_kept_beside() {
        let device =
            read(json!({"serial_number": "A1", "op_date": "soon", "model": ["x"], "imei": ["1", "2"],
            "is_replacement_device": "true"}));
        assert_eq!(device.op_date, None);
        assert_eq!(device.is_replacement_device, Some(true));
        assert_eq!(json!(device.extra), json!({"op_date": "soon", "model": ["x"], "imei": ["1", "2"]}));
    }

    #[test]
    fn a_device_without_serial_number_is_an_error() {
        for bad in
            [json!({"model": "Mac"}), json!({"serial_number": ""}), json!({"serial_number": 7}), json!([])]
        {
            assert!(serde_json::from_value::<Device>(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_are_written_like_apple_writes_them() {
        let device =
            read(json!({"serial_number": "A1", "device_assigned_date": "2026-03-01T11:00:00+01:00"}));
        let json = serde_json::to_value(device).expect("json");
        assert_eq!(json["device_assigned_date"], "2026-03-01T10:00:00Z");
    }
}
