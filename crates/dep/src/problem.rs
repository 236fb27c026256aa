//! The reasons within a kind of error.

/// What is wrong with a server token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenProblem {
    /// Past its year.
    Expired,
    /// Revoked, or not a token of Apple's.
    Rejected,
    /// A newer one was generated in the portal.
    Superseded,
    /// Apple refuses the time of the request: a clock is wrong.
    Clock,
    /// Apple has seen the nonce before. A new try has a new one.
    Nonce,
    /// Refused without a reason that is known here.
    Unknown,
}

impl std::fmt::Display for TokenProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Expired => "it has expired",
            Self::Rejected => "it was revoked, or is not a token of Apple's",
            Self::Superseded => "a newer one was generated in the portal",
            Self::Clock => "because of the clock: the time of the request is not accepted",
            Self::Nonce => "the request was taken for a repetition",
            Self::Unknown => "no reason was given that is known here",
        })
    }
}

/// What is wrong with a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CursorProblem {
    /// Older than seven days: fetch the whole list.
    Expired,
    /// Not a cursor of Apple's: fetch the whole list.
    Invalid,
    /// Its list has been read to the end: go on with sync and the same cursor.
    Exhausted,
    /// None was sent.
    Required,
}

impl std::fmt::Display for CursorProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Expired => "has expired",
            Self::Invalid => "is not known to Apple",
            Self::Exhausted => "is at the end of its list",
            Self::Required => "is missing",
        })
    }
}
