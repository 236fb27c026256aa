//! `POST /server/devices`
//!
//! The whole device list, page by page (protocol section 3.2). The first page is asked for without a cursor;
//! the cursor of the last page goes on in [`super::sync_devices`].
//!
//! <https://developer.apple.com/documentation/devicemanagement/get-a-list-of-devices>

use adelie_model::Cursor;
use serde::{Deserialize, Serialize};

use crate::endpoint::{Endpoint, MalformedAnswer, Method, json_body, parse_json};

/// The longest cursor in characters.
pub const MAX_CURSOR: usize = 1000;
/// The largest documented page in devices.
pub const MAX_LIMIT: u32 = 1000;

/// Asks for a page of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Where to go on; `None` on the first call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// The size of the page. Always send it: sources differ on the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A page of the list, oldest operation first; devices have no `op_type` and no `op_date`.
pub type Response = crate::DevicePage;

impl Endpoint for Request {
    type Response = Response;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/server/devices";
    const WRITES: bool = false;

    fn body(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        json_body(self)
    }

    fn parse(body: &[u8]) -> Result<Response, MalformedAnswer> {
        parse_json(body)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const GOLDEN: &str = r#"{"devices":[{"serial_number":"C02EXAMPLE01","description":"MBP 14.2","model":"MacBook Pro","os":"OSX","device_family":"Mac",
        "color":"SILVER","profile_status":"empty","device_assigned_by":"it@example.org","device_assigned_date":"2026-03-01T10:00:00Z"}],
        "fetched_until":"2026-03-01T10:05:00Z","more_to_follow":false,"cursor":"MDowOjE3NzIzNTk1MDAwMDA"}"#;

    #[test]
    fn golden() {
        let page = Request::parse(GOLDEN.as_bytes()).expect("a page");
        let sample: Value = serde_json::from_str(GOLDEN).expect("json");
        assert_eq!(serde_json::to_value(&page).expect("json"), sample);
        assert!(page.into_devices()[0].extra.is_empty());
    }

    #[test]
    fn the_first_request_leaves_the_cursor_out() {
        let first = Request { cursor: None, limit: Some(1000) };
        assert_eq!(serde_json::to_value(&first).expect("json"), json!({"limit": 1000}));
        let empty: Request = serde_json::from_str("{}").expect("an empty object is a request");
        assert_eq!(empty, Request::default());
    }
}
