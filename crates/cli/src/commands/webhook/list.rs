use std::collections::BTreeMap;

use adelie_model::{ServerId, Timestamp};
use adelie_store::{Backlog, Webhook, WebhookState};
use chrono::TimeDelta;
use serde_json::json;

use super::endpoint;
use crate::context::Context;
use crate::exit::Exit;
use crate::words::{count, minute, span};

/// Something about an endpoint that somebody should look at.
pub struct Finding {
    /// What is so.
    pub text: String,
    /// What to do.
    pub fix: String,
    /// Whether somebody must do something; otherwise it may mend itself.
    pub urgent: bool,
}

/// An endpoint that fails for so long does not mend itself, as a rule.
const TRANSIENT: TimeDelta = TimeDelta::minutes(10);

/// What is wrong with an endpoint.
fn findings(endpoint: &Webhook, backlog: &Backlog, now: Timestamp) -> Vec<Finding> {
    let id = endpoint.id;
    let waiting = backlog.pending + backlog.retrying;
    let mut findings = Vec::new();
    match endpoint.state {
        WebhookState::Disabled => findings.push(Finding {
            text: format!("given up since {}: {}", minute(Some(endpoint.since)), endpoint.reason),
            fix: format!(
                "mend the receiver, try it with `adelie webhook test {id}`, then `adelie webhook resume {id}`"
            ),
            urgent: true,
        }),
        WebhookState::Active => {
            let late = backlog.oldest.map(|oldest| now - oldest).filter(|late| *late > TRANSIENT);
            let waits = count(waiting, "delivery waits", "deliveries wait");
            if let Some(since) = endpoint.failing_since {
                findings.push(Finding {
                    text: format!("nothing has arrived since {}; {waits}", minute(Some(since))),
                    fix: format!("see why with `adelie webhook log --failed --endpoint {id}`"),
                    urgent: now - since > TRANSIENT,
                });
            } else if let Some(late) = late {
                findings.push(Finding {
                    text: format!("{} late: {waits}", span(late)),
                    fix: "see `adelie webhook log --failed`; is `adelie serve` running? A sync by cron sends what it \
                          can before it ends"
                        .to_owned(),
                    urgent: true,
                });
            }
        }
        WebhookState::Paused => {}
    }
    if backlog.dead > 0 {
        findings.push(Finding {
            text: format!("{} given up", count(backlog.dead, "delivery was", "deliveries were")),
            fix: format!("send again with `adelie webhook replay --failed --endpoint {id}`"),
            urgent: true,
        });
    }
    findings
}

/// All endpoints, each with what is wrong with it.
pub async fn all_findings(context: &Context) -> anyhow::Result<Vec<(Webhook, Vec<Finding>)>> {
    let backlogs = backlogs(context).await?;
    let now = context.clock.now();
    let endpoints = context.store.webhooks().await?.into_iter();
    Ok(endpoints
        .map(|endpoint| {
            let findings = findings(&endpoint, &backlog_of(&backlogs, &endpoint), now);
            (endpoint, findings)
        })
        .collect())
}

/// Lists endpoints.
pub async fn list(context: &Context) -> anyhow::Result<Exit> {
    let endpoints = context.store.webhooks().await?;
    let backlogs = backlogs(context).await?;
    let servers = servers(context).await?;
    let now = context.clock.now();
    let mut rows = Vec::new();
    for endpoint in &endpoints {
        let backlog = backlog_of(&backlogs, endpoint);
        let findings = findings(endpoint, &backlog, now);
        let names = names(endpoint, &servers);
        if context.out.json {
            let mut object = endpoint::object(endpoint, &names);
            object["pending"] = json!(backlog.pending);
            object["retrying"] = json!(backlog.retrying);
            object["dead"] = json!(backlog.dead);
            object["problems"] =
                findings.iter().map(|one| json!({ "text": one.text, "remedy": one.fix })).collect();
            context.out.object(&object)?;
            continue;
        }
        rows.push(vec![
            endpoint.id.to_string(),
            endpoint.state.as_str().to_owned(),
            (backlog.pending + backlog.retrying).to_string(),
            backlog.dead.to_string(),
            minute(endpoint.last_delivered_at),
            endpoint.events.join(", "),
            endpoint.url.clone(),
        ]);
    }
    if context.out.json {
        return Ok(Exit::Done);
    }
    if rows.is_empty() {
        context.out.hint("there is no endpoint yet: add one with `adelie webhook add URL`")?;
        return Ok(Exit::Done);
    }
    let header = ["endpoint", "state", "waiting", "given up", "last delivered", "receives", "url"];
    context.out.table(&header, rows)?;
    for endpoint in &endpoints {
        for finding in findings(endpoint, &backlog_of(&backlogs, endpoint), now) {
            context.out.warn(&format!("endpoint {}: {}", endpoint.id, finding.text))?;
            context.out.hint(&finding.fix)?;
        }
    }
    Ok(Exit::Done)
}

