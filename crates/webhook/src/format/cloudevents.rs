use serde::Serialize;

use super::{Data, Notice, moment};

/// An event in the structured JSON form of CloudEvents 1.0.2, with the extension attributes `sequence` and `severity`,
/// which that form writes beside the others.
#[derive(Serialize)]
pub(super) struct Event<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    datacontenttype: &'static str,
    /// A number, as the text that extension attributes of this name are.
    sequence: String,
    severity: &'a str,
    data: Data<'a>,
}

pub(super) fn event<'a>(notice: &Notice<'a>, data: Data<'a>) -> Event<'a> {
    Event {
        specversion: "1.0",
        id: notice.id,
        source: source(notice.installation, notice.server.unwrap_or("-")),
        kind: format!("org.adelie.{}", notice.kind),
        time: moment(notice.at),
        subject: notice.serial,
        datacontenttype: "application/json",
        sequence: notice.sequence.to_string(),
        severity: notice.severity,
        data,
    }
}

/// A URI reference: names of MDM servers may have spaces and umlauts.
fn source(installation: &str, server: &str) -> String {
    let escape = |part: &str| {
        url::form_urlencoded::byte_serialize(part.as_bytes()).collect::<String>().replace('+', "%20")
    };
    format!("/adelie/{}/{}", escape(installation), escape(server))
}
