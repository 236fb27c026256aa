//! From an answer to the error that says what to do next.

use adelie_model::Mask;

use super::Shared;
use super::exchange::Raw;
use super::session::CALL as SESSION_CALL;
use crate::AppleCode;
use crate::endpoint::{MalformedAnswer, Subject};
use crate::error::{Answer, Call, CursorProblem, Error, TokenProblem};

/// The most characters of a body that an error keeps.
const EXCERPT: usize = 200;
/// The most bytes of a body in which its beginning is looked for.
const READ: usize = 16 * EXCERPT;

/// What an endpoint says of itself, as far as it matters here.
#[derive(Clone, Copy)]
pub(super) struct Context {
    pub(super) subject: Subject,
    pub(super) writes: bool,
    pub(super) secret_answer: bool,
}

impl Shared {
    /// The error of a refusal at any endpoint but `/session`.
    pub(super) fn refusal(&self, call: Call, raw: &Raw, context: Context) -> Error {
        let answer = self.answer(call, raw);
        self.common(answer, raw, context.writes)
            .unwrap_or_else(|answer| by_subject(answer, context.subject, raw))
    }

    /// The error of a refusal at `/session` (protocol section 2.5).
    pub(super) fn session_refusal(&self, raw: &Raw) -> Error {
        let answer = match self.common(self.answer(SESSION_CALL, raw), raw, false) {
            Ok(error) => return error,
            Err(answer) => answer,
        };
        let apple = !is_page(&answer.excerpt);
        match answer.status {
            // Not Apple's word but Apple's status: the calendar may know why.
            400 | 401 | 403 if apple => {
                let expired = self.token.expires_at <= self.clock.now();
                let problem = if expired { TokenProblem::Expired } else { TokenProblem::Unknown };
                Error::Token { problem, answer }
            }
            _ => by_subject(answer, Subject::Other, raw),
        }
    }

    /// The error of a success that does not read. Some old servers answer 200 with an error's word.
    pub(super) fn malformed(
        &self,
        call: Call,
        raw: &Raw,
        context: Context,
        source: MalformedAnswer,
    ) -> Error {
        let mut answer = self.answer(call, raw);
        let code = AppleCode::parse(&String::from_utf8_lossy(&raw.body));
        if let Some(code) = code.filter(|code| !matches!(code, AppleCode::Other(_))) {
            answer.code = Some(code);
            return self
                .common(answer, raw, context.writes)
                .unwrap_or_else(|answer| by_subject(answer, context.subject, raw));
        }
        let source = match source {
            source if context.secret_answer => {
                answer.excerpt.clear();
                mute(source)
            }
            MalformedAnswer::Json(complaint) => {
                MalformedAnswer::Json(excerpt(&self.mask(raw), complaint.as_bytes()))
            }
            missing => missing,
        };
        Error::Malformed { answer, writes: context.writes, source }
    }

    fn answer(&self, call: Call, raw: &Raw) -> Box<Answer> {
        let mask = self.mask(raw);
        // A word that is not known may be one of the secrets.
        let secret = |code: &AppleCode| mask.cover(code.as_str()) != code.as_str();
        Box::new(Answer {
            call,
            status: raw.status,
            code: raw.code.clone().filter(|code| !secret(code)),
            excerpt: excerpt(&mask, &raw.body),
        })
    }

    /// What no error about this answer may repeat.
    fn mask(&self, raw: &Raw) -> Mask {
        let session = self.sessions.value();
        let token = [&self.token.consumer_secret, &self.token.access_token, &self.token.access_secret];
        let sent = session.iter().chain(&raw.shown).chain(&raw.new_session);
        Mask::new(token.into_iter().chain(sent))
    }

