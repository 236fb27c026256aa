//! The OAuth 1.0a signature of `GET /session` (protocol section 2.1).

use std::num::NonZeroU64;

use adelie_model::ServerToken;
use oauth1_request::signature_method::HmacSha1;
use oauth1_request::{Builder, Credentials, ParameterList};
use secrecy::ExposeSecret;
use url::Url;

use crate::endpoint::Method;
use crate::endpoints::session::REALM;

/// The value of the header `Authorization`. It is as secret as a password until its nonce is used.
pub(crate) fn authorization(
    token: &ServerToken,
    method: Method,
    url: &Url,
    timestamp: NonZeroU64,
    nonce: &str,
) -> String {
    let mut base = url.clone();
    // A query belongs to the signed parameters, and a '?' left in the URL would give a wrong signature.
    base.set_query(None);
    base.set_fragment(None);
    let mut query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    query.sort();

    let consumer = Credentials::new(token.consumer_key.as_str(), token.consumer_secret.expose_secret());
    let access = Credentials::new(token.access_token.expose_secret(), token.access_secret.expose_secret());
    let mut builder = Builder::<_, &str, &str>::new(consumer, HmacSha1::new());
    builder.token(access).version(true).timestamp(timestamp).nonce(nonce);
    let header = builder.authorize(method.as_str(), base.as_str(), &ParameterList::new(query));

    // The library knows no realm. A realm is not signed, so it is put in afterwards.
    let parameters = header.strip_prefix("OAuth ").unwrap_or(&header);
    format!("OAuth realm=\"{REALM}\",{parameters}")
}

#[cfg(test)]
mod tests {
    use adelie_model::{Secret, Timestamp};

    use super::*;

    fn header_for(url: &str) -> String {
        let token = ServerToken {
            consumer_key: "CK_00112233445566778899aabbccddeeff".into(),
            consumer_secret: Secret::from("CS_0123456789abcdef0123456789abcdef01234567"),
            access_token: Secret::from("AT_O123O456789abcdefO1700000000000"),
            access_secret: Secret::from("AS_fedcba9876543210fedcba9876543210fedcba98"),
            expires_at: Timestamp::UNIX_EPOCH,
        };
        let timestamp = NonZeroU64::new(1_700_000_000).expect("not zero");
        authorization(&token, Method::Get, &url.parse().expect("a URL"), timestamp, "6e6f6e6365303031")
    }

    /// The worked example of protocol section 2.1.
    #[test]
    fn the_worked_example_has_its_signature() {
        let header = header_for("https://mdmenrollment.apple.com/session");
        assert!(header.contains("oauth_signature=\"gzLaqSZ%2Fy6E3nTBMeDtiv0209eg%3D\""), "{header}");
        assert!(header.starts_with("OAuth realm=\"ADM\",oauth_consumer_key=\"CK_"), "{header}");
        for parameter in
            ["oauth_version=\"1.0\"", "oauth_timestamp=\"1700000000\"", "oauth_nonce=\"6e6f6e6365303031\""]
        {
            assert!(header.contains(parameter), "{header}");
        }
    }

    /// The worked example of protocol section 2.1 with a port, which is signed.
    #[test]
    fn a_port_belongs_to_the_signature() {
        let header = header_for("http://127.0.0.1:8080/session");
        assert!(header.contains("oauth_signature=\"qlFMjhoG6qniOV4tL97BrBjOdS0%3D\""), "{header}");
    }
}
