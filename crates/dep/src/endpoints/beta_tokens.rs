//! `GET /os-beta-enrollment/tokens`
//!
//! Tokens that enroll devices in beta programmes (protocol section 3.12). They belong to one organization and
//! one seeding period.
//!
//! <https://developer.apple.com/documentation/devicemanagement/get-beta-enrollment-tokens>

use adelie_model::Secret;
use serde::{Deserialize, Deserializer, Serialize};

use crate::endpoint::{Endpoint, MalformedAnswer, Method, parse_json};
use crate::masked;
use crate::words::answer_words;

/// Asks for the tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request;

/// The tokens.
#[derive(Clone, Debug, Serialize)]
pub struct Response {
    /// Also read from `seedBuildTokens`, the name that has been seen in the field.
    #[serde(rename = "betaEnrollmentTokens")]
    pub tokens: Vec<BetaToken>,
}

/// One token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BetaToken {
    /// What a device is given.
    #[serde(serialize_with = "masked::serialize", deserialize_with = "masked::deserialize")]
    pub token: Secret,
    /// The name of the programme.
    #[serde(default)]
    pub title: String,
    /// The operating system that it is for.
    pub os: BetaOs,
}

answer_words!(
    /// The operating system of a beta programme.
    BetaOs {
        /// homePodOS
        HomePodOs = "homePodOS",
        /// iOS
        Ios = "iOS",
        /// macOS; written `OSX` on one of Apple's pages and `macOS` on another.
        MacOs = "OSX" | "macOS",
        /// tvOS
        TvOs = "tvOS",
        /// visionOS
        VisionOs = "visionOS",
        /// watchOS
        WatchOs = "watchOS",
    }
);

impl<'de> Deserialize<'de> for Response {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(rename = "betaEnrollmentTokens")]
            documented: Option<Vec<BetaToken>>,
            #[serde(rename = "seedBuildTokens")]
            seen: Option<Vec<BetaToken>>,
        }
        let wire = Wire::deserialize(deserializer)?;
        // The first list that has something, because both names may come together.
        let documented = wire.documented.filter(|tokens| !tokens.is_empty() || wire.seen.is_none());
        Ok(Self { tokens: documented.or(wire.seen).unwrap_or_default() })
    }
}

impl Endpoint for Request {
    type Response = Response;
    const METHOD: Method = Method::Get;
    const PATH: &'static str = "/os-beta-enrollment/tokens";
    const WRITES: bool = false;
    const SECRET_ANSWER: bool = true;

    fn body(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        Ok(None)
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
        let text = r#"{"betaEnrollmentTokens":[{"token":"secret1","title":"macOS 27 Beta","os":"OSX"}]}"#;
        let response = Request::parse(text.as_bytes()).expect("tokens");
        assert_eq!(serde_json::to_string(&response).expect("json"), text);
        assert!(!format!("{response:?}").contains("secret1"), "a token is masked");
    }

    #[test]
    fn both_names_of_the_list_and_of_the_mac_are_read() {
        let text =
            r#"{"betaEnrollmentTokens":[],"seedBuildTokens":[{"token":"t","title":"x","os":"macOS"}]}"#;
        let response = Request::parse(text.as_bytes()).expect("tokens");
        assert_eq!(response.tokens[0].os, BetaOs::MacOs);
        assert!(Request::parse(b"{}").expect("no tokens").tokens.is_empty());
        assert!(Request::parse(b"").is_err());
    }
}
