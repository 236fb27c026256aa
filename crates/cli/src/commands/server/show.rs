use std::collections::BTreeMap;

use adelie_model::Timestamp;
use adelie_scheduler::{Alert, Settings, Severity};
use adelie_store::MdmServer;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::summary;
use crate::commands::{sync, token};
use crate::context::Context;
use crate::exit::Exit;
use crate::health;
use crate::words::{count, minute, span, time};

/// Shows how an MDM server stands, what is wrong with it and what to do (field lesson L62).
pub async fn run(context: &Context, server: &MdmServer) -> anyhow::Result<Exit> {
    let defaults = context.store.defaults(server.id).await?;
    let counts = context.store.state_counts(Some(server.id)).await?;
    let mut alerts = health::of(context, server, &counts);
    let damage = token::damages(context, std::slice::from_ref(server)).await?.remove(&server.id);
    alerts.splice(0..0, damage.iter().map(|damage| token::damage_alert(&server.name, damage)));
    let settings = context.settings.engine.of_server(&server.sync);
    let now = context.clock.now();
    let states: BTreeMap<&str, u64> = counts.iter().map(|one| (one.state.as_str(), one.devices)).collect();
    if context.out.json {
        let mut object = summary(server, damage.as_ref(), &alerts, now);
        object["defaults"] = defaults
            .iter()
            .map(|one| (one.scope.to_string(), Value::from(one.profile.as_str())))
            .collect::<serde_json::Map<_, _>>()
            .into();
        object["rules"] = json!(rules(context, server).await?);
        object["devices"] = json!(states);
        object["settings"] = settings_object(server, &settings);
        let worked_on = worked_on(server, now);
        object["worked_on"] = json!(worked_on.map(|(by, until)| json!({ "by": by, "until": time(until) })));
        context.out.object(&object)?;
        return Ok(Exit::Done);
    }
    let account = server.account.clone().unwrap_or_default();
    let apple = match (&account.server_name, &account.org_name) {
        (Some(name), Some(org)) => format!("{name} of {org}"),
        (name, org) => name.clone().or_else(|| org.clone()).unwrap_or_default(),
    };
    let devices: Vec<_> = states.iter().map(|(state, devices)| format!("{devices} {state}")).collect();
    let defaults: Vec<_> = defaults.iter().map(|one| format!("{}: {}", one.scope, one.profile)).collect();
    let by_hand = format!(
        "at most every {}, full every {}",
        span(settings.manual_interval),
        span(settings.manual_full_interval)
    );
    let deadline = TimeDelta::seconds(i64::try_from(settings.progress_deadline.as_secs())?);
    context.out.facts(&[
        ("name", server.name.to_string()),
        ("apple", apple),
        ("base URL", server.base_url.clone()),
        ("token", token::state_word(server, damage.as_ref(), now)),
        ("token expires", minute(server.token.expires_at)),
        ("last sync", minute(server.last_sync_at)),
        ("last full sync", minute(server.last_full_at)),
        ("next sync", sync::next(server, now)),
        (
            "worked on",
            worked_on(server, now)
                .map(|(by, until)| format!("now, by {by} (until {} at most)", until.format("%H:%M:%S UTC")))
                .unwrap_or_default(),
        ),
        (
            "sync",
            format!("every {}, full every {}", span(settings.delta_interval), span(settings.full_interval)),
        ),
        ("sync by hand", by_hand),
        ("progress deadline", span(deadline)),
        (
            "removal guard",
            format!("a full sync removes at most {} % of the devices", settings.removal_percent),
        ),
        ("removed devices", format!("kept for {} days", settings.tombstone_days)),
        ("drift", settings_drift(server)),
        ("rules", rules(context, server).await?.join(", ")),
        ("defaults", if defaults.is_empty() { "none".to_owned() } else { defaults.join(", ") }),
        ("devices", if devices.is_empty() { "none".to_owned() } else { devices.join(", ") }),
        (
            "setbacks",
            if server.setbacks == 0 {
                String::new()
            } else {
                format!("{} in a row", count(server.setbacks.into(), "piece of work", "pieces of work"))
            },
        ),
    ])?;
    tell(context, server, &alerts)?;
    Ok(Exit::Done)
}

/// What is wrong, each with what to do about it.
fn tell(context: &Context, server: &MdmServer, alerts: &[Alert]) -> anyhow::Result<()> {
    for alert in alerts {
        let word = match alert.severity {
            Severity::Problem => "PROBLEM",
            Severity::Notice => "notice ",
        };
        context.out.line(&format!("\n{word} {}", alert.text))?;
        if let Some(fix) = health::fix(alert) {
            context.out.line(&format!("        fix: {fix}"))?;
        }
        if let Some(list) = list(server, alert).filter(|list| !alert.remedy.contains(list)) {
            context.out.line(&format!("        see: `{list}`"))?;
        }
    }
    Ok(())
}

/// The command that lists the devices of an alert.
fn list(server: &MdmServer, alert: &Alert) -> Option<String> {
    let state = match alert.code {
        "profile_refused" => "held",
        code => code.strip_prefix("devices_")?,
    };
    Some(format!("adelie device list --server {} --state {state}", server.name))
}

/// Who works on the server at this moment.
fn worked_on(server: &MdmServer, now: Timestamp) -> Option<(&str, Timestamp)> {
    server.worked_on.as_ref().filter(|(_, until)| *until > now).map(|(by, until)| (by.as_str(), *until))
}

fn settings_drift(server: &MdmServer) -> String {
    use adelie_model::DriftMode::{Repair, Report};
    match server.sync.drift.unwrap_or_default() {
        Repair => "repaired by itself".to_owned(),
        Report => "reported only".to_owned(),
    }
}

/// The rules that look at devices of an MDM server, in their order.
async fn rules(context: &Context, server: &MdmServer) -> anyhow::Result<Vec<String>> {
    let rules = context.store.configuration().await?.rules.into_iter();
    let here = rules.filter(|rule| rule.only.as_ref().is_none_or(|(only, _)| *only == server.id));
    Ok(here.map(|rule| format!("{} -> {}", rule.name, rule.profile)).collect())
}

/// The settings that hold for a server, and which of them are its own.
fn settings_object(server: &MdmServer, settings: &Settings) -> Value {
    let seconds = |span: TimeDelta| span.num_seconds();
    json!({
        "delta_interval_seconds": seconds(settings.delta_interval),
        "full_interval_seconds": seconds(settings.full_interval),
        "manual_interval_seconds": seconds(settings.manual_interval),
        "manual_full_interval_seconds": seconds(settings.manual_full_interval),
        "progress_deadline_seconds": settings.progress_deadline.as_secs(),
        "removal_percent": settings.removal_percent,
        "tombstone_days": settings.tombstone_days,
        "drift": server.sync.drift.unwrap_or_default(),
        "own": server.sync,
    })
}
