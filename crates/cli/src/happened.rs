//! What happened, in a sentence for each type of event.

use std::collections::BTreeMap;

use adelie_model::{RevisionId, Timestamp};
use adelie_store::StoredEvent;
use serde_json::Value;

use crate::context::Context;
use crate::words::{count, minute};

/// The names of the profiles that events are about.
pub struct Profiles(BTreeMap<RevisionId, String>);

impl Profiles {
    /// Those of some events.
    pub async fn of(context: &Context, events: &[StoredEvent]) -> anyhow::Result<Self> {
        let mut names = BTreeMap::new();
        for id in events.iter().filter_map(revision) {
            if !names.contains_key(&id)
                && let Some(revision) = context.store.revision(id).await?
            {
                names.insert(id, revision.name.to_string());
            }
        }
        Ok(Self(names))
    }
}

fn revision(event: &StoredEvent) -> Option<RevisionId> {
    event.data["revision"].as_i64().map(RevisionId)
}

/// What happened, in words.
pub fn words(event: &StoredEvent, profiles: &Profiles) -> String {
    let data = &event.data;
    let text = |key: &str| data[key].as_str().unwrap_or_default();
    let by = text("by");
    let profile = revision(event)
        .and_then(|id| profiles.0.get(&id))
        .map_or_else(|| "its profile".to_owned(), |name| format!("profile {name}"));
    let sentence = match event.kind.as_str() {
        "device.added" if data["was"].is_string() => "it is back at this MDM server".to_owned(),
        "device.added" => "Apple gave it to this MDM server".to_owned(),
        "devices.imported" => "found by the first full sync".to_owned(),
        "device.modified" => format!("Apple changed {}", changes(&data["changes"])),
        "device.removed" if !by.is_empty() => format!("put away by {by}"),
        "device.removed" => "it left this MDM server".to_owned(),
        "device.deleted" => "forgotten, because it had left long ago".to_owned(),
        "assignment.succeeded" => with(&format!("{profile} assigned"), text("reason")),
        "assignment.unconfirmed" => with(&format!("{profile} not assigned"), text("reason")),
        "assignment.throttled" => with("throttled", text("reason")),
        "assignment.failed" => with(&format!("{profile} not assigned"), text("reason")),
        "assignment.not_accessible" => with("not accessible", text("reason")),
        "drift.detected" => {
            let what = if data["repaired"] == true { "it is repaired" } else { "it is reported only" };
            with("drifted", &format!("{}; {what}", text("reason")))
        }
        "drift.repaired" => "Apple shows its profile again".to_owned(),
        "device.held" => with(&format!("held by {by}"), text("reason")),
        "device.unheld" => format!("let go by {by}"),
        "device.tagged" => format!("tagged by {by}: {}", tags(&data["was"], &data["tags"])),
        "device.retried" => format!("to be tried again, says {by} (it was {})", text("was")),
        kind => others(kind, data),
    };
    let again = data["next_attempt_at"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    let again = again.map(|at| format!("; tried again at {}", minute(Some(at)))).unwrap_or_default();
    let others = match data["devices"].as_u64() {
        Some(all) if all > 1 => format!(" (with {})", count(all - 1, "other", "others")),
        _ => String::new(),
    };
    format!("{sentence}{again}{others}")
}

/// What happened to something else than a device.
fn others(kind: &str, data: &Value) -> String {
    let text = |key: &str| data[key].as_str().unwrap_or_default();
    let number = |key: &str| data[key].as_u64().unwrap_or(0);
    let by = text("by");
    let lines = || {
        let lines = data["changes"].as_array().into_iter().flatten().filter_map(Value::as_str);
        lines.collect::<Vec<_>>().join("; ")
    };
    let endpoint = || format!("endpoint {} ({})", data["webhook"], text("url"));
    match kind {
        "sync.completed" => format!(
            "{} sync ended: {} added, {} modified, {} removed",
            text("kind"),
            number("added"),
            number("modified"),
            number("removed")
        ),
        "sync.failed" => format!("{} sync failed: {}", text("kind"), text("error")),
        "sync.page" => {
            let devices = data["devices"].as_array().map_or(0, Vec::len) as u64;
            format!("a page of {} was stored", count(devices, "device", "devices"))
        }
        "full_sync.required" => with("the whole list is fetched", text("reason")),
        "removals.held" => text("reason").to_owned(),
        "token.renewed" => match text("expires_at").parse::<Timestamp>() {
            Ok(until) => format!("server token imported, valid until {}", minute(Some(until))),
            Err(_) => "server token imported".to_owned(),
        },
        "token.expiring" | "token.expired" | "token.invalid" => {
            with(&format!("server token is {}", text("state").replace('_', " ")), text("reason"))
        }
        "terms.required" => with("Apple's terms have to be accepted", text("reason")),
        "terms.accepted" => "Apple's terms are accepted".to_owned(),
        "profile.revised" | "rules.changed" => format!("{} by {by}", lines()),
        "server.paused" => format!("paused by {by}"),
        "server.resumed" => format!("resumed by {by}"),
        "server.defaults_changed" => format!("defaults changed by {by}: {}", data["defaults"]),
        "server.settings_changed" => format!("settings changed by {by}: {}", data["settings"]),
        "server.profiles_retried" => {
            format!("{} defined again, says {by}", count(number("profiles"), "profile", "profiles"))
        }
        "webhook.disabled" => with(&format!("{} was given up", endpoint()), text("reason")),
        "webhook.replayed" => {
            format!("{} sent again, says {by}", count(number("deliveries"), "delivery", "deliveries"))
        }
        "webhook.test" => format!("{} tried out by {by}", endpoint()),
        "webhook.added" | "webhook.paused" | "webhook.resumed" | "webhook.rotated" | "webhook.removed" => {
            let verb = kind.trim_start_matches("webhook.");
            let verb = if verb == "rotated" { "given a new secret" } else { verb };
            with(&format!("{} {verb} by {by}", endpoint()), text("reason"))
        }
        kind => format!("{kind} {data}"),
    }
}

fn with(what: &str, reason: &str) -> String {
    if reason.is_empty() { what.to_owned() } else { format!("{what}: {reason}") }
}

/// `+new -old`.
fn tags(was: &Value, are: &Value) -> String {
    let all = |tags: &Value| -> Vec<String> {
        let texts = tags.as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    };
    let (was, are) = (all(was), all(are));
    let came = are.iter().filter(|tag| !was.contains(tag)).map(|tag| format!("+{tag}"));
    let went = was.iter().filter(|tag| !are.contains(tag)).map(|tag| format!("-{tag}"));
    came.chain(went).collect::<Vec<_>>().join(" ")
}

/// `color: RED → BLUE, asset_tag: nothing → A-1`.
fn changes(changes: &Value) -> String {
    let Some(changes) = changes.as_object() else { return "something".to_owned() };
    let value = |value: Option<&Value>| match value {
        None | Some(Value::Null) => "nothing".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let parts: Vec<_> = changes
        .iter()
        .map(|(name, pair)| format!("{name}: {} → {}", value(pair.get(0)), value(pair.get(1))))
        .collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use adelie_model::{EventId, ServerId};
    use serde_json::json;

    use super::*;

    fn told(kind: &str, data: Value) -> String {
        let event = StoredEvent {
            id: EventId(1),
            server: Some(ServerId(1)),
            at: Timestamp::UNIX_EPOCH,
            kind: kind.to_owned(),
            serial: None,
            run: None,
            data,
        };
        words(&event, &Profiles(BTreeMap::from([(RevisionId(7), "standard".to_owned())])))
    }

    #[test]
    fn every_kind_is_a_sentence() {
        assert_eq!(
            told(
                "device.modified",
                json!({ "changes": { "color": ["RED", "BLUE"], "asset_tag": [null, "A-1"] } })
            ),
            "Apple changed asset_tag: nothing → A-1, color: RED → BLUE"
        );
        assert_eq!(
            told(
                "assignment.succeeded",
                json!({ "revision": 7, "reason": "Apple confirmed it", "devices": 1000 })
            ),
            "profile standard assigned: Apple confirmed it (with 999 others)"
        );
        assert_eq!(
            told(
                "assignment.failed",
                json!({ "revision": 9, "reason": "Apple answered FAILED", "next_attempt_at": "1970-01-01T01:00:00Z" })
            ),
            "its profile not assigned: Apple answered FAILED; tried again at 1970-01-01 01:00 UTC"
        );
        assert_eq!(told("device.held", json!({ "by": "anna", "reason": "" })), "held by anna");
        assert_eq!(told("device.removed", json!({ "by": "anna", "was": "assigned" })), "put away by anna");
        assert_eq!(told("device.removed", json!({ "was": "assigned" })), "it left this MDM server");
        assert_eq!(
            told("device.tagged", json!({ "by": "anna", "was": ["b", "x"], "tags": ["a", "x"] })),
            "tagged by anna: +a -b"
        );
        assert_eq!(told("device.melted", json!({ "a": 1 })), r#"device.melted {"a":1}"#);
    }
}
