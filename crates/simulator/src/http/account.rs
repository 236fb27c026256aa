//! `GET /account` (protocol section 3.1).

use serde_json::{Value, json};

use super::gate::{Answer, Visit};
use super::reply::{Refusal, Reply};
use crate::state::mix;

pub(crate) fn account(visit: &Visit<'_>) -> Answer {
    let world = visit.simulator.world();
    let Some(server) = world.server(visit.server) else { return Err(Refusal(500, "")) };
    let organization = &server.organization;
    let number = organization.bytes().fold(11, |hash, byte| mix(hash ^ u64::from(byte)));
    let mut account = json!({
        "server_name": server.name,
        "server_uuid": server.uuid,
        "admin_id": "it@example.org",
        "facilitator_id": "it@example.org",
        "org_name": organization,
        "org_email": "it@example.org",
        "org_phone": "5550100",
        "org_address": "1 Main St",
    });
    if visit.version >= 3
        && let Some(fields) = account.as_object_mut()
    {
        let hash: String = (0..4).map(|part| format!("{:016x}", mix(number ^ part))).collect();
        fields.insert("org_id".to_owned(), Value::from((number % 9_000_000 + 1_000_000).to_string()));
        fields.insert("org_id_hash".to_owned(), Value::from(hash));
        fields.insert("org_type".to_owned(), Value::from("org"));
        fields.insert("org_version".to_owned(), Value::from("v2"));
        fields.insert("urls".to_owned(), urls(visit));
    }
    Ok(Reply::json(&account))
}

fn urls(visit: &Visit<'_>) -> Value {
    let limit = json!({ "default": visit.settings.default_limit, "maximum": visit.settings.max_limit });
    let with_limit = |uri: &str| json!({ "uri": uri, "http_method": ["POST"], "limit": limit });
    let plain = |uri: &str, methods: &[&str]| json!({ "uri": uri, "http_method": methods });
    json!([
        plain("/session", &["GET"]),
        plain("/account", &["GET"]),
        with_limit("/server/devices"),
        with_limit("/devices/sync"),
        plain("/devices", &["POST"]),
        plain("/profile", &["GET", "POST"]),
        plain("/profile/devices", &["DELETE", "POST", "PUT"]),
        plain("/device/activationlock", &["POST"]),
        plain("/devices/disown", &["POST"]),
    ])
}
