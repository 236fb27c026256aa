//! What goes wrong, sorted by what the caller does next.

use adelie_model::{Timestamp, TokenState};

use crate::AppleCode;
pub use crate::problem::{CursorProblem, TokenProblem};
use crate::transport::TransportError;

use crate::endpoint::{InvalidRequest, MAX_SERIALS, MalformedAnswer, Method};

/// Which request of Apple's service it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path below the base URL.
    pub path: &'static str,
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// An answer that is not a success, or not what Apple sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// To what.
    pub call: Call,
    /// The HTTP status.
    pub status: u16,
    /// Apple's word, when there is one.
    pub code: Option<AppleCode>,
    /// The beginning of the body, at most 200 characters, without secrets. Empty where the body might be one.
    pub excerpt: String,
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} was answered with {}", self.call, self.status)?;
        match &self.code {
            Some(code) => write!(f, " {code}"),
            None if self.excerpt.is_empty() => Ok(()),
            None => write!(f, " {:?}", self.excerpt),
        }
    }
}

/// Why a request has no result. Variants are sorted by what the caller does next; [`Error::remedy`] says it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Apple refuses the server token. Stop, and ask the administrator.
    #[error("Apple refuses the server token, {problem}: {answer}")]
    Token {
        /// Why.
        problem: TokenProblem,
        /// What Apple said.
        answer: Box<Answer>,
    },
    /// The organization has not accepted Apple's terms. Stop, and ask the administrator.
    #[error("the organization has not accepted Apple's new terms: {answer}")]
    TermsNotSigned {
        /// What Apple said.
        answer: Box<Answer>,
    },
    /// The service or the server token may not do this. Stop, and ask the administrator.
    #[error("Apple does not let this MDM server do that: {answer}")]
    AccessDenied {
        /// What Apple said.
        answer: Box<Answer>,
    },
    /// Apple refused a session that it had just issued. Try again later.
    #[error("Apple refuses the session that it has just issued: {answer}")]
    Session {
        /// What Apple said.
        answer: Box<Answer>,
    },
    /// Not before a moment. When `answer` is `None` nothing was sent, because an earlier answer said so.
    #[error("{}", wait_text(.call, .until, .answer))]
    Wait {
        /// The request that has to wait.
        call: Call,
        /// Until when on the client's clock; `None` when Apple did not say, and the caller chooses.
        until: Option<Timestamp>,
        /// What Apple said, when this request was sent.
        answer: Option<Box<Answer>>,
        /// Whether the request may have taken effect all the same.
        may_have_taken_effect: bool,
    },
    /// No connection: nothing was sent. Try again later.
    #[error("{call} could not be sent, because Apple cannot be reached")]
    Unreachable {
        /// The request.
        call: Call,
        /// What failed: name resolution, connection or TLS.
        source: TransportError,
    },
    /// Sent, and the answer is missing or cut. It may have taken effect: read back before a repetition.
    #[error("{call} was sent and no whole answer came back")]
    Ambiguous {
        /// The request.
        call: Call,
        /// Whether the request changes something at Apple.
        writes: bool,
        /// What failed.
        source: TransportError,
    },
    /// Apple has failed. Try again later; a request that changes something may have taken effect.
    #[error("Apple's service has failed: {answer}")]
    Server {
        /// What Apple said.
        answer: Box<Answer>,
        /// Whether the request changes something at Apple.
        writes: bool,
    },
    /// The cursor is of no use. Fetch the whole list, or go on with sync when it is exhausted.
    #[error("the cursor {problem}: {answer}")]
    Cursor {
        /// Why.
        problem: CursorProblem,
        /// What Apple said.
        answer: Box<Answer>,
    },
    /// Apple refuses to publish a profile. Change it.
    #[error("Apple refuses the profile, because {}: {answer}", profile_meaning(.answer))]
    ProfileRefused {
        /// What Apple said.
        answer: Box<Answer>,
    },
    /// Apple does not know the profile. Publish it again.
    #[error("Apple does not know the profile: {answer}")]
    ProfileNotFound {
        /// What Apple said.
        answer: Box<Answer>,
    },
    /// Apple does not know the device at this MDM server. Give up on this device.
    #[error("Apple does not know the device at this MDM server: {answer}")]
    DeviceNotFound {
        /// What Apple said.
        answer: Box<Answer>,
    },
    /// Apple refuses the User-Agent. Change the setting.
    #[error("Apple refuses the User-Agent {user_agent:?}: {answer}")]
    UserAgent {
        /// What was sent.
        user_agent: String,
        /// What Apple said.
        answer: Box<Answer>,
    },
    /// Any other refusal of this very request. Give up on it.
    #[error("the request was refused: {answer}")]
    Refused {
        /// What Apple said.
        answer: Box<Answer>,
    },
    /// The answer is not what Apple sends. Nothing may be concluded from it (field lesson L9).
    #[error("the answer is not what Apple sends: {answer}")]
    Malformed {
        /// What came.
        answer: Box<Answer>,
        /// Whether the request changes something at Apple, and may have done so.
        writes: bool,
        /// What is wrong with it.
        source: MalformedAnswer,
    },
    /// More serial numbers than Apple's limit. Nothing was sent (field lesson L22).
    #[error("{call} was not sent, because it has {count} serial numbers and the limit is {MAX_SERIALS}")]
    TooManySerials {
        /// The request.
        call: Call,
        /// How many it has.
        count: usize,
    },
    /// Whoever sent it may not any more. Nothing was sent.
    #[error("{call} was not sent, because it came too late")]
    Withheld {
        /// The request.
        call: Call,
    },
    /// The request is outside Apple's limits in another way. Nothing was sent.
    #[error("{call} was not sent")]
    Invalid {
        /// The request.
        call: Call,
        /// Why.
        source: InvalidRequest,
    },
    /// The request does not serialize. Nothing was sent; this is a defect of Adelie.
    #[error("{call} was not sent, because it cannot be written as JSON")]
    Serialize {
        /// The request.
        call: Call,
        /// Why.
        source: serde_json::Error,
    },
    /// The options of the client cannot be used.
    #[error("the setting {setting} of the connection to Apple cannot be used")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// Why, when a library says so.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

