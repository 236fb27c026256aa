use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// How a server token stands (design, section 5). Everything Apple may say of it has one name here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// No token has been imported.
    None,
    /// Apple accepts it.
    Valid,
    /// Accepted, and expires within 60 days.
    Expiring,
    /// Past its expiry.
    Expired,
    /// Apple refuses it: revoked, or not a token of Apple's (`token_rejected`, `consumer_key_*`).
    Rejected,
    /// A newer token was generated in the portal (`signature_invalid`).
    Superseded,
    /// Apple's terms have changed and nobody has accepted them (`T_C_NOT_SIGNED`).
    TermsNotSigned,
    /// Apple could not be reached, or did not answer as Apple.
    Unreachable,
}

impl TokenState {
    /// All of them, for parsers and tables.
    pub const ALL: [Self; 8] = [
        Self::None,
        Self::Valid,
        Self::Expiring,
        Self::Expired,
        Self::Rejected,
        Self::Superseded,
        Self::TermsNotSigned,
        Self::Unreachable,
    ];

    /// The name that stores, JSON and tables use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Valid => "valid",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Superseded => "superseded",
            Self::TermsNotSigned => "terms_not_signed",
            Self::Unreachable => "unreachable",
        }
    }

    /// The state with that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// What the administrator does about it; `None` when nothing is to be done.
    #[must_use]
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Valid => None,
            Self::None => Some(
                "run `adelie token key NAME`, upload the certificate in Apple Business or School Manager, \
                 download the server token and run `adelie token import NAME FILE.p7m`",
            ),
            Self::Expiring | Self::Expired => Some(
                "download a new server token for this MDM server in Apple Business or School Manager and \
                 run `adelie token import NAME FILE.p7m`",
            ),
            Self::Rejected => Some(
                "Apple revoked this token: download a new one in Apple Business or School Manager and run \
                 `adelie token import NAME FILE.p7m`",
            ),
            Self::Superseded => Some(
                "a newer token was generated in the portal: import that one with \
                 `adelie token import NAME FILE.p7m`, or generate another",
            ),
            Self::TermsNotSigned => Some(
                "an administrator of the organization must sign in to Apple Business or School Manager and \
                 accept the new terms; then run `adelie sync NAME`",
            ),
            Self::Unreachable => {
                Some("check the network, the proxy and Apple's system status page; Adelie goes on trying")
            }
        }
    }

    /// The state by the calendar alone: `Valid`, `Expiring` within 60 days, or `Expired`.
    #[must_use]
    pub fn by_expiry(expires_at: Timestamp, now: Timestamp) -> Self {
        let left = expires_at - now;
        if left <= chrono::TimeDelta::zero() {
            Self::Expired
        } else if left <= chrono::TimeDelta::days(60) {
            Self::Expiring
        } else {
            Self::Valid
        }
    }
}

impl std::fmt::Display for TokenState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
