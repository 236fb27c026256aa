use serde::Serialize;
use serde_json::Value;

use super::{FormatError, Notice, moment};

/// What depsyncer posts after each page, so that its receivers need not change.
#[derive(Serialize)]
pub(super) struct Event<'a> {
    topic: &'static str,
    event_id: &'a str,
    created_at: String,
    device_response_event: DeviceResponseEvent<'a>,
}

#[derive(Serialize)]
struct DeviceResponseEvent<'a> {
    dep_name: &'a str,
    device_response: DeviceResponse<'a>,
}

#[derive(Serialize)]
struct DeviceResponse<'a> {
    cursor: &'a str,
    /// Left out when there are none, like Go does.
    #[serde(skip_serializing_if = "Option::is_none")]
    devices: Option<&'a Vec<Value>>,
    fetched_until: &'a str,
    more_to_follow: bool,
}

/// How Go writes the moment that was never set.
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(super) fn page<'a>(notice: &Notice<'a>) -> Result<Event<'a>, FormatError> {
    let missing = |missing| FormatError::NoPage { kind: notice.kind.to_owned(), missing };
    let text = |key| notice.data.get(key).and_then(Value::as_str);
    let (topic, server) = match text("phase") {
        // A receiver is tried out with a page that has no devices and no server: it is what it knows, and does nothing.
        None if notice.kind == "webhook.test" => ("dep.SyncDevices", Some("")),
        Some("fetch") => ("dep.FetchDevices", notice.server),
        Some("sync") => ("dep.SyncDevices", notice.server),
        _ => return Err(missing("`phase`")),
    };
    Ok(Event {
        topic,
        event_id: notice.id,
        created_at: moment(notice.at),
        device_response_event: DeviceResponseEvent {
            dep_name: server.ok_or_else(|| missing("the MDM server"))?,
            device_response: DeviceResponse {
                cursor: text("cursor").unwrap_or_default(),
                devices: notice
                    .data
                    .get("devices")
                    .and_then(Value::as_array)
                    .filter(|devices| !devices.is_empty()),
                fetched_until: text("fetched_until").unwrap_or(NEVER),
                more_to_follow: notice.data.get("more_to_follow").and_then(Value::as_bool).unwrap_or(false),
            },
        },
    })
}
