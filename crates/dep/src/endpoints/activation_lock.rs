//! `POST /device/activationlock`
//!
//! Locks one device to the organization (protocol section 3.10). HTTP status 200 for every result.
//!
//! <https://developer.apple.com/documentation/devicemanagement/activation-lock-a-device>

use adelie_model::{Secret, SerialNumber};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::endpoint::{Endpoint, InvalidRequest, MalformedAnswer, Method, Subject, json_body, parse_json};
use crate::masked;
use crate::words::answer_words;

/// The length of `escrow_key` in hex digits.
pub const ESCROW_KEY_DIGITS: usize = 64;

/// Locks one device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The device. Reads as an empty one when missing.
    #[serde(default = "no_device")]
    pub device: SerialNumber,
    /// The hash of the bypass code, [`ESCROW_KEY_DIGITS`] hex digits. Without it the device is locked to the
    /// person who created the MDM server in the portal.
    #[serde(
        default,
        serialize_with = "masked::serialize_optional",
        deserialize_with = "masked::deserialize_optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub escrow_key: Option<Secret>,
    /// Shown on the locked device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_message: Option<String>,
}

answer_words!(
    /// What became of a lock.
    LockResult {
        /// Locked.
        Success = "SUCCESS",
        /// Not a device of this MDM server.
        NotAccessible = "NOT_ACCESSIBLE",
        /// The organization is not in the programme that can lock.
        OrgNotSupported = "ORG_NOT_SUPPORTED",
        /// Devices of this type cannot be locked.
        DeviceNotSupported = "DEVICE_NOT_SUPPORTED",
        /// Locked before, by anyone.
        DeviceAlreadyLocked = "DEVICE_ALREADY_LOCKED",
        /// Unexpected; try again, then contact Apple.
        Failed = "FAILED",
    }
);

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The device, when Apple repeats it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<SerialNumber>,
    /// The result.
    pub response_status: LockResult,
}

fn no_device() -> SerialNumber {
    SerialNumber::from_apple(String::new())
}

impl Endpoint for Request {
    type Response = Response;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/device/activationlock";
    const WRITES: bool = true;
    const SUBJECT: Subject = Subject::Device;

    fn body(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        json_body(self)
    }

    fn check(&self) -> Result<(), InvalidRequest> {
        if self.device.as_str().is_empty() {
            return Err(InvalidRequest::NoSerials);
        }
        let is_key = |key: &str| key.len() == ESCROW_KEY_DIGITS && key.bytes().all(|c| c.is_ascii_hexdigit());
        match &self.escrow_key {
            Some(key) if !is_key(key.expose_secret()) => {
                Err(InvalidRequest::Value("its escrow_key is not 64 hex digits"))
            }
            _ => Ok(()),
        }
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
        let request = Request {
            device: SerialNumber::from_apple("A1".into()),
            escrow_key: Some(Secret::from(
                "30a3449822ae82b94f1839ee0248a9e2350247d4b325071e6deb84285a6bfb34",
            )),
            lost_message: Some("Please call".into()),
        };
        assert!(!format!("{request:?}").contains("30a3"), "the key is masked");
        let text = r#"{"device":"A1","escrow_key":"30a3449822ae82b94f1839ee0248a9e2350247d4b325071e6deb84285a6bfb34","lost_message":"Please call"}"#;
        assert_eq!(serde_json::to_string(&request).expect("json"), text);
        assert!(request.check().is_ok());
        let short = Request { escrow_key: Some(Secret::from("30a3")), ..request };
        assert!(short.check().is_err());
    }

    #[test]
    fn response_golden() {
        let text = r#"{"serial_number":"A1","response_status":"DEVICE_ALREADY_LOCKED"}"#;
        let response = Request::parse(text.as_bytes()).expect("an answer");
        assert_eq!(response.response_status, LockResult::DeviceAlreadyLocked);
        assert_eq!(serde_json::to_string(&response).expect("json"), text);
        assert!(Request::parse(b"{}").is_err());
    }
}
