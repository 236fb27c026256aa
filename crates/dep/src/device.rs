//! A device as Apple sends it.

use adelie_model::{DeviceFamily, Fact, OpType, ProfileStatus, ProfileUuid, SerialNumber, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::DeviceResult;
use crate::lenient::{is_blank, take, text, time, truth};

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
    pub extra: Map<String, Value>,
}

impl Device {
    /// A device of which only the serial number is known.
    #[must_use]
    pub fn new(serial_number: SerialNumber) -> Self {
        Self::read(serial_number, Map::new())
    }

    pub(crate) fn read(serial_number: SerialNumber, mut record: Map<String, Value>) -> Self {
        record.remove("serial_number");
        let record = &mut record;
        Self {
            serial_number,
            model: take(record, "model", text),
            description: take(record, "description", text),
            color: take(record, "color", text),
            asset_tag: take(record, "asset_tag", text),
            profile_status: take(record, "profile_status", |v| v.as_str().map(ProfileStatus::from)),
            profile_uuid: take(record, "profile_uuid", |v| text(v).map(ProfileUuid)),
            profile_assign_time: take(record, "profile_assign_time", time),
            profile_push_time: take(record, "profile_push_time", time),
            device_assigned_date: take(record, "device_assigned_date", time),
            device_assigned_by: take(record, "device_assigned_by", text),
            device_family: take(record, "device_family", |v| v.as_str().map(DeviceFamily::from)),
            os: take(record, "os", text),
            mdm_migration_deadline: take(record, "mdm_migration_deadline", time),
            is_replacement_device: take(record, "is_replacement_device", truth),
            released_by_replacement: take(record, "released_by_replacement", truth),
            op_type: take(record, "op_type", |v| v.as_str().map(OpType::from)),
            op_date: take(record, "op_date", time),
            response_status: take(record, "response_status", |v| v.as_str().map(DeviceResult::from)),
            extra: std::mem::take(record).into_iter().filter(|(_, value)| !is_blank(value)).collect(),
        }
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut record = Map::deserialize(deserializer)?;
        let serial = take(&mut record, "serial_number", |value| value.as_str().map(str::to_owned))
            .ok_or_else(|| serde::de::Error::custom("a device without serial_number"))?;
        Ok(Self::read(SerialNumber::from_apple(serial), record))
    }
}

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
        assert_eq!(
            Value::Object(device.extra),
            json!({"op_date": "soon", "model": ["x"], "imei": ["1", "2"]})
        );
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