    /// What means the same everywhere. `Err` gives the answer back.
    fn common(&self, answer: Box<Answer>, raw: &Raw, writes: bool) -> Result<Error, Box<Answer>> {
        if answer.status == 429 || (answer.status == 503 && raw.until.is_some()) {
            // A 429 is refused before it is worked on; of a 503 that is not known.
            let may_have_taken_effect = writes && answer.status != 429;
            let call = answer.call;
            return Ok(Error::Wait { call, until: raw.until, answer: Some(answer), may_have_taken_effect });
        }
        if answer.status >= 500 || matches!(answer.status, 408 | 425) {
            return Ok(Error::Server { answer, writes });
        }
        if (300..400).contains(&answer.status) {
            return Ok(redirect(answer, raw, writes, &self.mask(raw)));
        }
        let Some(code) = &answer.code else { return Err(answer) };
        let problem = match code {
            AppleCode::TokenExpired => Some(TokenProblem::Expired),
            AppleCode::TokenRejected | AppleCode::ConsumerKeyUnknown | AppleCode::ConsumerKeyRejected => {
                Some(TokenProblem::Rejected)
            }
            AppleCode::SignatureInvalid => Some(TokenProblem::Superseded),
            AppleCode::TimestampRefused => Some(TokenProblem::Clock),
            AppleCode::NonceUsed => Some(TokenProblem::Nonce),
            AppleCode::ParameterAbsent | AppleCode::SignatureMethodRejected => Some(TokenProblem::Unknown),
            _ => None,
        };
        if let Some(problem) = problem {
            return Ok(Error::Token { problem, answer });
        }
        let cursor = match code {
            AppleCode::ExpiredCursor => Some(CursorProblem::Expired),
            AppleCode::InvalidCursor => Some(CursorProblem::Invalid),
            AppleCode::ExhaustedCursor => Some(CursorProblem::Exhausted),
            AppleCode::CursorRequired => Some(CursorProblem::Required),
            _ => None,
        };
        if let Some(problem) = cursor {
            return Ok(Error::Cursor { problem, answer });
        }
        match code {
            AppleCode::TermsNotSigned => Ok(Error::TermsNotSigned { answer }),
            AppleCode::AccessDenied => Ok(Error::AccessDenied { answer }),
            AppleCode::UserAgentMissing | AppleCode::UserAgentInvalid => {
                Ok(Error::UserAgent { user_agent: self.options.user_agent.clone(), answer })
            }
            _ => Err(answer),
        }
    }
}

/// What depends on the endpoint.
fn by_subject(answer: Box<Answer>, subject: Subject, raw: &Raw) -> Error {
    if raw.session_has_ended() && answer.call != SESSION_CALL {
        return Error::Session { answer };
    }
    // A page of HTML is a wrong base URL or a proxy, and says nothing of profiles and devices.
    let status_404 = answer.status == 404 && !is_page(&answer.excerpt);
    match (subject, &answer.code) {
        (Subject::Definition, Some(_)) => Error::ProfileRefused { answer },
        (Subject::Profile, Some(AppleCode::ProfileNotFound | AppleCode::NotFound)) => {
            Error::ProfileNotFound { answer }
        }
        (Subject::Profile, _) if status_404 => Error::ProfileNotFound { answer },
        (Subject::Device, Some(AppleCode::DeviceNotFound | AppleCode::NotFound)) => {
            Error::DeviceNotFound { answer }
        }
        (Subject::Device, _) if status_404 => Error::DeviceNotFound { answer },
        _ => Error::Refused { answer },
    }
}

fn redirect(mut answer: Box<Answer>, raw: &Raw, writes: bool, mask: &Mask) -> Error {
    if let Some(location) = &raw.location {
        answer.excerpt = excerpt(mask, format!("redirect to {location}").as_bytes());
    }
    let source = MalformedAnswer::Missing("it is a redirect, and Apple never redirects");
    Error::Malformed { answer, writes, source }
}

/// The beginning of a text on one line. Secrets are cut out before the text is cut off, so that no half of one remains.
fn excerpt(mask: &Mask, body: &[u8]) -> String {
    let text = mask.cover_beginning(body, READ);
    let words: Vec<_> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    words.join(" ").chars().take(EXCERPT).collect()
}

fn is_page(text: &str) -> bool {
    text.trim_start().starts_with('<')
}

/// Takes the values out of a complaint, because a JSON error may quote what it has read.
pub(super) fn mute(source: MalformedAnswer) -> MalformedAnswer {
    match source {
        MalformedAnswer::Json(_) => MalformedAnswer::Json("its fields are not as they should be".to_owned()),
        missing => missing,
    }
}
