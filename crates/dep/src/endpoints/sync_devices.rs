//! `POST /devices/sync`
//!
//! What has changed since a cursor (protocol section 3.3). The same serial number may come several times.
//!
//! <https://developer.apple.com/documentation/devicemanagement/sync-the-list-of-devices>

use adelie_model::Cursor;
use serde::{Deserialize, Serialize};

use crate::endpoint::{Endpoint, MalformedAnswer, Method, json_body, parse_json};

pub use super::fetch_devices::{MAX_CURSOR, MAX_LIMIT};

/// The age in days after which Apple answers `EXPIRED_CURSOR`.
pub const CURSOR_DAYS: u32 = 7;

/// Asks for a page of changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Where to go on. Reads as an empty one when missing; the server then answers `CURSOR_REQUIRED`.
    #[serde(default = "no_cursor")]
    pub cursor: Cursor,
    /// The size of the page. Always send it: sources differ on the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A page of changes, in the order they happened; every device has `op_type` and `op_date`.
pub type Response = crate::DevicePage;

fn no_cursor() -> Cursor {
    Cursor(String::new())
}

impl Endpoint for Request {
    type Response = Response;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/devices/sync";
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
    use adelie_model::OpType;
    use serde_json::{Value, json};

    use super::*;

    const GOLDEN: &str = r#"{"devices":[
        {"serial_number":"C02EXAMPLE02","model":"MacBook Air","profile_status":"removed","op_type":"modified","op_date":"2026-03-02T08:00:01Z"},
        {"serial_number":"C02EXAMPLE02","model":"MacBook Air","profile_status":"empty","op_type":"added","op_date":"2026-03-02T08:00:01Z"},
        {"serial_number":"C02EXAMPLE03","model":"Mac mini","profile_status":"pushed","op_type":"deleted","op_date":"2026-03-02T08:01:00Z"}],
        "fetched_until":"2026-03-02T08:02:00Z","more_to_follow":true,"cursor":"MDowOjE3NzI0Mzg1MjAwMDA"}"#;

    #[test]
    fn golden() {
        let page = Request::parse(GOLDEN.as_bytes()).expect("a page");
        let sample: Value = serde_json::from_str(GOLDEN).expect("json");
        assert_eq!(serde_json::to_value(&page).expect("json"), sample);
        let kinds: Vec<_> = page.into_devices().into_iter().filter_map(|device| device.op_type).collect();
        assert_eq!(kinds, [OpType::Modified, OpType::Added, OpType::Deleted]);
    }

    #[test]
    fn request_golden_and_a_missing_cursor_reads_as_an_empty_one() {
        let request = Request { cursor: Cursor("abc".into()), limit: Some(500) };
        assert_eq!(serde_json::to_value(&request).expect("json"), json!({"cursor": "abc", "limit": 500}));
        let missing: Request = serde_json::from_str("{}").expect("readable");
        assert_eq!(missing.cursor.as_str(), "");
    }
}