fn wait_text(call: &Call, until: &Option<Timestamp>, answer: &Option<Box<Answer>>) -> String {
    let wait = until.map_or_else(|| "wait".to_owned(), |until| format!("wait until {}", until.to_rfc3339()));
    match answer {
        Some(answer) => format!("Apple asks to {wait}: {answer}"),
        None => format!("{call} was not sent, because Apple has asked to {wait}"),
    }
}

fn profile_meaning(answer: &Answer) -> &'static str {
    answer.code.as_ref().map_or("Apple gives no reason that is known here", AppleCode::profile_meaning)
}

impl Error {
    /// What was answered, when there was an answer.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Token { answer, .. }
            | Self::TermsNotSigned { answer }
            | Self::AccessDenied { answer }
            | Self::Session { answer }
            | Self::Server { answer, .. }
            | Self::Cursor { answer, .. }
            | Self::ProfileRefused { answer }
            | Self::ProfileNotFound { answer }
            | Self::DeviceNotFound { answer }
            | Self::UserAgent { answer, .. }
            | Self::Refused { answer }
            | Self::Malformed { answer, .. } => Some(answer),
            Self::Wait { answer, .. } => answer.as_deref(),
            Self::Unreachable { .. }
            | Self::Ambiguous { .. }
            | Self::TooManySerials { .. }
            | Self::Withheld { .. }
            | Self::Invalid { .. }
            | Self::Serialize { .. }
            | Self::Setting { .. } => None,
        }
    }

    /// Apple's word, when there is one.
    #[must_use]
    pub fn code(&self) -> Option<&AppleCode> {
        self.answer()?.code.as_ref()
    }

    /// The moment before which Apple asks not to come back, on the client's clock.
    #[must_use]
    pub fn wait_until(&self) -> Option<Timestamp> {
        if let Self::Wait { until, .. } = self { *until } else { None }
    }

    /// Whether the request may have changed something at Apple, so that it is to be read back before it is
    /// sent again.
    #[must_use]
    pub fn may_have_taken_effect(&self) -> bool {
        match self {
            Self::Ambiguous { writes, .. } | Self::Server { writes, .. } | Self::Malformed { writes, .. } => {
                *writes
            }
            Self::Wait { may_have_taken_effect, .. } => *may_have_taken_effect,
            _ => false,
        }
    }

    /// Whether the same request may succeed later without anybody's doing. See also
    /// [`Error::may_have_taken_effect`].
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Session { .. }
                | Self::Wait { .. }
                | Self::Unreachable { .. }
                | Self::Ambiguous { .. }
                | Self::Server { .. }
                | Self::Malformed { .. }
                | Self::Token { problem: TokenProblem::Nonce, .. }
        )
    }

    /// What the error says of the server token; `None` when it says nothing about it.
    #[must_use]
    pub fn token_state(&self) -> Option<TokenState> {
        match self {
            Self::Token { problem, .. } => match problem {
                TokenProblem::Expired => Some(TokenState::Expired),
                TokenProblem::Rejected | TokenProblem::Unknown => Some(TokenState::Rejected),
                TokenProblem::Superseded => Some(TokenState::Superseded),
                // These are about the request and not about the token.
                TokenProblem::Clock | TokenProblem::Nonce => None,
            },
            Self::TermsNotSigned { .. } => Some(TokenState::TermsNotSigned),
            // Elsewhere it may be about a right that this MDM server lacks, like disowning.
            Self::AccessDenied { answer } if at_session(answer) => Some(TokenState::Rejected),
            Self::Unreachable { .. } | Self::Ambiguous { .. } => Some(TokenState::Unreachable),
            // Somebody else has answered: a proxy, or a server at a wrong base URL.
            Self::Refused { answer } | Self::Malformed { answer, .. } if at_session(answer) => {
                Some(TokenState::Unreachable)
            }
            _ => None,
        }
    }

    /// What to do about it, for the person who reads the error.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Token { problem: TokenProblem::Clock, .. } => {
                "set the clock of this machine right, best by NTP; Adelie then goes on"
            }
            Self::Token { problem: TokenProblem::Nonce, .. } | Self::Session { .. } => {
                "nothing, Adelie tries again; if it stays, look for another client that uses the same server token"
            }
            Self::Token { .. }
            | Self::TermsNotSigned { .. }
            | Self::Unreachable { .. }
            | Self::Ambiguous { writes: false, .. } => {
                self.token_state().and_then(TokenState::remedy).unwrap_or("run `adelie doctor`")
            }
            Self::AccessDenied { .. } => {
                "look in Apple Business or School Manager whether this MDM server still exists and may do this \
                 (releasing devices is a right of its own)"
            }
            Self::Wait { .. } => "nothing, Adelie waits and goes on by itself",
            Self::Ambiguous { .. } => "nothing, Adelie reads back what has taken effect before it goes on",
            Self::Server { .. } => "nothing, Adelie tries again; if it stays, see Apple's system status page",
            Self::Cursor { problem: CursorProblem::Exhausted, .. } => {
                "nothing, Adelie goes on with the changes"
            }
            Self::Cursor { .. } => "nothing, Adelie fetches the whole device list",
            Self::ProfileRefused { .. } => "change the profile as said above, then publish it again",
            Self::ProfileNotFound { .. } => "publish the profile again for this MDM server",
            Self::DeviceNotFound { .. } => {
                "look in Apple Business or School Manager to which MDM server the device is assigned"
            }
            Self::UserAgent { .. } => "set another user_agent for the connection to Apple",
            Self::Refused { .. } => {
                "if the text is not Apple's, check the base URL and the proxy; else report it as a defect of Adelie"
            }
            Self::Malformed { .. } => {
                "check the base URL and whether a proxy answers in Apple's place; nothing was concluded from it"
            }
            Self::TooManySerials { .. } => "send them in several requests of at most 1000",
            Self::Withheld { .. } => "nothing, whoever may send it does",
            Self::Invalid { .. } | Self::Serialize { .. } => "report it as a defect of Adelie",
            Self::Setting { .. } => "correct the setting and start again",
        }
    }
}

fn at_session(answer: &Answer) -> bool {
    answer.call.path == crate::endpoints::session::PATH
}
