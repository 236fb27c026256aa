//! `GET /profile?profile_uuid=UUID`
//!
//! Reads a published profile back (protocol section 3.6). Fields left at their default may come back filled or
//! be absent.
//!
//! <https://developer.apple.com/documentation/devicemanagement/get-a-profile>

use adelie_model::ProfileUuid;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::endpoint::{Endpoint, MalformedAnswer, Method, Subject, parse_json};

/// Asks for one profile. Its serde half is the query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Which one. Reads as an empty one when missing.
    #[serde(default = "super::assign_profile::no_profile")]
    pub profile_uuid: ProfileUuid,
}

/// The profile as Apple keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// Its name, when Apple repeats it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_uuid: Option<ProfileUuid>,
    /// Its keys, without `devices`.
    #[serde(flatten)]
    pub profile: Map<String, Value>,
}

impl Endpoint for Request {
    type Response = Response;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/profile";
    const WRITES: bool = false;
    const SUBJECT: Subject = Subject::Profile;

    fn query(&self) -> Vec<(&'static str, String)> {
        vec![("profile_uuid", self.profile_uuid.as_str().to_owned())]
    }

    fn body(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        Ok(None)
    }

    fn parse(body: &[u8]) -> Result<Response, MalformedAnswer> {
        let response: Response = parse_json(body)?;
        if response.profile.is_empty() {
            return Err(MalformedAnswer::Missing("it has no key of a profile"));
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        let text = r#"{"profile_uuid":"B1C2","is_mandatory":true,"org_magic":"m","profile_name":"Lab","url":"https://mdm.example.org/"}"#;
        let response = Request::parse(text.as_bytes()).expect("a profile");
        assert_eq!(response.profile_uuid, Some(ProfileUuid("B1C2".into())));
        assert_eq!(serde_json::to_string(&response).expect("json"), text);
        assert!(Request::parse(b"{}").is_err());
    }
}
