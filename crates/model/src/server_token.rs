use secrecy::SecretString;

use crate::Timestamp;

/// A text that is masked in `Debug`, has no `Display`, and is zeroed when dropped.
pub type Secret = SecretString;

/// The content of a decrypted `.p7m`: OAuth 1.0a credentials of one MDM server (protocol section 1.5).
///
/// All four values are opaque. The keys identify, the secrets sign; only the secrets are secret, and the
/// access token is treated as one because with it goes the right to ask.
#[derive(Clone, Debug)]
pub struct ServerToken {
    /// Stays the same over renewals of one MDM server, as far as seen (protocol section 1.6).
    pub consumer_key: String,
    /// Signs requests.
    pub consumer_secret: Secret,
    /// Names the issued token.
    pub access_token: Secret,
    /// Signs requests.
    pub access_secret: Secret,
    /// After this moment Apple refuses the token; 365 days after its issue.
    pub expires_at: Timestamp,
}
