//! `GET /session` (protocol sections 2.1 and 2.5).

use serde_json::json;

use super::Ask;
use super::reply::{Refusal, Reply};
use crate::Simulator;
use crate::oauth::{Signed, candidate_urls};
use crate::state::{Moment, OAuthProblem, Terms};

pub(crate) fn open(simulator: &Simulator, ask: &Ask, moment: &Moment<'_>) -> Reply {
    match admit(simulator, ask, moment) {
        Ok((server, session)) => {
            Reply { server: Some(server), ..Reply::json(&json!({ "auth_session_token": session })) }
        }
        Err(refusal) => refusal.into(),
    }
}

fn admit(simulator: &Simulator, ask: &Ask, moment: &Moment<'_>) -> Result<(u16, String), Refusal> {
    let refuse = |problem: OAuthProblem| Refusal(problem.0, problem.1);
    let signed = Signed::parse(ask.header("authorization")).map_err(refuse)?;
    // Clients sign with their own clock, so simulated time does not count here.
    let now = simulator.clock().base_now().timestamp();
    let window = i64::try_from(moment.settings.timestamp_window.as_secs()).unwrap_or(i64::MAX);
    if now.saturating_sub(signed.timestamp).saturating_abs() > window {
        return Err(refuse(OAuthProblem(401, "timestamp_refused")));
    }

    let world = simulator.world();
    let (number, token) =
        world.token_for(&signed.consumer_key, &signed.access_token, moment).map_err(refuse)?;
    let urls = candidate_urls(ask.header("host").unwrap_or_default(), &ask.path);
    if !signed.verify(ask.method.as_str(), &urls, &token.consumer_secret, &token.access_secret) {
        return Err(refuse(OAuthProblem(moment.settings.token_error_status, "signature_invalid")));
    }
    let server = world.server(number).ok_or(Refusal(500, ""))?;
    let mut access = simulator.access();
    // Only a good signature uses a nonce up, or anybody could use up those of others.
    if !access.fresh_nonce(token.number, signed.timestamp, &signed.nonce, now.saturating_sub(window)) {
        return Err(refuse(OAuthProblem(401, "nonce_used")));
    }
    if server.terms == Terms::Unsigned {
        return Err(Refusal(403, "T_C_NOT_SIGNED"));
    }
    let session = access.open(number, token.number, moment.settings, moment.now_ms, &world.entropy);
    Ok((number, session))
}
