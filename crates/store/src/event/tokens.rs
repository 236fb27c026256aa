use adelie_model::{Timestamp, TokenState};
use schemars::JsonSchema;
use serde::Serialize;

use super::NewEvent;

/// Details of how a token stands now.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TokenChanged {
    /// How it stands: `valid`, `expiring`, `expired`, `rejected`, `superseded` or `terms_not_signed`.
    pub state: &'static str,
    /// How it stood before.
    pub was: &'static str,
    /// Apple's word or the cause.
    pub reason: Option<String>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// The rung of the expiry ladder that it stands on: 60, 30, 14, 7, 3 or 1 days before the expiry, 0 on the day after
    /// it, -1 on the next and so on. Absent where it is not the calendar that tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<i64>,
}

/// Details of a token that is in use now.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TokenRenewed {
    /// When it expires.
    pub expires_at: Timestamp,
    /// Whether it is for another MDM server of Apple's than the one before.
    pub another_server: bool,
    /// Whether it is a former one that was put back into use.
    pub restored: bool,
    /// Who did it.
    pub by: String,
}

/// The event of a token of which something else is known than before. That Apple could not be reached is told by the
/// sync that fails, and what the calendar says by [`token_expires`].
#[must_use]
pub fn token_changed(
    was: TokenState,
    is: TokenState,
    reason: Option<&str>,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Option<NewEvent> {
    use TokenState::{Expired, Expiring, Rejected, Superseded, TermsNotSigned, Valid};
    let by_calendar = expires_at.is_some_and(|at| at <= now);
    let kind = match (was, is) {
        (was, is) if was == is => return None,
        (_, Rejected | Superseded) => "token.invalid",
        (_, Expired) if !by_calendar => "token.expired",
        (_, TermsNotSigned) => "terms.required",
        (TermsNotSigned, Valid | Expiring) => "terms.accepted",
        _ => return None,
    };
    let reason = reason.map(str::to_owned);
    let details = TokenChanged { state: is.as_str(), was: was.as_str(), reason, expires_at, days: None };
    Some(NewEvent::new(kind, &details))
}

/// The event of a rung of the expiry ladder.
#[must_use]
pub fn token_expires(was: TokenState, is: TokenState, expires_at: Timestamp, rung: i64) -> NewEvent {
    let (kind, verb) =
        if rung > 0 { ("token.expiring", "expires") } else { ("token.expired", "has expired") };
    let details = TokenChanged {
        state: is.as_str(),
        was: was.as_str(),
        reason: Some(format!("it {verb} on {}", expires_at.format("%F"))),
        expires_at: Some(expires_at),
        days: Some(rung),
    };
    NewEvent::new(kind, &details)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_token_is_told_of_where_somebody_has_to_act_or_no_longer_has_to() {
        use TokenState::{
            Expired, Expiring, None as Nothing, Rejected, Superseded, TermsNotSigned, Unreachable, Valid,
        };
        let now = Timestamp::UNIX_EPOCH + TimeDelta::days(1000);
        for (was, is, kind) in [
            (Valid, Valid, None),
            (Valid, Expiring, None),
            (Expiring, Expired, Some("token.expired")),
            (Valid, Rejected, Some("token.invalid")),
            (Expiring, Superseded, Some("token.invalid")),
            (Valid, TermsNotSigned, Some("terms.required")),
            (TermsNotSigned, Valid, Some("terms.accepted")),
            (TermsNotSigned, Expiring, Some("terms.accepted")),
            (Rejected, Valid, None),
            (Valid, Unreachable, None),
            (Valid, Nothing, None),
        ] {
            let event = token_changed(was, is, Some("why"), Some(now + TimeDelta::days(9)), now);
            assert_eq!(event.as_ref().map(|event| event.kind), kind, "{was:?} to {is:?}");
            if let Some(event) = event {
                assert_eq!(
                    (&event.data["was"], &event.data["state"]),
                    (&was.as_str().into(), &is.as_str().into())
                );
            }
        }
        assert_eq!(token_changed(Expiring, Expired, None, Some(now), now), None, "the calendar has told it");
    }
}
