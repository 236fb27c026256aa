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
                "run `adelie token renew NAME`, which leads through the renewal in Apple Business or School Manager",
            ),
            Self::Rejected => Some("Apple revoked this token: get a new one with `adelie token renew NAME`"),
            Self::Superseded => Some(
                "a newer token was generated in the portal: take that one with `adelie token renew NAME FILE.p7m`, \
                 or get another with `adelie token renew NAME`",
            ),
            Self::TermsNotSigned => Some(
                "an administrator of the organization must sign in to Apple Business or School Manager and \
                 accept the new terms; then run `adelie token check NAME`",
            ),
            Self::Unreachable => {
                Some("check the network, the proxy and Apple's system status page; Adelie goes on trying")
            }
        }
    }

    /// Whether Apple refuses this token until somebody does something. It is then tried again only now and then.
    #[must_use]
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Expired | Self::Rejected | Self::Superseded | Self::TermsNotSigned)
    }

    /// How much it matters, the worst first: what sorts lists of tokens.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Expired => 0,
            Self::Rejected => 1,
            Self::Superseded => 2,
            Self::TermsNotSigned => 3,
            Self::None => 4,
            Self::Unreachable => 5,
            Self::Expiring => 6,
            Self::Valid => 7,
        }
    }

    /// The state after `seen` was found out about a token that stood like this. That Apple cannot be reached takes
    /// nothing back of what it said before: a token that it refuses stays refused until it is taken.
    #[must_use]
    pub fn after(self, seen: Self) -> Self {
        if seen == Self::Unreachable && self.is_bad() { self } else { seen }
    }

    /// The state at a moment of a token that stood like this when Apple was last asked: where Apple has said nothing
    /// against it, the calendar may.
    #[must_use]
    pub fn at(self, expires_at: Timestamp, now: Timestamp) -> Self {
        match self {
            Self::Valid | Self::Expiring => Self::by_expiry(expires_at, now),
            Self::Unreachable if expires_at <= now => Self::Expired,
            state => state,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_a_rank_of_its_own_and_the_bad_ones_come_first() {
        let mut ranked = TokenState::ALL;
        ranked.sort_by_key(|state| state.rank());
        assert!(ranked.windows(2).all(|pair| pair[0].rank() < pair[1].rank()));
        assert!(
            ranked[..4].iter().all(|state| state.is_bad()) && ranked[4..].iter().all(|state| !state.is_bad())
        );
    }

    /// L43: a network that is down says nothing about the terms.
    #[test]
    fn what_apple_said_outlasts_a_dead_network() {
        use TokenState::{Expiring, Rejected, TermsNotSigned, Unreachable, Valid};
        assert_eq!(TermsNotSigned.after(Unreachable), TermsNotSigned);
        assert_eq!(Rejected.after(Unreachable), Rejected);
        assert_eq!(Rejected.after(Valid), Valid);
        assert_eq!(Valid.after(Unreachable), Unreachable);
        assert_eq!(Unreachable.after(Expiring), Expiring);
    }
}
