//! `POST /profile/devices`
//!
//! Assigns a profile to devices (protocol section 3.7). The retired form of the protocol has `PUT` here; the
//! client's setting chooses. HTTP status 200 even when every device failed.
//!
//! <https://developer.apple.com/documentation/devicemanagement/assign-a-profile>

use adelie_model::{ProfileUuid, SerialNumber};
use serde::{Deserialize, Serialize};

use crate::AssignMethod;
use crate::device_result::DeviceResults;
use crate::endpoint::{
    Endpoint, InvalidRequest, MalformedAnswer, Method, Subject, check_serials, json_body, parse_json,
};

pub use crate::endpoint::MAX_SERIALS;

/// The wait for throttled devices in hours when Apple names none (protocol section 3.7, field lesson L21).
pub const THROTTLED_HOURS: u32 = 24;

/// Gives devices a profile: 1 to [`MAX_SERIALS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The profile. Reads as an empty one when missing.
    #[serde(default = "no_profile")]
    pub profile_uuid: ProfileUuid,
    /// The devices.
    #[serde(default)]
    pub devices: Vec<SerialNumber>,
}

/// What became of it, device by device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The profile, when Apple repeats it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_uuid: Option<ProfileUuid>,
    /// One result per serial number; a serial number that is missing here was not answered.
    pub devices: DeviceResults,
    /// How many seconds to leave the throttled devices alone, from protocol version 10 on; one number for all.
    #[serde(
        default,
        deserialize_with = "crate::lenient::optional_count",
        skip_serializing_if = "Option::is_none"
    )]
    pub retry_after_seconds: Option<u64>,
}

pub(super) fn no_profile() -> ProfileUuid {
    ProfileUuid(String::new())
}

impl Endpoint for Request {
    type Response = Response;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/profile/devices";
    const WRITES: bool = true;
    const SUBJECT: Subject = Subject::Profile;

    fn method(&self, assign: AssignMethod) -> Method {
        match assign {
            AssignMethod::Post => Method::Post,
            AssignMethod::Put => Method::Put,
        }
    }

    fn body(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        json_body(self)
    }

    fn check(&self) -> Result<(), InvalidRequest> {
        if self.profile_uuid.as_str().is_empty() {
            return Err(InvalidRequest::Value("it names no profile"));
        }
        check_serials(&self.devices)
    }

    fn parse(body: &[u8]) -> Result<Response, MalformedAnswer> {
        parse_json(body)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn golden() {
        let text = r#"{"profile_uuid":"B1C2D3E4F5061728394A5B6C7D8E9F00","devices":{"C02EXAMPLE02":"SUCCESS","C02EXAMPLE04":"THROTTLED","NOPE00000000":"NOT_ACCESSIBLE"},"retry_after_seconds":86400}"#;
        let response = Request::parse(text.as_bytes()).expect("an answer");
        assert_eq!(serde_json::to_string(&response).expect("json"), text);
        let odd =
            Request::parse(br#"{"devices":{},"profile_uuid":null,"retry_after_seconds":"60"}"#).expect("ok");
        assert_eq!((odd.profile_uuid, odd.retry_after_seconds), (None, Some(60)));
    }

    #[test]
    fn request_golden() {
        let request = Request {
            profile_uuid: ProfileUuid("B1".into()),
            devices: vec![SerialNumber::from_apple("A1".into())],
        };
        let json = serde_json::to_value(&request).expect("json");
        assert_eq!(json, json!({"profile_uuid": "B1", "devices": ["A1"]}));
        let missing: Request = serde_json::from_str("{}").expect("readable");
        assert!(missing.devices.is_empty() && missing.check().is_err());
    }

    /// L9: a success without results is no result.
    #[test]
    fn an_answer_without_results_is_an_error() {
        for bad in ["", "{}", r#"{"profile_uuid":"B1"}"#, r#"{"devices":null}"#, r#"{"devices":[]}"#] {
            assert!(Request::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
