//! How an event looks in the body of a post. Pure: the same event always makes the same bytes.

mod cloudevents;
mod nanodep;
mod standard;
#[cfg(test)]
mod tests;

use adelie_model::Timestamp;
use adelie_store::WebhookFormat;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

/// One event, as all formats need it.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    /// The id of the event (`evt_…`), which stays the same over all attempts.
    pub id: &'a str,
    /// The type of the event, such as `device.added`.
    pub kind: &'a str,
    /// `info`, `notice`, `warning` or `error`.
    pub severity: &'a str,
    /// When it happened.
    pub at: Timestamp,
    /// Grows with every event of a device, so that receivers can put them in order.
    pub sequence: i64,
    /// The installation of Adelie that it comes from.
    pub installation: &'a str,
    /// The name of the MDM server that it is about.
    pub server: Option<&'a str>,
    /// The serial number of the device that it is about.
    pub serial: Option<&'a str>,
    /// What happened: an object.
    pub data: &'a Value,
}

/// A body and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The body.
    pub body: Bytes,
    /// The value of the header `content-type`.
    pub content_type: &'static str,
}

/// Why an event cannot be written in a format.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Only pages of a sync have a form in the format of nanodep.
    #[error(
        "the event {kind} cannot be written in the format nanodep, which knows only pages of a sync ({missing} is missing in its \
         data): subscribe the endpoint to pages only, or give it another format"
    )]
    NoPage {
        /// The type of the event.
        kind: String,
        /// What is not there or has an unknown value.
        missing: &'static str,
    },
    /// The data cannot be written as JSON.
    #[error("the event could not be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// The size that the Standard Webhooks specification wants bodies to stay under, in bytes.
pub const LARGEST_BODY: usize = 20_000;

/// Writes an event; `thin` leaves nothing of its data but serial numbers. A page for nanodep's receivers is always whole.
///
/// # Errors
/// [`FormatError::NoPage`] for an event that the format has no form for.
pub fn render(format: WebhookFormat, thin: bool, notice: &Notice<'_>) -> Result<Rendered, FormatError> {
    // Most events are small; a larger one grows its buffer once or twice.
    let mut body = Vec::with_capacity(1024);
    write(format, thin, notice, &mut body)?;
    let content_type = match format {
        WebhookFormat::CloudEvents => "application/cloudevents+json",
        WebhookFormat::Standard | WebhookFormat::Nanodep => "application/json",
    };
    Ok(Rendered { body: body.into(), content_type })
}

/// How many bytes the body would have, to compare with [`LARGEST_BODY`]. Nothing is kept of it.
///
/// # Errors
/// As [`render`].
pub fn size(format: WebhookFormat, thin: bool, notice: &Notice<'_>) -> Result<usize, FormatError> {
    let mut count = Count(0);
    write(format, thin, notice, &mut count)?;
    Ok(count.0)
}

fn write(
    format: WebhookFormat,
    thin: bool,
    notice: &Notice<'_>,
    to: impl std::io::Write,
) -> Result<(), FormatError> {
    let data = Data::of(notice, thin);
    match format {
        WebhookFormat::Standard => json(to, &standard::event(notice, data)),
        WebhookFormat::CloudEvents => json(to, &cloudevents::event(notice, data)),
        WebhookFormat::Nanodep => json(to, &nanodep::page(notice)?),
    }
}

/// What is told of the details.
#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Full(&'a Value),
    Thin {
        #[serde(skip_serializing_if = "Option::is_none")]
        serial_numbers: Option<&'a Value>,
    },
}

impl<'a> Data<'a> {
    fn of(notice: &Notice<'a>, thin: bool) -> Self {
        if thin {
            Self::Thin { serial_numbers: notice.data.get("serial_numbers") }
        } else {
            Self::Full(notice.data)
        }
    }
}

/// A moment as all formats write it: RFC 3339, milliseconds, UTC.
fn moment(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn json(to: impl std::io::Write, what: &impl Serialize) -> Result<(), FormatError> {
    Ok(serde_json::to_writer(to, what)?)
}

struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
