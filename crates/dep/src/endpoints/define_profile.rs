//! `POST /profile`
//!
//! Publishes an enrollment profile (protocol sections 3.5 and 5). Every call makes a new profile: there is no
//! update, no delete and no list, so the answer must be stored.
//!
//! <https://developer.apple.com/documentation/devicemanagement/define-a-profile>

use adelie_model::{ProfileUuid, SerialNumber};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::device_result::DeviceResults;
use crate::endpoint::{
    Endpoint, InvalidRequest, MalformedAnswer, Method, Subject, check_most_serials, json_body, parse_json,
};

pub use crate::endpoint::MAX_SERIALS;

/// A profile, and the devices that get it at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct Request {
    /// The keys of the profile, without `devices`. Unknown keys go to Apple as they are (field lesson L31).
    pub profile: Map<String, Value>,
    /// Up to [`MAX_SERIALS`]; mostly none, because assigning is a step of its own.
    pub devices: Vec<SerialNumber>,
}

/// What Apple made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// Apple's name of the new profile, to be sent back verbatim.
    pub profile_uuid: ProfileUuid,
    /// One result per serial number that was sent along.
    #[serde(
        default,
        deserialize_with = "crate::lenient::null_as_default",
        skip_serializing_if = "DeviceResults::is_empty"
    )]
    pub devices: DeviceResults,
}

impl From<Map<String, Value>> for Request {
    fn from(mut profile: Map<String, Value>) -> Self {
        let devices = match profile.remove("devices") {
            Some(Value::Array(list)) => list
                .into_iter()
                .filter_map(|value| value.as_str().map(|text| SerialNumber::from_apple(text.to_owned())))
                .collect(),
            _ => Vec::new(),
        };
        Self { profile, devices }
    }
}

impl From<Request> for Map<String, Value> {
    fn from(request: Request) -> Self {
        let mut profile = request.profile;
        profile.remove("devices");
        if !request.devices.is_empty() {
            let serials = request.devices.iter().map(|serial| Value::from(serial.as_str()));
            profile.insert("devices".to_owned(), serials.collect());
        }
        profile
    }
}

impl Endpoint for Request {
    type Response = Response;
    const METHOD: Method = Method::Post;
    const PATH: &'static str = "/profile";
    const WRITES: bool = true;
    const SUBJECT: Subject = Subject::Definition;

    fn body(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        json_body(self)
    }

    fn check(&self) -> Result<(), InvalidRequest> {
        check_most_serials(&self.devices)
    }

    fn parse(body: &[u8]) -> Result<Response, MalformedAnswer> {
        let response: Response = parse_json(body)?;
        if response.profile_uuid.as_str().trim().is_empty() {
            return Err(MalformedAnswer::Missing("its profile_uuid is empty"));
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::DeviceResult;

    #[test]
    fn the_profile_is_sent_flat_and_devices_only_when_there_are_some() {
        let profile = json!({"profile_name": "Lab", "allow_pairing": false, "new_key": [1]});
        let mut request = Request { profile: profile.as_object().expect("object").clone(), devices: vec![] };
        assert_eq!(
            serde_json::to_value(&request).expect("json"),
            profile,
            "L31: false and new keys are sent"
        );
        request.devices.push(SerialNumber::from_apple("A1".into()));
        let json = serde_json::to_value(&request).expect("json");
        assert_eq!(json["devices"], json!(["A1"]));
        assert_eq!(serde_json::from_value::<Request>(json).expect("a request"), request);
    }

    #[test]
    fn golden() {
        let text = r#"{"profile_uuid":"B1C2D3E4F5061728394A5B6C7D8E9F00","devices":{"A1":"SUCCESS"}}"#;
        let response = Request::parse(text.as_bytes()).expect("an answer");
        assert_eq!(serde_json::to_string(&response).expect("json"), text);
        assert_eq!(response.devices.values().next(), Some(&DeviceResult::Success));
        assert!(Request::parse(br#"{"profile_uuid":"B1","devices":null}"#).is_ok());
        for bad in ["", "{}", r#"{"profile_uuid":""}"#, r#"{"profile_uuid":null}"#] {
            assert!(Request::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
