use serde::Serialize;
use serde_json::Value;

use super::{Notice, moment};

/// The payload that the Standard Webhooks specification proposes (`type`, `timestamp`, `data`) with what it leaves to us.
#[derive(Serialize)]
pub(super) struct Event<'a, D> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: String,
    id: &'a str,
    severity: &'a str,
    sequence: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mdm_server: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial_number: Option<&'a str>,
    data: D,
}

/// What is left of the data in a thin payload.
#[derive(Serialize)]
pub(super) struct Identifiers<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    serial_numbers: Option<&'a Value>,
}

pub(super) fn full<'a>(notice: &Notice<'a>) -> Event<'a, &'a Value> {
    event(notice, notice.data)
}

pub(super) fn thin<'a>(notice: &Notice<'a>) -> Event<'a, Identifiers<'a>> {
    event(notice, Identifiers { serial_numbers: notice.data.get("serial_numbers") })
}

fn event<'a, D>(notice: &Notice<'a>, data: D) -> Event<'a, D> {
    Event {
        kind: notice.kind,
        timestamp: moment(notice.at),
        id: notice.id,
        severity: notice.severity,
        sequence: notice.sequence,
        mdm_server: notice.server,
        serial_number: notice.serial,
        data,
    }
}
