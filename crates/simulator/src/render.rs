//! Devices as JSON, by hand: pages hold a thousand of them, and two thousand pages a second are asked for.

use serde_json::{Map, Value};

use crate::clock::write_time;
use crate::state::catalog::{ASSIGNERS, KINDS, Kind, NO_COLOR};
use crate::state::device::{Device, NO_PROFILE, SPARSE, Status};
use crate::state::events::Op;
use crate::state::mix;

/// Protocol versions that show a device alike (protocol section 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    One,
    Two,
    Seven,
    Eight,
    Ten,
}

impl Class {
    pub(crate) const COUNT: usize = 5;

    /// The class of a protocol version.
    pub(crate) fn of(version: u8) -> Self {
        match version {
            0 | 1 => Self::One,
            2..=6 => Self::Two,
            7 => Self::Seven,
            8 | 9 => Self::Eight,
            _ => Self::Ten,
        }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// What a sync page adds to a device.
pub(crate) type OpInfo = Option<(Op, i64)>;

/// The identifiers of the profiles that devices refer to by number.
pub(crate) type ProfileNames = [Box<str>];

/// Writes one device as a JSON object.
pub(crate) fn device(out: &mut Vec<u8>, device: &Device, class: Class, profiles: &ProfileNames, op: OpInfo) {
    let Some(overrides) = &device.overrides else {
        plain(out, device, class, profiles, op);
        return;
    };
    let mut text = Vec::with_capacity(512);
    plain(&mut text, device, class, profiles, op);
    let mut fields: Map<String, Value> = serde_json::from_slice(&text).unwrap_or_default();
    overrides.apply(&mut fields);
    hide_newer(&mut fields, class);
    out.extend_from_slice(Value::Object(fields).to_string().as_bytes());
}

/// A field that was set by a command obeys the version like the others.
fn hide_newer(fields: &mut Map<String, Value>, class: Class) {
    const TEN: [&str; 8] = [
        "eid",
        "imei",
        "meid",
        "wifi_mac_address",
        "bluetooth_mac_address",
        "ethernet_mac_address",
        "is_replacement_device",
        "released_by_replacement",
    ];
    if class != Class::Ten {
        TEN.iter().for_each(|name| drop(fields.remove(*name)));
        if class != Class::Eight {
            fields.remove("mdm_migration_deadline");
        }
    }
    if class == Class::One {
        fields.remove("device_family");
        fields.remove("os");
    }
}

fn plain(out: &mut Vec<u8>, device: &Device, class: Class, profiles: &ProfileNames, op: OpInfo) {
    let Some(kind) = KINDS.get(usize::from(device.kind)) else { return };
    let sparse = device.has(SPARSE);
    out.extend_from_slice(b"{\"serial_number\":\"");
    out.extend_from_slice(device.serial.as_bytes());
    text(out, "model", kind.model);
    if !sparse {
        text(out, "description", kind.description);
        if device.color != NO_COLOR
            && let Some(color) = kind.colors.get(usize::from(device.color))
        {
            text(out, "color", color);
        }
    }
    if class != Class::One {
        text(out, "device_family", kind.family);
        text(out, "os", os(kind, class));
    }
    profile(out, device, profiles);
    if !sparse && let Some(by) = ASSIGNERS.get(usize::from(device.assigned_by)) {
        text(out, "device_assigned_by", by);
    }
    time(out, "device_assigned_date", device.assigned_at);
    if let Some((op, date)) = op {
        text(out, "op_type", op.as_str());
        time(out, "op_date", date);
    }
    out.push(b'"');
    if class == Class::Ten && !sparse {
        hardware(out, device, kind);
    }
    out.push(b'}');
}

fn profile(out: &mut Vec<u8>, device: &Device, profiles: &ProfileNames) {
    text(out, "profile_status", device.status.as_str());
    if device.status == Status::Empty || device.profile == NO_PROFILE {
        return;
    }
    if let Some(name) = profiles.get(device.profile as usize) {
        text(out, "profile_uuid", name);
        time(out, "profile_assign_time", device.assign_time);
        if device.push_time != 0 {
            time(out, "profile_push_time", device.push_time);
        }
    }
}

fn os(kind: &Kind, class: Class) -> &'static str {
    let newer = matches!(class, Class::Seven | Class::Eight | Class::Ten);
    if newer && kind.family == "iPad" { "iPadOS" } else { kind.os }
}

/// The fields of version 10; each device has its own, the same at every look.
fn hardware(out: &mut Vec<u8>, device: &Device, kind: &Kind) {
    let chance = device
        .serial
        .as_bytes()
        .iter()
        .fold(0xADE, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3));
    let address = mix(chance);
    // Some devices have none of these, as in the field.
    if !address.is_multiple_of(17) {
        out.extend_from_slice(b",\"wifi_mac_address\":\"");
        mac(out, address);
        out.extend_from_slice(b"\",\"bluetooth_mac_address\":\"");
        mac(out, address.wrapping_add(1));
        out.push(b'"');
    }
    if kind.ethernet {
        out.extend_from_slice(b",\"ethernet_mac_address\":\"");
        mac(out, address.wrapping_add(2));
        out.push(b'"');
    }
    if kind.cellular {
        out.extend_from_slice(b",\"imei\":[\"35");
        decimal(out, address, 13);
        out.extend_from_slice(b"\",\"35");
        decimal(out, address.wrapping_mul(31), 13);
        out.extend_from_slice(b"\"],\"meid\":[\"35");
        decimal(out, address, 12);
        out.extend_from_slice(b"\"],\"eid\":\"8904903200700888");
        decimal(out, address.wrapping_mul(7), 16);
        out.push(b'"');
    }
}

