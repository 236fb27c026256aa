//! `DELETE /profile/devices`
//!
//! Takes the profile away from devices (protocol section 3.8). The request has a JSON body in spite of its
//! method. A device that has the profile already keeps it until it is erased.
//!
//! <https://developer.apple.com/documentation/devicemanagement/remove-a-profile>

use adelie_model::{ProfileUuid, SerialNumber};
use serde::{Deserialize, Serialize};

use crate::device_result::DeviceResults;
use crate::endpoint::{
    Endpoint, InvalidRequest, MalformedAnswer, Method, check_serials, json_body, parse_json,
};

pub use crate::endpoint::MAX_SERIALS;

/// Takes the profile from devices: 1 to [`MAX_SERIALS`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The devices.
    #[serde(default)]
    pub devices: Vec<SerialNumber>,
    /// Documented, and ignored by Apple: whatever profile is assigned is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_uuid: Option<ProfileUuid>,
}

/// What became of it, device by device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// One result per serial number.
    pub devices: DeviceResults,
}

impl Endpoint for Request {
    type Response = Response;
    const METHOD: Method = Method::Delete;
    const PATH: &'static str = "/profile/devices";
    const WRITES: bool = true;

    fn body(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        json_body(self)
    }

    fn check(&self) -> Result<(), InvalidRequest> {
        check_serials(&self.devices)
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
        let text = r#"{"devices":{"A1":"SUCCESS","B2":"FAILED"}}"#;
        let response = Request::parse(text.as_bytes()).expect("an answer");
        assert_eq!(serde_json::to_string(&response).expect("json"), text);
        let request = Request { devices: vec![SerialNumber::from_apple("A1".into())], profile_uuid: None };
        assert_eq!(serde_json::to_string(&request).expect("json"), r#"{"devices":["A1"]}"#);
        assert!(Request::parse(b"{}").is_err());
    }
}
