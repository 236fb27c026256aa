//! `GET /device/replacementDetails?device=SERIAL`
//!
//! Which device a replacement stands for (protocol section 3.11), from protocol version 10 on. To be asked
//! only when `is_replacement_device` is true.
//!
//! <https://developer.apple.com/documentation/devicemanagement/get-replacement-device-details>

use adelie_model::SerialNumber;
use serde::{Deserialize, Serialize};

use crate::endpoint::{Endpoint, InvalidRequest, MalformedAnswer, Method, Subject, parse_json};
use crate::lenient::optional_text;

/// Asks about one device. Its serde half is the query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The replacement. Reads as an empty one when missing.
    #[serde(default = "no_device")]
    pub device: SerialNumber,
}

/// The device that was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The replacement.
    pub serial_number: SerialNumber,
    /// The device that it stands for.
    pub original_device_serial_number: SerialNumber,
    /// The day of the replacement in UTC, `YYYY-MM-DD`, as Apple wrote it.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub replacement_date: Option<String>,
}

fn no_device() -> SerialNumber {
    SerialNumber::from_apple(String::new())
}

impl Endpoint for Request {
    type Response = Response;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/device/replacementDetails";
    const WRITES: bool = false;
    const SUBJECT: Subject = Subject::Device;

    fn query(&self) -> Vec<(&'static str, String)> {
        vec![("device", self.device.as_str().to_owned())]
    }

    fn body(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        Ok(None)
    }

    fn check(&self) -> Result<(), InvalidRequest> {
        if self.device.as_str().is_empty() { Err(InvalidRequest::NoSerials) } else { Ok(()) }
    }

    fn parse(body: &[u8]) -> Result<Response, MalformedAnswer> {
        parse_json(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        let text =
            r#"{"serial_number":"B2","original_device_serial_number":"A1","replacement_date":"2026-07-01"}"#;
        let response = Request::parse(text.as_bytes()).expect("an answer");
        assert_eq!(serde_json::to_string(&response).expect("json"), text);
        assert!(Request::parse(b"{}").is_err());
    }
}