fn mac(out: &mut Vec<u8>, address: u64) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(b"F01898");
    for place in (0..6).rev() {
        out.push(HEX[(address >> (4 * place) & 15) as usize]);
    }
}

fn decimal(out: &mut Vec<u8>, value: u64, width: u32) {
    let mut rest = value;
    for _ in 0..width {
        out.push(b'0' + u8::try_from(rest % 10).unwrap_or(0));
        rest /= 10;
    }
}

/// Ends the text before and begins another one; the values need no escapes.
fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b"\",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    out.extend_from_slice(value.as_bytes());
}

fn time(out: &mut Vec<u8>, name: &str, seconds: i64) {
    text(out, name, "");
    write_time(out, seconds);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::state::catalog;
    use crate::state::device::Overrides;

    fn show(device: &Device, version: u8, op: OpInfo) -> Value {
        let mut out = Vec::new();
        super::device(&mut out, device, Class::of(version), &[Box::from("F0")], op);
        serde_json::from_slice(&out).expect("valid JSON")
    }

    #[test]
    fn versions_show_what_they_may() {
        let phones = catalog::kinds_of(Some("iPad"), Some("iPad Air 5th Gen"));
        let mut device = catalog::generate(1, 1, &phones);
        device.overrides = Some(Arc::new(Overrides {
            set: json!({"mdm_migration_deadline": "2026-01-01T00:00:00Z"})
                .as_object()
                .cloned()
                .unwrap_or_default(),
            drop: vec!["color".to_owned()],
        }));
        let one = show(&device, 1, None);
        assert!(one.get("os").is_none() && one.get("device_family").is_none());
        assert_eq!(show(&device, 6, None)["os"], "iOS");
        assert_eq!(show(&device, 7, None)["os"], "iPadOS");
        assert!(show(&device, 7, None).get("mdm_migration_deadline").is_none());
        assert!(show(&device, 8, None).get("mdm_migration_deadline").is_some());
        assert!(show(&device, 9, None).get("imei").is_none());
        assert_eq!(show(&device, 10, None)["imei"].as_array().map(Vec::len), Some(2));
        assert!(show(&device, 10, None).get("color").is_none());
    }

    #[test]
    fn the_profile_and_the_event_are_shown() {
        let mut device = catalog::generate(1, 1, &catalog::kinds_of(None, None));
        assert!(show(&device, 10, None).get("op_type").is_none());
        device.status = Status::Assigned;
        device.profile = 0;
        let shown = show(&device, 10, Some((Op::Modified, 60)));
        assert_eq!(shown["profile_uuid"], "F0");
        assert_eq!(
            (&shown["op_type"], &shown["op_date"]),
            (&json!("modified"), &json!("1970-01-01T00:01:00Z"))
        );
        device.status = Status::Empty;
        assert!(show(&device, 10, None).get("profile_uuid").is_none());
    }
}
