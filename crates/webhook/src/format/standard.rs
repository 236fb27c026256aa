use serde::Serialize;

use super::{Data, Notice, moment};

/// The payload that the Standard Webhooks specification proposes (`type`, `timestamp`, `data`) with what it leaves to us.
#[derive(Serialize)]
pub(super) struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: String,
    id: &'a str,
    severity: &'a str,
    sequence: i64,
    mdm_server: Option<&'a str>,
    serial_number: Option<&'a str>,
    data: Data<'a>,
}

pub(super) fn event<'a>(notice: &Notice<'a>, data: Data<'a>) -> Event<'a> {
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
