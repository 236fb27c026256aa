use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use adelie_model::{Device, DeviceFamily, ProfileStatus, ProfileUuid, RevisionId, SerialNumber};
use adelie_store::event::{PostedDevice, PostedDevices, PostedProfile};
use adelie_store::{Result, StoredEvent, WebhookStore};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Says more of an event than is stored with it: the name of a profile, and what is known of devices. It would be
/// written a million times in a first import, and is told a few thousand times.
#[derive(Default)]
pub(super) struct Telling {
    /// Revisions never change, and there are few.
    profiles: Mutex<HashMap<RevisionId, PostedProfile>>,
}

impl Telling {
    /// The details of an event for its receivers.
    pub(super) async fn details<'e>(
        &self,
        store: &dyn WebhookStore,
        event: &'e StoredEvent,
    ) -> Result<Cow<'e, Value>> {
        match event.kind.as_str() {
            "devices.imported" => imported(store, event).await.map(Cow::Owned),
            "sync.page" => page(store, event).await.map(Cow::Owned),
            _ => match event.data["revision"].as_i64().map(RevisionId) {
                Some(revision) => self.with_profile(store, event, revision).await,
                None => Ok(Cow::Borrowed(&event.data)),
            },
        }
    }

    async fn with_profile<'e>(
        &self,
        store: &dyn WebhookStore,
        event: &'e StoredEvent,
        revision: RevisionId,
    ) -> Result<Cow<'e, Value>> {
        let known = self.profiles.lock().unwrap_or_else(PoisonError::into_inner).get(&revision).cloned();
        let profile = match known {
            Some(known) => known,
            None => {
                let Some((name, number)) = store.profile_of(revision).await? else {
                    return Ok(Cow::Borrowed(&event.data));
                };
                let found = PostedProfile { profile: name.to_string(), profile_revision: number };
                let mut profiles = self.profiles.lock().unwrap_or_else(PoisonError::into_inner);
                profiles.insert(revision, found.clone());
                found
            }
        };
        Ok(Cow::Owned(with(&event.data, &profile)))
    }
}

/// Bytes of facts that leave a post below [`LARGEST_BODY`](crate::LARGEST_BODY) with the serial numbers of its devices.
const MOST_FACTS: usize = crate::LARGEST_BODY * 3 / 4;

/// A batch of a first import, with what is known of its devices now.
async fn imported(store: &dyn WebhookStore, event: &StoredEvent) -> Result<Value> {
    let named = event.data["serial_numbers"].as_array().into_iter().flatten();
    let serials = named.filter_map(Value::as_str).map(serial).collect();
    let known = known(store, event, serials).await?;
    let devices: Vec<_> = known.iter().map(PostedDevice::from).collect();
    let facts = json!(devices).to_string().len();
    // Unusually long facts are left out, not the devices: those are named in any case.
    Ok(if facts <= MOST_FACTS { with(&event.data, &PostedDevices { devices }) } else { event.data.clone() })
}

/// The details of an event, and more of it.
fn with(data: &Value, more: &impl Serialize) -> Value {
    let mut data = data.clone();
    if let (Some(details), Value::Object(more)) = (data.as_object_mut(), json!(more)) {
        details.extend(more);
    }
    data
}

/// A page, with its devices as Apple describes them.
async fn page(store: &dyn WebhookStore, event: &StoredEvent) -> Result<Value> {
    let listed = || event.data["devices"].as_array().into_iter().flatten();
    let serials = listed().filter_map(|device| device["serial_number"].as_str()).map(serial).collect();
    let known = known(store, event, serials).await?;
    let by_serial: HashMap<&str, &Device> =
        known.iter().map(|device| (device.serial.as_str(), device)).collect();
    let mut data = event.data.clone();
    data["devices"] = listed()
        .map(|told| {
            let known = told["serial_number"].as_str().and_then(|serial| by_serial.get(serial));
            let mut device = known.map_or_else(Map::new, |device| as_apple_tells(device));
            // What the page said of it wins: its serial number, and what happened when.
            device.extend(told.as_object().cloned().unwrap_or_default());
            Value::Object(device)
        })
        .collect();
    Ok(data)
}

async fn known(
    store: &dyn WebhookStore,
    event: &StoredEvent,
    serials: Vec<SerialNumber>,
) -> Result<Vec<Device>> {
    match event.server {
        Some(server) if !serials.is_empty() => {
            let mut known = store.devices_of(server, &serials).await?;
            known.sort_unstable_by(|one, other| one.serial.cmp(&other.serial));
            Ok(known)
        }
        _ => Ok(Vec::new()),
    }
}

fn serial(text: &str) -> SerialNumber {
    SerialNumber::from_apple(text.to_owned())
}

/// A device with the keys of Apple's device list (protocol section 4.1); what Apple did not tell is left out.
fn as_apple_tells(device: &Device) -> Map<String, Value> {
    let actual = &device.actual;
    let mut told: Map<String, Value> =
        actual.extra.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect();
    told.insert("serial_number".to_owned(), json!(device.serial));
    let family = actual.device_family.as_ref().map(DeviceFamily::as_str);
    let status = actual.profile_status.as_ref().map(ProfileStatus::as_str);
    let uuid = actual.profile_uuid.as_ref().map(ProfileUuid::as_str);
    let time = |moment: &adelie_model::Timestamp| moment.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    for (key, value) in [
        ("model", actual.model.clone()),
        ("description", actual.description.clone()),
        ("color", actual.color.clone()),
        ("asset_tag", actual.asset_tag.clone()),
        ("device_family", family.map(str::to_owned)),
        ("os", actual.os.clone()),
        ("profile_status", status.map(str::to_owned)),
        ("profile_uuid", uuid.map(str::to_owned)),
        ("profile_assign_time", actual.profile_assign_time.as_ref().map(time)),
        ("profile_push_time", actual.profile_push_time.as_ref().map(time)),
        ("device_assigned_by", actual.device_assigned_by.clone()),
        ("device_assigned_date", actual.device_assigned_date.as_ref().map(time)),
        ("mdm_migration_deadline", actual.mdm_migration_deadline.as_ref().map(time)),
    ] {
        told.extend(value.map(|value| (key.to_owned(), Value::String(value))));
    }
    told
}
