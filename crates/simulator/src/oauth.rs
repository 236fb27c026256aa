//! The OAuth 1.0a header of `GET /session`, checked as Apple does it (protocol section 2.1).
//!
//! Written without the library that signs for our own client, so that one tests the other.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;

use crate::state::OAuthProblem;

/// The parameters of a header, decoded.
#[derive(Debug)]
pub(crate) struct Signed {
    parameters: Vec<(String, String)>,
    pub(crate) consumer_key: String,
    pub(crate) access_token: String,
    pub(crate) timestamp: i64,
    pub(crate) nonce: String,
    signature: Vec<u8>,
}

impl Signed {
    /// Reads an `Authorization` header.
    pub(crate) fn parse(header: Option<&str>) -> Result<Self, OAuthProblem> {
        let header = header.ok_or(OAuthProblem(400, "parameter_absent"))?.trim();
        let scheme = header.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("oauth"));
        let list = scheme.and(header.get(5..)).ok_or(OAuthProblem(400, "parameter_absent"))?;
        let mut parameters = Vec::new();
        for pair in list.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(OAuthProblem(400, "parameter_rejected"))?;
            parameters.push((decode(name.trim())?, decode(value.trim().trim_matches('"'))?));
        }
        let one = |name: &str| {
            let mut values = parameters.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone());
            match (values.next(), values.next()) {
                (Some(value), None) if !value.is_empty() => Ok(value),
                (Some(_), Some(_)) => Err(OAuthProblem(400, "parameter_rejected")),
                _ => Err(OAuthProblem(400, "parameter_absent")),
            }
        };
        if one("oauth_signature_method")? != "HMAC-SHA1" {
            return Err(OAuthProblem(400, "signature_method_rejected"));
        }
        if parameters.iter().any(|(key, value)| key == "oauth_version" && value != "1.0") {
            return Err(OAuthProblem(400, "version_rejected"));
        }
        let signed = Self {
            consumer_key: one("oauth_consumer_key")?,
            access_token: one("oauth_token")?,
            timestamp: one("oauth_timestamp")?
                .parse()
                .map_err(|_| OAuthProblem(400, "parameter_rejected"))?,
            nonce: one("oauth_nonce")?,
            signature: STANDARD
                .decode(one("oauth_signature")?)
                .map_err(|_| OAuthProblem(401, "signature_invalid"))?,
            parameters: Vec::new(),
        };
        Ok(Self { parameters, ..signed })
    }

    /// Whether the signature was made with these secrets for one of the addresses.
    pub(crate) fn verify(
        &self,
        method: &str,
        urls: &[String],
        consumer_secret: &str,
        access_secret: &str,
    ) -> bool {
        let key = format!("{}&{}", encode(consumer_secret), encode(access_secret));
        urls.iter().any(|url| {
            let base = self.base_string(method, url);
            hmac_sha1(key.as_bytes(), base.as_bytes()).is_some_and(|expected| {
                expected.len() == self.signature.len() && openssl::memcmp::eq(&expected, &self.signature)
            })
        })
    }

    fn base_string(&self, method: &str, url: &str) -> String {
        let mut pairs: Vec<(String, String)> = self
            .parameters
            .iter()
            .filter(|(name, _)| name != "realm" && name != "oauth_signature")
            .map(|(name, value)| (encode(name), encode(value)))
            .collect();
        pairs.sort();
        let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{method}&{}&{}", encode(url), encode(&pairs.join("&")))
    }
}

/// The addresses that a client may have signed for this host: we do not see which scheme a proxy took off.
pub(crate) fn candidate_urls(host: &str, path: &str) -> Vec<String> {
    let host = host.to_ascii_lowercase();
    let plain = host.strip_suffix(":80").unwrap_or(&host);
    let tls = host.strip_suffix(":443").unwrap_or(&host);
    vec![format!("http://{plain}{path}"), format!("https://{tls}{path}")]
}

fn hmac_sha1(key: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let key = PKey::hmac(key).ok()?;
    Signer::new(MessageDigest::sha1(), &key).ok()?.sign_oneshot_to_vec(text).ok()
}

/// Percent-encoding of RFC 5849: everything but letters, digits and `-._~`.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn decode(text: &str) -> Result<String, OAuthProblem> {
    let bytes = text.as_bytes();
    let (mut out, mut place) = (Vec::with_capacity(bytes.len()), 0);
    while place < bytes.len() {
        if bytes[place] == b'%' {
            let digits =
                text.get(place + 1..place + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
            out.push(digits.ok_or(OAuthProblem(400, "parameter_rejected"))?);
            place += 3;
        } else {
            out.push(bytes[place]);
            place += 1;
        }
    }
    String::from_utf8(out).map_err(|_| OAuthProblem(400, "parameter_rejected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(signature: &str) -> String {
        format!(
            "OAuth realm=\"ADM\", oauth_consumer_key=\"CK_00112233445566778899aabbccddeeff\", \
             oauth_token=\"AT_O123O456789abcdefO1700000000000\", oauth_signature_method=\"HMAC-SHA1\", \
             oauth_timestamp=\"1700000000\", oauth_nonce=\"6e6f6e6365303031\", oauth_version=\"1.0\", \
             oauth_signature=\"{signature}\""
        )
    }

    fn verify(signature: &str, urls: &[String]) -> bool {
        Signed::parse(Some(&header(signature))).expect("a good header").verify(
            "GET",
            urls,
            "CS_0123456789abcdef0123456789abcdef01234567",
            "AS_fedcba9876543210fedcba9876543210fedcba98",
        )
    }

    #[test]
    fn the_vectors_of_the_protocol_reference_verify() {
        let apple = candidate_urls("MDMenrollment.apple.com:443", "/session");
        assert!(verify("gzLaqSZ%2Fy6E3nTBMeDtiv0209eg%3D", &apple));
        let local = candidate_urls("127.0.0.1:8080", "/session");
        assert!(verify("qlFMjhoG6qniOV4tL97BrBjOdS0%3D", &local));
        assert!(!verify("qlFMjhoG6qniOV4tL97BrBjOdS0%3D", &apple));
    }

    #[test]
    fn a_header_that_is_no_signature_is_a_bad_request() {
        let problem = |header: Option<&str>| Signed::parse(header).expect_err("refused");
        assert_eq!(problem(None), OAuthProblem(400, "parameter_absent"));
        assert_eq!(problem(Some("Basic abc")), OAuthProblem(400, "parameter_absent"));
        let twice = format!("{}, oauth_nonce=\"2\"", header("AA%3D%3D"));
        assert_eq!(problem(Some(&twice)), OAuthProblem(400, "parameter_rejected"));
        let other = header("AA%3D%3D").replace("HMAC-SHA1", "PLAINTEXT");
        assert_eq!(problem(Some(&other)), OAuthProblem(400, "signature_method_rejected"));
    }
}
