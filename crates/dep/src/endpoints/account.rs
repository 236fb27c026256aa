//! `GET /account`
//!
//! The organization, the MDM server and what the service offers (protocol section 3.1).
//!
//! <https://developer.apple.com/documentation/devicemanagement/get-account-detail>

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::endpoint::{Endpoint, MAX_SERIALS, MalformedAnswer, Method, parse_json};
use crate::lenient::{optional_text, text};

/// The largest page that is ever asked for, whatever is advertised (protocol section 0.1).
pub const MAX_PAGE: u32 = 1000;
const _: () = assert!(MAX_PAGE as usize == MAX_SERIALS);

/// Asks for the account of the server token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request;

/// The account. Fields of older protocol versions come alone when a low version is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Response {
    /// The name of the MDM server in the portal.
    #[serde(deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Identifies the MDM server; kept verbatim because it is the issuer of later JWTs.
    #[serde(deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub server_uuid: Option<String>,
    /// The account behind the server token.
    #[serde(deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub admin_id: Option<String>,
    /// The old name of `admin_id`.
    #[serde(deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub facilitator_id: Option<String>,
    /// The organization's name.
    #[serde(deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub org_name: Option<String>,
    /// The organization's e-mail address.
    #[serde(deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub org_email: Option<String>,
    /// The organization's telephone number.
    #[serde(deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub org_phone: Option<String>,
    /// The organization's address.
    #[serde(deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub org_address: Option<String>,
    /// Identifies the organization, from protocol version 3 on.
    #[serde(deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,
    /// The same as the licence service's `organizationIdHash`, from protocol version 3 on.
    #[serde(deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub org_id_hash: Option<String>,
    /// `edu`, `org`, `tvprovider`, or a newer one.
    #[serde(deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub org_type: Option<String>,
    /// `v1` or `v2`.
    #[serde(deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub org_version: Option<String>,
    /// What the service offers to this server token, from protocol version 3 on.
    #[serde(deserialize_with = "crate::lenient::null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<ServiceUrl>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One path that the service offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceUrl {
    /// The path, like `/server/devices`.
    #[serde(default)]
    pub uri: String,
    /// The methods that it takes; one alone is also read from a plain string.
    #[serde(default, deserialize_with = "methods")]
    pub http_method: Vec<String>,
    /// The page sizes; only on the two device lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
}

/// Page sizes in records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// What is sent when nothing is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<i64>,
    /// The most that is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<i64>,
}

impl Response {
    /// The page size to ask for at a path: what Apple advertises as its maximum, at least 1 and at most
    /// [`MAX_PAGE`], which also holds where nothing is advertised.
    #[must_use]
    pub fn limit_for(&self, path: &str) -> u32 {
        self.urls
            .iter()
            .find(|url| url.uri == path)
            .and_then(|url| url.limit?.maximum)
            .map_or(MAX_PAGE, |maximum| {
                u32::try_from(maximum.clamp(1, i64::from(MAX_PAGE))).unwrap_or(MAX_PAGE)
            })
    }
}

fn methods<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(method) => vec![method],
        Value::Array(list) => list.into_iter().filter_map(|method| text(method).ok()).collect(),
        _ => Vec::new(),
    })
}

impl Endpoint for Request {
    type Response = Response;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/account";
    const WRITES: bool = false;

    fn body(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        Ok(None)
    }

    fn parse(body: &[u8]) -> Result<Response, MalformedAnswer> {
        let response: Response = parse_json(body)?;
        if response.server_uuid.is_none() && response.server_name.is_none() {
            return Err(MalformedAnswer::Missing("it names no MDM server"));
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = r#"{"server_name":"Lab","server_uuid":"0A1B2C3D4E5F60718293A4B5C6D7E8F9","admin_id":"it@example.org",
        "facilitator_id":"it@example.org","org_name":"Example","org_email":"it@example.org","org_phone":"5550100",
        "org_address":"1 Main St","org_id":"1234567","org_id_hash":"9f2c","org_type":"org","org_version":"v2",
        "urls":[{"uri":"/server/devices","http_method":["POST"],"limit":{"default":1000,"maximum":1000}},
                {"uri":"/profile/devices","http_method":["DELETE","POST","PUT"]}]}"#;

    #[test]
    fn golden() {
        let response = Request::parse(GOLDEN.as_bytes()).expect("an account");
        let sample: Value = serde_json::from_str(GOLDEN).expect("json");
        assert_eq!(serde_json::to_value(&response).expect("json"), sample);
        assert!(response.extra.is_empty());
    }

    #[test]
    fn page_sizes_follow_the_account_within_1_and_1000() {
        let with = |maximum: &str| {
            let text =
                format!(r#"{{"server_name":"x","urls":[{{"uri":"/devices/sync","limit":{maximum}}}]}}"#);
            Request::parse(text.as_bytes()).expect("an account").limit_for("/devices/sync")
        };
        assert_eq!(with(r#"{"default":100,"maximum":250}"#), 250);
        assert_eq!(with(r#"{"default":1000,"maximum":5000}"#), 1000);
        assert_eq!(with(r#"{"maximum":0}"#), 1);
        assert_eq!(with(r#"{"maximum":-4}"#), 1);
        assert_eq!(with(r#"{"default":100}"#), 1000);
        assert_eq!(with("null"), 1000);
        assert_eq!(Response::default().limit_for("/server/devices"), 1000);
    }

    #[test]
    fn an_answer_that_names_no_server_is_no_account() {
        assert!(Request::parse(b"{}").is_err());
        assert!(Request::parse(b"").is_err());
    }
}
