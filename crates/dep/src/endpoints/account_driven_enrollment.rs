//! `POST`, `GET` and `DELETE /account-driven-enrollment/profile`
//!
//! Where devices of the organization's Managed Apple Accounts find the MDM service (protocol section 3.13).
//!
//! <https://developer.apple.com/documentation/devicemanagement/account-driven-enrollment-profile>

use adelie_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::endpoint::{Endpoint, InvalidRequest, MalformedAnswer, Method, json_body, parse_json};
use crate::lenient::{optional_text, optional_time};

/// The path of all three.
pub const PATH: &str = "/account-driven-enrollment/profile";

/// Asks for the setting. HTTP status 404 when there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GetRequest;

/// The setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetResponse {
    /// Where the service tells devices about itself.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub mdm_service_discovery_url: Option<String>,
    /// When it was set.
    #[serde(default, deserialize_with = "optional_time", skip_serializing_if = "Option::is_none")]
    pub last_updated_timestamp: Option<Timestamp>,
}

/// Changes the setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRequest {
    /// An https URL. Reads as an empty one when missing.
    #[serde(default)]
    pub mdm_service_discovery_url: String,
}

/// Takes the setting away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RemoveRequest;

impl Endpoint for GetRequest {
    type Response = GetResponse;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = PATH;
    const WRITES: bool = false;

    fn body(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        Ok(None)
    }

    fn parse(body: &[u8]) -> Result<GetResponse, MalformedAnswer> {
        parse_json(body)
    }
}

impl Endpoint for SetRequest {
    /// Apple answers with an empty body.
    type Response = ();
    const METHOD: Method = Method::Post;
    const PATH: &'static str = PATH;
    const WRITES: bool = true;

    fn body(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        json_body(self)
    }

    fn check(&self) -> Result<(), InvalidRequest> {
        let https =
            self.mdm_service_discovery_url.get(..8).is_some_and(|s| s.eq_ignore_ascii_case("https://"));
        if https {
            Ok(())
        } else {
            Err(InvalidRequest::Value("its mdm_service_discovery_url is no https URL"))
        }
    }

    fn parse(_: &[u8]) -> Result<(), MalformedAnswer> {
        Ok(())
    }
}

impl Endpoint for RemoveRequest {
    type Response = ();
    const METHOD: Method = Method::Delete;
    const PATH: &'static str = PATH;
    const WRITES: bool = true;

    fn body(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        Ok(None)
    }

    fn parse(_: &[u8]) -> Result<(), MalformedAnswer> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        let text = r#"{"mdm_service_discovery_url":"https://mdm.example.org/","last_updated_timestamp":"2026-03-01T10:00:00Z"}"#;
        let response = GetRequest::parse(text.as_bytes()).expect("a setting");
        assert_eq!(serde_json::to_string(&response).expect("json"), text);
        let request = SetRequest { mdm_service_discovery_url: "https://mdm.example.org/".into() };
        assert_eq!(
            serde_json::to_string(&request).expect("json"),
            r#"{"mdm_service_discovery_url":"https://mdm.example.org/"}"#
        );
        assert!(request.check().is_ok());
        assert!(SetRequest { mdm_service_discovery_url: "http://mdm.example.org/".into() }.check().is_err());
        assert!(SetRequest::parse(b"").is_ok() && RemoveRequest::parse(b"").is_ok());
    }
}
