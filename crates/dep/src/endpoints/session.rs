//! `GET /session`
//!
//! Opens a session with the OAuth 1.0a credentials of a server token (protocol section 2.1). It has no request
//! type: the client opens sessions by itself.
//!
//! <https://developer.apple.com/documentation/devicemanagement/authenticating-for-automated-device-enrollment>

use adelie_model::Secret;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::endpoint::{MalformedAnswer, Method, parse_json};
use crate::masked;

/// The method.
pub const METHOD: Method = Method::Get;
/// The path.
pub const PATH: &str = "/session";
/// The header that carries the session on every other call, and a new one on any answer.
pub const SESSION_HEADER: &str = "X-ADM-Auth-Session";
/// The realm that Apple's own clients send. It does not enter the signature, and a server must not require it.
pub const REALM: &str = "ADM";

/// The session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Response {
    /// Opaque; 47 and 128 characters have been seen.
    #[serde(serialize_with = "masked::serialize", deserialize_with = "masked::deserialize")]
    pub auth_session_token: Secret,
}

/// Reads the body of a successful answer.
///
/// # Errors
/// When it is not the documented JSON, or when the session is empty or no header value.
pub fn parse(body: &[u8]) -> Result<Response, MalformedAnswer> {
    let response: Response = parse_json(body)?;
    let token = response.auth_session_token.expose_secret();
    if token.is_empty() || !token.bytes().all(|c| c.is_ascii_graphic()) {
        return Err(MalformedAnswer::Missing(
            "its auth_session_token is empty or does not fit into a header",
        ));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        let text = r#"{"auth_session_token":"87a235815b8d6734fd2b"}"#;
        let response = parse(text.as_bytes()).expect("a session");
        assert_eq!(serde_json::to_string(&response).expect("json"), text);
        assert!(!format!("{response:?}").contains("87a2"), "a session is masked");
    }

    #[test]
    fn a_success_without_a_session_is_an_error() {
        for bad in [
            "",
            "{}",
            r#"{"auth_session_token":""}"#,
            r#"{"auth_session_token":null}"#,
            r#"{"auth_session_token":"a\nb"}"#,
            "ok",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
