use serde::{Deserialize, Serialize};

use crate::{RevisionId, RuleId, Timestamp};

/// How far Apple has been brought to give a device its wanted profile (design, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssignState {
    /// No default and no rule gives this device a profile.
    Unmatched,
    /// Kept back by an operator or by a profile that Apple refuses.
    Held,
    /// To be assigned.
    Due,
    /// The intent is stored and the request may have left; its outcome is not known yet.
    Sent,
    /// Apple shows the wanted profile.
    Assigned,
    /// Apple shows the wanted profile and the device has fetched it.
    Pushed,
    /// Apple refuses for now; tried again at `next_attempt_at` (field lesson L21).
    Throttled,
    /// Apple answered FAILED, or not at all for this serial; tried again at `next_attempt_at`.
    Failed,
    /// Apple says the device is not this server's; read back at `next_attempt_at`.
    NotAccessible,
    /// Apple shows another profile without our doing; repaired like `due`.
    Drifted,
    /// The device has left this MDM server.
    Removed,
}

impl AssignState {
    /// All of them, for parsers and tables.
    pub const ALL: [Self; 11] = [
        Self::Unmatched,
        Self::Held,
        Self::Due,
        Self::Sent,
        Self::Assigned,
        Self::Pushed,
        Self::Throttled,
        Self::Failed,
        Self::NotAccessible,
        Self::Drifted,
        Self::Removed,
    ];

    /// The name that stores, JSON and tables use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unmatched => "unmatched",
            Self::Held => "held",
            Self::Due => "due",
            Self::Sent => "sent",
            Self::Assigned => "assigned",
            Self::Pushed => "pushed",
            Self::Throttled => "throttled",
            Self::Failed => "failed",
            Self::NotAccessible => "not_accessible",
            Self::Drifted => "drifted",
            Self::Removed => "removed",
        }
    }

    /// The state with that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether somebody should look: the device will not get its profile by itself in a moment.
    #[must_use]
    pub fn needs_attention(self) -> bool {
        matches!(self, Self::Unmatched | Self::Held | Self::Failed | Self::NotAccessible)
    }
}

impl std::fmt::Display for AssignState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The assignment of one device: what is wanted, how it stands, and when it is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Where it stands.
    pub state: AssignState,
    /// Why it stands there, for people; empty when the state says it all.
    pub reason: String,
    /// Requests sent for the wanted profile since it last was as wanted.
    pub attempts: u32,
    /// When it is worked on next. `None` means: not until something changes.
    pub next_attempt_at: Option<Timestamp>,
    /// The revision that the rules give this device; `None` when unmatched.
    pub wanted: Option<RevisionId>,
    /// The rule that gives it; `None` when it is a default, or nothing.
    pub rule: Option<RuleId>,
}
