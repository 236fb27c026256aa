use adelie_model::{Secret, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openssl::hash::MessageDigest;
use openssl::sign::Signer;
use serde_json::json;
use uuid::Uuid;

use crate::TokenKey;

/// The only service that Apple has named (protocol section 10.2).
pub const ACCESS_MANAGEMENT: &str = "com.apple.maid";

/// Why no token was signed.
#[derive(Debug, thiserror::Error)]
pub enum JwtError {
    /// Apple names one service only, and a device that asks for another is to be answered with HTTP status 400.
    #[error("the service type {0:?} is not known: Apple has named only {ACCESS_MANAGEMENT}")]
    ServiceType(String),
    /// Without it Apple would not know whose token it is.
    #[error("the UUID of the MDM server at Apple is not known")]
    NoServerUuid,
    /// OpenSSL failed.
    #[error("the token could not be signed")]
    Sign(#[from] openssl::error::ErrorStack),
}

/// The JSON web token that answers a device's `GetToken`, for access management of Managed Apple Accounts (protocol
/// section 10.2). It is signed by the private key whose certificate is registered in the portal, names the MDM server by
/// `server_uuid` exactly as the account detail tells it, and is good once: `id` must be fresh.
///
/// <https://developer.apple.com/documentation/devicemanagement/get-token>
///
/// # Errors
/// [`JwtError`] when the service is unknown, the server UUID is empty, or OpenSSL fails.
pub fn access_management_token(
    key: &TokenKey,
    server_uuid: &str,
    service_type: &str,
    id: Uuid,
    now: Timestamp,
) -> Result<Secret, JwtError> {
    if service_type != ACCESS_MANAGEMENT {
        return Err(JwtError::ServiceType(service_type.to_owned()));
    }
    if server_uuid.trim().is_empty() {
        return Err(JwtError::NoServerUuid);
    }
    let claims = json!({
        "iss": server_uuid,
        "iat": now.timestamp(),
        "jti": id.hyphenated().to_string(),
        "service_type": service_type,
    });
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({ "alg": "RS256", "typ": "JWT" })), part(&claims));
    let mut signer = Signer::new(MessageDigest::sha256(), key.halves().0)?;
    signer.update(signed.as_bytes())?;
    let signature = URL_SAFE_NO_PAD.encode(signer.sign_to_vec()?);
    Ok(Secret::from(format!("{signed}.{signature}")))
}

#[cfg(test)]
mod tests {
    use openssl::sign::Verifier;
    use secrecy::ExposeSecret;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).expect("a moment")
    }

    #[test]
    fn the_token_says_what_apple_asks_for_and_its_signature_fits_the_certificate() {
        let key = TokenKey::generate("acme", at(1_700_000_000)).expect("a key");
        let id = Uuid::from_u128(7);
        let token = access_management_token(&key, "SERVER-UUID", ACCESS_MANAGEMENT, id, at(1_800_000_000))
            .expect("a token");
        let text = token.expose_secret();
        let (signed, signature) = text.rsplit_once('.').expect("three parts");
        let (header, claims) = signed.split_once('.').expect("three parts");
        let read = |part: &str| -> serde_json::Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
        };
        assert_eq!(read(header), json!({ "alg": "RS256", "typ": "JWT" }));
        let expected = json!({
            "iss": "SERVER-UUID", "iat": 1_800_000_000, "service_type": "com.apple.maid",
            "jti": "00000000-0000-0000-0000-000000000007",
        });
        assert_eq!(read(claims), expected);
        let public = key.halves().1.public_key().expect("a public key");
        let mut verifier = Verifier::new(MessageDigest::sha256(), &public).expect("a verifier");
        verifier.update(signed.as_bytes()).expect("read");
        assert!(verifier.verify(&URL_SAFE_NO_PAD.decode(signature).expect("base64")).expect("verified"));
    }

    #[test]
    fn unknown_services_and_servers_get_none() {
        let key = TokenKey::generate("acme", at(1_700_000_000)).expect("a key");
        let ask = |server: &str, service: &str| {
            access_management_token(&key, server, service, Uuid::nil(), at(0)).map(|_| ())
        };
        assert!(matches!(ask("S", "com.apple.other"), Err(JwtError::ServiceType(_))));
        assert!(matches!(ask(" ", ACCESS_MANAGEMENT), Err(JwtError::NoServerUuid)));
    }
}
