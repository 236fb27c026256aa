//! Beta programmes and account-driven enrollment (protocol sections 3.12 and 3.13).

use adelie_dep::endpoints::account_driven_enrollment::SetRequest;
use serde_json::json;

use super::gate::{Answer, Visit, body};
use super::reply::{Refusal, Reply};
use crate::clock::time_text;
use crate::state::mix;

pub(crate) fn beta_tokens(visit: &Visit<'_>) -> Answer {
    if !visit.settings.beta_program {
        return Err(Refusal(403, "APPLE_SEED_FOR_IT_TURNED_OFF"));
    }
    let token = |n: u64| format!("{:016X}{:016X}", mix(visit.settings.seed ^ n), mix(n));
    Ok(Reply::json(&json!({ "betaEnrollmentTokens": [
        { "token": token(1), "title": "macOS Beta for IT", "os": "OSX" },
        { "token": token(2), "title": "iOS Beta for IT", "os": "iOS" },
        { "token": token(3), "title": "tvOS Beta for IT", "os": "tvOS" },
    ]})))
}

pub(crate) fn get_discovery(visit: &Visit<'_>) -> Answer {
    let world = visit.simulator.world();
    let organization =
        world.server(visit.server).map(|server| server.organization.as_str()).unwrap_or_default();
    match world.discovery.get(organization) {
        Some((url, set_ms)) => Ok(Reply::json(&json!({
            "mdm_service_discovery_url": url,
            "last_updated_timestamp": time_text(set_ms.div_euclid(1000)),
        }))),
        None => Err(Refusal(404, "NOT_FOUND")),
    }
}

pub(crate) fn set_discovery(visit: &Visit<'_>) -> Answer {
    let request: SetRequest = body(visit.ask)?;
    let url = request.mdm_service_discovery_url;
    if url.is_empty() {
        return Err(Refusal(400, "MDM_SERVICE_DISCOVERY_URL_REQUIRED"));
    }
    if !url::Url::parse(&url).is_ok_and(|url| url.scheme() == "https" && url.has_host()) {
        return Err(Refusal(400, "MDM_SERVICE_DISCOVERY_URL_NOT_VALID"));
    }
    let mut world = visit.simulator.world_mut();
    let Some(organization) = world.server(visit.server).map(|server| server.organization.clone()) else {
        return Err(Refusal(500, ""));
    };
    world.discovery.insert(organization, (url, visit.moment.now_ms));
    Ok(Reply::status(200))
}

pub(crate) fn remove_discovery(visit: &Visit<'_>) -> Answer {
    let mut world = visit.simulator.world_mut();
    let organization =
        world.server(visit.server).map(|server| server.organization.clone()).unwrap_or_default();
    world.discovery.remove(&organization);
    Ok(Reply::status(200))
}
