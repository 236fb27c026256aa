//! Secrets on the wire: written and read as text, masked everywhere else.

use adelie_model::Secret;
use secrecy::ExposeSecret;
use serde::{Deserialize, Deserializer, Serializer};

/// For `serialize_with` on a secret that must be sent.
pub(crate) fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// For `deserialize_with` on a secret that must be there.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    Ok(Secret::from(String::deserialize(deserializer)?))
}

/// For `serialize_with` on a secret that may be absent.
pub(crate) fn serialize_optional<S: Serializer>(
    secret: &Option<Secret>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => serialize(secret, serializer),
        None => serializer.serialize_none(),
    }
}

/// For `deserialize_with` on a secret that may be absent, `null` or empty.
pub(crate) fn deserialize_optional<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()).map(Secret::from))
}