/// Shows one endpoint.
pub async fn show(context: &Context, text: &str) -> anyhow::Result<Exit> {
    let endpoint = endpoint::find(context, text).await?;
    let backlog = backlog_of(&backlogs(context).await?, &endpoint);
    let findings = findings(&endpoint, &backlog, context.clock.now());
    let names = names(&endpoint, &servers(context).await?);
    if context.out.json {
        let mut object = endpoint::object(&endpoint, &names);
        object["pending"] = json!(backlog.pending);
        object["retrying"] = json!(backlog.retrying);
        object["dead"] = json!(backlog.dead);
        object["problems"] =
            findings.iter().map(|one| json!({ "text": one.text, "remedy": one.fix })).collect();
        context.out.object(&object)?;
        return Ok(Exit::Done);
    }
    let yes = |is: bool| if is { "yes".to_owned() } else { String::new() };
    let now = context.clock.now();
    let old =
        endpoint.secrets.iter().filter_map(|secret| secret.valid_until).filter(|until| *until > now).max();
    context.out.facts(&[
        ("endpoint", endpoint.id.to_string()),
        ("url", endpoint.url.clone()),
        ("state", endpoint.state.as_str().to_owned()),
        ("why", endpoint.reason.clone()),
        ("since", minute(Some(endpoint.since))),
        ("receives", endpoint.events.join(", ")),
        ("of MDM servers", if names.is_empty() { "all".to_owned() } else { names.join(", ") }),
        ("format", endpoint.format.as_str().to_owned()),
        ("thin", yes(endpoint.thin)),
        ("in order per device", yes(endpoint.ordered)),
        ("posts at once", endpoint.concurrency.to_string()),
        ("never tried", backlog.pending.to_string()),
        ("tried again", backlog.retrying.to_string()),
        ("given up", backlog.dead.to_string()),
        ("last delivered", minute(endpoint.last_delivered_at)),
        (
            "asks to wait until",
            endpoint
                .wait_until
                .filter(|until| *until > now)
                .map_or_else(String::new, |until| minute(Some(until))),
        ),
        ("old secret signs until", old.map_or_else(String::new, |until| minute(Some(until)))),
    ])?;
    for finding in findings {
        context.out.warn(&finding.text)?;
        context.out.hint(&finding.fix)?;
    }
    Ok(Exit::Done)
}

async fn backlogs(context: &Context) -> anyhow::Result<Vec<Backlog>> {
    Ok(context.store.backlogs().await?)
}

fn backlog_of(all: &[Backlog], endpoint: &Webhook) -> Backlog {
    let none = Backlog { webhook: endpoint.id, pending: 0, retrying: 0, dead: 0, oldest: None };
    all.iter().find(|backlog| backlog.webhook == endpoint.id).cloned().unwrap_or(none)
}

async fn servers(context: &Context) -> anyhow::Result<BTreeMap<ServerId, String>> {
    let servers = context.store.servers().await?;
    Ok(servers.into_iter().map(|server| (server.id, server.name.to_string())).collect())
}

fn names(endpoint: &Webhook, servers: &BTreeMap<ServerId, String>) -> Vec<String> {
    endpoint.servers.iter().filter_map(|id| servers.get(id).cloned()).collect()
}
